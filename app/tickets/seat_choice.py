"""Which seats a batch of sales tries to get, from what this process remembers of each house.

What it remembers only saves round trips. It may be old, so it never refuses anybody: a refusal, or
the splitting of a party, follows from a look at the house that began after the request arrived.

Processes that sell the same house at once would all try its best seats, and all but one would lose
them. So unless this process seems to be alone, requests for one showing that share a batch, and all
in a large batch, get seats near the process's own place in the house: as far as possible from the
seats that others have sold, or anywhere as long as they have sold none. A request that has a batch
to itself looks first and gets the best seats. The figures are in
docs/decisions/0009-the-order-of-seats.md.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from app.domain.refusals import NotEnoughSeats, Refusal, SeatTaken, SoldOut
from app.domain.seating import House, SeatMap
from app.domain.showings import Showing
from app.domain.wanted import Wanted

_MAX_SHOWINGS = 5000
MAX_AGE_SECONDS = 0.005  # for which a lone request trusts what is remembered
_QUIET_LOOKS = 8  # after this many in a row found what was expected, it seems to be alone
_CROWD = 6  # a batch of more requests is a crowd, whichever showings they are for
_SHARE = 8  # one batch claims about one in _SHARE of a house's free seats
_CONTENDED_SECONDS = 0.05  # since a seat was lost in spite of a look
_HOLD_BACK = 0.5  # the probability that a batch leaves a contended house to others


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Seats that somebody wants of a showing; no two are equal."""

    showing: Showing
    house: House
    wanted: Wanted


class _Remembered:
    """What is remembered of a house at one showing."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.free = SeatMap(house)
        self.is_known = False  # whether `free` says anything
        self.looked_at = 0  # the number of the batch that looked last
        self.looked_at_time = 0.0  # in seconds
        self.contended_until = 0.0  # in seconds, after a seat was lost in spite of a look
        self.own = 0  # a mask of the seats that this process has sold, or is trying to get
        # The seat near which it sells.
        self.place = random.randint(1, house.seats)  # noqa: S311 (not a secret)


class SeatChooser:
    """Chooses seats for one batch after another, from one thread at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` returns seconds."""
        self._clock = clock
        self._remembered: dict[Showing, _Remembered] = {}
        self._batch: dict[Showing, _Remembered] = {}
        self._batches = 0
        self._quiet_looks = 0

    @property
    def _is_alone(self) -> bool:
        return self._quiet_looks >= _QUIET_LOOKS

    def begin(self, orders: Sequence[Order]) -> set[Showing]:
        """Begin a batch; return the showings whose taken seats have to be looked up for it."""
        self._batches += 1
        self._batch = {}
        if len(self._remembered) > _MAX_SHOWINGS:
            self._remembered.clear()
        amounts = Counter[Showing]()
        unknown = set()
        for order in orders:
            showing, wanted = order.showing, order.wanted
            house = self._remembered.get(showing)
            if house is None or house.house != order.house:
                house = self._remembered[showing] = _Remembered(order.house)
            self._batch[showing] = house
            amounts[showing] += wanted.amount
            if (
                not house.is_known
                or self._is_contended(house)
                or self._is_too_old(house, wanted, is_lone=len(orders) == 1)
                or amounts[showing] > len(house.free)
                or not all(seat in house.free for seat in wanted.seats)
            ):
                unknown.add(showing)
        return unknown

    def _is_too_old(self, house: _Remembered, wanted: Wanted, is_lone: bool) -> bool:
        """Return whether others may free or take the best seats unnoticed."""
        if wanted.seats:
            return False
        if is_lone:
            is_old = self._clock() - house.looked_at_time > MAX_AGE_SECONDS
            return is_old or wanted.is_party or not self._is_alone
        # The more seats are free, the less it matters that others have sold some.
        is_old = self._batches - house.looked_at > len(house.free)
        return is_old and not self._is_alone

    def _is_contended(self, house: _Remembered) -> bool:
        return self._clock() < house.contended_until

    def learn(self, taken: Mapping[Showing, Set[int]]) -> None:
        """Remember which seats of these showings are taken."""
        for showing, seats in taken.items():
            house = self._batch[showing]
            free = SeatMap(house.house, seats)
            if house.is_known:
                as_expected = len(free) == len(house.free)
                self._quiet_looks = self._quiet_looks + 1 if as_expected else 0
                if as_expected:
                    house.contended_until = 0.0
            house.free, house.is_known = free, True
            house.looked_at, house.looked_at_time = self._batches, self._clock()
            others = [seat for seat in seats if not house.own >> seat & 1]
            if others and not self._is_alone:
                house.place = _farthest(others, house.house.seats)

    def choose(self, orders: Sequence[Order]) -> list[tuple[int, ...] | Refusal | None]:
        """Return for each order the seats to try, a refusal, or None if it must be tried again."""
        company = Counter(order.showing for order in orders)
        claimed = Counter[Showing]()
        held_back = {
            showing
            for showing, house in self._batch.items()
            if self._is_contended(house) and random.random() < _HOLD_BACK  # noqa: S311 (not a secret)
        }
        choices: list[tuple[int, ...] | Refusal | None] = []
        for order in orders:
            showing, wanted, house = order.showing, order.wanted, self._batch[order.showing]
            free = house.free
            is_crowded = not self._is_alone and (
                company[showing] > 1 or len(orders) > _CROWD or self._is_contended(house)
            )
            if wanted.seats or not is_crowded:
                seats = _find(free, wanted)
            elif wanted.amount <= len(free) and (
                showing in held_back or claimed[showing] > (len(free) + claimed[showing]) // _SHARE
            ):
                choices.append(None)
                continue
            else:
                seats = free.best(wanted.amount, house.place)
            is_fresh = house.looked_at == self._batches
            if seats and (is_fresh or not wanted.is_party or house.house.are_together(seats)):
                free.take(seats)
                house.own |= _mask(seats)
                claimed[showing] += len(seats)
                choices.append(seats)
            elif is_fresh and not claimed[showing]:
                choices.append(_refusal(free, wanted))
            else:
                house.is_known = False
                choices.append(None)
        return choices

    def lose(self, showing: Showing, seats: Sequence[int]) -> None:
        """Note that somebody else had one of the seats that this batch tried to get."""
        house = self._batch[showing]
        house.own &= ~_mask(seats)
        if house.looked_at == self._batches:
            house.contended_until = self._clock() + _CONTENDED_SECONDS
        house.is_known = False
        self._quiet_looks = 0

    def forget(self, showing: Showing) -> None:
        """Forget which seats of a showing are free; any thread may call this."""
        self._remembered.pop(showing, None)


def choose(free: SeatMap, wanted: Wanted) -> tuple[int, ...]:
    """Return the wanted seats of those that are free, ascending.

    Raises SoldOut, NotEnoughSeats or SeatTaken.
    """
    if seats := _find(free, wanted):
        return seats
    raise _refusal(free, wanted)


def _mask(seats: Sequence[int]) -> int:
    return sum(1 << seat for seat in seats)


def _farthest(others: Sequence[int], seats: int) -> int:
    """Return the number from 1 to `seats` that is farthest from all of `others`."""
    numbers = sorted(others)
    between = [((b - a) // 2, (a + b) // 2) for a, b in pairwise(numbers)]
    return max([(numbers[0] - 1, 1), (seats - numbers[-1], seats), *between])[1]


def _find(free: SeatMap, wanted: Wanted) -> tuple[int, ...]:
    if wanted.seats:
        return wanted.seats if all(seat in free for seat in wanted.seats) else ()
    return free.best(wanted.amount)


def _refusal(free: SeatMap, wanted: Wanted) -> Refusal:
    if not free:
        return SoldOut()
    return SeatTaken(list(free)) if wanted.seats else NotEnoughSeats(len(free))
