"""How the tests talk to the ticket window."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

ASHA = {"name": "Asha Rao", "phone": "98765 43210"}
RAVI = {"name": "Ravi Iyer", "phone": "+91 91234 56780"}


def book(client: FlaskClient, *, status: int = 201, key: str | None = None, **fields: Any) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    answer = client.post(
        "/booktickets", json={**ASHA, "timing": "18:00", **fields}, headers=headers
    )
    assert answer.status_code == status, answer.text
    return answer.json


def update(client: FlaskClient, ticket: Any, timing: str, **fields: Any) -> TestResponse:
    body = {"ticket_id": ticket["ticket_id"], "phone": ASHA["phone"], "timing_alter": timing}
    return client.post("/update", json={**body, **fields})


def view(client: FlaskClient, ticket: Any) -> TestResponse:
    return client.post("/viewuser", json={"ticket_id": ticket["ticket_id"]})


def delete(client: FlaskClient, ticket: Any, phone: str = ASHA["phone"]) -> TestResponse:
    return client.post("/delete", json={"ticket_id": ticket["ticket_id"], "phone": phone})


def fill(client: FlaskClient, tickets: int = 20, **fields: Any) -> list[Any]:
    return [book(client, **fields) for _ in range(tickets)]


def assert_refused(answer: TestResponse, status: int, code: str) -> Any:
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json.keys() >= {"type", "title", "detail"}
    return answer.json


def slot(client: FlaskClient, timing: str) -> Any:
    return next(entry for entry in client.get("/").json or [] if entry["timing"] == timing)


def assert_booked(client: FlaskClient, tickets: int) -> None:
    assert sum(entry["booked"] for entry in client.get("/").json or []) == tickets
