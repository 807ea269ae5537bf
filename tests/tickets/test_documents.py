"""Tickets as documents, those of version 1.0 included."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from app.domain.idempotency import IdempotentRequest
from app.domain.showings import Showing
from app.tickets.documents import (
    Admission,
    StoredTicket,
    admission_document,
    read_ticket,
    seats_of,
    ticket_document,
)
from app.tickets.phones import Phone

AT = datetime(2046, 11, 22, 12, 30, tzinfo=UTC)
BOOKED_AT = datetime(2046, 11, 22, 8, 33, 11, tzinfo=UTC)
REQUEST = IdempotentRequest("key-12345", "fingerprint")
BOOKED = StoredTicket(
    admission_code="7KQ4M2XN0PVR",
    secret="q3vLrWm0T1yQ8bXo5eZkNA",
    name="Asha",
    phone=Phone("98765 43210", "+919876543210"),
    showing=Showing("18:00", date(2046, 11, 22), AT),
    seats=(7, 8),
    seats_per_row=None,
    booked_at=BOOKED_AT,
    request_fingerprint="fingerprint",
)
BOUGHT = replace(
    BOOKED,
    name=None,
    phone=None,
    showing=Showing("18:00", date(2046, 11, 22), AT, screen=1, movie=3, title="Sholay"),
    seats_per_row=20,
)
# As version 1.0 stored it.
OLD: dict[str, Any] = {
    "_id": "7KQ4M2XN0PVR",
    "secret": "q3vLrWm0T1yQ8bXo5eZkNA",
    "name": "Asha",
    "phone": "98765 43210",
    "phone_e164": "+919876543210",
    "timing": "18:00",
    "date": "2046-11-22",
    "showing_at": AT,
    "booked_at": BOOKED_AT,
    "seat": 7,
    "request": {"key": "key-12345", "fingerprint": "fingerprint"},
}


@pytest.mark.parametrize("ticket", [BOOKED, BOUGHT])
def test_a_ticket_is_read_as_it_was_written(ticket: StoredTicket) -> None:
    document = ticket_document(ticket, REQUEST)
    assert read_ticket(document) == ticket
    assert ("screen" in document) is (ticket.showing.screen is not None)
    read = read_ticket(document).showing
    assert (read.at, read.movie, read.title) == (AT, ticket.showing.movie, ticket.showing.title)
    without_key = replace(ticket, request_fingerprint=None)
    assert read_ticket(ticket_document(without_key, None)) == without_key


@pytest.mark.parametrize("requests", [(), (REQUEST,), (REQUEST, replace(REQUEST, key="another"))])
def test_an_admission_is_read_as_it_was_written(requests: tuple[IdempotentRequest, ...]) -> None:
    admission = Admission(AT, 2, requests)
    document = ticket_document(BOOKED, REQUEST) | {
        "admission": admission_document(admission),
        "revision": 3,
    }
    assert read_ticket(document) == replace(BOOKED, admission=admission, revision=3)


def test_a_ticket_of_version_1_0_has_one_seat() -> None:
    assert read_ticket(OLD) == replace(BOOKED, seats=(7,))
    assert seats_of(OLD) == (7,)


@pytest.mark.parametrize("requests", [(), (REQUEST,)])
def test_an_admission_of_version_1_0_was_for_one_person(
    requests: tuple[IdempotentRequest, ...],
) -> None:
    stored: dict[str, Any] = {"at": AT}
    for request in requests:
        stored["request"] = {"key": request.key, "fingerprint": request.fingerprint}
    assert read_ticket({**OLD, "admission": stored}).admission == Admission(AT, 1, requests)


def test_a_ticket_of_version_0_9_has_no_secret() -> None:
    document = {name: OLD[name] for name in OLD if name != "secret"}
    assert read_ticket(document).ticket_id == "7KQ4M2XN0PVR"


def test_instants_without_a_zone_are_in_utc() -> None:
    document = OLD | {
        "showing_at": AT.replace(tzinfo=None),
        "booked_at": BOOKED_AT.replace(tzinfo=None),
        "admission": {"at": AT.replace(tzinfo=None)},
    }
    ticket = read_ticket(document)
    assert ticket.admission
    assert (ticket.showing.at, ticket.booked_at, ticket.admission.at) == (AT, BOOKED_AT, AT)
