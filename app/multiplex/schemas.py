"""What requests to the multiplex must look like, and what its answers do."""

from __future__ import annotations

from marshmallow import Schema, fields, validate

from app.web.fields import Day, ResponseSchema, Text, Timing, WholeNumber

MOST_SEATS = 996
# Numbers of screens and movies are counted from 1; no house has more than this.
MOST_NUMBER = 2**31 - 1


class NewScreenSchema(Schema):
    """A new screen."""

    seats = WholeNumber(1, MOST_SEATS, required=True, metadata={"example": 996})


class NewMovieSchema(Schema):
    """A new movie on a screen; it plays daily."""

    screen = WholeNumber(1, MOST_NUMBER, required=True, metadata={"example": 1})
    showtime = Timing(metadata={"description": "By default, now.", "example": "11:22"})
    title = Text(validate=validate.Length(max=100), metadata={"example": "Sholay"})


class PutOnSaleSchema(Schema):
    """A movie to be put on sale."""

    movie = WholeNumber(1, MOST_NUMBER, required=True, metadata={"example": 1})


class NewPurchaseSchema(Schema):
    """Tickets to be bought together."""

    movie = WholeNumber(1, MOST_NUMBER, required=True, metadata={"example": 1})
    amount = WholeNumber(1, MOST_SEATS, metadata={"description": "By default, 1.", "example": 2})
    day = Day(
        data_key="date",
        metadata={"description": "The day; without it, the movie's next showing."},
    )


class MovieSchema(ResponseSchema):
    """A movie; its seats are those of the showing named beside them."""

    movie = fields.Integer(required=True, metadata={"example": 1})
    screen = fields.Integer(required=True, metadata={"example": 1})
    title = fields.String(required=True, allow_none=True, metadata={"example": "Sholay"})
    showtime = fields.String(required=True, metadata={"example": "11:22"})
    on_sale = fields.Boolean(required=True, metadata={"example": True})
    date = fields.Date(required=True, metadata={"example": "2026-11-23"})
    showing_at = fields.DateTime(required=True, metadata={"example": "2026-11-23T11:22:00+05:30"})
    seats = fields.Integer(required=True, metadata={"example": 996})
    purchased_seats = fields.Integer(required=True, metadata={"example": 2})
    free_seats = fields.Integer(required=True, metadata={"example": 994})


class ScreenSchema(ResponseSchema):
    """A screen and its movies."""

    screen = fields.Integer(required=True, metadata={"example": 1})
    seats = fields.Integer(required=True, metadata={"example": 996})
    movies = fields.List(fields.Nested(MovieSchema()), required=True)


class SeatTicketSchema(ResponseSchema):
    """The ticket for one seat."""

    ticket_id = fields.String(required=True, metadata={"example": "y2nImMLlnjLX6YyKnmNiig"})
    seat = fields.Integer(required=True, metadata={"example": 3})


class PurchaseSchema(ResponseSchema):
    """Tickets that were bought together, for consecutive seats."""

    purchase_id = fields.String(required=True, metadata={"example": "K6Qskoetcio_Rz7q3d3kZw"})
    movie = fields.Integer(required=True, metadata={"example": 1})
    screen = fields.Integer(required=True, metadata={"example": 1})
    date = fields.Date(required=True, metadata={"example": "2026-11-23"})
    showing_at = fields.DateTime(required=True, metadata={"example": "2026-11-23T11:22:00+05:30"})
    amount = fields.Integer(required=True, metadata={"example": 2})
    tickets = fields.List(fields.Nested(SeatTicketSchema()), required=True)
