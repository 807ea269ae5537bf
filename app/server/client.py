"""A connection, in which a client can neither hold up the others nor send endless headers."""

from __future__ import annotations

import fcntl
import socket
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, cast

import gevent
from gevent.event import Event
from gevent.queue import Queue
from gunicorn.http import errors

from app.web.limits import ALL_HEADERS_BYTES, LINGER_SECONDS, READER_SECONDS

_FREE_READS = 4  # of one request; before each further one, other clients have a turn
_LINGER_BYTES = 64 * 1024


class Turns:
    """Lets clients who never wait go on one at a time, in the order in which they ask.

    gevent resumes greenlets in the order in which they became ready. Without turns, each step of
    a booking would queue behind a request of every client who sends many at once: with 200 such
    connections, a booking took 8.4 s (docs/decisions/0003). Clients who wait for responses need
    no turns, which would keep them from sharing commands.
    """

    def __init__(self) -> None:
        self._queue: Queue[Event] = Queue()
        gevent.spawn(self._give_turns)

    def _give_turns(self) -> None:
        while True:
            self._queue.get().set()
            gevent.sleep(1e-6)  # unlike 0, until gevent has looked for input of others

    def wait(self) -> None:
        """Return when it is the caller's turn."""
        turn = Event()
        self._queue.put(turn)
        turn.wait()


class Client:
    """A connection (a plain or a TLS socket) that yields to other clients, and limits headers.

    gevent's `recv` does not yield while there is data, and gunicorn searches all headers again
    with each piece of them.
    """

    def __init__(self, sock: Any, turns: Turns) -> None:
        self._socket = sock
        self._turns = turns
        self._was_ahead = False  # whether it had sent more before its last response
        self._has_begun = False
        self._free_reads = _FREE_READS
        self._headers_left: int | None = None  # bytes, until a request's headers are here

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)

    @property
    def awaits_request(self) -> bool:
        """Whether the headers of the next request are still to come."""
        return self._headers_left is not None

    @contextmanager
    def awaiting_request(self, seconds: float) -> Iterator[None]:
        """Limit the time in which a request's headers arrive, and their size."""
        self._free_reads, self._headers_left = _FREE_READS, ALL_HEADERS_BYTES
        self._socket.settimeout(READER_SECONDS)  # gunicorn has removed it
        try:
            with gevent.Timeout(seconds, False):  # type: ignore[arg-type]  # no error
                yield
        finally:
            self._headers_left = None

    @contextmanager
    def responding(self) -> Iterator[None]:
        """Wait for a turn if this request was sent before the last response."""
        has_read = self._free_reads < _FREE_READS  # if not, it came together with another request
        if self._was_ahead or not has_read:
            self._turns.wait()
        else:
            gevent.sleep(0)
        try:
            yield
        finally:
            # The response is still held back, so a client who waits for it has sent nothing.
            self._was_ahead = fcntl.ioctl(self._socket, termios.FIONREAD, bytes(4)) != bytes(4)
            self.hold_back(False)

    def recv(self, size: int, *flags: int) -> bytes:
        """Read up to `size` bytes; raises ParseException when they cannot be a request's."""
        if self._free_reads == 0:
            self._turns.wait()
        else:
            self._free_reads -= 1
        data = cast(bytes, self._socket.recv(size, *flags))
        if not self._has_begun and data:
            self._has_begun = True
            # Browsers may try TLS first, which need not have the line end that gunicorn waits for.
            if not (data[:1].isalpha() or data[:1] == b"\r"):
                raise errors.InvalidRequestLine("not HTTP")
        if self._headers_left is not None:
            self._headers_left -= len(data)
            if self._headers_left < 0:
                raise errors.LimitRequestHeaders("all of them together")
        return data

    def hold_back(self, is_held: bool) -> None:
        """Hold back what is sent until this is undone, so that a response leaves in one piece."""
        if hasattr(socket, "TCP_CORK"):  # Linux
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, is_held)

    def linger(self) -> None:
        """Give the client time to read the response; unread input would reset the connection."""
        with suppress(OSError), gevent.Timeout(LINGER_SECONDS, False):  # type: ignore[arg-type]
            self._socket.shutdown(socket.SHUT_WR)
            while self.recv(_LINGER_BYTES):
                pass
