"""Showings: times of day, dates and the theatre's time zone, as pure functions of `now`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from app.domain.refusals import NotOnSale, Refusal, ShowingStarted
from app.domain.seating import House

# A showing is on sale until its minute has passed: at 18:00:30, 18:00 is still today's.
BOARDING_TIME = timedelta(minutes=1)

TIMING = "([01][0-9]|2[0-3]):[0-5][0-9]"  # a regular expression
NOT_A_TIMING = "Not a time of day in the form HH:MM, from 00:00 to 23:59."


def parse_timing(text: str) -> str:
    """Return `text` if it is a time of day, `HH:MM` in 24 hours and ASCII digits.

    Raises ValueError otherwise.
    """
    if not re.fullmatch(TIMING, text):
        raise ValueError(NOT_A_TIMING)
    return text


def parse_date(text: str) -> date:
    """Read a calendar day, `YYYY-MM-DD` in ASCII digits; raises ValueError otherwise."""
    message = "Not a date in the form YYYY-MM-DD."
    # fromisoformat alone would also take 20261122 and 2026-W47-7.
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        raise ValueError(message)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(message) from None


@dataclass(frozen=True, slots=True)
class Play:
    """What plays every day at a `timing` (`HH:MM`, the theatre's time), and in which house.

    The timetable's plays have neither `screen` nor `movie`, which are numbers from 1.
    """

    timing: str
    house: House
    screen: int | None = None
    movie: int | None = None
    title: str | None = None
    on_sale: bool = True


@dataclass(frozen=True, slots=True)
class Showing:
    """A timing (`HH:MM`) on a date, both in the theatre's time zone; `at` is its instant in UTC.

    Screen, timing and date identify it: where the clocks skip an hour, two showings share an
    instant. `screen` is None in the house of the timetable.
    """

    timing: str
    date: date
    at: datetime = field(compare=False)
    screen: int | None = None
    movie: int | None = field(default=None, compare=False)
    title: str | None = field(default=None, compare=False)

    def has_started(self, now: datetime) -> bool:
        """Return whether the minute in which the showing starts has passed at `now`."""
        return now >= self.at + BOARDING_TIME


@dataclass(frozen=True, slots=True)
class Calendar:
    """The theatre's calendar: its time zone, and how many days ahead of today it sells."""

    zone: tzinfo
    advance_days: int

    def local(self, instant: datetime) -> datetime:
        """Return `instant` (any zone) in the theatre's zone."""
        return instant.astimezone(self.zone)

    def before(self, instant: datetime, period: timedelta) -> datetime:
        """Return the instant that is `period` earlier, in the theatre's zone."""
        # In UTC, because within one zone Python's arithmetic ignores changes of the clocks.
        return self.local(instant.astimezone(UTC) - period)

    def showing(self, play: Play, day: date) -> Showing:
        """Return the showing of `play` on `day`.

        A wall time that is skipped when the clocks change is shifted forward by the gap, and one
        that occurs twice means the first (PEP 495, `fold=0`).
        """
        wall = datetime.combine(day, time.fromisoformat(play.timing), tzinfo=self.zone)
        at = wall.astimezone(UTC)
        return Showing(play.timing, day, at, play.screen, play.movie, play.title)

    def next_showing(self, play: Play, now: datetime) -> Showing:
        """Return the first showing of `play`, from today on, that has not started at `now`."""
        day = self.local(now).date()
        while (showing := self.showing(play, day)).has_started(now):
            day += timedelta(days=1)
        return showing

    def why_unbookable(self, play: Play, showing: Showing, now: datetime) -> Refusal | None:
        """Return why a showing sells no seats at `now`, or None.

        Free seats and the booking window (`date_error`) are separate questions: a moved ticket may
        keep its date when the window has shrunk.
        """
        if not play.on_sale:
            return NotOnSale()
        if showing.has_started(now):
            return ShowingStarted()
        return None

    def around(self, day: date) -> tuple[datetime, datetime]:
        """Return two instants between which all showings of a day are, with a day to spare.

        The zone of the theatre may have been another one when a ticket was booked.
        """
        spare = timedelta(days=3)  # to the ends of the calendar, where nothing plays
        day = min(max(day, date.min + spare), date.max - spare)
        noon = datetime.combine(day, time(12), tzinfo=self.zone).astimezone(UTC)
        return noon - timedelta(days=1.5), noon + timedelta(days=1.5)

    def date_error(self, day: date, now: datetime) -> str | None:
        """Return what is wrong with booking for `day` at `now`: past, or beyond the window."""
        today = self.local(now).date()
        last = today + timedelta(days=self.advance_days)
        if day < today:
            return "This date is in the past."
        if day > last:
            return f"Tickets are only on sale up to {last}."
        return None
