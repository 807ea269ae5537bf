"""What requests to the multiplex must look like."""

from __future__ import annotations

from marshmallow import Schema, validate

from app.web.fields import Day, Text, Timing, WholeNumber

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
