"""Serves a WSGI contender as root.py serves the service (`-m bench.granian_server MODULE`)."""

from __future__ import annotations

import importlib
import multiprocessing
import sys

from app.gateway import Gateway
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from app.config import Settings
from app.mongodb.embedded import die_with_parent


def load_worker(module: str) -> Gateway:
    """Return the `app` of `module` behind the service's gateway, in a worker process."""
    parent = multiprocessing.parent_process()
    if parent and parent.pid:
        die_with_parent(parent.pid)
    return Gateway(
        importlib.import_module(module).app,
        threads=Settings.from_environ().threads,
        apart=("/health/",),
    )


def main() -> None:
    """Serve the contender that the command line names, until SIGTERM."""
    settings = Settings.from_environ()
    Granian(
        sys.argv[1],
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        workers=settings.workers,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
    ).serve(target_loader=load_worker)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
