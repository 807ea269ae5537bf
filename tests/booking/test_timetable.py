"""The timetable: what plays at its times, all of it in one house."""

from __future__ import annotations

import pytest

from app.booking.timetable import Timetable
from app.domain.refusals import InvalidRequest
from app.domain.seating import House
from app.domain.showings import Play

HOUSE = House(seats=20, seats_per_row=5)
TIMETABLE = Timetable(("09:15", "21:30"), HOUSE)


def test_all_plays_are_in_order_of_timing() -> None:
    assert TIMETABLE.plays() == [Play("09:15", HOUSE), Play("21:30", HOUSE)]


def test_a_play_is_found_by_its_timing() -> None:
    assert TIMETABLE.find("21:30") == Play("21:30", HOUSE)


@pytest.mark.parametrize("timing", ["09:00", "", "9:15", "21:3"])
def test_an_unknown_timing_is_refused_with_the_known_ones(timing: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        TIMETABLE.find(timing)
    assert refusal.value.errors == {
        "timing": ["Not in the timetable. The show times are 09:15, 21:30."]
    }
