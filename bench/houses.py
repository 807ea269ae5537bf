"""What is for sale: showings and movies that nobody has booked, and the requests that sell them."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

from app.config import Settings
from app.theatre.showings import Calendar, Showing
from bench.load import Request, ask
from bench.servers import ADVANCE_DAYS

CAPACITY = 20  # seats of a showing, as the assignment has it
SEATS = 996  # of a screen, likewise
NAME, PHONE, PHONE_E164 = "Asha Rao", "9876543210", "+919876543210"
BOOKING_WINDOW = range(1, ADVANCE_DAYS)  # days ahead

_settings = Settings()  # the defaults, which the servers have, too
_calendar = Calendar(_settings.theatre_timezone, ADVANCE_DAYS)
_today = _calendar.local(datetime.now(UTC)).date()
_random = random.Random(6)  # noqa: S311 (the same order in every run)


def day(ahead: int) -> date:
    """Return the day so many days after today."""
    return _today + timedelta(days=ahead)


def showings(days: Iterable[int] = BOOKING_WINDOW) -> Iterator[Showing]:
    """Yield the timetable of one day after another; `days` counts them from today."""
    for ahead in days:
        for timing in _settings.show_times:
            yield _calendar.showing(timing, day(ahead))


def booking(showing: Showing) -> Request:
    """Return the request for a seat."""
    return Request("POST", "/booktickets", {"name": NAME, "phone": PHONE, **showing.identity()})


def filling(houses: Sequence[Showing]) -> list[Request]:
    """Return the requests that sell every seat of these houses, in a random order."""
    requests = [booking(showing) for showing in houses for _ in range(CAPACITY)]
    _random.shuffle(requests)
    return requests


def view(showing: Showing) -> Request:
    """Return the request for all tickets of a showing."""
    return Request("POST", "/viewontime", {**showing.identity()})


def slots(on: date) -> Request:
    """Return the request for the timetable of a day, whatever the time is now."""
    return Request("GET", f"/?date={on.isoformat()}")


def put_movie_on_sale(port: int) -> int:
    """Set up a screen, and a movie on it, at the service on this port; return its number."""
    screen = ask(port, Request("POST", "/api/screens", {"seats": SEATS}))["screen"]
    movie = {"screen": screen, "showtime": "18:00", "title": "Sholay"}
    number: int = ask(port, Request("POST", "/api/movies", movie))["movie"]
    ask(port, Request("PUT", "/api/tickets", {"movie": number}))
    return number


def purchase(movie: int, on: date) -> Request:
    """Return the request for one seat of a movie's showing."""
    return Request("POST", "/api/tickets", {"movie": movie, "date": on.isoformat()})
