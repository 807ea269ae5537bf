"""The command line: `python -m bench` measures everything and fills in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import tomllib
from pathlib import Path

from app.mongodb.client import open_client
from app.mongodb.embedded import EmbeddedMongoDB
from bench import parts
from bench.report import Report
from bench.seating import seating
from bench.servers import PROJECT, Contender
from bench.services import services

_PARTS = {
    "overselling": parts.overselling,
    "rush": parts.rush,
    "services": services,
    "seating": seating,
    "movies": parts.movies,
    "profile": parts.profile,
    "memory": parts.memory,
    "growth": parts.growth,
}


def main() -> None:
    """Compare the box office with the alternatives."""
    names = [*parts.WORKLOADS, *_PARTS]
    parser = argparse.ArgumentParser(prog="bench", description=main.__doc__)
    option = parser.add_argument
    option("--quick", action="store_true", help="a minute or two, to see that everything runs")
    option("--only", metavar="NAMES", help=f"some of {','.join(names)}")
    option("--against", type=Path, metavar="DIR", help="compare with an older checkout, too")
    option("--against-python", type=Path, metavar="PYTHON", help="default: DIR/.venv/bin/python")
    arguments = parser.parse_args()
    wanted = set(arguments.only.split(",") if arguments.only else names)
    if unknown := wanted.difference(names):
        parser.error(f"--only does not know {', '.join(sorted(unknown))}")
    before = None
    if arguments.against:
        folder = arguments.against.absolute()
        python = arguments.against_python or folder / ".venv/bin/python"
        if not python.exists():
            parser.error(f"{python} does not exist; set --against-python")
        version = tomllib.loads((folder / "pyproject.toml").read_text())["project"]["version"]
        before = Contender(f"version {version}", "root.py", folder, python.absolute())

    rounds, seconds, divisor = (1, 0.5, 50) if arguments.quick else (5, 2, 1)
    report = Report()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as data, EmbeddedMongoDB(Path(data)) as mongodb:
        run = parts.Run(mongodb, report, wanted, before, rounds, seconds, divisor)
        if wanted - set(_PARTS):
            parts.throughput(run)
        for name, part in _PARTS.items():
            if name in wanted:
                part(run)
        with open_client(mongodb.uri) as client:
            report.facts["MongoDB"] = client.server_info()["version"]
    report.facts["run time"] = f"{(time.monotonic() - started) / 60:.0f} minutes"
    report.finish()
    if not arguments.quick and not arguments.only:
        report.write(PROJECT / "docs/benchmarks.md")


if __name__ == "__main__":
    try:
        main()
    except RuntimeError as error:
        sys.exit(f"bench: {error}")
