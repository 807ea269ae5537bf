"""The multiplex's routes, under `/api`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from flask import current_app

from app.domain.idempotency import IdempotentRequest
from app.domain.refusals import (
    HasTickets,
    IdempotencyKeyReused,
    MovieNotFound,
    NotEnoughSeats,
    NotOnSale,
    ScreenBusy,
    ScreenNotFound,
    SeatTaken,
    ShowingStarted,
    SoldOut,
)
from app.domain.wanted import Wanted
from app.multiplex.schemas import (
    MovieChangeSchema,
    NewMovieSchema,
    NewScreenSchema,
    PurchaseSchema,
    PutOnSaleSchema,
)
from app.multiplex.service import Movie, MultiplexService, Screen
from app.multiplex.store import DEFAULT_SEATS_PER_ROW
from app.tickets.phones import Phone
from app.tickets.routes import sale_headers, ticket_service
from app.tickets.schemas import DaySchema, wanted_of
from app.tickets.views import Ticket
from app.web.blueprint import LOCATION_HEADER, REPLAYED_HEADER, Blueprint
from app.web.fields import response_schema
from app.web.reading import IdempotencyHeaders

blueprint = Blueprint(
    "Multiplex",
    __name__,
    url_prefix="/api",
    description="Screens, movies that play daily, and the sale of their tickets.",
)
_MOVIE = "/movies/<number:movie>"


def multiplex_service() -> MultiplexService:
    """Return the multiplex service of the current app."""
    service: MultiplexService = current_app.extensions["multiplex"]
    return service


@blueprint.post("/screens")
@blueprint.staff_only
@blueprint.reads(body=NewScreenSchema())
@blueprint.response(201, response_schema(Screen)())
def add_screen(seats: int, seats_per_row: int = DEFAULT_SEATS_PER_ROW) -> Screen:
    """Set up a screen

    It gets the next number, and has no movies yet.
    """
    return multiplex_service().add_screen(seats, seats_per_row)


@blueprint.get("/screens")
@blueprint.reads()
@blueprint.response(200, response_schema(Screen)(many=True))
def list_screens() -> list[Screen]:
    """List the screens and their movies

    In order of their numbers, with the movies as `GET /api/movies` shows them.
    """
    return multiplex_service().screens()


@blueprint.post("/movies")
@blueprint.staff_only
@blueprint.reads(body=NewMovieSchema())
@blueprint.response(201, response_schema(Movie)())
@blueprint.refuses(ScreenNotFound, ScreenBusy)
def add_movie(screen: int, showtime: str | None = None, title: str | None = None) -> Movie:
    """Schedule a movie to play daily on a screen

    At its `showtime`, or at the current minute if none is given. Its tickets are not on sale yet.
    """
    return multiplex_service().add_movie(screen, showtime, title)


def day_errors(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with the day that a request names, by field."""
    return ticket_service().errors(day=values.get("day"))


@blueprint.get("/movies")
@blueprint.reads(query=DaySchema(), more_errors=day_errors)
@blueprint.response(200, response_schema(Movie)(many=True))
def list_movies(day: date | None = None) -> list[Movie]:
    """List the movies, on sale and not

    `purchased_seats` and `free_seats` are those of the showing that `date` and `showing_at` name:
    the one on the `date` of the query, or else the next.
    """
    return multiplex_service().movies(day)


@blueprint.patch(_MOVIE)
@blueprint.staff_only
@blueprint.reads(body=MovieChangeSchema())
@blueprint.response(200, response_schema(Movie)())
@blueprint.refuses(MovieNotFound)
def change_movie(movie: int, title: str | None = None, on_sale: bool | None = None) -> Movie:
    """Change the title of a movie, or whether it is on sale

    At least one field is required. A movie that is off sale sells nothing more; sold tickets stay
    valid.
    """
    return multiplex_service().change(movie, title=title, on_sale=on_sale)


@blueprint.delete(_MOVIE)
@blueprint.staff_only
@blueprint.reads()
@blueprint.response(204)
@blueprint.refuses(MovieNotFound, HasTickets)
def delete_movie(movie: int) -> None:
    """Delete a movie

    Refused while tickets of it have not expired.
    """
    multiplex_service().delete(movie)


@blueprint.put("/tickets")
@blueprint.staff_only
@blueprint.reads(body=PutOnSaleSchema())
@blueprint.response(200, response_schema(Movie)())
@blueprint.refuses(MovieNotFound, SoldOut)
def put_on_sale(movie: int) -> Movie:
    """Put a movie's tickets on sale

    Repeating this is harmless. If the next showing has no seats left, the response is 409, and the
    movie is on sale for its other days.
    """
    return multiplex_service().put_on_sale(movie)


def purchase_errors(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with the showing and the seats that a purchase names, by field."""
    movie = values.get("movie")
    wanted = wanted_of(values) if movie else None
    return ticket_service().errors(movie=movie, day=values.get("day"), wanted=wanted)


@blueprint.post("/tickets")
@blueprint.counts("booking")
@blueprint.reads(headers=IdempotencyHeaders(), body=PurchaseSchema(), more_errors=purchase_errors)
@blueprint.response(201, response_schema(Ticket)(), headers={**LOCATION_HEADER, **REPLAYED_HEADER})
@blueprint.refuses(
    MovieNotFound,
    NotOnSale,
    ShowingStarted,
    SoldOut,
    NotEnoughSeats,
    SeatTaken,
    IdempotencyKeyReused,
)
def buy(
    movie: int,
    day: date | None = None,
    wanted: Wanted = Wanted(),  # noqa: B008 (it is frozen)
    name: str | None = None,
    phone: Phone | None = None,
    key: str | None = None,
) -> tuple[Ticket, dict[str, str]]:
    """Buy a ticket for a movie

    For one `seat`, several `seats`, or an `amount` of the best ones: all or none. The response's
    `ticket_id` gives access to the ticket, which is like any other. With a `phone`, changing the
    ticket requires that phone. With an `Idempotency-Key`, a request that is sent again buys once.
    """
    who = {} if name is None else {"name": name}
    who |= {"phone": phone.given} if phone else {}
    # With the fields that 1.0 used: its fingerprints are still compared.
    asked = wanted.as_asked() or {"amount": 1}
    sold = ticket_service().sell(
        movie=movie,
        day=day,
        wanted=wanted,
        name=name,
        phone=phone,
        request=IdempotentRequest.of(key, movie=movie, date=day, **asked, **who),
    )
    return sold.result, sale_headers(sold)
