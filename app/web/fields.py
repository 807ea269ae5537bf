"""Fields for requests, stricter than marshmallow's, and response schemas."""

from __future__ import annotations

import re
from dataclasses import fields as members_of
from dataclasses import is_dataclass
from datetime import date, datetime
from functools import cache
from types import UnionType
from typing import Any, cast, get_args, get_origin, get_type_hints

import regex
from marshmallow import Schema, ValidationError, fields, validate

from app.domain.showings import NOT_A_TIMING, TIMING, parse_date

# Control characters, line separators, lone surrogates (which no encoding can store), and what
# overrides the direction of text (UAX #9), and so could disguise a name in a list.
_FORBIDDEN = regex.compile(r"[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]")
# Spaces, format characters and fillers. The last five are blanks that Unicode counts as visible:
# of Braille, of musical notation, of the Khitan script and of Egyptian hieroglyphs.
_SHOWS_NOTHING = regex.compile(
    r"[\p{Z}\p{C}\p{Default_Ignorable_Code_Point}\u2800\U0001d159\U00016fe4\U00013441\U00013442]*"
)


class Text(fields.String):
    """A string on one line, trimmed, with at least one visible character.

    Control characters and their like are refused wherever they stand, so a trailing newline is an
    error rather than silently dropped.
    """

    default_error_messages = {
        "blank": "Must not be blank.",
        "control": "Must not contain line breaks or other control characters.",
    }

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metadata = {"minLength": 1, **self.metadata}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, *args, **kwargs)
        if not text.isprintable() and _FORBIDDEN.search(text):  # the first is faster
            raise self.make_error("control")
        if _SHOWS_NOTHING.fullmatch(text):
            raise self.make_error("blank")
        return text.strip()


class WholeNumber(fields.Integer):
    """A JSON integer from `lowest` to `highest`: no text, no fraction (1.0), no boolean."""

    def __init__(
        self, lowest: int, highest: int, message: str | None = None, **kwargs: Any
    ) -> None:
        in_range = validate.Range(lowest, highest, error=message)
        super().__init__(strict=True, validate=in_range, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if type(value) is not int:
            raise self.make_error("invalid", input=value)
        return value


class NumberInText(WholeNumber):
    """A whole number in a query, in ASCII digits."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not re.fullmatch("[0-9]{1,10}", value):
            raise self.make_error("invalid", input=value)
        return int(value)


class TrueOrFalse(fields.Boolean):
    """A JSON boolean: no text, no number."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Pattern(fields.String):
    """A string that matches `pattern` as a whole; `message` is the error for any other."""

    pattern: str
    message: str

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.metadata = {"pattern": f"^{self.pattern}$", **self.metadata}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        text: str = super()._deserialize(value, *args, **kwargs)
        if not re.fullmatch(self.pattern, text):
            raise ValidationError(self.message)
        return text


class Timing(Pattern):
    """A time of day, `HH:MM` in 24 hours."""

    pattern = TIMING
    message = NOT_A_TIMING


class Day(fields.Date):
    """A calendar day, `YYYY-MM-DD`, and no other spelling that ISO 8601 has for it."""

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(value, str):
            raise ValidationError("Not a valid string.")
        try:
            return parse_date(value)
        except ValueError as error:
            raise ValidationError(str(error)) from None


class ResponseSchema(Schema):
    """Describes a dataclass for the documentation; the JSON encoder writes it.

    marshmallow would convert it field by field; in a list of tickets that took a fifth of the
    request.
    """

    def dump(self, obj: Any, *, many: bool | None = None) -> Any:
        """Return the object, or the list of them, as it is."""
        return obj


@cache
def response_schema(kind: type) -> type[Schema]:
    """Return the schema of responses that are, or list, instances of this dataclass.

    Its name is the dataclass's, and the metadata of the fields go into the documentation.
    """
    types = get_type_hints(kind)
    members = {
        each.name: _field(types[each.name], metadata=dict(each.metadata))
        for each in members_of(kind)
    }
    return type(kind.__name__, (ResponseSchema,), members)


_FIELDS: dict[Any, type[fields.Field[Any]]] = {
    bool: fields.Boolean,
    date: fields.Date,
    datetime: fields.DateTime,
    int: fields.Integer,
    str: fields.String,
}


def _field(kind: Any, **options: Any) -> fields.Field[Any]:
    """Return the marshmallow field for a dataclass field's type; all are required."""
    if get_origin(kind) is list:
        return fields.List(_field(*get_args(kind)), required=True, **options)
    if get_origin(kind) is UnionType:  # with None
        (kind,) = set(get_args(kind)) - {type(None)}
        return _field(kind, allow_none=True, **options)
    if is_dataclass(kind):
        return fields.Nested(response_schema(cast(type, kind))(), required=True, **options)
    return _FIELDS[kind](required=True, **options)
