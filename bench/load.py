"""The load: a closed loop of kept-alive connections, and the turns in which contenders get it.

Every contender has a turn in each round, so a slow minute is slow for all of them. Neither common
tool fits: `hey` sends one body only, and `wrk` adds computed samples to its latencies and does not
count connections that the server closes.
"""

from __future__ import annotations

import json
import re
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from math import inf, nan
from typing import Any, NamedTuple

import gevent
from gevent import socket

from bench.servers import HOST, Server

CONNECTIONS = 64
BROKEN = 0  # stands for the status of a response that did not come: closed, reset, or 60 s late

_LENGTH = re.compile(rb"(?i)\r\ncontent-length: *([0-9]+)")


class Responses(NamedTuple):
    """The responses of a run that took `seconds`; `p50` and `p99` are latencies in milliseconds."""

    seconds: float
    statuses: Counter[int]
    p50: float
    p99: float


def request(method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
    """Return an HTTP request; a body is sent as JSON."""
    head = f"{method} {path} HTTP/1.1\r\nHost: {HOST}\r\n"
    if body is None:
        return f"{head}\r\n".encode()
    content = json.dumps(body)
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n"
    return f"{head}\r\n{content}".encode()


def send(port: int, requests: Iterator[bytes], connections: int, seconds: float = inf) -> Responses:
    """Send requests until none are left or time is up, and wait for the last responses.

    Each connection sends its next request when it has the response to the one before.
    """
    statuses: Counter[int] = Counter()
    latencies: list[float] = []
    started = time.perf_counter()
    timely = takewhile(lambda _: time.perf_counter() < started + seconds, requests)

    def send_in_turn() -> None:
        connection = _connect(port)
        for each in timely:
            sent = time.perf_counter()
            status, _ = _exchange(connection, each)
            statuses[status] += 1
            latencies.append((time.perf_counter() - sent) * 1000)
            if status == BROKEN:
                connection.close()
                connection = _connect(port)
        connection.close()

    gevent.joinall([gevent.spawn(send_in_turn) for _ in range(connections)], raise_error=True)
    elapsed = time.perf_counter() - started
    latencies.sort()
    p50, p99 = (latencies[len(latencies) * percent // 100] for percent in (50, 99))
    return Responses(elapsed, statuses, p50, p99)


def ask(port: int, question: bytes) -> Any:
    """Send one request and return the JSON of its response; raises RuntimeError on a refusal."""
    with _connect(port) as connection:
        status, body = _exchange(connection, question)
    if not 200 <= status < 300:
        raise RuntimeError(f"{question!r} gets {status} {body!r}")
    return json.loads(body)


@dataclass(frozen=True)
class Workload:
    """Requests without end to one server, and the status that each of them gets."""

    server: Server
    requests: Iterator[bytes]
    expected: int


class Turn(NamedTuple):
    """What one turn measured; or the medians of several turns; or the ratios of two.

    `rate` is in expected responses a second, latencies are in milliseconds, processor times in
    microseconds a response. `generator` is the load generator's share of one core.
    """

    rate: float
    p50: float
    p99: float
    workers: float
    mongodb: float
    generator: float

    @property
    def processor(self) -> float:
        """The processor time of a response in all processes, in microseconds."""
        return self.workers + self.mongodb


def medians(turns: Iterable[Turn]) -> Turn:
    """Return the median of each value."""
    return Turn(*map(statistics.median, zip(*turns, strict=True)))


def spread(values: Sequence[float]) -> str:
    """Return the least and the most of these values."""
    return f"{min(values):.2f} to {max(values):.2f}"


@dataclass
class Row:
    """A workload at a number of connections, its turns, and the unexpected statuses."""

    workload: Workload
    connections: int = CONNECTIONS
    turns: list[Turn] = field(default_factory=list)
    unexpected: Counter[int] = field(default_factory=Counter)

    def take_turn(self, seconds: float) -> Turn:
        """Send the workload for this many seconds."""
        server, expected = self.workload.server, self.workload.expected
        generator, (workers, mongodb) = time.process_time(), server.processor_seconds()
        responses = send(server.port, self.workload.requests, self.connections, seconds)
        workers_after, mongodb_after = server.processor_seconds()
        total = responses.statuses.total()
        self.unexpected += responses.statuses - Counter({expected: total})
        return Turn(
            rate=responses.statuses[expected] / responses.seconds,
            p50=responses.p50,
            p99=responses.p99,
            workers=(workers_after - workers) / total * 1e6,
            mongodb=(mongodb_after - mongodb) / total * 1e6,
            generator=(time.process_time() - generator) / responses.seconds,
        )

    def ratios(self, base: Row) -> list[Turn]:
        """Return each turn ÷ the base's turn in the same round."""
        return [
            Turn(*(value / of if of else nan for value, of in zip(own, other, strict=True)))
            for own, other in zip(self.turns, base.turns, strict=True)
        ]

    def relative_rate(self, base: Row) -> list[str]:
        """Return two cells of a table: the median of the ratios of the rates, and their spread."""
        rates = [turn.rate for turn in self.ratios(base)]
        return [f"**{statistics.median(rates):.2f}**", spread(rates)]


def take_turns(
    rows: Sequence[Row], rounds: int, seconds: float, progress: Callable[[float], None]
) -> None:
    """Measure all rows in each round, after a turn of each to warm up that does not count.

    `progress` is called between turns, with the share of the time that has passed.
    """
    total = len(rows) * (1 + rounds * seconds)
    for number, row in enumerate(rows, 1):
        row.take_turn(1)
        progress(number / total)
    for number in range(rounds):
        first = number % len(rows)  # rotated, so that no row always follows the same one
        for taken, row in enumerate([*rows[first:], *rows[:first]], 1):
            row.turns.append(row.take_turn(seconds))
            progress((len(rows) + (number * len(rows) + taken) * seconds) / total)


def _connect(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=60)


def _exchange(connection: socket.socket, data: bytes) -> tuple[int, bytes]:
    """Send a request; return the status and the body of its response."""
    received = b""
    try:
        connection.sendall(data)
        while chunk := connection.recv(1 << 16):
            received += chunk
            head, end, body = received.partition(b"\r\n\r\n")
            if end and len(body) >= int(_LENGTH.findall(head)[0]):
                return int(head[9:12]), body
    except OSError:
        pass
    return BROKEN, b""
