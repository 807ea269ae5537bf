"""The door: admits the people of a ticket by its code, and shows staff what they need to see."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

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
from app.tickets.documents import Admission, StoredTicket
from app.tickets.store import TicketStore
from app.tickets.views import DoorTicket, Views

_MAX_REQUESTS = 100  # whose keys a ticket keeps, no matter how often it is scanned


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
    """Admits tickets from `open_before` before the showing until they expire.

    Codes are accepted in any case, with or without spaces and hyphens. `clock` returns the current
    instant, zone-aware.
    """

    def __init__(
        self,
        store: TicketStore,
        views: Views,
        *,
        open_before: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._views = views
        self._open_before = open_before
        self._clock = clock

    def admit(
        self, admission_code: str, people: int | None, door: Door, key: str | None = None
    ) -> Outcome[DoorTicket]:
        """Admit this many people of a ticket, by default all who are not in yet, in one write.

        The same `key` with the same request admits once and returns the ticket as it is now; it
        belongs to the ticket that it admitted, and is free for other tickets. Raises
        TicketNotFound, OtherShowing, TicketExpired, AlreadyAdmitted, AdmissionNotOpen,
        InvalidRequest or IdempotencyKeyReused; refusals include the ticket, if it exists, as
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
                        raise IdempotencyKeyReused(ticket=self._views.door_ticket(ticket, now))
                    return Outcome(self._views.door_ticket(ticket, now), replayed=True)
            self._check_people("people", people or 1, ticket, now)
            left = len(ticket.seats) - before.people
            self._check_open(ticket, door, now)
            if not left or (people or 1) > left:
                raise AlreadyAdmitted(
                    **self._views.admission_facts(ticket),
                    ticket=self._views.door_ticket(ticket, now),
                )
            admission = Admission(
                before.at,
                before.people + (people or left),
                (*before.requests[1 - _MAX_REQUESTS :], request) if request else before.requests,
            )
            if admitted := self._store.admit(ticket, admission):
                return Outcome(self._views.door_ticket(admitted, now), replayed=False)
            # Another door was faster: read the ticket again.

    def correct(self, admission_code: str, people: int, door: Door) -> DoorTicket:
        """Record that this many people of a ticket are in; 0 undoes its admission.

        Raises TicketNotFound or InvalidRequest. If more people are to be in than now, it also
        raises OtherShowing, TicketExpired or AdmissionNotOpen.
        """
        while True:
            ticket, now = self._find(admission_code), self._clock()
            self._check_people("admitted", people, ticket, now)
            before = ticket.admission or Admission(now.replace(microsecond=0), 0)
            if people == before.people:
                return self._views.door_ticket(ticket, now)
            if people > before.people:
                self._check_open(ticket, door, now)
            admission = Admission(before.at, people, before.requests) if people else None
            if corrected := self._store.admit(ticket, admission):
                return self._views.door_ticket(corrected, now)

    def _find(self, admission_code: str) -> StoredTicket:
        ticket = self._store.find_by_code(read_admission_code(admission_code))
        if not ticket:
            raise TicketNotFound
        return ticket

    def _check_people(self, field: str, people: int, ticket: StoredTicket, now: datetime) -> None:
        if people > len(ticket.seats):
            raise InvalidRequest(
                {field: [f"Must be at most {len(ticket.seats)}, the number of seats."]},
                ticket=self._views.door_ticket(ticket, now),
            )

    def _check_open(self, ticket: StoredTicket, door: Door, now: datetime) -> None:
        """Raise OtherShowing, TicketExpired or AdmissionNotOpen, with the ticket."""
        door_ticket = self._views.door_ticket(ticket, now)
        opens_at = self._views.calendar.before(ticket.showing.at, self._open_before)
        if not door.is_for(ticket):
            raise OtherShowing(ticket=door_ticket)
        if door_ticket.expired:
            raise TicketExpired(ticket=door_ticket)
        if now < opens_at:
            raise AdmissionNotOpen(opens_at=opens_at, ticket=door_ticket)
