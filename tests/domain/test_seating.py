"""Seats: the choice is the best of all possible ones, and the one that people would make."""

from __future__ import annotations

from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import seating
from app.domain.seating import House, SeatMap, best_seats

SMALL = House(seats=20, seats_per_row=5)
LARGE = House(seats=996, seats_per_row=20)

# Split, rows, their span, singles left, distance, seats: the lowest is the best.
Rank = tuple[bool, int, int, int, int, tuple[int, ...]]


def row_of(seat: int, house: House) -> int:
    return (seat - 1) // house.seats_per_row


def distance(seat: int, focus: tuple[int, int], row_distance: int, house: House) -> int:
    row, column = divmod(seat - 1, house.seats_per_row)
    return (2 * column - focus[0]) ** 2 + (row_distance * (2 * row - focus[1])) ** 2


def singles(free: set[int], house: House) -> int:
    def is_free(seat: int, row: int) -> bool:
        return seat in free and row_of(seat, house) == row

    return sum(
        not is_free(seat - 1, row_of(seat, house)) and not is_free(seat + 1, row_of(seat, house))
        for seat in free
    )


def rank(seats: tuple[int, ...], free: set[int], house: House, near: int | None) -> Rank:
    rows = {row_of(seat, house) for seat in seats}
    row_distance = 1 if near is None else 2 * house.seats_per_row
    if near is None:
        focus = min(house.seats, house.seats_per_row) - 1, row_of(house.seats, house)
    else:
        focus = 2 * ((near - 1) % house.seats_per_row), 2 * row_of(near, house)
    return (
        len(rows) > 1 or seats[-1] - seats[0] >= len(seats),
        len(rows),
        max(rows) - min(rows),
        singles(free.difference(seats), house) if near is None else 0,
        sum(distance(seat, focus, row_distance, house) for seat in seats),
        seats,
    )


@st.composite
def situations(draw: st.DrawFn) -> tuple[House, set[int], int, int | None]:
    """A small house, its free seats, a party that fits, and perhaps a seat to be near."""
    house = House(draw(st.integers(1, 14)), draw(st.integers(1, 7)))
    seats = st.integers(1, house.seats)
    # In a mostly free house parties sit together; in a mostly full one they are split.
    free = draw(st.sets(seats, min_size=1, max_size=house.seats))
    if draw(st.booleans()):
        free = set(range(1, house.seats + 1)) - free or free
    return house, free, draw(st.integers(1, len(free))), draw(st.none() | seats)


@settings(max_examples=400, deadline=None)
@given(situations())
@pytest.mark.slow
def test_no_other_choice_is_better(situation: tuple[House, set[int], int, int | None]) -> None:
    house, free, amount, near = situation
    seats = SeatMap(house, set(range(1, house.seats + 1)) - free)
    chosen = seats.best(amount, near)
    assert chosen == tuple(sorted(set(chosen) & free))
    assert len(chosen) == amount
    achieved = rank(chosen, free, house, near)
    ranks = [rank(other, free, house, near) for other in combinations(sorted(free), amount)]
    assert achieved[:3] == min(ranks)[:3]
    if achieved[2] >= achieved[1]:
        # The rows are not next to each other; which of them is a matter of size.
        rows = {row_of(seat, house) for seat in chosen}
        ranks = [one for one in ranks if {row_of(seat, house) for seat in one[5]} == rows]
    assert achieved == min(ranks)


@settings(deadline=None)
@given(situations())
def test_free_seats_suffice_without_a_map(
    situation: tuple[House, set[int], int, int | None],
) -> None:
    house, free, amount, _ = situation
    taken = set(range(1, house.seats + 1)) - free
    assert best_seats(free, amount, house) == SeatMap(house, taken).best(amount)


@settings(deadline=None)
@given(
    st.integers(0, 14),
    st.integers(1, 7),
    st.lists(st.tuples(st.booleans(), st.sets(st.integers(-3, 20)))),
)
def test_a_map_holds_the_seats_not_taken(
    size: int, seats_per_row: int, changes: list[tuple[bool, set[int]]]
) -> None:
    seats = SeatMap(House(size, seats_per_row))
    house = set(range(1, size + 1))
    free = set(house)
    for taking, some in changes:
        if taking:
            seats.take(some)
            free -= some
        else:
            seats.release(some)
            free |= some & house
        assert list(seats) == sorted(free)
        assert len(seats) == len(free)
        assert {seat for seat in range(-3, 21) if seat in seats} == free


@pytest.mark.parametrize(
    ("seat", "label"),
    [(1, "A1"), (5, "A5"), (6, "B1"), (130, "Z5"), (131, "AA1"), (3510, "ZZ5"), (3511, "AAA1")],
)
def test_a_label_names_the_row_and_the_seat_in_it(seat: int, label: str) -> None:
    assert SMALL.label(seat) == label  # a house of 20, but labels go on


@given(st.integers(1, 50), st.integers(1, 9))
def test_labels_are_unique(seats: int, seats_per_row: int) -> None:
    house = House(seats, seats_per_row)
    assert len({house.label(seat) for seat in range(1, seats + 1)}) == seats


def labels(seats: tuple[int, ...], house: House = SMALL) -> str:
    return " ".join(house.label(seat) for seat in seats)


def seat(label: str, house: House = SMALL) -> int:
    return next(one for one in range(1, house.seats + 1) if house.label(one) == label)


def free_seats(text: str) -> list[int]:
    return [seat(label) for label in text.split()]


def test_the_first_customer_sits_in_the_middle() -> None:
    assert labels(SeatMap(SMALL).best(1)) == "B3"


def test_a_family_of_four_sits_side_by_side() -> None:
    # B1 to B4 would leave B5 alone, and so would B2 to B5 leave B1: there is no better row.
    assert labels(SeatMap(SMALL).best(4)) == "B1 B2 B3 B4"


def test_a_family_leaves_no_single_seat_if_another_row_allows_it() -> None:
    seats = SeatMap(SMALL, free_seats("A5"))
    assert labels(seats.best(4)) == "A1 A2 A3 A4"


def test_a_single_seat_is_filled_first() -> None:
    # D5 is in the corner, but a later customer might have to sit there alone.
    seats = SeatMap(SMALL, free_seats("D4"))
    assert labels(seats.best(1)) == "D5"


def test_a_party_sits_in_one_row_if_possible() -> None:
    assert labels(best_seats(free_seats("A1 A3 A5 B1 B3 C1 C3"), 3, SMALL)) == "A1 A3 A5"


def test_a_party_too_large_for_one_row_gets_adjacent_rows() -> None:
    assert labels(SeatMap(SMALL).best(7)) == "B1 B2 B3 B4 B5 C1 C2"


def test_separate_rows_are_as_close_as_possible() -> None:
    free = free_seats("A1 A2 A3 B1 C1 C3 C4 D1 D2 D3")
    assert labels(best_seats(free, 6, SMALL)) == "C1 C3 C4 D1 D2 D3"
    free = free_seats("A1 A2 A3 B1 D1 D2 D3")
    assert labels(best_seats(free, 6, SMALL)) == "A1 A2 A3 D1 D2 D3"


def test_a_party_sits_near_the_place_it_is_given() -> None:
    assert labels(SeatMap(SMALL).best(2, near=seat("D5"))) == "D4 D5"
    assert labels(SeatMap(SMALL).best(2, near=seat("A1"))) == "A1 A2"


def test_the_last_row_may_be_shorter() -> None:
    house = House(seats=7, seats_per_row=5)
    seats = SeatMap(house, range(1, 6))
    assert labels(tuple(seats), house) == "B1 B2"
    assert labels(seats.best(1), house) == "B2"


def test_near_a_place_single_seats_are_not_filled_first() -> None:
    seats = SeatMap(SMALL, free_seats("D4"))
    assert labels(seats.best(1, near=seat("A2"))) == "A2"


@pytest.mark.parametrize("amount", [0, 3])
def test_a_party_gets_all_its_seats_or_none(amount: int) -> None:
    assert best_seats([4, 9], amount, SMALL) == ()
    assert best_seats([4, 9], 2, SMALL) == (4, 9)


def test_a_house_may_be_empty_or_sold_out() -> None:
    assert SeatMap(House(0, 5)).best(1) == ()
    assert SeatMap(SMALL, range(1, 30)).best(1) == ()


@pytest.mark.parametrize("largest_party", [1, 6])
def test_a_large_house_sells_out(largest_party: int) -> None:
    seats, random = SeatMap(LARGE), Random(1)
    sold: set[int] = set()
    while seats:
        party = seats.best(min(random.randint(1, largest_party), len(seats)))
        assert party
        assert sold.isdisjoint(party)
        sold.update(party)
        seats.take(party)
        assert len(seats) + len(sold) == 996
    assert sold == set(range(1, 997))


def test_large_parties_find_room_in_a_fragmented_house() -> None:
    random = Random(2)
    taken = set(random.sample(range(1, 10_001), 3_000))
    for seats_per_row in (5, 20):
        seats = SeatMap(House(10_000, seats_per_row), taken)
        for amount in (30, 500, 5_000, 6_999):
            party = seats.best(amount)
            assert len(set(party)) == amount
            assert taken.isdisjoint(party)


def test_a_house_narrower_than_its_row_is_sold_from_its_middle() -> None:
    assert best_seats(range(1, 11), 1, House(seats=10, seats_per_row=20)) == (5,)


@pytest.mark.parametrize(
    ("house", "amount"),
    [(House(996, 100), 801), (House(10_000, 100), 9901), (House(10_000, 1), 5000)],
)
def test_a_party_of_hundreds_is_seated_without_weighing_choices(
    house: House, amount: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weighing them would keep all other requests waiting for seconds."""
    monkeypatch.delattr(seating, "_combined")
    seats = SeatMap(house).best(amount)
    assert len(set(seats)) == amount
    assert len({row_of(seat, house) for seat in seats}) == -(-amount // house.seats_per_row)
