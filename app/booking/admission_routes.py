"""The door's routes, which are for the staff."""

from __future__ import annotations

from typing import Any

from flask import current_app

from app.booking.admissions import AdmissionService, DoorTicket
from app.booking.schemas import AdmissionSchema
from app.theatre.refusals import (
    AdmissionNotOpen,
    AlreadyAdmitted,
    IdempotencyKeyReused,
    OtherShowing,
    TicketExpired,
    TicketNotFound,
)
from app.web.blueprint import REPLAYED_HEADER, Blueprint, replay_headers
from app.web.fields import response_schema
from app.web.reading import IdempotencyHeaders

blueprint = Blueprint(
    "Door",
    __name__,
    url_prefix="/admissions",
    description="Admit tickets, once each; responses show neither `ticket_id` nor `phone`.",
)


def admission_service() -> AdmissionService:
    """Return the admission service of the current app."""
    service: AdmissionService = current_app.extensions["admissions"]
    return service


@blueprint.post("")
@blueprint.staff_only
@blueprint.reads(headers=IdempotencyHeaders(), body=AdmissionSchema())
@blueprint.response(200, response_schema(DoorTicket)(), headers=REPLAYED_HEADER)
@blueprint.refuses(
    TicketNotFound,
    OtherShowing,
    TicketExpired,
    AlreadyAdmitted,
    AdmissionNotOpen,
    IdempotencyKeyReused,
)
def admit(**fields: Any) -> tuple[DoorTicket, dict[str, str]]:
    """Admit a ticket

    However many requests arrive at once, only one admits the ticket. The door is open from
    `ADMISSION_HOURS` before the showing until the ticket expires. A refusal shows the `ticket`.
    With an `Idempotency-Key`, a request that is sent again gets the same response; a key belongs to
    the ticket that it admitted.
    """
    admitted = admission_service().admit(**fields)
    return admitted.made, replay_headers(admitted, "admission")


@blueprint.delete("/<admission_code>")
@blueprint.staff_only
@blueprint.reads()
@blueprint.response(200, response_schema(DoorTicket)())
@blueprint.refuses(TicketNotFound)
def undo_admission(admission_code: str) -> DoorTicket:
    """Take a mistaken admission back

    Repeating this is harmless. A ticket that was not admitted stays that way.
    """
    return admission_service().undo(admission_code)
