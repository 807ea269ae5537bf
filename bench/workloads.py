"""The workloads: streams of requests, and the houses and movies that they are about."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice, repeat

from app.config import Settings
from app.theatre.showings import Calendar, Showing
from bench.load import ask, request, send
from bench.servers import ADVANCE_DAYS, Server

CAPACITY = 20  # seats of a showing, as the assignment has it
SEATS = 996  # seats of a screen, likewise
HOUSES = 50  # showings that fill at the same time, and full ones that refuse
CONNECTIONS = 64

_settings = Settings()  # the defaults, which the servers use, too
_calendar = Calendar(_settings.theatre_timezone, ADVANCE_DAYS)
_today = _calendar.local(datetime.now(UTC)).date()
_random = random.Random(6)  # noqa: S311 (the same order in every run)


@dataclass(frozen=True)
class Workload:
    """Requests without end to one server, and the status that each of them gets."""

    server: Server
    requests: Iterator[bytes]
    expected: int


def day(ahead: int) -> str:
    """Return the date this many days after today."""
    return (_today + timedelta(days=ahead)).isoformat()


def showings(first: int = 1, end: int = ADVANCE_DAYS) -> Iterator[Showing]:
    """Yield the showings of one day after another; the days are counted from today."""
    for ahead in range(first, end):
        for timing in _settings.show_times:
            yield _calendar.showing(timing, _today + timedelta(days=ahead))


def booking(showing: Showing) -> bytes:
    """Return the request for one seat."""
    who = {"name": "Asha Rao", "phone": "9876543210"}
    return request("POST", "/booktickets", who | showing.identity())


def view(showing: Showing) -> bytes:
    """Return the request for all tickets of a showing."""
    return request("POST", "/viewontime", {**showing.identity()})


def filling(unsold: Iterator[Showing]) -> Iterator[bytes]:
    """Yield bookings that fill 50 houses at a time from the first seat to the last."""
    while houses := list(islice(unsold, HOUSES)):
        requests = [booking(showing) for showing in houses] * CAPACITY
        _random.shuffle(requests)
        yield from requests


def put_movie_on_sale(port: int) -> int:
    """Add a screen and put a movie on sale there; return the movie's number."""
    screen = ask(port, request("POST", "/api/screens", {"seats": SEATS}))["screen"]
    movie = {"screen": screen, "showtime": "18:00", "title": "Sholay"}
    number: int = ask(port, request("POST", "/api/movies", movie))["movie"]
    ask(port, request("PUT", "/api/tickets", {"movie": number}))
    return number


def purchase(movie: int, date: str) -> bytes:
    """Return the request for one seat of a movie's showing."""
    return request("POST", "/api/tickets", {"movie": movie, "date": date})


def of_box_office(server: Server) -> dict[str, Workload]:
    """Fill 50 houses, put 20 movies on sale, and return the workloads by their names."""
    unsold = showings()
    full = list(islice(unsold, HOUSES))
    send(server.port, filling(iter(full)), CONNECTIONS)
    tickets = [ticket["ticket_id"] for each in full for ticket in ask(server.port, view(each))]
    movies = [put_movie_on_sale(server.port) for _ in range(20)]
    # There are enough of these showings for all of them to stay nearly empty.
    purchases = [purchase(movie, day(ahead)) for ahead in range(1, 101) for movie in movies]
    return {
        "booking": Workload(server, filling(unsold), 201),
        "refusal": Workload(server, cycle(map(booking, full)), 409),
        "one-house": Workload(server, repeat(booking(full[0])), 409),
        "slots": Workload(server, repeat(request("GET", f"/?date={day(1)}")), 200),
        "view": Workload(server, cycle(map(view, full)), 200),
        "purchase": Workload(server, cycle(purchases), 201),
        "ticket": Workload(server, cycle(request("GET", f"/tickets/{t}") for t in tickets), 200),
    }
