"""A run: how long its parts measure, and what they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from app.mongodb.embedded import EmbeddedMongoDB
from bench.load import Row, take_turns
from bench.progress import Progress
from bench.report import Report, plural
from bench.servers import BOX_OFFICE, Contender


class Length(NamedTuple):
    """Rounds, the seconds of a turn, and what numbers of requests are divided by.

    `share` is about the share of a complete run's time that this takes.
    """

    rounds: int
    seconds: float
    divisor: int
    share: float


COMPLETE = Length(rounds=5, seconds=2, divisor=1, share=1)
QUICK = Length(rounds=1, seconds=0.5, divisor=50, share=0.25)


@dataclass(frozen=True)
class Run:
    """What the parts need; `before` is an older version to compare with."""

    mongodb: EmbeddedMongoDB
    report: Report
    progress: Progress
    wanted: frozenset[str]
    before: Contender | None
    length: Length

    @property
    def services(self) -> list[Contender]:
        """The box office, and the older version."""
        return [BOX_OFFICE, self.before] if self.before else [BOX_OFFICE]

    def take_turns(self, rows: list[Row]) -> None:
        """Measure these rows, and show the progress."""
        take_turns(rows, self.length.rounds, self.length.seconds, self.progress.at)


def shortcomings(wanted: frozenset[str], everything: frozenset[str], length: Length) -> list[str]:
    """Return what a run lacks to be complete, as sentences."""
    lacks = []
    if missing := everything - wanted:
        lacks.append(f"Shortened: this run left out {', '.join(sorted(missing))}.")
    if length != COMPLETE:
        lacks.append(
            f"Shortened: {plural(length.rounds, 'round')} instead of {COMPLETE.rounds}, turns of"
            f" {length.seconds} s instead of {COMPLETE.seconds} s, and 1/{length.divisor} of the"
            " requests."
        )
    return lacks
