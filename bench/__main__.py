"""The command line: `python -m bench` measures everything and fills in docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from app.mongodb.client import open_client
from app.mongodb.embedded import EmbeddedMongoDB
from bench import growth, profiles, rushes, throughput
from bench.load import LoadError
from bench.report import Report
from bench.servers import PROJECT, Contender

_PARTS = ("overselling", "rush", "profile", "memory", "growth")


@dataclass(frozen=True)
class Extent:
    """How much is measured; times in seconds."""

    rounds: int = 7
    seconds: float = 3
    bursts: int = 5
    rush: int = 10_000
    rushes: int = 3
    profile_seconds: int = 10
    memory_requests: int = 200_000
    memory_warm_up: int = 40_000
    tickets: int = 1_000_000


QUICK = Extent(
    rounds=1,
    seconds=0.5,
    bursts=1,
    rush=2000,
    rushes=1,
    profile_seconds=1,
    memory_requests=4000,
    memory_warm_up=1000,
    tickets=20_000,
)


def main() -> None:
    """Measure the box office beside what its users might pick instead."""
    names = [*throughput.WORKLOADS, *_PARTS]
    parser = argparse.ArgumentParser(prog="bench", description=main.__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="a minute or two, to see that everything runs"
    )
    parser.add_argument("--only", metavar="NAMES", help=f"some of {','.join(names)}")
    parser.add_argument("--against", type=Path, metavar="DIR", help="an older checkout to compare")
    parser.add_argument(
        "--against-python", type=Path, metavar="PYTHON", help="default: DIR/.venv/bin/python"
    )
    arguments = parser.parse_args()
    wanted = set(arguments.only.split(",") if arguments.only else names)
    if unknown := wanted - set(names):
        parser.error(f"--only does not know {', '.join(sorted(unknown))}")
    before = None
    if arguments.against:
        folder = arguments.against.absolute()
        python = arguments.against_python or folder / ".venv/bin/python"
        before = Contender("box office before", "root.py", folder, python.absolute())

    report = Report()
    with tempfile.TemporaryDirectory() as data, EmbeddedMongoDB(Path(data)) as mongodb:
        facts = _measure(mongodb, report, before, wanted, QUICK if arguments.quick else Extent())
        with open_client(mongodb.uri) as client:
            facts["MongoDB"] = client.server_info()["version"]
    report.finish(facts)
    if not arguments.quick and not arguments.only:
        report.write(PROJECT / "docs/benchmarks.md")


def _measure(
    mongodb: EmbeddedMongoDB,
    report: Report,
    before: Contender | None,
    wanted: set[str],
    extent: Extent,
) -> dict[str, str]:
    """Run the wanted parts one after another; return facts about the run."""
    started = time.monotonic()

    def begin(part: str) -> bool:
        if part in wanted:
            print(f"{time.monotonic() - started:4.0f} s: {part}", file=sys.stderr)
        return part in wanted

    facts = {}
    if workloads := wanted & set(throughput.WORKLOADS):
        facts = throughput.measure(
            mongodb, report, before, workloads, rounds=extent.rounds, seconds=extent.seconds
        )
    if begin("overselling"):
        throughput.measure_overselling(mongodb, report, bursts=extent.bursts)
    if begin("rush"):
        rushes.measure(mongodb, report, requests=extent.rush, runs=extent.rushes)
    if begin("profile"):
        profiles.measure(mongodb, report, seconds=extent.profile_seconds)
    if begin("memory"):
        growth.measure_memory(
            mongodb, report, requests=extent.memory_requests, warm_up=extent.memory_warm_up
        )
    if begin("growth"):
        growth.measure_rates(
            mongodb,
            report,
            tickets=extent.tickets,
            rounds=extent.rounds,
            seconds=extent.seconds,
        )
    facts["run time"] = f"{(time.monotonic() - started) / 60:.0f} minutes"
    return facts


if __name__ == "__main__":
    try:
        main()
    except (LoadError, RuntimeError) as error:
        sys.exit(f"bench: {error}")
