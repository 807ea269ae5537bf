"""The processor time of a request by part, as py-spy samples a server under load."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.load import send
from bench.parts import WORKLOADS, Run
from bench.rounds import Row
from bench.servers import BOX_OFFICE, running
from bench.workloads import CONNECTIONS, of_box_office

# The innermost frame that matches decides, so the time of gevent's sockets, orjson and the
# standard library belongs to whoever calls them.
_PARTS = {
    "pymongo": r"/(pymongo|bson)/",
    "log and metrics": r"/app/operations/|/(logging|pythonjsonlogger|prometheus_client)/",
    "reading": r"/(marshmallow|webargs|flask_smorest|phonenumbers)/"
    r"|/app/web/(reading|fields)\.py|/app/\w+/(schemas|phones)\.py",
    "Flask": r"/(flask|werkzeug)/",
    "own code": r"/app/|/root\.py",
    "server": "",  # what is left: gunicorn and gevent
}
_START_SECONDS = 2  # for py-spy to attach


def profile(run: Run) -> None:
    """Measure the processor time of a request, then sample how it divides.

    Raises RuntimeError where py-spy may not attach to a process of the same user.
    """
    seconds = round(3 * run.seconds)
    columns = {}
    with running(BOX_OFFICE, run.mongodb, "profile") as server:
        workloads = of_box_office(server)
        for name in ("booking", "refusal", "view"):
            turn = Row(workloads[name]).take_turn(seconds)
            with tempfile.NamedTemporaryFile("r") as stacks:
                command = (
                    f"{Path(sys.executable).parent}/py-spy record --subprocesses --full-filenames"
                    f" --pid {server.pid} --duration {seconds} --format raw --output {stacks.name}"
                )
                sampler = subprocess.Popen(  # noqa: S603 (our own words)
                    command.split(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
                )
                load_seconds = seconds + _START_SECONDS
                send(server.port, workloads[name].requests, CONNECTIONS, load_seconds)
                printed, _ = sampler.communicate()
                if sampler.returncode:
                    raise RuntimeError(f"py-spy cannot sample, which may take root: {printed}")
                samples: Counter[str] = Counter()
                for line in stacks:  # frames, the outermost first, and their count
                    frames, _, count = line.rpartition(" ")
                    samples[_part(frames.split(";"))] += int(count)
            columns[WORKLOADS[name][0]] = {
                part: turn.workers * samples[part] / samples.total() for part in _PARTS
            } | {"MongoDB": turn.mongodb, "**all**": turn.workers + turn.mongodb}
    table = [
        [part, *(f"{column[part]:,.0f}" for column in columns.values())]
        for part in (*_PARTS, "MongoDB", "**all**")
    ]
    run.report.table("profile", ["µs", *columns], table)


def _part(frames: list[str]) -> str:
    matches = (
        part
        for frame in reversed(frames)
        for part, paths in _PARTS.items()
        if paths and re.search(paths, frame)
    )
    return next(matches, "server")
