"""Which seats a batch of sales tries to get, from what this process remembers of each house.

What it remembers only saves round trips. It may be old, so it refuses nobody: a refusal, or a party
that is split up, follows from a look at the house that began after the request had arrived.

Processes that sell the same house at once would all try its best seats, and all but one would lose
them. So as long as others seem to sell as well, requests that come together get seats near a place
that this process has picked at random, and only a few of them at a time when few seats are left. A
request that comes alone looks first, and gets the best seats there are.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from app.domain.refusals import NotEnoughSeats, Refusal, SeatTaken, SoldOut
from app.domain.seating import House, SeatMap
from app.domain.showings import Showing
from app.domain.wanted import Wanted

_SHOWINGS_REMEMBERED = 2000
_QUIET_LOOKS = 8  # in a row that find what was expected, until this process seems to be alone
_SHARE = 8  # together, requests get at most one in so many of the free seats


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Seats that somebody wants of a showing; no two are equal."""

    showing: Showing
    house: House
    wanted: Wanted


class _Remembered:
    """What is remembered of a showing: its free seats, if `is_known`."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.free = SeatMap(house)
        self.is_known = False
        self.place = random.randint(1, house.seats)  # noqa: S311 (not a secret)
        self.looked_up = False  # for the current batch


class SeatChooser:
    """Chooses seats for one batch after another, from one thread at a time."""

    def __init__(self) -> None:
        self._remembered: dict[Showing, _Remembered] = {}
        self._batch: dict[Showing, _Remembered] = {}
        self._quiet_looks = 0

    def begin(self, orders: Sequence[Order]) -> set[Showing]:
        """Begin a batch; return the showings whose taken seats have to be looked up for it."""
        if len(self._remembered) > _SHOWINGS_REMEMBERED:
            self._remembered.clear()
        self._batch = {}
        seats = Counter[Showing]()
        unknown = set()
        for order in orders:
            showing, wanted = order.showing, order.wanted
            house = self._remembered.get(showing)
            if house is None or house.house != order.house:
                house = self._remembered[showing] = _Remembered(order.house)
            house.looked_up = False
            self._batch[showing] = house
            seats[showing] += wanted.amount
            if (
                not house.is_known
                or seats[showing] > len(house.free)
                or not all(seat in house.free for seat in wanted.seats)
                or (
                    wanted.amount > 1
                    and not wanted.seats
                    and not self._sits_together(house.free, wanted)
                )
            ):
                unknown.add(showing)
        if len(orders) == 1 and not self._alone:
            unknown.add(orders[0].showing)
        return unknown

    def learn(self, taken: Mapping[Showing, Set[int]]) -> None:
        """Remember which seats of these showings are taken."""
        for showing, seats in taken.items():
            house = self._batch[showing]
            free = SeatMap(house.house, seats)
            if house.is_known:
                as_expected = len(free) == len(house.free)
                self._quiet_looks = self._quiet_looks + 1 if as_expected else 0
            house.free, house.is_known, house.looked_up = free, True, True

    def choose(self, orders: Sequence[Order]) -> list[tuple[int, ...] | Refusal | None]:
        """Return for each order the seats to try, its refusal, or None if it has to come again."""
        company = Counter(order.showing for order in orders)
        claimed = Counter[Showing]()
        choices: list[tuple[int, ...] | Refusal | None] = []
        for order in orders:
            showing, wanted, house = order.showing, order.wanted, self._batch[order.showing]
            free = house.free
            together = company[showing] > 1 and not self._alone
            if not together or wanted.seats:
                seats = _find(free, wanted)
            elif claimed[showing] <= (len(free) + claimed[showing]) // _SHARE:
                seats = free.best(wanted.amount, house.place)
            else:
                seats = ()
            if seats:
                free.take(seats)
                claimed[showing] += len(seats)
                choices.append(seats)
            elif house.looked_up and not claimed[showing]:
                choices.append(_refusal(free, wanted))
            else:
                choices.append(None)
        return choices

    def lose(self, showing: Showing) -> None:
        """Note that somebody else had a seat that this process has tried to get."""
        house = self._batch[showing]
        house.is_known = False
        house.place = random.randint(1, house.house.seats)  # noqa: S311 (not a secret)
        self._quiet_looks = 0

    def forget(self, showing: Showing) -> None:
        """Forget which seats of a showing are free; any thread may call this."""
        self._remembered.pop(showing, None)

    @property
    def _alone(self) -> bool:
        """Whether no other process seems to sell the same houses."""
        return self._quiet_looks >= _QUIET_LOOKS

    @staticmethod
    def _sits_together(free: SeatMap, wanted: Wanted) -> bool:
        """Return whether a party need not be split up; one person or chosen seats never are."""
        if wanted.amount == 1 or wanted.seats:
            return True
        seats = free.best(wanted.amount)
        return bool(seats) and seats[-1] - seats[0] == wanted.amount - 1


def choose(free: SeatMap, wanted: Wanted) -> tuple[int, ...]:
    """Return the wanted seats of those that are free, ascending.

    Raises SoldOut, NotEnoughSeats or SeatTaken.
    """
    if seats := _find(free, wanted):
        return seats
    raise _refusal(free, wanted)


def _find(free: SeatMap, wanted: Wanted) -> tuple[int, ...]:
    if wanted.seats:
        return wanted.seats if all(seat in free for seat in wanted.seats) else ()
    return free.best(wanted.amount)


def _refusal(free: SeatMap, wanted: Wanted) -> Refusal:
    if not free:
        return SoldOut()
    return SeatTaken(list(free)) if wanted.seats else NotEnoughSeats(len(free))
