"""Between the server and Flask: requests are read whole, in time, before they take a thread."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from granian.rsgi import (  # type: ignore[attr-defined]  # exported, but not in so many words
    HTTPProtocol,
    Scope,
)
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from app.web.blueprint import RECEIVED_AT, THREADS_APART
from app.web.reading import MOST_BYTES_READ

_BODY_SECONDS = 10
_QUIET_SECONDS = 0.2  # for the last answers to reach their sockets


class Gateway:
    """An RSGI application that calls the WSGI application `app` in `threads` threads.

    A WSGI server gives a request a thread from its first byte on, so that a handful of clients who
    stop halfway through a body would hold all of them. Here the event loop waits for the body, for
    10 s at the most, and up to `longest_body` bytes; what comes after those is not read. Paths that
    start with one of `apart` have two threads of their own, so they never wait behind others.

    Granian documents RSGI, and PEP 3333 WSGI.
    """

    def __init__(
        self,
        app: WSGIApplication,
        *,
        threads: int,
        longest_body: int = MOST_BYTES_READ,
        apart: tuple[str, ...],
    ) -> None:
        self._app = app
        self._longest_body = longest_body
        self._apart = apart
        self._under_way = 0
        self._stopping = False
        self._threads = ThreadPoolExecutor(threads, "request")
        self._threads_apart = ThreadPoolExecutor(THREADS_APART, "request-apart")

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take SIGTERM over; the server calls this when it has its own handlers.

        Granian's wakes a thread that may then wait for the GIL, holding a lock that the handler
        waits for, which has the GIL (seen with 2.8.7 on a busy machine). SIGTERM may have been
        blocked until now, for there is nobody to handle it before the loop runs.
        """
        loop.add_signal_handler(signal.SIGTERM, lambda: loop.create_task(self._stop()))
        loop.call_soon(signal.pthread_sigmask, signal.SIG_UNBLOCK, {signal.SIGTERM})

    async def _stop(self) -> None:
        """End the process when all requests that came so far are answered."""
        self._stopping = True
        _close_listeners()
        quiet_since = time.monotonic()
        while time.monotonic() - quiet_since < _QUIET_SECONDS:
            if self._under_way:
                quiet_since = time.monotonic()
            await asyncio.sleep(0.02)
        os._exit(0)

    async def __call__(self, scope: Scope, protocol: HTTPProtocol) -> None:
        """Answer a request."""
        environ = _environ(scope)
        environ["wsgi.input"] = await self._body(environ, protocol)
        environ[RECEIVED_AT] = time.monotonic()
        threads = self._threads_apart if scope.path.startswith(self._apart) else self._threads
        answer = _Answer()
        loop = asyncio.get_running_loop()
        self._under_way += 1
        try:
            await loop.run_in_executor(threads, answer.take, self._app, environ)
        finally:
            self._under_way -= 1
        if self._stopping:
            answer.headers.append(("connection", "close"))
        protocol.response_bytes(answer.status, answer.headers, answer.body)

    async def _body(self, environ: WSGIEnvironment, protocol: HTTPProtocol) -> io.IOBase:
        """Return the body; to read it raises an error if it has not come whole, and in time."""
        declared = int(environ.get("CONTENT_LENGTH", "0"))
        if "HTTP_TRANSFER_ENCODING" not in environ and declared == 0:
            return io.BytesIO()
        if declared >= self._longest_body and "HTTP_EXPECT" in environ:
            return io.BytesIO()  # nothing of it is on its way yet
        body = bytearray()
        ends = 0
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                async for chunk in protocol:
                    body += chunk
                    ends += not chunk
                    if len(body) >= self._longest_body:
                        return io.BytesIO(body[: self._longest_body])
        except TimeoutError:
            return _FailedBody(RequestTimeout())
        # Granian says the end of a body by an empty chunk, and by two that it was cut off (or had
        # trailers, which nobody here reads).
        return io.BytesIO(body) if ends == 1 else _FailedBody(ClientDisconnected())


class _FailedBody(io.RawIOBase):
    def __init__(self, error: Exception) -> None:
        self._error = error

    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: Any) -> int:
        raise self._error


@dataclass
class _Answer:
    """What the WSGI application answers."""

    status: int = 500
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""

    def take(self, app: WSGIApplication, environ: WSGIEnvironment) -> None:
        start: StartResponse = self._start  # type: ignore[assignment]  # nobody calls write()
        parts = app(environ, start)
        try:
            self.body = b"".join(parts)
        finally:
            close: Callable[[], None] | None = getattr(parts, "close", None)
            if close:
                close()

    def _start(self, status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
        self.status = int(status[:3])
        self.headers = [(name.lower(), value) for name, value in headers]


def _close_listeners() -> None:
    """Take no more connections in this process."""
    for file in list(Path("/dev/fd").iterdir()):
        with (
            contextlib.suppress(OSError),
            socket.socket(fileno=os.dup(int(file.name))) as connection,
        ):
            if connection.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                connection.shutdown(socket.SHUT_RDWR)


def _environ(scope: Scope) -> WSGIEnvironment:
    server, _, port = scope.server.rpartition(":")
    client, _, client_port = scope.client.rpartition(":")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        # Bytes as Latin-1, as WSGI wants them; RSGI has decoded the percent signs of the path.
        "PATH_INFO": scope.path.encode().decode("latin-1"),
        "QUERY_STRING": scope.query_string.encode().decode("latin-1"),
        "REMOTE_ADDR": client.strip("[]"),
        "REMOTE_PORT": client_port,
        "SERVER_NAME": server,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    headers = scope.headers.items()
    # A value that is not ASCII is left out there, as if the header had not been sent.
    unreadable = set(scope.headers.keys()) - {name for name, _ in headers}
    for name, value in [*headers, *((name, "") for name in unreadable)]:
        if "_" in name:
            continue  # it would pass for the header with a hyphen, which a proxy may vouch for
        variable = name.replace("-", "_").upper()
        if variable not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            variable = f"HTTP_{variable}"
        if variable in environ:
            separator = "; " if variable == "HTTP_COOKIE" else ","
            value = f"{environ[variable]}{separator}{value}"
        environ[variable] = value
    return environ
