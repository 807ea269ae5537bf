"""Request schemas for the ticket window."""

from __future__ import annotations

from marshmallow import Schema, fields

from app.domain import examples
from app.tickets.schemas import ChosenSeats, PhoneNumber, TicketId, WantedSeats, name_field
from app.web.fields import Day, Timing


class BookingSchema(WantedSeats):
    """A booking: who, and which showing."""

    name = name_field(required=True)
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
        metadata={"description": "The day. Default: that of the next showing of the timing."},
    )


class TicketIdSchema(Schema):
    """A ticket by its id."""

    ticket_id = TicketId(required=True, metadata={"example": examples.TICKET_ID})


class TicketPhoneSchema(TicketIdSchema):
    """A ticket, and the phone that it was booked with."""

    phone = PhoneNumber(required=True, metadata={"example": examples.PHONE})


class ChangeTimingSchema(TicketPhoneSchema, ChosenSeats):
    """A ticket's new timing and seats, with the phone that it was booked with."""

    timing = Timing(
        required=True,
        data_key="timing_alter",
        metadata={"description": "The new timing.", "example": "21:00"},
    )
    day = Day(
        data_key="date",
        metadata={
            "description": "The new day. Default: the ticket's date if that showing is still "
            "ahead, otherwise the next showing's."
        },
    )


class TimingSchema(Schema):
    """A timing, of one day or of all."""

    timing = Timing(required=True, metadata={"example": examples.TIMING})
    day = Day(data_key="date", metadata={"description": "Only the tickets of this day."})


class DeletedSchema(Schema):
    """A deleted ticket."""

    ticket_id = fields.String(required=True, metadata={"example": examples.TICKET_ID})
    deleted = fields.Boolean(required=True, metadata={"example": True})
