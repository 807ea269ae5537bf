"""The door's routes, for the staff."""

from __future__ import annotations

from datetime import date

from flask import current_app

from app.domain.refusals import (
    AdmissionNotOpen,
    AlreadyAdmitted,
    IdempotencyKeyReused,
    OtherShowing,
    TicketExpired,
    TicketNotFound,
)
from app.tickets.admissions import AdmissionService, Door
from app.tickets.schemas import AdmissionSchema, CorrectionSchema
from app.tickets.views import DoorTicket
from app.web.blueprint import REPLAYED_HEADER, Blueprint, replay_headers
from app.web.fields import response_schema
from app.web.reading import IdempotencyHeaders

blueprint = Blueprint(
    "Door",
    __name__,
    url_prefix="/admissions",
    description="Admit the people of a ticket; responses show neither `ticket_id` nor `phone`.",
)


def admission_service() -> AdmissionService:
    """Return the admission service of the current app."""
    service: AdmissionService = current_app.extensions["admissions"]
    return service


@blueprint.post("")
@blueprint.staff_only
@blueprint.counts("admission")
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
def admit(
    admission_code: str,
    people: int | None = None,
    timing: str | None = None,
    movie: int | None = None,
    day: date | None = None,
    key: str | None = None,
) -> tuple[DoorTicket, dict[str, str]]:
    """Admit the people of a ticket

    All who are not in yet, or as many as `people` says; the rest may come later. Requests that
    arrive at once admit no more people than the ticket has seats. The door is open
    from `ADMISSION_HOURS` before the showing until the ticket expires. A refusal shows the
    `ticket`. With an `Idempotency-Key`, a request that is sent again admits once; a key belongs to
    the ticket that it admitted.
    """
    admitted = admission_service().admit(admission_code, people, Door(timing, movie, day), key)
    return admitted.result, replay_headers(admitted)


@blueprint.put("/<admission_code>")
@blueprint.staff_only
@blueprint.reads(body=CorrectionSchema())
@blueprint.response(200, response_schema(DoorTicket)())
@blueprint.refuses(TicketNotFound, OtherShowing, TicketExpired, AdmissionNotOpen)
def correct_admission(
    admission_code: str,
    admitted: int,
    timing: str | None = None,
    movie: int | None = None,
    day: date | None = None,
) -> DoorTicket:
    """Correct how many people of a ticket are in

    From 0 to the number of its seats. Repeating this is harmless.
    """
    return admission_service().correct(admission_code, admitted, Door(timing, movie, day))


@blueprint.delete("/<admission_code>")
@blueprint.staff_only
@blueprint.reads()
@blueprint.response(200, response_schema(DoorTicket)())
@blueprint.refuses(TicketNotFound)
def undo_admission(admission_code: str) -> DoorTicket:
    """Undo an admission

    Nobody of the ticket is in afterwards. Repeating this is harmless.
    """
    return admission_service().correct(admission_code, 0, Door())
