"""What operators need: a request's id, its line in the log, health and metrics."""

from __future__ import annotations

import logging
import random
import re
import time
from typing import Any

import pymongo
from flask import Flask, Response, current_app, g, request
from marshmallow import Schema, fields
from pymongo.database import Database

from app.operations import metrics
from app.web.blueprint import Blueprint
from app.web.problems import PROBLEMS

REQUEST_ID_HEADER = "X-Request-Id"
PATHS = ("/health/", "/metrics")  # which no customer's traffic may close
_READY_SECONDS = 2

log = logging.getLogger(__name__)
blueprint = Blueprint("Operations", __name__, description="For those who run the service.")


class HealthSchema(Schema):
    """How the service is."""

    status = fields.String(required=True, metadata={"example": "ok"})


def configure(app: Flask, database: Database[Any]) -> None:
    """Give every request an id, the caller's if it is sane; log and count its response.

    Neither log nor metrics hold what a customer sent: routes are named by their templates.
    Readiness asks `database`.
    """
    app.extensions["database"] = database

    @app.before_request
    def start_timing() -> None:
        g.received_at = time.monotonic()
        given = request.headers.get(REQUEST_ID_HEADER, "")
        g.request_id = given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else _new_request_id()

    @app.after_request
    def log_and_count(response: Response) -> Response:
        response.headers[REQUEST_ID_HEADER] = g.request_id
        method = request.method if request.method in metrics.METHODS else "other"
        route = str(request.url_rule or metrics.NO_ROUTE)
        seconds = time.monotonic() - g.received_at
        figures = current_metrics()
        figures.count_request(method, route, response.status_code, seconds)
        if g.get("sold"):
            figures.count_booking(route)
        if g.get("admitted"):
            figures.count_admission()
        if "problem_code" in g:
            figures.count_refusal(g.problem_code)
        log.info(
            "%s %s %s",
            method,
            route,
            response.status_code,
            extra={
                "method": method,
                "route": route,
                "status": response.status_code,
                "milliseconds": round(seconds * 1000, 2),
            },
        )
        return response


def start_metrics(app: Flask) -> None:
    """Start to count, once all routes of `app` are known."""
    app.extensions["metrics"] = metrics.Metrics(
        routes=[rule.rule for rule in app.url_map.iter_rules()],
        codes=[problem.code for problem in PROBLEMS],
        table=metrics.shared_table,
    )


def current_metrics() -> metrics.Metrics:
    """Return the metrics of the current app."""
    figures: metrics.Metrics = current_app.extensions["metrics"]
    return figures


def _new_request_id() -> str:
    # It is no secret, so it need not come from the kernel, which takes longer.
    return f"{random.getrandbits(128):032x}"


@blueprint.get("/health/live")
@blueprint.response(200, HealthSchema())
def live() -> dict[str, str]:
    """Tell that the process serves"""
    return {"status": "ok"}


@blueprint.get("/health/ready")
@blueprint.response(200, HealthSchema())
def ready() -> dict[str, str]:
    """Tell whether MongoDB answers, within two seconds

    Without it there is no booking, so a balancer should send customers elsewhere.
    """
    with pymongo.timeout(_READY_SECONDS):
        current_app.extensions["database"].command("ping")
    return {"status": "ok"}


@blueprint.get("/metrics")
@blueprint.response(200, {"type": "string"}, content_type="text/plain")
def show_metrics() -> Response:
    """Tell Prometheus of requests, bookings and refusals, in all server processes"""
    return Response(current_metrics().exposition(), content_type=metrics.CONTENT_TYPE)
