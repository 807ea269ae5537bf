"""Every request takes a small, fixed number of round trips, no matter what is stored."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo import MongoClient
from pymongo.monitoring import CommandListener, CommandStartedEvent

from app import create_app
from app.config import Settings
from app.mongodb.batching import GroupCommit
from app.mongodb.embedded import EmbeddedMongoDB
from tests.conftest import Clock
from tests.helpers import ASHA, add_movie, admit, book, buy, delete, fill, patch, update


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
    """A client of a process whose commands are recorded, except for its checks of the indexes."""
    monkeypatch.setattr("app.mongodb.indexes.MAX_AGE_SECONDS", 3600)
    monkeypatch.setattr("app.tickets.seat_choice.MAX_AGE_SECONDS", 3600)
    with MongoClient[Any](mongod.uri, event_listeners=[commands]) as mongo:
        client = create_app(mongo["round_trips"], settings=settings, clock=clock).test_client()
        client.get("/")
        client.get("/api/movies")  # so that the indexes are made
        yield client
        mongo.drop_database("round_trips")


@pytest.fixture
def other(
    watched: FlaskClient, mongod: EmbeddedMongoDB, settings: Settings, clock: Clock
) -> Iterator[FlaskClient]:
    """A client of another process on the same tickets."""
    with MongoClient[Any](mongod.uri) as mongo:
        yield create_app(mongo["round_trips"], settings=settings, clock=clock).test_client()


@pytest.fixture
def alone(watched: FlaskClient) -> FlaskClient:
    """A client of a process that has looked eight times and found only what it expected."""
    for _ in range(9):  # the first look is news
        book(watched, timing="09:00")
    return watched


LOOK = "aggregate"


# ---- Bookings


def test_a_process_looks_first_until_it_seems_to_be_alone(
    watched: FlaskClient, commands: Commands
) -> None:
    sent = [commands.of(lambda: book(watched)) for _ in range(20)]
    assert sent == [[LOOK, "insert"]] * 9 + [["insert"]] * 11


def test_a_lone_party_takes_a_look_and_an_insert(alone: FlaskClient, commands: Commands) -> None:
    for key in (None, "key-12345", "key-67890"):
        assert commands.of(partial(book, alone, amount=5, key=key)) == [LOOK, "insert"]


def test_a_lone_process_fills_a_house_with_one_insert_per_ticket(
    alone: FlaskClient, commands: Commands
) -> None:
    assert commands.of(lambda: book(alone)) == [LOOK, "insert"]
    for _ in range(19):
        assert commands.of(lambda: book(alone)) == ["insert"]


def test_chosen_seats_take_one_insert(alone: FlaskClient, commands: Commands) -> None:
    book(alone)
    for seats in ([7], [20, 19, 18], [1]):
        assert commands.of(partial(book, alone, seats=seats)) == ["insert"]


def test_a_taken_seat_is_refused_with_one_look(
    alone: FlaskClient, other: FlaskClient, commands: Commands
) -> None:
    book(alone, seat=7)
    assert commands.of(lambda: book(alone, seat=7, status=409)) == [LOOK]
    book(other, seat=9)
    assert commands.of(lambda: book(alone, seat=9, status=409)) == ["insert", LOOK]


def test_a_seat_lost_to_another_process_costs_a_look_and_an_insert(
    alone: FlaskClient, other: FlaskClient, commands: Commands
) -> None:
    seat = book(alone)["seat"]
    delete(alone, book(alone))
    for number in range(3):
        taken = book(other)["seat"]
        assert taken != seat
        sent = commands.of(lambda: book(alone, key=f"key-12345-{number}"))  # noqa: B023
        # By chance the two want different seats.
        assert sent in ([LOOK, "insert"], ["insert", LOOK, "insert"])


def test_a_process_that_is_not_alone_looks_again(
    alone: FlaskClient, other: FlaskClient, commands: Commands
) -> None:
    book(alone, seat=1)
    book(other, seats=[2, 3])
    assert commands.of(lambda: book(alone, seat=2, status=409)) == ["insert", LOOK]
    sent = [commands.of(lambda: book(alone)) for _ in range(10)]
    assert sent[:8] == [[LOOK, "insert"]] * 8
    assert sent[-1] == ["insert"]


def test_a_freed_seat_is_found_with_one_look(alone: FlaskClient, commands: Commands) -> None:
    first, *_ = fill(alone)
    delete(alone, first)
    assert commands.of(lambda: book(alone)) == [LOOK, "insert"]


def test_a_full_house_is_refused_with_one_look(
    alone: FlaskClient, other: FlaskClient, commands: Commands
) -> None:
    fill(other)
    several: list[dict[str, Any]] = [{}, {"amount": 4}, {"seat": 1}]
    for wanted in several:
        assert commands.of(partial(book, alone, status=409, **wanted)) == [LOOK]
    fill(alone, timing="20:00")
    assert commands.of(lambda: book(alone, timing="20:00", status=409)) == [LOOK]


def test_a_replay_takes_an_insert_and_a_read(alone: FlaskClient, commands: Commands) -> None:
    book(alone, key="key-12345")
    sent = commands.of(lambda: book(alone, key="key-12345"))
    assert sent == ["insert", "findAndModify"]  # which waits until the ticket is durable


# ---- Other routes


def test_other_ticket_routes_take_few_round_trips(watched: FlaskClient, commands: Commands) -> None:
    ticket = book(watched, amount=3)
    path = f"/tickets/{ticket['ticket_id']}"
    assert commands.of(lambda: watched.get("/")) == [LOOK]
    assert commands.of(lambda: watched.get("/?date=2046-11-23")) == [LOOK]
    assert commands.of(lambda: watched.get("/seats?timing=18:00")) == [LOOK]
    assert commands.of(lambda: watched.get("/tickets?date=2046-11-22")) == ["find"]
    assert commands.of(lambda: watched.get(path)) == ["find"]
    assert commands.of(lambda: watched.get(f"{path}/qr.svg")) == ["find"]
    listing = {"timing": "18:00"}
    assert commands.of(lambda: watched.post("/viewontime", json=listing)) == ["find"]
    viewing = {"ticket_id": ticket["ticket_id"]}
    assert commands.of(lambda: watched.post("/viewuser", json=viewing)) == ["find"]
    assert commands.of(lambda: update(watched, ticket, "21:00")) == ["find", LOOK, "update"]
    assert commands.of(lambda: update(watched, ticket, "21:00")) == ["find"]  # it is there
    assert commands.of(lambda: patch(watched, ticket, seats=[1, 2, 3])) == ["find", LOOK, "update"]
    assert commands.of(lambda: delete(watched, ticket)) == ["findAndModify"]
    refused = commands.of(lambda: delete(watched, ticket))
    assert refused == ["findAndModify", "find"]  # to say why


def test_an_admission_takes_few_round_trips(watched: FlaskClient, commands: Commands) -> None:
    ticket = book(watched, timing="16:00", amount=4)
    path = f"/admissions/{ticket['admission_code']}"
    for _ in range(2):
        one = commands.of(lambda: admit(watched, ticket, people=1))
        assert one == ["findAndModify", "update"]
    assert commands.of(lambda: admit(watched, ticket)) == ["findAndModify", "update"]
    assert commands.of(lambda: admit(watched, ticket)) == ["findAndModify"]  # refused
    correct = commands.of(lambda: watched.put(path, json={"admitted": 3}))
    assert correct == ["findAndModify", "update"]
    assert commands.of(lambda: watched.delete(path)) == ["findAndModify", "update"]
    assert commands.of(lambda: watched.delete(path)) == ["findAndModify"]


def test_the_multiplex_takes_few_round_trips(alone: FlaskClient, commands: Commands) -> None:
    for number in range(1, 121):  # more than MongoDB puts into a first answer by itself
        assert add_movie(alone) == number
        buy(alone, number)
        if number in (1, 10, 120):
            screens = commands.of(lambda: alone.get("/api/screens"))
            assert screens == ["find", "find", LOOK]
            for query in ("", "?date=2046-11-23"):
                assert commands.of(lambda: alone.get(f"/api/movies{query}")) == ["find", LOOK]  # noqa: B023
    assert commands.of(lambda: buy(alone, 1)) == ["find", "insert"]
    assert commands.of(lambda: buy(alone, 1, amount=4)) == ["find", LOOK, "insert"]
    assert commands.of(lambda: alone.get("/seats?movie=1")) == ["find", LOOK]
    assert commands.of(lambda: alone.get("/tickets?movie=1")) == ["find", "find"]


# ---- A crowd

CROWD = 64


def of_a_crowd(
    client: FlaskClient, commands: Commands, request: Callable[[FlaskClient], object]
) -> list[str]:
    """Return the commands of 64 requests, when all others arrive while the first is in flight."""
    extensions = client.application.extensions
    stores = [extensions["tickets"]._store, extensions["multiplex"]._catalogue]
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


def test_a_crowd_shares_round_trips(alone: FlaskClient, commands: Commands) -> None:
    def sent_by(request: Callable[[FlaskClient], object]) -> list[str]:
        return of_a_crowd(alone, commands, request)

    ticket = book(alone)
    fill(alone, timing="21:00")
    timings = iter(["10:00", "11:00", "12:00", "13:00"] * 16)
    booked = sent_by(lambda client: book(client, timing=next(timings)))
    assert booked == [LOOK, "insert"] * 2  # the houses are new to this process
    assert sent_by(lambda client: book(client, timing="21:00", status=409)) == [LOOK] * 2
    assert sent_by(lambda client: client.get("/")) == [LOOK] * 2
    assert sent_by(lambda client: client.get(f"/tickets/{ticket['ticket_id']}")) == ["find"] * 2
    assert sent_by(lambda client: client.get("/tickets?timing=18:00")) == ["find"] * 2

    movie = add_movie(alone, seats=996)
    # The movie is found for all in two commands, and then sold to the first, and to those who
    # come while that goes on.
    bought = sent_by(lambda client: buy(client, movie))
    assert bought.count("find") == 2
    assert bought.count(LOOK) <= 2
    assert bought.count("insert") <= CROWD / 2  # depends on the machine


def test_a_crowd_shares_round_trips_in_a_fresh_process(
    watched: FlaskClient, commands: Commands
) -> None:
    """It leaves seats to others, so it sells a house in more than one batch."""
    timings = iter(["10:00", "11:00", "12:00", "13:00"] * 16)
    sent = of_a_crowd(watched, commands, lambda client: book(client, timing=next(timings)))
    assert sent[:2] == [LOOK, "insert"]
    assert sent.count("insert") <= CROWD / 2
    assert sent.count(LOOK) <= sent.count("insert")


# ---- What MongoDB examines


@pytest.fixture
def profiled(
    watched: FlaskClient, mongod: EmbeddedMongoDB
) -> Iterator[Callable[[Callable[[], object]], list[tuple[str, int]]]]:
    """A function that returns, for a request, the plan and the documents examined by each read."""
    with MongoClient[Any](mongod.uri) as mongo:
        database = mongo["round_trips"]
        profile = database["system.profile"]

        def examined(request: Callable[[], object]) -> list[tuple[str, int]]:
            database.command("profile", 0)
            profile.drop()
            database.command("profile", 2)
            request()
            database.command("profile", 0)
            return [
                (each["planSummary"].split()[0], each["docsExamined"])
                for each in profile.find(
                    {"ns": "round_trips.tickets", "planSummary": {"$exists": True}}
                )
            ]

        yield examined
        database.command("profile", 0)


def test_no_request_examines_more_than_it_needs(
    watched: FlaskClient, profiled: Callable[[Callable[[], object]], list[tuple[str, int]]]
) -> None:
    days = [f"2046-12-{day:02}" for day in range(1, 21)]
    movies = [add_movie(watched, showtime=time) for time in ("18:00", "19:00")]
    for day in days:
        for timing in ("18:00", "19:00", "20:00"):
            ticket = book(watched, timing=timing, date=day, amount=2)
        for movie in movies:
            buy(watched, movie, date=day, amount=2)
    keyed = book(watched, date=days[0], key="key-12345", **ASHA)

    def get(path: str) -> list[tuple[str, int]]:
        return profiled(lambda: watched.get(path))

    assert get("/tickets?timing=18:00&date=2046-12-05") == [("IXSCAN", 1)]
    assert get("/tickets?timing=19:00") == [("IXSCAN", len(days))]
    assert get("/tickets?timing=23:00") == [("IXSCAN", 0)]
    assert get("/tickets?movie=1&date=2046-12-05") == [("IXSCAN", 1)]
    assert get("/tickets?movie=2") == [("IXSCAN", len(days))]
    ((plan, examined),) = get("/tickets?date=2046-12-05")
    assert plan == "IXSCAN"
    assert 5 <= examined <= 15  # of that day, and perhaps of the one before and after
    for path, tickets in {
        "/?date=2046-12-05": 3,
        "/seats?timing=18:00&date=2046-12-05": 1,
        "/seats?movie=1&date=2046-12-05": 1,
        "/api/movies?date=2046-12-05": 2,
        "/api/movies": 0,
        "/api/screens": 0,
        "/": 0,
    }.items():
        assert get(path) == [("IXSCAN", tickets)], path
    for path in (f"/tickets/{ticket['ticket_id']}", f"/tickets/{keyed['ticket_id']}/qr.svg"):
        assert get(path) in ([("IDHACK", 1)], [("IXSCAN", 1)])
    replayed = profiled(lambda: book(watched, date=days[0], key="key-12345"))
    assert replayed[-1] == ("IXSCAN", 1)
    assert profiled(lambda: admit(watched, ticket)) == [("IDHACK", 1)]
    counted = profiled(lambda: watched.delete("/api/movies/1"))
    assert counted == [("IXSCAN", len(days))]
