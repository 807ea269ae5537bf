"""What operators need: a request's id, its line in the log, health and metrics."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Protocol

import pymongo
from flask import Flask, Response, current_app, g, request
from marshmallow import Schema, fields

from app.operations import metrics
from app.server import shared
from app.web.blueprint import Blueprint
from app.web.openapi import VERSION
from app.web.reading import REQUEST_ID_HEADER, request_id
from app.web.refusals import STATUSES

PATHS = ("/health/", "/metrics")  # no rate limit, no matter what customers send
_READY_SECONDS = 4

log = logging.getLogger(__name__)
blueprint = Blueprint("Operations", __name__, description="For those who run the service.")


class HealthSchema(Schema):
    """How the service is."""

    status = fields.String(required=True, metadata={"example": "ok"})


class Store(Protocol):
    """Where bookings or purchases are kept."""

    def prepare(self) -> None:
        """Create what a write needs; raises PyMongoError if it cannot."""


def configure(app: Flask, stores: Iterable[Store]) -> None:
    """Give every request an id, the caller's if it is well-formed; log and count its response.

    Neither log nor metrics hold what a customer sent: routes are named by their templates.
    The service is ready when each of the `stores` can be used.
    """
    app.extensions["stores"] = stores

    @app.before_request
    def start_timing() -> None:
        g.received_at = time.monotonic()
        g.request_id = request_id(request.headers.get(REQUEST_ID_HEADER, ""))

    @app.after_request
    def log_and_count(response: Response) -> Response:
        response.headers[REQUEST_ID_HEADER] = g.request_id
        try:
            _log_and_count(response.status_code, "Idempotency-Replayed" in response.headers)
        except Exception:
            # The booking is stored, so the customer must get the response.
            log.exception("A response could not be logged or counted")
        return response


def _log_and_count(status: int, is_replay: bool) -> None:
    method = request.method if request.method in metrics.METHODS else "other"
    route = str(request.url_rule or metrics.NO_ROUTE)
    seconds = time.monotonic() - g.received_at
    milliseconds = round(seconds * 1000, 2)
    log.info(
        "%s %s %s",
        method,
        route,
        status,
        extra={"method": method, "route": route, "status": status, "milliseconds": milliseconds},
    )
    current = current_metrics()
    current.count_request(method, route, status, seconds)
    view = current_app.view_functions.get(request.endpoint or "")
    failed = status >= HTTPStatus.BAD_REQUEST
    counted = None if is_replay or failed or method == "OPTIONS" else getattr(view, "counted", None)
    if counted == "booking":
        current.count_booking(route)
    elif counted == "admission":
        current.count_admission()
    if "problem_code" in g:
        current.count_refusal(g.problem_code)


def start_metrics(app: Flask, seats: Callable[[], Iterable[metrics.Seats]]) -> None:
    """Start to count, once all routes of `app` are known; `seats` returns those of today."""
    app.extensions["metrics"] = metrics.Metrics(
        routes=[rule.rule for rule in app.url_map.iter_rules()],
        codes=[kind.code for kind in STATUSES],
        version=VERSION,
        seats=seats,
        table=shared.table,
    )


def current_metrics() -> metrics.Metrics:
    """Return the metrics of the current app."""
    counted: metrics.Metrics = current_app.extensions["metrics"]
    return counted


@blueprint.get("/health/live")
@blueprint.response(200, HealthSchema())
def live() -> dict[str, str]:
    """Report that the process is serving

    This does not ask MongoDB. Restart the service when this fails.
    """
    return {"status": "ok"}


@blueprint.get("/health/ready")
@blueprint.response(200, HealthSchema())
def ready() -> dict[str, str]:
    """Report whether bookings can be stored in MongoDB

    Within four seconds. When this fails, a load balancer should send customers elsewhere.
    """
    with pymongo.timeout(_READY_SECONDS):
        for store in current_app.extensions["stores"]:
            store.prepare()
    return {"status": "ok"}


@blueprint.get("/metrics")
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
def show_metrics() -> Response:
    """Show metrics for Prometheus

    Requests, bookings and refusals of all server processes, and the seats of today's showings.
    """
    return Response(current_metrics().exposition(), content_type=metrics.CONTENT_TYPE)
