"""Which seats a request asks for, and when a house cannot have them."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain.seating import House
from app.domain.showings import Play
from app.domain.wanted import Wanted

TIMETABLE = Play("18:00", House(seats=20, seats_per_row=5))
MOVIE = Play("18:00", House(seats=20, seats_per_row=5), screen=1, movie=1)


@pytest.mark.parametrize(
    ("wanted", "asked"),
    [
        (Wanted(), {}),
        (Wanted(1), {}),
        (Wanted(4), {"amount": 4}),
        (Wanted(seats=(7,), field="seat"), {"seat": 7}),
        (Wanted(1, (7,), "seats"), {"seats": [7]}),
        (Wanted(3, (7, 8, 9), "seats"), {"seats": [7, 8, 9]}),
    ],
)
def test_it_is_described_as_the_request_had_it(wanted: Wanted, asked: dict[str, Any]) -> None:
    assert wanted.as_asked() == asked


@pytest.mark.parametrize("play", [TIMETABLE, MOVIE])
@pytest.mark.parametrize(
    "wanted",
    [
        Wanted(1),
        Wanted(20),
        Wanted(seats=(20,), field="seat"),
        Wanted(20, tuple(range(1, 21)), "seats"),
    ],
)
def test_seats_of_the_house_are_not_an_error(play: Play, wanted: Wanted) -> None:
    assert wanted.errors(play) == {}


@pytest.mark.parametrize("play", [TIMETABLE, MOVIE])
@pytest.mark.parametrize("wanted", [Wanted(seats=(21,), field="seat"), Wanted(2, (1, 21), "seats")])
def test_an_unknown_seat_is_an_error_of_its_field(play: Play, wanted: Wanted) -> None:
    assert wanted.errors(play) == {wanted.field: ["The seats are numbered from 1 to 20."]}


def test_a_party_larger_than_the_house_is_an_error_only_in_the_timetable() -> None:
    assert Wanted(21).errors(TIMETABLE) == {"amount": ["Must be from 1 to 20."]}
    assert Wanted(21).errors(MOVIE) == {}
