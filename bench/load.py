"""The load: requests to send, and the tools from Debian that send them, wrk and hey."""

from __future__ import annotations

import csv
import http.client
import json
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.servers import HOST

TOOLS = ("wrk", "hey")
CONNECTIONS = 64  # which wrk keeps busy, each with its next request once the last is answered

_SCRIPT = Path(__file__).parent / "wrk.lua"


class LoadError(Exception):
    """The load did not go as it has to; its text says what happened instead."""


@dataclass(frozen=True)
class Request:
    """A request to send; a body goes as JSON."""

    method: str
    path: str
    body: dict[str, Any] | None = None


@dataclass(frozen=True)
class Answers:
    """What came back within `seconds`; latencies in milliseconds."""

    seconds: float
    statuses: Counter[int]
    p50: float
    p99: float
    generator_share: float
    """Processor time of the load generator, as a share of one core."""

    @property
    def total(self) -> int:
        """The number of answers."""
        return self.statuses.total()

    @property
    def per_second(self) -> float:
        """Answers a second."""
        return self.total / self.seconds


def require_tools() -> None:
    """Leave with one message unless wrk and hey are there."""
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        sys.exit(f"bench: install {' and '.join(missing)} first: apt-get install wrk hey")


def steady(port: int, requests: Sequence[Request], seconds: int) -> Answers:
    """Send the requests in turn, over and over, from all connections for so many seconds (wrk)."""
    before = _children_seconds()
    with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
        for request in requests:
            body = "" if request.body is None else json.dumps(request.body)
            file.write(f"{request.method}\t{request.path}\t{body}\n")
        file.flush()
        printed = _run(
            "wrk",
            *("--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s"),
            *("--timeout", "30s", "--script", str(_SCRIPT)),
            *(f"http://{HOST}:{port}", "--", file.name),
        )
    result = json.loads(printed.splitlines()[-1])
    if result["broken"]:
        raise LoadError(f"{result['broken']} connections broke")
    duration = result["microseconds"] / 1e6
    return Answers(
        seconds=duration,
        statuses=Counter({int(status): n for status, n in result["statuses"].items()}),
        p50=result["p50"] / 1000,
        p99=result["p99"] / 1000,
        generator_share=(_children_seconds() - before) / duration,
    )


def rush(port: int, request: Request, number: int, connections: int) -> Answers:
    """Send one request `number` times from that many connections at once, to the end (hey)."""
    before = _children_seconds()
    printed = _run(
        "hey",
        *("-n", str(number), "-c", str(connections), "-t", "60", "-o", "csv"),
        *("-m", request.method, "-T", "application/json", "-d", json.dumps(request.body)),
        f"http://{HOST}:{port}{request.path}",
    )
    rows = list(csv.DictReader(printed.splitlines()))
    if len(rows) != number:
        raise LoadError(f"{number - len(rows)} of {number} requests were not answered")
    taken = sorted(float(row["response-time"]) for row in rows)
    seconds = max(float(row["offset"]) + float(row["response-time"]) for row in rows)
    return Answers(
        seconds=seconds,
        statuses=Counter(int(row["status-code"]) for row in rows),
        p50=taken[len(taken) // 2] * 1000,
        p99=taken[len(taken) * 99 // 100] * 1000,
        generator_share=(_children_seconds() - before) / seconds,
    )


def ask(port: int, request: Request) -> Any:
    """Send one request and return what its answer says; raises LoadError when it is refused."""
    with closing(http.client.HTTPConnection(HOST, port, timeout=30)) as connection:
        connection.request(request.method, request.path, json.dumps(request.body or {}))
        response = connection.getresponse()
        said = response.read()
    if response.status >= 400:
        raise LoadError(f"{request} is answered {response.status} {said.decode()}")
    return json.loads(said)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)  # noqa: S603 (our own words)
    if done.returncode:
        raise LoadError(f"{command[0]} fails: {done.stderr or done.stdout}")
    return done.stdout


def _children_seconds() -> float:
    """Return the processor time of all child processes that have ended, in seconds."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
