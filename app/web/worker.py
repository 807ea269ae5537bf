"""The server's worker: gunicorn's for gevent, with time limits and errors that fit an API."""

from __future__ import annotations

import logging
import mmap
import os
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any

import gevent
import orjson
from gevent.event import Event
from gevent.pool import Pool
from gevent.server import StreamServer
from gunicorn import glogging
from gunicorn.http import errors
from gunicorn.workers import base
from gunicorn.workers.ggevent import GeventWorker
from gunicorn.workers.workertmp import WorkerTmp
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from app.web.limits import BODY_SECONDS, LINGER_SECONDS, READER_SECONDS
from app.web.problems import CONTENT_TYPE, problem_of
from app.web.reading import RAW_HEADERS, REQUEST_ID_HEADER, request_id

log = logging.getLogger(__name__)

_LINGER_BYTES = 64 * 1024
_NEXT_REQUEST_SECONDS = 0.2  # for a request that is on its way when the service stops
_HEARTBEAT_SECONDS = 1
_HANDFUL = 4  # connections
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
        super().__init__(sock, handle=partial(worker.handle, sock), spawn=self.open)

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
        self._idle: set[Any] = set()  # connections between two requests
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
        gevent.killall(list(self._idle), block=False)
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
            environ[RAW_HEADERS] = environ["wsgi.input"].headers
            response = app(environ, start_response)
            _cork(environ["gunicorn.socket"], True)
            return response

        self.wsgi = with_raw_headers

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection, as long as the client reads what it is sent."""
        client.settimeout(READER_SECONDS)
        try:
            if self._speaks_http(client):
                # GeventWorker's own would take the timeout away.
                super(GeventWorker, self).handle(listener, client, addr)
            else:
                self.handle_error(None, client, addr, errors.InvalidRequestLine("not HTTP"))
                client.close()
        finally:
            self.count_connections(-1)

    def _speaks_http(self, client: Any) -> bool:
        """Tell by the first byte. TLS may have no line end, so gunicorn would read on."""
        first = b""
        with self.timeout_ctx(), suppress(OSError):
            first = client.recv(1, socket.MSG_PEEK)
        return not first or first.isalpha()

    @contextmanager
    def timeout_ctx(self) -> Iterator[None]:  # type: ignore[override]  # the stubs say None
        """Limit the time for a request's headers to arrive; gunicorn waits for them in here."""
        connection = gevent.getcurrent()
        self._idle.add(connection)
        try:
            with gevent.Timeout(self.cfg.keepalive, False):  # type: ignore[arg-type]  # no error
                yield
        finally:
            self._idle.discard(connection)

    def handle_request(self, listener_name: Any, req: Any, sock: Any, addr: Any) -> bool:
        """Respond to a request; close the connection of a client who does not read the response."""
        gevent.sleep(
            0
        )  # the turn of others, or a client who sends many at once would have it alone
        req.body = TimedBody(req)
        try:
            return bool(super().handle_request(listener_name, req, sock, addr))
        except TimeoutError:
            raise StopIteration from None
        finally:
            _cork(sock, False)

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
            # Unread input would reset the connection, and the response would be lost.
            client.shutdown(socket.SHUT_WR)
            while client.recv(_LINGER_BYTES):
                pass


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
    because nobody can tell where the next request starts.
    """

    def __init__(self, req: Any) -> None:
        self.headers: list[tuple[str, str]] = req.headers  # names in capitals
        self._req = req
        self._body = req.body
        self._deadline = time.monotonic() + BODY_SECONDS

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
