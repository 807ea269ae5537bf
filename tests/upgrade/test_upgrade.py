"""The upgrade of a database that 1.0 wrote: nothing is lost, and nothing duplicated."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any

import mongomock
import pytest
from bson import json_util
from flask.testing import FlaskClient
from pymongo import IndexModel, MongoClient
from pymongo.database import Database

from app import create_app
from app.config import Settings
from app.domain.identifiers import new_admission_code
from app.mongodb.client import open_client
from tests.helpers import assert_refused
from tests.running import Service, descendants, free_port, start_process, wait_until

HERE = Path(__file__).parent
OLD: list[Any] = [
    json_util.loads(line) for line in (HERE / "database-1.0.jsonl").read_text("utf-8").splitlines()
]
ANSWERS: Any = json.loads((HERE / "responses-1.0.json").read_text("utf-8"))
TICKETS, PURCHASES = ANSWERS["tickets"], ANSWERS["purchases"]
DATABASE = "upgrade"

# What was sold twice, by movie, date and first seat, and the seats of the ticket instead.
RESEATED = {
    (4, "2035-08-15", 1): [8, 9, 10],
    (4, "2035-08-15", 4): [11],
    (7, "2036-01-14", 1): [*range(11, 21)],
}
NOT_SEATED = (4, "2035-10-02", 1)  # the house is full


def load(database: Database[Any], lines: list[Any] = OLD) -> Database[Any]:
    """Fill an empty database with documents and indexes of 1.0."""
    for name in {line["collection"] for line in lines}:
        of_collection = [line for line in lines if line["collection"] == name]
        indexes = [
            IndexModel(list(line["definition"]["key"].items()), **options_of(line["definition"]))
            for line in of_collection
            if "index" in line and line["index"] != "_id_"
        ]
        if indexes:
            database[name].create_indexes(indexes)
        if documents := [line["document"] for line in of_collection if "document" in line]:
            database[name].insert_many(documents)
    return database


def options_of(index: Any) -> Any:
    return {name: value for name, value in index.items() if name not in ("v", "key")}


def dump(database: Database[Any], but_for: tuple[str, ...] = ()) -> Any:
    """Return all documents and indexes, without these fields."""
    return {
        name: (
            database[name].index_information(),
            [
                {field: document[field] for field in document if field not in but_for}
                for document in database[name].find(sort=[("_id", 1)])
            ],
        )
        for name in sorted(database.list_collection_names())
        if name != "starts"  # which each start changes
    }


@contextmanager
def emptied(database: Database[Any]) -> Iterator[Database[Any]]:
    database.client.drop_database(database)
    yield database
    database.client.drop_database(database)


@pytest.fixture
def old(mongod_client: MongoClient[Any]) -> Iterator[Database[Any]]:
    """A database as 1.0 left it."""
    with emptied(mongod_client[DATABASE]) as database:
        yield load(database)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The settings of the service that wrote the database."""
    return replace(settings, expiry_hours=timedelta(hours=8760), advance_days=3650)


EARLY = datetime(2034, 1, 1, tzinfo=UTC)
Start = Callable[..., FlaskClient]


@pytest.fixture
def start(settings: Settings) -> Start:
    """A function that starts a service on a database and has it answer a first request."""

    def start(database: Database[Any], now: datetime = EARLY) -> FlaskClient:
        client = create_app(database, settings=settings, clock=lambda: now).test_client()
        client.get("/api/movies")
        return client

    return start


@pytest.fixture
def client(old: Database[Any], start: Start) -> FlaskClient:
    """A client of this version, started on 1.0's database."""
    return start(old)


@pytest.fixture
def upgraded(mongod_client: MongoClient[Any], start: Start) -> Callable[[list[Any]], Any]:
    """A function that returns what one undisturbed start makes of a database."""

    def upgraded(lines: list[Any]) -> Any:
        with emptied(mongod_client["reference"]) as database:
            start(load(database, lines))
            return dump(database, but_for=("booked_at",))

    return upgraded


def place(purchase: Any) -> tuple[int, str, int]:
    answer = purchase["response"]
    return answer["movie"], answer["date"], answer["tickets"][0]["seat"]


def seats_of(purchase: Any) -> list[int]:
    """Return the seats that a purchase has now."""
    sold = [ticket["seat"] for ticket in purchase["response"]["tickets"]]
    return RESEATED.get(place(purchase), sold)


def ticket_of(client: FlaskClient, purchase: Any) -> Any:
    """Return the ticket that a purchase has become, if there is one."""
    movie, date, _ = place(purchase)
    listed = client.get(f"/tickets?movie={movie}&date={date}").json or []
    found = {each["ticket_id"][12:]: each for each in listed}
    assert len(found) == len(listed)
    return found.get(purchase["response"]["purchase_id"])


OF_MOVIES = {"movie": {"$exists": True}}
SEATED = [purchase for purchase in PURCHASES if place(purchase) != NOT_SEATED]


# ---- Tickets of the timetable


def test_timetable_tickets_respond_as_before(client: FlaskClient) -> None:
    assert len(TICKETS) > 50
    for each in TICKETS:
        ticket = each["ticket"]
        answer = client.get(f"/tickets/{ticket['ticket_id']}").json
        row, column = divmod(ticket["seat"] - 1, 5)
        assert answer == {
            **ticket,
            "movie": None,
            "screen": None,
            "title": None,
            "seats": [ticket["seat"]],
            "labels": [f"{'ABCD'[row]}{column + 1}"],
            "admitted": 0,
        }


def test_timetable_tickets_can_be_moved_and_deleted(client: FlaskClient) -> None:
    for each in TICKETS:
        ticket = each["ticket"]
        path = f"/tickets/{ticket['ticket_id']}"
        owner = {"Ticket-Phone": ticket["phone"].encode().decode("latin-1")}
        moved = client.patch(path, json={"date": "2034-02-01"}, headers=owner).json
        assert (moved["date"], moved["seats"]) == ("2034-02-01", [ticket["seat"]])
        assert client.delete(path, headers=owner).status_code == 204
        assert_refused(client.get(path), 404, "ticket_not_found")
    assert client.get("/tickets?date=2034-02-01").json == []


def test_deleted_tickets_stay_deleted_and_their_seats_are_free(client: FlaskClient) -> None:
    for each in ANSWERS["deleted_tickets"]:
        assert_refused(client.get(f"/tickets/{each['ticket_id']}"), 404, "ticket_not_found")
    free = client.get("/seats?timing=13:00&date=2035-05-06").json["free_seats"]
    assert free == [*range(1, 21)]
    assert client.get("/seats?timing=18:00&date=2035-01-26").json["free_seats"] == []


# ---- Purchases


def label(seat: int) -> str:
    """Return a seat as people read it, in rows of 20."""
    row, column = divmod(seat - 1, 20)
    return f"{chr(ord('A') + row)}{column + 1}"


def test_each_purchase_becomes_one_ticket_with_its_seats(client: FlaskClient) -> None:
    titles = {movie["movie"]: movie["title"] for movie in ANSWERS["movies"]}
    for purchase in SEATED:
        answer, ticket = purchase["response"], ticket_of(client, purchase)
        code = ticket["ticket_id"][:12]
        assert ticket == {
            "ticket_id": code + answer["purchase_id"],
            "name": None,
            "phone": None,
            "timing": answer["showing_at"][11:16],
            "date": answer["date"],
            "showing_at": answer["showing_at"],
            "movie": answer["movie"],
            "screen": answer["screen"],
            "title": titles[answer["movie"]],
            "seat": seats_of(purchase)[0],
            "seats": seats_of(purchase),
            "labels": [label(seat) for seat in seats_of(purchase)],
            "expired": False,
            "expires_at": ticket["expires_at"],
            "booked_at": ticket["booked_at"],
            "admission_code": code,
            "admitted": 0,
            "admitted_at": None,
        }
        assert client.get(f"/tickets/{ticket['ticket_id']}").json == ticket


def test_everything_sold_stays_taken_and_no_seat_is_sold_twice(client: FlaskClient) -> None:
    taken: dict[tuple[int, str], Counter[int]] = {}
    for purchase in SEATED:
        movie, date, _ = place(purchase)
        # Movies 3 and 4 share a screen and a time, and so do 6 and 7.
        house = taken.setdefault(({4: 3, 7: 6}.get(movie, movie), date), Counter())
        house.update(ticket_of(client, purchase)["seats"])
    assert len(taken) == 8
    for (movie, date), seats in taken.items():
        assert set(seats.values()) == {1}
        plan = client.get(f"/seats?movie={movie}&date={date}").json
        assert plan["booked"] == len(seats)
        assert not seats.keys() & set(plan["free_seats"])


def test_purchases_can_be_moved_and_deleted_without_a_phone(client: FlaskClient) -> None:
    for purchase in SEATED:
        path = f"/tickets/{ticket_of(client, purchase)['ticket_id']}"
        moved = client.patch(path, json={"date": "2034-02-01"}).json
        assert (moved["date"], moved["seats"]) == ("2034-02-01", seats_of(purchase))
        assert client.delete(path).status_code == 204
    listed = [client.get(f"/tickets?movie={movie}").json for movie in range(1, 8)]
    assert listed == [[]] * 7


def test_a_purchase_that_does_not_fit_stays_in_sales(
    client: FlaskClient, old: Database[Any]
) -> None:
    (purchase,) = (each for each in PURCHASES if place(each) == NOT_SEATED)
    assert ticket_of(client, purchase) is None
    sale = old["sales"].find_one({"_id": "4 2035-10-02"}) or {}
    assert sale["purchases"] == [
        {
            "purchase_id": purchase["response"]["purchase_id"],
            "ticket_ids": [ticket["ticket_id"] for ticket in purchase["response"]["tickets"]],
        }
    ]


def test_the_log_names_everything_that_had_to_change(
    old: Database[Any], start: Start, log: Callable[[], list[Any]]
) -> None:
    start(old)
    assert [(line["level"], line["message"]) for line in log() if line["level"] != "INFO"] == [
        (
            "WARNING",
            "Movie 4 shares screen 2 with another movie at 20:00; they now share its seats, too",
        ),
        (
            "WARNING",
            "Movie 7 shares screen 4 with another movie at 10:00; they now share its seats, too",
        ),
        (
            "WARNING",
            "Some of the seats 1, 2, 3 of movie 4 on 2035-08-15 at 20:00 were sold twice; "
            "the second ticket now has 8, 9, 10",
        ),
        (
            "WARNING",
            "Some of the seats 4 of movie 4 on 2035-08-15 at 20:00 were sold twice; "
            "the second ticket now has 11",
        ),
        (
            "ERROR",
            "Some of the seats 1, 2, 3 of movie 4 on 2035-10-02 at 20:00 were sold twice and "
            "too few are free: purchase EA6mYlpxZSNLjTVcBHP8Cw gets no ticket",
        ),
        (
            "WARNING",
            "Some of the seats 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 of movie 7 on 2036-01-14 at 10:00 "
            "were sold twice; the second ticket now has 11, 12, 13, 14, 15, 16, 17, 18, 19, 20",
        ),
    ]


def test_a_purchase_is_admitted_one_by_one(old: Database[Any], start: Start) -> None:
    client = start(old, datetime(2035, 1, 26, 5, 0, tzinfo=UTC))  # 10:30 in the theatre
    (purchase,) = (each for each in PURCHASES if each["key"] == "purchase-2-seven")
    assert_refused(
        client.post(
            "/admissions", json={"admission_code": ticket_of(client, purchase)["admission_code"]}
        ),
        409,
        "admission_not_open",
    )
    (purchase,) = (each for each in PURCHASES if each["key"] == "purchase-1-two")
    scan = {"admission_code": ticket_of(client, purchase)["admission_code"], "people": 1}
    answers = [client.post("/admissions", json=scan) for _ in range(3)]
    assert [answer.json["admitted"] for answer in answers] == [1, 2, 2]
    assert_refused(answers[2], 409, "already_admitted")


# ---- Keys, indexes, movies


def replay(client: FlaskClient, path: str, made: Any) -> Any:
    answer = client.post(path, json=made["body"], headers={"Idempotency-Key": made["key"]})
    assert (answer.status_code, answer.headers.get("Idempotency-Replayed")) == (201, "true")
    return answer.json


def test_retries_with_old_keys_are_replayed(client: FlaskClient, old: Database[Any]) -> None:
    before = dump(old)
    bookings = [made for made in TICKETS if made["key"]]
    purchases = [made for made in SEATED if made["key"]]
    assert (len(bookings), len(purchases)) == (20, 11)
    for made in bookings:
        again = replay(client, "/tickets", made)
        assert {name: again[name] for name in made["ticket"]} == made["ticket"]
    for made in purchases:
        assert replay(client, "/api/tickets", made) == ticket_of(client, made)
        other = {**made["body"], "amount": 13}
        answer = client.post("/api/tickets", json=other, headers={"Idempotency-Key": made["key"]})
        assert_refused(answer, 422, "idempotency_key_reused")
    assert dump(old) == before


def test_the_new_index_replaces_the_old_one(client: FlaskClient, old: Database[Any]) -> None:
    indexes = old["tickets"].index_information()
    assert indexes.keys() == {
        "_id_",
        "screen_1_timing_1_date_1_seat_1",
        "request.key_1",
        "showing_at_1",
    }
    assert indexes["screen_1_timing_1_date_1_seat_1"]["unique"] is True
    # A movie and the timetable may now have the same seat at the same time.
    timetable = {"name": "Asha", "phone": "98765 43210", "timing": "18:00", "seat": 3}
    assert client.post("/tickets", json={**timetable, "date": "2034-03-03"}).status_code == 201
    movie = {"movie": 2, "seat": 3, "date": "2034-03-03"}  # at 18:00, too
    assert client.post("/api/tickets", json=movie).status_code == 201
    assert_refused(client.post("/api/tickets", json=movie), 409, "seat_taken")


def test_one_of_two_movies_holds_the_screen_and_both_sell_its_seats_once(
    client: FlaskClient, old: Database[Any]
) -> None:
    assert [
        {name: movie[name] for name in ANSWERS["movies"][0]}
        for movie in client.get("/api/movies").json or []
    ] == ANSWERS["movies"]
    assert [
        {name: screen[name] for name in ("screen", "seats", "seats_per_row")}
        for screen in client.get("/api/screens").json or []
    ] == [
        {"screen": screen["screen"], "seats": screen["seats"], "seats_per_row": 20}
        for screen in ANSWERS["screens"]
    ]
    third = {"screen": 2, "showtime": "20:00"}
    assert assert_refused(client.post("/api/movies", json=third), 409, "screen_busy")["movie"] == 3
    assert client.post("/api/movies", json={**third, "showtime": "20:01"}).json["movie"] == 8
    for movie, tickets in ((3, 3), (4, 2)):
        refused = assert_refused(client.delete(f"/api/movies/{movie}"), 409, "has_tickets")
        assert refused["tickets"] == tickets
    both = [{"movie": movie, "seat": 5, "date": "2034-03-03"} for movie in (3, 4)]
    assert client.post("/api/tickets", json=both[0]).status_code == 201
    assert_refused(client.post("/api/tickets", json=both[1]), 409, "seat_taken")


def test_the_second_movie_gets_the_screen_at_a_start_after_the_first_was_deleted(
    client: FlaskClient, old: Database[Any], start: Start
) -> None:
    for ticket in client.get("/tickets?movie=3").json or []:
        client.delete(f"/tickets/{ticket['ticket_id']}")
    assert client.delete("/api/movies/3").status_code == 204
    again = start(old)
    third = again.post("/api/movies", json={"screen": 2, "showtime": "20:00"})
    assert assert_refused(third, 409, "screen_busy")["movie"] == 4


# ---- Each purchase becomes one ticket, even if starts are repeated, concurrent or interrupted


def test_a_second_start_changes_nothing(
    client: FlaskClient, old: Database[Any], start: Start
) -> None:
    ticket = ticket_of(client, SEATED[0])
    assert client.delete(f"/tickets/{ticket['ticket_id']}").status_code == 204
    before = dump(old)
    start(old)
    assert dump(old) == before  # and the deleted ticket is not made again


@pytest.mark.long
@pytest.mark.parametrize("ids_follow_from_purchases", [True, False])
def test_services_that_start_together_create_each_ticket_once(
    mongod_uri: str,
    old: Database[Any],
    start: Start,
    upgraded: Callable[[list[Any]], Any],
    rounds: int,
    ids_follow_from_purchases: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With random ids, which is the control, tickets are duplicated."""
    expected, services = upgraded(OLD), 4
    if not ids_follow_from_purchases:
        monkeypatch.setattr(
            "app.multiplex.upgrade.as_admission_code", lambda _: new_admission_code()
        )
    made = []
    for _ in range(rounds):
        with emptied(old):
            load(old)
            barrier = Barrier(services)

            def start_with_the_others(_: int) -> int:
                with open_client(mongod_uri) as mongo:
                    barrier.wait()  # noqa: B023
                    return start(mongo[DATABASE]).get("/api/movies").status_code

            with ThreadPoolExecutor(services) as pool:
                assert list(pool.map(start_with_the_others, range(services))) == [200] * services
            made.append(old["tickets"].count_documents(OF_MOVIES))
            if ids_follow_from_purchases:
                assert dump(old, but_for=("booked_at",)) == expected
    assert (made == [len(SEATED)] * rounds) is ids_follow_from_purchases


# One ticket, for the key and the index, and the sales of two movies on one screen.
CLASHING = [
    line
    for line in OLD
    if "index" in line
    or line["document"].get("request", {}).get("key") == "booking-updated"
    or line["document"].get("screen") == 2
]


INDEX_NOT_FOUND, INTERRUPTED = 27, 11601


@contextmanager
def failing(
    client: MongoClient[Any], code: int, commands: list[str], after: int = 0
) -> Iterator[None]:
    """Let MongoDB accept `after` of these commands, and refuse all others."""
    fail_point = {"configureFailPoint": "failCommand"}
    fails = {"failCommands": commands, "errorCode": code}
    client.admin.command({**fail_point, "mode": {"skip": after}, "data": fails})
    try:
        yield
    finally:
        client.admin.command({**fail_point, "mode": "off"})


def test_another_service_may_drop_the_old_index_first(
    mongod_client: MongoClient[Any], start: Start
) -> None:
    with emptied(mongod_client[DATABASE]) as old:
        load(old, [line for line in OLD if line["collection"] != "sales"])
        with failing(mongod_client, INTERRUPTED, ["dropIndexes"]):
            assert start(old).get("/health/ready").status_code == 503
        with failing(mongod_client, INDEX_NOT_FOUND, ["dropIndexes"]):
            assert start(old).get("/health/ready").status_code == 200


def test_nothing_is_upgraded_while_a_service_of_1_0_creates_its_index(
    old: Database[Any], start: Start, log: Callable[[], list[Any]], upgraded: Callable[..., Any]
) -> None:
    expected = upgraded(OLD)
    # It is there although it was dropped, and lets a movie and the timetable not share a seat.
    with failing(old.client, INDEX_NOT_FOUND, ["dropIndexes"]):
        assert start(old).get("/health/ready").status_code == 503
    warnings = [line["message"] for line in log() if "is unavailable" in line["message"]]
    assert [message.partition(": ")[2].partition(" dup key")[0] for message in warnings] == [
        "E11000 duplicate key error collection: upgrade.tickets index: timing_1_date_1_seat_1"
    ]
    assert start(old).get("/health/ready").status_code == 200
    assert dump(old, but_for=("booked_at",)) == expected


@pytest.mark.long
def test_an_upgrade_interrupted_after_any_write_is_completed_by_the_next_start(
    mongod_client: MongoClient[Any], start: Start, upgraded: Callable[[list[Any]], Any]
) -> None:
    expected = upgraded(CLASHING)
    for writes in count():
        with emptied(mongod_client[DATABASE]) as old:
            load(old, CLASHING)
            with failing(mongod_client, INTERRUPTED, ["insert", "update", "dropIndexes"], writes):
                ready = start(old).get("/health/ready").status_code
            if ready == 200:
                break
            assert dump(old, but_for=("booked_at",)) != expected
            assert start(old).get("/health/ready").status_code == 200
            assert dump(old, but_for=("booked_at",)) == expected
    assert writes > 15  # an index, 2 movies, 7 purchases of which 3 clash, and 4 sales


def service_environ(uri: str, settings: Settings) -> dict[str, str]:
    return {
        "MONGODB_URI": uri,
        "MONGODB_DATABASE": DATABASE,
        "WORKERS": "2",
        "EXPIRY_HOURS": "8760",
        "ADVANCE_DAYS": "3650",
        "THEATRE_TIMEZONE": str(settings.theatre_timezone),
    }


def answers(service: Service) -> bool:
    return service.connect().request("GET", "/api/movies").status == 200


@pytest.mark.long
def test_two_processes_that_start_together_create_each_ticket_once(
    tmp_path: Path,
    mongod_uri: str,
    old: Database[Any],
    settings: Settings,
    upgraded: Callable[[list[Any]], Any],
) -> None:
    ports = [free_port(), free_port()]
    services = [
        Service(
            port,
            start_process(tmp_path / str(port), port, service_environ(mongod_uri, settings)),
            tmp_path,
        )
        for port in ports
    ]
    try:
        for service in services:
            wait_until(lambda service=service: answers(service))  # type: ignore[misc]
    finally:
        statuses = [service.stop() for service in services]
    assert statuses == [0, 0]
    assert dump(old, but_for=("booked_at",)) == upgraded(OLD)


@pytest.mark.long
def test_a_killed_upgrade_is_completed_by_the_next_start(
    tmp_path: Path,
    mongod_uri: str,
    old: Database[Any],
    settings: Settings,
    upgraded: Callable[[list[Any]], Any],
) -> None:
    expected, environ = upgraded(OLD), service_environ(mongod_uri, settings)
    slow = {
        "configureFailPoint": "failCommand",
        "mode": "alwaysOn",
        "data": {"failCommands": ["insert"], "blockConnection": True, "blockTimeMS": 100},
    }
    old.client.admin.command(slow)
    try:
        process = start_process(tmp_path, free_port(), environ)
        wait_until(lambda: old["tickets"].count_documents(OF_MOVIES) > 4)
        for pid in (process.pid, *descendants(process.pid)):
            os.kill(pid, signal.SIGKILL)
        process.communicate()
    finally:
        old.client.admin.command({**slow, "mode": "off"})
    assert old["tickets"].count_documents(OF_MOVIES) < len(SEATED)
    port = free_port()
    service = Service(port, start_process(tmp_path, port, environ), tmp_path)
    try:
        wait_until(lambda: answers(service))
    finally:
        assert service.stop() == 0
    assert dump(old, but_for=("booked_at",)) == expected


# ---- Data that 1.0 could have written, but has not written here


def sale(movie: int, date: str, amounts: list[int], **more: Any) -> Any:
    """Return a sale of movie 3 or 4 as 1.0 stored it."""
    return {
        "_id": f"{movie} {date}",
        "movie": movie,
        "screen": 2,
        "timing": "20:00",
        "date": date,
        "showing_at": datetime.fromisoformat(f"{date}T14:30:00+00:00"),
        "sold": sum(amounts),
        "purchases": [
            {
                "purchase_id": f"purchase-{movie}-{number}".ljust(22, "x"),
                "ticket_ids": [f"ticket-{movie}-{number}-{seat}" for seat in range(amount)],
            }
            for number, amount in enumerate(amounts)
        ],
        **more,
    }


def seats_by_purchase(client: FlaskClient, movie: int, date: str) -> list[list[int]]:
    tickets = client.get(f"/tickets?movie={movie}&date={date}").json or []
    return [each["seats"] for each in sorted(tickets, key=lambda each: each["ticket_id"][12:])]


def test_a_ticket_that_gets_other_seats_takes_no_sold_ones(
    old: Database[Any], start: Start
) -> None:
    old["sales"].insert_many([sale(3, "2034-05-05", [1]), sale(4, "2034-05-05", [2, 3])])
    client = start(old)
    assert seats_by_purchase(client, 3, "2034-05-05") == [[1]]
    assert seats_by_purchase(client, 4, "2034-05-05") == [[6, 7], [3, 4, 5]]


@pytest.fixture(params=["mongomock", pytest.param("mongod", marks=pytest.mark.slow)])
def empty(request: pytest.FixtureRequest) -> Iterator[Database[Any]]:
    """An empty database of each kind, whose indexes no other test needs."""
    is_real = request.param == "mongod"
    client = request.getfixturevalue("mongod_client") if is_real else mongomock.MongoClient()
    with emptied(client[DATABASE]) as database:
        yield database


def test_a_purchase_whose_key_a_booking_has_becomes_a_ticket_without_a_key(
    empty: Database[Any], start: Start, log: Callable[[], list[Any]]
) -> None:
    key, fingerprint = "key-of-both", "0" * 64
    booking = {
        **next(
            line["document"]
            for line in OLD
            if line["collection"] == "tickets" and "document" in line
        ),
        "request": {"key": key, "fingerprint": fingerprint},
    }
    empty["tickets"].insert_one(booking)
    empty["movies"].insert_many(
        line["document"] for line in OLD if line["collection"] == "movies" and "document" in line
    )
    requests = [{"key": key, "fingerprint": "1" * 64, "purchase_id": "purchase-3-0".ljust(22, "x")}]
    # mongomock returns instants without a zone.
    empty["sales"].insert_one(sale(3, "2034-05-05", [2], requests=requests))
    client = start(empty)
    (ticket,) = client.get("/tickets?movie=3").json or []
    assert (ticket["seats"], ticket["showing_at"]) == ([1, 2], "2034-05-05T20:00:00+05:30")
    (stored,) = empty["tickets"].find({"request.key": key})
    assert stored["_id"] == booking["_id"]
    assert [line["message"] for line in log() if "idempotency key" in line["message"]] == [
        "A booking has the idempotency key of a purchase for movie 3 on 2034-05-05 at 20:00"
    ]


def test_a_purchase_with_a_taken_key_and_taken_seats_becomes_a_ticket(
    old: Database[Any], start: Start
) -> None:
    key = next(made["key"] for made in TICKETS if made["key"])
    requests = [{"key": key, "fingerprint": "1" * 64, "purchase_id": "purchase-4-0".ljust(22, "x")}]
    old["sales"].insert_many(
        [sale(3, "2034-05-05", [4]), sale(4, "2034-05-05", [4], requests=requests)]
    )
    client = start(old)
    assert seats_by_purchase(client, 4, "2034-05-05") == [[5, 6, 7, 8]]


def test_a_seat_sold_twice_is_replaced_by_one_nearby(old: Database[Any], start: Start) -> None:
    old["sales"].insert_many([sale(3, "2034-05-05", [1]), sale(4, "2034-05-05", [1])])
    assert seats_by_purchase(start(old), 4, "2034-05-05") == [[2]]


def test_a_purchase_for_a_deleted_movie_becomes_a_ticket(old: Database[Any], start: Start) -> None:
    old["movies"].delete_one({"_id": 1})
    client = start(old)
    tickets = client.get("/tickets?date=2035-01-27").json or []
    (ticket,) = (each for each in tickets if each["movie"] == 1)
    assert (ticket["title"], ticket["seats"]) == (None, [*range(1, 31)])
    path = f"/tickets/{ticket['ticket_id']}"
    assert client.get(path).json == ticket
    assert_refused(client.patch(path, json={"date": "2034-02-01"}), 404, "movie_not_found")
    assert client.delete(path).status_code == 204


def test_an_empty_database_needs_no_upgrade(mongod_client: MongoClient[Any], start: Start) -> None:
    with emptied(mongod_client[DATABASE]) as database:
        assert start(database).get("/api/movies").json == []
        assert start(database).get("/api/screens").json == []
