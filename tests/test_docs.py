"""The documents name every setting with its default, every route, every field and error code."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any

import mongomock
import pytest

from app import create_app
from app.config import Settings
from app.multiplex.service import Movie, Screen
from app.tickets.views import DoorTicket, SeatPlan, Ticket
from app.web.openapi import VERSION
from app.web.refusals import STATUSES

PROJECT = Path(__file__).parent.parent
README, API, SETTINGS, CHANGELOG, COLLECTION = (
    (PROJECT / name).read_text()
    for name in (
        "README.md",
        "docs/api.md",
        "docs/settings.md",
        "CHANGELOG.md",
        "docs/postman/box-office.postman_collection.json",
    )
)
APP = create_app(mongomock.MongoClient()["docs"])
# Without the files that a page loads, which are its own affair.
ROUTES = {
    f"{method} " + re.sub("<(?:[^>]*:)?(.*?)>", r"{\1}", rule.rule)
    for rule in APP.url_map.iter_rules()
    if "<path:filename>" not in rule.rule
    for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
}
ASSIGNMENT = {
    "GET /",
    "POST /booktickets",
    "POST /update",
    "POST /delete",
    "POST /viewontime",
    "POST /viewuser",
}


def section(document: str, heading: str) -> str:
    pattern = rf"^## {heading}\n(.*?)(?=^## |\Z)"
    found: list[str] = re.findall(pattern, document, re.DOTALL | re.MULTILINE)
    assert len(found) == 1
    return found[0]


def described_fields(text: str) -> set[str]:
    """Return the names in the first column of the tables of fields."""
    (*_, table) = re.findall(r"^\| field \| meaning \|\n.*?(?=^$)", text, re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    return {name for row in rows for name in re.findall("`(.*?)`", row)}


def names(kind: Any) -> set[str]:
    return {each.name for each in fields(kind)}


def documented_default(setting: Field[Any]) -> str:
    """Return a setting's default as the document shows it."""
    default = setting.default
    if default is MISSING:
        return {"workers": "the cores it may use", "theatre_timezone": "the machine's"}[
            setting.name
        ]
    if setting.name == "show_times":
        first, second, *_, last = default
        return f"`{first}`, `{second}` … `{last}`"
    if setting.name.endswith("_hours"):
        return f"{default.total_seconds() / 3600:g}"
    if default is None:
        return "none"
    return str(default) if isinstance(default, int) else f"`{default}`"


@pytest.mark.parametrize("setting", fields(Settings), ids=lambda setting: setting.name)
def test_every_setting_is_documented_with_its_default(setting: Field[Any]) -> None:
    rows = re.findall(rf"^\| `{setting.name.upper()}` \| (.*?) \|", SETTINGS, re.MULTILINE)
    assert rows == [documented_default(setting)]


def test_every_error_code_is_documented_with_its_status() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", section(API, "Errors"), re.MULTILINE)
    assert sorted(rows) == sorted(
        (str(status.value), kind.code) for kind, status in STATUSES.items()
    )


def test_every_route_is_documented() -> None:
    documented = set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`?]*)`", API))
    assert documented == ROUTES


def test_the_readme_names_the_assignments_routes_and_no_unknown_ones() -> None:
    table = set(re.findall(r"^\| `(\w+ .*?)` \|", README, re.MULTILINE))
    assert table == ASSIGNMENT
    assert set(re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`]*)`", README)) <= ROUTES


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("Showings", names(SeatPlan)),
        ("Tickets", names(Ticket)),
        ("The multiplex", names(Screen) | names(Movie)),
    ],
)
def test_every_field_is_documented(heading: str, expected: set[str]) -> None:
    assert described_fields(section(API, heading)) == expected


def test_the_fields_of_a_ticket_at_the_door_are_documented() -> None:
    (listed,) = re.findall(r"as the door needs it: (.*?)\.", section(API, "The door"), re.DOTALL)
    assert set(re.findall("`(.*?)`", listed)) == names(DoorTicket)


def test_the_newest_version_in_the_changelog_is_the_services() -> None:
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
