"""The same tickets as resources: `/tickets`, over the same service."""

from __future__ import annotations

from typing import Any

from app.booking.routes import book, booking_service
from app.booking.schemas import MoveSchema, TicketPhoneHeaders, TicketSchema, TimingSchema
from app.booking.service import Ticket
from app.http import Blueprint

blueprint = Blueprint(
    "tickets", __name__, url_prefix="/tickets", description="Tickets as resources"
)

blueprint.post("")(book)


@blueprint.get("")
@blueprint.arguments(TimingSchema(), location="query")
@blueprint.response(200, TicketSchema(many=True))
def list_tickets(query: dict[str, Any]) -> list[Ticket]:
    """List all tickets of a timing."""
    return booking_service().tickets_of(**query)


@blueprint.get("/<ticket_id>")
@blueprint.response(200, TicketSchema())
def view_ticket(ticket_id: str) -> Ticket:
    """View a ticket."""
    return booking_service().ticket(ticket_id)


@blueprint.patch("/<ticket_id>")
@blueprint.arguments(TicketPhoneHeaders(), location="headers")
@blueprint.arguments(MoveSchema())
@blueprint.response(200, TicketSchema())
def move_ticket(headers: dict[str, Any], body: dict[str, Any], ticket_id: str) -> Ticket:
    """Change the timing of a ticket."""
    return booking_service().change_timing(ticket_id, **headers, **body)


@blueprint.delete("/<ticket_id>")
@blueprint.arguments(TicketPhoneHeaders(), location="headers")
@blueprint.response(204)
def delete_ticket(headers: dict[str, Any], ticket_id: str) -> None:
    """Delete a ticket; its seat is free at once."""
    booking_service().delete(ticket_id, **headers)
