"""Health, metrics, the log, the rate limit, and routes for staff only."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pymongo
import pytest
from flask import Flask
from flask.testing import FlaskClient
from limits.strategies import FixedWindowRateLimiter
from prometheus_client.parser import text_string_to_metric_families
from pymongo.database import Database
from pymongo.errors import AutoReconnect
from pythonjsonlogger.orjson import OrjsonFormatter

from app import create_app
from app.config import Settings
from app.operations.metrics import Metrics
from tests.conftest import Clock
from tests.helpers import ASHA, RAVI, assert_refused, book, update, view

KEY = "correct-horse-battery"
STAFF_ROUTES = [
    ("POST", "/viewontime", {"timing": "18:00"}, 200),
    ("GET", "/tickets?timing=18:00", None, 200),
    ("GET", "/tickets?movie=1", None, 404),
    ("GET", "/tickets?date=2046-11-22", None, 200),
    ("POST", "/api/screens", {"seats": 5}, 201),
    ("POST", "/api/movies", {"screen": 1}, 404),
    ("PATCH", "/api/movies/1", {"on_sale": False}, 404),
    ("DELETE", "/api/movies/1", None, 404),
    ("PUT", "/api/tickets", {"movie": 1}, 404),
    ("POST", "/admissions", {"admission_code": "7KQ4M2XN0PVR"}, 404),
    ("PUT", "/admissions/7KQ4M2XN0PVR", {"admitted": 1}, 404),
    ("DELETE", "/admissions/7KQ4M2XN0PVR", None, 404),
]


@pytest.fixture
def guarded(
    database: Database[Any], settings: Settings, shared_app: Callable[..., Flask]
) -> FlaskClient:
    """A client of a service with a staff key."""
    return shared_app(database, settings=replace(settings, staff_key=KEY)).test_client()


@pytest.mark.parametrize(("method", "path", "body", "status"), STAFF_ROUTES)
@pytest.mark.parametrize(
    "header",
    [None, "", KEY, "Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Basic {KEY}"],
)
def test_staff_routes_refuse_requests_without_the_key(
    guarded: FlaskClient, method: str, path: str, body: Any, status: int, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = guarded.open(path, method=method, json=body, headers=headers)
    assert_refused(answer, 401, "unauthorized")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(("method", "path", "body", "status"), STAFF_ROUTES)
@pytest.mark.parametrize("scheme", ["Bearer", "bearer"])
def test_staff_routes_accept_the_key(
    guarded: FlaskClient, method: str, path: str, body: Any, status: int, scheme: str
) -> None:
    headers = {"Authorization": f"{scheme} {KEY}"}
    assert guarded.open(path, method=method, json=body, headers=headers).status_code == status


@pytest.mark.parametrize(("method", "path", "body", "status"), STAFF_ROUTES)
def test_without_a_configured_key_all_routes_are_open(
    client: FlaskClient, method: str, path: str, body: Any, status: int
) -> None:
    assert client.open(path, method=method, json=body).status_code == status


def test_without_the_key_bad_requests_reveal_nothing(guarded: FlaskClient) -> None:
    assert_refused(guarded.post("/viewontime", data=b"{"), 401, "unauthorized")
    assert_refused(guarded.get("/tickets"), 401, "unauthorized")


def test_customers_need_no_key(guarded: FlaskClient) -> None:
    ticket = book(guarded)
    assert view(guarded, ticket).status_code == 200
    assert guarded.get("/").status_code == 200
    assert guarded.get("/api/movies").status_code == 200
    assert guarded.get("/api/screens").status_code == 200
    assert guarded.get("/seats?timing=18:00").status_code == 200
    assert_refused(guarded.post("/api/tickets", json={"movie": 1}), 404, "movie_not_found")
    deleted = guarded.post(
        "/delete", json={"ticket_id": ticket["ticket_id"], "phone": ASHA["phone"]}
    )
    assert deleted.status_code == 200


def test_a_healthy_service_is_live_and_ready(client: FlaskClient) -> None:
    for path in ("/health/live", "/health/ready"):
        answer = client.get(path)
        assert (answer.status_code, answer.json) == (200, {"status": "ok"})


@pytest.mark.slow
def test_without_mongodb_the_service_is_live_but_not_ready(settings: Settings) -> None:
    away: pymongo.MongoClient[Any] = pymongo.MongoClient("mongodb://127.0.0.1:1", connect=False)
    client = create_app(away["away"], settings=settings).test_client()
    assert client.get("/health/live").status_code == 200
    assert_refused(client.get("/health/ready"), 503, "database_unavailable")


@pytest.mark.parametrize(
    "path", ["/", "/nope", "/tickets/nope", "/health/live", "/metrics", "/docs", "/openapi.json"]
)
def test_responses_have_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert headers["Cache-Control"] == "no-store"


def traffic(client: FlaskClient) -> list[str]:
    """Send one of every kind of request; return what no log or metric may hold."""
    ticket = book(client, key="key-of-asha-rao")
    book(client, key="key-of-asha-rao")
    refused = book(client, key="key-of-asha-rao", status=422, **RAVI)
    assert refused["code"] == "idempotency_key_reused"
    book(client, status=400, name="Nobody\n")
    view(client, ticket)
    update(client, ticket, "21:00")
    client.post("/viewontime", json={"timing": "21:00"})
    with_phone = {"Ticket-Phone": RAVI["phone"]}
    client.patch(f"/tickets/{ticket['ticket_id']}", json={"timing": "09:00"}, headers=with_phone)
    client.get(f"/tickets/{ticket['ticket_id']}?name=Asha+Rao")
    client.get(f"/{ticket['ticket_id']}")
    client.open("/", method="9876543210")
    client.post("/api/screens", json={"seats": 5})
    client.post("/api/movies", json={"screen": 1, "showtime": "21:00", "title": "Sholay"})
    client.put("/api/tickets", json={"movie": 1})
    for _ in range(2):
        purchase = client.post(
            "/api/tickets",
            json={"movie": 1, "name": "Meera"},
            headers={"Idempotency-Key": "k" * 8},
        )
    client.delete(f"/tickets/{ticket['ticket_id']}", headers={"Ticket-Phone": ASHA["phone"]})
    visitor = book(client, timing="16:00", amount=2)
    code = visitor["admission_code"]
    for key in ("key-of-door", "key-of-door", "key-of-gate"):
        one = {"admission_code": code, "people": 1}
        client.post("/admissions", json=one, headers={"Idempotency-Key": key})
    client.post("/admissions", json={"admission_code": code})
    client.put(f"/admissions/{code}", json={"admitted": 1})
    client.delete(f"/admissions/{code}")
    client.delete("/api/movies/1")
    return [
        ticket["ticket_id"],
        code,
        visitor["ticket_id"],
        "key-of-door",
        "key-of-gate",
        purchase.json["ticket_id"],
        purchase.json["admission_code"],
        "Meera",
        "key-of-asha-rao",
        "k" * 8,
        "Asha",
        "Ravi",
        "Nobody",
        ASHA["phone"],
        "9876543210",  # fewer digits may stand in a time by chance
        RAVI["phone"],
        "9123456780",
    ]


def test_the_log_has_a_line_for_each_request_and_no_private_data(
    client: FlaskClient, log: Callable[[], list[Any]]
) -> None:
    private = traffic(client)
    lines = log()
    assert [line["status"] for line in lines][:4] == [201, 201, 422, 400]
    assert len(lines) == 25
    for line in lines:
        assert line.keys() >= {"time", "level", "method", "route", "milliseconds", "request_id"}
    assert {"/booktickets", "/tickets/<ticket_id>", "none"} < {line["route"] for line in lines}
    assert not [word for word in private if word in str(lines)]


def test_the_metrics_count_events_and_hold_no_private_data(
    database: Database[Any], settings: Settings, clock: Clock
) -> None:
    client = create_app(database, settings=settings, clock=clock).test_client()
    private = traffic(client)
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert not [word for word in private if word in answer.text]
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }
    requests = "boxoffice_http_requests_total"
    assert found[requests, "POST", "/booktickets", "201"] == 3
    assert found[requests, "POST", "/booktickets", "422"] == 1
    assert found[requests, "GET", "none", "404"] == 1
    assert found[requests, "other", "none", "405"] == 1
    assert found["boxoffice_http_request_duration_seconds_count", "POST", "/booktickets"] == 5
    assert found["boxoffice_bookings_total", "/booktickets"] == 2
    assert found["boxoffice_bookings_total", "/api/tickets"] == 1
    assert found["boxoffice_admissions_total",] == 2
    assert found["boxoffice_refusals_total", "already_admitted"] == 1
    assert found["boxoffice_refusals_total", "has_tickets"] == 1
    assert found["boxoffice_refusals_total", "idempotency_key_reused"] == 1
    assert found["boxoffice_refusals_total", "phone_mismatch"] == 1


@pytest.fixture
def limited(mongod_database: Database[Any], settings: Settings, clock: Clock) -> list[FlaskClient]:
    """Clients of two processes that allow an address three requests a minute."""
    three = Settings.from_environ({"RATE_LIMIT": "3 per minute"}).rate_limit
    settings = replace(settings, rate_limit=three)
    return [
        create_app(mongod_database, settings=settings, clock=clock).test_client() for _ in range(2)
    ]


def test_the_rate_limit_counts_requests_to_all_processes(
    limited: list[FlaskClient],
) -> None:
    here, there = limited
    assert [client.get(path).status_code for client in limited for path in ("/", "/nope")] == [
        *(200, 404),
        *(200, 429),
    ]
    for client in limited:
        answer = client.post("/booktickets", json={**ASHA, "timing": "18:00"})
        assert assert_refused(answer, 429, "too_many_requests")["retryable"] is True
        assert 1 <= int(answer.headers["Retry-After"]) <= 60
    elsewhere = {"REMOTE_ADDR": "192.0.2.7"}
    assert here.get("/", environ_overrides=elsewhere).status_code == 200
    slots = there.get("/", environ_overrides=elsewhere).json or []
    assert sum(slot["booked"] for slot in slots) == 0


def test_health_and_metrics_are_never_limited(limited: list[FlaskClient]) -> None:
    for _ in range(5):
        for path in ("/health/live", "/health/ready", "/metrics"):
            assert limited[0].get(path).status_code == 200
    assert limited[0].get("/").status_code == 200


@pytest.mark.parametrize(
    "path", ["/static/style.css", "/static/api.js", "/static/nope", "/docs/swagger-ui.css"]
)
def test_static_files_are_never_limited_and_need_no_mongodb(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    def fail(*_: object) -> None:
        raise AutoReconnect("away")

    monkeypatch.setattr(FixedWindowRateLimiter, "hit", fail)
    one = Settings.from_environ({"RATE_LIMIT": "1 per minute"}).rate_limit
    away: pymongo.MongoClient[Any] = pymongo.MongoClient("mongodb://127.0.0.1:1", connect=False)
    app = create_app(away["away"], settings=replace(settings, rate_limit=one))
    for method in ("GET", "HEAD"):
        answer = app.test_client().open(path, method=method, buffered=True)
        assert answer.status_code == (404 if "nope" in path else 200)
    assert_refused(app.test_client().get("/"), 503, "database_unavailable")


def test_options_requests_count_as_neither_sales_nor_admissions(client: FlaskClient) -> None:
    before = sales_and_admissions(client)
    for path in ("/booktickets", "/tickets", "/api/tickets", "/admissions"):
        assert client.options(path).status_code == 200
    assert sales_and_admissions(client) == before


def scrape(client: FlaskClient) -> list[str]:
    """Return the lines of the metrics as they are now, even shortly after another scrape."""
    client.application.extensions["metrics"]._next_exposition_at = float("-inf")
    return client.get("/metrics").text.splitlines()


def sales_and_admissions(client: FlaskClient) -> list[str]:
    lines = scrape(client)
    return [line for line in lines if line.startswith(("boxoffice_book", "boxoffice_adm"))]


def test_the_metrics_include_the_seats_of_todays_showings(
    client: FlaskClient, clock: Clock
) -> None:
    screen = client.post("/api/screens", json={"seats": 30}).json["screen"]
    movie = client.post("/api/movies", json={"screen": screen, "showtime": "12:00"}).json["movie"]
    client.put("/api/tickets", json={"movie": movie})
    book(client, amount=3)
    book(client, date="2046-11-23")  # tomorrow
    client.post("/api/tickets", json={"movie": movie, "date": "2046-11-23"})
    lines = scrape(client)
    assert 'boxoffice_seats_sold{movie="",timing="18:00"} 3.0' in lines
    assert 'boxoffice_seats_free{movie="",timing="18:00"} 17.0' in lines
    # Over by now, at 14:03.
    assert f'boxoffice_seats_sold{{movie="{movie}",timing="12:00"}} 0.0' in lines
    assert f'boxoffice_seats_free{{movie="{movie}",timing="12:00"}} 30.0' in lines
    assert sum(line.startswith("boxoffice_seats_sold{") for line in lines) == 13 + 1


@pytest.mark.parametrize("broken", ["count_request", "count_booking"])
def test_a_failing_metric_does_not_fail_a_booking(
    client: FlaskClient,
    log: Callable[[], list[Any]],
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    def fail(*_: Any) -> None:
        raise KeyError("no such column")

    monkeypatch.setattr(Metrics, broken, fail)
    ticket = book(client)
    assert view(client, ticket).json == ticket
    messages = [line["message"] for line in log()]
    assert "POST /booktickets 201" in messages
    assert "A response could not be logged or counted" in messages


def test_a_failing_log_does_not_fail_a_booking(
    client: FlaskClient, log: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("no such format")

    monkeypatch.setattr(OrjsonFormatter, "format", fail)
    ticket = book(client)
    assert view(client, ticket).json == ticket
    assert log() == []


def behind_proxies(
    database: Database[Any], settings: Settings, proxies: int, rate_limit: str = "2 per minute"
) -> FlaskClient:
    limit = Settings.from_environ({"RATE_LIMIT": rate_limit}).rate_limit
    settings = replace(settings, trusted_proxies=proxies, rate_limit=limit)
    return create_app(database, settings=settings).test_client()


@pytest.mark.parametrize(
    ("proxies", "forwarded", "is_limited"),
    [
        # Without a proxy the address is that of the connection, no matter what a client sends.
        (0, ["192.0.2.1", "192.0.2.2", "192.0.2.3"], True),
        # A proxy adds the address at the end, no matter what a client has put in front.
        (1, ["192.0.2.1", "192.0.2.2", "192.0.2.3"], False),
        (1, ["192.0.2.1, 192.0.2.9", "192.0.2.2, 192.0.2.9", "192.0.2.3, 192.0.2.9"], True),
        (2, ["9, 192.0.2.1, 10.0.0.1", "9, 192.0.2.2, 10.0.0.1", "192.0.2.3, 10.0.0.1"], False),
        (2, ["1, 192.0.2.9, 10.0.0.1", "2, 192.0.2.9, 10.0.0.2", "192.0.2.9, 10.0.0.3"], True),
        # Some proxies add a port, which differs from connection to connection.
        (1, ["192.0.2.9:5678", "192.0.2.9:5679", "192.0.2.9"], True),
        (1, ["192.0.2.1:5678", "192.0.2.2:5678", "192.0.2.3:5678"], False),
        (1, ["[2001:db8::9]:5678", "[2001:db8::9]:5679", "[2001:DB8:0::9]"], True),
        (1, ["2001:db8::9", "2001:DB8:0:0::9", "2001:0db8:0:0:0:0:0:9"], True),
        # An IPv6 customer has a network of 64 bits.
        (1, ["2001:db8::9", "2001:db8::a:1:2:3", "[2001:db8::ffff:1:2:3]:80"], True),
        (1, ["2001:db8:0:1::9", "2001:db8:0:2::9", "2001:db8:0:3::9"], False),
        (1, ["fe80::1%eth0", "fe80::1%eth1", "fe80::2"], True),
        (1, ["192.0.2.9", "::ffff:192.0.2.9", "[::ffff:c000:209]:80"], True),
        (1, ["::ffff:192.0.2.1", "::ffff:192.0.2.2", "::ffff:192.0.2.3"], False),
        # What is not an address counts as it is.
        (1, ["unknown", "_hidden", "unix:"], False),
        (1, ["192.0.2.9:x", "192.0.2.9:x", "192.0.2.9:x"], True),
        # Fewer entries than proxies: the request has not come through all of them.
        (2, ["192.0.2.1", "192.0.2.2", "192.0.2.3"], True),
    ],
)
def test_the_rate_limit_uses_the_address_from_a_trusted_proxy(
    mongod_database: Database[Any],
    settings: Settings,
    proxies: int,
    forwarded: list[str],
    is_limited: bool,
) -> None:
    client = behind_proxies(mongod_database, settings, proxies)
    statuses = [
        client.get("/", headers={"X-Forwarded-For": addresses}).status_code
        for addresses in forwarded
    ]
    assert statuses == [200, 200, 429 if is_limited else 200]


FORWARDED = {
    "X-Forwarded-For": "192.0.2.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "tickets.example",
}


@pytest.mark.parametrize(
    ("proxies", "prefix", "expected"),
    [
        (0, "/box", ""),
        (1, "/box", "/box"),
        (1, "/box/", "/box"),
        (1, "/a, /box", "/box"),
        (1, None, ""),
    ],
)
def test_urls_start_with_the_prefix_of_a_trusted_proxy(
    mongomock_database: Database[Any],
    settings: Settings,
    proxies: int,
    prefix: str | None,
    expected: str,
) -> None:
    settings = replace(settings, trusted_proxies=proxies)
    client = create_app(mongomock_database, settings=settings).test_client()
    headers = FORWARDED | ({"X-Forwarded-Prefix": prefix} if prefix else {})

    booked = client.post("/booktickets", json={**ASHA, "timing": "18:00"}, headers=headers)
    assert booked.headers["Location"] == f"{expected}/tickets/{booked.json['ticket_id']}"
    document = client.get("/openapi.json", headers=headers).json
    assert document["servers"] == [{"url": expected or "/"}]
    for path in ("/docs", "/docs/"):
        page = client.get(path, headers=headers).text
        assert f'"url": "{expected}/openapi.json"' in page
        files = re.findall('(?:src|href)="([^"]*)"', page)
        assert len(files) >= 5
        for file in files:
            assert file.startswith(f"{expected}/docs/")
            assert (
                client.get(file.removeprefix(expected), headers=headers, buffered=True).status_code
                == 200
            )


def test_a_forwarded_prefix_cannot_inject_a_script(
    mongomock_database: Database[Any], settings: Settings
) -> None:
    settings = replace(settings, trusted_proxies=1)
    client = create_app(mongomock_database, settings=settings).test_client()
    page = client.get("/docs", headers={"X-Forwarded-Prefix": "/</script><script>alert(1)//"}).text
    assert "<script>alert" not in page
