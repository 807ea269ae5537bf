"""What all routes share: decorators that read requests and document routes, and hooks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC
from functools import wraps
from http import HTTPStatus
from itertools import islice
from typing import Any, Literal, TypeVar, cast

import flask_smorest
import orjson
from flask import Flask, Response, current_app, request
from flask.json.provider import DefaultJSONProvider
from marshmallow import Schema
from werkzeug.http import parse_date
from werkzeug.routing import IntegerConverter

from app.domain.idempotency import Outcome
from app.domain.refusals import InvalidRequest, Refusal
from app.web import problems
from app.web.limits import MAX_BYTES_READ
from app.web.reading import MoreErrors, RequestReader, check_envelope
from app.web.staff import check_staff_key

View = TypeVar("View", bound=Callable[..., Any])

_PIECE = 500  # entries of a list

LOCATION_HEADER = {
    "Location": {"description": "The address of the new ticket.", "schema": {"type": "string"}}
}
REPLAYED_HEADER = {
    "Idempotency-Replayed": {
        "description": "`true` if an earlier request with this key already did this.",
        "schema": {"type": "string"},
    }
}


def replay_headers(outcome: Outcome[Any]) -> dict[str, str]:
    """Return the header that marks a repeated request."""
    return {"Idempotency-Replayed": "true"} if outcome.replayed else {}


class JSONResponses(DefaultJSONProvider):
    """Writes responses with orjson, which also takes dataclasses, dates and instants (ISO 8601).

    An iterator is written as a list, in pieces, with a turn for other requests after each: a list
    of all tickets may be long. `dumps` and `loads`, which Flask's test client uses, stay Flask's.
    """

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return a response with a line of JSON, which is the only argument."""
        (document,) = args
        if isinstance(document, Iterator):
            line = b"[" + b",".join(_pieces(document)) + b"]\n"
        else:
            line = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
        return current_app.response_class(line, mimetype="application/json")


def _pieces(entries: Iterator[Any]) -> Iterator[bytes]:
    while piece := list(islice(entries, _PIECE)):
        yield orjson.dumps(piece)[1:-1]
        if len(piece) == _PIECE:
            time.sleep(0)


class _Number(IntegerConverter):
    """A whole number in a path, in ASCII digits; Werkzeug's converter takes those of any script."""

    regex = "[0-9]{1,9}"


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # it has no types
    """A blueprint whose routes declare what they read and refuse, for the documentation as well."""

    def reads(
        self,
        *,
        headers: Schema | None = None,
        query: Schema | None = None,
        body: Schema | None = None,
        more_errors: MoreErrors | None = None,
    ) -> Callable[[View], View]:
        """Call the view with the fields of a request, as keyword arguments.

        Raises InvalidRequest when a field is missing, unknown, repeated or wrong. Then the view is
        not called, so `more_errors` adds what it would refuse. It names fields as the schemas do,
        and so does an InvalidRequest of the view; the response names them as the request does.
        """
        reader = RequestReader(headers, query, body, more_errors)

        def decorator(view: View) -> View:
            @wraps(view)
            def reading(**path: str) -> Any:
                values = reader.read(request)
                try:
                    return view(**path, **values)
                except InvalidRequest as refusal:
                    facts = {**refusal.facts, "errors": reader.as_sent(refusal.errors)}
                    raise InvalidRequest(**facts) from None

            reading.read_headers = reader.headers  # type: ignore[attr-defined]
            described: dict[str, Any] = {}
            if parameters := [
                {"in": place, "schema": schema}
                for place, schema in (("header", headers), ("query", query))
                if schema
            ]:
                described["parameters"] = parameters
            if body:
                content = {"application/json": {"schema": body}}
                described["requestBody"] = {"required": True, "content": content}
            return cast(View, self.doc(**described)(reading))

        return decorator

    def counts(self, what: Literal["booking", "admission"]) -> Callable[[View], View]:
        """Have the metrics count the successes of a route, but not replays."""

        def decorator(view: View) -> View:
            view.counted = what  # type: ignore[attr-defined]
            return view

        return decorator

    def refuses(self, *kinds: type[Refusal]) -> Callable[[View], View]:
        """Document what a route may refuse, in addition to what any route may."""
        return cast(Callable[[View], View], self.doc(refuses=kinds))

    def staff_only(self, view: View) -> View:
        """Ask for the staff key, if one is set, before anything else is checked."""

        @wraps(view)
        def guarded(**path: str) -> Any:
            check_staff_key()
            return view(**path)

        # The key is asked for only where one is set.
        return cast(View, self.doc(security=[{}, {"staffKey": []}])(guarded))


def configure(app: Flask, staff_key: str | None) -> None:
    """Give `app` the hooks that all routes share; without a key, staff routes are open."""
    app.config["STAFF_KEY"] = staff_key
    app.json = JSONResponses(app)
    app.url_map.merge_slashes = False  # a redirect would be HTML
    app.url_map.converters["number"] = _Number
    app.config["MAX_CONTENT_LENGTH"] = MAX_BYTES_READ  # longer ones are cut, then refused
    problems.register(app)

    @app.before_request
    def refuse_unreadable_requests() -> None:
        view = app.view_functions.get(request.endpoint or "")
        check_envelope(request, read_later=getattr(view, "read_headers", ()))

    @app.before_request
    def ignore_impossible_dates() -> None:
        # Werkzeug does not catch what datetime raises for years it cannot hold or compare.
        for name in ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_RANGE"):
            if name in request.environ:
                try:
                    instant = parse_date(request.environ[name])
                    instant and instant.astimezone(UTC)
                except OverflowError:
                    del request.environ[name]

    @app.after_request
    def add_security_headers(response: Response) -> Response:
        # As OWASP's REST security cheat sheet advises.
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers.setdefault("Content-Security-Policy", "frame-ancestors 'none'")
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @app.after_request
    def drop_empty_content(response: Response) -> Response:
        options = request.method == "OPTIONS" and response.status_code == HTTPStatus.OK
        if options or response.status_code == HTTPStatus.NO_CONTENT:
            response.data = b""
            response.headers.pop("Content-Type", None)
        return response

    @app.after_request
    def replace_unwanted_content(response: Response) -> Response:
        if response.status_code != HTTPStatus.PRECONDITION_FAILED:
            return response
        response.close()  # a file
        return problems.respond_with_status(HTTPStatus.PRECONDITION_FAILED)
