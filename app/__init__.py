"""The box office: `create_app` joins the parts, and is the only place that knows them all."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pymongo
from flask import Flask
from pymongo.database import Database
from pymongo.errors import PyMongoError

from app import booking, multiplex
from app.booking.admissions import AdmissionService
from app.booking.service import BookingService
from app.booking.store import TicketStore
from app.config import SettingError, Settings
from app.mongodb.client import is_outage, open_client
from app.multiplex.service import MultiplexService
from app.multiplex.store import MultiplexStore
from app.operations import rate_limit
from app.operations import routes as operations
from app.pages.routes import create_pages
from app.theatre.showings import Calendar
from app.web import blueprint, openapi

DEFAULT_MONGODB_URI = "mongodb://localhost:27017"
_PREPARE_SECONDS = 2

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the current instant."""
    return datetime.now(UTC)


def create_app(
    database: Database[Any] | None = None,
    *,
    settings: Settings | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Flask:
    """Return the service as a WSGI application.

    `database` is any pymongo-compatible one, mongomock's too; by default it is the one that
    `settings` (by default the environment) name. `clock` returns the current instant, zone-aware.
    Raises SettingError when a setting cannot be used. MongoDB may be away: the service then
    answers 503 until it is there.
    """
    settings = settings or Settings.from_environ()
    if database is None:
        uri = settings.mongodb_uri or DEFAULT_MONGODB_URI
        prepare_database(uri, settings)
        database = open_client(uri)[settings.mongodb_database]

    app = Flask(__name__, static_folder=None)
    calendar = Calendar(settings.theatre_timezone, settings.advance_days)
    tickets, multiplex_store = _stores(database, settings)
    app.extensions["booking"] = BookingService(
        tickets,
        calendar,
        show_times=settings.show_times,
        capacity=settings.slot_capacity,
        expire_after=settings.expiry_hours,
        clock=clock,
    )
    app.extensions["admissions"] = AdmissionService(
        tickets,
        calendar,
        open_before=settings.admission_hours,
        expire_after=settings.expiry_hours,
        clock=clock,
    )
    app.extensions["multiplex"] = MultiplexService(multiplex_store, calendar, clock)
    app.config["PHONE_REGION"] = settings.phone_region

    operations.configure(app, database)  # first, for even a refusal has an id
    rate_limit.configure(app, database, settings.rate_limit, exempt=operations.PATHS)
    api = openapi.configure(app, unlimited=operations.PATHS)
    blueprint.configure(app, settings.staff_key)  # after flask-smorest's error handler
    for each in (*booking.blueprints, *multiplex.blueprints, operations.blueprint):
        api.register_blueprint(each)
    bookings = app.extensions["booking"]
    app.register_blueprint(create_pages(bookings, calendar, settings.admission_hours, clock))
    operations.start_metrics(app)
    return app


def _stores(database: Database[Any], settings: Settings) -> tuple[TicketStore, MultiplexStore]:
    return (
        TicketStore(database, settings.slot_capacity, settings.expiry_hours),
        MultiplexStore(database, settings.expiry_hours),
    )


def prepare_database(uri: str, settings: Settings) -> None:
    """Make or adapt the indexes at the start, unless MongoDB is away: then the first request does.

    This takes a client of its own, because the app's may be shared with children of this process.
    Raises SettingError when MongoDB is there and refuses to serve.
    """
    try:
        with open_client(uri) as client, pymongo.timeout(_PREPARE_SECONDS):
            for store in _stores(client[settings.mongodb_database], settings):
                store.prepare()
    except PyMongoError as error:
        if not is_outage(error):
            reason = str(error).partition(", full error")[0]
            where = "MONGODB_URI names a server that" if settings.mongodb_uri else "MongoDB"
            raise SettingError(f"{where} cannot be used: {reason}") from None
        log.warning("MongoDB cannot be reached yet; answering 503 until it can.")
