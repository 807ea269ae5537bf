"""The command line: `python -m bench` measures everything and writes docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from app.mongodb.embedded import EmbeddedMongoDB
from bench import growth, load, profiles, report, rushes, throughput

_DOCS = Path(__file__).parent.parent / "docs"


@dataclass(frozen=True)
class Extent:
    """How much is measured; times in seconds."""

    rounds: int
    seconds: int
    bursts: int
    sizes: tuple[int, ...]
    memory_requests: int
    memory_warm_up: int
    rush: int
    rushes: int
    profiled: int


FULL = Extent(
    rounds=7,
    seconds=5,
    bursts=5,
    sizes=(0, 100_000, 1_000_000),
    memory_requests=200_000,
    memory_warm_up=40_000,
    rush=10_000,
    rushes=3,
    profiled=10_000,
)
QUICK = Extent(
    rounds=2,
    seconds=1,
    bursts=1,
    sizes=(0, 10_000, 50_000),
    memory_requests=5000,
    memory_warm_up=1000,
    rush=2000,
    rushes=1,
    profiled=1000,
)


def main() -> None:
    """Measure and write the report; with `--quick` as a smoke test, whose figures say nothing."""
    parser = argparse.ArgumentParser(prog="bench", description=main.__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute or two, to see that it runs")
    parser.add_argument("--docs", type=Path, default=_DOCS, help="the folder for the report")
    arguments = parser.parse_args()
    load.require_tools()
    extent = QUICK if arguments.quick else FULL
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, EmbeddedMongoDB(Path(folder)) as mongodb:

        def begin(part: str) -> None:
            print(f"{time.monotonic() - started:4.0f} s: {part}", file=sys.stderr)

        begin("throughput")
        measured_throughput = throughput.measure(
            mongodb, rounds=extent.rounds, seconds=extent.seconds, bursts=extent.bursts
        )
        begin("growth")
        sizes = growth.measure_rates(
            mongodb, extent.sizes, rounds=extent.rounds, seconds=extent.seconds
        )
        begin("memory")
        memory = growth.measure_memory(
            mongodb,
            requests=extent.memory_requests,
            warm_up=extent.memory_warm_up,
            seconds=extent.seconds,
        )
        begin("the rush")
        rush = rushes.measure(mongodb, requests=extent.rush, runs=extent.rushes)
        begin("profiles")
        profile = {
            kind: profiles.measure(mongodb, kind, requests=extent.profiled)
            for kind in profiles.KINDS
        }
        report.write(
            arguments.docs,
            report.Results(
                throughput=measured_throughput,
                sizes=sizes,
                memory=memory,
                rushes=rush,
                profiles=profile,
                rounds=extent.rounds,
                seconds=extent.seconds,
                versions=report.versions(mongodb),
            ),
        )
        begin(f"wrote {arguments.docs / 'benchmarks.md'}")


if __name__ == "__main__":
    try:
        main()
    except load.LoadError as error:
        sys.exit(f"bench: {error}")
