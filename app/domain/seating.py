"""Which seats a party gets: side by side if they can be, no seat left alone, near the middle."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, chain, zip_longest
from typing import NamedTuple

# About how many combinations are weighed where a party has to be split: all, in a small house.
_BUDGET = 10_000

# A choice of seats: how many singles it adds, how far it is from the focus, and the seats. The
# lowest is the best. A list of them holds the best that leaves 0, 1, 2, ... seats free.
_Choice = tuple[int, int, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class House:
    """The seats of a showing, numbered from 1 from the front left, row by row.

    There are `seats_per_row` in each row; the last may be shorter.
    """

    seats: int
    seats_per_row: int

    def label(self, seat: int) -> str:
        """Return the row's letters and the number in the row, such as `B2`; after Z comes AA."""
        row, column = divmod(seat - 1, self.seats_per_row)
        letters = ""
        while row >= 0:
            letters = chr(ord("A") + row % 26) + letters
            row = row // 26 - 1
        return f"{letters}{column + 1}"

    def are_together(self, seats: Sequence[int]) -> bool:
        """Return whether these seats (ascending) are side by side in one row."""
        first, last = seats[0] - 1, seats[-1] - 1
        in_one_row = first // self.seats_per_row == last // self.seats_per_row
        return in_one_row and last - first == len(seats) - 1


class _Focus(NamedTuple):
    """What a party should be near, in doubled coordinates, and whether singles count."""

    x: int
    y: int
    row_distance: int  # from one row to the next, where 1 is that from seat to seat
    singles_count: bool


class SeatMap:
    """The free seats of a house, as one bit mask per row: bit 0 is the row's first seat.

    A single is a free seat that has no free neighbour in its row. Distances are squared, between
    doubled coordinates, so that the middle of four seats is a whole number too.
    """

    def __init__(self, house: House, taken: Collection[int] = ()) -> None:
        self.house = house
        full_rows, rest = divmod(house.seats, house.seats_per_row)
        self._rows = [(1 << house.seats_per_row) - 1] * full_rows
        if rest:
            self._rows.append((1 << rest) - 1)
        self._free = house.seats
        self._singles = sum(_singles(row).bit_count() for row in self._rows)
        self.take(taken)

    def __len__(self) -> int:
        return self._free

    def __contains__(self, seat: int) -> bool:
        row, column = divmod(seat - 1, self.house.seats_per_row)
        return 1 <= seat <= self.house.seats and bool(self._rows[row] >> column & 1)

    def __iter__(self) -> Iterator[int]:
        for row, free in enumerate(self._rows):
            for column, length in _runs(free):
                first = row * self.house.seats_per_row + column + 1
                yield from range(first, first + length)

    def take(self, seats: Iterable[int]) -> None:
        """Mark seats as taken; those already taken, or not in the house, change nothing."""
        for row, mask in self._by_row(seats).items():
            self._set_row(row, self._rows[row] & ~mask)

    def release(self, seats: Iterable[int]) -> None:
        """Mark seats as free; those already free, or not in the house, change nothing."""
        for row, mask in self._by_row(seats).items():
            self._set_row(row, self._rows[row] | mask)

    def best(self, amount: int, near: int | None = None) -> tuple[int, ...]:
        """Return the best free seats for a party, ascending; none if too few are free.

        In this order: side by side; in few rows, close together; with few singles left in the
        house; near its middle, or the seat `near`; with low numbers. With `near`, singles do not
        count, and rows are filled one after another: sellers that keep to different places must
        not meet at the same single, and rarely elsewhere.
        """
        if not 0 < amount <= self._free:
            return ()
        if amount == self._free:
            return tuple(self)
        if near is None:
            width = min(self.house.seats, self.house.seats_per_row)
            focus = _Focus(width - 1, len(self._rows) - 1, 1, singles_count=True)
        else:
            row, column = divmod(near - 1, self.house.seats_per_row)
            focus = _Focus(2 * column, 2 * row, 2 * self.house.seats_per_row, singles_count=False)
        return self._together(amount, focus) or self._apart(amount, focus)

    def _together(self, amount: int, focus: _Focus) -> tuple[int, ...]:
        """Return the best seats side by side, if there are any."""
        x, y, row_distance, singles_count = focus
        best: tuple[int, int, int] | None = None
        fewest = -1 if singles_count and amount == 1 and self._singles else 0
        # From the rows nearest to the focus outwards.
        before = range(min(y // 2, len(self._rows) - 1), -1, -1)
        behind = range(y // 2 + 1, len(self._rows))
        for row in chain.from_iterable(zip_longest(before, behind)):
            if row is None or not (free := self._rows[row]):
                continue
            height = ((2 * row - y) * row_distance) ** 2
            if best and best[0] == fewest and best[1] < height:
                break
            starts = _starts(free, amount)
            if not starts:
                continue
            # The starts that leave a single on the left, and on the right.
            left = free << 1 & ~(free << 2)
            right = free >> amount & ~(free >> amount + 1)
            if not singles_count:
                singles, best_starts = 0, starts
            elif amount == 1 and (best_starts := _singles(free)):
                singles = -1
            elif best_starts := starts & ~(left | right):
                singles = 0
            elif best_starts := starts & (left ^ right):
                singles = 1
            else:
                singles, best_starts = 2, starts
            column = _nearest(best_starts, x - amount + 1)
            distance = height + (2 * column + amount - 1 - x) ** 2
            choice = singles, distance, row * self.house.seats_per_row + column + 1
            if best is None or choice < best:
                best = choice
        return tuple(range(best[2], best[2] + amount)) if best else ()

    def _apart(self, amount: int, focus: _Focus) -> tuple[int, ...]:
        """Return the best seats for a party that cannot sit side by side."""
        free = [row.bit_count() for row in self._rows]
        totals = list(accumulate(sorted(free, reverse=True)))
        fewest = bisect_left(totals, amount) + 1  # rows
        # As one row fewer would not do, less than a row is left in any that are chosen.
        most = totals[fewest - 1] - amount
        weighing = fewest * (self.house.seats_per_row + (most + 1) ** 2)
        if max(weighing, fewest * len(free) // 20) > _BUDGET:
            return self._roughly(amount, fewest, focus)
        options = cache(lambda row: self._options(row, most, focus))
        windows = _windows(free, fewest, amount)
        best: _Choice | None = None
        spent = 0
        for window in sorted(windows, key=lambda rows: abs(rows[0] + rows[-1] - focus.y)):
            fullest = sorted(window, key=lambda row: (-free[row], abs(2 * row - focus.y)))[:fewest]
            left = sum(free[row] for row in fullest) - amount
            spent += fewest * (self.house.seats_per_row + (left + 1) ** 2)
            if best and spent > _BUDGET:
                break
            choices: list[_Choice] = [(0, 0, ())]
            for row in sorted(fullest):
                choices = _combined(choices, options(row), left)
            if best is None or choices[left] < best:
                best = choices[left]
        return best[2] if best else ()

    def _roughly(self, amount: int, rows: int, focus: _Focus) -> tuple[int, ...]:
        """Return seats in the fullest rows, inner ones first, for a party of hundreds.

        Weighing all its choices would keep all other requests waiting.
        """

        def distance(row: int) -> int:
            return abs(2 * row - focus.y)

        fullest = sorted(
            range(len(self._rows)), key=lambda row: (-self._rows[row].bit_count(), distance(row))
        )[:rows]
        width = self.house.seats_per_row
        seats = [
            (distance(row), abs(2 * column - focus.x), row * width + column + 1)
            for row in fullest
            for first, length in _runs(self._rows[row])
            for column in range(first, first + length)
        ]
        return tuple(sorted(seat for *_, seat in sorted(seats)[:amount]))

    def _options(self, row: int, most: int, focus: _Focus) -> list[_Choice]:
        """Return the best choices of this row's seats that leave up to `most` of them."""
        x, y, row_distance, singles_count = focus
        width, free = self.house.seats_per_row, self._rows[row]
        height = ((2 * row - y) * row_distance) ** 2
        distances = [(2 * column - x) ** 2 + height for column in range(width)]
        sums = [0, *accumulate(distances)]

        def block(first: int, length: int, before: int, left: int) -> _Choice:
            """Take a run but for `left` seats, `before` of which are in front."""
            start, end = first + before, first + before + length - left
            seats = tuple(range(row * width + start + 1, row * width + end + 1))
            singles = (before == 1) + (left - before == 1)
            return singles_count * singles, sums[end] - sums[start], seats

        choices: list[_Choice] = [(-singles_count * _singles(free).bit_count(), 0, ())]
        for first, length in _runs(free):
            run = [
                min(block(first, length, before, left) for before in range(left + 1))
                for left in range(min(length, most + 1))
            ]
            run.append((singles_count * (length == 1), 0, ()))  # all of it left
            choices = _combined(choices, run, most)
        return choices

    def _by_row(self, seats: Iterable[int]) -> dict[int, int]:
        """Return the seats that the house has, as a mask for each row."""
        masks: dict[int, int] = {}
        for seat in seats:
            if 1 <= seat <= self.house.seats:
                row, column = divmod(seat - 1, self.house.seats_per_row)
                masks[row] = masks.get(row, 0) | 1 << column
        return masks

    def _set_row(self, row: int, free: int) -> None:
        """Replace a row's mask, and update the counts."""
        before, self._rows[row] = self._rows[row], free
        self._free += free.bit_count() - before.bit_count()
        self._singles += _singles(free).bit_count() - _singles(before).bit_count()


def best_seats(free: Collection[int], amount: int, house: House) -> tuple[int, ...]:
    """Return the best of these free seats for a party, as `SeatMap.best` does."""
    seats = SeatMap(house, range(1, house.seats + 1))
    seats.release(free)
    return seats.best(amount)


def _singles(free: int) -> int:
    """Return the mask of the free seats without a free neighbour."""
    return free & ~(free << 1) & ~(free >> 1)


def _runs(free: int) -> Iterator[tuple[int, int]]:
    """Yield the first column and the length of every run of free seats."""
    while free:
        first = (free & -free).bit_length() - 1
        beyond = free + (1 << first)  # the carry ends at the first taken seat
        length = (beyond & -beyond).bit_length() - 1 - first
        yield first, length
        free &= beyond


def _starts(free: int, amount: int) -> int:
    """Return the mask of the seats at which a run of `amount` free ones begins."""
    have = 1
    while have < amount and free:
        step = min(have, amount - have)
        free &= free >> step
        have += step
    return free


def _nearest(mask: int, doubled: int) -> int:
    """Return the index of the set bit nearest to half of `doubled`; of two, the lower."""
    below = mask & (1 << max(doubled // 2 + 1, 0)) - 1
    above = mask ^ below
    low, high = below.bit_length() - 1, (above & -above).bit_length() - 1
    if not above or (below and doubled - 2 * low <= 2 * high - doubled):
        return low
    return high


def _windows(free: list[int], rows: int, amount: int) -> list[range]:
    """Return the shortest stretches of rows in which `rows` of them have `amount` free seats."""
    windows: list[range] = []
    counts: list[int] = []  # of the stretch, ascending
    first = 0
    for last, count in enumerate(free):
        insort(counts, count)
        while sum(counts[-rows:]) >= amount:
            windows.append(range(first, last + 1))
            del counts[bisect_left(counts, free[first])]
            first += 1
    shortest = min(map(len, windows))
    return [window for window in windows if len(window) == shortest]


def _combined(some: list[_Choice], others: list[_Choice], most: int) -> list[_Choice]:
    """Return the best choices in two parts of the house together that leave up to `most` seats."""
    return [
        min(
            (a[0] + b[0], a[1] + b[1], a[2] + b[2])
            for a, b in zip(some[max(0, left - len(others) + 1) :], others[left::-1], strict=False)
        )
        for left in range(min(most, len(some) + len(others) - 2) + 1)
    ]
