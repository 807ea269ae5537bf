"""Start the box office: `python root.py`, or `root:app` under any other WSGI server."""

from __future__ import annotations

import signal

if __name__ == "__mp_main__":
    # A worker process, from its first moment on and in all its threads. See _stop_on_sigterm.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})

import contextlib
import logging
import multiprocessing
import os
import socket
import sys
import threading
import time
from typing import NoReturn

from flask import Flask
from granian import Granian
from granian.constants import Interfaces
from granian.log import LogLevels

from app import create_app, prepare_database
from app.config import SettingError, Settings
from app.embedded import EmbeddedMongoDB, EmbeddedMongoDBError, die_with_parent

log = logging.getLogger("box-office")

_PORT_WAIT_SECONDS = 3
_STOP_SECONDS = 15  # for the requests under way, each of which has 4 s to hear from MongoDB


class StartError(Exception):
    """The service cannot start; its text is one line for the operator."""


def main() -> None:
    """Serve until SIGTERM or Ctrl-C, on an embedded MongoDB unless MONGODB_URI names another."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        settings = Settings.from_environ()
        _configure_logging(settings)
        address = _free_address(settings.host, settings.port)
        with contextlib.ExitStack() as running:
            if not settings.mongodb_uri:
                mongodb = running.enter_context(EmbeddedMongoDB(settings.data_dir))
                os.environ["MONGODB_URI"] = mongodb.uri  # for the workers
                log.info("MongoDB runs in %s", settings.data_dir.absolute())
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
    server = Granian(
        "root:app",
        address=address,
        port=settings.port,
        interface=Interfaces.WSGI,
        workers=settings.workers,
        blocking_threads=settings.threads,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
        log_level=LogLevels.warning,
    )
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    log.info("Serving http://%s:%s with %s workers", shown, settings.port, settings.workers)
    server.serve(target_loader=_load_worker)


def _load_worker(_target: str) -> Flask:
    """Make the app, in a worker process."""
    threading.Thread(target=_stop_on_sigterm, daemon=True).start()
    parent = multiprocessing.parent_process()
    if parent and parent.pid:
        die_with_parent(parent.pid)
    settings = Settings.from_environ()
    _configure_logging(settings)
    return create_app(settings=settings)


def _stop_on_sigterm() -> None:
    """Wait for SIGTERM on behalf of the whole worker, and stop it.

    Left to themselves, signals go to any thread, and one that another than the main thread takes
    does not wake that one, which waits for it in granian: the worker would never stop. So all
    threads block them and this one asks. Ctrl-C, which a terminal sends to every process at once,
    is for the main process alone; it sends the workers SIGTERM.
    """
    signal.sigwait({signal.SIGTERM})
    handler = signal.getsignal(signal.SIGTERM)
    if not callable(handler):
        os._exit(0)  # it does not serve yet
    handler(signal.SIGTERM, None)


def _configure_logging(settings: Settings) -> None:
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )


if __name__ == "__main__":
    # Spawned workers share nothing with this process, neither threads nor open files.
    multiprocessing.set_start_method("spawn")
    main()
elif __name__ != "__mp_main__":  # which a spawned worker calls this very file
    app = create_app()
