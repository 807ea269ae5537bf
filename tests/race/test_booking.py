"""Many clients at once, on several server processes and a real MongoDB.

Each guard has its negative control: the same traffic, with the guard taken away, does go wrong.
Without that, a race test could pass for lack of a race.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.race.conftest import Showing, without_indexes
from tests.running import Answer, Connection, Service, outcomes, wait_until

CAPACITY = 20
SEAT_INDEX = "timing_1_date_1_seat_1"
KEY_INDEX = "request.key_1"
PHONE = "98765 43210"


@pytest.fixture
def unguarded(defenceless: Service) -> Iterator[Service]:
    """A service whose database has lost the indexes that guard the tickets."""
    with without_indexes(defenceless, "tickets", SEAT_INDEX, KEY_INDEX):
        yield defenceless


def booking(
    showing: Showing, key: str | None = None, **fields: Any
) -> Callable[[Connection], Answer]:
    timing, day = showing
    body = {"name": "Asha Rao", "phone": PHONE, "timing": timing, "date": day, **fields}
    return lambda connection: connection.post("/booktickets", body, key)


def moving(ticket: Any, showing: Showing) -> Callable[[Connection], Answer]:
    timing, day = showing
    body = {"ticket_id": ticket["ticket_id"], "phone": PHONE, "timing_alter": timing, "date": day}
    return lambda connection: connection.post("/update", body)


def deleting(ticket: Any) -> Callable[[Connection], Answer]:
    body = {"ticket_id": ticket["ticket_id"], "phone": PHONE}
    return lambda connection: connection.post("/delete", body)


def book(service: Service, showing: Showing, tickets: int) -> list[Any]:
    answers = service.all_at_once([booking(showing)] * tickets, clients=4)
    assert [answer.status for answer in answers] == [201] * tickets
    return [answer.body for answer in answers]


def stored(service: Service, showing: Showing) -> list[Any]:
    timing, day = showing
    answer = service.post("/viewontime", {"timing": timing, "date": day})
    assert answer.status == 200
    tickets: list[Any] = answer.body
    return tickets


def test_a_crowd_gets_an_answer_each(
    service: Service, showings: Iterator[Showing], rounds: int
) -> None:
    # At full length, 10,000 requests from 500 connections.
    crowd = 500 * rounds
    answers = service.all_at_once([booking(next(showings))] * crowd, clients=25 * rounds)
    assert outcomes(answers) == {(201, None): CAPACITY, (409, "sold_out"): crowd - CAPACITY}


def rush(service: Service, showing: Showing) -> list[Answer]:
    """Send 1,000 bookings at once for one showing."""
    return service.all_at_once([booking(showing)] * 1000)


class TestTheCap:
    def test_a_rush_sells_the_house_exactly(
        self, service: Service, showings: Iterator[Showing], rounds: int
    ) -> None:
        for _ in range(rounds):
            showing = next(showings)
            answers = rush(service, showing)
            assert outcomes(answers) == {(201, None): CAPACITY, (409, "sold_out"): 1000 - CAPACITY}
            tickets = [answer.body for answer in answers if answer.status == 201]
            assert {ticket["seat"] for ticket in tickets} == set(range(1, CAPACITY + 1))
            assert len({ticket["ticket_id"] for ticket in tickets}) == CAPACITY
            assert stored(service, showing) == sorted(tickets, key=lambda ticket: ticket["seat"])

    def test_without_the_index_it_oversells(
        self, unguarded: Service, showings: Iterator[Showing]
    ) -> None:
        answers = rush(unguarded, next(showings))
        assert outcomes(answers)[201, None] > CAPACITY


def rush_for_seat_7(service: Service, showing: Showing) -> list[Answer]:
    """Send 200 bookings at once for the same seat of a showing."""
    return service.all_at_once([booking(showing, seat=7)] * 200)


class TestAChosenSeat:
    def test_a_rush_for_it_sells_it_once(
        self, service: Service, showings: Iterator[Showing], rounds: int
    ) -> None:
        for _ in range(rounds):
            showing = next(showings)
            answers = rush_for_seat_7(service, showing)
            assert outcomes(answers) == {(201, None): 1, (409, "seat_taken"): 199}
            free = [seat for seat in range(1, CAPACITY + 1) if seat != 7]
            refused = [answer.body for answer in answers if answer.status == 409]
            assert all(answer["free_seats"] == free for answer in refused)
            (ticket,) = (answer.body for answer in answers if answer.status == 201)
            assert stored(service, showing) == [ticket]
            assert ticket["seat"] == 7

    def test_without_the_index_it_is_sold_more_than_once(
        self, unguarded: Service, showings: Iterator[Showing]
    ) -> None:
        answers = rush_for_seat_7(unguarded, next(showings))
        assert outcomes(answers)[201, None] > 1


def squeeze(service: Service, target: Showing, tickets: list[Any]) -> list[Answer]:
    """Fill a showing but for one seat, then send all the tickets there at once."""
    book(service, target, CAPACITY - 1)
    return service.all_at_once([moving(ticket, target) for ticket in tickets])


def tickets_elsewhere(service: Service, showings: Iterator[Showing]) -> list[Any]:
    return [ticket for _ in range(5) for ticket in book(service, next(showings), 10)]


class TestMoves:
    def test_one_free_seat_lets_one_in(
        self, service: Service, showings: Iterator[Showing], rounds: int
    ) -> None:
        for _ in range(rounds):
            target = next(showings)
            tickets = tickets_elsewhere(service, showings)
            answers = squeeze(service, target, tickets)
            assert outcomes(answers) == {(200, None): 1, (409, "sold_out"): 49}
            moved = next(answer.body for answer in answers if answer.status == 200)
            for ticket in tickets:
                expected = moved if ticket["ticket_id"] == moved["ticket_id"] else ticket
                seen = service.post("/viewuser", {"ticket_id": ticket["ticket_id"]})
                assert seen.body == expected
            seats = [ticket["seat"] for ticket in stored(service, target)]
            assert seats == list(range(1, CAPACITY + 1))

    def test_without_the_index_it_lets_in_more(
        self, unguarded: Service, showings: Iterator[Showing]
    ) -> None:
        tickets = tickets_elsewhere(unguarded, showings)
        answers = squeeze(unguarded, next(showings), tickets)
        assert outcomes(answers)[200, None] > 1

    def test_a_ticket_sent_to_two_places_at_once_is_in_one(
        self, service: Service, showings: Iterator[Showing], rounds: int
    ) -> None:
        for _ in range(rounds):
            home, *targets = (next(showings) for _ in range(4))
            (ticket,) = book(service, home, 1)
            answers = service.all_at_once([moving(ticket, target) for target in targets * 10])
            assert outcomes(answers) == {(200, None): 30}
            places = [found for place in (home, *targets) for found in stored(service, place)]
            assert places == [service.post("/viewuser", {"ticket_id": ticket["ticket_id"]}).body]

    def test_a_seat_freed_in_a_full_house_is_sold_once(
        self, service: Service, showings: Iterator[Showing], rounds: int
    ) -> None:
        for _ in range(rounds):
            showing = next(showings)
            first, *_ = book(service, showing, CAPACITY)
            answers = service.all_at_once([deleting(first), *[booking(showing)] * 30], clients=31)
            assert set(outcomes(answers)) <= {(200, None), (201, None), (409, "sold_out")}
            assert outcomes(answers)[200, None] == 1
            booked = [answer.body for answer in answers if answer.status == 201]
            assert len(booked) <= 1
            if not booked:  # all came before the seat was free
                booked = book(service, showing, 1)
            assert [ticket["seat"] for ticket in booked] == [first["seat"]]
            assert len(stored(service, showing)) == CAPACITY


def repeat(service: Service, showing: Showing, key: str) -> list[Answer]:
    """Send 200 requests at once with one idempotency key."""
    return service.all_at_once([booking(showing, key)] * 200)


class TestIdempotencyKeys:
    def test_a_key_books_once(
        self, service: Service, showings: Iterator[Showing], rounds: int
    ) -> None:
        for number in range(rounds):
            showing = next(showings)
            answers = repeat(service, showing, f"key-{number}-of-the-race")
            assert outcomes(answers) == {(201, None): 200}
            assert stored(service, showing) == [answers[0].body]
            assert all(answer.body == answers[0].body for answer in answers)
            replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
            assert Counter(replayed) == {None: 1, "true": 199}

    def test_without_the_index_it_books_more(
        self, unguarded: Service, showings: Iterator[Showing]
    ) -> None:
        answers = repeat(unguarded, next(showings), "key-of-the-race")
        booked = {answer.body["ticket_id"] for answer in answers if answer.status == 201}
        assert len(booked) > 1

    def test_one_free_seat_goes_to_one_key(
        self, service: Service, showings: Iterator[Showing], rounds: int
    ) -> None:
        for number in range(rounds):
            showing = next(showings)
            book(service, showing, CAPACITY - 1)
            keys = [f"last-seat-{number}-{name}" for name in range(10)]
            answers = service.all_at_once([booking(showing, key) for key in keys * 10])
            assert set(outcomes(answers)) == {(201, None), (409, "sold_out")}
            assert (
                len({answer.body["ticket_id"] for answer in answers if answer.status == 201}) == 1
            )
            assert len(stored(service, showing)) == CAPACITY


class Customer:
    """Books, moves and deletes at random, and remembers what was answered."""

    def __init__(self, connection: Connection, showings: list[Showing], seed: int) -> None:
        self._connection = connection
        self._showings = showings
        self._random = random.Random(seed)
        self.tickets: dict[str, Any] = {}
        self.statuses: Counter[int] = Counter()

    def act(self) -> None:
        action = self._random.choice((self._book, self._book, self._move, self._delete))
        self.statuses[action()] += 1

    def _book(self) -> int:
        answer = booking(self._random.choice(self._showings))(self._connection)
        if answer.status == 201:
            self.tickets[answer.body["ticket_id"]] = answer.body
        return answer.status

    def _move(self) -> int:
        if not self.tickets:
            return self._book()
        ticket = self._random.choice(list(self.tickets.values()))
        answer = moving(ticket, self._random.choice(self._showings))(self._connection)
        if answer.status == 200:
            self.tickets[ticket["ticket_id"]] = answer.body
        return answer.status

    def _delete(self) -> int:
        if not self.tickets:
            return self._book()
        ticket = self._random.choice(list(self.tickets.values()))
        answer = deleting(ticket)(self._connection)
        if answer.status == 200:
            del self.tickets[ticket["ticket_id"]]
        return answer.status


def test_random_traffic_leaves_the_books_in_order(
    service: Service, showings: Iterator[Showing], request: pytest.FixtureRequest
) -> None:
    contested = [next(showings) for _ in range(6)]
    end = time.monotonic() + request.config.getoption("--churn-seconds")
    customers = [Customer(service.connect(), contested, seed) for seed in range(8)]

    def shop(customer: Customer) -> None:
        while time.monotonic() < end:
            customer.act()

    threads = [threading.Thread(target=shop, args=[customer]) for customer in customers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    statuses = sum((customer.statuses for customer in customers), Counter[int]())
    assert statuses.keys() == {200, 201, 409}
    known = {name: ticket for customer in customers for name, ticket in customer.tickets.items()}
    found = [ticket for showing in contested for ticket in stored(service, showing)]
    assert len(found) == len(known)
    assert {ticket["ticket_id"]: ticket for ticket in found} == known
    for showing in contested:
        seats = [ticket["seat"] for ticket in stored(service, showing)]
        assert len(set(seats)) == len(seats) <= CAPACITY


class Rush:
    """Clients that book at random until they are told to stop."""

    def __init__(self, service: Service, houses: list[Showing], clients: int = 8) -> None:
        self._service = service
        self._houses = houses
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._shop) for _ in range(clients)]
        self.answers: list[Answer] = []

    def _shop(self) -> None:
        connection = self._service.connect()
        while not self._stop.is_set():
            self.answers.append(booking(random.choice(self._houses))(connection))

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


def test_a_killed_mongod_comes_back_and_has_every_answered_booking(
    service: Service, showings: Iterator[Showing], rounds: int
) -> None:
    for _ in range(min(rounds, 5)):
        houses = [next(showings) for _ in range(12)]
        with Rush(service, houses) as rush:
            rush.wait_for(201)
            killed = service.mongod_pid
            os.kill(killed, signal.SIGKILL)
            wait_until(lambda: service.mongod_pid not in (0, killed))  # noqa: B023
            rush.wait_for(201, 409)
        seen = outcomes(rush.answers)
        assert seen.keys() <= {(201, None), (409, "sold_out"), (503, "database_unavailable")}
        # There may be none: it is back so soon that a repeated read succeeds.
        for refused in (answer for answer in rush.answers if answer.status == 503):
            assert refused.body["retryable"] is True
            assert refused.headers["retry-after"]

        booked = {answer.body["ticket_id"] for answer in rush.answers if answer.status == 201}
        found = [ticket for house in houses for ticket in stored(service, house)]
        assert booked <= {ticket["ticket_id"] for ticket in found}
        for house in houses:
            seats = [ticket["seat"] for ticket in stored(service, house)]
            assert len(set(seats)) == len(seats) <= CAPACITY
