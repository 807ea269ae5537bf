"""Part 4: what a request's time is made of, as py-spy samples it from outside the process.

`python -m bench.profiles KIND COUNT` is what it samples: an `app` that is called with so many
requests of a kind one after another, as a server would.
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
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

from app.mongodb.embedded import EmbeddedMongoDB
from app.operations import log as logs
from app.operations.metrics import FOLDER_VARIABLE
from app.theatre.showings import Showing
from bench.houses import CAPACITY, booking, filling, showings, slots, view
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
    "Flask, Werkzeug": r"/(flask|limits|werkzeug)/",
    "own code": r"/(app|bench/contenders)/",
}
GROUPS = tuple(_OWNERS)

_SAMPLES_A_SECOND = 100  # few, for each stops the process for a moment but not MongoDB
_FULL_HOUSES = 25  # which are sold to warm up


@dataclass(frozen=True)
class Kind:
    """Requests to the `app` of a module, and the status that each is answered.

    `requests` makes them for some houses: full ones, or new ones where it `sells` their seats.
    """

    module: str
    requests: Callable[[list[Showing]], list[Request]]
    status: str
    sells: bool = False


_SERVICE = "root"
KINDS = {
    "bare insert": Kind("bench.contenders.bare_insert", filling, "201 CREATED", sells=True),
    "booking": Kind(_SERVICE, filling, "201 CREATED", sells=True),
    "sold out": Kind(_SERVICE, lambda full: [booking(each) for each in full], "409 CONFLICT"),
    "`/viewontime`": Kind(_SERVICE, lambda full: [view(each) for each in full], "200 OK"),
    "`GET /`": Kind(_SERVICE, lambda full: [slots(full[0].date)], "200 OK"),
}


@dataclass(frozen=True)
class Profile:
    """What a request takes in all and by group, in microseconds."""

    total: float
    groups: dict[str, float]


def measure(mongodb: EmbeddedMongoDB, kind: str, *, requests: int) -> Profile:
    """Time so many requests, then sample as many again on a database of their own."""
    sampler = str(Path(sys.executable).parent / "py-spy")
    number = list(KINDS).index(kind)
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
                [*wrapper, sys.executable, "-m", __name__, kind, str(requests)],
                env={**environ, "MONGODB_DATABASE": f"profile_{number}_{database}"},
                check=True,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            ).stderr

        total = float(run("timed")) / requests * 1e6
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
        _, timed, of_request = frames.partition("_time (")
        if timed:
            samples[_owner(of_request.split(";")[1:])] += int(count)
    return samples


def _owner(frames: list[str]) -> str:
    for frame in reversed(frames):
        for group, paths in _OWNERS.items():
            if re.search(paths, frame):
                return group
    return GROUPS[-1]


def _send(app: WSGIApplication, request: Request, expected: str) -> None:
    """Send one request; fails unless it is answered with the expected status."""
    body = b"" if request.body is None else json.dumps(request.body).encode()
    path, _, query = request.path.partition("?")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
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
    if statuses != [expected]:
        raise RuntimeError(f"{request} is answered {statuses}")


def _time(app: WSGIApplication, requests: Iterable[Request], expected: str) -> float:
    started = time.perf_counter()
    for request in requests:
        _send(app, request, expected)
    return time.perf_counter() - started


def main() -> None:
    """Print on stderr how many seconds the requests took, after some houses are sold."""
    kind, number = KINDS[sys.argv[1]], int(sys.argv[2])
    logs.configure("info")
    app: WSGIApplication = importlib.import_module(kind.module).app
    unsold = showings()
    full = list(islice(unsold, _FULL_HOUSES))
    for request in filling(full):
        _send(app, request, "201 CREATED")
    houses = list(islice(unsold, number // CAPACITY)) if kind.sells else full
    requests = islice(cycle(kind.requests(houses)), number)
    print(_time(app, requests, kind.status), file=sys.stderr)


if __name__ == "__main__":
    main()
