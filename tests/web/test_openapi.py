"""The OpenAPI document: valid, complete, with examples that work."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator
from pymongo.database import Database

from app.multiplex.service import Movie, Screen
from app.tickets.views import DoorTicket, SeatPlan, Slot, Ticket
from app.web.refusals import STATUSES
from tests.helpers import ASHA, book

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture
def database(mongomock_database: Database[Any]) -> Database[Any]:
    """The document is the same on any database."""
    return mongomock_database


@pytest.fixture
def document(client: FlaskClient) -> Any:
    answer = client.get("/openapi.json")
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    return answer.json


def operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (path, method, operation)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]


def test_the_document_is_valid(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(document).validate()


def test_the_version_is_the_projects(document: Any) -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert document["info"]["version"] == project["version"]


def test_every_route_is_documented(client: FlaskClient, document: Any) -> None:
    routes = {
        (re.sub("<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule), method.lower())
        for rule in client.application.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if not rule.endpoint.startswith(("documentation.", "pages."))
    }
    assert routes == {(path, method) for path, method, _ in operations(document)}


def test_every_operation_has_a_unique_id_a_summary_and_a_tag(document: Any) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(names)) == len(names)
    for _, _, operation in operations(document):
        assert operation["summary"]
        assert operation["tags"]
    assert {tag["name"] for tag in document["tags"]} == {
        tag for _, _, operation in operations(document) for tag in operation["tags"]
    }


def test_every_error_is_problem_json_and_every_code_is_named(document: Any) -> None:
    named = set()
    for _, _, operation in operations(document):
        assert {"405", "500", "503"} <= operation["responses"].keys()
        for status, response in operation["responses"].items():
            assert "X-Request-Id" in response["headers"]
            if int(status) >= 400:
                (content,) = response["content"].items()
                assert content[0] == "application/problem+json"
                named |= content[1]["examples"].keys()
    # An unknown address belongs to no operation.
    assert named == {kind.code for kind in STATUSES} - {"not_found"}
    assert set(document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"]) == {
        kind.code for kind in STATUSES
    }


def test_everything_documented_exists(document: Any) -> None:
    assert not {"Error", "PaginationMetadata"} & document["components"]["schemas"].keys()


def test_headers_are_documented(document: Any) -> None:
    for _, _, operation in operations(document):
        responses = operation["responses"]
        assert "Allow" in responses["405"]["headers"]
        assert "Retry-After" in responses["503"]["headers"]
    with_key = {
        path
        for path, _, operation in operations(document)
        for parameter in operation.get("parameters", ())
        if parameter.get("name") == "Idempotency-Key"
    }
    assert with_key == {"/booktickets", "/tickets", "/api/tickets", "/admissions"}
    assert "Location" in document["paths"]["/booktickets"]["post"]["responses"]["201"]["headers"]
    item = document["paths"]["/tickets/{ticket_id}"]
    for method in ("patch", "delete"):
        assert "Ticket-Phone" in [parameter["name"] for parameter in item[method]["parameters"]]


def test_request_examples_work(client: FlaskClient, document: Any) -> None:
    order = ["/api/screens", "/api/movies", "/api/movies/{movie}", "/api/tickets", "/booktickets"]
    order += ["/viewontime", "/viewuser", "/update", "/tickets/{ticket_id}", "/delete", "/tickets"]
    order += ["/admissions", "/admissions/{admission_code}"]
    ticket = book(client, amount=4, timing="09:00")
    visitor = book(client, amount=4, timing="16:00")  # whose door is open
    # Nobody can know these beforehand.
    known = {"ticket_id": ticket["ticket_id"], "admission_code": visitor["admission_code"]}
    sent = set()
    for path in order:
        for method in ("patch", "put", "post"):
            operation = document["paths"][path].get(method)
            if operation:
                body = operation["requestBody"]["content"]["application/json"]["example"]
                body |= {name: known[name] for name in body.keys() & known.keys()}
                if path == "/tickets":
                    body["timing"] = "20:00"  # as its example and that of /booktickets are equal
                answer = client.open(
                    path.format(movie=1, **known),
                    method=method,
                    json=body,
                    headers={"Ticket-Phone": ASHA["phone"]} if "/tickets/" in path else {},
                )
                assert answer.status_code < 300, (path, answer.json)
                documented = operation["responses"][str(answer.status_code)]["content"]
                example = documented["application/json"]["example"]
                assert_alike(answer.json, example)
                sent.add((path, method))
    assert sent == {
        (path, method)
        for path, method, operation in operations(document)
        if "requestBody" in operation
    }


def test_lists_match_their_examples(client: FlaskClient, document: Any) -> None:
    book(client)
    client.post("/api/screens", json={"seats": 5})
    client.post("/api/movies", json={"screen": 1, "title": "Sholay"})
    for path in (
        "/",
        "/seats?timing=18:00",
        "/seats?movie=1",
        "/tickets?timing=18:00",
        "/api/screens",
        "/api/movies",
    ):
        operation = document["paths"][path.partition("?")[0]]["get"]
        listed = client.get(path).json
        assert listed
        assert_alike(
            listed, operation["responses"]["200"]["content"]["application/json"]["example"]
        )


def assert_alike(answer: Any, example: Any) -> None:
    """Responses are what the services return, and nothing else holds them to the schema."""
    if isinstance(example, list):
        for each in answer:
            assert_alike(each, example[0])
    elif isinstance(example, dict):
        assert answer.keys() == example.keys()
        for name in example:
            assert_alike(answer[name], example[name])
    elif answer is not None and example is not None:
        assert type(answer) is type(example)


def test_every_response_has_an_example_with_all_its_fields(document: Any) -> None:
    schemas = document["components"]["schemas"]
    for path, _, operation in operations(document):
        for status, response in operation["responses"].items():
            content = response.get("content", {}).get("application/json")
            if content:
                schema, example = content["schema"], content["example"]
                if schema.get("type") == "array":
                    schema, example = schema["items"], example[0]
                fields = schemas[schema["$ref"].rpartition("/")[2]]["properties"]
                assert example.keys() == fields.keys(), (path, status)


@pytest.mark.parametrize("kind", [Ticket, DoorTicket, Slot, SeatPlan, Movie, Screen])
def test_response_fields_are_required_and_nullable_ones_are_marked(
    document: Any, kind: type
) -> None:
    schema = document["components"]["schemas"][kind.__name__]
    types = get_type_hints(kind)
    assert set(schema["required"]) == schema["properties"].keys() == types.keys()
    for name, described in schema["properties"].items():
        assert ("null" in described["type"]) is (type(None) in get_args(types[name])), name


def test_limits_of_a_request_are_documented(document: Any) -> None:
    booking = document["components"]["schemas"]["Booking"]["properties"]
    assert booking["name"]["minLength"] == booking["phone"]["minLength"] == 1
    assert (booking["seats"]["minItems"], booking["seats"]["uniqueItems"]) == (1, True)
    assert booking["seats"]["items"]["minimum"] == booking["seat"]["minimum"] == 1


def test_a_fields_description_is_documented(document: Any) -> None:
    admitted = document["components"]["schemas"]["Ticket"]["properties"]["admitted"]
    assert admitted["description"] == "How many of its people are in."


def test_the_docs_page_loads_local_files_only(client: FlaskClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert page.content_type == "text/html; charset=utf-8"
    files = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(files) >= 4
    for file in files:
        assert file.startswith("/docs/")
        assert client.get(file, buffered=True).status_code == 200
