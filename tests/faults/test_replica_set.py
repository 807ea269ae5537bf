"""A replica set loses its primary, or fails at MongoDB's fail points."""

from __future__ import annotations

import signal
import statistics
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from tests.faults.conftest import ELECTION_MS, Report
from tests.faults.customers import Customers, Visitors
from tests.faults.replica_set import ReplicaSet
from tests.running import Answer, Service
from tests.traffic import CAPACITY, House, Request, put_movie_on_sale

WRITES = ["insert", "findAndModify", "update", "delete"]
ADMISSION = ["findAndModify", "update"]
A_WHILE = {"times": 10}  # so often that some fail again when the driver retries them
FAIL_POINTS: dict[str, tuple[str, dict[str, Any]]] = {
    "connection closed before a write": ("failCommand", {"closeConnection": True}),
    "connection closed after a write": ("onPrimaryTransactionalWrite", {"closeConnection": True}),
    "error 91 (shutting down) before a write": ("failCommand", {"errorCode": 91}),
    "error 10107 (not primary) before a write": ("failCommand", {"errorCode": 10107}),
    "error 91 after a write": (
        "failCommand",
        {"writeConcernError": {"code": 91, "errmsg": "shutting down"}},
    ),
    "error 64 (not acknowledged by a majority) after a write": (
        "failCommand",
        {"writeConcernError": {"code": 64, "errmsg": "timed out"}},
    ),
    "error 10107 after a write": (
        "failCommand",
        {"writeConcernError": {"code": 10107, "errmsg": "not primary"}},
    ),
}


def test_killed_primaries_lose_and_duplicate_nothing(
    replica_set: ReplicaSet, service: Service, tickets: Any, rounds: int, report: Report
) -> None:
    verdicts, pauses = [], []
    for _ in range(rounds):
        # In each round it is the one that was elected in the round before.
        replica_set.wait_until_whole()
        primary = replica_set.wait_for_primary()
        with Customers(service) as customers:
            customers.wait_for_bookings()
            primary.kill()
            replica_set.wait_for_primary()
            customers.wait_for_bookings()
            pauses.append(customers.longest_pause)
            primary.start()
            replica_set.wait_until_whole()
        verdicts.append(customers.verdict(tickets))
    report.add(
        "primary killed (`kill -9`), then the next one, and so on",
        verdicts,
        f"writes resumed after {statistics.median(pauses):.1f} s "
        f"({min(pauses):.1f} to {max(pauses):.1f}), with elections after "
        f"{ELECTION_MS / 1000:g} s instead of MongoDB's 10 s",
    )
    assert all(verdict.is_clean for verdict in verdicts), verdicts


def test_killed_primaries_lose_and_duplicate_no_admission(
    replica_set: ReplicaSet, service: Service, tickets: Any, rounds: int, report: Report
) -> None:
    verdicts = []
    for _ in range(rounds):
        replica_set.wait_until_whole()
        primary = replica_set.wait_for_primary()
        with Visitors(service) as visitors:
            visitors.wait_for_bookings()
            primary.kill()
            replica_set.wait_for_primary()
            visitors.wait_for_bookings()
            primary.start()
            replica_set.wait_until_whole()
        verdicts.append(visitors.verdict(tickets))
    report.add("primary killed (`kill -9`), at the doors", verdicts)
    assert all(verdict.is_clean for verdict in verdicts), verdicts


@pytest.mark.parametrize("fault", FAIL_POINTS)
def test_failing_writes_lose_and_duplicate_no_admission(
    replica_set: ReplicaSet,
    service: Service,
    tickets: Any,
    rounds: int,
    report: Report,
    fault: str,
) -> None:
    name, data = FAIL_POINTS[fault]
    verdicts = []
    for _ in range(min(rounds, 3)):
        visitors = Visitors(service)
        with replica_set.failing(name, A_WHILE, {"failCommands": ADMISSION, **data}), visitors:
            visitors.wait_for_bookings()
        verdicts.append(visitors.verdict(tickets))
    report.add(f"{fault}, 10 admissions in a row", verdicts)
    assert all(verdict.is_clean for verdict in verdicts), verdicts


@pytest.mark.parametrize("fault", FAIL_POINTS)
def test_failing_writes_lose_and_duplicate_nothing(
    replica_set: ReplicaSet,
    service: Service,
    tickets: Any,
    rounds: int,
    report: Report,
    fault: str,
) -> None:
    name, data = FAIL_POINTS[fault]
    verdicts = []
    for _ in range(min(rounds, 3)):
        customers = Customers(service)
        with replica_set.failing(name, A_WHILE, {"failCommands": WRITES, **data}), customers:
            customers.wait_for_bookings()
        verdicts.append(customers.verdict(tickets))
    report.add(f"{fault}, 10 writes in a row", verdicts)
    assert all(verdict.is_clean for verdict in verdicts), verdicts


def test_retries_with_new_keys_create_tickets_customers_never_see(
    replica_set: ReplicaSet, service: Service, tickets: Any, rounds: int
) -> None:
    name, data = FAIL_POINTS["error 64 (not acknowledged by a majority) after a write"]
    unanswered = 0
    for _ in range(min(rounds, 3)):
        customers = Customers(service, fresh_keys=True)
        with replica_set.failing(name, A_WHILE, {"failCommands": WRITES, **data}), customers:
            customers.wait_for_bookings()
        unanswered += customers.verdict(tickets).unanswered
    assert unanswered > 0


@pytest.fixture
def patient_set(replica_set: ReplicaSet) -> Iterator[ReplicaSet]:
    """The replica set, whose primary stays primary for a while after losing the other nodes."""
    replica_set.wait_until_whole()
    replica_set.set_election_timeout(60_000)
    yield replica_set
    replica_set.set_election_timeout(ELECTION_MS)


def test_a_retry_is_answered_once_a_majority_has_the_ticket(
    patient_set: ReplicaSet, service: Service
) -> None:
    # Far from the houses of the other tests, which are full by now.
    day = (date.today() + timedelta(days=3640)).isoformat()  # noqa: DTZ011 (its zone, too)
    houses = [House(day, "12:00"), House(day, movie=put_movie_on_sale(service, CAPACITY))]

    primary = patient_set.wait_for_primary()
    others = [node for node in patient_set.nodes if node is not primary]
    for house in houses:
        book = house.booking(str(house), amount=3)
        for node in others:
            node.send(signal.SIGSTOP)
        try:
            # Only the primary has it, and could still lose it.
            assert book(service.connect()).status == 503
            assert book(service.connect()).status == 503
        finally:
            for node in others:
                node.send(signal.SIGCONT)
        first, again, stored = (
            until_answered(request, service) for request in (book, book, house.listing())
        )
        assert (first.status, again.status) == (201, 201)
        assert again.headers["idempotency-replayed"] == "true"
        assert stored.body == [first.body] == [again.body]


def until_answered(request: Request, service: Service) -> Answer:
    """Send the request until the answer is not 503."""
    while (answer := request(service.connect())).status == 503:
        pass
    return answer
