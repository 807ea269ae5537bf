"""Request schemas for the multiplex."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, validate, validates_schema

from app.domain import examples
from app.tickets.schemas import MAX_NUMBER, PhoneNumber, WantedSeats, movie_field
from app.web.fields import Day, Text, Timing, TrueOrFalse, WholeNumber

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


class MovieChangeSchema(Schema):
    """A movie's new title, or whether it is on sale: at least one field."""

    title = title_field()
    on_sale = TrueOrFalse(metadata={"description": "Whether its tickets are sold."})

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def refuse_nothing(self, _: Any, sent: Mapping[str, Any], **__: Any) -> None:
        """Refuse a request that names nothing to change."""
        if not sent.keys() & {"title", "on_sale"}:
            message = ["Give at least one of title and on_sale."]
            raise ValidationError({"title": message, "on_sale": message})


class DayQuery(Schema):
    """An optional day."""

    day = Day(
        data_key="date", metadata={"description": "The day. Default: that of the next showing."}
    )


class PutOnSaleSchema(Schema):
    """A movie to be put on sale."""

    movie = movie_field(required=True, metadata={"example": 1})


class PurchaseSchema(WantedSeats):
    """A purchase: which movie, and optionally who."""

    movie = movie_field(required=True, metadata={"example": 1})
    day = Day(
        data_key="date", metadata={"description": "The day. Default: that of the next showing."}
    )
    name = Text(
        validate=validate.Length(max=100),
        metadata={"description": "The customer's name.", "example": examples.NAME},
    )
    phone = PhoneNumber(
        metadata={
            "description": "A phone number. Changing the ticket then requires it.",
            "example": examples.PHONE,
        }
    )
