"""How often a request asks MongoDB: a fixed, small number of times, however much is stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo import MongoClient
from pymongo.database import Database
from pymongo.monitoring import CommandListener, CommandStartedEvent

from app import create_app
from app.config import Settings
from app.mongodb.batching import GroupCommit
from app.mongodb.embedded import EmbeddedMongoDB
from app.workers import Place
from tests.api.helpers import ASHA, book, delete, fill
from tests.api.test_multiplex import add_movie, add_screen, buy, put_on_sale
from tests.conftest import Clock


class Commands(CommandListener):
    """Remembers the names of the commands that a client sends."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.may_go: Callable[[], bool] = lambda: True

    def started(self, event: CommandStartedEvent) -> None:
        self.names.append(event.command_name)
        while not self.may_go():
            time.sleep(0.001)

    def succeeded(self, event: Any) -> None:
        pass

    def failed(self, event: Any) -> None:
        pass

    def of(self, request: Callable[[], object]) -> list[str]:
        """Return the commands that a request sends."""
        self.names.clear()
        request()
        return list(self.names)


@pytest.fixture
def commands() -> Commands:
    return Commands()


@pytest.fixture
def watched(
    mongod: EmbeddedMongoDB,
    commands: Commands,
    settings: Settings,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FlaskClient]:
    """A client of a service whose commands are listened to, but for its watch on the indexes."""
    monkeypatch.setattr("app.mongodb.indexes.MAX_AGE_SECONDS", 3600)
    with MongoClient[Any](mongod.uri, event_listeners=[commands]) as mongo:
        client = create_app(mongo["round_trips"], settings=settings, clock=clock).test_client()
        client.get("/")
        client.get("/api/movies")  # so that the indexes are made
        yield client
        mongo.drop_database("round_trips")


def test_a_booking_on_a_free_house_is_one_insert(watched: FlaskClient, commands: Commands) -> None:
    assert commands.of(lambda: book(watched)) == ["insert"]
    assert commands.of(lambda: book(watched, key="key-12345", timing="19:00")) == ["insert"]


def test_a_chosen_seat_is_one_insert(watched: FlaskClient, commands: Commands) -> None:
    for seat in (7, 20, 1):
        assert commands.of(partial(book, watched, seat=seat)) == ["insert"]
    for _ in range(17):  # the others are not tried in vain
        assert commands.of(lambda: book(watched)) == ["insert"]


def test_a_chosen_seat_that_is_taken_is_refused_with_one_read_more(
    watched: FlaskClient, commands: Commands
) -> None:
    book(watched, seat=7)
    assert commands.of(lambda: book(watched, seat=7, status=409)) == ["insert", "find"]


@pytest.fixture
def unwatched(
    watched: FlaskClient, mongod: EmbeddedMongoDB, settings: Settings, clock: Clock
) -> Iterator[FlaskClient]:
    """A client of another process on the same tickets."""
    with MongoClient[Any](mongod.uri) as mongo:
        yield create_app(mongo["round_trips"], settings=settings, clock=clock).test_client()


def test_a_house_that_one_process_fills_takes_one_insert_a_ticket(
    watched: FlaskClient, commands: Commands
) -> None:
    for _ in range(20):
        assert commands.of(lambda: book(watched)) == ["insert"]


def test_a_booking_takes_three_round_trips_at_the_most(
    watched: FlaskClient, unwatched: FlaskClient, commands: Commands
) -> None:
    sent = []
    for number in range(10):
        book(unwatched)  # on the seat that `watched` would take, too
        sent.append(commands.of(lambda: book(watched, key=f"key-12345-{number}")))  # noqa: B023
    assert all(each in (["insert"], ["insert", "find", "insert"]) for each in sent)
    assert ["insert", "find", "insert"] in sent


def test_two_workers_fill_a_house_from_its_two_ends(
    mongod_database: Database[Any],
    settings: Settings,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    workers = []
    for number in range(2):
        monkeypatch.setattr("app.workers.place", Place(number, of=2))
        workers.append(create_app(mongod_database, settings=settings, clock=clock).test_client())
    seats = [[book(worker)["seat"] for worker in workers] for _ in range(10)]
    assert seats == [[seat, 21 - seat] for seat in range(1, 11)]


def test_a_seat_that_is_free_again_takes_one_read_to_find(
    watched: FlaskClient, commands: Commands
) -> None:
    first, *_ = fill(watched)
    delete(watched, first)
    assert commands.of(lambda: book(watched)) == ["find", "insert"]


def test_a_house_that_another_process_has_filled_is_refused_with_one_read_more(
    watched: FlaskClient, unwatched: FlaskClient, commands: Commands
) -> None:
    fill(unwatched)
    assert commands.of(lambda: book(watched, status=409)) == ["insert", "find"]


def test_a_full_house_is_refused_with_one_read(watched: FlaskClient, commands: Commands) -> None:
    fill(watched)
    book(watched, status=409)
    assert commands.of(lambda: book(watched, status=409)) == ["find"]


def test_other_ticket_routes_take_few_round_trips(watched: FlaskClient, commands: Commands) -> None:
    ticket = book(watched)
    owner = {"ticket_id": ticket["ticket_id"], "phone": ASHA["phone"]}

    def sent_by(path: str, **body: str) -> list[str]:
        return commands.of(lambda: watched.post(path, json=body))

    assert commands.of(lambda: watched.get("/")) == ["find"]
    assert commands.of(lambda: watched.get("/seats?timing=18:00")) == ["find"]
    assert commands.of(lambda: watched.get(f"/tickets/{ticket['ticket_id']}/qr.svg")) == ["find"]
    assert sent_by("/viewontime", timing="18:00") == ["find"]
    assert sent_by("/viewuser", ticket_id=ticket["ticket_id"]) == ["find"]
    assert sent_by("/update", timing_alter="21:00", **owner) == ["find", "update"]
    assert sent_by("/delete", **owner) == ["delete"]


def test_an_admission_takes_few_round_trips(watched: FlaskClient, commands: Commands) -> None:
    code = book(watched, timing="16:00")["admission_code"]

    def admit() -> object:
        return watched.post("/admissions", json={"admission_code": code})

    assert commands.of(admit) == ["findAndModify"]
    assert commands.of(admit) == ["findAndModify", "findAndModify"]  # to say why it is refused
    assert commands.of(lambda: watched.delete(f"/admissions/{code}")) == ["findAndModify"]


def test_the_multiplex_takes_few_round_trips(watched: FlaskClient, commands: Commands) -> None:
    for _ in range(5):
        add_screen(watched)
    for number in range(1, 121):  # more than MongoDB puts into a first answer by itself
        add_movie(watched, screen=1 + number % 5)
        put_on_sale(watched, number)
        buy(watched, movie=number)
        if number in (1, 10, 120):
            screens = commands.of(lambda: watched.get("/api/screens"))
            assert screens == ["find", "find", "find"]
            assert commands.of(lambda: watched.get("/api/movies")) == ["find", "find"]
    assert commands.of(lambda: buy(watched)) == ["find", "findAndModify"]


CROWD = 64


def of_a_crowd(
    client: FlaskClient, commands: Commands, request: Callable[[FlaskClient], object]
) -> list[str]:
    """Return the commands of 64 requests, when all others arrive while the first is under way."""
    stores = [client.application.extensions[name]._store for name in ("booking", "multiplex")]
    queues = [
        group._queue
        for store in stores
        for group in vars(store).values()
        if isinstance(group, GroupCommit)
    ]
    threads = [
        threading.Thread(target=lambda: request(client.application.test_client()))
        for _ in range(CROWD)
    ]

    def start_and_join() -> None:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)

    commands.may_go = lambda: len(commands.names) > 1 or sum(map(len, queues)) == CROWD - 1
    try:
        return commands.of(start_and_join)
    finally:
        commands.may_go = lambda: True


def test_a_crowd_shares_round_trips(watched: FlaskClient, commands: Commands) -> None:
    def sent_by(request: Callable[[FlaskClient], object]) -> list[str]:
        return of_a_crowd(watched, commands, request)

    ticket = book(watched)
    fill(watched, timing="21:00")
    timings = iter(["09:00", "10:00", "11:00", "12:00"] * 16)
    assert sent_by(lambda client: book(client, timing=next(timings))) == ["insert"] * 2
    assert sent_by(lambda client: book(client, timing="21:00", status=409)) == ["find"] * 2
    assert sent_by(lambda client: client.get("/")) == ["find"] * 2
    assert sent_by(lambda client: client.get(f"/tickets/{ticket['ticket_id']}")) == ["find"] * 2
    assert sent_by(lambda client: client.get("/tickets?timing=18:00")) == ["find"] * 2

    add_screen(watched, seats=996)
    add_movie(watched)
    put_on_sale(watched, 1)
    # The movie is found for all in two commands, and then sold to the first, and to those who
    # come while that goes on.
    commands_of_purchases = sent_by(buy)
    assert commands_of_purchases.count("find") == 2
    assert commands_of_purchases.count("findAndModify") <= CROWD / 2  # depends on the machine
