"""Bookings continue when the log's streams or the temporary folders are missing or full."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.running import ROOT, Service, free_port, is_alive, outcomes, wait_until

BOOKING = {"name": "Asha Rao", "phone": "98765 43210", "timing": "12:00"}

# Arguments for Popen, and what happens once the service runs.
Surroundings = tuple[dict[str, Any], Callable[[], None]]


def nothing_more() -> None: ...


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def _temporary(folder: Path) -> dict[str, Any]:
    return {"env": {"TMPDIR": str(folder)}}


def no_temporary_folder(_: ExitStack, tmp_path: Path) -> Surroundings:
    return _temporary(tmp_path / "missing"), nothing_more


def a_read_only_temporary_folder(stack: ExitStack, tmp_path: Path) -> Surroundings:
    return _temporary(stack.enter_context(small_disk(tmp_path / "disk", "ro"))), nothing_more


def a_full_disk_for_temporary_files_and_the_log(stack: ExitStack, tmp_path: Path) -> Surroundings:
    disk = stack.enter_context(small_disk(tmp_path / "disk", "size=64k,nr_inodes=9"))
    for number in range(8):
        (disk / str(number)).touch()
    log = stack.enter_context((disk / "0").open("w"))
    with pytest.raises(OSError, match="No space"):
        (disk / "1").write_bytes(b"x" * 100_000)
    return {**_temporary(disk), "stdout": log, "stderr": log}, nothing_more


def a_sweeper_of_temporary_files(_: ExitStack, tmp_path: Path) -> Surroundings:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return _temporary(folder), lambda: shutil.rmtree(folder)


def a_log_whose_reader_leaves(stack: ExitStack, _: Path) -> Surroundings:
    reader, writer = os.pipe()
    stack.callback(os.close, writer)
    return {"stdout": writer, "stderr": writer}, lambda: os.close(reader)


def a_log_whose_reader_does_not_read(stack: ExitStack, _: Path) -> Surroundings:
    reader, writer = os.pipe()
    stack.callback(os.close, reader)
    stack.callback(os.close, writer)

    def fill() -> None:
        own = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY | os.O_NONBLOCK)
        with suppress(BlockingIOError):
            while True:
                os.write(own, b"\n")
        os.close(own)

    return {"stdout": writer, "stderr": writer}, fill


def closed_streams(_: ExitStack, __: Path) -> Surroundings:
    shell = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]
    return {"args": [*shell, sys.executable, str(ROOT)]}, nothing_more


@pytest.mark.parametrize(
    "arrange",
    [
        no_temporary_folder,
        a_read_only_temporary_folder,
        a_full_disk_for_temporary_files_and_the_log,
        a_sweeper_of_temporary_files,
        a_log_whose_reader_leaves,
        a_log_whose_reader_does_not_read,
        closed_streams,
    ],
)
def test_bookings_continue_and_workers_restart(
    tmp_path: Path, mongod_uri: str, arrange: Callable[[ExitStack, Path], Surroundings]
) -> None:
    with ExitStack() as stack:
        arguments, happen = arrange(stack, tmp_path)
        port = free_port()
        environ = {
            "PORT": str(port),
            "WORKERS": "2",
            "SLOT_CAPACITY": "100",
            "MONGODB_URI": mongod_uri,
            "MONGODB_DATABASE": arrange.__name__,
        }
        process = subprocess.Popen(
            arguments.pop("args", [sys.executable, str(ROOT)]),
            env={**os.environ, **environ, **arguments.pop("env", {})},
            text=True,
            **{"stdout": subprocess.DEVNULL, **arguments},
        )
        service = Service(port, process, tmp_path)
        try:
            wait_until(lambda: service.connect().request("GET", "/").status == 200)
            happen()
            for booked in (20, 40):
                killed = service.workers()[0]
                os.kill(killed, signal.SIGKILL)
                wait_until(lambda killed=killed: not is_alive(killed))  # type: ignore[misc]
                answers = service.all_at_once(
                    [lambda client: client.post("/booktickets", BOOKING)] * 20, clients=5
                )
                assert outcomes(answers) == {(201, None): 20}
                assert f'bookings_total{{route="/booktickets"}} {booked}.0' in service.metrics()
            wait_until(lambda: len(service.workers()) == 2, seconds=5)
        finally:
            process.terminate()
            assert process.wait(20) == 0
