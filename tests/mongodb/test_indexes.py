"""Indexes that are lost, or cannot be created, while the service runs; most on a real MongoDB."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pymongo
import pymongo.errors
import pytest
from flask.testing import FlaskClient
from pymongo import IndexModel
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import AutoReconnect, DuplicateKeyError, OperationFailure, PyMongoError

from app import create_app
from app.config import Settings
from app.mongodb.client import UNAUTHORIZED
from app.mongodb.embedded import EmbeddedMongoDB
from app.mongodb.indexes import Indexes, IndexesUnavailable
from tests.conftest import Clock
from tests.helpers import ASHA, assert_refused, book
from tests.running import wait_until

TWICE = {"timing": "18:00", "date": "2046-11-22", "seat": [1, 2]}


@pytest.fixture
def database(mongod_database: Database[Any]) -> Iterator[Database[Any]]:
    yield mongod_database
    mongod_database["tickets"].delete_many({})


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every request looks at the indexes, as if 2 s had passed."""
    monkeypatch.setattr("app.mongodb.indexes.MAX_AGE_SECONDS", 0)


def indexes_of(database: Database[Any]) -> set[str]:
    return set(database["tickets"].index_information()) - {"_id_"}


SEATS = "screen_1_timing_1_date_1_seat_1"
ALL = {SEATS, "request.key_1", "showing_at_1"}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("loss", ["drop_database", "drop_collection", "drop_indexes"])
def test_dropped_indexes_are_recreated_before_the_next_booking(
    client: FlaskClient, database: Database[Any], loss: str
) -> None:
    book(client)
    if loss == "drop_database":
        database.client.drop_database(database)
    elif loss == "drop_collection":
        database.drop_collection("tickets")
    else:
        database["tickets"].drop_indexes()
    book(client)
    assert indexes_of(database) == ALL


def test_a_showing_whose_collection_was_dropped_is_not_oversold(
    client: FlaskClient, database: Database[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    book(client)
    database.drop_collection("tickets")
    # The time that a loss may go unnoticed.
    monkeypatch.setattr("app.mongodb.indexes.MAX_AGE_SECONDS", 0.001)

    def buy(_: int) -> int:
        body = {**ASHA, "timing": "18:00"}
        return client.application.test_client().post("/booktickets", json=body).status_code

    with ThreadPoolExecutor(16) as pool:
        statuses = list(pool.map(buy, range(80)))
    assert statuses.count(201) == 20
    assert set(statuses) == {201, 409}


@pytest.mark.usefixtures("impatient")
def test_nothing_is_sold_until_duplicates_are_removed(
    client: FlaskClient, database: Database[Any], log: Callable[[], list[Any]]
) -> None:
    ticket = book(client)
    database["tickets"].drop_indexes()
    stored = database["tickets"].find_one({})
    assert stored
    database["tickets"].insert_one({**stored, "_id": "B" * 12})

    body = {**ASHA, "timing": "18:00"}
    for chosen in ({}, {"seat": 7}, {}):
        answer = client.post("/booktickets", json={**body, **chosen})
        assert_refused(answer, 503, "database_unavailable")
    move = {"ticket_id": ticket["ticket_id"], "phone": ASHA["phone"], "timing_alter": "20:00"}
    assert_refused(client.post("/update", json=move), 503, "database_unavailable")
    assert_refused(client.get("/health/ready"), 503, "database_unavailable")
    (warning,) = [line for line in log() if line["level"] == "WARNING"]
    assert "duplicate key" in warning["message"]
    assert SEATS in warning["message"]
    assert "Asha" not in str(warning)

    # They can be seen, and be deleted, through the service.
    assert len(client.post("/viewontime", json={"timing": "18:00"}).json or []) == 2
    duplicate = {"ticket_id": "B" * 12 + stored["secret"], "phone": ASHA["phone"]}
    assert client.post("/delete", json=duplicate).status_code == 200
    book(client)
    assert client.get("/health/ready").status_code == 200
    assert indexes_of(database) == ALL


def test_the_start_survives_indexes_that_mongodb_refuses(
    mongod: EmbeddedMongoDB,
    database: Database[Any],
    settings: Settings,
    clock: Clock,
    log: Callable[[], list[Any]],
) -> None:
    database.drop_collection("tickets")
    database["tickets"].insert_many([dict(TWICE), dict(TWICE)])
    here = replace(settings, mongodb_uri=mongod.uri, mongodb_database=database.name)
    client = create_app(settings=here, clock=clock).test_client()
    (warning,) = log()
    assert "duplicate key" in warning["message"]
    assert_refused(
        client.post("/booktickets", json={**ASHA, "timing": "18:00"}), 503, "database_unavailable"
    )
    database["tickets"].delete_many({})

    def warnings() -> list[str]:
        return [line["message"] for line in log() if line["level"] == "WARNING"]

    def is_over() -> bool:
        return client.get("/health/ready").status_code == 200 and len(warnings()) > 1

    wait_until(is_over, seconds=5)
    book(client)
    assert warnings()[1:] == ["MongoDB is available again"]


KEY = IndexModel("request.key", unique=True, sparse=True)


def indexes_that_expire(
    database: Database[Any], hours: float, started_at: float | None = None
) -> Indexes:
    expiry = ("showing_at", timedelta(hours=hours))
    return Indexes(database["tickets"], unique=[KEY], expiry=expiry, started_at=started_at)


def expiry_seconds(database: Database[Any]) -> int:
    seconds: int = database["tickets"].index_information()["showing_at_1"]["expireAfterSeconds"]
    return seconds


@pytest.mark.usefixtures("impatient")
def test_the_service_that_started_last_sets_the_expiry(database: Database[Any]) -> None:
    eight, nine = (indexes_that_expire(database, hours) for hours in (8, 9))
    # As when MongoDB was away at the start of the first.
    for indexes in (nine, eight, nine, eight):
        indexes.ensure()
        assert expiry_seconds(database) == 9 * 3600
    database["tickets"].drop_indexes()
    eight.ensure()  # the first to notice
    assert expiry_seconds(database) == 9 * 3600


@pytest.mark.usefixtures("impatient")
def test_a_replacement_worker_does_not_count_as_a_start(database: Database[Any]) -> None:
    indexes_that_expire(database, 8, started_at=time.time()).ensure()
    indexes_that_expire(database, 9).ensure()
    indexes_that_expire(database, 8, started_at=time.time() - 60).ensure()
    assert expiry_seconds(database) == 9 * 3600


@pytest.mark.usefixtures("impatient")
def test_a_start_recorded_by_a_fast_clock_does_not_count(database: Database[Any]) -> None:
    database["starts"].insert_one(
        {"_id": "tickets", "started_at": time.time() + 1e7, "expire_after_seconds": 60}
    )
    nine = indexes_that_expire(database, 9)
    nine.ensure()
    assert expiry_seconds(database) == 9 * 3600
    # Nor does that of a service which still runs, and whose clock was ahead at its start.
    nine._started_at += 1e7
    nine.ensure()
    eight = indexes_that_expire(database, 8)
    for indexes in (eight, nine):
        indexes.ensure()
        assert expiry_seconds(database) == 8 * 3600


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("skew", [-61, 61, 40 * 24 * 3600])
def test_nothing_is_removed_while_clocks_disagree(
    database: Database[Any], log: Callable[[], list[Any]], skew: float
) -> None:
    ahead = [0.0]
    expiry = ("showing_at", timedelta(hours=8))
    indexes = Indexes(
        database["tickets"], unique=[KEY], expiry=expiry, clock=lambda: time.time() - ahead[0]
    )
    for ahead[0], seconds in ((skew, 2**31 - 1), (0, 8 * 3600), (skew, 2**31 - 1), (0, 8 * 3600)):
        for _ in range(2):
            indexes.ensure()
            assert expiry_seconds(database) == seconds
    logged = [line["message"] for line in log()]
    assert [text.startswith("MongoDB's clock says 20") for text in logged] == [True, False] * 2
    assert logged[0].endswith("until they agree, no expired tickets are removed")
    assert logged[1] == "The clocks of MongoDB and of this machine agree again"


@pytest.mark.usefixtures("impatient")
def test_without_the_privilege_to_suspend_removal_a_warning_is_logged_and_bookings_continue(
    database: Database[Any], log: Callable[[], list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "collMod":
            raise OperationFailure("not authorized", UNAUTHORIZED)
        return run(name, *arguments, **options)

    ahead = [0.0]
    expiry = ("showing_at", timedelta(hours=8))
    collection = database["tickets"]
    run = collection.database.command
    monkeypatch.setattr(collection.database, "command", refuse)
    indexes = Indexes(collection, unique=[KEY], expiry=expiry, clock=lambda: time.time() - ahead[0])
    for ahead[0] in (0, 90, 90, 0):
        indexes.ensure()
        assert expiry_seconds(database) == 8 * 3600
    logged = [line["message"] for line in log()]
    assert len(logged) == 2
    assert logged[0].endswith("and its user has no right to stop it (collMod)")
    with pytest.raises(IndexesUnavailable):
        Indexes(collection, unique=[KEY], expiry=("showing_at", timedelta(hours=9))).ensure()


@pytest.mark.usefixtures("impatient")
def test_clocks_that_differ_by_less_than_a_minute_agree(database: Database[Any]) -> None:
    Indexes(
        database["tickets"],
        unique=[KEY],
        expiry=("showing_at", timedelta(hours=8)),
        clock=lambda: time.time() + 55,
    ).ensure()
    assert expiry_seconds(database) == 8 * 3600


def test_without_an_expiry_nothing_expires(database: Database[Any]) -> None:
    database.drop_collection("tickets")
    Indexes(database["tickets"], unique=[KEY]).ensure()
    assert indexes_of(database) == {"request.key_1"}


def test_dropped_movie_indexes_are_recreated_before_the_next_movie(
    client: FlaskClient, database: Database[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.mongodb.indexes.MAX_AGE_SECONDS", 0)
    movie = {"screen": 1, "showtime": "18:00"}
    client.post("/api/screens", json={"seats": 5})
    assert client.post("/api/movies", json=movie).status_code == 201
    database["movies"].drop_indexes()
    assert_refused(client.post("/api/movies", json=movie), 409, "screen_busy")
    assert database["movies"].index_information()["plays_at_1"]["unique"] is True


class Upgrade:
    """An upgrade that fails until the test lets it succeed."""

    def __init__(self, *failures: pymongo.errors.PyMongoError) -> None:
        self.failures = [*failures]
        self.indexes: list[set[str]] = []  # that were there each time it ran
        self.database: Any = None

    def __call__(self) -> None:
        self.indexes.append(indexes_of(self.database))
        if self.failures:
            raise self.failures.pop(0)


def with_upgrade(database: Database[Any], upgrade: Upgrade) -> Indexes:
    database.drop_collection("tickets")
    upgrade.database = database
    return Indexes(database["tickets"], unique=[KEY], upgrade=upgrade)


@pytest.mark.usefixtures("impatient")
def test_an_upgrade_runs_once_after_the_indexes_exist(database: Database[Any]) -> None:
    upgrade = Upgrade()
    indexes = with_upgrade(database, upgrade)
    for _ in range(3):
        indexes.ensure()
        assert indexes.collection.count_documents({}) == 0
    database["tickets"].drop_indexes()
    indexes.ensure()
    assert upgrade.indexes == [{"request.key_1"}]


def test_concurrent_requests_upgrade_once(database: Database[Any]) -> None:
    upgrade = Upgrade()
    indexes = with_upgrade(database, upgrade)
    start = threading.Barrier(20)

    def ensure(_: int) -> None:
        start.wait()
        indexes.ensure()

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(ensure, range(20)))
    assert len(upgrade.indexes) == 1


@pytest.mark.usefixtures("impatient")
def test_an_upgrade_is_retried_after_an_outage(database: Database[Any]) -> None:
    away = pymongo.errors.AutoReconnect("away")
    upgrade = Upgrade(away, away)
    indexes = with_upgrade(database, upgrade)
    for _ in range(2):
        with pytest.raises(IndexesUnavailable, match="away"):
            indexes.ensure()
    indexes.ensure()
    indexes.ensure()
    assert len(upgrade.indexes) == 3


@pytest.mark.usefixtures("impatient")
def test_until_the_upgrade_succeeds_tickets_are_neither_sold_nor_changed(
    database: Database[Any],
    settings: Settings,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    log: Callable[[], list[Any]],
) -> None:
    ticket = book(create_app(database, settings=settings, clock=clock).test_client())
    refused = pymongo.errors.OperationFailure("not now", 11601)

    def fail(_: Database[Any]) -> None:
        raise refused

    with monkeypatch.context() as patched:
        patched.setattr("app.upgrade_sales", fail)
        client = create_app(database, settings=settings, clock=clock).test_client()
    owner = {"ticket_id": ticket["ticket_id"], "phone": ASHA["phone"]}
    for path, body in {
        "/booktickets": {**ASHA, "timing": "18:00"},
        "/update": {**owner, "timing_alter": "20:00"},
        "/delete": owner,
        "/admissions": {"admission_code": ticket["admission_code"]},
        "/viewuser": {"ticket_id": ticket["ticket_id"]},
    }.items():
        assert_refused(client.post(path, json=body), 503, "database_unavailable")
    assert_refused(client.get("/"), 503, "database_unavailable")
    assert_refused(client.get("/health/ready"), 503, "database_unavailable")
    assert [line["message"] for line in log() if line["level"] == "WARNING"] == [
        "MongoDB is unavailable; responding with 503: not now"
    ]
    assert database["tickets"].count_documents({}) == 1


def test_waiting_requests_share_one_failure() -> None:
    with pymongo.MongoClient[Any]("mongodb://127.0.0.1:1", connect=False) as away:
        indexes = Indexes(
            away["away"]["tickets"],
            unique=[IndexModel("request.key")],
            expiry=("showing_at", timedelta(hours=8)),
        )
        start = threading.Barrier(20)

        def ensure(_: int) -> None:
            start.wait()
            with pymongo.timeout(0.5), pytest.raises(IndexesUnavailable, match="refused"):
                indexes.ensure()

        with ThreadPoolExecutor(20) as pool:
            began = pool.map(ensure, range(20), timeout=3)  # 10 s, if each had to wait in turn
            list(began)


class StubCollection:
    """Creates indexes, or fails; counts how often it was asked to."""

    def __init__(self) -> None:
        self.database = SimpleNamespace(client="client")
        self.failure: PyMongoError | None = None
        self.asked = 0

    def create_indexes(self, indexes: list[IndexModel]) -> None:
        assert indexes == [KEY]
        self.asked += 1
        if self.failure:
            raise self.failure


class TestHowOftenMongoDBIsAsked:
    @pytest.fixture
    def seconds(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The time, to be set; each look at it takes a thousandth."""
        now = [1000.0]

        def monotonic() -> float:
            now[0] += 0.001
            return now[0]

        monkeypatch.setattr("app.mongodb.indexes.time", SimpleNamespace(monotonic=monotonic))
        return now

    @pytest.fixture
    def renewed(self, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """The clients whose connections were renewed."""
        clients: list[Any] = []
        monkeypatch.setattr("app.mongodb.indexes.renew_connections", clients.append)
        return clients

    @pytest.fixture
    def stub(self) -> StubCollection:
        return StubCollection()

    @pytest.fixture
    def indexes(self, stub: StubCollection) -> Indexes:
        return Indexes(cast(Collection[Any], stub), unique=[KEY])

    def test_indexes_are_verified_again_after_two_seconds(
        self, seconds: list[float], stub: StubCollection, indexes: Indexes
    ) -> None:
        for ahead, asked in ((0, 1), (1.9, 1), (0.2, 2), (1.9, 2), (0.2, 3)):
            seconds[0] += ahead
            indexes.ensure()
            assert stub.asked == asked
        indexes.ensure(max_age=0)
        assert stub.asked == 4

    def test_a_refusal_holds_for_two_seconds(
        self, seconds: list[float], stub: StubCollection, indexes: Indexes, renewed: list[Any]
    ) -> None:
        stub.failure = OperationFailure("no", 67)
        for ahead, asked in ((0, 1), (1.9, 1), (0.2, 2)):
            seconds[0] += ahead
            with pytest.raises(IndexesUnavailable, match="no"):
                indexes.ensure()
            assert stub.asked == asked
        stub.failure = None
        seconds[0] += 2.1
        indexes.ensure()
        assert stub.asked == 3
        assert not renewed

    def test_after_an_outage_each_request_asks_again(
        self, seconds: list[float], stub: StubCollection, indexes: Indexes
    ) -> None:
        stub.failure = AutoReconnect("away")
        for asked in (1, 2, 3):
            with pytest.raises(IndexesUnavailable, match="away"):
                indexes.ensure()
            assert stub.asked == asked
        stub.failure = None
        indexes.ensure()
        stub.failure = AutoReconnect("away again")
        seconds[0] += 2.1
        with pytest.raises(IndexesUnavailable, match="away again"):
            indexes.ensure()
        with pytest.raises(
            IndexesUnavailable, match="away again"
        ):  # although they were seen before
            indexes.ensure()

    def test_connections_without_privileges_authenticate_again(
        self, seconds: list[float], stub: StubCollection, indexes: Indexes, renewed: list[Any]
    ) -> None:
        stub.failure = OperationFailure("not authorized", UNAUTHORIZED)
        with pytest.raises(IndexesUnavailable):
            indexes.ensure()
        assert renewed == ["client"]

    @pytest.mark.parametrize("failure", [OperationFailure("no", 67), AutoReconnect("away")])
    def test_nothing_is_read_while_indexes_cannot_be_created(
        self, stub: StubCollection, indexes: Indexes, failure: PyMongoError
    ) -> None:
        stub.failure = failure
        with pytest.raises(IndexesUnavailable):
            indexes.collection  # noqa: B018 (the property raises)

    def test_duplicates_do_not_prevent_reads(self, stub: StubCollection, indexes: Indexes) -> None:
        stub.failure = DuplicateKeyError("E11000", 11000)
        assert cast(object, indexes.collection) is stub
        with pytest.raises(IndexesUnavailable):
            indexes.ensure()

    @pytest.mark.parametrize("failure", [None, OperationFailure("no", 67)])
    def test_no_request_waits_for_others_longer_than_an_attempt_takes(
        self,
        seconds: list[float],
        stub: StubCollection,
        indexes: Indexes,
        monkeypatch: pytest.MonkeyPatch,
        failure: PyMongoError | None,
    ) -> None:
        monkeypatch.setattr("app.mongodb.indexes._ATTEMPT_SECONDS", 0.01)
        stub.failure = failure
        if failure:
            with pytest.raises(IndexesUnavailable):
                indexes.ensure()
        seconds[0] += 2.1
        with (
            indexes._lock,
            pytest.raises(IndexesUnavailable, match="no" if failure else "timed out"),
        ):
            indexes.ensure()
