"""The edge: how requests are read, and what all routes have in common, documentation included."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from functools import wraps
from http import HTTPStatus
from typing import Any, TypeVar, cast

import flask_smorest
import orjson
from flask import Flask, Response, current_app, g, request
from flask.json.provider import DefaultJSONProvider
from marshmallow import Schema, fields
from werkzeug.exceptions import RequestEntityTooLarge

from app.theatre import refusals
from app.web import problems
from app.web.reading import MOST_BYTES_READ, JSONParser
from app.web.staff import check_staff_key

View = TypeVar("View", bound=Callable[..., Any])

LOCATION_HEADER = {
    "Location": {"description": "The address of what was made.", "schema": {"type": "string"}}
}
REPLAYED_HEADER = {
    "Idempotency-Replayed": {
        "description": "`true` when an earlier request with this key had done it.",
        "schema": {"type": "string"},
    }
}


def sale(replayed: bool) -> dict[str, str]:
    """Return the headers of an answer that sells something, and have a new sale counted.

    It is `replayed` when an earlier request with the same idempotency key had made the sale.
    """
    g.sold = not replayed
    return {"Idempotency-Replayed": "true"} if replayed else {}


class JSONAnswers(DefaultJSONProvider):
    """Writes answers by orjson, which takes dataclasses, dates and instants (as ISO 8601) too.

    Only answers: `dumps` and `loads`, which Flask's test client uses, are Flask's.
    """

    def response(self, *args: Any, **kwargs: Any) -> Response:
        """Return an answer with a line of JSON."""
        document = self._prepare_response_obj(args, kwargs)
        line = orjson.dumps(document, option=orjson.OPT_APPEND_NEWLINE)
        return current_app.response_class(line, mimetype="application/json")


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]  # it has no types
    """A blueprint whose arguments are read by JSONParser, and whose refusals are documented.

    Where its routes are not `rate_limited`, they document none.
    """

    ARGUMENTS_PARSER = JSONParser()

    def __init__(self, *args: Any, rate_limited: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rate_limited = rate_limited
        self._prepare_doc_cbks.append(self._prepare_operation_doc)

    def refuses(self, *kinds: type[refusals.BoxOfficeError]) -> Callable[[View], View]:
        """Document what a route may refuse, beside what any route may."""

        def decorator(view: View) -> View:
            known = deepcopy(getattr(view, "_apidoc", {}))
            view._apidoc = {**known, "refuses": kinds}  # type: ignore[attr-defined]
            return view

        return decorator

    def staff_only(self, view: View) -> View:
        """Ask for the staff key, where one is set, before anything else is looked at."""

        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            check_staff_key()
            return view(*args, **kwargs)

        known = deepcopy(getattr(view, "_apidoc", {}))
        guarded._apidoc = {**known, "staff_only": True}  # type: ignore[attr-defined]
        return cast(View, guarded)

    def _store_endpoint_docs(self, endpoint: str, *args: Any, **kwargs: Any) -> None:
        """Name operations after their endpoints, for clients that are generated."""
        super()._store_endpoint_docs(endpoint, *args, **kwargs)
        for method in self.HTTP_METHODS:
            if method.lower() in self._docs[endpoint]:
                self._docs[endpoint][method.lower()]["operation_id"] = endpoint

    def _prepare_operation_doc(
        self, doc: dict[str, Any], doc_info: dict[str, Any], **_: Any
    ) -> dict[str, Any]:
        """Add its name, and the problems that it may answer, to a route's documentation."""
        found = {problems.REFUSALS[kind] for kind in doc_info.get("refuses", ())}
        found |= {problems.METHOD_NOT_ALLOWED, problems.INTERNAL_ERROR}
        found |= {problems.DATABASE_UNAVAILABLE, problems.OVERLOADED}
        if self._rate_limited:
            found.add(problems.TOO_MANY_REQUESTS)
        if "arguments" in doc_info:
            found.add(problems.REFUSALS[refusals.InvalidRequest])
        if "staff_only" in doc_info:
            found.add(problems.REFUSALS[refusals.Unauthorized])
            doc["security"] = [{}, {"staffKey": []}]  # asked for only where one is set
        if "requestBody" in doc:
            found |= {problems.REFUSALS[refusals.MalformedJSON], problems.PAYLOAD_TOO_LARGE}
            found |= {problems.REQUEST_TIMEOUT}
        successes = {
            str(int(status)): response
            for status, response in doc["responses"].items()
            if int(status) < 400
        }
        doc["operationId"] = doc_info["operation_id"]
        for described in (doc.get("requestBody", {}), *successes.values()):
            for content in described.get("content", {}).values():
                if isinstance(content["schema"], Schema):
                    content["example"] = _example(content["schema"])
        doc["responses"] = {**successes, **problems.documentation(found)}
        for response in doc["responses"].values():
            response["headers"] = {**response.get("headers", {}), **_REQUEST_ID_HEADER}
        return doc


def _example(schema: Schema) -> Any:
    """Return an example of what a schema describes, made of those of its fields."""
    example = {}
    for name, field in schema.fields.items():
        key = field.data_key or name
        if isinstance(field, fields.List) and isinstance(field.inner, fields.Nested):
            example[key] = [_example(field.inner.schema)]
        elif "example" in field.metadata:
            example[key] = field.metadata["example"]
    return [example] if schema.many else example


_REQUEST_ID_HEADER = {
    "X-Request-Id": {
        "description": "The caller's id for this request, or else a new one.",
        "schema": {"type": "string"},
    }
}


def configure(app: Flask, staff_key: str | None) -> None:
    """Give `app` what all requests and answers have in common; without a key, all is open."""
    app.config["STAFF_KEY"] = staff_key
    app.json = JSONAnswers(app)
    app.url_map.merge_slashes = False  # a redirect would be answered in HTML
    app.config["MAX_CONTENT_LENGTH"] = MOST_BYTES_READ  # where Flask cuts it in silence
    problems.register(app)

    @app.before_request
    def refuse_what_is_too_large() -> None:
        # Of routes that take no body, too. One of unknown length is measured when it is read.
        if (request.content_length or 0) > problems.MAX_BODY_BYTES:
            raise RequestEntityTooLarge

    @app.after_request
    def keep_it_between_us(response: Response) -> Response:
        # As OWASP's REST security cheat sheet advises.
        response.headers.setdefault("Cache-Control", "no-store")
        response.headers["Content-Security-Policy"] = "frame-ancestors 'none'"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @app.after_request
    def leave_out_the_type_of_nothing(response: Response) -> Response:
        options = request.method == "OPTIONS" and response.status_code == HTTPStatus.OK
        if options or response.status_code == HTTPStatus.NO_CONTENT:
            response.data = b""
            response.headers.pop("Content-Type", None)
        return response
