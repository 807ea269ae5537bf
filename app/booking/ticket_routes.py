"""The ticket window's tickets as resources: `/tickets`, over the same service."""

from __future__ import annotations

from datetime import date
from typing import Any

from app.booking.assignment_routes import book, booking_service, showing_faults
from app.booking.phones import Phone
from app.booking.schemas import MoveSchema, TicketPhoneHeaders, TicketSchema, TimingSchema
from app.booking.service import Ticket
from app.theatre.refusals import (
    PhoneMismatch,
    ShowingStarted,
    SoldOut,
    TicketExpired,
    TicketNotFound,
)
from app.web.blueprint import Blueprint

blueprint = Blueprint(
    "Tickets", __name__, url_prefix="/tickets", description="The same tickets, as resources."
)

blueprint.post("", endpoint="create_ticket")(book)


@blueprint.get("")
@blueprint.staff_only
@blueprint.reads(query=TimingSchema())
@blueprint.response(200, TicketSchema(many=True))
def list_tickets(timing: str, day: date | None = None) -> list[Ticket]:
    """List all tickets of a timing

    By date, then seat: all that are still stored, or those of one `date`.
    """
    return booking_service().tickets_of(timing, day)


@blueprint.get("/<ticket_id>")
@blueprint.reads()
@blueprint.response(200, TicketSchema())
@blueprint.refuses(TicketNotFound)
def view_ticket(ticket_id: str) -> Ticket:
    """View a ticket

    Whoever has the `ticket_id` may.
    """
    return booking_service().ticket(ticket_id)


@blueprint.patch("/<ticket_id>")
@blueprint.reads(headers=TicketPhoneHeaders(), body=MoveSchema(), more_faults=showing_faults)
@blueprint.response(200, TicketSchema())
@blueprint.refuses(TicketNotFound, PhoneMismatch, SoldOut, ShowingStarted, TicketExpired)
def move_ticket(**fields: Any) -> Ticket:
    """Change the timing of a ticket

    Without a `date` it keeps its date if that showing is still ahead, else it takes the next one.
    Moving to its own showing changes nothing. A refused move leaves the ticket as it was.
    """
    return booking_service().change_timing(**fields)


@blueprint.delete("/<ticket_id>")
@blueprint.reads(headers=TicketPhoneHeaders())
@blueprint.response(204)
@blueprint.refuses(TicketNotFound, PhoneMismatch)
def delete_ticket(ticket_id: str, phone: Phone) -> None:
    """Delete a ticket

    Its seat is free at once.
    """
    booking_service().delete(ticket_id, phone)
