"""gunicorn's worker for gevent, with the time limits and errors of an API."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import AbstractContextManager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any

import gevent
import orjson
from gevent.server import StreamServer
from gunicorn.glogging import Logger
from gunicorn.http import errors
from gunicorn.workers.ggevent import GeventWorker

from app.server.body import TimedBody
from app.server.client import Client, Turns
from app.web.limits import LINGER_SECONDS
from app.web.problems import CONTENT_TYPE, document_of
from app.web.reading import RAW_HEADERS, REQUEST_ID_HEADER, request_id

log = logging.getLogger(__name__)

_MAX_ACCEPT = 4  # connections; more, and a worker that is idle gets most of a burst
_LAST_REQUEST_SECONDS = 0.2  # for a request that is on its way when the worker stops


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

    def server_class(  # type: ignore[override]
        self, sock: Any, *, spawn: Any, ssl_context: Any = None, **_: Any
    ) -> StreamServer:
        """Return a server that accepts a few connections at a time.

        gunicorn's accepts one in each wave of requests: under load, the last of 64 clients waited
        for more than a second.
        """
        tls = {"ssl_context": ssl_context} if ssl_context else {}
        server = StreamServer(sock, partial(self.handle, sock), spawn=spawn, **tls)
        server.max_accept = _MAX_ACCEPT
        return server

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """Stop, at SIGTERM, which `root.py` sends before it stops MongoDB."""
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
            environ["gunicorn.socket"].hold_back(True)
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
        with sock.responding():
            req.body = body = TimedBody(req)
            try:
                return bool(super().handle_request(listener_name, req, sock, addr))
            except TimeoutError:  # the client does not read the response
                raise StopIteration from None
            finally:
                if not body.is_read:
                    sock.linger()

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
        client.linger()


_STATUSES = {
    errors.LimitRequestLine: HTTPStatus.REQUEST_URI_TOO_LONG,
    errors.LimitRequestHeaders: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    errors.ExpectationFailed: HTTPStatus.EXPECTATION_FAILED,
    errors.UnsupportedTransferCoding: HTTPStatus.NOT_IMPLEMENTED,
}
