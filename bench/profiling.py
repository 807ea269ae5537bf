"""What a request is made of."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from bench.load import CONNECTIONS, Row, send
from bench.run import Run
from bench.servers import BOX_OFFICE, running
from bench.throughput import WORKLOADS
from bench.workloads import of_box_office

# Parts of a request, by paths. The innermost frame that matches decides, so the time of gevent's
# sockets, orjson and the standard library belongs to the code that calls them.
_OWNERS = {
    "pymongo": r"/(pymongo|bson)/",
    "log and metrics": r"/app/operations/|/(logging|pythonjsonlogger|prometheus_client)/",
    "reading": r"/(marshmallow|webargs|flask_smorest|phonenumbers)/"
    r"|/app/web/(reading|fields)\.py|/app/\w+/(schemas|phones)\.py",
    "Flask": r"/(flask|werkzeug)/",
    "server": r"/gunicorn/|/app/server/",  # and the rest: gevent
    "own code": r"/app/",
}
_WAITING = "waiting"  # the supervisor's samples and those of gunicorn's arbiter
_PROFILED = ("booking", "refusal", "view", "purchase")


def profile(run: Run) -> None:
    """Measure the processor time of a request, then sample with py-spy how it divides.

    This suits greenlets: a thread that waits would count as working. Raises RuntimeError where
    py-spy may not attach to a process of the same user.
    """
    seconds = round(3 * run.length.seconds)
    with running(BOX_OFFICE, run.mongodb, "profile") as server:
        workloads = of_box_office(server)
        for number, name in enumerate(_PROFILED):
            run.progress.at(number / len(_PROFILED))
            turn = Row(workloads[name]).take_turn(seconds)
            with tempfile.NamedTemporaryFile("r") as stacks:
                command = (
                    f"{Path(sys.executable).parent}/py-spy record --subprocesses --full-filenames"
                    f" --pid {server.pid} --duration {seconds} --format raw --output {stacks.name}"
                )
                sampler = subprocess.Popen(command.split(), stdout=subprocess.DEVNULL)  # noqa: S603
                send(server.port, workloads[name].requests, CONNECTIONS, seconds + 2)  # to attach
                if sampler.wait():
                    raise RuntimeError("py-spy cannot sample; try again as root")
                samples: Counter[str] = Counter()
                for line in stacks:  # frames, the outermost first, and their count
                    frames, _, count = line.rpartition(" ")
                    samples[owner(frames.split(";"))] += int(count)
                del samples[_WAITING]
            run.report.profile[name] = {
                **{part: turn.workers * samples[part] / samples.total() for part in _OWNERS},
                "MongoDB": turn.mongodb,
                "**all**": turn.processor,
            }
    columns = run.report.profile.values()
    run.report.add(
        "What a request is made of",
        "Processor time of one request by part, in µs. py-spy samples the workers under load. Time"
        " in the standard library, orjson and gevent's sockets belongs to the part that called"
        " them.",
        ["µs", *(WORKLOADS[name][0] for name in run.report.profile)],
        [
            [part, *(f"{column[part]:,.0f}" for column in columns)]
            for part in (*_OWNERS, "MongoDB", "**all**")
        ],
    )


def owner(frames: list[str]) -> str:
    """Return the part of a request that a stack belongs to; the outermost frame is the first."""
    if re.search(r"/(subprocess|arbiter|root)\.py", frames[-1]):
        return _WAITING
    for frame in reversed(frames):
        for name, paths in _OWNERS.items():
            if re.search(paths, frame):
                return name
    return "server"
