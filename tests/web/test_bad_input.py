"""Bad input gets a clear 4xx, and nothing is stored or lost."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database
from werkzeug.test import TestResponse

from tests.helpers import ASHA, assert_refused, book


@pytest.fixture
def database(mongomock_database: Database[Any]) -> Database[Any]:
    """Requests that are refused before they reach the database need only one kind."""
    return mongomock_database


VALID: dict[str, dict[str, Any]] = {
    "/booktickets": {**ASHA, "timing": "18:00", "date": "2046-11-23"},
    "/update": {"ticket_id": "A" * 22, "phone": ASHA["phone"], "timing_alter": "18:00"},
    "/delete": {"ticket_id": "A" * 22, "phone": ASHA["phone"]},
    "/viewontime": {"timing": "18:00", "date": "2046-11-23"},
    "/viewuser": {"ticket_id": "A" * 22},
    "/admissions": {"admission_code": "A" * 12},
}
FIELDS = [(path, field) for path, body in VALID.items() for field in body]
BAD_VALUES: list[Any] = [
    None,
    0,
    1.5,
    True,
    [],
    {},
    {"$ne": None},
    "",
    "   ",
    "\n",
    "x" * 10_000,
    "\ud800",
    "a\u0000b",
]


def post(client: FlaskClient, path: str, body: Any) -> TestResponse:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return client.post(path, data=data)


def assert_nothing_booked(client: FlaskClient) -> None:
    assert all(entry["booked"] == 0 for entry in client.get("/").json or [])


@pytest.mark.parametrize("path", VALID)
@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"1",
        b'"text"',
        b"{",
        b'{"name": "Asha"',
        b"{'name': 'Asha'}",
        b"\xff\xfe\xfd",
        b'{"name": "\xff"}',
        b"[" * 10_000,
        b'{"name": ' + b"1" * 5_000 + b"}",
        b"name=Asha",
        b'{"name": NaN}',
        '{"name": "Asha"}'.encode("utf-16"),
        b"\x0c",
    ],
)
def test_a_body_that_is_not_a_json_object_is_refused(
    client: FlaskClient, path: str, body: bytes
) -> None:
    assert_refused(post(client, path, body), 400, "malformed_json")


@pytest.mark.parametrize("path", VALID)
@pytest.mark.parametrize("body", [b"", b"{}", b" \n"])
def test_an_empty_body_is_refused_with_the_missing_fields(
    client: FlaskClient, path: str, body: bytes
) -> None:
    refused = assert_refused(post(client, path, body), 400, "invalid_request")
    assert refused["errors"].keys() == VALID[path].keys() - {"date"}


@pytest.mark.parametrize("path", VALID)
@pytest.mark.parametrize("size", [16 * 1024 + 1, 1_000_000])
def test_a_body_over_the_limit_is_refused(client: FlaskClient, path: str, size: int) -> None:
    body = json.dumps(VALID[path]).encode().ljust(size)
    assert_refused(post(client, path, body), 413, "payload_too_large")
    chunked = client.post(
        path,
        input_stream=io.BytesIO(body),
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert_refused(chunked, 413, "payload_too_large")


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded"])
def test_the_content_type_does_not_matter(client: FlaskClient, content_type: str) -> None:
    body = json.dumps(VALID["/booktickets"])
    answer = client.post("/booktickets", data=body, content_type=content_type)
    assert answer.status_code == 201
    largest = client.post("/booktickets", data=body.ljust(16 * 1024))
    assert largest.status_code == 201


@pytest.mark.parametrize(("path", "field"), FIELDS)
def test_a_missing_field_is_named(client: FlaskClient, path: str, field: str) -> None:
    body = {name: value for name, value in VALID[path].items() if name != field}
    answer = post(client, path, body)
    if field == "date":
        assert answer.status_code in (200, 201)
    else:
        assert assert_refused(answer, 400, "invalid_request")["errors"].keys() == {field}


@pytest.mark.parametrize(("path", "field"), FIELDS)
@pytest.mark.parametrize("value", BAD_VALUES, ids=lambda value: repr(value)[:12].replace("\\", ""))
def test_an_invalid_field_is_named(client: FlaskClient, path: str, field: str, value: Any) -> None:
    refused = assert_refused(
        post(client, path, {**VALID[path], field: value}), 400, "invalid_request"
    )
    assert refused["errors"].keys() == {field}
    assert_nothing_booked(client)


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        *[
            ("POST", path, VALID[path], field)
            for path in ("/booktickets", "/update")
            for field in ("seat", "seats")
        ],
        ("POST", "/booktickets", VALID["/booktickets"], "amount"),
        ("POST", "/admissions", VALID["/admissions"], "people"),
        ("POST", "/admissions", VALID["/admissions"], "movie"),
        ("PUT", f"/admissions/{'A' * 12}", {}, "admitted"),
        ("PATCH", f"/tickets/{'A' * 22}", {}, "movie"),
        ("PATCH", f"/tickets/{'A' * 22}", {}, "seats"),
    ],
)
@pytest.mark.parametrize(
    "value", [None, -1, 1.0, True, "1", {}, {"$gt": 0}, [0], [1, 1], [1.0], ["1"], 2**31, [2**64]]
)
def test_a_number_is_a_whole_number(
    client: FlaskClient, method: str, path: str, body: Any, field: str, value: Any
) -> None:
    answer = client.open(path, method=method, json={**body, field: value})
    assert assert_refused(answer, 400, "invalid_request")["errors"].keys() == {field}
    assert_nothing_booked(client)


@pytest.mark.parametrize(
    ("path", "field"),
    [pair for pair in FIELDS if pair[1] != "admission_code"],  # from scanners
)
def test_a_trailing_newline_is_refused(client: FlaskClient, path: str, field: str) -> None:
    body = {**VALID[path], field: VALID[path][field] + "\n"}
    refused = assert_refused(post(client, path, body), 400, "invalid_request")
    assert refused["errors"].keys() == {field}


@pytest.mark.parametrize(
    ("path", "field"),
    [pair for pair in FIELDS if pair[1] not in ("name", "phone")],  # which may have them
)
def test_digits_of_another_script_are_refused(client: FlaskClient, path: str, field: str) -> None:
    devanagari = str.maketrans("0123456789", "०१२३४५६७८९")
    value = VALID[path][field].replace("A", "1")
    assert post(client, path, {**VALID[path], field: value}).status_code != 400
    answer = post(client, path, {**VALID[path], field: value.translate(devanagari)})
    refused = assert_refused(answer, 400, "invalid_request")
    assert refused["errors"].keys() == {field}


@pytest.mark.parametrize("path", VALID)
@pytest.mark.parametrize("field", ["Name", "$where", "", "__proto__", "\ud800"])
def test_an_unknown_field_is_refused(client: FlaskClient, path: str, field: str) -> None:
    refused = assert_refused(post(client, path, {**VALID[path], field: 1}), 400, "invalid_request")
    assert refused["errors"].keys() == {field.replace("\ud800", r"\ud800")}
    assert_nothing_booked(client)


@pytest.mark.parametrize("timing", ["9:00", "24:00", "1000", "10:00\n", "18:30", "18:00:00", "-1"])
def test_a_timing_that_is_malformed_or_not_in_the_timetable_is_refused(
    client: FlaskClient, timing: str
) -> None:
    refused = book(client, timing=timing, status=400)
    assert refused["errors"].keys() == {"timing"}


@pytest.mark.parametrize(
    "day",
    [
        "2046-11-21",
        "2046-12-23",
        "2047-02-29",
        "2046-13-01",
        "0000-01-01",
        "9999-12-31",
        "20461123",
    ],
)
def test_a_date_that_is_malformed_or_not_on_sale_is_refused(client: FlaskClient, day: str) -> None:
    assert book(client, date=day, status=400)["errors"].keys() == {"date"}


def test_todays_showing_cannot_be_booked_once_it_has_started(client: FlaskClient) -> None:
    refused = book(client, timing="14:00", date="2046-11-22", status=409)
    assert refused["code"] == "showing_started"


def test_a_body_that_is_cut_off_books_nothing(client: FlaskClient) -> None:
    body = json.dumps(VALID["/booktickets"]).encode()
    longer = {"CONTENT_LENGTH": str(len(body) + 100)}
    answer = client.post("/booktickets", data=body, environ_overrides=longer)
    assert answer.status_code == 400
    assert_nothing_booked(client)


@pytest.mark.parametrize("name", ["x" * 101, "\u202eAsha", "\u200b", "a\tb", "a\u2028b", "\u00a0"])
def test_an_invalid_name_is_refused(client: FlaskClient, name: str) -> None:
    assert book(client, name=name, status=400)["errors"].keys() == {"name"}


@pytest.mark.parametrize(
    "character",
    [
        *("\u3164", "\u2800", "\u115f", "\u1160", "\uffa0", "\u034f", "\ufe0f", "\u17b4", "\u17b5"),
        *("\u00ad", "\u061c", "\u180b", "\u180e", "\u180f", "\u200d", "\u200e", "\u2060", "\u2065"),
        *("\u206f", "\u3000", "\ufeff", "\ufff0", "\ufff9", "\U0001bca0", "\U0001d159"),
        *("\U00013441", "\U00013442"),
        *("\U0001d173", "\U00016fe4", "\U000e0001", "\U000e0041", "\U000e0100", "\U000e0fff"),
    ],
)
def test_a_name_or_title_without_visible_characters_is_refused(
    client: FlaskClient, character: str
) -> None:
    client.post("/api/screens", json={"seats": 5})
    for text in (character, character * 5, f" {character}\u200d \u3164{character}"):
        assert book(client, name=text, status=400)["errors"] == {"name": ["Must not be blank."]}
        answer = client.post("/api/movies", json={"screen": 1, "title": text})
        assert assert_refused(answer, 400, "invalid_request")["errors"].keys() == {"title"}
    assert book(client, name=f"A{character}a")["name"] == f"A{character}a"


@pytest.mark.parametrize(
    "name",
    [
        *("O'Brien", "D\u2019Arcy", "Anne-Marie", "José", "Jose\u0301", "Zoë Ångström", "Nguyễn"),
        *("आशा राव", "श्री", "क्\u200dष", "ക്\u200c", "தமிழ்", "ಶ್ರೀ", "มานี", "ཀརྨ", "ខ្មែរ"),
        *(
            "محمد",
            "علی\u200cرضا",
            "שָׁלוֹם",
            "王小明",
            "葛\U000e0100城",
            "さくら",
            "김철수",
            "\u1112\u1161\u11ab",
        ),
        *("ᠮᠣᠩᠭᠣᠯ", "አበበ", "Ἀθηνᾶ", "Սարգիս", "𐐔𐐯", "9", "!", "\u0301"),
        *(
            "👩\u200d👩\u200d👧",
            "🇮🇳",
            "1\ufe0f\u20e3",
            "❤\ufe0f",
            "👍🏽",
            "🏴\U000e0067\U000e0062\U000e007f",
        ),
        "🫨",  # newer than the characters that Python 3.11 knows
    ],
)
def test_a_name_in_any_script_is_kept_unchanged(client: FlaskClient, name: str) -> None:
    assert book(client, name=f" {name} ")["name"] == name
    client.post("/api/screens", json={"seats": 5})
    assert client.post("/api/movies", json={"screen": 1, "title": name}).json["title"] == name


def test_every_bad_field_is_named_at_once(client: FlaskClient) -> None:
    for seats in ({"seat": 21}, {"seats": [1, 21]}, {"amount": 21}, {"seat": 1, "amount": 1}):
        bad: dict[str, Any] = {
            "name": "",
            "phone": "12",
            "timing": "18:30",
            "date": "2020-01-01",
            **seats,
        }
        refused = book(client, status=400, **bad)
        assert refused["errors"].keys() == bad.keys()
        assert all(
            isinstance(message, str)
            for messages in refused["errors"].values()
            for message in messages
        )
