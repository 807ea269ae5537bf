"""Start the box office: `python root.py`, or `root:app` under any other WSGI server."""

from __future__ import annotations

import signal

if __name__ == "__mp_main__":
    # A worker, in all its threads: what a terminal sends to every process, at Ctrl-C or when it is
    # closed, is for the main process alone. That one sends its workers SIGTERM, which the gateway
    # lets through as soon as it can handle it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP, signal.SIGTERM})

import contextlib
import logging
import multiprocessing
import os
import resource
import socket
import sys
import tempfile
import time
from typing import NoReturn

from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from app import create_app, prepare_database
from app.config import SettingError, Settings
from app.gateway import Gateway
from app.mongodb.embedded import EmbeddedMongoDB, EmbeddedMongoDBError, die_with_parent
from app.operations import log as logs
from app.operations.metrics import FOLDER_VARIABLE
from app.operations.routes import PATHS as OPERATIONS_PATHS

log = logging.getLogger("app.root")

_PORT_WAIT_SECONDS = 3
_STOP_SECONDS = 15  # for the requests under way, each of which has 4 s to hear from MongoDB
_HEADER_SECONDS = 10  # for a request's headers to come, or for the next request on a connection
_LONGEST_HEADERS = 64 * 1024  # bytes
_CONNECTIONS = 4096  # to each worker; more wait until one is closed


class StartError(Exception):
    """The service cannot start; its text is one line for the operator."""


def main() -> None:
    """Serve until SIGTERM, Ctrl-C or the end of the terminal.

    MongoDB is an embedded one, unless MONGODB_URI names another.
    """
    signal.signal(signal.SIGTERM, _leave)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup has it
        signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        settings = Settings.from_environ()
        logs.configure(settings.log_level)
        address = _free_address(settings.host, settings.port)
        with contextlib.ExitStack() as running:
            if not settings.mongodb_uri:
                mongodb = running.enter_context(EmbeddedMongoDB(settings.data_dir))
                os.environ["MONGODB_URI"] = mongodb.uri  # for the workers
                log.info("MongoDB runs in %s", settings.data_dir.absolute())
            figures = running.enter_context(tempfile.TemporaryDirectory(prefix="box-office-"))
            os.environ[FOLDER_VARIABLE] = figures  # for the workers, too
            prepare_database(os.environ["MONGODB_URI"], settings)
            if settings.staff_key is None:
                log.warning("STAFF_KEY is not set: anyone may list tickets and set up the house")
            log.info("Show times are in %s", settings.theatre_timezone)
            _serve(settings, address)
        log.info("Stopped")
    except (SettingError, EmbeddedMongoDBError, StartError) as error:
        sys.exit(f"box-office: {error}")
    except KeyboardInterrupt:
        sys.exit(0)


def _leave(*_: object) -> NoReturn:
    # Until the server takes the signal over: leave by the way of the context managers.
    raise KeyboardInterrupt


def _free_address(host: str, port: int) -> str:
    """Return the IP address of `host`; raises StartError where `port` cannot be had there."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise StartError(f"HOST={host} cannot be used: {error.strerror}") from None
    # The server itself would share the port with whoever has it already. A service that was killed
    # a moment ago may still be letting go of it.
    deadline = time.monotonic() + _PORT_WAIT_SECONDS
    while True:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(address)
                return str(address[0])
            except OSError as error:
                if time.monotonic() > deadline:
                    raise StartError(
                        f"PORT={port} on HOST={host} cannot be used: {error.strerror}; "
                        "set another PORT"
                    ) from None
        time.sleep(0.1)


def _serve(settings: Settings, address: str) -> None:
    connections = min(_CONNECTIONS, _open_files() // 2)
    server = Granian(
        "root:app",
        address=address,
        port=settings.port,
        interface=Interfaces.RSGI,
        workers=settings.workers,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=_HEADER_SECONDS * 1000, max_buffer_size=_LONGEST_HEADERS
        ),
        websockets=False,
        backlog=connections,
        backpressure=connections,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
        log_level=LogLevels.warning,
        log_dictconfig={"formatters": {}, "handlers": {}, "loggers": {"_granian": {}}},  # as ours
    )
    # Otherwise it would start its workers anew when the terminal is closed.
    server.signal_handler_reload = None  # type: ignore[method-assign, assignment]
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    log.info("Serving http://%s:%s with %s workers", shown, settings.port, settings.workers)
    server.serve(target_loader=_load_worker)


def _open_files() -> int:
    """Raise the limit of open files as far as may be useful and allowed; return what it is then."""
    useful = 2 * _CONNECTIONS  # every other for MongoDB, the log and the like
    soft, hard = (
        useful if limit == resource.RLIM_INFINITY else limit
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    if soft < min(useful, hard):
        soft = min(useful, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return soft


def _load_worker(_target: str) -> Gateway:
    """Make the app, in a worker process."""
    parent = multiprocessing.parent_process()
    if parent and parent.pid:
        die_with_parent(parent.pid)
    settings = Settings.from_environ()
    logs.configure(settings.log_level)
    return Gateway(
        create_app(settings=settings),
        threads=settings.threads,
        apart=OPERATIONS_PATHS,
    )


if __name__ == "__main__":
    # Spawned workers share nothing with this process, neither threads nor open files.
    multiprocessing.set_start_method("spawn")
    main()
elif __name__ != "__mp_main__":  # which a spawned worker calls this very file
    app = create_app()
