"""What requests to the ticket window and the door must look like."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import current_app
from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from app.booking.phones import parse_phone
from app.theatre import examples
from app.web.fields import Day, Text, Timing, WholeNumber

_ADMISSION_CODE = "[ -]*[0-9A-Za-z][0-9A-Za-z -]*"


class TicketId(fields.String):
    """A ticket id: 1 to 128 characters of base64url."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metadata = {"pattern": "^[A-Za-z0-9_-]{1,128}$", **self.metadata}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", text):
            raise ValidationError("Not a ticket id.")
        return text


class AdmissionCode(fields.String):
    """An admission code as people type it, with or without spaces and hyphens."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(validate=validate.Length(max=64), **kwargs)
        self.metadata = {"pattern": f"^{_ADMISSION_CODE}$", **self.metadata}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        if not re.fullmatch(_ADMISSION_CODE, text):
            raise ValidationError("Not an admission code.")
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


_NEW_SEAT = "The new seat; without it, the old one where that is free, or else any free one."


def new_seat(description: str) -> WholeNumber:
    """Return the field for a seat; the service knows how many there are."""
    return WholeNumber(1, metadata={"description": description})


class BookingSchema(Schema):
    """A booking: who, and which showing."""

    name = Text(
        required=True,
        validate=validate.Length(max=100),
        metadata={"description": "The customer's name.", "example": examples.NAME},
    )
    phone = PhoneNumber(
        required=True,
        metadata={
            "description": "A valid phone number; without a `+` it is read as a national one.",
            "example": examples.PHONE,
        },
    )
    timing = Timing(
        required=True,
        metadata={"description": "A time in the timetable.", "example": examples.TIMING},
    )
    day = Day(
        data_key="date",
        metadata={"description": "The day; without it, the next showing of the timing."},
    )
    seat = new_seat("The seat, up to the theatre's capacity; without it, any free one.")


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
    """A ticket's new timing and seat, with the phone that it was booked with."""

    ticket_id = TicketId(required=True, metadata={"example": examples.TICKET_ID})
    phone = PhoneNumber(required=True, metadata={"example": examples.PHONE})
    timing = Timing(
        required=True,
        data_key="timing_alter",
        metadata={"description": "The new timing.", "example": "21:00"},
    )
    day = new_day()
    seat = new_seat(_NEW_SEAT)


class MoveSchema(Schema):
    """A ticket's new timing, date or seat: at least one of them."""

    timing = Timing(metadata={"description": "The new timing.", "example": "21:00"})
    day = new_day()
    seat = new_seat(_NEW_SEAT)

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def refuse_nothing(self, _: Any, sent: Mapping[str, Any], **__: Any) -> None:
        """Refuse a request that names nothing to change."""
        names = ("timing", "date", "seat")
        if not any(name in sent for name in names):
            raise ValidationError(
                {name: ["Give at least one of timing, date and seat."] for name in names}
            )


class TicketPhoneHeaders(Schema):
    """The phone that a ticket was booked with."""

    phone = PhoneNumber(
        required=True, data_key="Ticket-Phone", metadata={"example": examples.PHONE}
    )


class TicketIdSchema(Schema):
    """A ticket by its id."""

    ticket_id = TicketId(required=True, metadata={"example": examples.TICKET_ID})


class TicketPhoneSchema(TicketIdSchema):
    """A ticket, and the phone that it was booked with."""

    phone = PhoneNumber(required=True, metadata={"example": examples.PHONE})


class DaySchema(Schema):
    """An optional day."""

    day = Day(data_key="date", metadata={"description": "A day in the booking window."})


class TimingSchema(Schema):
    """A timing, of one day or of all."""

    timing = Timing(required=True, metadata={"example": examples.TIMING})
    day = Day(data_key="date", metadata={"description": "Only the tickets of this day."})


class SeatsSchema(Schema):
    """A showing."""

    timing = Timing(required=True, metadata={"example": examples.TIMING})
    day = Day(
        data_key="date",
        metadata={"description": "The day; without it, the next showing of the timing."},
    )


class AdmissionSchema(Schema):
    """A ticket at the door, and which showing the door is for."""

    admission_code = AdmissionCode(
        required=True,
        metadata={
            "description": "In any case, with or without spaces and hyphens.",
            "example": examples.ADMISSION_CODE,
        },
    )
    timing = Timing(metadata={"description": "Only tickets of this timing."})
    day = Day(data_key="date", metadata={"description": "Only tickets of this day."})


class DeletedSchema(Schema):
    """A deleted ticket."""

    ticket_id = fields.String(required=True, metadata={"example": examples.TICKET_ID})
    deleted = fields.Boolean(required=True, metadata={"example": True})
