"""How requests are read: headers, query and body in one go, with every bad field named at once."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, NoReturn, cast

from flask import Request
from marshmallow import Schema, ValidationError, fields, validate
from werkzeug.exceptions import ClientDisconnected
from werkzeug.exceptions import NotImplemented as UnsupportedTransferCoding

from app.domain.refusals import InvalidRequest
from app.web.limits import MAX_BODY_BYTES, UNKNOWN_FIELDS_NAMED
from app.web.refusals import MalformedJSON, NotFound, PayloadTooLarge, UnsupportedMediaType

# The key of the WSGI environment under which a server may list the header lines as they came, as
# pairs of a name in capitals and a value. WSGI itself joins repeated lines by commas.
RAW_HEADERS = "boxoffice.headers"
_SINGLE_HEADERS = {
    "Host": "HTTP_HOST",
    "Idempotency-Key": "HTTP_IDEMPOTENCY_KEY",
    "Ticket-Phone": "HTTP_TICKET_PHONE",
    "Authorization": "HTTP_AUTHORIZATION",
}
REQUEST_ID_HEADER = "X-Request-Id"
# Werkzeug drops the second slash, and waitress does so before it; the rules of a proxy do not.
_REPEATED_SLASH = re.compile(r"(?:[a-z]+://[^/]*)?(?:/|%2f){2}", re.IGNORECASE)
_REPEATED = "Sent more than once."

# Takes the valid values and those in the path, and returns what else is wrong, by field.
MoreErrors = Callable[[Mapping[str, Any]], dict[str, list[str]]]
# What was sent, and the names that were sent more than once.
_Sent = tuple[Mapping[str, Any], Iterable[str]]


class IdempotencyHeaders(Schema):
    """The header with which a client may safely repeat a booking, purchase or admission."""

    key = fields.String(
        data_key="Idempotency-Key",
        validate=[
            validate.Length(min=8, max=255),
            validate.Regexp(r"^[ -~]*\Z", error="Must be printable ASCII characters."),
        ],
        metadata={
            "description": "Names this request: sent again with the same key, it happens once. "
            "Use a random UUID for each request: anyone who knows the key and the body can "
            "retrieve the ticket.",
            "pattern": "^[ -~]*$",
        },
    )


def request_id(given: str = "") -> str:
    """Return the caller's id for a request if it is well-formed, or else a new one."""
    if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given):
        return given
    # It is not a secret, so the faster generator will do.
    return f"{random.getrandbits(128):032x}"


def check_envelope(request: Request, read_later: Collection[str] = ()) -> None:
    """Refuse a request that a proxy could read in another way, or whose body cannot be read.

    The headers `read_later` are left to the route's RequestReader. Raises NotFound, InvalidRequest,
    PayloadTooLarge, UnsupportedMediaType or UnsupportedTransferCoding.
    """
    environ = request.environ
    if any(_REPEATED_SLASH.match(environ.get(key, "")) for key in ("PATH_INFO", "REQUEST_URI")):
        raise NotFound
    errors = {name: [_REPEATED] for name in _repeated_headers(environ)}
    if not environ.get("HTTP_HOST") and environ.get("SERVER_PROTOCOL") == "HTTP/1.1":
        errors["Host"] = ["Missing data for required field."]
    if not errors.keys() <= set(read_later):
        raise InvalidRequest(errors)
    # A body of unknown length is measured when it is read.
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise PayloadTooLarge
    encoding = environ.get("HTTP_CONTENT_ENCODING", "").strip().lower()
    if encoding not in ("", "identity"):
        raise UnsupportedMediaType
    if environ.get("HTTP_TRANSFER_ENCODING", "chunked").strip().lower() != "chunked":
        raise UnsupportedTransferCoding  # compressed, for one; RFC 9112, 6.1


def _repeated_headers(environ: Mapping[str, Any]) -> list[str]:
    if RAW_HEADERS in environ:
        names = [name for name, _ in environ[RAW_HEADERS]]
        return [name for name in _SINGLE_HEADERS if names.count(name.upper()) > 1]
    return [
        name
        for name, key in _SINGLE_HEADERS.items()
        if "," in environ.get(key, "") and _looks_joined(name, environ[key])
    ]


def _looks_joined(name: str, value: str) -> bool:
    """Return whether a value with commas must be several values: one repeated, or several hosts."""
    return name == "Host" or len({part.strip() for part in value.split(",")}) == 1


class RequestReader:
    """Reads the fields of a request, with one schema for each place where they may be sent."""

    def __init__(
        self,
        headers: Schema | None,
        query: Schema | None,
        body: Schema | None,
        more_errors: MoreErrors | None,
    ) -> None:
        self._sources: list[tuple[Schema, Callable[[Request, Schema], _Sent]]] = [
            (schema, read)
            for schema, read in (
                (headers, _read_headers),
                (query or Schema(), _read_query),
                (body, _read_body),
            )
            if schema
        ]
        self.headers = _names(headers) if headers else set()
        self._more_errors = more_errors
        self._sent_names = {
            name: field.data_key or name
            for schema, _ in self._sources
            for name, field in schema.fields.items()
        }

    def read(self, request: Request) -> dict[str, Any]:
        """Return the values of all fields that were sent, by their names in the schemas.

        Raises InvalidRequest with every bad field, MalformedJSON or PayloadTooLarge.
        """
        values: dict[str, Any] = {}
        errors: dict[str, list[str]] = {}
        for schema, read in self._sources:
            sent, repeated = _with_few_unknown(schema, *read(request, schema))
            if not sent and not schema.fields:
                continue
            found: dict[str, list[str]] = {}
            try:
                values |= schema.load(sent)
            except ValidationError as error:
                values |= cast(dict[str, Any], error.valid_data)
                found = error.messages_dict
            for name in repeated:
                found[name] = [_REPEATED]
            for name, messages in found.items():
                # The name of an unknown field may be text that no encoding can carry.
                printable = name.encode(errors="backslashreplace").decode()
                errors[printable] = [*errors.get(printable, ()), *messages]
        if errors:
            known = {**(request.view_args or {}), **values}
            more = self._more_errors(known) if self._more_errors else {}
            raise InvalidRequest({**self.as_sent(more), **errors})
        return values

    def as_sent(self, errors: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """Return `errors`, keyed by names of the schemas, under the names that requests use."""
        return {self._sent_names.get(name, name): errors[name] for name in errors}


def _with_few_unknown(schema: Schema, sent: Mapping[str, Any], repeated: Iterable[str]) -> _Sent:
    """Leave out most unknown fields, because an error that names thousands takes milliseconds."""
    if len(sent) <= UNKNOWN_FIELDS_NAMED:
        return sent, repeated
    known = _names(schema)
    unknown = [name for name in sent if name not in known]
    left_out = set(unknown[UNKNOWN_FIELDS_NAMED:])
    named = {name: sent[name] for name in sent if name not in left_out}
    return named, [name for name in repeated if name in named]


def _read_headers(request: Request, schema: Schema) -> _Sent:
    headers = request.headers
    names = _names(schema)
    repeated = names.intersection(_repeated_headers(request.environ))
    return {name: _text(headers[name]) for name in names if name in headers}, repeated


def _names(schema: Schema) -> set[str]:
    """Return the names of a schema's fields in a request."""
    return {field.data_key or name for name, field in schema.fields.items()}


def _text(header: str) -> str:
    """Return the text of a header, which WSGI decodes as Latin-1 in any case."""
    try:
        return header.encode("latin-1").decode()
    except UnicodeError:
        return header


def _read_query(request: Request, _: Schema) -> _Sent:
    if not request.query_string:
        return {}, ()
    values = request.args.to_dict(flat=False)
    return request.args, [name for name in values if len(values[name]) > 1]


def _read_body(request: Request, _: Schema) -> _Sent:
    """Read the body as JSON, regardless of its Content-Type; an empty body is `{}`."""
    try:
        body = request.get_data()
    except ClientDisconnected:
        raise MalformedJSON from None
    if len(body) > MAX_BODY_BYTES:
        raise PayloadTooLarge
    if len(body) < (request.content_length or 0):
        raise MalformedJSON  # cut off on its way
    try:
        text = body.decode("utf-8-sig").strip(" \t\r\n")
        document = _decoder.decode(text) if text else {}
    except (ValueError, RecursionError):
        raise MalformedJSON from None
    if not isinstance(document, dict):
        raise MalformedJSON
    return document, [name for name, value in document.items() if value is _REPEATED]


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object as a dict, in which a member that was named twice is _REPEATED.

    No field takes an object, so nested ones need no check.
    """
    members = dict(pairs)
    if len(members) < len(pairs):
        times = Counter(name for name, _ in pairs)
        members |= {name: _REPEATED for name in members if times[name] > 1}
    return members


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")  # NaN and Infinity, which Python would read


_decoder = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_refuse)
