"""The ticket window's routes, as the assignment names them."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import current_app, url_for

from app.booking.schemas import (
    BookingSchema,
    ChangeTimingSchema,
    DaySchema,
    DeletedSchema,
    SlotSchema,
    TicketIdSchema,
    TicketPhoneSchema,
    TicketSchema,
    TimingSchema,
)
from app.booking.service import BookingService, Slot, Ticket
from app.errors import InvalidRequest
from app.http import REPLAYED, Blueprint, IdempotencyHeaders

blueprint = Blueprint("booking", __name__, description="The ticket window")

_change = ChangeTimingSchema()


def booking_service() -> BookingService:
    """Return the booking service of the current app."""
    service: BookingService = current_app.extensions["booking"]
    return service


@blueprint.get("/")
@blueprint.arguments(DaySchema(), location="query")
@blueprint.response(200, SlotSchema(many=True))
def list_slots(query: dict[str, date]) -> list[Slot]:
    """List the showings of the timetable and their seats."""
    return booking_service().slots(**query)


@blueprint.post("/booktickets")
@blueprint.arguments(IdempotencyHeaders(), location="headers")
@blueprint.arguments(BookingSchema())
@blueprint.response(201, TicketSchema())
def book(headers: dict[str, Any], body: dict[str, Any]) -> tuple[Ticket, dict[str, str]]:
    """Book a ticket."""
    booking = booking_service().book(**body, **headers)
    location = url_for("tickets.view_ticket", ticket_id=booking.ticket.ticket_id)
    return booking.ticket, {"Location": location, **(REPLAYED if booking.replayed else {})}


@blueprint.post("/update")
@blueprint.arguments(_change)
@blueprint.response(200, TicketSchema())
def update(body: dict[str, Any]) -> Ticket:
    """Change the timing of a ticket."""
    try:
        return booking_service().change_timing(**body)
    except InvalidRequest as refusal:
        raise InvalidRequest(_change.named_as_requested(refusal.errors)) from None


@blueprint.post("/delete")
@blueprint.arguments(TicketPhoneSchema())
@blueprint.response(200, DeletedSchema())
def delete(body: dict[str, Any]) -> dict[str, Any]:
    """Delete a ticket; its seat is free at once."""
    booking_service().delete(**body)
    return {"ticket_id": body["ticket_id"], "deleted": True}


@blueprint.post("/viewontime")
@blueprint.arguments(TimingSchema())
@blueprint.response(200, TicketSchema(many=True))
def view_on_time(body: dict[str, Any]) -> list[Ticket]:
    """List all tickets of a timing."""
    return booking_service().tickets_of(**body)


@blueprint.post("/viewuser")
@blueprint.arguments(TicketIdSchema())
@blueprint.response(200, TicketSchema())
def view_user(body: dict[str, str]) -> Ticket:
    """View a ticket and whose it is."""
    return booking_service().ticket(**body)
