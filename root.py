"""Start the box office: `python root.py`, or `root:app` under any WSGI server."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from app import announce, create_app
from app.config import SettingError, Settings
from app.mongodb.embedded import EmbeddedMongoDB, EmbeddedMongoDBError, die_with_parent
from app.operations import log
from app.web.addresses import SocketAddress, to_listen_on
from app.web.limits import BACKLOG

_HOME = Path(__file__).parent
_STDERR = 2  # the last of the three standard streams
_PORT_WAIT_SECONDS = 3


class StartError(Exception):
    """The service cannot start or go on; its text is one line for the operator."""


def main() -> None:
    """Run gunicorn until SIGTERM, Ctrl-C or the end of the terminal.

    MongoDB is an embedded one, unless MONGODB_URI names another. It is started before gunicorn and
    stopped after it.
    """
    _open_standard_streams()
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as under nohup
        signal.signal(signal.SIGHUP, _leave)
    try:
        settings = Settings.from_environ()
        log.configure(settings.log_level, settings.log_format)
        environ = dict(os.environ)
        with contextlib.ExitStack() as running:
            listeners = [
                running.enter_context(_listen(settings, *address))
                for address in _addresses(settings)
            ]
            if not settings.mongodb_uri:
                mongodb = running.enter_context(EmbeddedMongoDB(settings.data_dir))
                environ["MONGODB_URI"] = mongodb.uri
            _serve(listeners, environ)
    except (SettingError, EmbeddedMongoDBError, StartError) as error:
        sys.exit(f"box-office: {error}")
    except KeyboardInterrupt:
        pass  # asked to stop before gunicorn ran


def _open_standard_streams() -> None:
    """Open closed streams (`>&-`), or a socket would get their number, and their output."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STDERR:
        pass
    os.close(descriptor)


def _leave(*_: object) -> NoReturn:
    """Unwind the stack, once: further signals are ignored on the way out."""
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise KeyboardInterrupt


def _addresses(settings: Settings) -> list[SocketAddress]:
    """Return the addresses to listen on; raises StartError if there are none."""
    try:
        return to_listen_on(settings.host, settings.port)
    except OSError as error:
        raise StartError(f"HOST={settings.host} cannot be used: {error.strerror}") from None


def _listen(
    settings: Settings, family: socket.AddressFamily, address: tuple[Any, ...]
) -> socket.socket:
    """Return a socket that listens, and so keeps every other service off the port.

    Raises StartError if the port is not available.
    """
    # A service that was killed a moment ago may still be letting go of its port.
    deadline = time.monotonic() + _PORT_WAIT_SECONDS
    while True:
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(BACKLOG)
            return listener
        except OSError as error:
            listener.close()
            if error.errno != errno.EADDRINUSE or time.monotonic() > deadline:
                meant = "" if settings.host == address[0] else f" ({address[0]})"
                raise StartError(
                    f"PORT={settings.port} on HOST={settings.host}{meant} cannot be used: "
                    f"{error.strerror}; set another PORT or HOST"
                ) from None
        time.sleep(0.1)


def _serve(listeners: list[socket.socket], environ: dict[str, str]) -> None:
    """Run gunicorn on the sockets, and stop it gracefully when this process gets a signal."""
    files = [listener.fileno() for listener in listeners]
    binds = [word for file in files for word in ("--bind", f"fd://{file}")]
    server = subprocess.Popen(  # noqa: S603 (no shell, our own arguments)
        [sys.executable, "-m", "gunicorn", *binds, "root:app"],
        cwd=_HOME,  # where its configuration is
        env=environ,
        pass_fds=files,
        # A terminal sends Ctrl-C to its whole group, and gunicorn would drop its requests.
        start_new_session=True,
        preexec_fn=partial(die_with_parent, os.getpid()),
    )
    for listener in listeners:
        listener.close()  # so that it closes when gunicorn does
    try:
        status = server.wait()
    except KeyboardInterrupt:
        server.terminate()
        status = server.wait()
        logging.getLogger("app.root").info("Stopped")
    if status < 0:
        raise StartError(f"The server was killed by a signal: {signal.strsignal(-status)}.")
    if status > 0:
        raise StartError(f"The server exited with status {status}; the lines above say why.")


if __name__ == "__main__":
    main()
else:
    try:
        _settings = Settings.from_environ()
    except SettingError as error:
        sys.exit(f"box-office: {error}")
    if not logging.getLogger("app").handlers:  # our gunicorn.conf.py has done so already
        log.configure(_settings.log_level, _settings.log_format)
        announce(_settings)
    app = create_app(settings=_settings)
