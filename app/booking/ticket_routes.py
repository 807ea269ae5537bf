"""The ticket window's tickets as resources: `/tickets`, over the same service."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import segno
from flask import Response

from app.booking.assignment_routes import MOVE_REFUSALS, book, booking_faults, booking_service
from app.booking.phones import Phone
from app.booking.schemas import MoveSchema, TicketPhoneHeaders, TimingSchema
from app.booking.service import Ticket
from app.theatre.refusals import AlreadyAdmitted, PhoneMismatch, TicketNotFound
from app.web.blueprint import Blueprint
from app.web.fields import response_schema

blueprint = Blueprint(
    "Tickets", __name__, url_prefix="/tickets", description="The same tickets, as resources."
)

blueprint.post("", endpoint="create_ticket")(book)


@blueprint.get("")
@blueprint.staff_only
@blueprint.reads(query=TimingSchema())
@blueprint.response(200, response_schema(Ticket)(many=True))
def list_tickets(timing: str, day: date | None = None) -> list[Ticket]:
    """List all tickets of a timing

    By date, then seat: all that are still stored, or those of one `date`.
    """
    return booking_service().tickets_of(timing, day)


@blueprint.get("/<ticket_id>")
@blueprint.reads()
@blueprint.response(200, response_schema(Ticket)())
@blueprint.refuses(TicketNotFound)
def view_ticket(ticket_id: str) -> Ticket:
    """View a ticket

    Anyone who has the `ticket_id` may view it.
    """
    return booking_service().ticket(ticket_id)


@blueprint.get("/<ticket_id>/qr.svg")
@blueprint.reads()
@blueprint.response(200, {"type": "string"}, content_type="image/svg+xml")
@blueprint.refuses(TicketNotFound)
def show_qr_code(ticket_id: str) -> Response:
    """Show the QR code for the door

    It holds the admission code, which reveals neither the phone nor the `ticket_id`.
    """
    code = segno.make_qr(booking_service().ticket(ticket_id).admission_code, error="m")
    image = io.BytesIO()
    # White, whatever the page around it has, as scanners expect.
    code.save(image, kind="svg", light="#fff", omitsize=True, svgclass=None, lineclass=None)
    return Response(image.getvalue(), content_type="image/svg+xml")


@blueprint.patch("/<ticket_id>")
@blueprint.reads(headers=TicketPhoneHeaders(), body=MoveSchema(), more_faults=booking_faults)
@blueprint.response(200, response_schema(Ticket)())
@blueprint.refuses(*MOVE_REFUSALS)
def move_ticket(**fields: Any) -> Ticket:
    """Change the timing, date or seat of a ticket

    At least one is required; the others stay. If the new timing has passed on the ticket's date,
    the ticket moves to the next showing, and in another showing it gets any free seat. A refused
    move leaves the ticket as it was.
    """
    return booking_service().move(**fields)


@blueprint.delete("/<ticket_id>")
@blueprint.reads(headers=TicketPhoneHeaders())
@blueprint.response(204)
@blueprint.refuses(TicketNotFound, PhoneMismatch, AlreadyAdmitted)
def delete_ticket(ticket_id: str, phone: Phone) -> None:
    """Delete a ticket

    Its seat is free at once.
    """
    booking_service().delete(ticket_id, phone)
