"""Part 4: the processor time of a request by part, as py-spy samples a server under load."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from app.mongodb.embedded import EmbeddedMongoDB
from bench.load import send
from bench.report import Report
from bench.rounds import Row
from bench.servers import BOX_OFFICE, running
from bench.workloads import CONNECTIONS, of_box_office

# The innermost frame that matches decides, so the time of gevent's sockets, orjson and the
# standard library belongs to whoever calls them.
_PARTS = {
    "pymongo": r"/(pymongo|bson|gridfs)/",
    "log and metrics": r"/app/operations/|/(logging|pythonjsonlogger|prometheus_client)/",
    "reading": r"/(marshmallow|webargs|flask_smorest|phonenumbers)/"
    r"|/app/web/(reading|fields)\.py|/app/\w+/(schemas|phones)\.py",
    "Flask": r"/(flask|werkzeug)/",
    "own code": r"/app/|/root\.py",
}
_SERVER = "server"  # what is left: gunicorn and gevent
_WORKLOADS = {"booking": "booking", "refusal": "refusal", "view": "`/viewontime`"}
_SAMPLES_A_SECOND = 100
_START_SECONDS = 2


def measure(mongodb: EmbeddedMongoDB, report: Report, *, seconds: int) -> None:
    """Measure the processor time of a request, then sample for this many seconds how it divides.

    Raises RuntimeError where py-spy may not attach to a process of the same user.
    """
    columns: list[dict[str, float]] = []
    with running(BOX_OFFICE, mongodb, "profile") as server:
        workloads = of_box_office(server)
        for name in _WORKLOADS:
            turn = Row(name, workloads[name]).take_turn(seconds)
            with tempfile.NamedTemporaryFile("r") as stacks:
                sampler = subprocess.Popen(  # noqa: S603 (our own words)
                    [
                        *(Path(sys.executable).parent / "py-spy", "record", "--subprocesses"),
                        *("--pid", str(server.pid), "--duration", str(seconds)),
                        *("--rate", str(_SAMPLES_A_SECOND), "--full-filenames"),
                        *("--format", "raw", "--output", stacks.name),
                    ],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
                load_seconds = seconds + _START_SECONDS
                send(server.port, workloads[name].requests, CONNECTIONS, load_seconds)
                printed, _ = sampler.communicate()
                if sampler.returncode:
                    raise RuntimeError(f"py-spy cannot sample (run as root?): {printed}")
                samples = _by_part(stacks)
            shares = {part: samples[part] / samples.total() for part in (_SERVER, *_PARTS)}
            columns.append(
                {part: turn.server * share for part, share in shares.items()}
                | {"MongoDB": turn.mongodb, "**all**": turn.server + turn.mongodb}
            )
    report.table(
        "profile",
        ["µs", *_WORKLOADS.values()],
        [[part, *(f"{column[part]:,.0f}" for column in columns)] for part in columns[0]],
    )


def _by_part(stacks: Iterable[str]) -> Counter[str]:
    """Count samples by part; a line has the frames, the outermost first, and their count."""
    samples: Counter[str] = Counter()
    for line in stacks:
        frames, _, count = line.rpartition(" ")
        samples[_part(frames.split(";"))] += int(count)
    return samples


def _part(frames: list[str]) -> str:
    for frame in reversed(frames):
        for part, paths in _PARTS.items():
            if re.search(paths, frame):
                return part
    return _SERVER
