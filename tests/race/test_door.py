"""Many doors at once: a ticket is admitted once, and never both admitted and moved or deleted."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from app.booking.admissions import AdmissionService
from app.booking.store import StoredTicket, TicketStore
from app.theatre.refusals import AlreadyAdmitted
from app.theatre.showings import Calendar, Showing
from tests.race import conftest
from tests.race.test_booking import book, deleting, moving, stored
from tests.running import Answer, Connection, Service, outcomes

DOORS = 100


def admitting(ticket: Any, key: str | None = None) -> Callable[[Connection], Answer]:
    """Return a request from the door of the ticket's showing."""
    body = {name: ticket[name] for name in ("admission_code", "timing", "date")}
    return lambda connection: connection.post("/admissions", body, key)


def test_a_ticket_is_admitted_at_one_of_many_doors(
    service: Service, showings: Iterator[conftest.Showing], rounds: int
) -> None:
    for _ in range(rounds):
        (ticket,) = book(service, showing := next(showings), 1)
        answers = service.all_at_once([admitting(ticket)] * DOORS, clients=DOORS)
        assert outcomes(answers) == {(200, None): 1, (409, "already_admitted"): DOORS - 1}
        (seen,) = stored(service, showing)
        assert {answer.body["admitted_at"] for answer in answers} == {seen["admitted_at"]}


def test_a_request_sent_many_times_admits_once_and_is_answered_alike(
    service: Service, showings: Iterator[conftest.Showing], rounds: int
) -> None:
    for _ in range(rounds):
        (ticket,) = book(service, next(showings), 1)
        answers = service.all_at_once([admitting(ticket, "key-of-door")] * DOORS, clients=DOORS)
        assert outcomes(answers) == {(200, None): DOORS}
        first, *others = sorted(
            answers, key=lambda answer: answer.headers.get("idempotency-replayed", "")
        )
        assert all(answer.body == first.body for answer in others)
        assert "idempotency-replayed" not in first.headers
        assert {answer.headers["idempotency-replayed"] for answer in others} == {"true"}


def admit_against(
    service: Service, tickets: list[Any], other: Callable[[Any], Callable[[Connection], Answer]]
) -> list[tuple[Any, Answer, Answer]]:
    """Admit each ticket and do the other thing at once; return it with both answers."""
    answers: dict[tuple[str, str], Answer] = {}

    def noting(
        ticket: Any, name: str, request: Callable[[Connection], Answer]
    ) -> Callable[[Connection], Answer]:
        def send(connection: Connection) -> Answer:
            answers[ticket["ticket_id"], name] = answer = request(connection)
            return answer

        return send

    pairs = [
        [noting(ticket, "admit", admitting(ticket)), noting(ticket, "other", other(ticket))]
        for ticket in tickets
    ]
    requests = [request for pair in pairs for request in random.sample(pair, 2)]
    service.all_at_once(requests, clients=len(requests))
    return [
        (ticket, answers[ticket["ticket_id"], "admit"], answers[ticket["ticket_id"], "other"])
        for ticket in tickets
    ]


def test_a_ticket_is_admitted_or_deleted_never_both(
    service: Service, showings: Iterator[conftest.Showing], rounds: int
) -> None:
    for _ in range(rounds):
        tickets = book(service, showing := next(showings), 10)
        for ticket, admitted, deleted in admit_against(service, tickets, deleting):
            still_there = {ticket["ticket_id"]: ticket for ticket in stored(service, showing)}
            outcome = (admitted.status, admitted.code), (deleted.status, deleted.code)
            if ticket["ticket_id"] in still_there:
                assert outcome == ((200, None), (409, "already_admitted"))
                seen = still_there[ticket["ticket_id"]]
                assert seen == {**ticket, "admitted_at": admitted.body["admitted_at"]}
            else:
                assert outcome == ((404, "ticket_not_found"), (200, None))


def test_a_ticket_is_admitted_or_moved_never_both(
    service: Service, showings: Iterator[conftest.Showing], rounds: int
) -> None:
    for _ in range(rounds):
        tickets = book(service, next(showings), 10)
        elsewhere = next(showings)
        for ticket, admitted, moved in admit_against(
            service,
            tickets,
            lambda ticket: moving(ticket, elsewhere),  # noqa: B023
        ):
            seen = service.post("/viewuser", {"ticket_id": ticket["ticket_id"]}).body
            outcome = (admitted.status, admitted.code), (moved.status, moved.code)
            if seen["admitted_at"]:
                assert outcome == ((200, None), (409, "already_admitted"))
                assert seen == {**ticket, "admitted_at": admitted.body["admitted_at"]}
            else:
                assert outcome == ((409, "other_showing"), (200, None))
                assert seen == moved.body


NOW = datetime(2046, 11, 22, 12, 0, tzinfo=UTC)
EVENING = Showing("18:00", date(2046, 11, 22), NOW + timedelta(hours=1))


class CheckThenAdmit(TicketStore):
    """A store as one would write it at first: it looks, and then writes."""

    def admit(self, admission_code: str, *, at: datetime, **_: Any) -> StoredTicket | None:
        stored = self.find_by_code(admission_code)
        if not stored or stored.admitted_at:
            return None
        return self._change({"_id": admission_code}, {"$set": {"admission": {"at": at}}})


@pytest.mark.parametrize(("kind", "holds"), [(TicketStore, True), (CheckThenAdmit, False)])
def test_checking_before_the_write_would_admit_more_than_one(
    mongod_database: Database[Any], kind: type[TicketStore], holds: bool, rounds: int
) -> None:
    store = kind(mongod_database, 20, timedelta(hours=8))
    door = AdmissionService(
        store,
        Calendar(UTC, 30),
        open_before=timedelta(hours=2),
        expire_after=timedelta(hours=8),
        clock=lambda: NOW,
    )
    for _ in range(rounds):
        ticket = store.add(name="A", phone="", phone_e164="", showing=EVENING, booked_at=NOW)
        assert (admit_at_all_doors(door, ticket.admission_code) == 1) is holds
        mongod_database["tickets"].delete_many({})


def admit_at_all_doors(door: AdmissionService, code: str) -> int:
    """Admit a ticket from many threads at once; return how many of them succeeded."""
    start = threading.Barrier(DOORS)
    admitted: list[str] = []

    def admit() -> None:
        start.wait()
        with suppress(AlreadyAdmitted):
            admitted.append(door.admit(code).made.admission_code)

    threads = [threading.Thread(target=admit) for _ in range(DOORS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(admitted)
