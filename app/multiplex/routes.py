"""The multiplex's routes, under `/api`."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import current_app

from app.multiplex.schemas import (
    NewMovieSchema,
    NewPurchaseSchema,
    NewScreenSchema,
    PutOnSaleSchema,
)
from app.multiplex.service import Movie, MultiplexService, Purchase, Screen
from app.theatre.refusals import (
    IdempotencyKeyReused,
    MovieNotFound,
    NotEnoughSeats,
    NotOnSale,
    ScreenNotFound,
    ShowingStarted,
    SoldOut,
)
from app.web.blueprint import REPLAYED_HEADER, Blueprint, replay_headers
from app.web.fields import response_schema
from app.web.reading import IdempotencyHeaders

blueprint = Blueprint(
    "Multiplex",
    __name__,
    url_prefix="/api",
    description="Screens, movies that play daily, and their tickets.",
)


def multiplex_service() -> MultiplexService:
    """Return the multiplex service of the current app."""
    service: MultiplexService = current_app.extensions["multiplex"]
    return service


@blueprint.post("/screens")
@blueprint.staff_only
@blueprint.reads(body=NewScreenSchema())
@blueprint.response(201, response_schema(Screen)())
def add_screen(seats: int) -> Screen:
    """Set up a screen

    It gets the next number, and has no movies yet.
    """
    return multiplex_service().add_screen(seats)


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
@blueprint.refuses(ScreenNotFound)
def add_movie(**fields: Any) -> Movie:
    """Schedule a movie to play daily on a screen

    At its `showtime`, or at the current minute if none is given. Its tickets are not on sale yet.
    """
    return multiplex_service().add_movie(**fields)


@blueprint.get("/movies")
@blueprint.reads()
@blueprint.response(200, response_schema(Movie)(many=True))
def list_movies() -> list[Movie]:
    """List the movies, on sale and not

    `purchased_seats` and `free_seats` are those of the showing that `date` and `showing_at` name.
    """
    return multiplex_service().movies()


@blueprint.put("/tickets")
@blueprint.staff_only
@blueprint.reads(body=PutOnSaleSchema())
@blueprint.response(200, response_schema(Movie)())
@blueprint.refuses(MovieNotFound, SoldOut)
def put_on_sale(movie: int) -> Movie:
    """Put a movie's tickets on sale

    Repeating this is harmless. Refused if the next showing has no seats left.
    """
    return multiplex_service().put_on_sale(movie)


def date_faults(day: date | None = None, **_: Any) -> dict[str, list[str]]:
    """Return what is wrong with the day that a purchase names, by field."""
    return multiplex_service().date_faults(day)


@blueprint.post("/tickets")
@blueprint.reads(headers=IdempotencyHeaders(), body=NewPurchaseSchema(), more_faults=date_faults)
@blueprint.response(201, response_schema(Purchase)(), headers=REPLAYED_HEADER)
@blueprint.refuses(MovieNotFound, NotOnSale, NotEnoughSeats, ShowingStarted, IdempotencyKeyReused)
def buy(**fields: Any) -> tuple[Purchase, dict[str, str]]:
    """Buy tickets together

    All or none, for consecutive seats. With an `Idempotency-Key`, a request that is sent again
    buys once.
    """
    bought = multiplex_service().buy(**fields)
    return bought.made, replay_headers(bought)
