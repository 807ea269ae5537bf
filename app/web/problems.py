"""Every failure as `application/problem+json` (RFC 9457), with its status and code."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, cast

from flask import Flask, Response, current_app, g, request
from marshmallow import Schema, fields, validate
from pymongo.errors import PyMongoError
from werkzeug.exceptions import HTTPException

from app.domain import refusals
from app.domain.refusals import InvalidRequest, Refusal
from app.mongodb.batching import BatchLost
from app.mongodb.client import is_outage, outages
from app.web.limits import MAX_BODY_BYTES

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"


@dataclass(frozen=True, slots=True)
class Problem:
    """A way to fail: its status, its stable code, and one plain sentence a customer could read.

    `headers` and `facts` (members beyond the standard ones) go with every response of this kind;
    where they differ from response to response, these are examples.
    """

    status: HTTPStatus
    code: str
    detail: str
    headers: dict[str, str] = field(default_factory=dict, compare=False)
    facts: dict[str, Any] = field(default_factory=dict, compare=False)

    def document(self, **facts: Any) -> dict[str, Any]:
        """Return the body of the response, with `facts` as extra members."""
        return {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            **self.facts,
            **facts,
        }

    def response(self, **facts: Any) -> Response:
        """Return the response, with `facts` as extra members."""
        response = cast(Response, current_app.json.response(self.document(**facts)))
        response.status_code = self.status
        response.mimetype = CONTENT_TYPE
        response.headers.update(self.headers)
        g.problem_code = self.code
        return response


class MalformedJSON(Refusal):
    """The body cannot be read as a JSON object."""

    code = "malformed_json"
    detail = "The body of the request is not a JSON object."


class Unauthorized(Refusal):
    """The route is for staff, and the staff key is missing or wrong."""

    code = "unauthorized"
    detail = "Only theatre staff can do this; the staff key is missing or wrong."


class CrossSite(Refusal):
    """A web page of another origin asked for what only our own pages and programs may do."""

    code = "cross_site"
    detail = "A page of another website cannot do this."


class MisdirectedRequest(Refusal):
    """The service is open to this machine alone, and was called by a name that others may have."""

    code = "misdirected_request"
    detail = (
        "Without a STAFF_KEY, this service is only for this machine, under names such as "
        "localhost; to use another name, set STAFF_KEY, HOST or TRUSTED_PROXIES."
    )


_STATUSES: dict[type[Refusal], HTTPStatus] = {
    MalformedJSON: HTTPStatus.BAD_REQUEST,
    InvalidRequest: HTTPStatus.BAD_REQUEST,
    Unauthorized: HTTPStatus.UNAUTHORIZED,
    refusals.PhoneMismatch: HTTPStatus.FORBIDDEN,
    CrossSite: HTTPStatus.FORBIDDEN,
    refusals.TicketNotFound: HTTPStatus.NOT_FOUND,
    refusals.ScreenNotFound: HTTPStatus.NOT_FOUND,
    refusals.MovieNotFound: HTTPStatus.NOT_FOUND,
    refusals.ScreenBusy: HTTPStatus.CONFLICT,
    refusals.HasTickets: HTTPStatus.CONFLICT,
    refusals.NotOnSale: HTTPStatus.CONFLICT,
    refusals.SoldOut: HTTPStatus.CONFLICT,
    refusals.NotEnoughSeats: HTTPStatus.CONFLICT,
    refusals.SeatTaken: HTTPStatus.CONFLICT,
    refusals.ShowingStarted: HTTPStatus.CONFLICT,
    refusals.TicketExpired: HTTPStatus.CONFLICT,
    refusals.AlreadyAdmitted: HTTPStatus.CONFLICT,
    refusals.AdmissionNotOpen: HTTPStatus.CONFLICT,
    refusals.OtherShowing: HTTPStatus.CONFLICT,
    MisdirectedRequest: HTTPStatus.MISDIRECTED_REQUEST,
    refusals.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
}


def problem_for(kind: type[Refusal]) -> Problem:
    """Return the problem for a kind of refusal, with example facts."""
    headers = {"WWW-Authenticate": "Bearer"} if kind is Unauthorized else {}
    return Problem(_STATUSES[kind], kind.code, kind.detail, headers, kind.example)


_SOON = {"Retry-After": "2"}  # seconds

NOT_FOUND = Problem(HTTPStatus.NOT_FOUND, "not_found", "There is nothing at this address.")
METHOD_NOT_ALLOWED = Problem(
    HTTPStatus.METHOD_NOT_ALLOWED,
    "method_not_allowed",
    "This address does not support this method; see the Allow header.",
)
REQUEST_TIMEOUT = Problem(
    HTTPStatus.REQUEST_TIMEOUT,
    "request_timeout",
    "The request took too long to arrive.",
    facts={"retryable": True},
)
PAYLOAD_TOO_LARGE = Problem(
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "payload_too_large",
    f"The body of the request is larger than {MAX_BODY_BYTES // 1024} KiB.",
)
UNSUPPORTED_MEDIA_TYPE = Problem(
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    "unsupported_media_type",
    "The body of the request is compressed; please send it uncompressed.",
)
TOO_MANY_REQUESTS = Problem(
    HTTPStatus.TOO_MANY_REQUESTS,
    "too_many_requests",
    "There have been too many requests from this address; please try again later.",
    _SOON,
    {"retryable": True},
)
INTERNAL_ERROR = Problem(
    HTTPStatus.INTERNAL_SERVER_ERROR,
    "internal_error",
    "Something went wrong on our side; the error has been logged.",
)
DATABASE_UNAVAILABLE = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "database_unavailable",
    "The box office cannot reach its database; please try again in a moment.",
    _SOON,
    {"retryable": True},
)
OVERLOADED = Problem(
    HTTPStatus.SERVICE_UNAVAILABLE,
    "overloaded",
    "The box office is too busy right now; please try again in a moment.",
    _SOON,
    {"retryable": True},
)
# What Flask and Werkzeug raise on their own, by status.
_HTTP_PROBLEMS = {
    problem.status: problem
    for problem in (
        NOT_FOUND,
        METHOD_NOT_ALLOWED,
        REQUEST_TIMEOUT,
        PAYLOAD_TOO_LARGE,
        UNSUPPORTED_MEDIA_TYPE,
        TOO_MANY_REQUESTS,
        OVERLOADED,
    )
}
# What any request may get, on any route.
OF_EVERY_ROUTE = {
    problem_for(InvalidRequest),
    problem_for(MisdirectedRequest),
    METHOD_NOT_ALLOWED,
    PAYLOAD_TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    INTERNAL_ERROR,
    DATABASE_UNAVAILABLE,
    OVERLOADED,
}
PROBLEMS = (
    *map(problem_for, _STATUSES),
    *_HTTP_PROBLEMS.values(),
    INTERNAL_ERROR,
    DATABASE_UNAVAILABLE,
)


def problem_of(status: HTTPStatus) -> Problem:
    """Return the problem for a failure that has only a status."""
    if status == INTERNAL_ERROR.status:
        return INTERNAL_ERROR
    other = Problem(status, InvalidRequest.code, "The request cannot be understood.")
    return _HTTP_PROBLEMS.get(status, other)


class ProblemSchema(Schema):
    """An error (RFC 9457); `code` is the stable name that programs should look at."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(
        required=True, metadata={"description": "One plain sentence, fit for a customer."}
    )
    code = fields.String(
        required=True, validate=validate.OneOf(sorted({problem.code for problem in PROBLEMS}))
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
    app.register_error_handler(BatchLost, lambda _: OVERLOADED.response())
    app.register_error_handler(Exception, _respond_to_bug)


def documentation(problems: Iterable[Problem]) -> dict[str, Any]:
    """Return OpenAPI responses for these problems, one for each status that they have."""
    by_status: dict[HTTPStatus, list[Problem]] = {}
    for problem in sorted(problems, key=lambda each: (each.status, each.code)):
        by_status.setdefault(problem.status, []).append(problem)
    return {
        str(status.value): {
            "description": "\n".join(f"- `{each.code}`: {each.detail}" for each in group),
            "headers": {name: _HEADERS[name] for each in group for name in each.headers}
            | ({"Allow": _HEADERS["Allow"]} if METHOD_NOT_ALLOWED in group else {}),
            "content": {
                CONTENT_TYPE: {
                    "schema": ProblemSchema,
                    "examples": {each.code: {"value": each.document()} for each in group},
                }
            },
        }
        for status, group in by_status.items()
    }


_HEADERS = {
    "WWW-Authenticate": {"description": "`Bearer`.", "schema": {"type": "string"}},
    "Allow": {"description": "The methods it takes.", "schema": {"type": "string"}},
    "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}},
}


def _respond_to_refusal(error: Refusal) -> Response:
    return problem_for(type(error)).response(**error.facts)


def _respond_to_http_exception(error: HTTPException) -> Response:
    original = error.get_response()
    response = problem_of(HTTPStatus(original.status_code)).response()
    # Such as Allow and Retry-After.
    for name, value in original.headers:
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def _respond_to_database_error(error: PyMongoError) -> Response:
    if not is_outage(error):
        return _respond_to_bug(error)
    outages.report(error)
    return DATABASE_UNAVAILABLE.response()


def _respond_to_bug(error: Exception) -> Response:
    # The text of an exception may hold a customer's data; its traceback holds only code.
    log.error(
        "%s in %s %s",
        type(error).__name__,
        request.method,
        request.url_rule,
        extra={"traceback": "".join(traceback.format_tb(error.__traceback__))},
    )
    return INTERNAL_ERROR.response()
