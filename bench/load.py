"""The load: a closed loop of kept-alive connections that counts every response and every break.

Neither common tool fits: `hey` sends one body only, and `wrk` adds computed samples to its
latencies and reconnects in silence where a server closes the connection.
"""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from collections.abc import Iterator
from itertools import takewhile
from math import inf
from typing import Any, NamedTuple

import gevent
from gevent import socket

HOST = "127.0.0.1"
BROKEN = 0  # stands for the status of a response that did not come: closed, reset, or 60 s late

_SILENCE_SECONDS = 60
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
    """Send requests until none is left or the time is up, and wait for the last responses.

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
            if status == BROKEN:
                connection.close()
                connection = _connect(port)
            else:
                latencies.append((time.perf_counter() - sent) * 1000)
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


def _connect(port: int) -> socket.socket:
    return socket.create_connection((HOST, port), timeout=_SILENCE_SECONDS)


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
