"""Requests that share round trips each get their own result, and no read is out of date."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import Any

from app.mongodb.embedded import EmbeddedMongoDB
from tests.race.conftest import Theatre, Without, goes_wrong, serving
from tests.running import Answer, Connection
from tests.traffic import CAPACITY, House, deleting

READERS = 3  # who ask about a house while somebody books there


@dataclass
class Customer:
    """What a customer asks for, the expected result, and the actual one."""

    house: House
    key: str | None
    name: str
    expected: tuple[int, str | None]
    first: Any = None  # the ticket that the key got before
    answer: Answer | None = None

    def ask(self, connection: Connection) -> Answer:
        self.answer = self.house.booking(self.key, name=self.name)(connection)
        return self.answer


def insert_counts(theatre: Theatre) -> tuple[int, int]:
    """Return how many documents were inserted so far, and by how many commands."""
    with theatre.collection("tickets") as tickets:
        status = tickets.database.command("serverStatus")
    return status["opcounters"]["insert"], status["metrics"]["commands"]["insert"]["total"]


def test_each_request_of_a_mixed_batch_gets_its_own_result(theatre: Theatre, rounds: int) -> None:
    before = insert_counts(theatre)
    for round_ in range(rounds):
        full, *houses = [theatre.house() for _ in range(5)]
        names = (f"Customer {round_} {number}" for number in range(10_000))
        regulars = [
            Customer(house, f"regular-{round_}-{house}", next(names), (201, None))
            for house in houses
        ]
        for customer in regulars:
            customer.ask(theatre.connect())
        crowd = [Customer(full, None, next(names), (201, None)) for _ in range(CAPACITY)]
        theatre.all_at_once([each.ask for each in crowd], clients=8)
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
            again = (regular.house, regular.key)
            expected += [
                Customer(*again, regular.name, (201, None), first=regular.answer.body)
                for _ in range(5)
            ]
            expected += [
                Customer(*again, next(names), (422, "idempotency_key_reused")) for _ in range(5)
            ]
        random.shuffle(expected)
        theatre.all_at_once([each.ask for each in expected])

        for customer in expected:
            answer = customer.answer
            assert answer
            assert (answer.status, answer.code) == customer.expected
            assert (answer.headers.get("idempotency-replayed") == "true") == bool(customer.first)
            if answer.status == 201:
                ticket = answer.body
                assert ticket["name"] == customer.name
                assert (ticket["timing"], ticket["date"]) == (
                    customer.house.timing,
                    customer.house.date,
                )
                assert customer.first in (None, ticket)
        for house in houses:
            booked = [
                each.answer.body
                for each in [*regulars, *expected]
                if each.answer
                and each.answer.status == 201
                and each.house == house
                and not each.first
            ]
            assert house.tickets(theatre) == sorted(booked, key=lambda ticket: ticket["seat"])
    documents, commands = (
        after - earlier for after, earlier in zip(insert_counts(theatre), before, strict=True)
    )
    assert documents > 1.2 * commands, "they shared no round trips"


def test_mixed_up_results_go_to_the_wrong_customers(without: Without) -> None:
    theatre = without("order_of_results")

    def mixes_them_up() -> bool:
        house = theatre.house_of_movie(200)
        crowd = [Customer(house, None, f"Guest {number}", (201, None)) for number in range(100)]
        theatre.all_at_once([each.ask for each in crowd])
        return any(each.answer and each.answer.body.get("name") != each.name for each in crowd)

    assert goes_wrong(mixes_them_up)


def offer_what_is_refused(theatre: Theatre) -> list[Customer]:
    """Let 20 customers whose tickets MongoDB refuses book among 70 others."""
    houses = [theatre.house() for _ in range(4)]
    refused = [
        Customer(houses[0], None, "Mallory", (503, "database_unavailable")) for _ in range(20)
    ]
    others = [
        Customer(house, None, f"Guest {number}", (201, None))
        for house in houses
        for number in range(CAPACITY if house is not houses[0] else CAPACITY // 2)
    ]
    crowd = [*refused, *others]
    random.shuffle(crowd)
    with theatre.collection("tickets") as tickets:
        tickets.database.command("collMod", "tickets", validator={"name": {"$ne": "Mallory"}})
        try:
            theatre.all_at_once([customer.ask for customer in crowd])
        finally:
            tickets.database.command("collMod", "tickets", validator={})
    return crowd


def test_a_document_refused_by_mongodb_affects_no_other_request(theatre: Theatre) -> None:
    for customer in offer_what_is_refused(theatre):
        assert customer.answer
        assert (customer.answer.status, customer.answer.code) == customer.expected


def test_an_error_shared_by_a_batch_is_everybodys(without: Without) -> None:
    theatre = without("own_errors")

    def fails_others() -> bool:
        return any(
            each.answer and (each.answer.status, each.answer.code) != each.expected
            for each in offer_what_is_refused(theatre)
        )

    assert goes_wrong(fails_others)


def stale_reads(theatre: Theatre, houses: list[House], pairs: int) -> int:
    """In each house, let B list the tickets when A's booking is confirmed; count the stale lists.

    Others list the same houses all the while, so B's request meets theirs.
    """
    stale = []
    done = threading.Event()

    def list_house(connection: Connection, house: House) -> list[str]:
        return [ticket["ticket_id"] for ticket in house.listing()(connection).body]

    def book_and_look(house: House) -> None:
        a, b = theatre.connect(), theatre.connect()
        for _ in range(pairs):
            customer = Customer(house, None, "Asha Rao", (201, None))
            ticket = customer.ask(a).body
            stale.append(ticket["ticket_id"] not in list_house(b, house))
            deleting(ticket)(a)
            stale.append(ticket["ticket_id"] in list_house(b, house))

    def read(house: House) -> None:
        connection = theatre.connect()
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


def test_a_read_is_never_older_than_its_request(mongod: EmbeddedMongoDB, rounds: int) -> None:
    # At full length, 4,000 times.
    with serving("root:app", mongod, "sharing") as theatre:
        houses = [theatre.house() for _ in range(8)]
        assert stale_reads(theatre, houses, pairs=250 * rounds // 20) == 0


def test_a_read_that_joins_one_in_flight_can_be_stale(
    mongod: EmbeddedMongoDB,
) -> None:
    with serving("tests.race.joining:app", mongod, "joining") as theatre:
        houses = [theatre.house() for _ in range(8)]
        # On a busy machine it takes a while until two requests meet.
        assert any(stale_reads(theatre, houses, pairs=20) for _ in range(30))
