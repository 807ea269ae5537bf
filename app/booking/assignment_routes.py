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
from app.theatre.refusals import (
    IdempotencyKeyReused,
    InvalidRequest,
    PhoneMismatch,
    ShowingStarted,
    SoldOut,
    TicketExpired,
    TicketNotFound,
)
from app.web.blueprint import LOCATION_HEADER, REPLAYED_HEADER, Blueprint, sale
from app.web.reading import IdempotencyHeaders

blueprint = Blueprint(
    "Ticket window", __name__, description="Book, move, view and delete tickets of the timetable."
)

_change = ChangeTimingSchema()


def booking_service() -> BookingService:
    """Return the booking service of the current app."""
    service: BookingService = current_app.extensions["booking"]
    return service


@blueprint.get("/")
@blueprint.arguments(DaySchema(), location="query")
@blueprint.response(200, SlotSchema(many=True))
def list_slots(query: dict[str, date]) -> list[Slot]:
    """List the showings and their free seats

    The next showing of each timing, or the whole timetable of a `date`.
    """
    return booking_service().slots(**query)


@blueprint.post("/booktickets")
@blueprint.arguments(IdempotencyHeaders(), location="headers")
@blueprint.arguments(BookingSchema())
@blueprint.response(201, TicketSchema(), headers={**LOCATION_HEADER, **REPLAYED_HEADER})
@blueprint.refuses(SoldOut, IdempotencyKeyReused)
def book(headers: dict[str, Any], body: dict[str, Any]) -> tuple[Ticket, dict[str, str]]:
    """Book a ticket

    `HH:MM` alone means the next showing: today's until that minute has passed, then tomorrow's. A
    showing takes 20 tickets, unless the theatre has set another number. The answer's `ticket_id`
    is the key to the ticket. With an `Idempotency-Key`, a request that is sent again books once.
    """
    booking = booking_service().book(**body, **headers)
    location = url_for("Tickets.view_ticket", ticket_id=booking.ticket.ticket_id)
    return booking.ticket, {"Location": location, **sale(booking.replayed)}


@blueprint.post("/update")
@blueprint.arguments(_change)
@blueprint.response(200, TicketSchema())
@blueprint.refuses(TicketNotFound, PhoneMismatch, SoldOut, ShowingStarted, TicketExpired)
def update(body: dict[str, Any]) -> Ticket:
    """Change the timing of a ticket

    Without a `date` it keeps its date if that showing is still ahead, else it takes the next one.
    Moving to its own showing changes nothing. A refused move leaves the ticket as it was.
    """
    try:
        return booking_service().change_timing(**body)
    except InvalidRequest as refusal:
        raise InvalidRequest(_change.named_as_requested(refusal.errors)) from None


@blueprint.post("/delete")
@blueprint.arguments(TicketPhoneSchema())
@blueprint.response(200, DeletedSchema())
@blueprint.refuses(TicketNotFound, PhoneMismatch)
def delete(body: dict[str, Any]) -> dict[str, Any]:
    """Delete a ticket

    Its seat is free at once.
    """
    booking_service().delete(**body)
    return {"ticket_id": body["ticket_id"], "deleted": True}


@blueprint.post("/viewontime")
@blueprint.staff_only
@blueprint.arguments(TimingSchema())
@blueprint.response(200, TicketSchema(many=True))
def view_on_time(body: dict[str, Any]) -> list[Ticket]:
    """List all tickets of a timing

    By date, then seat: all that are still stored, or those of one `date`. A timing that nobody
    has booked has no tickets, whether it is in the timetable or not.
    """
    return booking_service().tickets_of(**body)


@blueprint.post("/viewuser")
@blueprint.arguments(TicketIdSchema())
@blueprint.response(200, TicketSchema())
@blueprint.refuses(TicketNotFound)
def view_user(body: dict[str, str]) -> Ticket:
    """View a ticket

    Whoever has the `ticket_id` may.
    """
    return booking_service().ticket(**body)
