"""Every bad field is named at once, and ambiguous requests are refused."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database

from app import create_app
from app.config import Settings
from app.web.reading import RAW_HEADERS
from tests.conftest import Clock
from tests.helpers import ASHA, assert_booked, assert_refused, book, view

BOOKING = {**ASHA, "timing": "18:00"}
NOT_API = (
    "/health/live",
    "/health/ready",
    "/metrics",
    "/docs",
    "/openapi.json",
    "/door",
    "/multiplex",
)


@pytest.fixture
def database(mongomock_database: Database[Any]) -> Database[Any]:
    """Requests that are refused before they reach the database need only one kind."""
    return mongomock_database


def api_routes(client: FlaskClient) -> list[tuple[str, str]]:
    """Return the method and path of every route of the API."""
    routes = [
        (method, re.sub("<.*>", "1", rule.rule))
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"OPTIONS"}
        if not rule.rule.startswith((*NOT_API, "/static/"))
    ]
    assert len(routes) > 15
    return routes


def errors(answer: Any) -> Any:
    return assert_refused(answer, 400, "invalid_request")["errors"]


class TestEveryBadFieldAtOnce:
    @pytest.mark.parametrize(
        ("method", "path", "headers", "body", "expected"),
        [
            ("POST", "/booktickets", "Idempotency-Key: x", {}, "name phone timing"),
            ("POST", "/booktickets", "Idempotency-Key: x", {**BOOKING, "phone": "12"}, "phone"),
            ("POST", "/booktickets?when=now", "Idempotency-Key: x", BOOKING, "when"),
            ("POST", "/tickets", "Idempotency-Key: x", {"rows": 1}, "name phone timing rows"),
            ("POST", "/tickets", "Idempotency-Key: x", {"seats": 1}, "name phone timing seats"),
            ("POST", "/api/tickets", "Idempotency-Key: x", {"amount": 0}, "movie amount"),
            ("PATCH", "/tickets/x", None, {}, "timing movie date seat seats"),
            ("PATCH", "/tickets/x", "Ticket-Phone: 12", {"timing": "18:30"}, "timing"),
            (
                "PATCH",
                "/tickets/x?a=1",
                "Ticket-Phone: 12",
                {"date": "2020-01-01"},
                "date a",
            ),
            ("DELETE", "/tickets/x?force=1", None, None, "force"),
            ("DELETE", "/tickets/x?force=1", "Ticket-Phone: 12", None, "force"),
            ("GET", "/tickets?when=now", None, None, "timing movie date when"),
            ("GET", "/tickets?timing=18:00&movie=1&date=x", None, None, "timing movie date"),
            ("GET", "/seats?when=now", None, None, "timing movie when"),
            ("GET", "/seats?movie=0&date=x", None, None, "movie date"),
            ("GET", "/seats?movie=%D9%A1", None, None, "movie"),
            ("GET", "/api/movies?date=x&movie=1", None, None, "date movie"),
        ],
    )
    def test_bad_fields_are_named_wherever_they_were_sent(
        self,
        client: FlaskClient,
        method: str,
        path: str,
        headers: str | None,
        body: Any,
        expected: str,
    ) -> None:
        sent = dict([headers.split(": ")]) if headers else {}
        answer = client.open(path, method=method, headers=sent, json=body)
        assert errors(answer).keys() == {*sent, *expected.split()}

    def test_errors_found_by_the_service_use_the_requests_names(self, client: FlaskClient) -> None:
        update = {"ticket_id": "A", "phone": "12", "timing_alter": "18:30", "date": "2020-01-01"}
        refused = errors(client.post("/update", json=update))
        assert refused.keys() == {"phone", "timing_alter", "date"}
        ticket = book(client)
        update = {**update, "ticket_id": ticket["ticket_id"], "phone": ASHA["phone"]}
        refused = errors(client.post("/update", json=update))
        assert refused.keys() == {"timing_alter", "date"}

    def test_a_name_sent_in_two_places_gets_both_messages(self, client: FlaskClient) -> None:
        refused = errors(client.post("/booktickets?name=Asha", json={**BOOKING, "name": ""}))
        assert refused == {"name": ["Unknown field.", "Must not be blank."]}

    def test_malformed_json_hides_other_errors(self, client: FlaskClient) -> None:
        answer = client.post("/booktickets", headers={"Idempotency-Key": "x"}, data=b"{")
        assert_refused(answer, 400, "malformed_json")


class TestQueryParameters:
    def test_unknown_parameters_are_refused_on_every_api_route(self, client: FlaskClient) -> None:
        for method, path in api_routes(client):
            answer = client.open(f"{path}?nope=1", method=method)
            assert answer.status_code == 400, (method, path)
            if method != "HEAD":
                assert errors(answer)["nope"] == ["Unknown field."], (method, path)

    @pytest.mark.parametrize("query", ["date=2046-11-27", "date", "=", "%ff=1", "page=1&page=2"])
    def test_routes_without_parameters_refuse_any(self, client: FlaskClient, query: str) -> None:
        assert len(errors(client.get(f"/api/screens?{query}"))) == 1

    @pytest.mark.parametrize("query", ["", "&", "&&"])
    def test_a_bare_question_mark_is_accepted(self, client: FlaskClient, query: str) -> None:
        assert client.get(f"/api/movies?{query}").status_code == 200

    @pytest.mark.parametrize("path", NOT_API)
    @pytest.mark.parametrize("query", ["nope=1", "nope=1&nope=2"])
    def test_pages_and_operations_ignore_unknown_parameters(
        self, client: FlaskClient, path: str, query: str
    ) -> None:
        assert client.get(f"{path}?{query}").status_code == 200

    def test_the_staff_key_is_checked_first(self, guarded: FlaskClient) -> None:
        assert_refused(guarded.get("/tickets?nope=1"), 401, "unauthorized")
        assert_refused(guarded.post("/api/screens?nope=1"), 401, "unauthorized")

    @pytest.mark.parametrize(
        ("path", "name"),
        [
            ("/?date=2046-11-23&date=2046-11-24", "date"),
            ("/?date=2046-11-23&date=2046-11-23", "date"),
            ("/tickets?timing=18:00&tim%69ng=18:00", "timing"),
        ],
    )
    def test_a_repeated_parameter_is_refused(
        self, client: FlaskClient, path: str, name: str
    ) -> None:
        assert errors(client.get(path)) == {name: ["Sent more than once."]}


class TestMembers:
    @pytest.mark.parametrize(
        ("body", "names"),
        [
            ('{"name": "A", "name": "B", "phone": "98765 43210", "timing": "18:00"}', {"name"}),
            ('{"name": "A", "name": "A", "phone": "98765 43210", "timing": "18:00"}', {"name"}),
            ('{"name": "A", "n\\u0061me": "B", "phone": "12"}', {"name", "phone", "timing"}),
            ('{"a": 1, "a": 2, "a": 3, "b": 1, "b": 1}', {"a", "b", "name", "phone", "timing"}),
            (
                '{"name": {"a": 1, "a": 2}, "phone": [{"a": 1, "a": 2}], "timing": "18:00"}',
                {"name", "phone"},
            ),
        ],
    )
    def test_a_repeated_member_is_refused(
        self, client: FlaskClient, body: str, names: set[str]
    ) -> None:
        assert errors(client.post("/booktickets", data=body)).keys() == names
        assert_booked(client, 0)

    def test_the_message_says_that_the_member_was_repeated(self, client: FlaskClient) -> None:
        ticket = book(client)
        body = f'{{"ticket_id": "nope", "ticket_id": "{ticket["ticket_id"]}"}}'
        refused = errors(client.post("/viewuser", data=body))
        assert refused == {"ticket_id": ["Sent more than once."]}

    def test_the_same_name_in_two_objects_is_accepted(self, client: FlaskClient) -> None:
        refused = errors(client.post("/viewuser", json={"ticket_id": "A", "b": {"ticket_id": 1}}))
        assert refused == {"b": ["Unknown field."]}


class TestHeaders:
    @pytest.mark.parametrize("joined", ["key-12345,key-12345", "key-12345, key-12345"])
    def test_a_repeated_idempotency_key_books_nothing(
        self, client: FlaskClient, joined: str
    ) -> None:
        answer = client.post("/booktickets", json=BOOKING, headers={"Idempotency-Key": joined})
        assert errors(answer) == {"Idempotency-Key": ["Sent more than once."]}
        assert_booked(client, 0)

    @pytest.mark.parametrize("path", ["/", "/api/tickets", "/tickets/x", *NOT_API, "/nope"])
    @pytest.mark.parametrize(
        "header",
        ["Idempotency-Key: k,k", "Ticket-Phone: 1, 1", "Authorization: Bearer k,Bearer k"],
    )
    def test_repeated_headers_are_refused_on_all_routes(
        self, client: FlaskClient, path: str, header: str
    ) -> None:
        name, value = header.split(": ")
        assert errors(client.get(path, headers={name: value})).keys() == {name}

    @pytest.mark.parametrize("name", ["Host", "Idempotency-Key", "Ticket-Phone", "Authorization"])
    def test_differing_lines_are_refused_if_the_server_exposes_them(
        self, client: FlaskClient, name: str
    ) -> None:
        lines = [("HOST", "a"), ("ACCEPT", "*/*"), ("ACCEPT", "text/html")]
        twice = [*lines, (name.upper(), "one"), (name.upper(), "two")]
        answer = client.get("/", environ_overrides={RAW_HEADERS: twice})
        assert errors(answer) == {name: ["Sent more than once."]}
        assert client.get("/", environ_overrides={RAW_HEADERS: lines}).status_code == 200

    def test_a_key_with_a_comma_is_one_key_if_the_server_exposes_lines(
        self, client: FlaskClient
    ) -> None:
        lines = {RAW_HEADERS: [("HOST", "a"), ("IDEMPOTENCY-KEY", "key-1,key-1")]}
        headers = {"Idempotency-Key": "key-1,key-1"}
        answer = client.post("/tickets", json=BOOKING, headers=headers, environ_overrides=lines)
        assert answer.status_code == 201

    def test_a_repeated_key_is_named_with_the_other_bad_fields(self, client: FlaskClient) -> None:
        headers = {"Idempotency-Key": "key-12345,key-12345"}
        answer = client.post("/tickets", json={"name": ""}, headers=headers)
        assert errors(answer).keys() == {"Idempotency-Key", "name", "phone", "timing"}

    def test_a_key_with_differing_parts_is_one_key(self, client: FlaskClient) -> None:
        headers = {"Idempotency-Key": "order-17,line-1"}
        assert client.post("/tickets", json=BOOKING, headers=headers).status_code == 201

    def test_a_repeated_staff_key_is_refused(self, guarded: FlaskClient) -> None:
        headers = {"Authorization": f"Bearer {KEY},Bearer {KEY}"}
        assert errors(guarded.get("/tickets?timing=18:00", headers=headers)).keys() == {
            "Authorization"
        }

    @pytest.mark.parametrize("path", ["/", "/booktickets", *NOT_API, "/nope"])
    @pytest.mark.parametrize("host", ["", "a,b", "localhost,localhost"])
    def test_a_host_is_required(self, client: FlaskClient, path: str, host: str) -> None:
        answer = client.get(path, environ_overrides={"HTTP_HOST": host})
        assert errors(answer).keys() == {"Host"}

    def test_http_1_0_needs_no_host(self, client: FlaskClient) -> None:
        old = {"HTTP_HOST": "", "SERVER_PROTOCOL": "HTTP/1.0"}
        assert client.get("/", environ_overrides=old).status_code == 200

    def test_a_phone_in_utf_8_is_read(self, client: FlaskClient) -> None:
        ticket = book(client)
        phone = "\u202a＋91\u00a098765\u201143210\u202c".encode().decode("latin-1")
        headers = {"Ticket-Phone": phone}
        deleted = client.delete(f"/tickets/{ticket['ticket_id']}", headers=headers)
        assert deleted.status_code == 204
        assert_refused(view(client, ticket), 404, "ticket_not_found")

    def test_a_phone_in_latin_1_is_read(self, client: FlaskClient) -> None:
        ticket = book(client)
        headers = {"Ticket-Phone": "98765\u00a043210"}
        deleted = client.delete(f"/tickets/{ticket['ticket_id']}", headers=headers)
        assert deleted.status_code == 204


class TestBodies:
    @pytest.mark.parametrize("path", ["/booktickets", "/api/tickets", "/nope", "/health/live"])
    @pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate", "identity, gzip", "x"])
    def test_a_compressed_body_is_refused(
        self, client: FlaskClient, path: str, encoding: str
    ) -> None:
        answer = client.post(path, data=b"{}", headers={"Content-Encoding": encoding})
        assert_refused(answer, 415, "unsupported_media_type")

    @pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
    def test_an_identity_encoding_is_accepted(self, client: FlaskClient, encoding: str) -> None:
        answer = client.post("/tickets", json=BOOKING, headers={"Content-Encoding": encoding})
        assert answer.status_code == 201

    @pytest.mark.parametrize("coding", ["gzip, chunked", "gzip", "chunked, chunked", "identity"])
    def test_a_compressed_transfer_books_nothing(self, client: FlaskClient, coding: str) -> None:
        refused = client.post("/booktickets", json=BOOKING, headers={"Transfer-Encoding": coding})
        assert_refused(refused, 501, "invalid_request")
        assert_booked(client, 0)


FILES = ("/static/style.css", "/docs/swagger-ui.css")
PROBLEM = "application/problem+json"


class TestConditionalRequests:
    @pytest.mark.parametrize("path", FILES)
    @pytest.mark.parametrize("header", ["If-Modified-Since", "If-Range"])
    @pytest.mark.parametrize(
        "instant",
        [
            "Thu, 01 Jan 99999999999 00:00:00 GMT",
            "Thu, 01 Jan 0001 00:00:00 +1400",
            "Fri, 31 Dec 9999 23:59:59 -1400",
            "Thu, 01 Jan 2026 00:00:00 +99999999999999",
            "Thu, 01 Jan 2026 99999999999999999999:00:00 GMT",
            "Thu, 99999999999999999999 Jan 2026 00:00:00 GMT",
            "9" * 5000,
            "Thu, 01 Jan " + "9" * 5000 + " 00:00:00 GMT",
            "\u0663",
        ],
    )
    def test_an_impossible_date_is_ignored(
        self, client: FlaskClient, path: str, header: str, instant: str
    ) -> None:
        headers = {header: instant.encode().decode("latin-1")}
        if header == "If-Range":
            headers["Range"] = "bytes=0-1"
        with client.get(path, headers=headers) as response:
            assert response.status_code in (200, 206)

    @pytest.mark.parametrize("path", FILES)
    def test_an_unmodified_file_is_not_sent_again(self, client: FlaskClient, path: str) -> None:
        with client.get(path) as response:
            headers = {"If-Modified-Since": response.headers["Last-Modified"]}
        with client.get(path, headers=headers) as response:
            assert response.status_code == 304

    @pytest.mark.parametrize("path", FILES)
    def test_a_precondition_that_fails_is_a_problem_without_the_file(
        self, client: FlaskClient, path: str
    ) -> None:
        with client.get(path, headers={"If-Match": '"another"'}) as response:
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert (response.status_code, response.mimetype) == (412, PROBLEM)
            assert response.json["status"] == 412

    @pytest.mark.parametrize("path", FILES)
    @pytest.mark.parametrize("ranges", ["bytes=9999999-", "bytes=0-" + "9" * 5000, "bytes=9-1"])
    def test_a_range_outside_the_file_is_refused_or_ignored(
        self, client: FlaskClient, path: str, ranges: str
    ) -> None:
        with client.get(path, headers={"Range": ranges}) as response:
            assert response.status_code in (200, 206, 416)
            is_file = response.mimetype == "text/css"
            assert is_file or (response.status_code, response.mimetype) == (416, PROBLEM)


@pytest.mark.parametrize(
    "path", ["//", "//metrics", "///health/live", "//tickets", "//docs", "//openapi.json", "//x//"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS"])
def test_a_path_that_begins_with_slashes_is_not_found(
    client: FlaskClient, path: str, method: str
) -> None:
    # The test client would read // as the start of a host name. /%2Fmetrics arrives like this, too.
    answer = client.open(
        "/", method=method, query_string="timing=18:00", environ_overrides={"PATH_INFO": path}
    )
    assert answer.status_code == 404
    if method != "HEAD":
        assert_refused(answer, 404, "not_found")


@pytest.mark.parametrize(
    "target",
    ["//metrics", "/%2Fmetrics", "/%2fmetrics?a=1", "///metrics", "http://localhost//metrics"],
)
def test_a_path_whose_slashes_the_server_dropped_is_not_found(
    client: FlaskClient, target: str
) -> None:
    as_waitress_has_it = {"PATH_INFO": "/metrics", "REQUEST_URI": target}
    assert_refused(client.get("/", environ_overrides=as_waitress_has_it), 404, "not_found")


@pytest.mark.parametrize("target", ["/metrics", "/metrics?a=//b", "http://localhost/metrics"])
def test_slashes_elsewhere_are_accepted(client: FlaskClient, target: str) -> None:
    as_waitress_has_it = {"PATH_INFO": "/metrics", "REQUEST_URI": target}
    assert client.get("/", environ_overrides=as_waitress_has_it).status_code == 200


def test_the_location_is_right_under_a_path_prefix(client: FlaskClient) -> None:
    for path in ("/tickets", "/booktickets"):
        behind = {"SCRIPT_NAME": "/box-office"}
        booked = client.post(path, data=json.dumps(BOOKING), environ_overrides=behind)
        assert booked.headers["Location"] == f"/box-office/tickets/{booked.json['ticket_id']}"


KEY = "correct-horse-battery"


@pytest.fixture
def guarded(database: Database[Any], settings: Settings, clock: Clock) -> FlaskClient:
    """A client of a service with a staff key."""
    return create_app(
        database, settings=replace(settings, staff_key=KEY), clock=clock
    ).test_client()


def test_only_a_few_of_thousands_of_unknown_fields_are_named(client: FlaskClient) -> None:
    body = {f"x{number}": 0 for number in range(1000)}
    errors = assert_refused(
        client.post("/booktickets", data=json.dumps(body)), 400, "invalid_request"
    )["errors"]
    assert set(errors) == {"name", "phone", "timing", *(f"x{number}" for number in range(20))}
    query = "&".join(f"x{number}" for number in range(1000))
    errors = assert_refused(client.get(f"/seats?{query}&x0"), 400, "invalid_request")["errors"]
    assert set(errors) == {f"x{number}" for number in range(20)} | {"timing", "movie"}
