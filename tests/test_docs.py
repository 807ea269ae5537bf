"""The documents agree with the code: their tables, value by value, and their examples."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from types import FrameType
from typing import Any

import mongomock
import pytest
from flask.testing import FlaskClient
from pymongo import MongoClient

import app as package
from app import create_app
from app.config import Settings
from app.domain.showings import TIMING
from app.mongodb import batching
from app.mongodb import client as mongodb_client
from app.mongodb.client import open_client
from app.tickets.phones import parse_phone
from app.tickets.schemas import AdmissionCode, TicketId
from app.tickets.views import DoorTicket
from app.web import limits
from app.web.openapi import VERSION
from app.web.problems import documentation
from app.web.refusals import STATUSES
from tests.running import HOST, running_service

PROJECT = Path(__file__).parent.parent
README, API, SETTINGS, OPERATIONS, ARCHITECTURE, CHANGELOG, COLLECTION = (
    (PROJECT / name).read_text()
    for name in (
        "README.md",
        "docs/api.md",
        "docs/settings.md",
        "docs/operations.md",
        "docs/architecture.md",
        "CHANGELOG.md",
        "docs/postman/box-office.postman_collection.json",
    )
)
APP = create_app(mongomock.MongoClient()["docs"])
OPENAPI: Any = APP.test_client().get("/openapi.json").json
API_ROUTES = {
    f"{method.upper()} {path}": operation
    for path, item in OPENAPI["paths"].items()
    for method, operation in item.items()
    if method != "parameters" and operation["tags"] != ["Operations"]
}
# Without the files that a page loads, which are not part of the API.
ROUTES = {
    f"{method} " + re.sub("<(?:[^>]*:)?(.*?)>", r"{\1}", rule.rule)
    for rule in APP.url_map.iter_rules()
    if "<path:filename>" not in rule.rule
    for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
}
Row = dict[str, str]


def section(document: str, heading: str) -> str:
    pattern = rf"^##+ {re.escape(heading)}\n(.*?)(?=^## |\Z)"
    found: list[str] = re.findall(pattern, document, re.DOTALL | re.MULTILINE)
    assert len(found) == 1
    return found[0]


def rows(document: str, *columns: str) -> list[Row]:
    """Return the rows of all tables that have these columns, cells by the columns' names."""
    found = []
    for table in re.findall(r"(?:^\|.*\|\n)+", document, re.MULTILINE):
        heading, _, *lines = (
            [cell.strip() for cell in line[1:-1].split("|")] for line in table.splitlines()
        )
        if tuple(heading) == columns:
            found += [dict(zip(columns, cells, strict=True)) for cells in lines]
    assert found
    return found


def codes(cell: str) -> list[str]:
    return re.findall("`(.*?)`", cell)


def plain(cell: str) -> str:
    """Return a cell without its marks, and numbers without commas."""
    return re.sub(r"(?<=\d),(?=\d{3})", "", cell.replace("`", ""))


# ---- Routes


def test_every_route_is_documented() -> None:
    tables = (("route", "requires", "takes", "response"), ("route", "response"), ("route", "for"))
    documented = [
        route for columns in tables for row in rows(API, *columns) for route in codes(row["route"])
    ]
    # A browser gets a page at some of the API's routes.
    assert {route for route in documented if " " in route} == ROUTES


def test_the_readme_names_the_assignments_routes() -> None:
    assert [row["route"].strip("`") for row in rows(README, "route", "does")] == [
        "GET /",
        "POST /booktickets",
        "POST /update",
        "POST /delete",
        "POST /viewontime",
        "POST /viewuser",
    ]


def sent_fields(operation: Any) -> dict[str, tuple[Any, bool]]:
    """Return the schema of each field that a request may send, and whether it has to."""
    found = {
        each["name"]: ({**each["schema"], **each}, each["required"])
        for each in operation.get("parameters", ())
    }
    if "requestBody" in operation:
        body = resolved(operation["requestBody"]["content"]["application/json"]["schema"])
        required = body.get("required", ())
        found |= {name: (it, name in required) for name, it in body["properties"].items()}
    return found


def resolved(schema: Any) -> Any:
    name = schema["$ref"].rpartition("/")[2]
    return OPENAPI["components"]["schemas"][name]


def test_routes_have_the_documented_fields_statuses_and_guards() -> None:
    documented = [
        (
            row["route"].strip("`"),
            set(codes(row["requires"])),
            set(codes(row["takes"])),
            row["response"][:3],
            row["response"].endswith(" Staff"),
        )
        for row in rows(API, "route", "requires", "takes", "response")
    ]
    expected = []
    for route, operation in API_ROUTES.items():
        sent = sent_fields(operation)
        required = {name for name, (_, is_required) in sent.items() if is_required}
        (status,) = (status for status in operation["responses"] if status < "400")
        expected.append((route, required, sent.keys() - required, status, "security" in operation))
    assert sorted(documented) == sorted(expected)


# ---- Fields

PATTERNS = {
    f"^{TIMING}$": "HH:MM",
    f"^{TicketId.pattern}$": "1 to 128 letters, digits, - or _",
    f"^{AdmissionCode.pattern}$": "a code as it is typed or scanned, up to {maxLength} characters",
    "^[ -~]*$": "{minLength} to {maxLength} printable ASCII characters",
}


def value_of(schema: Any) -> str:
    """Return what a field of a request may hold, as the document says it."""
    match schema:
        case {"type": "integer"}:
            return f"{schema['minimum']} to {schema['maximum']}"
        case {"type": "boolean"}:
            return "true or false"
        case {"type": "array", "items": {"type": "integer", "minimum": 1}, "uniqueItems": True}:
            return "a list of different numbers from 1"
        case {"format": "date"}:
            return "YYYY-MM-DD"
        case {"pattern": pattern}:
            return PATTERNS[pattern].format(**schema)
        case {"type": "string", "minLength": least, "maxLength": most}:
            return f"text, {least} to {most} characters"
        case {"type": "string", "minLength": 1}:
            return "text"
    raise AssertionError(schema)


def default_of(schema: Any) -> str:
    found = re.search(r"Default: (.*?)(?: of the timing)?\.(?:\s|$)", schema.get("description", ""))
    return found[1] if found else ""


def test_fields_of_requests_have_the_documented_values_and_defaults() -> None:
    documented: dict[tuple[str, str], tuple[str, str]] = {}  # by field and route; "" is any other
    for row in rows(API, "field", "value", "default"):
        names, _, where = row["field"].partition(" of ")
        for name in codes(names):
            for route in codes(where) or [""]:
                assert (name, route) not in documented
                documented[name, route] = plain(row["value"]), plain(row["default"])
    seen = set()
    for route, operation in API_ROUTES.items():
        for name, (schema, _) in sent_fields(operation).items():
            key = (name, route) if (name, route) in documented else (name, "")
            seen.add(key)
            assert documented[key] == (value_of(schema), default_of(schema)), (route, name)
    assert seen == documented.keys()


def type_of(schema: Any) -> str:
    """Return the type of a field of a response, as the document says it."""
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    or_null = " or null" if "null" in kinds else ""
    match kinds[0], schema.get("format"):
        case "array", _:
            items = schema["items"]
            if "$ref" in items:
                return f"list of {items['$ref'].rpartition('/')[2].lower()}s"
            return f"list of {'text' if items['type'] == 'string' else type_of(items) + 's'}"
        case "string", "date-time":
            return f"instant{or_null}"
        case "string", "date":
            return f"date{or_null}"
        case kind, _:
            return {"string": "text", "integer": "number", "boolean": "boolean"}[kind] + or_null


def types_in(schema: str) -> dict[str, str]:
    properties = OPENAPI["components"]["schemas"][schema]["properties"]
    return {name: type_of(it) for name, it in properties.items()}


@pytest.mark.parametrize(
    ("heading", "schemas"),
    [("Showings", ["SeatPlan"]), ("Tickets", ["Ticket"]), ("The multiplex", ["Screen", "Movie"])],
)
def test_responses_have_the_documented_fields(heading: str, schemas: list[str]) -> None:
    documented: dict[str, str] = {}
    for row in rows(section(API, heading), "field", "type", "meaning"):
        names = codes(row["field"])
        types = plain(row["type"]).split(", ")
        documented |= zip(names, types * len(names) if len(types) == 1 else types, strict=False)
        assert len(types) in (1, len(names))
    expected: dict[str, str] = {}
    for schema in schemas:
        expected |= types_in(schema)
    assert documented == expected


def test_fields_missing_from_lists_are_marked() -> None:
    marked = {
        name
        for row in rows(section(API, "Showings"), "field", "type", "meaning")
        if row["meaning"].endswith("(`GET /seats` only)")
        for name in codes(row["field"])
    }
    assert marked == types_in("SeatPlan").keys() - types_in("Slot").keys()


def test_the_fields_of_a_ticket_at_the_door_are_documented() -> None:
    (listed,) = re.findall(r"as the door needs it: (.*?)\.", section(API, "The door"), re.DOTALL)
    assert codes(listed) == [each.name for each in fields(DoorTicket)]
    assert types_in("DoorTicket").items() <= types_in("Ticket").items()


# ---- Errors


def test_errors_have_the_documented_statuses_codes_and_members() -> None:
    documented = [
        (row["status"], *codes(row["code"]), set(codes(row["with"])))
        for row in rows(section(API, "Errors"), "status", "code", "with", "when")
    ]
    expected = []
    for kind in STATUSES:
        ((status, described),) = documentation([kind]).items()
        expected.append((status, kind.code, kind.example.keys() | described["headers"].keys()))
    assert sorted(documented) == sorted(expected)


# ---- Settings, limits, metrics


def documented_default(setting: Field[Any]) -> str:
    """Return a setting's default as the document shows it."""
    default = setting.default
    if default is MISSING:
        return {"workers": "the cores it may use", "theatre_timezone": "the machine's"}[
            setting.name
        ]
    if setting.name == "show_times":
        first, second, *_, last = default
        return f"{first}, {second} … {last}"
    if setting.name.endswith("_hours"):
        return f"{default.total_seconds() / 3600:g}"
    return "none" if default is None else str(default)


def test_every_setting_is_documented_with_its_default() -> None:
    documented = [
        (plain(row["name"]), plain(row["default"]), plain(row["value"]))
        for row in rows(SETTINGS, "name", "default", "value", "meaning")
    ]
    assert documented == [
        (each.name.upper(), documented_default(each), each.metadata["right"])
        for each in fields(Settings)
    ]


def test_defaults_repeated_elsewhere_are_right() -> None:
    defaults = {each.name.upper(): documented_default(each) for each in fields(Settings)}
    named = re.findall(r"`([A-Z_]+)` \((.*?)\)", API)
    assert len(named) > 4
    for setting, default in named:
        assert plain(default) == defaults[setting]


def test_client_options_are_as_documented() -> None:
    table = rows(OPERATIONS, "setting", "why")
    named = dict(re.findall(r"`(\w+)=(\w+)`", " ".join(row["setting"] for row in table)))
    assert len(named) == 5
    assert named == {name: str(mongodb_client._OURS[name]) for name in named}


def size(octets: int) -> str:
    return f"{octets} bytes" if octets % 1024 else f"{octets // 1024} KiB"


def test_limits_are_as_documented() -> None:
    mongodb = open_client("mongodb://localhost")
    table = rows(OPERATIONS, "limit", "of", "beyond it")
    assert [(plain(row["limit"]), row["of"]) for row in table] == [
        (size(limits.MAX_BODY_BYTES), "a body"),
        (f"{limits.MAX_CHUNKS} chunks", "a body whose length is not known"),
        (f"{limits.BODY_SECONDS} s", "for a body to arrive"),
        (size(limits.REQUEST_LINE_BYTES), "the request line"),
        (f"{limits.HEADERS} headers", "a request"),
        (size(limits.HEADER_BYTES), "each header"),
        (size(limits.ALL_HEADERS_BYTES), "the request line and all headers together"),
        (size(limits.TRAILERS_BYTES), "all trailers of a body together"),
        (f"{limits.UNKNOWN_FIELDS_NAMED} fields", "those that an error names as unknown"),
        (
            f"{limits.HEADER_SECONDS} s",
            "for all headers to arrive, and between requests on a connection",
        ),
        (
            f"{limits.READER_SECONDS} s",
            "for a client to take a response, or the next part of a file",
        ),
        (size(2 * limits.UNREAD_BYTES), "an unread response, in the kernel"),
        (f"{limits.LINGER_SECONDS} s", "for a client to read why it was refused"),
        (
            f"{limits.MAX_CONNECTIONS}, or half the files that it may open",
            "connections to a worker",
        ),
        (f"{limits.BACKLOG}", "connections that wait to be accepted"),
        (
            f"{batching.PATIENCE_SECONDS:g} s",
            "waiting for a round trip to MongoDB that others use",
        ),
        (f"{mongodb.options.timeout:g} s", "an operation of MongoDB, with its retries"),
        ("RATE_LIMIT", "requests of a client"),
    ]


BOOKING = {"name": "Asha Rao", "phone": "98765 43210", "timing": "12:00", "amount": 2}


@pytest.fixture
def client() -> FlaskClient:
    """A client of a theatre whose doors are always open."""
    settings = Settings.from_environ({"ADMISSION_HOURS": "8760", "THEATRE_TIMEZONE": "UTC"})
    return create_app(mongomock.MongoClient()["docs"], settings=settings).test_client()


def test_metrics_are_as_documented(client: FlaskClient) -> None:
    ticket = client.post("/booktickets", json=BOOKING).json
    client.post("/admissions", json={"admission_code": ticket["admission_code"]})
    client.get("/nowhere")
    exposed = client.get("/metrics").text
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*)\})? ", exposed, re.MULTILINE):
        found.setdefault(re.sub("_(bucket|count|sum)$", "", name), set()).update(
            set(re.findall(r'(\w+)="', labels)) - {"le"}
        )
    documented = {
        codes(row["metric"])[0]: set(codes(row["labels"]))
        for row in rows(OPERATIONS, "metric", "labels", "counts")
    }
    assert documented == found


def test_indexes_are_as_documented(mongod_client: MongoClient[Any]) -> None:
    database = mongod_client["docs"]
    settings = Settings.from_environ({"RATE_LIMIT": "9 per minute", "THEATRE_TIMEZONE": "UTC"})
    client = create_app(database, settings=settings).test_client()
    client.post("/api/screens", json={"seats": 20})
    client.post("/api/movies", json={"screen": 1})
    documented = sorted(
        (collection, codes(row["index on"]), row["kind"])
        for row in rows(OPERATIONS, "collection", "index on", "kind", "guards", "serves")
        for collection in codes(row["collection"])
    )
    found = sorted(
        (name, [field for field, _ in index["key"]], kind_of(index))
        for name in database.list_collection_names(filter={"name": {"$ne": "rate_limit_windows"}})
        for index in database[name].index_information().values()
    )
    assert documented == found


def kind_of(index: Any) -> str:
    is_unique = index.get("unique") or index["key"] == [("_id", 1)]
    kinds = {"unique": is_unique, "sparse": "sparse" in index, "TTL": "expireAfterSeconds" in index}
    return ", ".join(kind for kind, applies in kinds.items() if applies)


# ---- Architecture


def files_entered(client: FlaskClient, path: str, body: Any) -> list[str]:
    """Return the files of the package in the order in which a request first enters them."""
    folder = str(Path(package.__file__).parent)
    entered: dict[str, None] = {}

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(folder):
            entered[frame.f_code.co_filename[len(folder) + 1 :]] = None

    sys.setprofile(note)
    try:
        response = client.post(path, json=body, headers={"Idempotency-Key": f"of {path}"})
    finally:
        sys.setprofile(None)
    assert response.status_code < 300
    return list(entered)


def test_requests_pass_through_the_documented_files(client: FlaskClient) -> None:
    client.post("/api/screens", json={"seats": 20})
    client.post("/api/movies", json={"screen": 1, "showtime": "12:00"})
    client.put("/api/tickets", json={"movie": 1})
    ticket = client.post("/booktickets", json=BOOKING).json
    code = {"admission_code": ticket["admission_code"]}
    requests = {
        "/booktickets": BOOKING,
        "/api/tickets": {"movie": 1},
        "/admissions": code,
    }
    parse_phone.cache_clear()
    documented = {
        plain(row["request"]): codes(row["files"]) for row in rows(ARCHITECTURE, "request", "files")
    }
    shared = documented.pop("every request")
    for path, body in requests.items():
        entered = files_entered(client, path, body)
        assert set(shared) <= set(entered)
        assert documented.pop(f"POST {path}") == [name for name in entered if name not in shared]
    assert not documented


# ---- Examples

VARIES = {"ticket_id", "admission_code", "date"}
VARIES |= {"showing_at", "expires_at", "booked_at", "admitted_at"}


def steady(document: Any) -> Any:
    """Return a response without the values that differ from run to run."""
    if isinstance(document, list):
        return [steady(each) for each in document]
    if isinstance(document, dict):
        return {
            name: name if it and name in VARIES else steady(it) for name, it in document.items()
        }
    return document


def documents_in(text: str) -> Iterator[Any]:
    """Yield each line that is JSON; of a list that is cut short, what is there."""
    for line in text.splitlines():
        if line.startswith(("{", "[")):
            yield steady(json.loads(line.replace(", …]", "]")))


@pytest.mark.long
def test_the_curl_examples_work(tmp_path: Path) -> None:
    if not shutil.which("curl"):
        if os.environ.get("CI"):
            pytest.fail("curl is missing")
        pytest.skip("needs curl")
    text = "".join(
        (
            section(API, "A curl walkthrough"),
            section(README, "The first booking"),
            section(API, "Errors"),
            section(API, "Retries"),
        )
    )
    examples = re.findall(r"^```sh\n(.*?)^```\n(?:```json\n(.*?)^```\n)?", text, re.DOTALL | re.M)
    environ = {"THEATRE_TIMEZONE": "Asia/Kolkata", "ADMISSION_HOURS": "200", "WORKERS": "1"}
    with running_service(tmp_path / "data", environ=environ) as service:
        script = "\necho; echo ----\n".join(commands for commands, _ in examples)
        script = script.replace("127.0.0.1:5000", f"{HOST}:{service.port}")
        done = subprocess.run(
            ["bash", "-eu", "-o", "pipefail", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    outputs = done.stdout.split("\n----\n")
    assert len(outputs) == len(examples) > 15
    refused = []
    for (commands, shown), output in zip(examples, outputs, strict=True):
        responses = list(documents_in(output))
        refused += [each["code"] for each in responses if "code" in each]
        if shown:
            documented = list(documents_in(shown))
            if "…" in shown:
                responses = [responses[0][:1]]
            assert responses[-len(documented) :] == documented, commands
    assert refused == ["seat_taken", "already_admitted", "invalid_request"]
    assert (tmp_path / "ticket.svg").read_text().startswith("<?xml")


def test_the_mongomock_example_works() -> None:
    (program,) = re.findall(r"^```python\n(.*?)^```", API, re.DOTALL | re.MULTILINE)
    exec(program, {})


# ---- Versions, and the Postman collection


def test_the_changelogs_newest_version_is_the_services() -> None:
    assert re.findall(r"^## (\S+)", CHANGELOG, re.MULTILINE)[0] == VERSION


def requests_in(folder: Any) -> Iterator[str]:
    """Yield the method and the path of each request of a Postman folder."""
    for item in folder["item"]:
        if "item" in item:
            yield from requests_in(item)
        else:
            request = item["request"]
            path = request["url"]["raw"].removeprefix("{{base_url}}").partition("?")[0]
            yield f"{request['method']} {path}"


def test_the_postman_collection_covers_every_route_but_the_pages() -> None:
    def anonymous(route: str) -> str:
        return re.sub(r"\{+\w+\}+", "{}", route)

    covered = set(map(anonymous, requests_in(json.loads(COLLECTION))))
    pages = {"GET /door", "GET /multiplex", "GET /docs/"}
    assert set(map(anonymous, ROUTES)) - pages <= covered
