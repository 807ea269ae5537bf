"""The same tickets as resources."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.helpers import ASHA, RAVI, assert_refused, book, view


def test_a_ticket_is_booked_viewed_moved_and_deleted(client: FlaskClient) -> None:
    booked = client.post("/tickets", json={**ASHA, "timing": "18:00"})
    assert booked.status_code == 201
    address = booked.headers["Location"]
    assert client.get(address).json == booked.json
    phone = {"Ticket-Phone": "+91 9876543210"}
    moved = client.patch(address, json={"timing": "21:00", "date": "2046-11-24"}, headers=phone)
    assert moved.status_code == 200
    assert (moved.json or {})["showing_at"] == "2046-11-24T21:00:00+05:30"
    assert client.get("/tickets?timing=21:00").json == [moved.json]
    assert client.get("/tickets?timing=21:00&date=2046-11-23").json == []
    deleted = client.delete(address, headers=phone)
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert_refused(client.get(address), 404, "ticket_not_found")


def test_a_retry_books_once(client: FlaskClient) -> None:
    body = {**ASHA, "timing": "18:00"}
    first, again = (
        client.post("/tickets", json=body, headers={"Idempotency-Key": "key-12345"})
        for _ in range(2)
    )
    assert first.json == again.json == book(client, key="key-12345")
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_change_needs_the_phone(client: FlaskClient) -> None:
    ticket = book(client)
    address = f"/tickets/{ticket['ticket_id']}"
    for headers, status, code in (
        ({}, 400, "invalid_request"),
        ({"Ticket-Phone": "12"}, 400, "invalid_request"),
        ({"Ticket-Phone": RAVI["phone"]}, 403, "phone_mismatch"),
    ):
        assert_refused(client.delete(address, headers=headers), status, code)
        patched = client.patch(address, json={"timing": "21:00"}, headers=headers)
        assert_refused(patched, status, code)
    assert view(client, ticket).json == ticket


def test_bad_requests_are_refused(client: FlaskClient) -> None:
    assert_refused(client.get("/tickets"), 400, "invalid_request")
    assert_refused(client.get("/tickets?timing=9:00"), 400, "invalid_request")
    assert_refused(client.get("/tickets?timing=18:00&when=now"), 400, "invalid_request")
    assert_refused(client.get("/tickets/nope"), 404, "ticket_not_found")
    assert_refused(client.get("/tickets/%00%ff%0A"), 404, "ticket_not_found")
    assert_refused(client.get("/tickets/"), 404, "not_found")
    assert_refused(client.put("/tickets/nope"), 405, "method_not_allowed")
