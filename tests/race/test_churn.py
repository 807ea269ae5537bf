"""Random traffic for a while, and a MongoDB that is killed: the data is consistent afterwards."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from app.mongodb.embedded import EmbeddedMongoDB
from tests.race.conftest import Theatre, Without, goes_wrong, serving
from tests.race.test_booking import seats_of, share_a_seat
from tests.running import Answer, Connection, Service, outcomes, run_all, wait_until
from tests.traffic import House, admitting, correcting, deleting, moving


class Customer:
    """Books, buys, moves, admits and deletes at random, and remembers the responses."""

    def __init__(self, connection: Connection, houses: list[House], seed: int) -> None:
        self._connection = connection
        self._houses = houses
        self._random = random.Random(seed)
        self.tickets: dict[str, Any] = {}
        self.outcomes: Counter[tuple[int, str | None]] = Counter()

    def act(self) -> None:
        actions = [self._book, self._book, self._move, self._admit, self._correct, self._delete]
        action = self._random.choice(actions if self.tickets else [self._book])
        answer = action()
        self.outcomes[answer.status, answer.code] += 1

    def _ticket(self) -> Any:
        return self._random.choice(list(self.tickets.values()))

    def _book(self) -> Answer:
        house = self._random.choice(self._houses)
        if self._random.random() < 0.3:
            first = self._random.randint(1, house.seats - 1)
            answer = house.booking(seats=[first, first + 1])(self._connection)
        else:
            answer = house.booking(amount=self._random.randint(1, 6))(self._connection)
        if answer.status == 201:
            self.tickets[answer.body["ticket_id"]] = answer.body
        return answer

    def _move(self) -> Answer:
        ticket = self._ticket()
        of_its_kind = [
            house for house in self._houses if (house.movie is None) == (ticket["movie"] is None)
        ]
        answer = moving(ticket, self._random.choice(of_its_kind))(self._connection)
        if answer.status == 200:
            self.tickets[ticket["ticket_id"]] = answer.body
        return answer

    def _admit(self) -> Answer:
        ticket = self._ticket()
        return self._note(ticket, admitting(ticket, people=1)(self._connection))

    def _correct(self) -> Answer:
        ticket = self._ticket()
        admitted = self._random.randint(0, 1)
        return self._note(ticket, correcting(ticket, admitted)(self._connection))

    def _note(self, ticket: Any, at_the_door: Answer) -> Answer:
        if at_the_door.status == 200:
            seen = {name: at_the_door.body[name] for name in ("admitted", "admitted_at")}
            self.tickets[ticket["ticket_id"]] = {**ticket, **seen}
        return at_the_door

    def _delete(self) -> Answer:
        ticket = self._ticket()
        answer = deleting(ticket)(self._connection)
        if answer.status == 204:
            del self.tickets[ticket["ticket_id"]]
        return answer


EXPECTED = {
    *((status, None) for status in (200, 201, 204)),
    *((409, code) for code in ("sold_out", "not_enough_seats", "seat_taken", "already_admitted")),
}


@dataclass
class Churn:
    """Random traffic in some houses, and what is stored afterwards."""

    theatre: Theatre
    seconds: float

    def __post_init__(self) -> None:
        theatre = self.theatre
        houses = [*theatre.day()[:4], *(theatre.house_of_movie(30) for _ in range(3))]
        end = time.monotonic() + self.seconds
        self.customers = [Customer(theatre.connect(), houses, seed) for seed in range(8)]

        def shop(customer: Customer) -> None:
            while time.monotonic() < end:
                customer.act()

        run_all([partial(shop, customer) for customer in self.customers])
        self.stored = {house: house.tickets(theatre) for house in houses}


def test_random_traffic_leaves_consistent_data(
    theatre: Theatre, request: pytest.FixtureRequest
) -> None:
    churn = Churn(theatre, request.config.getoption("--churn-seconds") / 2)  # for each theatre
    customers = churn.customers
    seen = sum((customer.outcomes for customer in customers), Counter[tuple[int, str | None]]())
    assert seen.keys() <= EXPECTED
    assert seen[201, None] > 0
    known = {name: ticket for customer in customers for name, ticket in customer.tickets.items()}
    found = [ticket for tickets in churn.stored.values() for ticket in tickets]
    assert len(found) == len(known)
    assert {ticket["ticket_id"]: ticket for ticket in found} == known
    for house, tickets in churn.stored.items():
        assert not share_a_seat(tickets)
        free = house.free_seats(theatre)
        assert sorted([*free, *seats_of(tickets)]) == list(range(1, house.seats + 1))


def test_without_the_index_random_traffic_sells_a_seat_twice(without: Without) -> None:
    theatre = without("unique_seats")
    assert goes_wrong(lambda: any(map(share_a_seat, Churn(theatre, 1).stored.values())))


class Rush:
    """Clients that book for parties at random until the block ends."""

    def __init__(self, theatre: Theatre, houses: list[House], clients: int = 8) -> None:
        self._theatre = theatre
        self._houses = houses
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._shop) for _ in range(clients)]
        self.answers: list[Answer] = []

    def _shop(self) -> None:
        connection = self._theatre.connect()
        while not self._stop.is_set():
            house, people = random.choice(self._houses), random.randint(1, 4)
            self.answers.append(house.booking(amount=people)(connection))

    def __enter__(self) -> Rush:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def wait_for(self, *statuses: int) -> None:
        """Wait until a client gets one of these answers, from now on."""
        seen = len(self.answers)
        wait_until(lambda: any(answer.status in statuses for answer in self.answers[seen:]))


def test_every_confirmed_ticket_survives_a_killed_mongod(
    service: Service, theatre: Theatre, rounds: int
) -> None:
    for _ in range(min(rounds, 3)):
        houses = [*theatre.day()[:6], *(theatre.house_of_movie(30) for _ in range(6))]
        with Rush(theatre, houses) as rush:
            rush.wait_for(201)
            killed = service.mongod_pid
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: service.mongod_pid not in (0, killed))  # noqa: B023
            rush.wait_for(201, 409)
        assert outcomes(rush.answers).keys() <= {
            (201, None),
            (409, "not_enough_seats"),
            (409, "sold_out"),
            (503, "database_unavailable"),
        }
        # There may be none: it is back so soon that a repeated read succeeds.
        for refused in (answer for answer in rush.answers if answer.status == 503):
            assert refused.body["retryable"] is True
            assert refused.headers["retry-after"]

        stored = [house.tickets(theatre) for house in houses]
        found = {ticket["ticket_id"]: ticket for tickets in stored for ticket in tickets}
        booked = [answer.body for answer in rush.answers if answer.status == 201]
        assert [found.get(ticket["ticket_id"]) for ticket in booked] == booked
        assert not any(map(share_a_seat, stored))


def loses_a_confirmed_ticket(theatre: Theatre, mongod: EmbeddedMongoDB) -> bool:
    """Kill the mongod during a rush, and return whether a confirmed ticket is missing then."""
    houses = [*theatre.day()[:6], *(theatre.house_of_movie(30) for _ in range(6))]
    with Rush(theatre, houses) as rush:
        rush.wait_for(201)
        killed = mongod.pid
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: mongod.pid != killed)
        rush.wait_for(201, 409)
    stored = {each["ticket_id"] for house in houses for each in house.tickets(theatre)}
    confirmed = {answer.body["ticket_id"] for answer in rush.answers if answer.status == 201}
    return not confirmed <= stored


def test_a_ticket_confirmed_before_it_is_journaled_is_lost(tmp_path: Path) -> None:
    app = "tests.race.unguarded:without('journal')"
    with EmbeddedMongoDB(tmp_path) as mongod, serving(app, mongod, "journal") as theatre:
        assert goes_wrong(lambda: loses_a_confirmed_ticket(theatre, mongod))
