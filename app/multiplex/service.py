"""The multiplex: screens, movies that play daily, and the sale of their seats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime

from app.multiplex.store import MultiplexStore, StoredMovie, StoredPurchase
from app.theatre.examples import shown
from app.theatre.idempotency import IdempotentRequest, Outcome, once
from app.theatre.identifiers import new_id
from app.theatre.refusals import (
    InvalidRequest,
    MovieNotFound,
    NotOnSale,
    ScreenNotFound,
    ShowingStarted,
    SoldOut,
)
from app.theatre.showings import Calendar, Showing


@dataclass(frozen=True, slots=True)
class Movie:
    """A movie as it is shown, with its next showing; the instant is in the theatre's zone."""

    movie: int = shown(1)
    screen: int = shown(1)
    title: str | None = shown("Sholay")
    showtime: str = shown("11:22")
    on_sale: bool = shown(True)
    date: date = shown("2026-11-23")
    showing_at: datetime = shown("2026-11-23T11:22:00+05:30")
    seats: int = shown(996)
    purchased_seats: int = shown(2)
    free_seats: int = shown(994)


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen and the movies that play on it."""

    screen: int = shown(1)
    seats: int = shown(996)
    movies: list[Movie] = shown([])


@dataclass(frozen=True, slots=True)
class SeatTicket:
    """The ticket for one seat of a purchase."""

    ticket_id: str = shown("y2nImMLlnjLX6YyKnmNiig")
    seat: int = shown(3)


@dataclass(frozen=True, slots=True)
class Purchase:
    """Tickets that were bought together; the instant is in the theatre's zone."""

    purchase_id: str = shown("K6Qskoetcio_Rz7q3d3kZw")
    movie: int = shown(1)
    screen: int = shown(1)
    date: date = shown("2026-11-23")
    showing_at: datetime = shown("2026-11-23T11:22:00+05:30")
    amount: int = shown(2)
    tickets: list[SeatTicket] = shown([])


class MultiplexService:
    """Sets up screens and movies, and sells seats; `clock` returns the current instant."""

    def __init__(
        self,
        store: MultiplexStore,
        calendar: Calendar,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._calendar = calendar
        self._clock = clock

    def add_screen(self, seats: int) -> Screen:
        """Set up a screen with this many seats."""
        screen = self._store.add_screen(seats)
        return Screen(screen.number, screen.seats, movies=[])

    def screens(self) -> list[Screen]:
        """Return all screens with their movies, in the order of their numbers."""
        screens = {
            screen.number: Screen(screen.number, screen.seats, movies=[])
            for screen in self._store.screens()
        }
        for movie in self.movies():
            if movie.screen in screens:  # not if its screen was set up since they were read
                screens[movie.screen].movies.append(movie)
        return list(screens.values())

    def add_movie(
        self, screen: int, showtime: str | None = None, title: str | None = None
    ) -> Movie:
        """Schedule a movie to play daily, by default at this minute. Raises ScreenNotFound."""
        found = self._store.screen(screen)
        if not found:
            raise ScreenNotFound
        if showtime is None:
            showtime = self._calendar.local(self._clock()).strftime("%H:%M")
        return self._as_movies([self._store.add_movie(found, showtime, title)])[0]

    def movies(self) -> list[Movie]:
        """Return all movies, on sale and not, in the order of their numbers."""
        return self._as_movies(self._store.movies())

    def put_on_sale(self, movie: int) -> Movie:
        """Put a movie on sale for good. Raises MovieNotFound, or SoldOut when no seat is left."""
        found = self._store.put_on_sale(movie)
        if not found:
            raise MovieNotFound
        shown = self._as_movies([found])[0]
        if not shown.free_seats:
            raise SoldOut
        return shown

    def date_faults(self, day: date | None) -> dict[str, list[str]]:
        """Return what keeps tickets of this day from being bought, by field."""
        fault = self._calendar.date_fault(day, self._clock()) if day else None
        return {"date": [fault]} if fault else {}

    def buy(
        self, movie: int, amount: int = 1, day: date | None = None, key: str | None = None
    ) -> Outcome[Purchase]:
        """Buy that many seats of the showing on `day`, or of the next one: all or none.

        The same `key` with the same request buys once and returns the same purchase. Raises
        MovieNotFound, NotOnSale, InvalidRequest, ShowingStarted, NotEnoughSeats or
        IdempotencyKeyReused.
        """
        request = IdempotentRequest.of(key, movie=movie, amount=amount, date=day)

        def sell() -> StoredPurchase:
            found = self._store.movie(movie)
            if not found:
                raise MovieNotFound
            if not found.on_sale:
                raise NotOnSale
            return self._store.sell(
                found,
                self._showing(found, day),
                purchase_id=new_id(),
                ticket_ids=tuple(new_id() for _ in range(amount)),
                request=request,
            )

        stored = once(request, sell, self._store.find_by_key)
        return Outcome(self._purchase(stored.made), stored.replayed)

    def _purchase(self, stored: StoredPurchase) -> Purchase:
        return Purchase(
            purchase_id=stored.purchase_id,
            movie=stored.movie,
            screen=stored.screen,
            date=stored.showing.date,
            showing_at=self._calendar.local(stored.showing.at),
            amount=len(stored.ticket_ids),
            tickets=[
                SeatTicket(ticket_id, seat)
                for seat, ticket_id in enumerate(stored.ticket_ids, stored.first_seat)
            ],
        )

    def _showing(self, movie: StoredMovie, day: date | None) -> Showing:
        now = self._clock()
        if day is None:
            day = self._calendar.next_showing(movie.showtime, now).date
        if fault := self._calendar.date_fault(day, now):
            raise InvalidRequest({"date": [fault]})
        showing = self._calendar.showing(movie.showtime, day)
        if showing.has_started(now):
            raise ShowingStarted
        return showing

    def _as_movies(self, movies: list[StoredMovie]) -> list[Movie]:
        now = self._clock()
        showings = {
            movie.number: self._calendar.next_showing(movie.showtime, now) for movie in movies
        }
        sold = self._store.sold(showings)
        return [
            Movie(
                movie=movie.number,
                screen=movie.screen,
                title=movie.title,
                showtime=movie.showtime,
                on_sale=movie.on_sale,
                date=showings[movie.number].date,
                showing_at=self._calendar.local(showings[movie.number].at),
                seats=movie.seats,
                purchased_seats=sold[movie.number],
                free_seats=movie.seats - sold[movie.number],
            )
            for movie in movies
        ]
