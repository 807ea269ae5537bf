"""The multiplex's routes, under `/api`."""

from __future__ import annotations

from typing import Any

from flask import current_app

from app.http import REPLAYED, Blueprint, IdempotencyHeaders
from app.multiplex.schemas import (
    MovieSchema,
    NewMovieSchema,
    NewPurchaseSchema,
    NewScreenSchema,
    PurchaseSchema,
    PutOnSaleSchema,
    ScreenSchema,
)
from app.multiplex.service import Movie, MultiplexService, Purchase, Screen

blueprint = Blueprint("multiplex", __name__, url_prefix="/api", description="The multiplex")


def multiplex_service() -> MultiplexService:
    """Return the multiplex service of the current app."""
    service: MultiplexService = current_app.extensions["multiplex"]
    return service


@blueprint.post("/screens")
@blueprint.arguments(NewScreenSchema())
@blueprint.response(201, ScreenSchema())
def add_screen(body: dict[str, Any]) -> Screen:
    """Set up a screen."""
    return multiplex_service().add_screen(**body)


@blueprint.get("/screens")
@blueprint.response(200, ScreenSchema(many=True))
def list_screens() -> list[Screen]:
    """List the screens and their movies."""
    return multiplex_service().screens()


@blueprint.post("/movies")
@blueprint.arguments(NewMovieSchema())
@blueprint.response(201, MovieSchema())
def add_movie(body: dict[str, Any]) -> Movie:
    """Let a movie play daily on a screen."""
    return multiplex_service().add_movie(**body)


@blueprint.get("/movies")
@blueprint.response(200, MovieSchema(many=True))
def list_movies() -> list[Movie]:
    """List the movies, on sale and not."""
    return multiplex_service().movies()


@blueprint.put("/tickets")
@blueprint.arguments(PutOnSaleSchema())
@blueprint.response(200, MovieSchema())
def put_on_sale(body: dict[str, Any]) -> Movie:
    """Put a movie's tickets on sale."""
    return multiplex_service().put_on_sale(**body)


@blueprint.post("/tickets")
@blueprint.arguments(IdempotencyHeaders(), location="headers")
@blueprint.arguments(NewPurchaseSchema())
@blueprint.response(201, PurchaseSchema())
def buy(headers: dict[str, Any], body: dict[str, Any]) -> tuple[Purchase, dict[str, str]]:
    """Buy tickets together: all or none."""
    purchase = multiplex_service().buy(**body, **headers)
    return purchase, REPLAYED if purchase.replayed else {}
