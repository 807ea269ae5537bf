"""The service as `python root.py` runs it, and many clients at once."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from app.mongodb.client import open_client

ROOT = Path(__file__).parent.parent / "root.py"
HOST = "127.0.0.1"
START_SECONDS = 60  # seconds


@dataclass(frozen=True)
class Answer:
    """A response; its status is 0 if the connection broke first."""

    status: int
    body: Any
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def code(self) -> str | None:
        return self.body.get("code") if isinstance(self.body, dict) else None


def outcomes(answers: list[Answer]) -> Counter[tuple[int, str | None]]:
    """Count the answers by status and code."""
    return Counter((answer.status, answer.code) for answer in answers)


class Connection:
    """A client's connection, kept open from request to request."""

    def __init__(self, port: int, timeout: float = 30) -> None:
        self._http = http.client.HTTPConnection(HOST, port, timeout=timeout)

    def open(self) -> None:
        """Connect now; by default, the first request does."""
        with suppress(OSError):
            self._http.connect()

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        data = None if body is None else json.dumps(body)
        try:
            self._http.request(method, path, data, headers or {})
            response = self._http.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self._http.close()
            return Answer(0, None)
        return Answer(
            response.status,
            json.loads(text) if text else None,
            {name.lower(): value for name, value in response.headers.items()},
        )

    def post(self, path: str, body: Any, key: str | None = None) -> Answer:
        return self.request("POST", path, body, {"Idempotency-Key": key} if key else None)

    def close(self) -> None:
        self._http.close()

    __del__ = close  # of a connection for a single request


class Front:
    """What clients connect to."""

    def connect(self) -> Connection:
        raise NotImplementedError

    def get(self, path: str) -> Answer:
        return self._request("GET", path)

    def post(self, path: str, body: Any, key: str | None = None) -> Answer:
        return self._request("POST", path, body, {"Idempotency-Key": key} if key else None)

    def _request(self, *request: Any) -> Answer:
        connection = self.connect()
        try:
            return connection.request(*request)
        finally:
            connection.close()

    def all_at_once(
        self,
        requests: Iterable[Callable[[Connection], Answer]],
        clients: int = 64,
    ) -> list[Answer]:
        """Make the requests from this many connections, which all start at the same moment."""
        todo = iter(list(requests))
        answers: list[Answer] = []
        start = threading.Barrier(clients)

        def client() -> None:
            connection = self.connect()
            connection.open()  # beforehand, which spreads the clients over the workers
            start.wait()
            # Taking the next of a list iterator is atomic.
            for request in todo:
                answers.append(request(connection))
            connection.close()

        run_all([client] * clients)
        return answers


def run_all(clients: Sequence[Callable[[], None]]) -> None:
    """Run each client in a thread, and wait for all of them."""
    threads = [threading.Thread(target=client) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@dataclass
class Service(Front):
    """A running service: its address, its main process and its data."""

    port: int
    process: subprocess.Popen[str]
    data_dir: Path
    log: IO[str] | None = None

    @property
    def mongodb(self) -> Path:
        """The folder of its embedded MongoDB."""
        return self.data_dir / "mongodb"

    @property
    def mongodb_uri(self) -> str:
        return f"mongodb://{quote(str(self.mongodb / 'mongod.sock'), safe='')}"

    @property
    def mongod_pid(self) -> int:
        """The process id of its embedded mongod, 0 while that one starts."""
        return int((self.mongodb / "db" / "mongod.lock").read_text() or 0)

    @contextmanager
    def collection(self, name: str) -> Iterator[Any]:
        """One of its collections, past the service."""
        with open_client(self.mongodb_uri) as client:
            yield client["boxoffice"][name]

    def logged(self) -> list[Any]:
        """Return what it has logged so far, one dict per line."""
        assert self.log
        self.log.seek(0)
        return [json.loads(line) for line in self.log]

    def answers(self) -> bool:
        """Return whether it responds, and can use its database."""
        return self.get("/").status == 200

    def connect(self) -> Connection:
        return Connection(self.port)

    def metrics(self) -> str:
        """Return its metrics for Prometheus."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/metrics", timeout=10) as answer:
            text: str = answer.read().decode()
            return text

    @property
    def gunicorn_pid(self) -> int:
        """The process id of gunicorn, the parent of the workers."""
        (pid,) = (pid for pid in children(self.process.pid) if "gunicorn" in command_line(pid))
        return pid

    def workers(self) -> list[int]:
        """Return the process ids of the workers."""
        return [pid for pid in children(self.gunicorn_pid) if is_alive(pid)]

    def stop(self, with_signal: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code of the main process."""
        self.process.send_signal(with_signal)
        self.process.communicate(timeout=30)
        return self.process.returncode


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def start_process(
    data_dir: Path,
    port: int,
    environ: Mapping[str, str] | None = None,
    log: IO[str] | int = subprocess.DEVNULL,
    under: Sequence[str] = (),
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if name != "MONGODB_URI"}
    return subprocess.Popen(
        [*under, sys.executable, str(ROOT)],
        env={**inherited, "DATA_DIR": str(data_dir), "PORT": str(port), **(environ or {})},
        stdout=log,
        stderr=stderr,
        text=True,
        start_new_session=True,  # a separate process group, as in a terminal
        # If the tests run under nohup, it would be ignored.
        preexec_fn=partial(signal.signal, signal.SIGHUP, signal.SIG_DFL),
    )


@contextmanager
def running_service(
    data_dir: Path,
    *,
    port: int | None = None,
    environ: Mapping[str, str] | None = None,
    under: Sequence[str] = (),
) -> Iterator[Service]:
    """Run `python root.py` until it answers, and stop it in the end."""
    port = port or free_port()
    with tempfile.TemporaryFile("w+") as log:
        process = start_process(data_dir, port, environ, log, under, subprocess.DEVNULL)
        service = Service(port, process, data_dir, log)
        try:
            wait_until(lambda: process.poll() is not None or service.answers())
            assert process.poll() is None, "it did not start"
            yield service
        finally:
            if service.process.poll() is None:
                service.stop()


def wait_until(condition: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Return as soon as `condition` holds; fails when it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def children(pid: int) -> list[int]:
    """Return the process ids of the children of `pid`."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # threads come and go
            found += map(int, (task / "children").read_text().split())
    return found


def descendants(pid: int) -> list[int]:
    """Return the process ids of all processes below `pid`."""
    return [each for child in children(pid) for each in (child, *descendants(child))]


def command_line(pid: int) -> str:
    """Return what the process was started with; nothing for a zombie."""
    return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")


def is_alive(pid: int) -> bool:
    """Return whether the process runs (a zombie, which nobody has waited for yet, does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
