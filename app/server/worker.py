"""gunicorn's worker for gevent, with the time limits and errors of an API."""

from __future__ import annotations

import logging
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http import HTTPStatus
from itertools import islice
from typing import Any, cast

import gevent
import orjson
from gevent.event import Event
from gevent.queue import Queue
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.http.body import ChunkedReader
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from app.web.limits import (
    ALL_HEADERS_BYTES,
    BODY_SECONDS,
    LINGER_SECONDS,
    MAX_CHUNKS,
    READER_SECONDS,
    TRAILERS_BYTES,
)
from app.web.problems import CONTENT_TYPE, document_of
from app.web.reading import RAW_HEADERS, REQUEST_ID_HEADER, request_id

log = logging.getLogger(__name__)

_FREE_READS = 4  # of one request; before each further one, other clients have a turn
_LAST_REQUEST_SECONDS = 0.2  # for a request that is on its way when the worker stops
_LINGER_BYTES = 64 * 1024


class Log(Logger):
    """gunicorn's log, sent to the service's log from WARNING on."""

    def setup(self, cfg: Any) -> None:
        """Leave the handlers to app.operations.log."""
        self.error_log.setLevel(logging.WARNING)
        self.error_log.propagate = True


class Worker(GeventWorker):
    """Serves each connection in a greenlet, so a stalled client keeps nobody waiting.

    The headers of a request have to arrive within gunicorn's `keepalive`, and its body within
    BODY_SECONDS after them.
    """

    metrics_row: int  # in the table that the workers share

    def run(self) -> None:
        """Serve until told to stop, then finish the requests in flight."""
        self._turns = Turns()
        self._clients: dict[Any, Client] = {}  # by the greenlets that serve them
        super().run()

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """Stop, at SIGTERM."""
        super().handle_exit(sig, frame)
        gevent.spawn_later(_LAST_REQUEST_SECONDS, self._close_idle_connections)

    def _close_idle_connections(self) -> None:
        # gunicorn would wait for them as it does for requests.
        idle = [greenlet for greenlet, client in self._clients.items() if client.awaits_request]
        gevent.killall(idle, block=False)

    def load_wsgi(self) -> None:
        """Load the app, and give it the headers as the client sent them."""
        super().load_wsgi()
        app = self.wsgi

        def with_raw_headers(environ: Any, start_response: Any) -> Iterable[bytes]:
            body: TimedBody = environ["wsgi.input"]
            environ[RAW_HEADERS] = body.headers
            response = app(environ, start_response)
            body.close_unless_read()
            _cork(environ["gunicorn.socket"], True)
            return response

        self.wsgi = with_raw_headers

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection."""
        greenlet = gevent.getcurrent()
        client = self._clients[greenlet] = Client(client, self._turns)
        try:
            # gunicorn asks the listener for its address, which fails once a reload has closed it.
            super().handle(client, client, addr)
        finally:
            del self._clients[greenlet]

    def timeout_ctx(self) -> AbstractContextManager[None]:  # type: ignore[override]  # no stubs
        """Limit what gunicorn reads as a request's headers; it does so in this context."""
        return self._clients[gevent.getcurrent()].awaiting_request(self.cfg.keepalive)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> bool:
        """Respond to a request, then close the connection unless all of the request was read.

        There might be no end of it.
        """
        req.parse_headers = _ignore_trailers  # the headers have been parsed
        with sock.responding():
            req.body = body = TimedBody(req)
            try:
                return bool(super().handle_request(listener_name, req, sock, addr))
            except TimeoutError:  # the client does not read the response
                raise StopIteration from None
            finally:
                if not body.is_read:
                    _linger(sock)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Respond with a problem document to what is not HTTP, or not HTTP that we accept."""
        if isinstance(exc, gevent.GreenletExit):
            return
        if isinstance(exc, errors.ParseException):
            status = _STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST)
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            self.log.error("%s while handling a connection", type(exc).__name__)
        known_as = request_id()
        log.info(
            "Refused a request that is not valid HTTP: %s",
            type(exc).__name__,
            extra={"status": status, "request_id": known_as},
        )
        body = orjson.dumps(document_of(status), option=orjson.OPT_APPEND_NEWLINE)
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\nConnection: close\r\n"
            f"{REQUEST_ID_HEADER}: {known_as}\r\n"
            f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with suppress(OSError), gevent.Timeout(LINGER_SECONDS, False):  # type: ignore[arg-type]
            client.sendall(head.encode() + body)
        _linger(client)


_STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}


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
        self._has_waited = True  # since its last response
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
        try:
            with gevent.Timeout(seconds, False):  # type: ignore[arg-type]  # no error
                yield
        finally:
            self._headers_left = None

    @contextmanager
    def responding(self) -> Iterator[None]:
        """Wait for a turn if this request was sent before the last response."""
        if self._has_waited:
            gevent.sleep(0)
        else:
            self._turns.wait()
        try:
            yield
        finally:
            _cork(self._socket, False)
            self._has_waited = False

    def recv(self, size: int, *flags: int) -> bytes:
        """Read up to `size` bytes; raises ParseException when they cannot be a request's."""
        if self._free_reads == 0:
            self._turns.wait()
        else:
            self._free_reads -= 1
        data = self._recv(size, *flags)
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

    def _recv(self, size: int, *flags: int) -> bytes:
        self._socket.settimeout(0)
        try:
            return cast(bytes, self._socket.recv(size, *flags))
        except (BlockingIOError, ssl.SSLWantReadError):
            self._has_waited = True
        finally:
            self._socket.settimeout(READER_SECONDS)
        return cast(bytes, self._socket.recv(size, *flags))


class TimedBody:
    """The body of a gunicorn request, as a WSGI input that fails when it is late or cut off.

    Reading raises werkzeug's RequestTimeout or ClientDisconnected. The connection is closed then,
    and whenever the body was not read to its end, because nobody can tell where the next request
    starts.
    """

    def __init__(self, req: Any) -> None:
        self.headers: list[tuple[str, str]] = req.headers  # names in capitals
        self._req = req
        self._body = req.body
        if isinstance(req.body.reader, ChunkedReader):
            _limit(req.body.reader)
        self._deadline = time.monotonic() + BODY_SECONDS

    @property
    def is_read(self) -> bool:
        """Whether nothing of the body is left."""
        reader = self._body.reader
        return not (reader.parser if isinstance(reader, ChunkedReader) else reader.length)

    def close_unless_read(self) -> None:
        """Announce in the response that the connection closes, if something of the body is left."""
        if not self.is_read:
            self._req.force_close()

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, or all there are."""
        return self._in_time(self._body.read, size)

    def readline(self, size: int = -1) -> bytes:
        """Return the rest of the line, up to `size` bytes."""
        return self._in_time(self._body.readline, size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _in_time(self, read: Callable[[int], bytes], size: int) -> bytes:
        left = max(self._deadline - time.monotonic(), 0.001)
        try:
            with gevent.Timeout(left, RequestTimeout()):
                return read(size)
        except RequestTimeout:
            self._req.force_close()
            raise
        except (errors.ParseException, errors.NoMoreData, OSError):
            self._req.force_close()
            raise ClientDisconnected from None


def _limit(reader: Any) -> None:
    """Limit what gunicorn's reader of chunks parses in one turn, in which others wait."""
    # All trailers are searched again with each piece of them.
    reader.limit_trailer_section = TRAILERS_BYTES
    chunks = reader.parser

    def few_chunks() -> Iterator[bytes]:
        yield from islice(chunks, MAX_CHUNKS)
        if next(chunks, None) is not None:
            raise errors.InvalidChunkSize(b"too many chunks")

    reader.parser = few_chunks()


def _ignore_trailers(*_: Any, **__: Any) -> list[tuple[str, str]]:
    """Parse no trailers; gunicorn would refuse some."""
    return []


def _cork(sock: Any, corked: bool) -> None:
    """Hold back what is sent until it is uncorked, so that a response leaves in one piece."""
    if hasattr(socket, "TCP_CORK"):  # Linux
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, corked)


def _linger(client: Any) -> None:
    """Give a client the time to read the response; unread input would reset the connection."""
    with suppress(OSError), gevent.Timeout(LINGER_SECONDS, False):  # type: ignore[arg-type]
        client.shutdown(socket.SHUT_WR)
        while client.recv(_LINGER_BYTES):
            pass
