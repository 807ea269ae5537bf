"""Routes that serve any ticket, and the seats of any showing: `/tickets` and `/seats`."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

import segno
from flask import Response, current_app, url_for

from app.domain.idempotency import Outcome
from app.domain.refusals import (
    AlreadyAdmitted,
    MovieNotFound,
    NotEnoughSeats,
    NotOnSale,
    PhoneMismatch,
    SeatTaken,
    ShowingStarted,
    SoldOut,
    TicketExpired,
    TicketNotFound,
)
from app.domain.wanted import Wanted
from app.tickets.phones import Phone
from app.tickets.schemas import MoveSchema, ShowingQuery, TicketPhoneHeaders, TicketsQuery
from app.tickets.service import TicketService
from app.tickets.views import SeatPlan, Ticket
from app.web.blueprint import Blueprint, replay_headers
from app.web.fields import response_schema

blueprint = Blueprint("Tickets", __name__, description="Any ticket, and the seats of any showing.")

MOVE_REFUSALS = (
    TicketNotFound,
    PhoneMismatch,
    AlreadyAdmitted,
    TicketExpired,
    ShowingStarted,
    SoldOut,
    NotEnoughSeats,
    SeatTaken,
)


def ticket_service() -> TicketService:
    """Return the ticket service of the current app."""
    service: TicketService = current_app.extensions["tickets"]
    return service


def sale_headers(sold: Outcome[Ticket]) -> dict[str, str]:
    """Return the headers of a response to a sale."""
    location = url_for("Tickets.view_ticket", ticket_id=sold.result.ticket_id)
    return {"Location": location, **replay_headers(sold)}


def showing_errors(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with the showing that a request names, by field."""
    return ticket_service().errors(timing=values.get("timing"), day=values.get("day"))


@blueprint.get("/seats")
@blueprint.reads(query=ShowingQuery(), more_errors=showing_errors)
@blueprint.response(200, response_schema(SeatPlan)())
@blueprint.refuses(MovieNotFound)
def show_seats(
    timing: str | None = None, movie: int | None = None, day: date | None = None
) -> SeatPlan:
    """Show the free seats of a showing

    The next one of a `timing` or a `movie`, or that of a `date`.
    """
    return ticket_service().seats(timing, movie, day)


@blueprint.get("/tickets")
@blueprint.staff_only
@blueprint.reads(query=TicketsQuery())
@blueprint.response(200, response_schema(Ticket)(many=True))
@blueprint.refuses(MovieNotFound)
def list_tickets(
    timing: str | None = None, movie: int | None = None, day: date | None = None
) -> Iterator[Ticket]:
    """List all tickets of a timing, a movie or a day

    By showing, then seat: all that are still stored, or those of one `date`. At least one of the
    three is required.
    """
    return ticket_service().tickets(timing, movie, day)


@blueprint.get("/tickets/<ticket_id>")
@blueprint.reads()
@blueprint.response(200, response_schema(Ticket)())
@blueprint.refuses(TicketNotFound)
def view_ticket(ticket_id: str) -> Ticket:
    """View a ticket

    Anyone who has the `ticket_id` may view it.
    """
    return ticket_service().ticket(ticket_id)


@blueprint.get("/tickets/<ticket_id>/qr.svg")
@blueprint.reads()
@blueprint.response(200, {"type": "string"}, content_type="image/svg+xml")
@blueprint.refuses(TicketNotFound)
def show_qr_code(ticket_id: str) -> Response:
    """Show the QR code for the door

    It holds the admission code, which reveals neither the phone nor the `ticket_id`.
    """
    code = segno.make_qr(ticket_service().ticket(ticket_id).admission_code, error="m")
    image = io.BytesIO()
    # White, even on a dark page, as scanners expect.
    code.save(image, kind="svg", light="#fff", omitsize=True, svgclass=None, lineclass=None)
    return Response(image.getvalue(), content_type="image/svg+xml")


def move_errors(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with a move, by field: a missing phone, or the showing it names."""
    phone_errors = ticket_service().phone_errors(values["ticket_id"], values.get("phone"))
    return {**phone_errors, **showing_errors(values)}


@blueprint.patch("/tickets/<ticket_id>")
@blueprint.reads(headers=TicketPhoneHeaders(), body=MoveSchema(), more_errors=move_errors)
@blueprint.response(200, response_schema(Ticket)())
@blueprint.refuses(MovieNotFound, NotOnSale, *MOVE_REFUSALS)
def move_ticket(
    ticket_id: str,
    phone: Phone | None = None,
    timing: str | None = None,
    movie: int | None = None,
    day: date | None = None,
    wanted: Wanted | None = None,
) -> Ticket:
    """Change the showing or the seats of a ticket

    At least one field is required; what is not named stays. A ticket of the timetable moves to
    another `timing` or `date`, a movie's ticket to another `date` or `movie`. If the new showing
    has passed on the ticket's date, the ticket moves to the next one. It keeps its seats where all
    of them are free, and else gets the best ones. A refused move leaves the ticket as it was.
    """
    return ticket_service().move(
        ticket_id, phone, timing=timing, movie=movie, day=day, wanted=wanted
    )


@blueprint.delete("/tickets/<ticket_id>")
@blueprint.reads(headers=TicketPhoneHeaders())
@blueprint.response(204)
@blueprint.refuses(TicketNotFound, PhoneMismatch, AlreadyAdmitted)
def delete_ticket(ticket_id: str, phone: Phone | None = None) -> None:
    """Delete a ticket

    Its seats are free at once.
    """
    ticket_service().delete(ticket_id, phone)
