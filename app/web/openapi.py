"""The service documented by itself: `/openapi.json` from the code, and `/docs` to try it out."""

from __future__ import annotations

import flask_smorest
from flask import Flask
from flask_swagger_ui import get_swaggerui_blueprint

DESCRIPTION = """\
Box Office books movie tickets, and never sells a seat twice.

- A **timing** is a time of day in the timetable, `HH:MM`. A **showing** is a timing on a date.
  `HH:MM` alone means the next showing.
- Bodies are read as JSON whatever their `Content-Type` says. Unknown fields are refused.
- Errors are `application/problem+json` (RFC 9457). Programs should look at `code`.
- With an `Idempotency-Key`, a booking or purchase that is sent again happens once.
"""


def configure(app: Flask) -> flask_smorest.Api:
    """Serve the documentation of all blueprints that are registered with the API returned."""
    app.config.update(
        API_TITLE="Box Office",
        API_VERSION="1",
        OPENAPI_VERSION="3.1.0",
        OPENAPI_URL_PREFIX="/",
        API_SPEC_OPTIONS={
            "info": {"description": DESCRIPTION},
            "components": {"securitySchemes": {"staffKey": {"type": "http", "scheme": "bearer"}}},
        },
    )
    pages = get_swaggerui_blueprint(
        "/docs",
        "/openapi.json",
        config={
            "app_name": "Box Office",
            "validatorUrl": None,  # which would be asked on the internet
            "displayRequestDuration": True,
            "tryItOutEnabled": True,
        },
        blueprint_name="docs",
    )
    app.register_blueprint(pages)
    # Its own rule is /docs/, which would answer /docs with a redirection.
    app.add_url_rule("/docs", "docs", app.view_functions["docs.show"])
    return Api(app)


class Api(flask_smorest.Api):  # type: ignore[misc]  # it has no types
    """flask-smorest's API without its error handling, which app.problems does."""

    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        pass

    def _register_responses(self) -> None:
        """Leave out its own descriptions of errors, which nothing here answers with."""

    def _register_pagination_header(self) -> None:
        """Leave out its pages, which there are none of."""
