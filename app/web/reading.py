"""How requests are read: bodies, headers and queries, checked against marshmallow schemas."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from flask import Request, current_app
from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields, validate
from marshmallow.experimental.context import Context
from webargs.core import Parser
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from app.theatre import refusals
from app.web import problems

# The key of the WSGI environment under which our server leaves the headers as they were sent, as
# pairs of a name in capitals and a value. WSGI itself joins repeated ones.
RAW_HEADERS = "boxoffice.headers"

# Of a body no more is read; the one byte above the limit shows that it is too long.
MOST_BYTES_READ = problems.MAX_BODY_BYTES + 1


class IdempotencyHeaders(Schema):
    """The header with which a client may safely repeat a request that books or buys."""

    class Meta:
        unknown = EXCLUDE

    key = fields.String(
        data_key="Idempotency-Key",
        validate=[
            validate.Length(min=8, max=255),
            validate.Regexp(r"^[ -~]*\Z", error="Must be printable ASCII characters."),
        ],
        metadata={
            "description": "Names this request: sent again with the same key, it happens once.",
            "pattern": "^[ -~]*$",
        },
    )


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")  # NaN and Infinity, which Python would read


_decoder = json.JSONDecoder(parse_constant=_refuse)


class JSONParser(FlaskParser):
    """Reads bodies as JSON whatever their Content-Type says, and refuses unknown fields."""

    DEFAULT_UNKNOWN_BY_LOCATION = {**Parser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}

    def load_json(self, req: Request, schema: Schema) -> Any:
        """Return the body as a dict, `{}` when there is none; raises MalformedJSON."""
        try:
            body = req.get_data()
        except ClientDisconnected:
            raise refusals.MalformedJSON from None
        if len(body) > problems.MAX_BODY_BYTES:
            raise RequestEntityTooLarge
        if req.content_length is not None and len(body) < req.content_length:
            raise refusals.MalformedJSON  # cut off on its way
        try:
            text = body.decode("utf-8-sig").strip(" \t\r\n")
            document = _decoder.decode(text) if text else {}
        except (ValueError, RecursionError):
            raise refusals.MalformedJSON from None
        if not isinstance(document, dict):
            raise refusals.MalformedJSON
        return document

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """Parse with what the schemas need to know of the theatre as their context."""
        with Context(current_app.extensions["schema_context"]):
            return super().parse(*args, **kwargs)

    def handle_error(self, error: ValidationError, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise InvalidRequest; the location of a field (json, query …) is left out."""
        by_location: dict[str, dict[str, list[str]]] = error.messages_dict
        raise refusals.InvalidRequest(
            {
                # The name of an unknown field may be text that no encoding can carry.
                name.encode(errors="backslashreplace").decode(): messages
                for faults in by_location.values()
                for name, messages in faults.items()
            }
        ) from None
