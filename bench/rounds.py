"""Side by side: contenders take turns in rounds, so that a slow minute is a slow one for all."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.load import Answers, LoadError, Request, steady
from bench.servers import Server

_WARM_UP_RATE = 4000  # requests a second, which no contender reaches
_RESERVE = 1.15  # times the requests that the round before would have needed
_SOLD_OUT = 409  # allowed to everybody, for houses may be full before the round is over


@dataclass(frozen=True)
class Round:
    """What came of a contender's turn.

    `rate` is in expected answers a second, processor times are in microseconds an answer, and
    `used` is how many of the requests were granted; of bookings, how full the houses got.
    """

    answers: Answers
    rate: float
    server_time: float
    mongodb_time: float
    used: float


@dataclass
class Contender:
    """A server and a kind of request to it.

    `requests` makes as many as it is asked for, or less where they may be sent again and again.
    Answers of another status than `expected` do not count.
    """

    name: str
    server: Server
    requests: Callable[[int], list[Request]]
    expected: int
    rounds: list[Round] = field(default_factory=list)

    def ratios(self, base: Contender) -> list[float]:
        """Return its rates as multiples of the base's in the same rounds."""
        pairs = zip(self.rounds, base.rounds, strict=True)
        return [own.rate / other.rate for own, other in pairs]

    def take_turn(self, seconds: int, rate: float) -> Round:
        """Be measured for so many seconds, with requests enough for `rate` a second."""
        requests = self.requests(int(rate * seconds * _RESERVE))
        server_before, mongodb_before = self.server.processor_seconds()
        answers = steady(self.server.port, requests, seconds)
        server_after, mongodb_after = self.server.processor_seconds()
        if set(answers.statuses) - {self.expected, _SOLD_OUT}:
            raise LoadError(f"{self.name} answers {dict(answers.statuses)}")
        return Round(
            answers,
            rate=answers.statuses[self.expected] / answers.seconds,
            server_time=(server_after - server_before) / answers.total * 1e6,
            mongodb_time=(mongodb_after - mongodb_before) / answers.total * 1e6,
            used=answers.statuses[self.expected] / len(requests),
        )


def take_turns(contenders: Sequence[Contender], rounds: int, seconds: int) -> None:
    """Measure all contenders in every round, after one to warm up that does not count."""
    rate = {one.name: one.take_turn(seconds, _WARM_UP_RATE).rate for one in contenders}
    for number in range(rounds):
        first = number % len(contenders)  # in turns, so that none always comes after the same
        for one in [*contenders[first:], *contenders[:first]]:
            one.rounds.append(one.take_turn(seconds, rate[one.name]))
            rate[one.name] = one.rounds[-1].rate
        shown = ", ".join(f"{one.name} {one.rounds[-1].rate:,.0f}" for one in contenders)
        print(f"Round {number + 1} of {rounds}, answers/s: {shown}", file=sys.stderr)


@dataclass(frozen=True)
class Spread:
    """The median of what the rounds have measured, and the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Return the spread of these values, of which there is at least one."""
        return cls(statistics.median(values), min(values), max(values))
