"""Tickets and showings as responses show them; instants are in the theatre's time zone.

They are not frozen, because freezing takes a third of the time that a list of tickets takes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from app.domain import examples
from app.domain.examples import documented
from app.domain.seating import House
from app.domain.showings import Calendar, Play, Showing
from app.tickets.documents import StoredTicket


@dataclass(slots=True)
class Ticket:
    """A ticket for its owner and for the staff's lists."""

    ticket_id: str = documented(examples.TICKET_ID)
    name: str | None = documented(examples.NAME)
    phone: str | None = documented(examples.PHONE)
    timing: str = documented(examples.TIMING)
    date: date = documented(examples.DATE)
    showing_at: datetime = documented(examples.SHOWING_AT)
    movie: int | None = documented(None)
    screen: int | None = documented(None)
    title: str | None = documented(None)
    seat: int = documented(examples.SEATS[0])
    seats: list[int] = documented(examples.SEATS)
    labels: list[str] = documented(examples.LABELS)
    expired: bool = documented(False)
    expires_at: datetime = documented("2026-11-23T02:00:00+05:30")
    booked_at: datetime = documented("2026-11-22T14:03:11+05:30")
    admission_code: str = documented(examples.ADMISSION_CODE)
    admitted: int = documented(0, "How many of its people are in.")
    admitted_at: datetime | None = documented(None)


@dataclass(slots=True)
class DoorTicket:
    """A ticket as the door needs it.

    It has neither `ticket_id` nor `phone`: the code of a ticket must not lead to its owner's
    secret.
    """

    admission_code: str = documented(examples.ADMISSION_CODE)
    name: str | None = documented(examples.NAME)
    timing: str = documented(examples.TIMING)
    date: date = documented(examples.DATE)
    showing_at: datetime = documented(examples.SHOWING_AT)
    movie: int | None = documented(None)
    screen: int | None = documented(None)
    title: str | None = documented(None)
    seat: int = documented(examples.SEATS[0])
    seats: list[int] = documented(examples.SEATS)
    labels: list[str] = documented(examples.LABELS)
    expired: bool = documented(False)
    admitted: int = documented(4, "How many of its people are in.")
    admitted_at: datetime | None = documented("2026-11-22T17:41:05+05:30")


@dataclass(slots=True)
class Slot:
    """A showing, and how many of its seats are taken."""

    timing: str = documented(examples.TIMING)
    title: str | None = documented(None)
    date: date = documented(examples.DATE)
    showing_at: datetime = documented(examples.SHOWING_AT)
    capacity: int = documented(20)
    booked: int = documented(4, "How many of these seats have a ticket.")
    blocked: int = documented(0, "How many of these seats are not for sale.")
    available: int = documented(16)
    bookable: bool = documented(True, "Whether a seat can be booked now.")


@dataclass(slots=True)
class SeatPlan(Slot):
    """A showing, and the numbers of its free seats in ascending order."""

    movie: int | None = documented(None)
    screen: int | None = documented(None)
    seats_per_row: int = documented(5)
    free_seats: list[int] = documented([*range(1, 7), *range(11, 21)])


@dataclass(frozen=True, slots=True)
class Views:
    """Makes views; `house` is the timetable's, tickets expire `expire_after` after the showing."""

    calendar: Calendar
    house: House
    expire_after: timedelta

    def expires_at(self, ticket: StoredTicket) -> datetime:
        """Return the instant (UTC) at which a ticket expires."""
        return ticket.showing.at + self.expire_after

    def ticket(self, ticket: StoredTicket, now: datetime) -> Ticket:
        """Return a ticket as it is at `now`."""
        return Ticket(
            ticket_id=ticket.ticket_id,
            phone=ticket.phone.given if ticket.phone else None,
            expires_at=self.calendar.local(self.expires_at(ticket)),
            booked_at=self.calendar.local(ticket.booked_at),
            **self._shared(ticket, now),
        )

    def door_ticket(self, ticket: StoredTicket, now: datetime) -> DoorTicket:
        """Return a ticket as the door sees it at `now`."""
        return DoorTicket(**self._shared(ticket, now))

    def _shared(self, ticket: StoredTicket, now: datetime) -> dict[str, Any]:
        showing, admission = ticket.showing, ticket.admission
        house = House(0, ticket.seats_per_row or self.house.seats_per_row)
        return {
            "name": ticket.name,
            "timing": showing.timing,
            "date": showing.date,
            "showing_at": self.calendar.local(showing.at),
            "movie": showing.movie,
            "screen": showing.screen,
            "title": showing.title,
            "seat": ticket.seats[0],
            "seats": list(ticket.seats),
            "labels": [house.label(seat) for seat in ticket.seats],
            "expired": self.expires_at(ticket) <= now,
            "admission_code": ticket.admission_code,
            "admitted": admission.people if admission else 0,
            "admitted_at": self.calendar.local(admission.at) if admission else None,
        }

    def admission_facts(self, ticket: StoredTicket) -> dict[str, Any]:
        """Return how many people of a ticket are in, since when, and how many are not."""
        people = ticket.admission.people if ticket.admission else 0
        return {
            "admitted_at": self.calendar.local(ticket.admission.at) if ticket.admission else None,
            "admitted": people,
            "people_left": len(ticket.seats) - people,
        }

    def slot(self, play: Play, showing: Showing, taken: Collection[int], now: datetime) -> Slot:
        """Return a showing as it is at `now`; `taken` may have seats that the house has lost."""
        capacity = play.house.seats
        booked = sum(seat <= capacity for seat in taken)
        return Slot(
            timing=showing.timing,
            title=showing.title,
            date=showing.date,
            showing_at=self.calendar.local(showing.at),
            capacity=capacity,
            booked=booked,
            blocked=0,
            available=capacity - booked,
            bookable=booked < capacity
            and not self.calendar.why_unbookable(play, showing, now)
            and not self.calendar.date_error(showing.date, now),
        )
