"""Where the pages are, who gets one, and what a browser may load for it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta
from typing import Any

from flask import Blueprint, Response, render_template, request

from app.domain.showings import Calendar
from app.tickets.service import TicketService

# At these routes of the API, browsers get a page and all other clients JSON.
_SHARED = {"Booking.list_slots": "customers", "Tickets.view_ticket": "ticket"}
_ALL = {**_SHARED, "pages.door": "door", "pages.multiplex": "multiplex"}
_UNLISTED = {"pages.door", "Tickets.view_ticket", "Tickets.show_qr_code"}  # not for search engines
_MAX_ACCEPT = 1000  # a browser's has 150 characters; parsing a long one is slow
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the address of a ticket is its key
}


def create_pages(
    tickets: TicketService,
    calendar: Calendar,
    open_before: timedelta,
    clock: Callable[[], datetime],
) -> Blueprint:
    """Return the pages, and the negotiation at the routes that they share with the API.

    `open_before` is how long before a showing its door opens; `clock` returns the current
    instant.
    """
    blueprint = Blueprint(
        "pages",
        __name__,
        static_folder="static",
        static_url_path="/static",
        template_folder="templates",
    )

    def page(name: str, **facts: Any) -> str:
        today = calendar.local(clock()).date()
        tomorrow = datetime.combine(today + timedelta(days=1), time(), tzinfo=calendar.zone)
        return render_template(
            f"{name}.html",
            name=name,
            midnight=tomorrow,
            zone=calendar.zone,
            days=[today + timedelta(days=number) for number in range(calendar.advance_days + 1)],
            open_before=open_before,
            **facts,
        )

    @blueprint.get("/door")
    def door() -> Response:
        return Response(page("door"), headers=_HEADERS)

    @blueprint.get("/multiplex")
    def multiplex() -> Response:
        return Response(page("multiplex"), headers=_HEADERS)

    @blueprint.before_app_request
    def show_page_to_browsers() -> Response | None:
        if request.endpoint not in _SHARED or not _prefers_page():
            return None
        facts = {}
        if ticket_id := (request.view_args or {}).get("ticket_id"):
            ticket = tickets.ticket(ticket_id)  # raises what the response's status then says
            facts["showing_at"] = ticket.showing_at
            facts["opens_at"] = calendar.before(ticket.showing_at, open_before)
        return Response(page(_SHARED[request.endpoint], **facts), headers=_HEADERS)

    @blueprint.after_app_request
    def show_failures_to_browsers(response: Response) -> Response:
        if request.endpoint in _SHARED:
            response.vary.add("Accept")
        if request.endpoint in _UNLISTED:
            response.headers["X-Robots-Tag"] = "noindex"
        if request.endpoint in _ALL and _prefers_page() and response.is_json:
            # The status stays, and the page asks the API again where that may help.
            problem = response.json or {}
            response.data = page(_ALL[request.endpoint], trouble=problem["detail"])
            response.mimetype = "text/html"
            response.headers.update(_HEADERS)
        return response

    return blueprint


def _prefers_page() -> bool:
    """Return whether the client asks for something, and prefers HTML to JSON."""
    return (
        request.method in ("GET", "HEAD")
        and len(request.headers.get("Accept", "")) <= _MAX_ACCEPT
        and request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"
    )
