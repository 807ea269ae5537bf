"""The contenders as servers, each in separate processes, on the same MongoDB."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pymongo.database import Database

from app.mongodb.client import Document, open_client
from app.mongodb.embedded import EmbeddedMongoDB

HOST = "127.0.0.1"
PROJECT = Path(__file__).parent.parent
ADVANCE_DAYS = 3650  # the most that the box office allows, so that there are enough houses to fill
WORKERS = 2  # of every server
THREADS = 4  # of each of Granian's workers


@dataclass(frozen=True)
class Contender:
    """A program to measure: `python command` in a folder, where `{port}` stands for its port."""

    name: str
    command: str
    folder: Path = PROJECT
    python: Path = Path(sys.executable)


_GRANIAN = (
    f"-m granian --interface wsgi --workers {WORKERS} --blocking-threads {THREADS} --http 1 --no-ws"
    f" --log-level warning --host {HOST} --port {{port}} bench.contenders"
)
_GUNICORN = f"-m gunicorn --bind {HOST}:{{port}} bench.contenders"  # with our gunicorn.conf.py
_UVICORN = (
    f"-m uvicorn --workers {WORKERS} --no-access-log --log-level warning"
    f" --host {HOST} --port {{port}} bench.contenders"
)
BOX_OFFICE = Contender("box office", "root.py")
YARDSTICK = Contender("bare insert, Granian", f"{_GRANIAN}:bare_insert")
FASTAPI = Contender("count, then insert (FastAPI)", f"{_UVICORN}:count_then_insert")
CHECK = Contender("check, then insert (Flask)", f"{_GRANIAN}:check_then_insert")
_BARE_ON_GUNICORN = Contender("bare insert, our server", f"{_GUNICORN}:bare_insert")
RIVALS = (YARDSTICK, _BARE_ON_GUNICORN, FASTAPI, CHECK)


@dataclass(frozen=True)
class Server:
    """A running contender: its port, its main process, that of its MongoDB, and its database."""

    port: int
    pid: int
    mongodb_pid: int
    database: Database[Document]

    def memory(self) -> int:
        """Return the resident memory of all its processes, in bytes."""
        files = (Path(f"/proc/{pid}/statm") for pid in _family(self.pid))
        return sum(int(file.read_text().split()[1]) for file in files) * os.sysconf("SC_PAGE_SIZE")

    def processor_seconds(self) -> tuple[float, float]:
        """Return the processor time that all its processes and that MongoDB have taken so far."""
        return sum(map(_seconds, _family(self.pid))), _seconds(self.mongodb_pid)


@contextmanager
def running(
    contender: Contender,
    mongodb: EmbeddedMongoDB,
    database: str,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a contender on this database until the block ends; it listens when the block starts.

    It does not log requests. Raises RuntimeError with its output when it does not start.
    """
    with socket.create_server((HOST, 0)) as probe:
        port: int = probe.getsockname()[1]
    environ = os.environ | {
        "MONGODB_URI": mongodb.uri,
        "MONGODB_DATABASE": database,
        "HOST": HOST,
        "PORT": str(port),
        "WORKERS": str(WORKERS),
        "ADVANCE_DAYS": str(ADVANCE_DAYS),
        "LOG_LEVEL": "warning",
        **(settings or {}),
    }
    command = [str(contender.python), *contender.command.format(port=port).split()]
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 (our own words)
            command, cwd=contender.folder, env=environ, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + 60
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{contender.name} does not start: {log.read().decode()}")
                time.sleep(0.1)
            with open_client(mongodb.uri) as client:
                yield Server(port, process.pid, mongodb.pid, client[database])
        finally:
            process.terminate()
            process.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _family(pid: int) -> Iterator[int]:
    """Yield the process and all its descendants."""
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            yield from _family(int(child))


def _seconds(pid: int) -> float:
    """Return the processor time of a process, its own and the kernel's for it (see proc(5))."""
    after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
