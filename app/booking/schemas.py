"""What requests to the ticket window must look like, and what its answers do."""

from __future__ import annotations

import re
from typing import Any

from flask import current_app
from marshmallow import Schema, ValidationError, fields, validate

from app.booking.phones import parse_phone
from app.web.fields import Day, ResponseSchema, Text, Timing

EXAMPLE_TICKET_ID = "q3vLrWm0T1yQ8bXo5eZkNA"


class TicketId(fields.String):
    """An id as the box office hands them out, or one that could be (base64url, up to 128)."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metadata = {"pattern": "^[A-Za-z0-9_-]{1,128}$", **self.metadata}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", text):
            raise ValidationError("Not a ticket id.")
        return text


class PhoneNumber(fields.String):
    """A phone number; without `+` it is read in the theatre's `PHONE_REGION`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metadata = {"minLength": 1, **self.metadata}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        try:
            return parse_phone(text, current_app.config["PHONE_REGION"])
        except ValueError as error:
            raise ValidationError(str(error)) from None


class BookingSchema(Schema):
    """A booking: who, and which showing."""

    name = Text(
        required=True,
        validate=validate.Length(max=100),
        metadata={"description": "The customer's name.", "example": "Asha Rao"},
    )
    phone = PhoneNumber(
        required=True,
        metadata={
            "description": "A valid phone number; without a `+` it is a national one.",
            "example": "98765 43210",
        },
    )
    timing = Timing(
        required=True, metadata={"description": "A time of the timetable.", "example": "18:00"}
    )
    day = Day(
        data_key="date",
        metadata={"description": "The day; without it, the next showing of the timing."},
    )


def new_day() -> Day:
    """Return the field for the day that a ticket is moved to."""
    return Day(
        data_key="date",
        metadata={
            "description": "The new day; without it the ticket keeps its date if that showing is "
            "still ahead, else it takes the next one."
        },
    )


class ChangeTimingSchema(Schema):
    """A ticket's new timing, with the phone that it was booked with."""

    ticket_id = TicketId(required=True, metadata={"example": EXAMPLE_TICKET_ID})
    phone = PhoneNumber(required=True, metadata={"example": "98765 43210"})
    timing = Timing(
        required=True,
        data_key="timing_alter",
        metadata={"description": "The new timing.", "example": "21:00"},
    )
    day = new_day()


class MoveSchema(Schema):
    """A ticket's new timing."""

    timing = Timing(required=True, metadata={"description": "The new timing.", "example": "21:00"})
    day = new_day()


class TicketPhoneHeaders(Schema):
    """The phone that a ticket was booked with."""

    phone = PhoneNumber(required=True, data_key="Ticket-Phone", metadata={"example": "98765 43210"})


class TicketIdSchema(Schema):
    """A ticket by its id."""

    ticket_id = TicketId(required=True, metadata={"example": EXAMPLE_TICKET_ID})


class TicketPhoneSchema(TicketIdSchema):
    """A ticket, and the phone that it was booked with."""

    phone = PhoneNumber(required=True, metadata={"example": "98765 43210"})


class DaySchema(Schema):
    """An optional day."""

    day = Day(data_key="date", metadata={"description": "A day of the booking window."})


class TimingSchema(Schema):
    """A timing, of one day or of all."""

    timing = Timing(required=True, metadata={"example": "18:00"})
    day = Day(data_key="date", metadata={"description": "Only the tickets of this day."})


class TicketSchema(ResponseSchema):
    """A ticket."""

    ticket_id = fields.String(required=True, metadata={"example": EXAMPLE_TICKET_ID})
    name = fields.String(required=True, metadata={"example": "Asha Rao"})
    phone = fields.String(required=True, metadata={"example": "98765 43210"})
    timing = fields.String(required=True, metadata={"example": "18:00"})
    date = fields.Date(required=True, metadata={"example": "2026-11-22"})
    showing_at = fields.DateTime(required=True, metadata={"example": "2026-11-22T18:00:00+05:30"})
    seat = fields.Integer(required=True, metadata={"example": 7})
    expired = fields.Boolean(required=True, metadata={"example": False})
    expires_at = fields.DateTime(required=True, metadata={"example": "2026-11-23T02:00:00+05:30"})
    booked_at = fields.DateTime(required=True, metadata={"example": "2026-11-22T14:03:11+05:30"})


class DeletedSchema(Schema):
    """A deleted ticket."""

    ticket_id = fields.String(required=True, metadata={"example": EXAMPLE_TICKET_ID})
    deleted = fields.Boolean(required=True, metadata={"example": True})


class SlotSchema(ResponseSchema):
    """A showing of the timetable, and its seats."""

    timing = fields.String(required=True, metadata={"example": "18:00"})
    date = fields.Date(required=True, metadata={"example": "2026-11-22"})
    showing_at = fields.DateTime(required=True, metadata={"example": "2026-11-22T18:00:00+05:30"})
    capacity = fields.Integer(required=True, metadata={"example": 20})
    booked = fields.Integer(required=True, metadata={"example": 3})
    available = fields.Integer(required=True, metadata={"example": 17})
