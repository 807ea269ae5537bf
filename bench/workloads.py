"""The workloads: streams of requests, and the houses and movies that they are about."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice, repeat
from types import MappingProxyType
from typing import Any

import pymongo

from app.config import Settings
from app.domain.seating import House
from app.domain.showings import Calendar, Play, Showing
from bench.load import CONNECTIONS, Workload, ask, request, send
from bench.servers import ADVANCE_DAYS, Server

CAPACITY = 20  # seats of a showing, as the assignment has it
SEATS_PER_ROW = 5
HOUSES = 50  # showings that fill at the same time, and full ones that refuse
PURCHASES = 2000  # showings of movies that sell, so many that all of them stay nearly empty
SCREEN = 996  # seats of each of them
FILL_SECONDS = 300  # for MongoDB to store what a part needs; much less is allowed to a request

_settings = Settings()  # the defaults, which the servers use, too
SHOWINGS_A_DAY = len(_settings.show_times)
_calendar = Calendar(_settings.theatre_timezone, ADVANCE_DAYS)
_today = _calendar.local(datetime.now(UTC)).date()
_random = random.Random(6)  # noqa: S311 (the same order in every run)


def showings(first: int = 1, end: int = ADVANCE_DAYS) -> Iterator[Showing]:
    """Yield the showings of one day after another; the days are counted from today."""
    for ahead in range(first, end):
        for timing in _settings.show_times:
            play = Play(timing, House(CAPACITY, SEATS_PER_ROW))
            yield _calendar.showing(play, _today + timedelta(days=ahead))


def identity(showing: Showing) -> dict[str, Any]:
    """Return the fields that name a showing of the timetable, in requests and in documents."""
    return {"timing": showing.timing, "date": showing.date.isoformat()}


def booking(showing: Showing, party: Mapping[str, int] = MappingProxyType({})) -> bytes:
    """Return the request for one seat, or for a `party`."""
    who = {"name": "Asha Rao", "phone": "9876543210"}
    return request("POST", "/booktickets", {**who, **identity(showing), **party})


def view(showing: Showing) -> bytes:
    """Return the request for all tickets of a showing."""
    return request("POST", "/viewontime", identity(showing))


def filling(unsold: Iterator[Showing]) -> Iterator[bytes]:
    """Yield bookings that fill 50 houses at a time, from empty to full."""
    while houses := list(islice(unsold, HOUSES)):
        requests = [booking(showing) for showing in houses] * CAPACITY
        _random.shuffle(requests)
        yield from requests


def of_box_office(server: Server) -> dict[str, Workload]:
    """Fill 50 houses, put 13 movies on sale, and return the workloads by their names."""
    unsold = showings()
    full = list(islice(unsold, HOUSES))
    send(server.port, filling(iter(full)), CONNECTIONS)
    tickets = [ticket["ticket_id"] for each in full for ticket in ask(server.port, view(each))]
    for movie in range(1, 14):
        ask(server.port, request("POST", "/api/screens", {"seats": SCREEN}))
        ask(server.port, request("POST", "/api/movies", {"screen": movie, "showtime": "18:00"}))
        ask(server.port, request("PUT", "/api/tickets", {"movie": movie}))
    purchases = [
        request("POST", "/api/tickets", {"movie": number % 13 + 1, "date": f"{showing.date}"})
        for number, showing in enumerate(islice(showings(), PURCHASES))
    ]
    return {
        "booking": Workload(server, filling(unsold), 201),
        "refusal": Workload(server, cycle(map(booking, full)), 409),
        "one-house": Workload(server, repeat(booking(full[0])), 409),
        "slots": Workload(server, repeat(request("GET", f"/?date={full[0].date}")), 200),
        "view": Workload(server, cycle(map(view, full)), 200),
        "purchase": Workload(server, cycle(purchases), 201),
        "ticket": Workload(server, cycle(request("GET", f"/tickets/{t}") for t in tickets), 200),
    }


def prepare_rival(server: Server) -> None:
    """Create the index that its counts need, and the slots that it looks up."""
    slots = ({**identity(each), "booked": 0} for each in showings())
    with pymongo.timeout(FILL_SECONDS):
        for name in ("slots", "tickets"):
            server.database[name].create_index(["timing", "date"])
        server.database["slots"].insert_many(slots)
