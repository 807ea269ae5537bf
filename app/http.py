"""The edge: requests parsed as JSON, every failure answered as `application/problem+json`."""

from __future__ import annotations

import json
import logging
import traceback
from http import HTTPStatus
from typing import Any, NoReturn

import flask_smorest
from flask import Flask, Request, Response, current_app, g, request
from marshmallow import EXCLUDE, RAISE, Schema, ValidationError, fields
from marshmallow.experimental.context import Context
from pymongo.errors import PyMongoError
from webargs.core import Parser
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from app import database, errors

log = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"
MAX_BODY_BYTES = 16 * 1024
RETRY_AFTER_SECONDS = 2
# Says that an answer is that of an earlier request with the same idempotency key.
REPLAYED = {"Idempotency-Replayed": "true"}

# What each refusal of the domain is in HTTP.
STATUS_OF: dict[type[errors.BoxOfficeError], HTTPStatus] = {
    errors.MalformedJSON: HTTPStatus.BAD_REQUEST,
    errors.InvalidRequest: HTTPStatus.BAD_REQUEST,
    errors.PhoneMismatch: HTTPStatus.FORBIDDEN,
    errors.TicketNotFound: HTTPStatus.NOT_FOUND,
    errors.ScreenNotFound: HTTPStatus.NOT_FOUND,
    errors.MovieNotFound: HTTPStatus.NOT_FOUND,
    errors.NotOnSale: HTTPStatus.CONFLICT,
    errors.NotEnoughSeats: HTTPStatus.CONFLICT,
    errors.SoldOut: HTTPStatus.CONFLICT,
    errors.ShowingStarted: HTTPStatus.CONFLICT,
    errors.TicketExpired: HTTPStatus.CONFLICT,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
}

# What Werkzeug and Flask themselves refuse: status -> (code, detail).
REFUSED_BY_FLASK = {
    HTTPStatus.NOT_FOUND: ("not_found", "There is nothing at this address."),
    HTTPStatus.METHOD_NOT_ALLOWED: (
        "method_not_allowed",
        "This address does not take this method; see the Allow header.",
    ),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (
        "payload_too_large",
        f"The body of the request is larger than {MAX_BODY_BYTES // 1024} KiB.",
    ),
}


class ProblemSchema(Schema):
    """An error (RFC 9457); `code` is the stable name that programs should look at."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    detail = fields.String(required=True)
    code = fields.String(required=True)
    errors = fields.Dict(keys=fields.String(), values=fields.List(fields.String()))
    seats_left = fields.Integer()
    retryable = fields.Boolean()


def _check_key(key: str) -> None:
    if not (8 <= len(key) <= 255 and key.isascii() and key.isprintable()):
        raise ValidationError("Must be 8 to 255 printable ASCII characters.")


class IdempotencyHeaders(Schema):
    """The header with which a client may safely repeat a request that books or buys."""

    class Meta:
        unknown = EXCLUDE

    key = fields.String(data_key="Idempotency-Key", load_default=None, validate=_check_key)


def problem(status: int, code: str, detail: str, **facts: Any) -> Response:
    """Return an error as problem+json; `facts` become further members of it."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        **facts,
    }
    return Response(current_app.json.dumps(body), status, mimetype=PROBLEM_TYPE)


class JSONParser(FlaskParser):
    """Reads bodies as JSON whatever their Content-Type says, and refuses unknown fields."""

    DEFAULT_VALIDATION_STATUS = HTTPStatus.BAD_REQUEST
    DEFAULT_UNKNOWN_BY_LOCATION = {**Parser.DEFAULT_UNKNOWN_BY_LOCATION, "query": RAISE}

    def load_json(self, req: Request, schema: Schema) -> Any:
        """Return the body as a dict, `{}` when there is none; raises MalformedJSON."""
        body = req.get_data()
        if len(body) > MAX_BODY_BYTES:
            raise RequestEntityTooLarge
        if not body.strip():
            return {}
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            raise errors.MalformedJSON from None
        if not isinstance(document, dict):
            raise errors.MalformedJSON
        return document

    def parse(self, *args: Any, **kwargs: Any) -> Any:
        """Parse with what the schemas need to know of the theatre as their context."""
        with Context(current_app.extensions["schema_context"]):
            return super().parse(*args, **kwargs)

    def handle_error(self, error: ValidationError, *args: Any, **kwargs: Any) -> NoReturn:
        """Raise InvalidRequest; the location of a field (json, query …) is left out."""
        by_location: dict[str, dict[str, list[str]]] = error.messages_dict
        raise errors.InvalidRequest(
            {name: messages for faults in by_location.values() for name, messages in faults.items()}
        ) from None


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # it has no types
    """A blueprint whose arguments are read by JSONParser."""

    ARGUMENTS_PARSER = JSONParser()


class Api(flask_smorest.Api):  # type: ignore[misc]  # it has no types
    """flask-smorest's API, with the one shape of errors."""

    ERROR_SCHEMA = ProblemSchema

    def _register_error_handlers(self) -> None:
        app = self._app
        app.register_error_handler(errors.BoxOfficeError, answer_refusal)
        app.register_error_handler(HTTPException, answer_http_exception)
        app.register_error_handler(PyMongoError, answer_database_error)
        app.register_error_handler(Exception, answer_bug)


def answer_refusal(error: errors.BoxOfficeError) -> Response:
    """Answer what the domain refuses."""
    return problem(STATUS_OF[type(error)], error.code, error.detail, **error.facts)


def answer_http_exception(error: HTTPException) -> Response:
    """Answer what Flask refuses; headers such as Allow and Retry-After are kept."""
    original = error.get_response()
    status = HTTPStatus(original.status_code)
    code, detail = REFUSED_BY_FLASK.get(
        status, (errors.InvalidRequest.code, "The request cannot be understood.")
    )
    response = problem(status, code, detail)
    for name, value in original.headers:
        if name not in ("Content-Type", "Content-Length"):
            response.headers[name] = value
    return response


def answer_database_error(error: PyMongoError) -> Response:
    """Answer 503 when MongoDB cannot be reached, else treat the error as a bug."""
    if not database.is_outage(error):
        return answer_bug(error)
    log.warning("MongoDB is unavailable: %s", type(error).__name__)
    response = problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "database_unavailable",
        "The box office cannot reach its database; please try again in a moment.",
        retryable=True,
    )
    response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return response


def answer_bug(error: Exception) -> Response:
    """Log where an unexpected error came from, and answer without its text."""
    # The text of an exception may hold a customer's data, its traceback only code.
    log.error(
        "%s in %s %s, request %s\n%s",
        type(error).__name__,
        request.method,
        request.url_rule,
        g.get("request_id"),
        "".join(traceback.format_tb(error.__traceback__)),
    )
    return problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "Something went wrong on our side; the error has been logged.",
    )


class JSONResponse(Response):
    """A response that is JSON unless it says otherwise (Flask's default is HTML)."""

    default_mimetype = "application/json"


def configure(app: Flask) -> Api:
    """Give `app` the shape of requests and errors that all blueprints share."""
    app.response_class = JSONResponse
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.json.compact = True  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False  # a redirect would be answered in HTML
    app.config.update(
        API_TITLE="Box Office",
        API_VERSION="1",
        OPENAPI_VERSION="3.1.0",
        # Flask cuts a body of unknown length here in silence, so one byte more shows that it did.
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES + 1,
    )
    return Api(app)
