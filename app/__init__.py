"""The box office: `create_app` wires the parts together."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

from flask import Flask
from pymongo.database import Database
from pymongo.errors import PyMongoError
from werkzeug.middleware.proxy_fix import ProxyFix

from app import booking, multiplex, tickets
from app.booking.timetable import Timetable
from app.config import DEFAULT_MONGODB_URI, Settings
from app.domain.seating import House
from app.domain.showings import Calendar, Play
from app.mongodb.client import log_ignored_options, open_client, outages
from app.multiplex.service import MultiplexService
from app.multiplex.store import Catalogue
from app.multiplex.upgrade import upgrade_movies, upgrade_sales
from app.operations import rate_limit
from app.operations import routes as operations
from app.operations.metrics import Seats
from app.pages.routes import create_pages
from app.server import shared
from app.tickets.admissions import AdmissionService
from app.tickets.service import TicketService
from app.tickets.store import TicketStore
from app.tickets.views import Views
from app.web import blueprint, openapi, origin

log = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Return the current instant."""
    return datetime.now(UTC)


class BoxOffice(Flask):
    """Flask, for clients that send an empty path."""

    def wsgi_app(self, environ: dict[str, Any], start_response: Any) -> Any:
        """Serve a request; an empty path means `/` (RFC 9110, 4.2.3), not a redirect in HTML."""
        environ["PATH_INFO"] = environ.get("PATH_INFO") or "/"
        return super().wsgi_app(environ, start_response)


def create_app(
    database: Database[Any] | None = None,
    *,
    settings: Settings | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Flask:
    """Return the service as a WSGI application.

    `database` is any pymongo-compatible one, mongomock's too; by default, the one that `settings`
    (by default, the environment) name. `clock` returns the current instant, zone-aware.
    Raises SettingError when a setting cannot be used. If MongoDB is unavailable, requests get 503
    until it recovers.
    """
    settings = settings or Settings.from_environ()
    if database is None:
        uri = settings.mongodb_uri or DEFAULT_MONGODB_URI
        _create_indexes(uri, settings)
        database = open_client(uri)[settings.mongodb_database]

    app = BoxOffice(__name__, static_folder=None)
    calendar = Calendar(settings.theatre_timezone, settings.advance_days)
    house = House(settings.slot_capacity, settings.seats_per_row)
    store, catalogue = stores = _stores(database, settings)
    timetable = app.extensions["timetable"] = Timetable(settings.show_times, house)
    views = Views(calendar, house, settings.expiry_hours)
    ticket_service = app.extensions["tickets"] = TicketService(
        store, views, timetable=timetable, catalogue=catalogue, clock=clock
    )
    app.extensions["admissions"] = AdmissionService(
        store, views, open_before=settings.admission_hours, clock=clock
    )
    app.extensions["multiplex"] = MultiplexService(catalogue, ticket_service, calendar, clock)
    app.config["PHONE_REGION"] = settings.phone_region

    operations.configure(app, stores)  # first, because even a refusal has an id
    rate_limit.configure(app, database, settings.rate_limit, exempt=operations.PATHS)
    api = openapi.configure(app, unlimited=operations.PATHS)
    blueprint.configure(app, settings.staff_key)  # after flask-smorest's error handler
    is_open = settings.staff_key is None and not settings.trusted_proxies
    origin.configure(app, settings.host, is_open=is_open)
    for each in (
        *booking.blueprints,
        *tickets.blueprints,
        *multiplex.blueprints,
        operations.blueprint,
    ):
        api.register_blueprint(each)
    app.register_blueprint(create_pages(ticket_service, calendar, settings.admission_hours, clock))
    operations.start_metrics(
        app, lambda: _seats(ticket_service, [*timetable.plays(), *catalogue.movies()])
    )
    if proxies := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]  # as Flask's docs have it
            app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies, x_prefix=proxies
        )
    return app


def _stores(database: Database[Any], settings: Settings) -> tuple[TicketStore, Catalogue]:
    store = TicketStore(
        database, settings.expiry_hours, partial(upgrade_sales, database), shared.started_at
    )
    return store, Catalogue(database, partial(upgrade_movies, database))


def _seats(tickets: TicketService, plays: list[Play]) -> Iterator[Seats]:
    for play, slot in zip(plays, tickets.slots_of_today(plays), strict=True):
        yield Seats(play.timing, str(play.movie or ""), slot.booked, slot.available)


def announce(settings: Settings) -> None:
    """Log what an operator should know about the settings, once per start."""
    if settings.mongodb_uri:
        log_ignored_options(settings.mongodb_uri)
    if settings.staff_key is None:
        log.warning("STAFF_KEY is not set: anyone may list and admit tickets, and set up screens")
    log.info("Show times are in %s", settings.theatre_timezone)


def _create_indexes(uri: str, settings: Settings) -> None:
    # With a separate client, because the app's may be shared with children of this process.
    try:
        with open_client(uri) as client:
            for store in _stores(client[settings.mongodb_database], settings):
                store.prepare()
    except PyMongoError as error:
        outages.report(error)
