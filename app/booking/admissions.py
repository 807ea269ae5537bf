"""The door: admits each ticket once, by its code, and shows staff what they need of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from app.booking.store import StoredTicket, TicketStore
from app.theatre import examples
from app.theatre.examples import shown
from app.theatre.idempotency import IdempotentRequest, Outcome
from app.theatre.identifiers import read_admission_code
from app.theatre.refusals import (
    AdmissionNotOpen,
    AlreadyAdmitted,
    IdempotencyKeyReused,
    OtherShowing,
    Refusal,
    TicketExpired,
    TicketNotFound,
)
from app.theatre.showings import Calendar


@dataclass(frozen=True, slots=True)
class DoorTicket:
    """A ticket as the door needs it; instants are in the theatre's time zone.

    It has neither `ticket_id` nor `phone`: the code of a ticket must not lead to its owner's
    secret.
    """

    admission_code: str = shown(examples.ADMISSION_CODE)
    name: str = shown(examples.NAME)
    timing: str = shown(examples.TIMING)
    date: date = shown(examples.DATE)
    showing_at: datetime = shown(examples.SHOWING_AT)
    seat: int = shown(7)
    expired: bool = shown(False)
    admitted_at: datetime | None = shown("2026-11-22T17:41:05+05:30")


class AdmissionService:
    """Admits tickets from `open_before` their showing until they expire, `expire_after` it.

    Codes are read however somebody has typed them. `clock` returns the current instant, zone-aware.
    """

    def __init__(
        self,
        store: TicketStore,
        calendar: Calendar,
        *,
        open_before: timedelta,
        expire_after: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._calendar = calendar
        self._open_before = open_before
        self._expire_after = expire_after
        self._clock = clock

    def admit(
        self,
        admission_code: str,
        timing: str | None = None,
        day: date | None = None,
        key: str | None = None,
    ) -> Outcome[DoorTicket]:
        """Admit a ticket, once, in one atomic write.

        `timing` and `day` say which tickets the door takes. The same `key` with the same request
        returns the same ticket; it belongs to the ticket that it admitted, and is free for other
        tickets. Raises TicketNotFound, OtherShowing, TicketExpired, AlreadyAdmitted,
        AdmissionNotOpen or IdempotencyKeyReused; all but the first have the `ticket`.
        """
        code = read_admission_code(admission_code)
        request = IdempotentRequest.of(key, timing=timing, date=day)
        while True:
            now = self._clock()
            admitted = self._store.admit(
                code,
                at=now.replace(microsecond=0),
                showing_after=now - self._expire_after,
                showing_until=now + self._open_before,
                timing=timing,
                day=day,
                request=request,
            )
            if admitted:
                return Outcome(self._as_door_ticket(admitted, now), replayed=False)
            stored = self._store.find_by_code(code)
            if not stored:
                raise TicketNotFound
            earlier = stored.admission_request
            if request and earlier and earlier.key == request.key:
                if earlier != request:
                    raise IdempotencyKeyReused(ticket=self._as_door_ticket(stored, now))
                return Outcome(self._as_door_ticket(stored, now), replayed=True)
            if refusal := self._refusal(stored, timing, day, now):
                raise refusal
            # Whatever prevented the admission is gone: it was taken back, for example.

    def undo(self, admission_code: str) -> DoorTicket:
        """Take a mistaken admission back, if there is one; raises TicketNotFound."""
        stored = self._store.undo_admission(read_admission_code(admission_code))
        if not stored:
            raise TicketNotFound
        return self._as_door_ticket(stored, self._clock())

    def _refusal(
        self, stored: StoredTicket, timing: str | None, day: date | None, now: datetime
    ) -> Refusal | None:
        """Return why a ticket cannot be admitted at `now`, if that is so."""
        ticket = self._as_door_ticket(stored, now)
        opens_at = stored.showing.at - self._open_before
        if timing not in (None, ticket.timing) or day not in (None, ticket.date):
            return OtherShowing(ticket=ticket)
        if ticket.expired:
            return TicketExpired(ticket=ticket)
        if ticket.admitted_at:
            return AlreadyAdmitted(admitted_at=ticket.admitted_at, ticket=ticket)
        if now < opens_at:
            return AdmissionNotOpen(opens_at=self._calendar.local(opens_at), ticket=ticket)
        return None

    def _as_door_ticket(self, stored: StoredTicket, now: datetime) -> DoorTicket:
        return DoorTicket(
            admission_code=stored.admission_code,
            name=stored.name,
            timing=stored.showing.timing,
            date=stored.showing.date,
            showing_at=self._calendar.local(stored.showing.at),
            seat=stored.seat,
            expired=stored.showing.at + self._expire_after <= now,
            admitted_at=self._calendar.local(stored.admitted_at) if stored.admitted_at else None,
        )
