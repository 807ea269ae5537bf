"""The ticket window's routes, as the assignment names them."""

from __future__ import annotations

from datetime import date
from typing import Any

from flask import current_app, url_for

from app.booking.phones import Phone
from app.booking.schemas import (
    BookingSchema,
    ChangeTimingSchema,
    DaySchema,
    DeletedSchema,
    SeatsSchema,
    TicketIdSchema,
    TicketPhoneSchema,
    TimingSchema,
)
from app.booking.service import BookingService, Slot, SlotSeats, Ticket
from app.theatre.refusals import (
    AlreadyAdmitted,
    IdempotencyKeyReused,
    PhoneMismatch,
    SeatTaken,
    ShowingStarted,
    SoldOut,
    TicketExpired,
    TicketNotFound,
)
from app.web.blueprint import LOCATION_HEADER, REPLAYED_HEADER, Blueprint, replay_headers
from app.web.fields import response_schema
from app.web.reading import IdempotencyHeaders

blueprint = Blueprint(
    "Ticket window", __name__, description="Book, move, view and delete tickets of the timetable."
)

MOVE_REFUSALS = (
    TicketNotFound,
    PhoneMismatch,
    AlreadyAdmitted,
    TicketExpired,
    ShowingStarted,
    SoldOut,
    SeatTaken,
)


def booking_service() -> BookingService:
    """Return the booking service of the current app."""
    service: BookingService = current_app.extensions["booking"]
    return service


def timetable_faults(
    timing: str | None = None, day: date | None = None, **_: Any
) -> dict[str, list[str]]:
    """Return what is wrong with the showing that a request asks about, by field."""
    return booking_service().timetable_faults(timing, day)


def booking_faults(
    timing: str | None = None, day: date | None = None, seat: int | None = None, **_: Any
) -> dict[str, list[str]]:
    """Return what prevents booking the seat that a request names, by field."""
    return booking_service().booking_faults(timing, day, seat)


@blueprint.get("/")
@blueprint.reads(query=DaySchema(), more_faults=timetable_faults)
@blueprint.response(200, response_schema(Slot)(many=True))
def list_slots(day: date | None = None) -> list[Slot]:
    """List the showings and their free seats

    The next showing of each timing, or the whole timetable of a `date`.
    """
    return booking_service().slots(day)


@blueprint.get("/seats")
@blueprint.reads(query=SeatsSchema(), more_faults=timetable_faults)
@blueprint.response(200, response_schema(SlotSeats)())
def show_seats(timing: str, day: date | None = None) -> SlotSeats:
    """Show the free seats of a showing

    The next one of the `timing`, or that of a `date`.
    """
    return booking_service().seats(timing, day)


@blueprint.post("/booktickets")
@blueprint.reads(headers=IdempotencyHeaders(), body=BookingSchema(), more_faults=booking_faults)
@blueprint.response(201, response_schema(Ticket)(), headers={**LOCATION_HEADER, **REPLAYED_HEADER})
@blueprint.refuses(SoldOut, SeatTaken, IdempotencyKeyReused)
def book(**fields: Any) -> tuple[Ticket, dict[str, str]]:
    """Book a ticket

    `HH:MM` alone means the next showing: today's until that minute has passed, then tomorrow's. A
    showing takes 20 tickets, unless the theatre has set another number. Without a `seat`, any free
    one is given. The response's `ticket_id` gives access to the ticket. With an
    `Idempotency-Key`, a request that is sent again books once.
    """
    booking = booking_service().book(**fields)
    location = url_for("Tickets.view_ticket", ticket_id=booking.made.ticket_id)
    return booking.made, {"Location": location, **replay_headers(booking)}


@blueprint.post("/update")
@blueprint.reads(body=ChangeTimingSchema(), more_faults=booking_faults)
@blueprint.response(200, response_schema(Ticket)())
@blueprint.refuses(*MOVE_REFUSALS)
def update(**fields: Any) -> Ticket:
    """Change the timing of a ticket

    Without a `date` it keeps its date if that showing is still ahead, else it takes the next one.
    Without a `seat` it keeps its own where that is free, and else gets any free one. Moving to its
    own showing changes the seat if one is given, and otherwise nothing. A refused move leaves the
    ticket as it was.
    """
    return booking_service().move(**fields)


@blueprint.post("/delete")
@blueprint.reads(body=TicketPhoneSchema())
@blueprint.response(200, DeletedSchema())
@blueprint.refuses(TicketNotFound, PhoneMismatch, AlreadyAdmitted)
def delete(ticket_id: str, phone: Phone) -> dict[str, Any]:
    """Delete a ticket

    Its seat is free at once.
    """
    booking_service().delete(ticket_id, phone)
    return {"ticket_id": ticket_id, "deleted": True}


@blueprint.post("/viewontime")
@blueprint.staff_only
@blueprint.reads(body=TimingSchema())
@blueprint.response(200, response_schema(Ticket)(many=True))
def view_on_time(timing: str, day: date | None = None) -> list[Ticket]:
    """List all tickets of a timing

    By date, then seat: all that are still stored, or those of one `date`. A timing that nobody
    has booked has no tickets, whether it is in the timetable or not.
    """
    return booking_service().tickets_of(timing, day)


@blueprint.post("/viewuser")
@blueprint.reads(body=TicketIdSchema())
@blueprint.response(200, response_schema(Ticket)())
@blueprint.refuses(TicketNotFound)
def view_user(ticket_id: str) -> Ticket:
    """View a ticket

    Anyone who has the `ticket_id` may view it.
    """
    return booking_service().ticket(ticket_id)
