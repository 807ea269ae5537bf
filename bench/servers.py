"""The servers under test, each in processes of its own, on one and the same MongoDB."""

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

HOST = "127.0.0.1"
WORKERS = 2
THREADS = 4  # in each worker, but for FastAPI's, which have an event loop instead
ADVANCE_DAYS = 3650  # the most that the service allows, for there to be enough houses to fill

SERVICE = ("root.py",)
BARE_INSERT = ("-m", "bench.granian_server", "bench.contenders.bare_insert")
CHECK_THEN_INSERT = ("-m", "bench.granian_server", "bench.contenders.check_then_insert")
FASTAPI = ("-m", "uvicorn", "bench.contenders.fastapi_count_then_insert:app", "--no-access-log")

_PROJECT = Path(__file__).parent.parent
_START_SECONDS = 60
_STOP_SECONDS = 30


@dataclass(frozen=True)
class Server:
    """A running server: where it listens, its main process, and its database."""

    port: int
    pid: int
    mongodb: EmbeddedMongoDB
    database: str

    def memory(self) -> int:
        """Return the resident memory of its workers together, in bytes."""
        pages = (int(_of_process(worker, "statm").split()[1]) for worker in self._workers())
        return sum(pages) * os.sysconf("SC_PAGE_SIZE")

    def processor_seconds(self) -> tuple[float, float]:
        """Return the processor time that its workers and that MongoDB have taken so far."""
        return sum(map(_seconds, self._workers())), _seconds(self.mongodb.pid)

    def _workers(self) -> list[int]:
        children = map(int, _of_process(self.pid, f"task/{self.pid}/children").split())
        return [child for child in children if "spawn_main" in _of_process(child, "cmdline")]


@contextmanager
def running(
    command: tuple[str, ...], mongodb: EmbeddedMongoDB, database: str, *, log_level: str = "warning"
) -> Iterator[Server]:
    """Run `python command…` until the end of the block, once it listens.

    Its log goes to a temporary file, so that writing it costs what it costs elsewhere.
    """
    port = _free_port()
    environ = {
        **os.environ,
        "MONGODB_URI": mongodb.uri,
        "MONGODB_DATABASE": database,
        "HOST": HOST,
        "PORT": str(port),
        "WORKERS": str(WORKERS),
        "THREADS": str(THREADS),
        "ADVANCE_DAYS": str(ADVANCE_DAYS),
        "LOG_LEVEL": log_level,
        "UVICORN_HOST": HOST,
        "UVICORN_PORT": str(port),
        "UVICORN_WORKERS": str(WORKERS),
        "UVICORN_LOG_LEVEL": log_level,
    }
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(  # noqa: S603 (our own words)
            [sys.executable, *command], cwd=_PROJECT, env=environ, stdout=log, stderr=log
        )
        try:
            deadline = time.monotonic() + _START_SECONDS
            while not _listens(port):
                if process.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise RuntimeError(f"{command} does not start: {log.read().decode()}")
                time.sleep(0.1)
            yield Server(port, process.pid, mongodb, database)
        finally:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def _of_process(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()  # as proc(5) describes it


def _seconds(pid: int) -> float:
    """Return the processor time of a process, its own and the kernel's for it."""
    after_its_name = _of_process(pid, "stat").rpartition(")")[2].split()
    return (int(after_its_name[11]) + int(after_its_name[12])) / os.sysconf("SC_CLK_TCK")
