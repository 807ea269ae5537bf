"""How the tests talk to the box office."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

ASHA: dict[str, Any] = {"name": "Asha Rao", "phone": "98765 43210"}
RAVI: dict[str, Any] = {"name": "Ravi Iyer", "phone": "+91 91234 56780"}


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


def patch(
    client: FlaskClient, ticket: Any, phone: str | None = ASHA["phone"], **fields: Any
) -> TestResponse:
    headers = {"Ticket-Phone": phone} if phone else {}
    return client.patch(f"/tickets/{ticket['ticket_id']}", json=fields, headers=headers)


def add_movie(client: FlaskClient, *, seats: int = 20, on_sale: bool = True, **fields: Any) -> int:
    """Set up a screen with rows of 5 and a movie on it, and return the movie's number."""
    screen = client.post("/api/screens", json={"seats": seats, "seats_per_row": 5}).json or {}
    body = {"screen": screen["screen"], "showtime": "18:00", **fields}
    movie: int = (client.post("/api/movies", json=body).json or {})["movie"]
    if on_sale:
        assert client.put("/api/tickets", json={"movie": movie}).status_code == 200
    return movie


def buy(
    client: FlaskClient, movie: int, *, status: int = 201, key: str | None = None, **fields: Any
) -> Any:
    headers = {"Idempotency-Key": key} if key else {}
    answer = client.post("/api/tickets", json={"movie": movie, **fields}, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json


def free_seats(client: FlaskClient, query: str = "timing=18:00") -> list[int]:
    seats: list[int] = (client.get(f"/seats?{query}").json or {})["free_seats"]
    return seats


def admit(client: FlaskClient, ticket: Any, key: str | None = None, **fields: Any) -> TestResponse:
    headers = {"Idempotency-Key": key} if key else {}
    body = {"admission_code": ticket["admission_code"], **fields}
    return client.post("/admissions", json=body, headers=headers)
