"""The load: a closed loop of kept-alive connections that counts every response and every break.

Neither common tool fits: `hey` sends one body only, and `wrk` adds computed samples to its
latencies and reconnects in silence where a server closes the connection.
"""

from __future__ import annotations

import json
import re
import selectors
import socket
import time
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from math import inf
from typing import Any

HOST = "127.0.0.1"
BROKEN = (
    0  # stands for the status of a response that never came: the connection was closed or reset
)

_SILENCE_SECONDS = 60


class LoadError(Exception):
    """A server does not respond as it has to; the text says what happened instead."""


@dataclass(frozen=True)
class Responses:
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
    content = json.dumps(body)  # ASCII only, so characters are bytes
    return (
        f"{head}Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n{content}"
    ).encode()


def send(port: int, requests: Iterator[bytes], connections: int, seconds: float = inf) -> Responses:
    """Send requests until none is left or the time is up, then wait for the last responses.

    Each connection sends its next request when it has the response to the one before.
    """
    statuses: Counter[int] = Counter()
    latencies = array("d")
    with selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = _Connection(port)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
        started = now = time.perf_counter()
        waiting = [key.data for key in selector.get_map().values()]
        while True:
            for connection in waiting:
                following = next(requests, None) if now < started + seconds else None
                if following is None:
                    selector.unregister(connection.socket)
                    connection.socket.close()
                else:
                    connection.send(following)
            if not selector.get_map():
                break
            ready = selector.select(_SILENCE_SECONDS)
            now = time.perf_counter()
            if not ready:
                raise LoadError(f"no response within {_SILENCE_SECONDS} s")
            waiting = []
            for key, _ in ready:
                connection = key.data
                status = connection.receive()
                if status is None:
                    continue
                statuses[status] += 1
                if status == BROKEN:
                    selector.unregister(connection.socket)
                    connection.socket.close()
                    connection = _Connection(port)
                    selector.register(connection.socket, selectors.EVENT_READ, connection)
                else:
                    latencies.append(now - connection.sent)
                waiting.append(connection)
    ordered = sorted(latencies) or [inf]
    return Responses(
        seconds=now - started,
        statuses=statuses,
        p50=ordered[len(ordered) // 2] * 1000,
        p99=ordered[len(ordered) * 99 // 100] * 1000,
    )


def ask(port: int, question: bytes) -> Any:
    """Send one request and return the JSON of its response; raises LoadError when it is refused."""
    connection = _Connection(port)
    with closing(connection.socket):
        connection.send(question)
        while (status := connection.receive()) is None:
            pass
    body = connection.received.partition(b"\r\n\r\n")[2]
    if not 200 <= status < 300:
        raise LoadError(f"{question!r} gets {status} {body.decode()}")
    return json.loads(body)


class _Connection:
    """A connection with one request under way; `received` is its response so far."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((HOST, port), timeout=_SILENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sent = 0.0
        self.received = b""

    def send(self, data: bytes) -> None:
        self.received = b""
        self.sent = time.perf_counter()
        with suppress(OSError):  # a broken connection shows when it is read
            self.socket.sendall(data)

    def receive(self) -> int | None:
        """Read once; return the status when the response is complete, None while it is not."""
        try:
            chunk = self.socket.recv(1 << 16)
        except OSError:
            return BROKEN
        if not chunk:
            return BROKEN
        self.received += chunk
        head, end, body = self.received.partition(b"\r\n\r\n")
        if not end:
            return None
        length = re.search(rb"(?i)\r\ncontent-length: *([0-9]+)", head)
        if length is None:
            raise LoadError(f"a response without Content-Length: {head!r}")
        return int(head[9:12]) if len(body) >= int(length[1]) else None
