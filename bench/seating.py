"""How well parties sit when a house is sold to the end, one party after another."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable
from itertools import combinations

from app.domain.seating import House, SeatMap
from bench.run import Run
from bench.workloads import CAPACITY

Rule = Callable[[SeatMap, int], tuple[int, ...]]

_HOUSES = {  # with the number of houses that are sold
    "20 seats, rows of 5": (House(20, 5), 300),
    "200 seats, rows of 20": (House(200, 20), 100),
    "996 seats, rows of 20": (House(996, 20), 30),
}
_LARGEST_PARTY = 6
_MOSTLY_SOLD = 0.8


def seating(run: Run) -> None:
    """Sell houses in random parties; count those that sit together, and lone seats."""
    table = []
    for number, (title, (house, houses)) in enumerate(_HOUSES.items()):
        run.progress.at(number / len(_HOUSES))
        rules: dict[str, Rule] = {"box office": SeatMap.best, "first free": _first_free}
        if house.seats == CAPACITY:
            rules["fewest lone seats, by trying every choice"] = _try_all
        for name, rule in rules.items():
            seeds = range(max(1, houses // run.length.divisor))
            sold = [_sell(house, rule, seed) for seed in seeds]
            together, lone = (statistics.mean(column) for column in zip(*sold, strict=True))
            table.append([title, name, f"**{together:.1%}**", f"{lone:.2f}"])
    run.report.add(
        "How parties sit",
        f"Houses sold to the end in random parties of 1 to {_LARGEST_PARTY}, one after another."
        " *Together* is the share of parties of two or more whose seats are side by side in one"
        " row. A lone seat is free, but its neighbours are not.",
        ["", "", "together", f"lone seats at {_MOSTLY_SOLD:.0%} sold"],
        table,
    )


def _sell(house: House, rule: Rule, seed: int) -> tuple[float, int]:
    """Sell a house; return the share of parties that sit together, and the number of lone seats.

    Parties of one are not counted. Lone seats are counted once most of the seats are sold.
    """
    parties = random.Random(seed)  # noqa: S311 (the same parties for each rule)
    free = SeatMap(house)
    together: list[bool] = []
    lone: int | None = None
    while free:
        amount = min(parties.randint(1, _LARGEST_PARTY), len(free))
        seats = rule(free, amount)
        free.take(seats)
        if amount > 1:
            together.append(house.are_together(seats))
        if lone is None and len(free) <= house.seats * (1 - _MOSTLY_SOLD):
            lone = _lone_seats(free, house)
    return statistics.mean(together), lone or 0


def _first_free(free: SeatMap, amount: int) -> tuple[int, ...]:
    """Return the free seats with the lowest numbers, the usual simple rule."""
    return tuple(free)[:amount]


def _try_all(free: SeatMap, amount: int) -> tuple[int, ...]:
    """Return seats side by side if possible, and of these the ones that leave the fewest lone."""

    def rank(seats: tuple[int, ...]) -> tuple[bool, int, tuple[int, ...]]:
        after = SeatMap(free.house, set(range(1, free.house.seats + 1)) - set(free) | set(seats))
        return not free.house.are_together(seats), _lone_seats(after, free.house), seats

    return min(combinations(free, amount), key=rank)


def _lone_seats(free: SeatMap, house: House) -> int:
    return sum(
        not any(
            neighbour in free and _row(neighbour, house) == _row(seat, house)
            for neighbour in (seat - 1, seat + 1)
        )
        for seat in free
    )


def _row(seat: int, house: House) -> int:
    return (seat - 1) // house.seats_per_row
