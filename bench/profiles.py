"""Part 4: what a booking's time is made of, as py-spy samples it from outside the process.

`python -m bench.profiles MODULE COUNT` is what it samples: the `app` of a module, called with so
many bookings one after another, as a server would.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

from app import logs
from app.embedded import EmbeddedMongoDB
from app.metrics import FOLDER_VARIABLE
from bench.houses import CAPACITY, filling, showings
from bench.load import Request
from bench.servers import ADVANCE_DAYS

# A sample is of whom the path of its innermost frame tells, or else of the caller: so the time of
# the standard library is that of whoever uses it.
_OWNERS = {
    "MongoDB, and the way there": r"/pymongo/(network_layer|socket_checker)\.py",
    "pymongo": r"/(pymongo|bson)/",
    "log and metrics": (
        r"/app/(logs|metrics|operations)\.py|/(logging|pythonjsonlogger|prometheus_client)/"
    ),
    "marshmallow, webargs, flask-smorest": r"/(marshmallow|webargs|flask_smorest)/",
    "phonenumbers": r"/phonenumbers/",
    "Flask, Werkzeug": r"/(flask|flask_limiter|limits|werkzeug)/",
    "own code": r"/(app|bench/contenders)/",
}
GROUPS = tuple(_OWNERS)
BARE_INSERT, SERVICE = "bench.contenders.bare_insert", "root"  # modules

_SAMPLES_A_SECOND = 100  # few, for each stops the process for a moment but not MongoDB
_WARM_UP = 500  # bookings


@dataclass(frozen=True)
class Profile:
    """What a booking takes in all and by group, in microseconds."""

    total: float
    groups: dict[str, float]


def measure(mongodb: EmbeddedMongoDB, module: str, *, bookings: int) -> Profile:
    """Time so many bookings, then sample as many again on a database of their own."""
    sampler = str(Path(sys.executable).parent / "py-spy")
    with tempfile.TemporaryDirectory() as folder:
        stacks = Path(folder, "stacks")
        environ = {
            **os.environ,
            "MONGODB_URI": mongodb.uri,
            "ADVANCE_DAYS": str(ADVANCE_DAYS),
            FOLDER_VARIABLE: folder,
        }

        def run(database: str, *wrapper: str) -> str:
            return subprocess.run(  # noqa: S603 (our own words)
                [*wrapper, sys.executable, "-m", __name__, module, str(bookings)],
                env={
                    **environ,
                    "MONGODB_DATABASE": f"profile_{module}_{database}".replace(".", "_"),
                },
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            ).stderr

        total = float(run("timed")) / bookings * 1e6
        run(
            "sampled",
            *(sampler, "record", "--idle", "--full-filenames"),
            *("--rate", str(_SAMPLES_A_SECOND), "--format", "raw", "--output", str(stacks), "--"),
        )
        samples = _by_owner(stacks.read_text().splitlines())
    every = samples.total()
    return Profile(total, {group: total * samples[group] / every for group in GROUPS})


def _by_owner(stacks: Iterable[str]) -> Counter[str]:
    """Count the samples by group; a line has the frames, the outermost first, and a count."""
    samples: Counter[str] = Counter()
    for line in stacks:
        frames, _, count = line.rpartition(" ")
        _, timed, of_booking = frames.partition("_time_bookings (")
        if timed:
            samples[_owner(of_booking.split(";")[1:])] += int(count)
    return samples


def _owner(frames: list[str]) -> str:
    for frame in reversed(frames):
        for group, paths in _OWNERS.items():
            if re.search(paths, frame):
                return group
    return GROUPS[-1]


def _book(app: WSGIApplication, request: Request) -> None:
    """Send one booking; fails unless a ticket is booked."""
    body = json.dumps(request.body).encode()
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": request.path,
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "REMOTE_PORT": "50000",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "5000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": "application/json",
        "HTTP_HOST": "127.0.0.1:5000",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    statuses: list[str] = []

    def start(status: str, *_: Any) -> Callable[[bytes], object]:
        statuses.append(status)
        return lambda _: None  # nobody writes past the answer

    b"".join(app(environ, start))
    if statuses != ["201 CREATED"]:
        raise RuntimeError(f"a booking is answered {statuses}")


def _time_bookings(app: WSGIApplication, requests: Iterable[Request]) -> float:
    started = time.perf_counter()
    for request in requests:
        _book(app, request)
    return time.perf_counter() - started


def main() -> None:
    """Print on stderr how many seconds the bookings took, after some to warm up."""
    module, bookings = sys.argv[1], int(sys.argv[2])
    logs.configure("info")
    app: WSGIApplication = importlib.import_module(module).app
    unsold = showings()
    warm_up, timed = (
        filling(list(islice(unsold, number // CAPACITY))) for number in (_WARM_UP, bookings)
    )
    for request in warm_up:
        _book(app, request)
    print(_time_bookings(app, timed), file=sys.stderr)


if __name__ == "__main__":
    main()
