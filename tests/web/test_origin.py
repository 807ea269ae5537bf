"""Which requests are served: pages of other sites change nothing and read no lists."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo.database import Database
from werkzeug.test import TestResponse

from app import create_app
from app.config import Settings
from tests.helpers import ASHA, assert_booked, assert_refused, book

KEY = "correct-horse-battery"
BOOKING = {**ASHA, "timing": "18:00"}
EVIL = "https://evil.example"


@pytest.fixture
def database(mongomock_database: Database[Any]) -> Database[Any]:
    """Requests are refused before they reach it."""
    return mongomock_database


def by_name(client: FlaskClient, host: str, path: str = "/", **environ: str) -> TestResponse:
    return client.get(path, environ_overrides={"HTTP_HOST": host, **environ}, buffered=True)


class TestNames:
    @pytest.mark.parametrize(
        "host",
        [
            *("localhost", "LocalHost:5000", "localhost.", "localhost.:5000", "box.localhost:80"),
            *("127.0.0.1", "127.0.0.1:5000", "127.255.0.9", "127.0.0.1.:5000"),
            *("[::1]", "[::1]:5000", "[0:0:0:0:0:0:0:1]:5000", "[::ffff:127.0.0.1]:5000"),
        ],
    )
    def test_loopback_names_are_served(self, client: FlaskClient, host: str) -> None:
        assert by_name(client, host).status_code == 200

    @pytest.mark.parametrize(
        "host",
        [
            *("rebind.attacker.example", "evil.example:5000", "evil.example.", "192.0.2.1:5000"),
            *("0.0.0.0:5000", "[::]:5000", "[2001:db8::1]:5000", "[::ffff:192.0.2.1]"),
            *("localhost.evil.example", "127.0.0.1.evil.example", "evillocalhost", ".localhost.."),
            *("localhost@evil.example", "evil.example@localhost", "evil.example/.localhost"),
            *("localhost:5000.evil.example", "evil.example:5000:localhost", "[::1].evil.example"),
            *("localhost:x", "localhost/", "[::1", "::1]", ":5000"),
        ],
    )
    def test_other_names_are_refused(self, client: FlaskClient, host: str) -> None:
        refused = assert_refused(by_name(client, host), 421, "misdirected_request")
        for setting in ("STAFF_KEY", "HOST", "TRUSTED_PROXIES"):
            assert setting in refused["detail"]

    @pytest.mark.parametrize(
        "path",
        [
            *("/", "/door", "/multiplex", "/static/style.css", "/docs", "/docs/swagger-ui.css"),
            *("/openapi.json", "/health/live", "/health/ready", "/metrics", "/nope"),
            *("/tickets?timing=18:00", "/tickets/nope", "/api/movies", "/seats?timing=18:00"),
        ],
    )
    def test_no_route_is_served_under_another_name(self, client: FlaskClient, path: str) -> None:
        for accept in ("*/*", "text/html"):
            answer = by_name(client, "evil.example:5000", path, HTTP_ACCEPT=accept)
            assert_refused(answer, 421, "misdirected_request")

    def test_nothing_is_booked_under_another_name(self, client: FlaskClient) -> None:
        answer = client.post(
            "/booktickets", json=BOOKING, environ_overrides={"HTTP_HOST": "evil.example"}
        )
        assert_refused(answer, 421, "misdirected_request")
        assert_booked(client, 0)

    @pytest.mark.parametrize("target", ["http://evil.example/", "http://evil.example:5000", "x://"])
    def test_the_host_in_an_absolute_target_is_checked(
        self, client: FlaskClient, target: str
    ) -> None:
        # Servers set one of the two.
        for key in ("RAW_URI", "REQUEST_URI"):
            overrides = {"RAW_URI": "/", "REQUEST_URI": "/", key: target}
            refused = client.get("/", environ_overrides=overrides)
            assert_refused(refused, 421, "misdirected_request")
            overrides[key] = "HTTP://localhost:5000/?date=2046-11-22"
            assert client.get("/", environ_overrides=overrides).status_code == 200

    def test_a_client_that_names_no_host_is_served(self, client: FlaskClient) -> None:
        # HTTP/1.0, as of a health check; browsers always name one.
        without = {"HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1.0"}
        assert client.get("/health/live", environ_overrides=without).status_code == 200

    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "127.0.0.2", "::1", "localhost", "box.localhost"]
    )
    @pytest.mark.slow
    def test_every_loopback_address_is_private(
        self, host: str, settings: Settings, shared_app: Callable[..., Flask], database: Any
    ) -> None:
        client = shared_app(database, settings=replace(settings, host=host)).test_client()
        assert by_name(client, "evil.example").status_code == 421

    @pytest.mark.parametrize(("given", "status"), [("127.0.1.1", 421), ("192.0.2.1", 200)])
    def test_a_name_is_private_if_it_resolves_to_a_loopback_address(
        self,
        given: str,
        status: int,
        settings: Settings,
        database: Any,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        found = (socket.AF_INET, socket.SOCK_STREAM, 6, "", (given, 5000))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [found])
        settings = replace(settings, host="Box.theatre.example.")
        client = create_app(database, settings=settings).test_client()
        assert by_name(client, "evil.example").status_code == status
        for own in ("box.theatre.example", "BOX.theatre.example.:5000"):
            assert by_name(client, own).status_code == 200

    @pytest.mark.parametrize(
        "changed", [{"staff_key": KEY}, {"host": "0.0.0.0"}, {"host": "::"}, {"trusted_proxies": 1}]
    )
    @pytest.mark.slow
    def test_public_services_are_served_under_any_name(
        self, changed: Any, settings: Settings, shared_app: Callable[..., Flask], database: Any
    ) -> None:
        client = shared_app(database, settings=replace(settings, **changed)).test_client()
        assert by_name(client, "tickets.example").status_code == 200


# A change of each method, and staff routes that only read.
GUARDED: list[tuple[str, str, Any]] = [
    ("POST", "/booktickets", BOOKING),
    ("POST", "/tickets", BOOKING),
    ("POST", "/update", {}),
    ("POST", "/delete", {}),
    ("POST", "/viewuser", {}),
    ("POST", "/viewontime", {"timing": "18:00"}),
    ("GET", "/tickets?timing=18:00", None),
    ("HEAD", "/tickets?timing=18:00", None),
    ("PATCH", "/tickets/nope", {}),
    ("DELETE", "/tickets/nope", None),
    ("POST", "/admissions", {}),
    ("PUT", "/admissions/7KQ4M2XN0PVR", {"admitted": 1}),
    ("DELETE", "/admissions/7KQ4M2XN0PVR", None),
    ("POST", "/api/screens", {"seats": 5}),
    ("POST", "/api/movies", {"screen": 1}),
    ("PATCH", "/api/movies/1", {"on_sale": False}),
    ("DELETE", "/api/movies/1", None),
    ("PUT", "/api/tickets", {"movie": 1}),
    ("POST", "/api/tickets", {"movie": 1}),
]
FOREIGN: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},  # another port of this machine, too
    {"Sec-Fetch-Site": "same-origin, cross-site"},
    {"Origin": EVIL},
    {"Origin": "null"},
    {"Origin": ""},
    {"Origin": "http://localhost:3000"},
    {"Origin": "https://localhost"},
    {"Origin": "http://localhost.evil.example"},
    {"Origin": f"http://localhost, {EVIL}"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "cross-site"},
    {"Origin": EVIL, "Sec-Fetch-Site": "none"},
    {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
]
OWN: list[dict[str, str]] = [
    {},
    {"Origin": "http://localhost"},
    {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "same-origin"},
    {"Sec-Fetch-Site": "none"},  # typed into the address bar
    # A page of ours behind a proxy that hides its address from us; no other page can say so.
    {"Origin": "https://tickets.example", "Sec-Fetch-Site": "same-origin"},
    {"Origin": "null", "Sec-Fetch-Site": "same-origin"},
]


class TestOrigins:
    @pytest.mark.parametrize(("method", "path", "body"), GUARDED)
    @pytest.mark.parametrize("headers", FOREIGN)
    @pytest.mark.parametrize("key", [None, KEY])
    @pytest.mark.slow
    def test_another_origin_changes_nothing_and_reads_no_lists(
        self,
        settings: Settings,
        shared_app: Callable[..., Flask],
        database: Any,
        method: str,
        path: str,
        body: Any,
        headers: dict[str, str],
        key: str | None,
    ) -> None:
        client = shared_app(database, settings=replace(settings, staff_key=key)).test_client()
        answer = client.open(path, method=method, json=body, headers=headers)
        assert answer.status_code == 403
        if method != "HEAD":
            assert_refused(answer, 403, "cross_site")
        assert_booked(client, 0)

    @pytest.mark.parametrize("headers", OWN)
    def test_our_pages_and_programs_keep_working(
        self, client: FlaskClient, headers: dict[str, str]
    ) -> None:
        assert client.post("/booktickets", json=BOOKING, headers=headers).status_code == 201
        assert client.post("/api/screens", json={"seats": 5}, headers=headers).status_code == 201
        assert client.get("/tickets?timing=18:00", headers=headers).status_code == 200

    @pytest.mark.parametrize(
        "host", ["localhost:5000", "127.0.0.1:5000", "[::1]:5000", "LOCALHOST:5000", "localhost"]
    )
    def test_our_origin_is_any_name_we_serve(self, client: FlaskClient, host: str) -> None:
        for other in ("http://evil.example", f"http://{host}1", f"https://{host}"):
            answer = client.post(
                "/booktickets",
                json=BOOKING,
                headers={"Origin": other},
                environ_overrides={"HTTP_HOST": host},
            )
            assert_refused(answer, 403, "cross_site")
        answer = client.post(
            "/booktickets",
            json=BOOKING,
            headers={"Origin": f"http://{host.lower()}"},
            environ_overrides={"HTTP_HOST": host},
        )
        assert answer.status_code == 201

    @pytest.mark.parametrize("headers", FOREIGN)
    @pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
    def test_public_routes_accept_any_origin(
        self, client: FlaskClient, method: str, headers: dict[str, str]
    ) -> None:
        ticket = book(client)
        for path in ("/", f"/tickets/{ticket['ticket_id']}", "/seats?timing=18:00", "/api/movies"):
            assert client.open(path, method=method, headers=headers).status_code == 200

    def test_behind_a_proxy_our_origin_is_the_public_address(
        self, settings: Settings, database: Any
    ) -> None:
        settings = replace(settings, trusted_proxies=1)
        client = create_app(database, settings=settings).test_client()
        forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "tickets.example:443"}
        for origin, status in (
            ("https://tickets.example", 404),
            ("http://tickets.example", 403),
            ("https://tickets.example:8443", 403),
            ("http://localhost", 403),
        ):
            answer = client.post(
                "/viewuser", json={"ticket_id": "A" * 34}, headers={"Origin": origin, **forwarded}
            )
            assert answer.status_code == status

    def test_an_allowed_origin_may_use_the_api(self, settings: Settings, database: Any) -> None:
        app = create_app(database, settings=settings)
        app.extensions["allowed_origins"] = {"https://theatre.example"}
        client = app.test_client()
        for origin, status in (("https://theatre.example", 201), (EVIL, 403)):
            headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
            answer = client.post("/booktickets", json=BOOKING, headers=headers)
            assert answer.status_code == status


def test_routes_that_refuse_other_origins_are_documented(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json or {}
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            codes = {
                code
                for response in operation["responses"].values()
                for content in response.get("content", {}).values()
                for code in content.get("examples", {})
            }
            assert "misdirected_request" in codes, (method, path)
            is_guarded = method != "get" or "security" in operation
            assert ("cross_site" in codes) == is_guarded, (method, path)
