"""Every failure is problem+json, and reveals nothing that it should not."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo import errors as pymongo_errors
from pymongo.database import Database
from werkzeug.test import create_environ, run_wsgi_app

from app.config import Settings
from app.mongodb.batching import BatchLost
from app.multiplex.store import Catalogue
from app.tickets.store import TicketStore
from tests.helpers import assert_refused


@pytest.fixture
def database(mongomock_database: Database[Any]) -> Database[Any]:
    """The failures are made up, so one kind of database is enough."""
    return mongomock_database


OUTAGES = [
    pymongo_errors.AutoReconnect("secret"),
    pymongo_errors.ServerSelectionTimeoutError("secret"),
    pymongo_errors.NotPrimaryError("secret"),
    pymongo_errors.NetworkTimeout("secret"),
    pymongo_errors.WaitQueueTimeoutError("secret"),
    pymongo_errors.ExecutionTimeout("secret", 50),
    pymongo_errors.WTimeoutError("secret", 64),
    pymongo_errors.OperationFailure("secret", 91),
    pymongo_errors.OperationFailure("secret", 11600),
    pymongo_errors.OperationFailure("secret", 13),  # rights withdrawn
    pymongo_errors.OperationFailure("secret", 18),  # password changed
    pymongo_errors.OperationFailure("secret", 175),  # collection dropped under a query
    pymongo_errors.WriteError("secret", 121),  # a validator that somebody has set
    pymongo_errors.OperationFailure("secret", 999_999),  # of a MongoDB to come
    pymongo_errors.ConfigurationError("secret"),  # a name that DNS does not know
    pymongo_errors.OperationFailure(  # a standalone that has just gone away
        "secret: This MongoDB deployment does not support retryable writes.", 20
    ),
    pymongo_errors.BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 91}]}),
]
BUGS = [
    ValueError("secret"),
    KeyError("secret"),
    RecursionError("secret"),
    pymongo_errors.DuplicateKeyError("secret", 11000),
    pymongo_errors.InvalidOperation("secret"),
]
REQUESTS: list[Callable[[FlaskClient], Any]] = [
    lambda client: client.get("/"),
    lambda client: client.get("/seats?timing=18:00"),
    lambda client: client.post("/admissions", json={"admission_code": "A" * 12}),
    lambda client: client.put("/admissions/AAAAAAAAAAAA", json={"admitted": 1}),
    lambda client: client.delete("/admissions/AAAAAAAAAAAA"),
    lambda client: client.get("/tickets?date=2046-11-22"),
    lambda client: client.get("/api/screens"),
    lambda client: client.get("/api/movies"),
    lambda client: client.get("/seats?movie=1"),
    lambda client: client.post("/api/screens", json={"seats": 5}),
    lambda client: client.post("/api/movies", json={"screen": 1}),
    lambda client: client.patch("/api/movies/1", json={"on_sale": False}),
    lambda client: client.delete("/api/movies/1"),
    lambda client: client.put("/api/tickets", json={"movie": 1}),
    lambda client: client.post("/api/tickets", json={"movie": 1}),
    lambda client: client.post("/viewuser", json={"ticket_id": "A" * 22}),
    lambda client: client.post("/viewontime", json={"timing": "18:00"}),
    lambda client: client.post("/delete", json={"ticket_id": "A" * 22, "phone": "98765 43210"}),
    lambda client: client.post(
        "/booktickets", json={"name": "Asha", "phone": "98765 43210", "timing": "18:00"}
    ),
    lambda client: client.post(
        "/update", json={"ticket_id": "A" * 22, "phone": "98765 43210", "timing_alter": "18:00"}
    ),
    lambda client: client.get(f"/tickets/{'A' * 34}"),
    lambda client: client.get(f"/tickets/{'A' * 34}/qr.svg"),
    lambda client: client.patch(f"/tickets/{'A' * 34}", json={"timing": "18:00"}),
    lambda client: client.delete(f"/tickets/{'A' * 34}"),
]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], None]:
    def fail_with(error: Exception) -> None:
        def fail(*args: object, **kwargs: object) -> None:
            raise error

        for store in (TicketStore, Catalogue):
            for name, method in vars(store).items():
                if callable(method) and not name.startswith("_"):
                    monkeypatch.setattr(store, name, fail)

    return fail_with


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("outage", OUTAGES, ids=lambda error: type(error).__name__)
@pytest.mark.slow
def test_an_outage_of_mongodb_is_503(
    client: FlaskClient, failing: Callable[[Exception], None], request_: Any, outage: Exception
) -> None:
    failing(outage)
    answer = request_(client)
    refused = assert_refused(answer, 503, "database_unavailable")
    assert refused["retryable"] is True
    assert int(answer.headers["Retry-After"]) > 0
    assert "secret" not in answer.text


def test_an_overloaded_service_responds_with_503(
    client: FlaskClient, failing: Callable[[Exception], None]
) -> None:
    failing(BatchLost())
    answer = client.get("/")
    refused = assert_refused(answer, 503, "overloaded")
    assert refused["retryable"] is True
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("bug", BUGS, ids=lambda error: type(error).__name__)
@pytest.mark.slow
def test_a_bug_is_logged_but_not_shown(
    client: FlaskClient,
    failing: Callable[[Exception], None],
    log: Callable[[], list[Any]],
    request_: Any,
    bug: Exception,
) -> None:
    failing(bug)
    answer = request_(client)
    assert_refused(answer, 500, "internal_error")
    assert "secret" not in answer.text
    error, _ = log()
    assert "secret" not in str(error)
    assert type(bug).__name__ in error["message"]
    assert error["request_id"] == answer.headers["X-Request-Id"]
    assert "in fail" in error["traceback"]


@pytest.mark.parametrize("path", ["/nope", "/booktickets/", "/tickets//x", "/update/x", "/%ff"])
def test_an_unknown_address_is_not_found(client: FlaskClient, path: str) -> None:
    as_it_is = {"PATH_INFO": path}  # the test client would read // as the start of a host name
    assert_refused(client.get("/", environ_overrides=as_it_is), 404, "not_found")
    assert_refused(client.options("/", environ_overrides=as_it_is), 404, "not_found")
    posted = client.post("/", data=b"x" * 50_000, environ_overrides=as_it_is)
    assert_refused(posted, 413, "payload_too_large")


def test_a_body_over_the_limit_is_refused_even_if_no_route_reads_it(client: FlaskClient) -> None:
    for method, path in (("GET", "/"), ("DELETE", "/tickets/nope"), ("PUT", "/update")):
        answer = client.open(path, method=method, data=b" " * 20_000)
        assert_refused(answer, 413, "payload_too_large")


@pytest.mark.parametrize("proxies", [0, 1])
def test_an_empty_path_is_the_root(
    database: Database[Any],
    settings: Settings,
    shared_app: Callable[..., Flask],
    proxies: int,
) -> None:
    # As in `GET http://host HTTP/1.1` (RFC 9110, 4.2.3). The test client would complete the path.
    app = shared_app(database, settings=replace(settings, trusted_proxies=proxies))
    environ = create_environ("/", headers={"X-Forwarded-Prefix": "/box"} if proxies else {})
    environ["PATH_INFO"] = ""
    body, status, headers = run_wsgi_app(app, environ)
    assert (status, headers["Content-Type"]) == ("200 OK", "application/json")
    assert len(json.loads(b"".join(body))) == len(settings.show_times)


@pytest.mark.parametrize("path", ["/booktickets", "/update", "/delete", "/viewontime", "/viewuser"])
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_a_wrong_method_is_refused_with_the_allowed_ones(
    client: FlaskClient, path: str, method: str
) -> None:
    answer = client.open(path, method=method)
    assert_refused(answer, 405, "method_not_allowed")
    assert "POST" in answer.headers["Allow"]


def test_options_does_not_return_html(client: FlaskClient) -> None:
    answer = client.options("/booktickets")
    assert "POST" in answer.headers["Allow"]
    assert "Content-Type" not in answer.headers


def test_head_is_get_without_a_body(client: FlaskClient) -> None:
    answer = client.head("/")
    assert (answer.status_code, answer.data) == (200, b"")


@pytest.mark.parametrize("given", ["abc-123_x.y", "x" * 64])
def test_a_well_formed_request_id_is_kept(client: FlaskClient, given: str) -> None:
    answer = client.get("/nope", headers={"X-Request-Id": given})
    assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "<script>", "ä"])
def test_a_malformed_request_id_is_replaced(client: FlaskClient, given: str) -> None:
    made = client.get("/", headers={"X-Request-Id": given}).headers["X-Request-Id"]
    assert made
    assert made != given


def test_a_request_that_waits_too_long_for_others_gets_503(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody made up this error: a read hangs, and the next one waits for it."""
    store: TicketStore = client.application.extensions["tickets"]._store
    hangs, may_end = threading.Event(), threading.Event()
    find_all = store._find._run

    def hang(ticket_ids: list[str]) -> Any:
        hangs.set()
        assert may_end.wait(10)
        return find_all(ticket_ids)

    monkeypatch.setattr(store._find, "_run", hang)
    monkeypatch.setattr(store._find, "_patience", 0.01)
    first = threading.Thread(target=store.get, args=["A" * 34])
    first.start()
    try:
        assert hangs.wait(10)
        answer = client.get(f"/tickets/{'A' * 34}")
    finally:
        may_end.set()
        first.join()
    assert assert_refused(answer, 503, "overloaded")["retryable"] is True
    assert client.get(f"/tickets/{'A' * 34}").status_code == 404
