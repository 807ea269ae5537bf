"""The ticket window: what customers and staff may do with tickets, and when."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta

from app.booking.phones import Phone
from app.booking.store import StoredTicket, TicketStore
from app.theatre import examples
from app.theatre.examples import shown
from app.theatre.idempotency import IdempotentRequest, Outcome, once
from app.theatre.refusals import (
    AlreadyAdmitted,
    InvalidRequest,
    PhoneMismatch,
    SeatTaken,
    ShowingStarted,
    SoldOut,
    TicketExpired,
    TicketNotFound,
)
from app.theatre.showings import Calendar, Showing


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket as it is shown; instants are in the theatre's time zone."""

    ticket_id: str = shown(examples.TICKET_ID)
    name: str = shown(examples.NAME)
    phone: str = shown(examples.PHONE)
    timing: str = shown(examples.TIMING)
    date: date = shown(examples.DATE)
    showing_at: datetime = shown(examples.SHOWING_AT)
    seat: int = shown(7)
    expired: bool = shown(False)
    expires_at: datetime = shown("2026-11-23T02:00:00+05:30")
    booked_at: datetime = shown("2026-11-22T14:03:11+05:30")
    admission_code: str = shown(examples.ADMISSION_CODE)
    admitted_at: datetime | None = shown(None)


@dataclass(frozen=True, slots=True)
class Slot:
    """A showing of the timetable and its seats; the instant is in the theatre's time zone.

    `bookable` tells whether a seat of it can be booked now.
    """

    timing: str = shown(examples.TIMING)
    date: date = shown(examples.DATE)
    showing_at: datetime = shown(examples.SHOWING_AT)
    capacity: int = shown(20)
    booked: int = shown(3)
    available: int = shown(17)
    bookable: bool = shown(True, "Whether a seat can be booked now.")


@dataclass(frozen=True, slots=True)
class SlotSeats(Slot):
    """A showing of the timetable, and the numbers of its free seats in ascending order."""

    free_seats: list[int] = shown([*range(4, 21)])


class BookingService:
    """Books, moves, shows and deletes tickets.

    `clock` returns the current instant, zone-aware; tickets expire `expire_after` their showing.
    """

    def __init__(
        self,
        store: TicketStore,
        calendar: Calendar,
        *,
        show_times: tuple[str, ...],
        capacity: int,
        expire_after: timedelta,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._calendar = calendar
        self._show_times = show_times
        self._capacity = capacity
        self._seats = frozenset(range(1, capacity + 1))
        self._expire_after = expire_after
        self._clock = clock

    def slots(self, day: date | None = None) -> list[Slot]:
        """Return the timetable of `day`, or else the next showing of each timing.

        Raises InvalidRequest when `day` is outside the booking window.
        """
        now = self._clock()
        if faults := self._timetable_faults(None, day, now):
            raise InvalidRequest(faults)
        showings = [self._showing(timing, day, now) for timing in self._show_times]
        taken = self._store.taken_seats(showings)
        return [self._slot(showing, taken[showing], now) for showing in showings]

    def seats(self, timing: str, day: date | None = None) -> SlotSeats:
        """Return the showing at `timing` on `day`, or else the next one, with its free seats.

        Raises InvalidRequest when it is not in the timetable, or `day` not in the booking window.
        """
        now = self._clock()
        if faults := self._timetable_faults(timing, day, now):
            raise InvalidRequest(faults)
        showing = self._showing(timing, day, now)
        taken = self._store.taken_seats([showing])[showing]
        slot = asdict(self._slot(showing, taken, now))
        return SlotSeats(**slot, free_seats=sorted(self._seats - taken))

    def _slot(self, showing: Showing, taken: Set[int], now: datetime) -> Slot:
        available = len(self._seats - taken)
        return Slot(
            timing=showing.timing,
            date=showing.date,
            showing_at=self._calendar.local(showing.at),
            capacity=self._capacity,
            booked=len(taken),
            available=available,
            bookable=available > 0
            and not self._booking_faults(showing.timing, showing.date, None, now),
        )

    def timetable_faults(
        self, timing: str | None = None, day: date | None = None
    ) -> dict[str, list[str]]:
        """Return what is wrong with these by field: no such timing, or outside the window."""
        return self._timetable_faults(timing, day, self._clock())

    def booking_faults(
        self, timing: str | None = None, day: date | None = None, seat: int | None = None
    ) -> dict[str, list[str]]:
        """Return what prevents booking a seat of a showing, by field; None is not checked.

        The showing has to be in the timetable, still ahead, and within the booking window.
        """
        return self._booking_faults(timing, day, seat, self._clock())

    def _timetable_faults(
        self, timing: str | None, day: date | None, now: datetime
    ) -> dict[str, list[str]]:
        faults = {}
        if timing and timing not in self._show_times:
            times = ", ".join(self._show_times)
            faults["timing"] = [f"Not in the timetable. The show times are {times}."]
        if day and (fault := self._calendar.date_fault(day, now)):
            faults["date"] = [fault]
        return faults

    def _booking_faults(
        self, timing: str | None, day: date | None, seat: int | None, now: datetime
    ) -> dict[str, list[str]]:
        faults = self._timetable_faults(timing, day, now)
        if timing and not faults:
            showing = self._showing(timing, day, now)
            if showing.has_started(now):
                faults["timing"] = ["This showing has already started."]
            elif self._calendar.date_fault(showing.date, now):
                faults["timing"] = ["The next showing is too far ahead to be booked yet."]
        if seat is not None and seat not in self._seats:
            faults["seat"] = [f"Choose a seat from 1 to {self._capacity}."]
        return faults

    def book(
        self,
        name: str,
        phone: Phone,
        timing: str,
        day: date | None = None,
        seat: int | None = None,
        key: str | None = None,
    ) -> Outcome[Ticket]:
        """Book this seat, or else any free one.

        The same `key` with the same request books once and returns the same ticket. Raises
        InvalidRequest, SoldOut, SeatTaken or IdempotencyKeyReused.
        """
        chosen = {} if seat is None else {"seat": seat}
        request = IdempotentRequest.of(
            key, name=name, phone=phone.given, timing=timing, date=day, **chosen
        )

        def add() -> StoredTicket:
            now = self._clock()
            return self._store.add(
                name=name,
                phone=phone.given,
                phone_e164=phone.e164,
                showing=self._bookable_showing(timing, day, seat, now),
                seat=seat,
                booked_at=now.replace(microsecond=0),
                request=request,
            )

        stored = once(request, add, self._store.find_by_key)
        return Outcome(self._as_ticket(stored.made, self._clock()), stored.replayed)

    def move(
        self,
        ticket_id: str,
        phone: Phone,
        timing: str | None = None,
        day: date | None = None,
        seat: int | None = None,
    ) -> Ticket:
        """Move a ticket to another showing or seat, in one atomic write; None means unchanged.

        Without `day` it keeps its date if that showing is ahead, else it takes the next one.
        Without `seat` it gets any free one in another showing, and keeps its own in its own.
        Raises TicketNotFound, PhoneMismatch, AlreadyAdmitted, TicketExpired, ShowingStarted,
        InvalidRequest, SoldOut or SeatTaken.
        """
        while True:
            stored = self._changeable(ticket_id, phone)
            now = self._clock()
            if self._expires_at(stored) <= now:
                raise TicketExpired
            if stored.showing.has_started(now):
                raise ShowingStarted
            showing = self._new_showing(stored, timing, day, seat, now)
            if showing == stored.showing and seat in (None, stored.seat):
                return self._as_ticket(stored, now)
            try:
                moved = self._store.move(stored, showing, seat)
            except (SoldOut, SeatTaken):
                if self._store.get(ticket_id) == stored:
                    raise
                moved = None
            if moved:
                return self._as_ticket(moved, now)
            # The ticket was moved, admitted or deleted meanwhile: read it again.

    def delete(self, ticket_id: str, phone: Phone) -> None:
        """Delete a ticket and free its seat.

        Raises TicketNotFound, PhoneMismatch or AlreadyAdmitted.
        """
        while not self._store.delete(ticket_id, phone.e164):
            self._changeable(ticket_id, phone)

    def ticket(self, ticket_id: str) -> Ticket:
        """Return a ticket; raises TicketNotFound."""
        return self._as_ticket(self._stored(ticket_id), self._clock())

    def tickets_of(self, timing: str, day: date | None = None) -> list[Ticket]:
        """Return all stored tickets of a timing, or of one showing, by date and seat."""
        stored = self._store.list_timing(timing, day)
        now = self._clock()
        return [self._as_ticket(each, now) for each in stored]

    def _showing(self, timing: str, day: date | None, now: datetime) -> Showing:
        if day is None:
            return self._calendar.next_showing(timing, now)
        return self._calendar.showing(timing, day)

    def _bookable_showing(
        self, timing: str, day: date | None, seat: int | None, now: datetime
    ) -> Showing:
        if faults := self._booking_faults(timing, day, seat, now):
            raise InvalidRequest(faults)
        return self._showing(timing, day, now)

    def _new_showing(
        self,
        ticket: StoredTicket,
        timing: str | None,
        day: date | None,
        seat: int | None,
        now: datetime,
    ) -> Showing:
        """Return the showing that a ticket moves to; raises InvalidRequest."""
        if day is None:
            same_day = ticket.showing
            if timing:
                same_day = self._calendar.showing(timing, same_day.date)
            known = timing is None or timing in self._show_times
            if known and not same_day.has_started(now):
                if faults := self._booking_faults(None, None, seat, now):
                    raise InvalidRequest(faults)
                return same_day
        return self._bookable_showing(timing or ticket.showing.timing, day, seat, now)

    def _stored(self, ticket_id: str) -> StoredTicket:
        stored = self._store.get(ticket_id)
        if not stored:
            raise TicketNotFound
        return stored

    def _changeable(self, ticket_id: str, phone: Phone) -> StoredTicket:
        """Return a ticket if it has this phone and has not been admitted."""
        stored = self._stored(ticket_id)
        if stored.phone_e164 != phone.e164:
            raise PhoneMismatch
        if stored.admitted_at:
            raise AlreadyAdmitted(admitted_at=self._calendar.local(stored.admitted_at))
        return stored

    def _expires_at(self, stored: StoredTicket) -> datetime:
        return stored.showing.at + self._expire_after

    def _as_ticket(self, stored: StoredTicket, now: datetime) -> Ticket:
        expires_at = self._expires_at(stored)
        return Ticket(
            ticket_id=stored.ticket_id,
            name=stored.name,
            phone=stored.phone,
            timing=stored.showing.timing,
            date=stored.showing.date,
            showing_at=self._calendar.local(stored.showing.at),
            seat=stored.seat,
            expired=expires_at <= now,
            expires_at=self._calendar.local(expires_at),
            booked_at=self._calendar.local(stored.booked_at),
            admission_code=stored.admission_code,
            admitted_at=self._calendar.local(stored.admitted_at) if stored.admitted_at else None,
        )
