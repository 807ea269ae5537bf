"""Requests that share round trips each get their own result, and no read is out of date."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.mongodb.embedded import EmbeddedMongoDB
from tests.race.conftest import WORKERS, Showing
from tests.race.test_booking import CAPACITY, PHONE
from tests.running import ROOT, Answer, Connection, Service, free_port, wait_until

READERS = 3  # who ask about a house while somebody books there


@dataclass
class Customer:
    """What a customer asks for, what should come of it, and what came."""

    showing: Showing
    key: str | None
    name: str
    expected: tuple[int, str | None]
    first: Any = None  # the ticket that the key got before
    answer: Answer | None = None

    def ask(self, connection: Connection) -> Answer:
        timing, day = self.showing
        body = {"name": self.name, "phone": PHONE, "timing": timing, "date": day}
        self.answer = connection.post("/booktickets", body, self.key)
        return self.answer


def insert_counts(service: Service) -> tuple[int, int]:
    """Return how many documents were inserted so far, and by how many commands."""
    with service.collection("tickets") as tickets:
        status = tickets.database.command("serverStatus")
    return status["opcounters"]["insert"], status["metrics"]["commands"]["insert"]["total"]


def test_each_customer_of_a_mixed_batch_gets_their_own_answer(
    service: Service,
    showings: Iterator[Showing],
    rounds: int,
) -> None:
    before = insert_counts(service)
    for round_ in range(rounds):
        full, *houses = [next(showings) for _ in range(5)]
        names = (f"Customer {round_} {number}" for number in range(10_000))
        regulars = [
            Customer(house, f"regular-{round_}-{house}", next(names), (201, None))
            for house in houses
        ]
        for customer in regulars:
            customer.ask(service.connect())
        crowd = [Customer(full, None, next(names), (201, None)) for _ in range(CAPACITY)]
        service.all_at_once([each.ask for each in crowd], clients=8)
        expected = [
            *(Customer(house, None, next(names), (201, None)) for house in houses * 9),
            *(
                Customer(house, f"new-{round_}-{n}-{house}", next(names), (201, None))
                for house in houses
                for n in range(9)
            ),
            *(Customer(full, None, next(names), (409, "sold_out")) for _ in range(30)),
            *(
                Customer(full, f"full-{round_}-{n}", next(names), (409, "sold_out"))
                for n in range(30)
            ),
        ]
        for regular in regulars:
            assert regular.answer
            again = (regular.showing, regular.key)
            expected += [
                Customer(*again, regular.name, (201, None), first=regular.answer.body)
                for _ in range(5)
            ]
            expected += [
                Customer(*again, next(names), (422, "idempotency_key_reused")) for _ in range(5)
            ]
        random.shuffle(expected)
        service.all_at_once([each.ask for each in expected])

        for customer in expected:
            answer = customer.answer
            assert answer
            assert (answer.status, answer.code) == customer.expected
            assert (answer.headers.get("idempotency-replayed") == "true") == bool(customer.first)
            if answer.status == 201:
                ticket = answer.body
                assert ticket["name"] == customer.name
                assert (ticket["timing"], ticket["date"]) == customer.showing
                assert customer.first in (None, ticket)
        for house in houses:
            booked = [
                each.answer.body
                for each in [*regulars, *expected]
                if each.answer
                and each.answer.status == 201
                and each.showing == house
                and not each.first
            ]
            timing, day = house
            stored = service.post("/viewontime", {"timing": timing, "date": day}).body
            assert stored == sorted(booked, key=lambda ticket: ticket["seat"])
    documents, commands = (
        after - earlier for after, earlier in zip(insert_counts(service), before, strict=True)
    )
    assert documents > 1.2 * commands, "they shared no round trips"


def test_a_document_that_mongodb_refuses_is_nobody_elses_error(
    service: Service,
    showings: Iterator[Showing],
) -> None:
    houses = [next(showings) for _ in range(4)]
    refused = [Customer(houses[0], None, "Mallory", (500, "internal_error")) for _ in range(20)]
    others = [
        Customer(house, None, f"Guest {number}", (201, None))
        for house in houses
        for number in range(CAPACITY)
    ]
    crowd = [*refused, *others]
    random.shuffle(crowd)
    with service.collection("tickets") as tickets:
        tickets.database.command("collMod", "tickets", validator={"name": {"$ne": "Mallory"}})
        try:
            service.all_at_once([customer.ask for customer in crowd])
        finally:
            tickets.database.command("collMod", "tickets", validator={})
    for customer in crowd:
        assert customer.answer
        assert (customer.answer.status, customer.answer.code) == customer.expected


@contextmanager
def serving(app: str, mongod: EmbeddedMongoDB, database: str) -> Iterator[Service]:
    """Serve a WSGI app with the project's gunicorn.conf.py."""
    port = free_port()
    environ = {
        **os.environ,
        **WORKERS,
        "MONGODB_URI": mongod.uri,
        "MONGODB_DATABASE": database,
        "PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", app], cwd=ROOT.parent, env=environ, text=True
    )
    service = Service(port, process, Path())
    try:
        wait_until(lambda: service.connect().request("GET", "/").status == 200)
        yield service
    finally:
        service.stop()


def stale_reads(service: Service, houses: list[Showing], pairs: int) -> int:
    """Let A book, and B ask when A has the answer, in each house; count where B does not see it.

    Others ask the same of these houses all the while, so B's question meets theirs.
    """
    stale = []
    done = threading.Event()

    def list_house(connection: Connection, house: Showing) -> list[str]:
        timing, day = house
        answer = connection.request("GET", f"/tickets?timing={timing}&date={day}")
        return [ticket["ticket_id"] for ticket in answer.body]

    def book_and_look(house: Showing) -> None:
        a, b = service.connect(), service.connect()
        for _ in range(pairs):
            customer = Customer(house, None, "Asha Rao", (201, None))
            ticket = customer.ask(a).body["ticket_id"]
            stale.append(ticket not in list_house(b, house))
            a.post("/delete", {"ticket_id": ticket, "phone": PHONE})
            stale.append(ticket in list_house(b, house))

    def read(house: Showing) -> None:
        connection = service.connect()
        while not done.is_set():
            list_house(connection, house)

    readers = [threading.Thread(target=read, args=[house]) for house in houses * READERS]
    pairs_ = [threading.Thread(target=book_and_look, args=[house]) for house in houses]
    for thread in [*readers, *pairs_]:
        thread.start()
    for thread in pairs_:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    assert len(stale) == 2 * pairs * len(houses)
    return sum(stale)


def test_a_read_is_never_older_than_its_question(
    mongod: EmbeddedMongoDB,
    showings: Iterator[Showing],
    rounds: int,
) -> None:
    # At full length, 10,000 times.
    with serving("root:app", mongod, "sharing") as service:
        houses = [next(showings) for _ in range(8)]
        assert stale_reads(service, houses, pairs=625 * rounds // 20 + 1) == 0


def test_a_read_that_joins_one_under_way_is_older_than_its_question(
    mongod: EmbeddedMongoDB,
    showings: Iterator[Showing],
) -> None:
    with serving("tests.race.joining:app", mongod, "joining") as service:
        houses = [next(showings) for _ in range(8)]
        # On a busy machine it takes a while until two questions meet.
        assert any(stale_reads(service, houses, pairs=20) for _ in range(30))
