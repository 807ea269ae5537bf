"""What customers and doors send, for showings of the timetable and of movies alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from tests.running import Answer, Connection, Front

PHONE = "98765 43210"
CAPACITY = 20  # of the timetable's house

Request = Callable[[Connection], Answer]


@dataclass(frozen=True)
class House:
    """The house of one showing: that of a movie, or else of a timing."""

    date: str
    timing: str = ""
    movie: int | None = None
    seats: int = CAPACITY

    @property
    def showing(self) -> dict[str, Any]:
        """The fields of a request that name the showing."""
        play = {"timing": self.timing} if self.movie is None else {"movie": self.movie}
        return {**play, "date": self.date}

    def booking(self, key: str | None = None, **fields: Any) -> Request:
        """Return a request that books a ticket, or buys one."""
        path = "/booktickets" if self.movie is None else "/api/tickets"
        body = {"name": "Asha Rao", "phone": PHONE, **self.showing, **fields}
        return lambda connection: connection.post(path, body, key)

    def listing(self) -> Request:
        """Return a request that lists the tickets."""
        path = f"/tickets?{urlencode(self.showing)}"
        return lambda connection: connection.request("GET", path)

    def tickets(self, front: Front) -> list[Any]:
        """Return the stored tickets, by seat."""
        answer = self.listing()(front.connect())
        assert answer.status == 200
        tickets: list[Any] = answer.body
        return tickets

    def free_seats(self, front: Front) -> list[int]:
        seats: list[int] = front.get(f"/seats?{urlencode(self.showing)}").body["free_seats"]
        return seats


def moving(ticket: Any, house: House, **fields: Any) -> Request:
    headers = {"Ticket-Phone": PHONE}
    body = {**house.showing, **fields}
    path = f"/tickets/{ticket['ticket_id']}"
    return lambda connection: connection.request("PATCH", path, body, headers)


def deleting(ticket: Any) -> Request:
    headers = {"Ticket-Phone": PHONE}
    path = f"/tickets/{ticket['ticket_id']}"
    return lambda connection: connection.request("DELETE", path, headers=headers)


def admitting(ticket: Any, key: str | None = None, **fields: Any) -> Request:
    """Return a request from the door of the ticket's showing."""
    play = "timing" if ticket["movie"] is None else "movie"
    body = {name: ticket[name] for name in ("admission_code", play, "date")}
    return lambda connection: connection.post("/admissions", {**body, **fields}, key)


def correcting(ticket: Any, admitted: int) -> Request:
    """Return a request that corrects how many people of the ticket are in."""
    path = f"/admissions/{ticket['admission_code']}"
    return lambda connection: connection.request("PUT", path, {"admitted": admitted})


def put_movie_on_sale(front: Front, seats: int) -> int:
    """Set up a screen with a movie on sale, and return the movie's number."""
    connection = front.connect()
    screen = connection.post("/api/screens", {"seats": seats}).body["screen"]
    body = {"screen": screen, "showtime": "12:00"}
    movie: int = connection.post("/api/movies", body).body["movie"]
    answer = connection.request("PUT", "/api/tickets", {"movie": movie})
    connection.close()
    assert answer.status == 200
    return movie
