"""What operators need: an id for every request, and whether the service lives and is ready."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pymongo
from flask import Flask, Response, current_app, g, request
from marshmallow import Schema, fields
from pymongo.database import Database

from app.http import Blueprint

REQUEST_ID_HEADER = "X-Request-Id"
_READY_SECONDS = 2

blueprint = Blueprint(
    "Operations", __name__, url_prefix="/health", description="For those who run the service."
)


class HealthSchema(Schema):
    """How the service is."""

    status = fields.String(required=True, metadata={"example": "ok"})


def configure(app: Flask, database: Database[Any]) -> None:
    """Give every request an id, the caller's if it is sane, and say it in the answer.

    Readiness asks `database`.
    """
    app.extensions["database"] = database

    @app.before_request
    def take_request_id() -> None:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        g.request_id = given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else uuid.uuid4().hex

    @app.after_request
    def return_request_id(response: Response) -> Response:
        response.headers[REQUEST_ID_HEADER] = g.request_id
        return response


@blueprint.get("/live")
@blueprint.response(200, HealthSchema())
def live() -> dict[str, str]:
    """Tell that the process serves"""
    return {"status": "ok"}


@blueprint.get("/ready")
@blueprint.response(200, HealthSchema())
def ready() -> dict[str, str]:
    """Tell whether MongoDB answers, within two seconds

    Without it there is no booking, so a balancer should send customers elsewhere.
    """
    with pymongo.timeout(_READY_SECONDS):
        current_app.extensions["database"].command("ping")
    return {"status": "ok"}
