"""Request schemas for the multiplex."""

from __future__ import annotations

from typing import Any

from marshmallow import Schema, validate

from app.domain import examples
from app.tickets.schemas import (
    MAX_NUMBER,
    Choice,
    DaySchema,
    PhoneNumber,
    WantedSeats,
    movie_field,
    name_field,
)
from app.web.fields import Text, Timing, TrueOrFalse, WholeNumber

MAX_SEATS = 996


def title_field(**options: Any) -> Text:
    """Return the field for the title of a movie."""
    return Text(validate=validate.Length(max=100), metadata={"example": "Sholay"}, **options)


class NewScreenSchema(Schema):
    """A new screen."""

    seats = WholeNumber(1, MAX_SEATS, required=True, metadata={"example": 996})
    seats_per_row = WholeNumber(
        1, 100, metadata={"description": "Default: 20. The last row may be shorter."}
    )


class NewMovieSchema(Schema):
    """A new movie on a screen; it plays daily."""

    screen = WholeNumber(1, MAX_NUMBER, required=True, metadata={"example": 1})
    showtime = Timing(metadata={"description": "Default: now.", "example": "11:22"})
    title = title_field()


class MovieChangeSchema(Choice):
    """A movie's new title, or whether it is on sale: at least one field."""

    at_least_one = ("title", "on_sale")
    title = title_field()
    on_sale = TrueOrFalse(metadata={"description": "Whether its tickets are sold."})


class PutOnSaleSchema(Schema):
    """A movie to be put on sale."""

    movie = movie_field(required=True, metadata={"example": 1})


class PurchaseSchema(WantedSeats, DaySchema):
    """A purchase: which movie, and optionally who."""

    movie = movie_field(required=True, metadata={"example": 1})
    name = name_field()
    phone = PhoneNumber(
        metadata={
            "description": "A phone number. Changing the ticket then requires it.",
            "example": examples.PHONE,
        }
    )
