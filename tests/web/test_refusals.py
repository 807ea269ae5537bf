"""Every refusal has the code, the status and the facts of the contract."""

from __future__ import annotations

from collections.abc import Iterator

from app.domain.refusals import Refusal
from app.web.refusals import STATUSES

BY_CODE = {
    "invalid_request": 400,
    "malformed_json": 400,
    "unauthorized": 401,
    "cross_site": 403,
    "phone_mismatch": 403,
    "not_found": 404,
    "ticket_not_found": 404,
    "screen_not_found": 404,
    "movie_not_found": 404,
    "method_not_allowed": 405,
    "request_timeout": 408,
    "sold_out": 409,
    "not_enough_seats": 409,
    "seat_taken": 409,
    "not_on_sale": 409,
    "screen_busy": 409,
    "has_tickets": 409,
    "showing_started": 409,
    "ticket_expired": 409,
    "already_admitted": 409,
    "admission_not_open": 409,
    "other_showing": 409,
    "payload_too_large": 413,
    "unsupported_media_type": 415,
    "misdirected_request": 421,
    "idempotency_key_reused": 422,
    "too_many_requests": 429,
    "internal_error": 500,
    "database_unavailable": 503,
    "overloaded": 503,
}


def kinds(of: type[Refusal]) -> Iterator[type[Refusal]]:
    for kind in of.__subclasses__():
        if "code" in vars(kind):
            yield kind
        yield from kinds(kind)


def test_every_code_has_its_status() -> None:
    assert {kind.code: status for kind, status in STATUSES.items()} == BY_CODE


def test_every_refusal_has_a_status_a_unique_code_and_a_unique_sentence() -> None:
    every = [kind for kind in kinds(Refusal) if kind.__module__.startswith("app.")]
    assert set(every) == STATUSES.keys()
    assert len({kind.code for kind in every}) == len({kind.detail for kind in every}) == len(every)


def test_examples_have_the_members_of_their_refusals() -> None:
    retryable = {"request_timeout", "too_many_requests", "database_unavailable", "overloaded"}
    facts = {kind.code: set(kind.example) for kind in STATUSES if kind.example}
    assert facts == {code: {"retryable"} for code in retryable} | {
        "invalid_request": {"errors"},
        "sold_out": {"seats_left"},
        "not_enough_seats": {"seats_left"},
        "seat_taken": {"free_seats"},
        "screen_busy": {"movie"},
        "has_tickets": {"tickets"},
        "already_admitted": {"admitted_at", "admitted", "people_left"},
        "admission_not_open": {"opens_at"},
    }
