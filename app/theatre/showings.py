"""Which showing is meant: times of day, dates and the theatre's zone; pure functions of `now`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any

# A showing is on sale until its minute has passed: at 18:00:30, 18:00 is still today's.
BOARDING_TIME = timedelta(minutes=1)


def parse_timing(text: str) -> str:
    """Return `text` if it is a time of day, `HH:MM` in 24 hours and ASCII digits.

    Raises ValueError otherwise.
    """
    if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", text):
        raise ValueError("Not a time of day in the form HH:MM, from 00:00 to 23:59.")
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


def as_utc(instant: datetime) -> datetime:
    """Return a stored instant with its zone, which clients that are not tz_aware leave out."""
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Showing:
    """A timing (`HH:MM`) on a date, both in the theatre's time zone; `at` is its instant in UTC.

    Timing and date make the showing: where the clocks skip an hour, two showings share an instant.
    """

    timing: str
    date: date
    at: datetime = field(compare=False)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Showing:
        """Return the showing of a stored document."""
        day = date.fromisoformat(document["date"])
        return cls(document["timing"], day, as_utc(document["showing_at"]))

    def as_document(self) -> dict[str, Any]:
        """Return the fields of a stored document that say which showing it is of."""
        return {**self.identity(), "showing_at": self.at}

    def identity(self) -> dict[str, str]:
        """Return the fields that identify the showing."""
        return {"timing": self.timing, "date": self.date.isoformat()}

    def has_started(self, now: datetime) -> bool:
        """Tell whether the minute in which the showing starts has passed at `now`."""
        return now >= self.at + BOARDING_TIME


@dataclass(frozen=True, slots=True)
class Calendar:
    """The theatre's calendar: its time zone, and how many days ahead of today it sells."""

    zone: tzinfo
    advance_days: int

    def local(self, instant: datetime) -> datetime:
        """Return `instant` (any zone) in the theatre's zone."""
        return instant.astimezone(self.zone)

    def showing(self, timing: str, day: date) -> Showing:
        """Return the showing at `timing` on `day`.

        A wall time that is skipped when the clocks change is shifted forward by the gap, and one
        that occurs twice means the first (PEP 495, `fold=0`).
        """
        wall = datetime.combine(day, time.fromisoformat(timing), tzinfo=self.zone)
        return Showing(timing, day, wall.astimezone(UTC))

    def next_showing(self, timing: str, now: datetime) -> Showing:
        """Return the first showing at `timing`, from today on, that has not started at `now`."""
        day = self.local(now).date()
        while (showing := self.showing(timing, day)).has_started(now):
            day += timedelta(days=1)
        return showing

    def date_fault(self, day: date, now: datetime) -> str | None:
        """Return what is wrong with booking for `day` at `now`: past, or beyond the window."""
        today = self.local(now).date()
        last = today + timedelta(days=self.advance_days)
        if day < today:
            return "This date is in the past."
        if day > last:
            return f"Tickets are only on sale up to {last}."
        return None
