"""The server's worker: gunicorn's for gevent, with time limits and errors that fit an API."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

import gevent
import orjson
from gunicorn.http import errors
from gunicorn.workers.ggevent import GeventWorker
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from app.web.problems import CONTENT_TYPE, problem_of
from app.web.reading import RAW_HEADERS

_BODY_SECONDS = 10
_READER_SECONDS = 30  # for a client to take the next part of a response
_NEXT_REQUEST_SECONDS = 0.2  # for a request that is on its way when the service stops


class Worker(GeventWorker):
    """A process that serves each connection in a greenlet, so a client who stalls holds up nobody.

    The headers of a request have to arrive within gunicorn's `keepalive`, and its body within 10 s
    from then on.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._idle: set[Any] = set()  # connections between two requests

    def load_wsgi(self) -> None:
        """Load the app, and hand it the headers as the client sent them."""
        super().load_wsgi()
        app: Callable[..., Iterable[bytes]] = self.wsgi

        def with_raw_headers(
            environ: WSGIEnvironment, start_response: StartResponse
        ) -> Iterable[bytes]:
            environ[RAW_HEADERS] = environ["wsgi.input"].headers
            return app(environ, start_response)

        self.wsgi = with_raw_headers

    def handle(self, listener: Any, client: Any, addr: Any) -> None:
        """Serve a connection, as long as the client reads what it is sent."""
        client.settimeout(_READER_SECONDS)
        # GeventWorker's own would take the timeout away.
        super(GeventWorker, self).handle(listener, client, addr)

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
        """Answer a request; close the connection of a client who does not read the response."""
        req.body = TimedBody(req)
        try:
            return bool(super().handle_request(listener_name, req, sock, addr))
        except TimeoutError:
            raise StopIteration from None

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """Stop: answer the requests under way, and close connections that have none."""
        super().handle_exit(sig, frame)
        gevent.spawn_later(_NEXT_REQUEST_SECONDS, self._close_idle)

    def _close_idle(self) -> None:
        gevent.killall(list(self._idle), block=False)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer what is not HTTP, or not the HTTP that we take, with a short problem document."""
        if isinstance(exc, gevent.GreenletExit):
            return
        if isinstance(exc, errors.ParseException):
            status = _STATUSES.get(type(exc), HTTPStatus.BAD_REQUEST)
        else:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            self.log.error("%s while handling a connection", type(exc).__name__)
        body = orjson.dumps(problem_of(status).document(), option=orjson.OPT_APPEND_NEWLINE)
        head = (
            f"HTTP/1.1 {status} {status.phrase}\r\nConnection: close\r\n"
            f"Content-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        try:
            client.sendall(head.encode() + body)
        except OSError:
            self.log.debug("A client left before its error was sent.")


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
        self._deadline = time.monotonic() + _BODY_SECONDS

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
