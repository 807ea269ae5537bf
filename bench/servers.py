"""The contenders, each in processes of its own, on one and the same MongoDB."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from app.mongodb.embedded import EmbeddedMongoDB
from bench.load import HOST

PROJECT = Path(__file__).parent.parent
ADVANCE_DAYS = 3650  # the most that the box office allows, so that there are enough houses to fill

_START_SECONDS = 60
_STOP_SECONDS = 30


@dataclass(frozen=True)
class Contender:
    """A program to measure: `python command` in a folder, where `{port}` stands for its port."""

    name: str
    command: str
    folder: Path = PROJECT
    python: Path = Path(sys.executable)


_GRANIAN = (
    "-m granian --interface wsgi --workers 2 --blocking-threads 4 --http 1 --no-ws"
    f" --log-level warning --host {HOST} --port {{port}} bench.contenders."
)
BOX_OFFICE = Contender("box office", "root.py")
YARDSTICK = Contender("bare insert, Granian", f"{_GRANIAN}bare_insert:app")
# In this folder gunicorn reads the project's gunicorn.conf.py.
BARE_ON_GUNICORN = Contender(
    "bare insert, gunicorn",
    f"-m gunicorn --worker-class gevent --workers 2 --no-control-socket --log-level warning"
    f" --bind {HOST}:{{port}} bench.contenders.bare_insert:app",
)
FASTAPI = Contender(
    "count, then insert (FastAPI)",
    f"-m uvicorn --workers 2 --no-access-log --log-level warning --host {HOST} --port {{port}}"
    " bench.contenders.fastapi_count_then_insert:app",
)
CHECK = Contender("check, then insert (Flask)", f"{_GRANIAN}check_then_insert:app")


@dataclass(frozen=True)
class Server:
    """A running contender: its port, its main process, its database and the MongoDB under it."""

    port: int
    pid: int
    database: str
    mongodb: EmbeddedMongoDB

    def memory(self) -> int:
        """Return the resident memory of all its processes, in bytes."""
        pages = (int(_proc(pid, "statm").split()[1]) for pid in _family(self.pid))
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def processor_seconds(self) -> tuple[float, float]:
        """Return the processor time that all its processes and that MongoDB have taken so far."""
        return sum(map(_seconds, _family(self.pid))), _seconds(self.mongodb.pid)


@contextmanager
def running(contender: Contender, mongodb: EmbeddedMongoDB, database: str) -> Iterator[Server]:
    """Run a contender on this database until the end of the block, once it listens.

    It writes no log of requests. Raises RuntimeError with its output when it does not start.
    """
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    environ = {
        **os.environ,
        "MONGODB_URI": mongodb.uri,
        "MONGODB_DATABASE": database,
        "HOST": HOST,
        "PORT": str(port),
        "WORKERS": "2",
        "ADVANCE_DAYS": str(ADVANCE_DAYS),
        "LOG_LEVEL": "warning",
    }
    command = [str(contender.python), *contender.command.format(port=port).split()]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 (our own words)
            command, cwd=contender.folder, env=environ, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{contender.name} does not start: {log.read().decode()}")
                time.sleep(0.1)
            yield Server(port, process.pid, database, mongodb)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _family(pid: int) -> Iterator[int]:
    """Yield the process and all its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


def _proc(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()  # see proc(5)


def _seconds(pid: int) -> float:
    """Return the processor time of a process, its own and the kernel's for it."""
    after_name = _proc(pid, "stat").rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
