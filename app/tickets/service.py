"""Tickets: what customers and staff may do with them, and when."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Protocol

from app.domain.idempotency import IdempotentRequest, KeyTaken, Outcome
from app.domain.refusals import (
    AlreadyAdmitted,
    IdempotencyKeyReused,
    InvalidRequest,
    NotEnoughSeats,
    PhoneMismatch,
    Refusal,
    SeatTaken,
    ShowingStarted,
    SoldOut,
    TicketExpired,
    TicketNotFound,
)
from app.domain.showings import Play, Showing
from app.domain.wanted import Wanted
from app.tickets.documents import StoredTicket
from app.tickets.phones import Phone
from app.tickets.store import TicketStore
from app.tickets.views import SeatPlan, Slot, Ticket, Views

_NO_PHONE = {"phone": ["Missing data for required field."]}


class Programme(Protocol):
    """A part of the theatre, which knows what plays under a name: a timing or a movie's number."""

    def find(self, name: Any) -> Play:
        """Return what plays under this name; raises a Refusal if nothing does."""


class TicketService:
    """Sells, moves, shows and deletes tickets for what the timetable and the catalogue play.

    `clock` returns the current instant, zone-aware.
    """

    def __init__(
        self,
        store: TicketStore,
        views: Views,
        *,
        timetable: Programme,
        catalogue: Programme,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._views = views
        self._calendar = views.calendar
        self._timetable = timetable
        self._catalogue = catalogue
        self._clock = clock

    def slots(self, plays: Collection[Play], day: date | None = None) -> list[Slot]:
        """Return the showing of each play on `day`, or else its next one, and its seats.

        Raises InvalidRequest when `day` is outside the booking window.
        """
        now = self._clock()
        self._named(None, None, day, None, now)
        showings = [self._showing(play, day, now) for play in plays]
        taken = self._store.taken_seats(showings)
        return [
            self._views.slot(play, showing, taken[showing], now)
            for play, showing in zip(plays, showings, strict=True)
        ]

    def slots_of_today(self, plays: Collection[Play]) -> list[Slot]:
        """Return today's showing of each play, over or not, and its seats."""
        return self.slots(plays, self._calendar.local(self._clock()).date())

    def seats(
        self, timing: str | None = None, movie: int | None = None, day: date | None = None
    ) -> SeatPlan:
        """Return the showing of a timing or a movie on `day`, or else the next, and its seats.

        Raises InvalidRequest when the timing is not in the timetable, or `day` is outside the
        booking window, and MovieNotFound.
        """
        now = self._clock()
        play = self._named(timing, movie, day, None, now)
        showing = self._showing(play, day, now)
        taken = self._store.taken_seats([showing])[showing]
        return SeatPlan(
            **asdict(self._views.slot(play, showing, taken, now)),
            movie=play.movie,
            screen=play.screen,
            seats_per_row=play.house.seats_per_row,
            free_seats=[seat for seat in range(1, play.house.seats + 1) if seat not in taken],
        )

    def errors(
        self,
        timing: str | None = None,
        movie: int | None = None,
        day: date | None = None,
        wanted: Wanted | None = None,
    ) -> dict[str, list[str]]:
        """Return what is wrong with a request that names these, by field; None is not checked."""
        try:
            self._named(timing, movie, day, wanted, self._clock())
        except InvalidRequest as refusal:
            return refusal.errors
        except Refusal:
            pass  # such as an unknown movie, which is not an error of a field
        return {}

    def phone_errors(self, ticket_id: str, phone: Phone | None) -> dict[str, list[str]]:
        """Return the error of a missing phone, if the ticket was booked with one."""
        ticket = self._store.get(ticket_id)
        return _NO_PHONE if ticket and ticket.phone and not phone else {}

    def sell(
        self,
        *,
        timing: str | None = None,
        movie: int | None = None,
        day: date | None = None,
        wanted: Wanted,
        name: str | None,
        phone: Phone | None,
        request: IdempotentRequest | None,
    ) -> Outcome[Ticket]:
        """Sell the wanted seats of a timing or a movie, on `day` or in its next showing.

        The same `request` sells once and returns the same ticket as it is now, even if the showing
        has started or sold out since. Raises InvalidRequest, MovieNotFound, NotOnSale,
        ShowingStarted, SoldOut, NotEnoughSeats, SeatTaken or IdempotencyKeyReused.
        """
        while True:
            now = self._clock()
            try:
                play = self._named(timing, movie, day, wanted, now)
                showing = self._bookable(play, day, now)
                sold = self._store.add(
                    showing,
                    play.house,
                    wanted,
                    name=name,
                    phone=phone,
                    booked_at=now.replace(microsecond=0),
                    request=request,
                )
                return Outcome(self._views.ticket(sold, now), replayed=False)
            except (KeyTaken, Refusal) as refusal:
                earlier = self._store.find_by_key(request.key) if request else None
                if request and earlier:
                    if earlier.request_fingerprint != request.fingerprint:
                        raise IdempotencyKeyReused from None
                    return Outcome(self._views.ticket(earlier, now), replayed=True)
                if isinstance(refusal, Refusal):
                    raise
                # The ticket that had the key was deleted just now, so the key is free again.

    def move(
        self,
        ticket_id: str,
        phone: Phone | None,
        *,
        timing: str | None = None,
        movie: int | None = None,
        day: date | None = None,
        wanted: Wanted | None = None,
    ) -> Ticket:
        """Move a ticket to another showing or other seats, in one write; None means unchanged.

        Without `day` it keeps its date if that showing is ahead, else it takes the next one.
        Without `wanted` it keeps its seats where all of them are free, else it gets the best.
        Raises TicketNotFound, PhoneMismatch, AlreadyAdmitted, TicketExpired, ShowingStarted,
        InvalidRequest, MovieNotFound, NotOnSale, SoldOut, NotEnoughSeats or SeatTaken.
        """
        while True:
            try:
                ticket = self._changeable(ticket_id, phone)
            except InvalidRequest as refusal:
                others = self.errors(timing, movie, day, wanted)
                raise InvalidRequest({**others, **refusal.errors}) from None
            now = self._clock()
            if self._views.expires_at(ticket) <= now:
                raise TicketExpired
            if ticket.showing.has_started(now):
                raise ShowingStarted
            play, showing = self._destination(ticket, timing, movie, day, wanted, now)
            if showing == ticket.showing and (wanted is None or wanted.seats == ticket.seats):
                return self._views.ticket(ticket, now)
            try:
                moved = self._store.move(ticket, showing, play.house, wanted)
            except (SoldOut, NotEnoughSeats, SeatTaken):
                if self._store.get(ticket_id) == ticket:
                    raise
                continue  # it has changed since: read it again
            if moved:
                return self._views.ticket(moved, now)

    def delete(self, ticket_id: str, phone: Phone | None) -> None:
        """Delete a ticket and free its seats.

        Raises TicketNotFound, InvalidRequest, PhoneMismatch or AlreadyAdmitted.
        """
        while not self._store.delete(ticket_id, phone):
            self._changeable(ticket_id, phone)

    def ticket(self, ticket_id: str) -> Ticket:
        """Return a ticket; raises TicketNotFound."""
        return self._views.ticket(self._stored(ticket_id), self._clock())

    def tickets(
        self, timing: str | None = None, movie: int | None = None, day: date | None = None
    ) -> Iterator[Ticket]:
        """Return the stored tickets of a timing, a movie or a day, by showing, then seat.

        One of them is required. Raises MovieNotFound.
        """
        if movie is not None:
            play = self._catalogue.find(movie)
            of_screen = self._store.list_timing(play.timing, play.screen, day)
            found = [each for each in of_screen if each.showing.movie == movie]
        elif timing is not None:
            found = self._store.list_timing(timing, day=day)
        elif day:
            found = self._store.list_day(day, *self._calendar.around(day))
        else:
            raise ValueError("name a timing, a movie or a day")
        now = self._clock()
        return (self._views.ticket(each, now) for each in found)

    def count_unexpired(self, movie: Play) -> int:
        """Count the tickets of a movie that have not expired."""
        after = self._clock() - self._views.expire_after
        return self._store.count_of_movie(movie, after)

    def _find(self, timing: str | None, movie: int | None) -> Play:
        return self._timetable.find(timing) if movie is None else self._catalogue.find(movie)

    def _named(
        self,
        timing: str | None,
        movie: int | None,
        day: date | None,
        wanted: Wanted | None,
        now: datetime,
    ) -> Play:
        """Return what a request names; raises InvalidRequest with all errors, or MovieNotFound."""
        play = Play("", self._views.house)
        errors: dict[str, list[str]] = {}
        try:
            if timing or movie:
                play = self._find(timing, movie)
        except InvalidRequest as refusal:
            errors |= refusal.errors
        if day and (error := self._calendar.date_error(day, now)):
            errors["date"] = [error]
        if wanted:
            errors |= wanted.errors(play)
        if errors:
            raise InvalidRequest(errors)
        return play

    def _showing(self, play: Play, day: date | None, now: datetime) -> Showing:
        if day is None:
            return self._calendar.next_showing(play, now)
        return self._calendar.showing(play, day)

    def _bookable(self, play: Play, day: date | None, now: datetime) -> Showing:
        """Return the showing on `day`, or else the next one, if its seats can be booked now.

        Raises InvalidRequest, NotOnSale or ShowingStarted.
        """
        showing = self._showing(play, day, now)
        if refusal := self._calendar.why_unbookable(play, showing, now):
            raise refusal
        if day is None and self._calendar.date_error(showing.date, now):
            field = "timing" if play.movie is None else "movie"
            raise InvalidRequest({field: ["The next showing is too far ahead to be booked yet."]})
        return showing

    def _destination(
        self,
        ticket: StoredTicket,
        timing: str | None,
        movie: int | None,
        day: date | None,
        wanted: Wanted | None,
        now: datetime,
    ) -> tuple[Play, Showing]:
        """Return what a ticket moves to; it stays in the timetable, or with the movies.

        Raises InvalidRequest, MovieNotFound, NotOnSale or ShowingStarted.
        """
        own = ticket.showing
        if own.movie is None and movie is not None:
            wrong = {"movie": ["This ticket is for the timetable, not for a movie."]}
            raise InvalidRequest({**self.errors(timing, None, day, wanted), **wrong})
        if own.movie is not None and timing is not None:
            wrong = {"timing": ["This ticket is for a movie, not for the timetable."]}
            raise InvalidRequest({**self.errors(None, movie or own.movie, day, wanted), **wrong})
        if timing in (None, own.timing) and movie in (None, own.movie) and day in (None, own.date):
            # Its own showing, which may have left the timetable or gone off sale.
            play = (
                Play(own.timing, self._views.house)
                if own.movie is None
                else self._catalogue.find(own.movie)
            )
            if wanted and (errors := wanted.errors(play)):
                raise InvalidRequest(errors)
            return play, own
        if own.movie is None:
            play = self._named(timing or own.timing, None, day, wanted, now)
        else:
            play = self._named(None, movie or own.movie, day, wanted, now)
        if day is None and not self._calendar.showing(play, own.date).has_started(now):
            day = own.date
        return play, self._bookable(play, day, now)

    def _stored(self, ticket_id: str) -> StoredTicket:
        ticket = self._store.get(ticket_id)
        if not ticket:
            raise TicketNotFound
        return ticket

    def _changeable(self, ticket_id: str, phone: Phone | None) -> StoredTicket:
        """Return a ticket with this phone (None: one without), of which nobody is in.

        Raises TicketNotFound, InvalidRequest, PhoneMismatch or AlreadyAdmitted.
        """
        ticket = self._stored(ticket_id)
        if ticket.phone and not phone:
            raise InvalidRequest(_NO_PHONE)
        if (ticket.phone and ticket.phone.e164) != (phone and phone.e164):
            raise PhoneMismatch
        if ticket.admission:
            raise AlreadyAdmitted(**self._views.admission_facts(ticket))
        return ticket
