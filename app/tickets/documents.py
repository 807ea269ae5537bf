"""A ticket as MongoDB stores it, and how it becomes a document and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from app.domain.idempotency import IdempotentRequest
from app.domain.showings import Showing
from app.mongodb.client import Document
from app.tickets.phones import Phone


@dataclass(frozen=True, slots=True)
class Admission:
    """How many `people` of a ticket are in, since when (UTC), and the requests that had a key."""

    at: datetime
    people: int
    requests: tuple[IdempotentRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """A ticket as it is stored; instants are in UTC.

    It has two secrets, because people share QR codes: the `admission_code` admits, and its owner's
    `ticket_id` is that code followed by a `secret` of 128 random bits. The code is the document's
    `_id`, so neither needs an index. `seats` are in ascending order. `seats_per_row` is None in the
    house of the timetable. Each change adds one to the `revision`.
    """

    admission_code: str
    secret: str
    name: str | None
    phone: Phone | None
    showing: Showing
    seats: tuple[int, ...]
    seats_per_row: int | None
    booked_at: datetime
    request_fingerprint: str | None = None
    admission: Admission | None = None
    revision: int = 0

    @property
    def ticket_id(self) -> str:
        """The owner's secret: anyone who has it may view the ticket."""
        return self.admission_code + self.secret


def ticket_document(ticket: StoredTicket, request: IdempotentRequest | None) -> Document:
    """Return the document of a new ticket that `request` has booked."""
    document: Document = {"_id": ticket.admission_code, "secret": ticket.secret}
    if ticket.name is not None:
        document["name"] = ticket.name
    if ticket.phone:
        document |= {"phone": ticket.phone.given, "phone_e164": ticket.phone.e164}
    document |= {**seating_fields(ticket), "booked_at": ticket.booked_at}
    if request:
        document["request"] = {"key": request.key, "fingerprint": request.fingerprint}
    return document


def seating_fields(ticket: StoredTicket) -> Document:
    """Return the fields that say where and when the people of a ticket sit.

    Tickets of the timetable have no screen: those of 1.0 had none either.
    """
    showing = ticket.showing
    fields: Document = {
        "timing": showing.timing,
        "date": showing.date.isoformat(),
        "showing_at": showing.at,
        "seat": list(ticket.seats),
    }
    if showing.screen is not None:
        fields |= {
            "screen": showing.screen,
            "movie": showing.movie,
            "title": showing.title,
            "seats_per_row": ticket.seats_per_row,
        }
    return fields


def admission_document(admission: Admission) -> Document:
    """Return the stored form of an admission."""
    return {
        "at": admission.at,
        "people": admission.people,
        "requests": [
            {"key": request.key, "fingerprint": request.fingerprint}
            for request in admission.requests
        ],
    }


def read_ticket(document: Mapping[str, Any]) -> StoredTicket:
    """Return the ticket of a document, which 1.0 may have written."""
    return StoredTicket(
        admission_code=document["_id"],
        secret=document.get("secret", ""),  # tickets from 0.9 lack it, and can only be listed
        name=document.get("name"),
        phone=Phone(document["phone"], document["phone_e164"]) if "phone" in document else None,
        showing=Showing(
            document["timing"],
            date.fromisoformat(document["date"]),
            as_utc(document["showing_at"]),
            document.get("screen"),
            document.get("movie"),
            document.get("title"),
        ),
        seats=seats_of(document),
        seats_per_row=document.get("seats_per_row"),
        booked_at=as_utc(document["booked_at"]),
        request_fingerprint=document.get("request", {}).get("fingerprint"),
        admission=_admission(document["admission"]) if document.get("admission") else None,
        revision=document.get("revision", 0),
    )


def seats_of(document: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the seats of a stored ticket, ascending."""
    seats = document["seat"]
    return tuple(seats) if isinstance(seats, list) else (seats,)  # one number in 1.0


def _admission(document: Mapping[str, Any]) -> Admission:
    # In 1.0 a ticket was for one person, and kept one request.
    requests = document.get("requests", [document["request"]] if "request" in document else [])
    return Admission(
        as_utc(document["at"]),
        document.get("people", 1),
        tuple(IdempotentRequest(**each) for each in requests),
    )


def as_utc(instant: datetime) -> datetime:
    """Return a stored instant with its zone, which clients that are not tz_aware leave out."""
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
