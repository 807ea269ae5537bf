"""The pages for people: who gets one, with which status and headers, and where its files are."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import limits
import pytest
from flask.testing import FlaskClient
from pymongo.database import Database
from pymongo.errors import ServerSelectionTimeoutError
from werkzeug.test import TestResponse

from app import create_app
from app.config import Settings
from app.tickets.store import TicketStore
from tests.conftest import Clock
from tests.helpers import ASHA, add_movie, assert_refused, book, buy

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"}


@pytest.fixture
def database(mongomock_database: Database[Any]) -> Database[Any]:
    """The pages are the same on any database."""
    return mongomock_database


def assert_page(response: TestResponse, status: int = 200) -> None:
    assert response.status_code == status
    assert response.content_type == "text/html; charset=utf-8"
    policy = response.headers["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'"} <= set(policy)
    assert "unsafe" not in response.headers["Content-Security-Policy"]
    assert response.headers["Referrer-Policy"] == "no-referrer"
    assert "Set-Cookie" not in response.headers
    # No script or style is in the page itself, as the policy would block it.
    assert not re.search(r"<style|<script(?![^>]* src=)|\sstyle=|\son\w+=", response.text)


@pytest.mark.parametrize(
    "accept",
    [None, "*/*", "application/json", "text/html, application/json", "text/html;q=0.5, */*"],
)
def test_clients_that_do_not_prefer_html_get_json(client: FlaskClient, accept: str | None) -> None:
    headers = {"Accept": accept} if accept else {}
    for path in ("/", f"/tickets/{book(client)['ticket_id']}"):
        response = client.get(path, headers=headers)
        assert (response.status_code, response.content_type) == (200, "application/json")
        assert response.vary.as_set() == {"accept"}
        assert response.headers["Content-Security-Policy"] == "frame-ancestors 'none'"


@pytest.mark.parametrize("accept", [BROWSER["Accept"], "text/html", "text/html, */*;q=0.1"])
def test_clients_that_prefer_html_get_a_page(client: FlaskClient, accept: str) -> None:
    for path in ("/", f"/tickets/{book(client)['ticket_id']}"):
        response = client.get(path, headers={"Accept": accept})
        assert_page(response)
        assert response.vary.as_set() == {"accept"}
        head = client.head(path, headers={"Accept": accept})
        assert (head.status_code, head.content_type, head.data) == (200, response.content_type, b"")


@pytest.mark.parametrize("path", ["/door", "/multiplex"])
def test_pages_without_json_are_for_everyone(client: FlaskClient, path: str) -> None:
    assert_page(client.get(path))
    assert_refused(client.post(path), 405, "method_not_allowed")


def test_pages_ignore_query_parameters_that_the_api_refuses(client: FlaskClient) -> None:
    ticket = f"/tickets/{book(client)['ticket_id']}"
    for path in ("/", ticket, "/door", "/multiplex"):
        assert_page(client.get(f"{path}?date=nonsense&utm=1&utm=2", headers=BROWSER))
    for path in ("/", ticket):
        assert_refused(client.get(f"{path}?utm=1"), 400, "invalid_request")


def test_other_methods_and_addresses_return_json_to_a_browser(client: FlaskClient) -> None:
    assert_refused(client.post("/", headers=BROWSER), 405, "method_not_allowed")
    assert_refused(client.delete("/tickets/x", headers=BROWSER), 404, "ticket_not_found")
    assert_refused(client.get("/nothing", headers=BROWSER), 404, "not_found")
    assert_refused(client.get("/static/nothing.js", headers=BROWSER), 404, "not_found")
    assert_refused(client.get("/static/../routes.py", headers=BROWSER), 404, "not_found")


def test_the_page_of_an_unknown_ticket_is_404(client: FlaskClient) -> None:
    assert_page(client.get("/tickets/nobody-has-this", headers=BROWSER), 404)


def test_a_page_opens_while_the_database_is_unavailable(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ServerSelectionTimeoutError

    ticket_id = book(client)["ticket_id"]
    monkeypatch.setattr(TicketStore, "get", fail)
    response = client.get(f"/tickets/{ticket_id}", headers=BROWSER)
    assert_page(response, 503)
    assert response.headers["Retry-After"] == "2"
    assert_page(client.get("/", headers=BROWSER))


def test_a_page_beyond_the_rate_limit_is_429(
    mongod_database: Database[Any], settings: Settings, clock: Clock
) -> None:
    limited = replace(settings, rate_limit=limits.parse("1 per minute"))
    client = create_app(mongod_database, settings=limited, clock=clock).test_client()
    assert_page(client.get("/", headers=BROWSER))
    for path in ("/", "/tickets/x", "/door", "/multiplex"):
        response = client.get(path, headers=BROWSER)
        assert_page(response, 429)
        assert 0 < int(response.headers["Retry-After"]) <= 60
        # The message is there without JavaScript, too.
        assert '<p id="trouble" role="status">There have been too many' in response.text
        assert_refused(client.get(path), 429, "too_many_requests")
    with client.get("/static/style.css") as file:
        assert file.status_code == 200


def test_a_long_accept_header_is_ignored(client: FlaskClient) -> None:
    accept = "text/html," + "a/b;q=0.5," * 100
    assert client.get("/", headers={"Accept": accept}).content_type == "application/json"
    assert_page(client.get("/", headers={"Accept": accept[:900]}))


def test_search_engines_are_kept_out_of_tickets_and_the_door(client: FlaskClient) -> None:
    ticket = f"/tickets/{book(client)['ticket_id']}"
    for path in (ticket, f"{ticket}/qr.svg", "/door"):
        for headers in ({}, BROWSER):
            assert client.get(path, headers=headers).headers["X-Robots-Tag"] == "noindex"
    assert "X-Robots-Tag" not in client.get("/", headers=BROWSER).headers


@pytest.mark.parametrize("prefix", ["", "/box-office"])
@pytest.mark.parametrize("path", ["/", "/door", "/multiplex", "/tickets/x"])
def test_files_and_links_stay_below_a_proxys_prefix(
    client: FlaskClient, path: str, prefix: str
) -> None:
    page = client.get(path, headers=BROWSER, environ_overrides={"SCRIPT_NAME": prefix}).text
    addresses = re.findall(r'(?:href|src)="([^"?][^"]*)"', page)
    assert len(addresses) >= 4
    for address in addresses:
        assert address.startswith(f"{prefix}/")
        assert client.get(address.removeprefix(prefix), buffered=True).status_code == 200


def test_scripts_are_revalidated_after_an_upgrade(client: FlaskClient) -> None:
    response = client.get("/static/api.js", buffered=True)
    assert response.content_type == "text/javascript; charset=utf-8"
    assert response.headers["Cache-Control"] == "no-cache"
    again = client.get(
        "/static/api.js", headers={"If-None-Match": response.headers["ETag"]}, buffered=True
    )
    assert again.status_code == 304


def test_the_page_offers_the_bookable_days(
    database: Database[Any], settings: Settings, clock: Clock
) -> None:
    settings = replace(settings, advance_days=2)
    client = create_app(database, settings=settings, clock=clock).test_client()
    page = client.get("/", headers=BROWSER).text
    days = re.findall(r'data-date="([^"]+)"', page)
    assert days == ["2046-11-22", "2046-11-23", "2046-11-24"]
    for day in days:
        assert client.get(f"/?date={day}").status_code == 200
    assert "Times are in Asia/Kolkata" in page
    assert 'data-today="2046-11-22" data-midnight="2046-11-23T00:00:00+05:30"' in page


@pytest.mark.parametrize(
    ("day", "opens_at"),
    [("2047-03-10", "2047-03-10T01:30:00-05:00"), ("2047-11-03", "2047-11-03T01:30:00-04:00")],
)
def test_doors_open_by_the_theatres_time_when_the_clocks_change(
    database: Database[Any], settings: Settings, clock: Clock, day: str, opens_at: str
) -> None:
    settings = replace(
        settings,
        theatre_timezone=ZoneInfo("America/New_York"),
        show_times=("03:30",),
        advance_days=365,
        admission_hours=timedelta(hours=1 if day == "2047-03-10" else 3),
    )
    client = create_app(database, settings=settings, clock=clock).test_client()
    ticket = book(client, timing="03:30", date=day)
    page = client.get(f"/tickets/{ticket['ticket_id']}", headers=BROWSER).text
    assert f'data-showing-at="{ticket["showing_at"]}" data-opens-at="{opens_at}"' in page


def test_the_ticket_page_contains_no_ticket_data(client: FlaskClient) -> None:
    for ticket in (book(client), buy(client, add_movie(client, title="Sholay"), **ASHA)):
        response = client.get(f"/tickets/{ticket['ticket_id']}", headers=BROWSER)
        assert_page(response)
        for name in ("ticket_id", "name", "phone", "admission_code", "title"):
            assert ticket[name] is None or ticket[name] not in response.text
