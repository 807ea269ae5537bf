"""What requests to the ticket window must look like, and what its answers do."""

from __future__ import annotations

import re
from typing import Any

from marshmallow import EXCLUDE, Schema, ValidationError, fields, validate
from marshmallow.experimental.context import Context

from app.booking.phones import parse_phone
from app.web.fields import AnswerSchema, Day, Text, Timing

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


class PhoneNumber(Text):
    """A phone number; without `+` it is read in the region that the context names."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, *args, **kwargs)
        try:
            return parse_phone(text, Context.get()["phone_region"])
        except ValueError as error:
            raise ValidationError(str(error)) from None


class ShowingRequest(Schema):
    """A request that names a showing to be booked, in fields called `timing` and `date`."""

    def handle_error(self, error: ValidationError, data: Any, **kwargs: Any) -> None:
        """Add what is wrong with the showing to a request that is refused for other fields.

        The service refuses such a showing by itself; this lets a customer see all faults at once.
        """
        valid: dict[str, Any] = error.valid_data if isinstance(error.valid_data, dict) else {}
        faults: dict[str, list[str]] = Context.get()["showing_faults"](
            valid.get("timing"), valid.get("day")
        )
        error.messages_dict.update(self.named_as_requested(faults))

    def named_as_requested(self, faults: dict[str, list[str]]) -> dict[str, list[str]]:
        """Return `faults` under the name that this request has for its timing."""
        timing = self.fields["timing"].data_key or "timing"
        return {timing if name == "timing" else name: faults[name] for name in faults}


class BookingSchema(ShowingRequest):
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


class ChangeTimingSchema(ShowingRequest):
    """A ticket's new timing, with the phone that it was booked with."""

    ticket_id = TicketId(required=True, metadata={"example": EXAMPLE_TICKET_ID})
    phone = PhoneNumber(required=True, metadata={"example": "98765 43210"})
    timing = Timing(
        required=True,
        data_key="timing_alter",
        metadata={"description": "The new timing.", "example": "21:00"},
    )
    day = new_day()


class MoveSchema(ShowingRequest):
    """A ticket's new timing."""

    timing = Timing(required=True, metadata={"description": "The new timing.", "example": "21:00"})
    day = new_day()


class TicketPhoneHeaders(Schema):
    """The phone that a ticket was booked with."""

    class Meta:
        unknown = EXCLUDE

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


class TicketSchema(AnswerSchema):
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
    """A ticket that is no more."""

    ticket_id = fields.String(required=True, metadata={"example": EXAMPLE_TICKET_ID})
    deleted = fields.Boolean(required=True, metadata={"example": True})


class SlotSchema(AnswerSchema):
    """A showing of the timetable, and its seats."""

    timing = fields.String(required=True, metadata={"example": "18:00"})
    date = fields.Date(required=True, metadata={"example": "2026-11-22"})
    showing_at = fields.DateTime(required=True, metadata={"example": "2026-11-22T18:00:00+05:30"})
    capacity = fields.Integer(required=True, metadata={"example": 20})
    booked = fields.Integer(required=True, metadata={"example": 3})
    available = fields.Integer(required=True, metadata={"example": 17})
