"""The command line: `python -m bench` measures everything and writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from app.mongodb.client import open_client
from app.mongodb.embedded import EmbeddedMongoDB
from bench import machine, parts
from bench.load import CONNECTIONS
from bench.profiling import profile
from bench.progress import Progress
from bench.report import Report, plural
from bench.run import COMPLETE, QUICK, Length, Run, shortcomings
from bench.seating import seating
from bench.servers import PROJECT, THREADS, WORKERS, Contender
from bench.services import services
from bench.throughput import WORKLOADS, throughput


class _Part(NamedTuple):
    """A part, and the seconds that it takes alone, and with an older version, on two cores."""

    measure: Callable[[Run], None]
    seconds: float
    with_older: float


_PARTS = {
    "throughput": _Part(throughput, 420, 590),
    "services": _Part(services, 125, 200),
    "growth": _Part(parts.growth, 105, 105),
    "overselling": _Part(parts.overselling, 25, 25),
    "rush": _Part(parts.rush, 25, 25),
    "seating": _Part(seating, 180, 180),
    "movies": _Part(parts.movies, 20, 40),
    "profile": _Part(profile, 60, 60),
    "memory": _Part(parts.memory, 290, 290),
}
_OTHERS_MATTER = 0.1  # of the processors: from here on, the page warns of other processes


def main() -> None:
    """Compare the box office with the alternatives."""
    everything = frozenset({*WORKLOADS, *_PARTS} - {"throughput"})
    parser = argparse.ArgumentParser(prog="bench", description=main.__doc__)
    option = parser.add_argument
    option("--quick", action="store_true", help="a few minutes, to see that everything runs")
    option("--only", metavar="NAMES", help=f"some of {','.join(sorted(everything))}")
    option("--against", type=Path, metavar="DIR", help="compare with an older checkout, too")
    option("--against-python", type=Path, metavar="PYTHON", help="default: DIR/.venv/bin/python")
    option("--into", type=Path, metavar="DIR", help="for the page; a complete run has docs")
    arguments = parser.parse_args()
    wanted = frozenset(arguments.only.split(",")) if arguments.only else everything
    if unknown := wanted - everything:
        parser.error(f"--only does not know {', '.join(sorted(unknown))}")
    before = None
    if arguments.against:
        folder = arguments.against.absolute()
        python = arguments.against_python or folder / ".venv/bin/python"
        if not python.exists():
            parser.error(f"{python} does not exist; set --against-python")
        before = _older(folder, python.absolute())

    length = QUICK if arguments.quick else COMPLETE
    warnings = shortcomings(wanted, everything, length)
    into = arguments.into or (None if warnings else PROJECT / "docs")
    report = Report()
    warnings += _measure(report, wanted, before, length)
    print(report.targets(), *warnings, sep="\n\n")
    if into:
        report.write(into, _page(report, length, warnings))


def _older(folder: Path, python: Path) -> Contender:
    version = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"]
    return Contender(f"version {version}", "root.py", folder, python)


def _measure(
    report: Report, wanted: frozenset[str], before: Contender | None, length: Length
) -> list[str]:
    """Run the parts, and add the facts of the run to the report; return what disturbed it."""
    plan = {
        name: (part.with_older if before else part.seconds) * length.share
        for name, part in _PARTS.items()
        if name in wanted or (name == "throughput" and wanted & WORKLOADS.keys())
    }
    progress = Progress(plan, sys.stderr)
    others, started = machine.Others(), time.monotonic()
    with tempfile.TemporaryDirectory() as data, EmbeddedMongoDB(Path(data)) as mongodb:
        run = Run(mongodb, report, progress, wanted, before, length)
        for name in plan:
            progress.begin(name)
            _PARTS[name].measure(run)
            progress.end()
        with open_client(mongodb.uri) as client:
            mongodb_version = client.server_info()["version"]
    took, share = time.monotonic() - started, others.share()
    report.facts = {
        **machine.facts(),
        "MongoDB": mongodb_version,
        "rounds": f"{length.rounds}, with turns of {length.seconds} s",
        "run time": f"{took / 60:.1f} minutes",
        "seconds of each part": ", ".join(
            f"{name} {seconds:.0f}" for name, seconds in progress.durations.items()
        ),
        "other processes": f"{share:.0%} of the processors",
        **report.facts,
    }
    if share < _OTHERS_MATTER:
        return []
    return [f"Disturbed: other processes took {share:.0%} of the processors during this run."]


def _page(report: Report, length: Length, warnings: list[str]) -> str:
    setup = {
        "rounds": plural(length.rounds, "round"),
        "seconds": length.seconds,
        "workers": WORKERS,
        "threads": THREADS,
        "connections": CONNECTIONS,
    }
    return report.page(setup, warnings)


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(f"bench: {error}")
