"""The server's worker: gunicorn's for gevent, with time limits and errors that fit an API."""

from __future__ import annotations

import logging
import mmap
import os
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from http import HTTPStatus
from itertools import islice
from typing import Any

import gevent
import gevent.socket
import orjson
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn import glogging
from gunicorn.http import errors
from gunicorn.http.body import ChunkedReader
from gunicorn.workers import base
from gunicorn.workers.ggevent import GeventWorker
from gunicorn.workers.workertmp import WorkerTmp
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from app.web.limits import (
    ALL_HEADERS_BYTES,
    BODY_SECONDS,
    CHUNKS,
    LINGER_SECONDS,
    READER_SECONDS,
    TRAILERS_BYTES,
    UNREAD_BYTES,
)
from app.web.problems import CONTENT_TYPE, problem_of
from app.web.reading import RAW_HEADERS, REQUEST_ID_HEADER, request_id

log = logging.getLogger(__name__)

_LINGER_BYTES = 64 * 1024
_NEXT_REQUEST_SECONDS = 0.2  # for a request that is on its way when the service stops
_HEARTBEAT_SECONDS = 1
_HANDFUL = 4  # connections
_FREE_READS = 4  # of one request, before each further one is a turn of others
_REST_SECONDS = 0.002


class Heartbeat(WorkerTmp):
    """gunicorn's heartbeat of a worker, on a file in memory.

    A file in a folder could not be made once that is full or gone, and gunicorn would end.
    """

    def __init__(self, cfg: Any) -> None:
        self._tmp = os.fdopen(os.memfd_create("heartbeat"), "w+b", 0)


if hasattr(os, "memfd_create"):  # not on macOS
    base.WorkerTmp = Heartbeat  # type: ignore[attr-defined]  # gunicorn has no setting for it


class Logger(glogging.Logger):
    """gunicorn's logger, which leaves handlers and the request log to app.operations."""

    def setup(self, cfg: Any) -> None:
        """Send what gunicorn logs, from WARNING on, to the service's log."""
        self.error_log.setLevel(logging.WARNING)
        self.error_log.propagate = True

    def access(self, *_: Any) -> None:
        """Log nothing: a hook of the app logs each request."""


class OpenConnections:
    """How many connections each worker has open, in memory that the workers share.

    A worker is known by its place, from 0 on. A place without a worker does not count.
    """

    def __init__(self, places: int) -> None:
        self._counts = memoryview(mmap.mmap(-1, places * 4)).cast("i")
        for place in range(places):
            self.free(place)

    def free(self, place: int) -> None:
        """Stop counting the worker in this place, so that nobody waits for it."""
        self._counts[place] = -1

    def publish(self, place: int, count: int) -> None:
        """Tell the other workers that the worker in this place has `count` connections."""
        self._counts[place] = count

    def lead(self, place: int) -> int:
        """Return how many more connections the worker has than the one with the fewest."""
        return self._counts[place] - min(count for count in self._counts if count >= 0)


class Listener(StreamServer):
    """Accepts connections for a worker, a handful at a time.

    The workers accept from one queue. Without a rule, one that happens to be idle would take a
    whole burst of customers, who keep their connections and would wait for it alone. So a worker
    that is a handful ahead of another rests for a moment before it takes the next ones.
    """

    def __init__(self, sock: Any, worker: Worker) -> None:
        self._worker = worker
        self._left = _HANDFUL
        self.open = Pool(worker.worker_connections)
        # Connections inherit it; by default, a client that reads nothing takes megabytes.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, UNREAD_BYTES)
        address = _Address(sock.getsockname())
        super().__init__(sock, handle=partial(worker.handle, address), spawn=self.open)

    def do_read(self) -> Any:
        """Accept a connection, if there is one and it is this worker's turn; gevent asks."""
        if self._left == 0:
            self._left = _HANDFUL
            if self._worker.lead() > _HANDFUL:
                self.stop_accepting()
                gevent.spawn_later(_REST_SECONDS, self._resume)
                return None
        accepted = super().do_read()
        if accepted:
            self._left -= 1
            self._worker.count_connections(+1)
        return accepted

    def _resume(self) -> None:
        if self.started:
            self.start_accepting()


class _Address:
    """The address of a listener, for connections that begin after a reload has closed it."""

    def __init__(self, name: Any) -> None:
        self._name = name

    def getsockname(self) -> Any:
        """Return what the listener's method of this name returned; gunicorn calls it."""
        return self._name


class Turns:
    """Turns for clients who never wait: first come, first served, and others go on in between.

    gevent resumes greenlets in the order in which they became ready. So without turns, each of a
    booking's steps would queue behind a request of every client who sends many at once. gevent's
    locks are not fair: who releases one and wants it again has it before those who wait. Clients
    who wait for their responses need no turns, which would keep them from sharing commands.
    """

    def __init__(self) -> None:
        self._queue: deque[Event] = deque()  # set when it is a caller's turn
        self._is_taken = False

    def wait(self) -> None:
        """Return when it is the caller's turn, and others have gone on."""
        if self._is_taken:
            self._wait_in_queue()
        self._is_taken = True
        try:
            gevent.sleep(0)
        finally:
            self._hand_over()

    def _wait_in_queue(self) -> None:
        turn = Event()
        self._queue.append(turn)
        try:
            turn.wait()
        except BaseException:  # killed, or too late
            if turn in self._queue:
                self._queue.remove(turn)
            else:
                self._hand_over()
            raise

    def _hand_over(self) -> None:
        if self._queue:
            self._queue.popleft().set()
        else:
            self._is_taken = False


_turns = Turns()


class Client(gevent.socket.socket):
    """A connection, of which no more is read than a request's headers may take.

    gevent's `recv` does not yield while there is data, and gunicorn searches all headers again
    with each piece of them. So beyond a few reads, others get a turn before each.
    """

    def __init__(self, accepted: Any) -> None:
        super().__init__(accepted.family, accepted.type, accepted.proto, fileno=accepted.detach())
        self.settimeout(READER_SECONDS)
        self.has_waited = True  # for this request, so that others have had a turn
        self._has_begun = False
        self._free_reads = _FREE_READS
        self._headers_left: int | None = None  # bytes, until a request's headers are here

    @property
    def awaits_request(self) -> bool:
        """Whether the headers of the next request are still to come."""
        return self._headers_left is not None

    @contextmanager
    def awaiting_request(self, seconds: float) -> Iterator[None]:
        """Limit the time in which a request's headers arrive, and their size."""
        self.has_waited = not self._has_begun
        self._free_reads, self._headers_left = _FREE_READS, ALL_HEADERS_BYTES
        try:
            with gevent.Timeout(seconds, False):  # type: ignore[arg-type]  # no error
                yield
        finally:
            self._headers_left = None

    def recv(self, size: int, *flags: int) -> bytes:
        """Read up to `size` bytes; raises ParseException when they cannot be a request's."""
        if self._free_reads == 0:
            _turns.wait()
        else:
            self._free_reads -= 1
        data: bytes = self._recv(size, *flags)
        if not self._has_begun and data:
            self._has_begun = True
            # TLS may have no line end, so gunicorn would read on.
            if not (data[:1].isalpha() or data[:1] == b"\r"):
                raise errors.InvalidRequestLine("not HTTP")
        if self._headers_left is not None:
            self._headers_left -= len(data)
            if self._headers_left < 0:
                raise errors.LimitRequestHeaders("all of them together")
        return data

    def _recv(self, size: int, *flags: int) -> Any:
        self.settimeout(0)
        try:
            return super().recv(size, *flags)
        except BlockingIOError:
            self.has_waited = True
        finally:
            self.settimeout(READER_SECONDS)
        return super().recv(size, *flags)


class Worker(GeventWorker):
    """A process that serves each connection in a greenlet, so a stalled client holds nobody up.

    The headers of a request have to arrive within gunicorn's `keepalive`, and its body within
    BODY_SECONDS from then on.
    """

    open_connections: OpenConnections
    place: int  # among the workers

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._connections = 0
        self._clients: dict[Any, Client] = {}  # by the greenlets that serve them
        self._told_to_stop = Event()

    def run(self) -> None:
        """Serve until told to stop, then finish the requests under way."""
        self.count_connections(0)
        listeners = [Listener(sock, self) for sock in self.sockets]
        for listener in listeners:
            listener.start()
        while self.alive:
            self.notify()
            self._told_to_stop.wait(_HEARTBEAT_SECONDS)
        for listener in listeners:
            listener.close()
        gevent.sleep(_NEXT_REQUEST_SECONDS)
        idle = [greenlet for greenlet, client in self._clients.items() if client.awaits_request]
        gevent.killall(idle, block=False)
        for listener in listeners:
            listener.open.join(self.cfg.graceful_timeout)
            listener.open.kill()

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """Begin to stop, at SIGTERM."""
        super().handle_exit(sig, frame)
        self._told_to_stop.set()

    def count_connections(self, change: int) -> None:
        """Count one connection more or less."""
        self._connections += change
        self.open_connections.publish(self.place, self._connections)

    def lead(self) -> int:
        """Return how many more connections this worker has than the one with the fewest."""
        return self.open_connections.lead(self.place)

    def load_wsgi(self) -> None:
        """Load the app, and hand it the headers as the client sent them."""
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

    def handle(self, listener: Any, accepted: Any, addr: Any) -> None:
        """Serve a connection, as long as the client reads what it is sent."""
        greenlet = gevent.getcurrent()
        client = self._clients[greenlet] = Client(accepted)
        try:
            # GeventWorker's own would take the timeout away.
            super(GeventWorker, self).handle(listener, client, addr)
        finally:
            del self._clients[greenlet]
            self.count_connections(-1)

    def timeout_ctx(self) -> AbstractContextManager[None]:  # type: ignore[override]  # no stubs
        """Limit what gunicorn reads as a request's headers; it does so in this context."""
        return self._clients[gevent.getcurrent()].awaiting_request(self.cfg.keepalive)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> bool:
        """Respond to a request.

        The connection is closed if the client does not read the response, or has more of a body
        to send than was read: there might be no end of it.
        """
        if sock.has_waited:
            gevent.sleep(0)
        else:
            _turns.wait()
        req.body = body = TimedBody(req)
        req.parse_headers = _ignore_trailers  # the headers have been parsed
        try:
            return bool(super().handle_request(listener_name, req, sock, addr))
        except TimeoutError:
            raise StopIteration from None
        finally:
            _cork(sock, False)
            if not body.is_read:
                _linger(sock)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Send a short problem document in response to what is not HTTP that we accept."""
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
        body = orjson.dumps(problem_of(status).document(), option=orjson.OPT_APPEND_NEWLINE)
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\nConnection: close\r\n"
            f"{REQUEST_ID_HEADER}: {known_as}\r\n"
            f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        with suppress(OSError), gevent.Timeout(LINGER_SECONDS, False):  # type: ignore[arg-type]
            client.sendall(head.encode() + body)
        _linger(client)


def _linger(client: Client) -> None:
    """Give a client the time to read the response; unread input would reset the connection."""
    with suppress(OSError), gevent.Timeout(LINGER_SECONDS, False):  # type: ignore[arg-type]
        client.shutdown(socket.SHUT_WR)
        while client.recv(_LINGER_BYTES):
            pass


def _ignore_trailers(*_: Any, **__: Any) -> list[tuple[str, str]]:
    """Parse no trailers; gunicorn would refuse some."""
    return []


def _limit(reader: Any) -> None:
    """Limit what a gunicorn reader of chunks parses in one turn, in which others wait."""
    # All trailers are searched again with each piece of them.
    reader.limit_trailer_section = TRAILERS_BYTES
    chunks = reader.parser

    def few_chunks() -> Iterator[bytes]:
        yield from islice(chunks, CHUNKS)
        if next(chunks, None) is not None:
            raise errors.InvalidChunkSize(b"too many chunks")

    reader.parser = few_chunks()


def _cork(sock: Any, corked: bool) -> None:
    """Hold back what is sent until it is uncorked, so that a response leaves in one piece."""
    if hasattr(socket, "TCP_CORK"):  # Linux
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, corked)


_STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}


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
