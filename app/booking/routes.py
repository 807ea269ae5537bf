"""The ticket window's routes, as the assignment names them, and the same booking as a resource."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from flask import current_app

from app.booking.schemas import (
    BookingSchema,
    ChangeTimingSchema,
    DeletedSchema,
    TicketIdSchema,
    TicketPhoneSchema,
    TimingSchema,
)
from app.booking.timetable import Timetable
from app.domain.idempotency import IdempotentRequest
from app.domain.refusals import (
    AlreadyAdmitted,
    IdempotencyKeyReused,
    NotEnoughSeats,
    PhoneMismatch,
    SeatTaken,
    ShowingStarted,
    SoldOut,
    TicketNotFound,
)
from app.domain.wanted import Wanted
from app.tickets.phones import Phone
from app.tickets.routes import MOVE_REFUSALS, sale_headers, ticket_service
from app.tickets.schemas import DaySchema, wanted_of
from app.tickets.views import Slot, Ticket
from app.web.blueprint import LOCATION_HEADER, REPLAYED_HEADER, Blueprint
from app.web.fields import response_schema
from app.web.reading import IdempotencyHeaders

blueprint = Blueprint(
    "Booking", __name__, description="Book, move, view and delete tickets of the timetable."
)


def timetable() -> Timetable:
    """Return the timetable of the current app."""
    times: Timetable = current_app.extensions["timetable"]
    return times


def timetable_errors(values: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return what is wrong with the showing and the seats that a request names, by field."""
    return ticket_service().errors(
        timing=values.get("timing"), day=values.get("day"), wanted=wanted_of(values)
    )


@blueprint.get("/")
@blueprint.reads(query=DaySchema(), more_errors=timetable_errors)
@blueprint.response(200, response_schema(Slot)(many=True))
def list_slots(day: date | None = None) -> list[Slot]:
    """List the showings of the timetable and how many seats are free

    The next showing of each timing, or the whole timetable of a `date`.
    """
    return ticket_service().slots(timetable().plays(), day)


@blueprint.post("/booktickets")
@blueprint.counts("booking")
@blueprint.reads(headers=IdempotencyHeaders(), body=BookingSchema(), more_errors=timetable_errors)
@blueprint.response(201, response_schema(Ticket)(), headers={**LOCATION_HEADER, **REPLAYED_HEADER})
@blueprint.refuses(SoldOut, NotEnoughSeats, SeatTaken, ShowingStarted, IdempotencyKeyReused)
def book(
    name: str,
    phone: Phone,
    timing: str,
    day: date | None = None,
    wanted: Wanted = Wanted(),  # noqa: B008 (it is frozen)
    key: str | None = None,
) -> tuple[Ticket, dict[str, str]]:
    """Book a ticket

    `HH:MM` alone means the next showing: today's until that minute has passed, then tomorrow's.
    A showing has 20 seats, unless the theatre has set another number. Ask for one `seat`, for
    several `seats`, or for an `amount` of the best ones: side by side if possible, near the middle.
    The response's `ticket_id` gives access to the ticket. With an `Idempotency-Key`, a request
    that is sent again books once.
    """
    sold = ticket_service().sell(
        timing=timing,
        day=day,
        wanted=wanted,
        name=name,
        phone=phone,
        request=IdempotentRequest.of(
            key, name=name, phone=phone.given, timing=timing, date=day, **wanted.as_asked()
        ),
    )
    return sold.result, sale_headers(sold)


blueprint.post("/tickets", endpoint="create_ticket")(book)


@blueprint.post("/update")
@blueprint.reads(body=ChangeTimingSchema(), more_errors=timetable_errors)
@blueprint.response(200, response_schema(Ticket)())
@blueprint.refuses(*MOVE_REFUSALS)
def update(
    ticket_id: str,
    phone: Phone,
    timing: str,
    day: date | None = None,
    wanted: Wanted | None = None,
) -> Ticket:
    """Change the timing of a ticket

    Without a `date` it keeps its date if that showing is still ahead, else it takes the next one.
    Without `seat` or `seats` it keeps its own where all of them are free, and else gets the best
    ones. Moving to its own showing changes the seats if some are named, and otherwise nothing. A
    refused move leaves the ticket as it was.
    """
    return ticket_service().move(ticket_id, phone, timing=timing, day=day, wanted=wanted)


@blueprint.post("/delete")
@blueprint.reads(body=TicketPhoneSchema())
@blueprint.response(200, DeletedSchema())
@blueprint.refuses(TicketNotFound, PhoneMismatch, AlreadyAdmitted)
def delete(ticket_id: str, phone: Phone) -> dict[str, Any]:
    """Delete a ticket

    Its seats are free at once.
    """
    ticket_service().delete(ticket_id, phone)
    return {"ticket_id": ticket_id, "deleted": True}


@blueprint.post("/viewontime")
@blueprint.staff_only
@blueprint.reads(body=TimingSchema())
@blueprint.response(200, response_schema(Ticket)(many=True))
def view_on_time(timing: str, day: date | None = None) -> Iterator[Ticket]:
    """List all tickets of a timing

    By date, then seat: all that are still stored, or those of one `date`. A timing that nobody
    has booked has no tickets, whether it is in the timetable or not.
    """
    return ticket_service().tickets(timing=timing, day=day)


@blueprint.post("/viewuser")
@blueprint.reads(body=TicketIdSchema())
@blueprint.response(200, response_schema(Ticket)())
@blueprint.refuses(TicketNotFound)
def view_user(ticket_id: str) -> Ticket:
    """View a ticket

    Anyone who has the `ticket_id` may view it.
    """
    return ticket_service().ticket(ticket_id)
