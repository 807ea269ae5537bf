"""The multiplex: sets up screens and movies, and reports what is sold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from app.domain.examples import documented
from app.domain.refusals import HasTickets, ScreenNotFound, SoldOut
from app.domain.seating import House
from app.domain.showings import Calendar, Play
from app.multiplex.store import DEFAULT_SEATS_PER_ROW, Catalogue
from app.tickets.service import TicketService


@dataclass(frozen=True, slots=True)
class Movie:
    """A movie as responses show it, with one showing; the instant is in the theatre's zone."""

    movie: int = documented(1)
    screen: int = documented(1)
    title: str | None = documented("Sholay")
    showtime: str = documented("11:22")
    on_sale: bool = documented(True)
    date: date = documented("2026-11-23")
    showing_at: datetime = documented("2026-11-23T11:22:00+05:30")
    seats: int = documented(996)
    purchased_seats: int = documented(2)
    free_seats: int = documented(994)


@dataclass(frozen=True, slots=True)
class Screen:
    """A screen and the movies that play on it."""

    screen: int = documented(1)
    seats: int = documented(996)
    seats_per_row: int = documented(20)
    movies: list[Movie] = documented([])


class MultiplexService:
    """Sets up screens and movies; `clock` returns the current instant, zone-aware."""

    def __init__(
        self,
        catalogue: Catalogue,
        tickets: TicketService,
        calendar: Calendar,
        clock: Callable[[], datetime],
    ) -> None:
        self._catalogue = catalogue
        self._tickets = tickets
        self._calendar = calendar
        self._clock = clock

    def add_screen(self, seats: int, seats_per_row: int = DEFAULT_SEATS_PER_ROW) -> Screen:
        """Set up a screen with this many seats."""
        screen = self._catalogue.add_screen(House(seats, seats_per_row))
        return Screen(screen.number, seats, seats_per_row, movies=[])

    def screens(self) -> list[Screen]:
        """Return all screens with their movies, in the order of their numbers."""
        screens = {
            screen.number: Screen(
                screen.number, screen.house.seats, screen.house.seats_per_row, movies=[]
            )
            for screen in self._catalogue.screens()
        }
        for movie in self.movies():
            if movie.screen in screens:  # not if its screen was set up since they were read
                screens[movie.screen].movies.append(movie)
        return list(screens.values())

    def add_movie(
        self, screen: int, showtime: str | None = None, title: str | None = None
    ) -> Movie:
        """Schedule a movie to play daily at `showtime` (`HH:MM`), by default at this minute.

        Raises ScreenNotFound or ScreenBusy.
        """
        found = self._catalogue.screen(screen)
        if not found:
            raise ScreenNotFound
        if showtime is None:
            showtime = self._calendar.local(self._clock()).strftime("%H:%M")
        return self._as_movie(self._catalogue.add_movie(found, showtime, title))

    def movies(self, day: date | None = None) -> list[Movie]:
        """Return all movies, in the order of their numbers, with their showings on `day`.

        By default, with their next showings. Raises InvalidRequest when `day` is outside the
        booking window.
        """
        return self._as_movies(self._catalogue.movies(), day)

    def put_on_sale(self, movie: int) -> Movie:
        """Put a movie on sale.

        Raises MovieNotFound, or SoldOut when its next showing has no seat left. Then it is on sale
        for its other days.
        """
        shown = self._as_movie(self._catalogue.change(movie, on_sale=True))
        if not shown.free_seats:
            raise SoldOut
        return shown

    def change(self, movie: int, *, title: str | None, on_sale: bool | None) -> Movie:
        """Change a movie's title or whether it is on sale; None means unchanged.

        Sold tickets stay valid, and keep the title that they were sold with. Raises
        MovieNotFound.
        """
        return self._as_movie(self._catalogue.change(movie, title=title, on_sale=on_sale))

    def delete(self, movie: int) -> None:
        """Delete a movie. Raises MovieNotFound, or HasTickets while tickets have not expired.

        A purchase in flight while the tickets are counted still gets its ticket, which stays
        valid.
        """
        play = self._catalogue.find(movie)
        if tickets := self._tickets.count_unexpired(play):
            raise HasTickets(tickets)
        self._catalogue.delete(movie)

    def _as_movie(self, play: Play) -> Movie:
        return self._as_movies([play])[0]

    def _as_movies(self, plays: Sequence[Play], day: date | None = None) -> list[Movie]:
        slots = self._tickets.slots(plays, day)
        return [
            Movie(
                movie=play.movie or 0,
                screen=play.screen or 0,
                title=play.title,
                showtime=play.timing,
                on_sale=play.on_sale,
                date=slot.date,
                showing_at=slot.showing_at,
                seats=slot.capacity,
                purchased_seats=slot.booked,
                free_seats=slot.available,
            )
            for play, slot in zip(plays, slots, strict=True)
        ]
