"""The door: admits the people of each ticket, by its code, and shows staff what they need of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from app.domain import examples
from app.domain.examples import documented
from app.domain.idempotency import IdempotentRequest, Outcome
from app.domain.identifiers import read_admission_code
from app.domain.refusals import (
    AdmissionNotOpen,
    AlreadyAdmitted,
    IdempotencyKeyReused,
    InvalidRequest,
    OtherShowing,
    TicketExpired,
    TicketNotFound,
)
from app.domain.seating import House
from app.domain.showings import Calendar
from app.tickets.store import Admission, StoredTicket, TicketStore


@dataclass(frozen=True, slots=True)
class DoorTicket:
    """A ticket as the door needs it; instants are in the theatre's time zone.

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


@dataclass(frozen=True, slots=True)
class Door:
    """The showings that a door is for: those of a timing or a movie, on a date; None is any."""

    timing: str | None = None
    movie: int | None = None
    day: date | None = None

    def is_for(self, ticket: StoredTicket) -> bool:
        """Return whether the ticket's showing is one of these.

        A timing is the timetable's: a movie's ticket is for a door with its number.
        """
        showing = ticket.showing
        if self.timing is not None and (showing.screen, showing.timing) != (None, self.timing):
            return False
        return self.movie in (None, showing.movie) and self.day in (None, showing.date)


class AdmissionService:
    """Admits tickets from `open_before` before the showing until `expire_after` after it.

    Codes are accepted in any case, with or without spaces and hyphens. `house` is the timetable's,
    and `clock` returns the current instant, zone-aware.
    """

    def __init__(
        self,
        store: TicketStore,
        calendar: Calendar,
        house: House,
        *,
        open_before: timedelta,
        expire_after: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._calendar = calendar
        self._house = house
        self._open_before = open_before
        self._expire_after = expire_after
        self._clock = clock

    def admit(
        self, admission_code: str, people: int | None, door: Door, key: str | None = None
    ) -> Outcome[DoorTicket]:
        """Admit this many people of a ticket, by default all who are not in yet, in one write.

        The same `key` with the same request admits once and returns the ticket as it is now; it
        belongs to the ticket that it admitted, and is free for other tickets. Raises
        TicketNotFound, OtherShowing, TicketExpired, AlreadyAdmitted, AdmissionNotOpen,
        InvalidRequest or IdempotencyKeyReused; the refusals of a ticket that exists have it as
        `ticket`.
        """
        asked: dict[str, Any] = {"timing": door.timing, "date": door.day}
        asked |= {} if people is None else {"people": people}
        asked |= {} if door.movie is None else {"movie": door.movie}
        request = IdempotentRequest.of(key, **asked)
        while True:
            ticket, now = self._find(admission_code), self._clock()
            before = ticket.admission or Admission(now.replace(microsecond=0), 0)
            for earlier in before.requests:
                if request and earlier.key == request.key:
                    if earlier != request:
                        raise IdempotencyKeyReused(ticket=self._as_door_ticket(ticket, now))
                    return Outcome(self._as_door_ticket(ticket, now), replayed=True)
            self._check_people("people", people or 1, ticket)
            left = len(ticket.seats) - before.people
            self._check_open(ticket, door, now)
            if not left or (people or 1) > left:
                raise AlreadyAdmitted(
                    **ticket.admission_facts(self._calendar),
                    ticket=self._as_door_ticket(ticket, now),
                )
            admission = Admission(
                before.at,
                before.people + (people or left),
                (*before.requests, request) if request else before.requests,
            )
            if admitted := self._store.admit(ticket, admission):
                return Outcome(self._as_door_ticket(admitted, now), replayed=False)
            # Another door was faster: read the ticket again.

    def correct(self, admission_code: str, people: int, door: Door) -> DoorTicket:
        """Record that this many people of a ticket are in; 0 undoes its admission.

        Raises TicketNotFound or InvalidRequest, and for more people than are in now, what `admit`
        raises when the door is not open for them.
        """
        while True:
            ticket, now = self._find(admission_code), self._clock()
            self._check_people("admitted", people, ticket)
            before = ticket.admission or Admission(now.replace(microsecond=0), 0)
            if people == before.people:
                return self._as_door_ticket(ticket, now)
            if people > before.people:
                self._check_open(ticket, door, now)
            admission = Admission(before.at, people, before.requests) if people else None
            if corrected := self._store.admit(ticket, admission):
                return self._as_door_ticket(corrected, now)

    def _find(self, admission_code: str) -> StoredTicket:
        ticket = self._store.find_by_code(read_admission_code(admission_code))
        if not ticket:
            raise TicketNotFound
        return ticket

    def _check_people(self, field: str, people: int, ticket: StoredTicket) -> None:
        if people > len(ticket.seats):
            raise InvalidRequest({field: [f"This ticket is for {len(ticket.seats)} people."]})

    def _check_open(self, ticket: StoredTicket, door: Door, now: datetime) -> None:
        """Raise OtherShowing, TicketExpired or AdmissionNotOpen, with the ticket."""
        shown = self._as_door_ticket(ticket, now)
        opens_at = ticket.showing.at - self._open_before
        if not door.is_for(ticket):
            raise OtherShowing(ticket=shown)
        if shown.expired:
            raise TicketExpired(ticket=shown)
        if now < opens_at:
            raise AdmissionNotOpen(opens_at=self._calendar.local(opens_at), ticket=shown)

    def _as_door_ticket(self, ticket: StoredTicket, now: datetime) -> DoorTicket:
        showing, admission = ticket.showing, ticket.admission
        return DoorTicket(
            admission_code=ticket.admission_code,
            name=ticket.name,
            timing=showing.timing,
            date=showing.date,
            showing_at=self._calendar.local(showing.at),
            movie=showing.movie,
            screen=showing.screen,
            title=showing.title,
            seat=ticket.seats[0],
            seats=list(ticket.seats),
            labels=ticket.labels(self._house),
            expired=showing.at + self._expire_after <= now,
            admitted=admission.people if admission else 0,
            admitted_at=self._calendar.local(admission.at) if admission else None,
        )
