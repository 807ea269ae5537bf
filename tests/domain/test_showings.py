"""Which showing is meant, at every awkward instant."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from app.theatre.showings import Calendar, parse_date, parse_timing


def calendar(zone: str) -> Calendar:
    return Calendar(ZoneInfo(zone), advance_days=30)


def at(zone: str, text: str) -> datetime:
    """Return a wall time of `zone` as an instant in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize("timing", ["00:00", "09:05", "19:59", "23:59"])
def test_a_timing_is_two_digits_twice(timing: str) -> None:
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
    showing = calendar(zone).next_showing("18:00", at(zone, now))
    assert showing.date.isoformat() == expected
    assert showing.at == at(zone, f"{expected}T18:00:00")


def test_midnight_is_the_days_first_minute() -> None:
    zone = "Asia/Kolkata"
    during = calendar(zone).next_showing("00:00", at(zone, "2026-11-22T00:00:59"))
    after = calendar(zone).next_showing("00:00", at(zone, "2026-11-22T00:01:00"))
    assert (during.date.day, after.date.day) == (22, 23)


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("Asia/Kolkata", "+05:30"), ("Asia/Kathmandu", "+05:45"), ("Pacific/Marquesas", "-09:30")],
)
def test_zones_off_the_hour(zone: str, offset: str) -> None:
    showing = calendar(zone).showing("18:00", date(2026, 11, 22))
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
    showing = calendar(zone).showing(timing, date.fromisoformat(day))
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
    showing = calendar(zone).showing(timing, date.fromisoformat(day))
    assert calendar(zone).local(showing.at).isoformat() == local


def test_two_showings_that_share_an_instant_stay_two() -> None:
    berlin = calendar("Europe/Berlin")
    skipped, real = (berlin.showing(timing, date(2026, 3, 29)) for timing in ("02:30", "03:30"))
    assert skipped.at == real.at
    assert skipped != real


def test_the_booking_window_ends_after_the_days_ahead() -> None:
    now = at("Asia/Kolkata", "2026-11-22T23:59:59")
    theatre = calendar("Asia/Kolkata")
    assert theatre.date_fault(date(2026, 11, 21), now)
    assert not theatre.date_fault(date(2026, 11, 22), now)
    assert not theatre.date_fault(date(2026, 12, 22), now)
    assert theatre.date_fault(date(2026, 12, 23), now)
    assert theatre.date_fault(date.max, now)
    assert theatre.date_fault(date.min, now)
