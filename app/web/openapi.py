"""The documentation: `/openapi.json`, made from the code, and `/docs` to try the API out."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import flask_smorest
import orjson
from apispec import APISpec
from apispec.ext.marshmallow import MarshmallowPlugin
from flask import Blueprint, Flask, Response, current_app, render_template, request
from jinja2.utils import htmlsafe_json_dumps
from marshmallow import Schema, fields
from werkzeug.routing import Rule

from app.web import problems, refusals

VERSION = "2.0.0"
DESCRIPTION = """\
Box Office books movie tickets, and never sells a seat twice.

- A **timing** is a time of day in the timetable, `HH:MM`. A **showing** is a timing on a date.
  `HH:MM` alone means the next showing. A movie plays daily on a screen, and has showings too.
- A **ticket** is for one or more seats of one showing. For the timetable or for a movie, it can be
  viewed, moved, deleted and shown at the door.
- Bodies are read as JSON, regardless of their `Content-Type`. Unknown fields and query parameters
  are refused, and so is anything sent twice.
- Errors are `application/problem+json` (RFC 9457). Programs should look at `code`.
- With an `Idempotency-Key`, a booking, purchase or admission that is sent again happens once.
"""


def configure(app: Flask, unlimited: tuple[str, ...]) -> flask_smorest.Api:
    """Serve the documentation of all blueprints that are registered with the API returned.

    Paths that start with one of `unlimited` have no rate limit.
    """
    app.config.update(
        API_TITLE="Box Office",
        API_VERSION=VERSION,
        OPENAPI_VERSION="3.1.0",
        API_SPEC_OPTIONS={
            "info": {
                "description": DESCRIPTION,
                "contact": {"name": "The Box Office authors"},
                "license": {"name": "MIT License", "identifier": "MIT"},
            },
            "security": [],  # routes for the staff have their own
            "components": {"securitySchemes": {"staffKey": {"type": "http", "scheme": "bearer"}}},
        },
    )
    api = Api(app, spec_kwargs={"marshmallow_plugin": Documentation(unlimited)})
    del api.spec.components.schemas["PaginationMetadata"]  # of pages, which there are none of
    app.extensions["openapi"] = api.spec
    app.register_blueprint(_pages)
    return api


# The files and the template of flask-swagger-ui. Its own blueprint knows no prefix of a proxy.
_pages = Blueprint(
    "documentation",
    "flask_swagger_ui",
    static_folder="dist",
    static_url_path="/docs",
    template_folder="templates",
)


@_pages.get("/openapi.json")
def show_document() -> Response:
    """Return the OpenAPI document, for the address that the client knows."""
    root = request.script_root or "/"
    return Response(_document(current_app.extensions["openapi"], root), mimetype="application/json")


@lru_cache(maxsize=16)  # it takes a worker 6 ms to make, and is shared by those who read it slowly
def _document(spec: APISpec, root: str) -> bytes:
    document = {**spec.to_dict(), "servers": [{"url": root}]}
    return orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS | orjson.OPT_APPEND_NEWLINE)


@_pages.get("/docs")
@_pages.get("/docs/")
def show_docs() -> str:
    """Return Swagger UI's page."""
    config = {
        "dom_id": "#swagger-ui",
        "url": f"{request.script_root}/openapi.json",
        "layout": "StandaloneLayout",
        "deepLinking": True,
        "validatorUrl": None,  # which would be asked on the internet
        "displayRequestDuration": True,
        "tryItOutEnabled": True,
    }
    return render_template(
        "index.template.html",
        app_name="Box Office",
        base_url=f"{request.script_root}/docs",
        config_json=htmlsafe_json_dumps(config),
    )


class Api(flask_smorest.Api):  # type: ignore[misc]  # it has no types
    """flask-smorest's API, with the errors of app.web.problems."""

    DEFAULT_ERROR_RESPONSE_NAME = None
    ERROR_SCHEMA = problems.ProblemSchema


class Documentation(MarshmallowPlugin):
    """Completes each operation: its name, an example of its request and response, its refusals.

    Routes whose paths begin with one of `unlimited` have no rate limit.
    """

    def __init__(self, unlimited: tuple[str, ...]) -> None:
        super().__init__()
        self._unlimited = unlimited

    def operation_helper(
        self, path: str | None = None, operations: dict[str, Any] | None = None, **kwargs: Any
    ) -> None:
        """Complete the operations of a path, then describe the schemas in them."""
        for method, operation in (operations or {}).items():
            self._complete(method, operation, kwargs["rule"])
        super().operation_helper(path, operations, **kwargs)

    def _complete(self, method: str, operation: dict[str, Any], rule: Rule) -> None:
        operation["operationId"] = rule.endpoint.rpartition(".")[2]
        for described in (operation.get("requestBody", {}), *operation["responses"].values()):
            for content in described.get("content", {}).values():
                if isinstance(content["schema"], Schema):
                    content["example"] = _example(content["schema"])

        refused = {*operation.pop("refuses", ()), *problems.OF_EVERY_ROUTE}
        if not rule.rule.startswith(self._unlimited):
            refused.add(refusals.TooManyRequests)
        if method != "get" or "security" in operation:
            refused.add(refusals.CrossSite)
        if "security" in operation:
            refused.add(refusals.Unauthorized)
        if "requestBody" in operation:
            refused |= {refusals.MalformedJSON, refusals.RequestTimeout}
        operation["responses"] |= problems.documentation(refused)
        for response in operation["responses"].values():
            response["headers"] = {**response.get("headers", {}), **_REQUEST_ID_HEADER}


def _example(schema: Schema) -> Any:
    """Return an example of what a schema describes, made of its fields' examples."""
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
        "description": "The caller's id for this request, or a new one.",
        "schema": {"type": "string"},
    }
}
