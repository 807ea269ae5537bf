"""Rounds: contenders are measured in turns, so that a slow minute is slow for all of them."""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import nan
from typing import NamedTuple

from bench.load import send
from bench.workloads import CONNECTIONS, Workload

_WARM_UP_SECONDS = 1


class Turn(NamedTuple):
    """What one turn measured; or the medians of several turns; or the ratios of two.

    `rate` is in expected responses a second, latencies are in milliseconds, processor times in
    microseconds a response. `generator` is the load generator's share of one core.
    """

    rate: float
    p50: float
    p99: float
    workers: float
    mongodb: float
    generator: float


def medians(turns: Iterable[Turn]) -> Turn:
    """Return the median of each value."""
    return Turn(*map(statistics.median, zip(*turns, strict=True)))


@dataclass
class Row:
    """A workload at a number of connections, its turns, and the statuses that it should not get."""

    workload: Workload
    connections: int = CONNECTIONS
    turns: list[Turn] = field(default_factory=list)
    unexpected: Counter[int] = field(default_factory=Counter)

    def take_turn(self, seconds: float) -> Turn:
        """Send the workload for this many seconds."""
        server, expected = self.workload.server, self.workload.expected
        generator, (workers, mongodb) = time.process_time(), server.processor_seconds()
        responses = send(server.port, self.workload.requests, self.connections, seconds)
        workers_after, mongodb_after = server.processor_seconds()
        total = responses.statuses.total()
        self.unexpected += responses.statuses - Counter({expected: total})
        return Turn(
            rate=responses.statuses[expected] / responses.seconds,
            p50=responses.p50,
            p99=responses.p99,
            workers=(workers_after - workers) / total * 1e6,
            mongodb=(mongodb_after - mongodb) / total * 1e6,
            generator=(time.process_time() - generator) / responses.seconds,
        )

    def ratios(self, base: Row) -> list[Turn]:
        """Return each turn ÷ the base's turn in the same round."""
        return [
            Turn(*(value / of if of else nan for value, of in zip(own, other, strict=True)))
            for own, other in zip(self.turns, base.turns, strict=True)
        ]

    def relative_rate(self, base: Row) -> list[str]:
        """Return two cells of a table: the median of the ratios of the rates, and their spread."""
        rates = [turn.rate for turn in self.ratios(base)]
        return [f"**{statistics.median(rates):.2f}**", f"{min(rates):.2f} to {max(rates):.2f}"]


def take_turns(rows: Sequence[Row], rounds: int, seconds: float) -> None:
    """Measure all rows in each round, after a turn of each to warm up that does not count."""
    for row in rows:
        row.take_turn(_WARM_UP_SECONDS)
    for number in range(rounds):
        first = number % len(rows)  # rotated, so that no row always follows the same one
        for row in [*rows[first:], *rows[:first]]:
            row.turns.append(row.take_turn(seconds))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
