"""Rounds: contenders are measured in turns, so that a slow minute is slow for all of them."""

from __future__ import annotations

import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.load import send
from bench.workloads import CONNECTIONS, Workload

_WARM_UP_SECONDS = 1


@dataclass(frozen=True)
class Turn:
    """What one turn measured.

    `rate` is in expected responses a second, latencies are in milliseconds, processor times in
    microseconds a response. `generator` is the load generator's share of one core.
    """

    rate: float
    p50: float
    p99: float
    server: float
    mongodb: float
    generator: float


@dataclass
class Row:
    """A workload at a number of connections, and what its turns measured."""

    name: str
    workload: Workload
    connections: int = CONNECTIONS
    turns: list[Turn] = field(default_factory=list)
    unexpected: Counter[int] = field(default_factory=Counter)

    def take_turn(self, seconds: float) -> Turn:
        """Send the workload for this many seconds; statuses that are not expected are kept."""
        server, expected = self.workload.server, self.workload.expected
        generator_before = time.process_time()
        server_before, mongodb_before = server.processor_seconds()
        responses = send(server.port, self.workload.requests, self.connections, seconds)
        server_after, mongodb_after = server.processor_seconds()
        generator = time.process_time() - generator_before
        total = responses.statuses.total()
        self.unexpected += responses.statuses - Counter({expected: total})
        return Turn(
            rate=responses.statuses[expected] / responses.seconds,
            p50=responses.p50,
            p99=responses.p99,
            server=(server_after - server_before) / total * 1e6,
            mongodb=(mongodb_after - mongodb_before) / total * 1e6,
            generator=generator / responses.seconds,
        )

    def median(self, value: Callable[[Turn], float]) -> float:
        """Return the median of a value over the turns."""
        return statistics.median(map(value, self.turns))

    def ratios(self, base: Row, value: Callable[[Turn], float] = lambda turn: turn.rate) -> Ratios:
        """Compare a value, by default the rate, with that of `base` in the same rounds."""
        pairs = zip(self.turns, base.turns, strict=True)
        return Ratios([value(own) / value(other) for own, other in pairs])


class Ratios(list[float]):
    """One ratio for each round."""

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self)

    @property
    def cells(self) -> list[str]:
        """The cells of a table: the median in bold, and the spread."""
        return [f"**{self.median:.2f}**", f"{min(self):.2f} to {max(self):.2f}"]


def take_turns(rows: Sequence[Row], rounds: int, seconds: float) -> None:
    """Measure all rows in each round, after a turn of each to warm up that does not count."""
    for row in rows:
        row.take_turn(_WARM_UP_SECONDS)
    for number in range(rounds):
        first = number % len(rows)  # rotated, so that no row always follows the same one
        for row in [*rows[first:], *rows[:first]]:
            row.turns.append(row.take_turn(seconds))
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
