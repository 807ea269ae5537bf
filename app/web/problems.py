"""Every failure as `application/problem+json` (RFC 9457): its status, and its stable code."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, cast

from flask import Flask, Response, current_app, g, request
from marshmallow import Schema, fields, validate
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException

from app.domain.refusals import InvalidRequest, Refusal
from app.mongodb.batching import BatchLost
from app.mongodb.client import is_outage, outages
from app.web.refusals import (
    STATUSES,
    DatabaseUnavailable,
    InternalError,
    MethodNotAllowed,
    MisdirectedRequest,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    RequestTimeout,
    TooManyRequests,
    Unauthorized,
    UnsupportedMediaType,
)

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"


_RETRY_AFTER = {"Retry-After": "2"}  # seconds
_HEADERS: dict[type[Refusal], dict[str, str]] = {
    Unauthorized: {"WWW-Authenticate": "Bearer"},
    TooManyRequests: _RETRY_AFTER,
    DatabaseUnavailable: _RETRY_AFTER,
    Overloaded: _RETRY_AFTER,
}
# What Flask and Werkzeug raise on their own.
_OF_STATUSES: dict[int, type[Refusal]] = {
    STATUSES[kind]: kind
    for kind in (
        NotFound,
        MethodNotAllowed,
        RequestTimeout,
        PayloadTooLarge,
        UnsupportedMediaType,
        TooManyRequests,
        InternalError,
        Overloaded,
    )
}
# What any request may get, on any route.
OF_EVERY_ROUTE: set[type[Refusal]] = {
    InvalidRequest,
    MisdirectedRequest,
    MethodNotAllowed,
    PayloadTooLarge,
    UnsupportedMediaType,
    InternalError,
    DatabaseUnavailable,
    Overloaded,
}


def document_of(status: HTTPStatus) -> dict[str, Any]:
    """Return the problem document for a failure that has only a status."""
    if kind := _OF_STATUSES.get(status):
        return _document(kind, kind.example)
    return _document(InvalidRequest, {}, status, "The request cannot be understood.")


def respond_with_status(status: HTTPStatus) -> Response:
    """Return the response for a failure that has only a status."""
    return _response(document_of(status), _HEADERS.get(_OF_STATUSES.get(status, Refusal), {}))


def _document(
    kind: type[Refusal],
    facts: dict[str, Any],
    status: HTTPStatus | None = None,
    detail: str | None = None,
) -> dict[str, Any]:
    status = status or STATUSES[kind]
    return {
        "type": "about:blank",
        "title": status.phrase,
        "status": status,
        "detail": detail or kind.detail,
        "code": kind.code,
        **facts,
    }


def _response(document: dict[str, Any], headers: dict[str, str]) -> Response:
    response = cast(Response, current_app.json.response(document))
    response.status_code = document["status"]
    response.mimetype = CONTENT_TYPE
    response.headers.update(headers)
    g.problem_code = document["code"]
    return response


class ProblemSchema(Schema):
    """An error (RFC 9457); `code` is the stable name that programs should look at."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(
        required=True, metadata={"description": "One plain sentence, fit for a customer."}
    )
    code = fields.String(
        required=True, validate=validate.OneOf(sorted(kind.code for kind in STATUSES))
    )
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={"description": "What is wrong with each bad field, all at once."},
    )
    seats_left = fields.Integer(metadata={"description": "How many seats are left."})
    free_seats = fields.List(
        fields.Integer(), metadata={"description": "The seats that are still free."}
    )
    movie = fields.Integer(metadata={"description": "The movie that plays on the screen."})
    tickets = fields.Integer(metadata={"description": "How many tickets have not expired."})
    admitted_at = fields.DateTime(metadata={"description": "When the first of them came in."})
    admitted = fields.Integer(metadata={"description": "How many people of the ticket are in."})
    people_left = fields.Integer(metadata={"description": "How many of them are not in yet."})
    opens_at = fields.DateTime(metadata={"description": "When the doors open."})
    ticket = fields.Dict(metadata={"description": "The ticket that was refused at the door."})
    retryable = fields.Boolean(
        metadata={"description": "Whether the same request may succeed in a moment."}
    )


def register(app: Flask) -> None:
    """Turn every failure of `app` into a problem document."""
    app.register_error_handler(Refusal, _respond_to_refusal)
    app.register_error_handler(HTTPException, _respond_to_http_exception)
    app.register_error_handler(PyMongoError, _respond_to_database_error)
    app.register_error_handler(BatchLost, lambda _: _respond_to_refusal(Overloaded()))
    app.register_error_handler(Exception, _respond_to_bug)


def documentation(kinds: Iterable[type[Refusal]]) -> dict[str, Any]:
    """Return OpenAPI responses for these refusals, one for each status that they have."""
    by_status: dict[HTTPStatus, list[type[Refusal]]] = {}
    for kind in sorted(kinds, key=lambda each: (STATUSES[each], each.code)):
        by_status.setdefault(STATUSES[kind], []).append(kind)
    return {
        str(status.value): {
            "description": "\n".join(f"- `{each.code}`: {each.detail}" for each in group),
            "headers": {
                name: _DOCUMENTED_HEADERS[name] for each in group for name in _HEADERS.get(each, ())
            }
            | ({"Allow": _DOCUMENTED_HEADERS["Allow"]} if MethodNotAllowed in group else {}),
            "content": {
                CONTENT_TYPE: {
                    "schema": ProblemSchema,
                    "examples": {
                        each.code: {"value": _document(each, each.example)} for each in group
                    },
                }
            },
        }
        for status, group in by_status.items()
    }


_DOCUMENTED_HEADERS = {
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods it takes.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
}


def _respond_to_refusal(error: Refusal) -> Response:
    return _response(_document(type(error), error.facts), _HEADERS.get(type(error), {}))


def _respond_to_http_exception(error: HTTPException) -> Response:
    original = error.get_response()
    response = respond_with_status(HTTPStatus(original.status_code))
    # Such as Allow and Retry-After.
    for name, value in original.headers:
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _respond_to_database_error(error: PyMongoError) -> Response:
    if not is_outage(error):
        return _respond_to_bug(error)
    outages.report(error)
    return _respond_to_refusal(DatabaseUnavailable())


def _respond_to_bug(error: Exception) -> Response:
    # The text of an exception may hold a customer's data; its traceback holds only code.
    log.error(
        "%s in %s %s",
        type(error).__name__,
        request.method,
        request.url_rule,
        extra={"traceback": "".join(traceback.format_tb(error.__traceback__))},
    )
    return _respond_to_refusal(InternalError())
