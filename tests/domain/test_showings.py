"""Which showing is meant, at every awkward instant."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.domain.refusals import NotOnSale, Refusal, ShowingStarted
from app.domain.seating import House
from app.domain.showings import Calendar, Play, Showing, parse_date, parse_timing

HOUSE = House(seats=20, seats_per_row=5)


def play(timing: str = "18:00") -> Play:
    return Play(timing, HOUSE)


def calendar(zone: str) -> Calendar:
    return Calendar(ZoneInfo(zone), advance_days=30)


def at(zone: str, text: str) -> datetime:
    """Return a wall time of `zone` as an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize("timing", ["00:00", "09:05", "19:59", "23:59"])
def test_a_well_formed_timing_is_accepted(timing: str) -> None:
    assert parse_timing(timing) == timing


@pytest.mark.parametrize(
    "timing",
    [
        "",
        "9:00",
        "24:00",
        "1000",
        "10:60",
        "10:00\n",
        " 10:00",
        "10:00:00",
        "१०:००",
        "10-00",
        "-1:00",
    ],
)
def test_a_malformed_timing_is_refused(timing: str) -> None:
    with pytest.raises(ValueError, match="HH:MM"):
        parse_timing(timing)


def test_a_leap_day_exists_in_leap_years_only() -> None:
    assert parse_date("2028-02-29") == date(2028, 2, 29)
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        parse_date("2026-02-29")


@pytest.mark.parametrize(
    "text", ["", "20261122", "2026-W47-7", "2026-11-31", "22-11-2026", "2026-11-22\n", "२०२६-११-२२"]
)
def test_a_malformed_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        parse_date(text)


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        ("2026-11-22T17:59:59.999999", "2026-11-22"),  # before
        ("2026-11-22T18:00:00", "2026-11-22"),  # at
        ("2026-11-22T18:00:59.999999", "2026-11-22"),  # while its minute lasts
        ("2026-11-22T18:01:00", "2026-11-23"),  # after
        ("2026-11-30T18:01:00", "2026-12-01"),  # the month ends
        ("2026-12-31T18:01:00", "2027-01-01"),  # the year ends
        ("2028-02-28T18:01:00", "2028-02-29"),  # a leap year's February
        ("2026-02-28T18:01:00", "2026-03-01"),  # and a common one's
        ("2026-11-23T00:00:00", "2026-11-23"),  # midnight
    ],
)
@pytest.mark.parametrize(
    "zone",
    ["UTC", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham", "America/Los_Angeles"],
)
def test_the_next_showing_has_not_started(zone: str, now: str, expected: str) -> None:
    showing = calendar(zone).next_showing(play(), at(zone, now))
    assert showing.date.isoformat() == expected
    assert showing.at == at(zone, f"{expected}T18:00:00")


def test_midnight_is_the_days_first_minute() -> None:
    zone = "Asia/Kolkata"
    during = calendar(zone).next_showing(play("00:00"), at(zone, "2026-11-22T00:00:59"))
    after = calendar(zone).next_showing(play("00:00"), at(zone, "2026-11-22T00:01:00"))
    assert (during.date.day, after.date.day) == (22, 23)


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("Asia/Kolkata", "+05:30"), ("Asia/Kathmandu", "+05:45"), ("Pacific/Marquesas", "-09:30")],
)
def test_zones_off_the_hour(zone: str, offset: str) -> None:
    showing = calendar(zone).showing(play(), date(2026, 11, 22))
    assert showing.at == datetime.fromisoformat(f"2026-11-22T18:00:00{offset}")


@pytest.mark.parametrize(
    ("zone", "day", "timing", "local"),
    [
        ("Europe/Berlin", "2026-03-29", "02:30", "2026-03-29T03:30:00+02:00"),
        ("America/New_York", "2026-03-08", "02:00", "2026-03-08T03:00:00-04:00"),
        ("Australia/Sydney", "2026-10-04", "02:30", "2026-10-04T03:30:00+11:00"),
        ("Australia/Lord_Howe", "2026-10-04", "02:15", "2026-10-04T02:45:00+11:00"),
    ],
)
def test_a_skipped_time_is_shifted_by_the_gap(zone: str, day: str, timing: str, local: str) -> None:
    showing = calendar(zone).showing(play(timing), date.fromisoformat(day))
    assert calendar(zone).local(showing.at).isoformat() == local


@pytest.mark.parametrize(
    ("zone", "day", "timing", "local"),
    [
        ("Europe/Berlin", "2026-10-25", "02:30", "2026-10-25T02:30:00+02:00"),
        ("America/New_York", "2026-11-01", "01:00", "2026-11-01T01:00:00-04:00"),
        ("Australia/Sydney", "2026-04-05", "02:30", "2026-04-05T02:30:00+11:00"),
        ("Australia/Lord_Howe", "2026-04-05", "01:45", "2026-04-05T01:45:00+11:00"),
    ],
)
def test_a_time_that_occurs_twice_means_the_first(
    zone: str, day: str, timing: str, local: str
) -> None:
    showing = calendar(zone).showing(play(timing), date.fromisoformat(day))
    assert calendar(zone).local(showing.at).isoformat() == local


def test_two_showings_at_the_same_instant_differ() -> None:
    berlin = calendar("Europe/Berlin")
    skipped, real = (
        berlin.showing(play(timing), date(2026, 3, 29)) for timing in ("02:30", "03:30")
    )
    assert skipped.at == real.at
    assert skipped != real


def test_a_showing_has_the_movie_and_screen_of_its_play() -> None:
    movie = Play("18:00", HOUSE, screen=2, movie=3, title="Sholay")
    theatre = calendar("Asia/Kolkata")
    showing = theatre.showing(movie, date(2026, 11, 22))
    assert (showing.screen, showing.movie, showing.title) == (2, 3, "Sholay")
    assert showing != theatre.showing(play(), date(2026, 11, 22))


def test_screen_timing_and_date_identify_a_showing() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    showing = Showing("18:00", date(2026, 11, 22), noon, screen=1, movie=1, title="Sholay")
    same = Showing("18:00", date(2026, 11, 22), noon.replace(hour=13), screen=1, movie=2)
    assert showing == same
    assert hash(showing) == hash(same)
    for other in (
        Showing("19:00", date(2026, 11, 22), noon, screen=1),
        Showing("18:00", date(2026, 11, 23), noon, screen=1),
        Showing("18:00", date(2026, 11, 22), noon, screen=2),
        Showing("18:00", date(2026, 11, 22), noon),
    ):
        assert showing != other


def test_a_showing_has_started_when_its_minute_has_passed() -> None:
    showing = calendar("Asia/Kolkata").showing(play(), date(2026, 11, 22))
    assert not showing.has_started(at("Asia/Kolkata", "2026-11-22T18:00:59.999999"))
    assert showing.has_started(at("Asia/Kolkata", "2026-11-22T18:01:00"))


@pytest.mark.parametrize(
    ("zone", "now", "today"),
    [
        ("Asia/Kolkata", "2026-11-22T00:30:00", date(2026, 11, 22)),  # UTC still has the 21st
        ("America/Los_Angeles", "2026-11-22T20:00:00", date(2026, 11, 22)),  # and here the 23rd
    ],
)
def test_the_booking_window_begins_on_the_theatres_day(zone: str, now: str, today: date) -> None:
    instant = at(zone, now)
    assert instant.date() != today
    yesterday = today - timedelta(days=1)
    assert calendar(zone).date_error(yesterday, instant) == "This date is in the past."
    assert calendar(zone).date_error(today, instant) is None
    last = today + timedelta(days=30)
    assert calendar(zone).date_error(last, instant) is None
    error = calendar(zone).date_error(last + timedelta(days=1), instant)
    assert error == f"Tickets are only on sale up to {last}."


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Marquesas", "Asia/Kolkata"])
@pytest.mark.parametrize("timing", ["00:00", "23:59"])
def test_the_span_around_a_day_covers_all_its_showings(zone: str, timing: str) -> None:
    day = date(2026, 11, 22)
    for theatre in (calendar("Asia/Kolkata"), calendar(zone)):
        start, end = theatre.around(day)
        assert start <= calendar(zone).showing(play(timing), day).at <= end


def test_the_day_is_the_theatres_wherever_the_machine_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theatre, day = calendar("Pacific/Kiritimati"), date(2026, 11, 22)
    monkeypatch.setenv("TZ", "Etc/GMT+12")  # 26 hours behind
    time.tzset()
    try:
        start, end = theatre.around(day)
    finally:
        monkeypatch.undo()
        time.tzset()
    noon = at("Pacific/Kiritimati", "2026-11-22T12:00:00")
    assert noon - start == end - noon == timedelta(days=1.5)


@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Marquesas"])
def test_the_first_and_last_days_of_the_calendar_cause_no_error(zone: str) -> None:
    for day in (date.min, date.max):
        start, end = calendar(zone).around(day)
        assert start < end


def test_the_booking_window_ends_after_the_days_ahead() -> None:
    now = at("Asia/Kolkata", "2026-11-22T23:59:59")
    past, beyond = "This date is in the past.", "Tickets are only on sale up to 2026-12-22."
    assert {
        day: calendar("Asia/Kolkata").date_error(day, now)
        for day in (
            *(date.min, date(2026, 11, 21), date(2026, 11, 22)),
            *(date(2026, 12, 22), date(2026, 12, 23), date.max),
        )
    } == {
        date.min: past,
        date(2026, 11, 21): past,
        date(2026, 11, 22): None,
        date(2026, 12, 22): None,
        date(2026, 12, 23): beyond,
        date.max: beyond,
    }


@pytest.mark.parametrize(
    ("on_sale", "day", "reason"),
    [
        (True, date(2026, 11, 22), None),
        (True, date(2026, 12, 22), None),
        (False, date(2026, 11, 22), NotOnSale),
        (True, date(2026, 11, 21), ShowingStarted),
    ],
)
def test_why_a_showing_is_unbookable(
    on_sale: bool, day: date, reason: type[Refusal] | None
) -> None:
    theatre = calendar("Asia/Kolkata")
    evening = replace(play(), on_sale=on_sale)
    why = theatre.why_unbookable(
        evening, theatre.showing(evening, day), at("Asia/Kolkata", "2026-11-22T18:00:59")
    )
    assert (type(why) if why else None) == reason
