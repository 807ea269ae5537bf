"""Request schemas for tickets, seats and admissions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import current_app
from marshmallow import Schema, ValidationError, fields, post_load, validate, validates_schema

from app.domain import examples
from app.domain.wanted import Wanted
from app.tickets.phones import parse_phone
from app.web.fields import Day, NumberInText, Pattern, Text, Timing, WholeNumber

MAX_NUMBER = 2**31 - 1  # of screens, movies and seats
MAX_NAME_LENGTH = 100
_FROM_ONE = "Not a seat; seats are numbered from 1."


class TicketId(Pattern):
    """A ticket id: 1 to 128 characters of base64url."""

    pattern = "[A-Za-z0-9_-]{1,128}"
    message = "Not a ticket id."


class AdmissionCode(Pattern):
    """An admission code as people type it, or as scanners send it.

    There may be a symbology identifier or the door's address in front, and tabs or ends of lines
    on both sides.
    """

    # Adjacent repetitions have no character in common, so that no text takes long to match.
    pattern = (
        r"[ \t\r\n-]*(\][A-Za-z][0-9A-Za-z][ \t\r\n]*)?([Hh][Tt][Tt][Pp][Ss]?://[!-~]*#[ -]*)?"
        r"[0-9A-Za-z][0-9A-Za-z -]*[\t\r\n]*"
    )
    message = "Not an admission code."


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


class SeatNumbers(fields.List[int]):
    """One or more different seats, by their numbers."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(fields.Integer(validate=validate.Range(1)), **kwargs)
        self.metadata = {"minItems": 1, "uniqueItems": True, **self.metadata}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, list) or not value:
            raise ValidationError("Must be a list of one or more seat numbers.")
        if not all(type(seat) is int and 1 <= seat <= MAX_NUMBER for seat in value):
            raise ValidationError(_FROM_ONE)
        if len(set(value)) < len(value):
            raise ValidationError("Each seat may be listed only once.")
        return sorted(value)


def name_field(**options: Any) -> Text:
    """Return the field for a customer's name."""
    return Text(
        validate=validate.Length(max=MAX_NAME_LENGTH),
        metadata={"description": "The customer's name.", "example": examples.NAME},
        **options,
    )


def movie_field(**options: Any) -> WholeNumber:
    """Return the field for the number of a movie."""
    return WholeNumber(1, MAX_NUMBER, **options)


class DaySchema(Schema):
    """An optional day."""

    day = Day(
        data_key="date", metadata={"description": "The day. Default: that of the next showing."}
    )


class Choice(Schema):
    """A schema that allows one of the fields `exclusive`, and requires one of `at_least_one`."""

    exclusive: tuple[str, ...] = ()
    at_least_one: tuple[str, ...] = ()

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def refuse_several(self, _: Any, sent: Mapping[str, Any], **__: Any) -> None:
        """Refuse a request that names several of the fields `exclusive`."""
        named = [name for name in self.exclusive if name in sent]
        if len(named) > 1:
            raise ValidationError({name: [f"Give only one of {_list(named)}."] for name in named})

    @validates_schema(pass_original=True, skip_on_field_errors=False)
    def refuse_nothing(self, _: Any, sent: Mapping[str, Any], **__: Any) -> None:
        """Refuse a request that names none of the fields `at_least_one`."""
        names = self.at_least_one
        if names and not any(name in sent for name in names):
            message = f"Give at least one of {_list(names)}."
            raise ValidationError({name: [message] for name in names})


def _list(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}"


def wanted_of(values: Mapping[str, Any]) -> Wanted | None:
    """Return the seats that fields of ChosenSeats ask for, if one of them is there."""
    if "wanted" in values:  # where the schema found nothing wrong
        wanted: Wanted = values["wanted"]
        return wanted
    if "seat" in values:
        return Wanted(seats=(values["seat"],), field="seat")
    if "seats" in values:
        return Wanted(len(values["seats"]), tuple(values["seats"]), "seats")
    return Wanted(values["amount"]) if "amount" in values else None


class ChosenSeats(Choice):
    """The seats that a customer chooses, if any."""

    exclusive = ("seat", "seats", "amount")
    seat = WholeNumber(1, MAX_NUMBER, _FROM_ONE, metadata={"description": "This seat."})
    seats = SeatNumbers(metadata={"description": "These seats.", "example": examples.SEATS})

    @post_load
    def as_wanted(self, values: dict[str, Any], **_: Any) -> dict[str, Any]:
        """Replace the fields by the seats that they ask for."""
        wanted = wanted_of(values)
        others = {name: values[name] for name in values if name not in self.exclusive}
        return others | ({"wanted": wanted} if wanted else {})


class WantedSeats(ChosenSeats):
    """The seats that a customer chooses, or how many of the best."""

    amount = WholeNumber(
        1, 10_000, metadata={"description": "How many of the best seats. Default: 1."}
    )


class MoveSchema(ChosenSeats):
    """A ticket's new showing or seats: at least one field."""

    at_least_one = ("timing", "movie", "date", "seat", "seats")
    timing = Timing(metadata={"description": "The new timing, for a ticket of the timetable."})
    movie = movie_field(metadata={"description": "The new movie, for a movie's ticket."})
    day = Day(
        data_key="date",
        metadata={
            "description": "The new day. Default: the ticket's date if that showing is still "
            "ahead, otherwise the next showing's."
        },
    )


class TicketPhoneHeaders(Schema):
    """The phone that a ticket was booked with."""

    phone = PhoneNumber(
        data_key="Ticket-Phone",
        metadata={
            "description": "Required unless the ticket was bought without a phone.",
            "example": examples.PHONE,
        },
    )


class ShowingQuery(Choice, DaySchema):
    """A timing or a movie, on a day."""

    exclusive = ("timing", "movie")
    at_least_one: tuple[str, ...] = ("timing", "movie")
    timing = Timing(metadata={"example": examples.TIMING})
    movie = NumberInText(1, MAX_NUMBER, metadata={"description": "The number of a movie."})


class TicketsQuery(ShowingQuery):
    """A timing or a movie, a day, or both."""

    at_least_one = ("timing", "movie", "date")
    day = Day(data_key="date", metadata={"description": "Only the tickets of this day."})


class DoorSchema(Choice):
    """The showing that a door is for."""

    exclusive = ("timing", "movie")
    timing = Timing(metadata={"description": "Only tickets of this timing of the timetable."})
    movie = movie_field(metadata={"description": "Only tickets of this movie."})
    day = Day(data_key="date", metadata={"description": "Only tickets of this day."})


class AdmissionSchema(DoorSchema):
    """A ticket at the door."""

    admission_code = AdmissionCode(
        required=True,
        validate=validate.Length(max=255),
        metadata={
            "description": "In any case, with or without spaces and hyphens; also as a scanner "
            "sends it, or behind the `#` of an address.",
            "example": examples.ADMISSION_CODE,
        },
    )
    people = WholeNumber(
        1,
        MAX_NUMBER,
        metadata={"description": "How many come in. Default: all who are not in yet."},
    )


class CorrectionSchema(DoorSchema):
    """How many people of a ticket are in."""

    admitted = WholeNumber(0, MAX_NUMBER, required=True, metadata={"example": 3})
