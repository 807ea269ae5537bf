"""Health, and what is for the staff alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pymongo
import pytest
from flask.testing import FlaskClient
from pymongo.database import Database

from app import create_app
from app.config import Settings
from tests.api.helpers import ASHA, assert_refused, book, view
from tests.conftest import Clock

KEY = "correct-horse-battery"
STAFF_ROUTES = [
    ("POST", "/viewontime", {"timing": "18:00"}, 200),
    ("GET", "/tickets?timing=18:00", None, 200),
    ("POST", "/api/screens", {"seats": 5}, 201),
    ("POST", "/api/movies", {"screen": 1}, 404),
    ("PUT", "/api/tickets", {"movie": 1}, 404),
]


@pytest.fixture
def guarded(database: Database[Any], settings: Settings, clock: Clock) -> FlaskClient:
    """A client of a service with a staff key."""
    return create_app(
        database, settings=replace(settings, staff_key=KEY), clock=clock
    ).test_client()


@pytest.mark.parametrize(("method", "path", "body", "status"), STAFF_ROUTES)
@pytest.mark.parametrize(
    "header",
    [None, "", KEY, "Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Basic {KEY}"],
)
def test_without_the_key_the_staffs_routes_are_closed(
    guarded: FlaskClient, method: str, path: str, body: Any, status: int, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = guarded.open(path, method=method, json=body, headers=headers)
    assert_refused(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "body", "status"), STAFF_ROUTES)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_with_the_key_they_are_open(
    guarded: FlaskClient, method: str, path: str, body: Any, status: int, scheme: str
) -> None:
    headers = {"Authorization": f"{scheme} {KEY}"}
    assert guarded.open(path, method=method, json=body, headers=headers).status_code == status


@pytest.mark.parametrize(("method", "path", "body", "status"), STAFF_ROUTES)
def test_where_none_is_set_all_is_open(
    client: FlaskClient, method: str, path: str, body: Any, status: int
) -> None:
    assert client.open(path, method=method, json=body).status_code == status


def test_strangers_learn_nothing_by_bad_requests(guarded: FlaskClient) -> None:
    assert_refused(guarded.post("/viewontime", data=b"{"), 401, "unauthorized")
    assert_refused(guarded.get("/tickets"), 401, "unauthorized")


def test_customers_need_no_key(guarded: FlaskClient) -> None:
    ticket = book(guarded)
    assert view(guarded, ticket).status_code == 200
    assert guarded.get("/").status_code == 200
    assert guarded.get("/api/movies").status_code == 200
    deleted = guarded.post(
        "/delete", json={"ticket_id": ticket["ticket_id"], "phone": ASHA["phone"]}
    )
    assert deleted.status_code == 200


def test_health(client: FlaskClient) -> None:
    for path in ("/health/live", "/health/ready"):
        answer = client.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})


def test_without_mongodb_it_lives_and_is_not_ready(settings: Settings) -> None:
    away: pymongo.MongoClient[Any] = pymongo.MongoClient("mongodb://127.0.0.1:1", connect=False)
    client = create_app(away["away"], settings=settings).test_client()
    assert client.get("/health/live").status_code == 200
    assert_refused(client.get("/health/ready"), 503, "database_unavailable")
