"""Many doors at once: nobody is admitted twice, and admitted tickets stay as they are.

Each condition has its control: the same scans go wrong without it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.race.conftest import Theatre, Without, goes_wrong
from tests.race.test_booking import book
from tests.running import Answer, Connection, outcomes
from tests.traffic import House, Request, admitting, deleting, moving

SCANS = 60


def at_once(theatre: Theatre, requests: list[Request]) -> list[Answer]:
    return theatre.all_at_once(requests, clients=len(requests))


def scan(theatre: Theatre, house: House) -> tuple[Any, list[Answer]]:
    """Scan the ticket of a party of 4 at 60 doors at once, each for one person; return both."""
    (ticket,) = book(theatre, house, 4)
    return ticket, at_once(theatre, [admitting(ticket, people=1)] * SCANS)


@pytest.mark.parametrize("seats", [None, 200], ids=["timetable", "movie"])
def test_no_more_people_are_admitted_than_the_ticket_has_seats(
    theatre: Theatre, rounds: int, seats: int | None
) -> None:
    for _ in range(rounds):
        house = theatre.new_house(seats)
        ticket, answers = scan(theatre, house)
        assert outcomes(answers) == {(200, None): 4, (409, "already_admitted"): SCANS - 4}
        let_in = sorted(answer.body["admitted"] for answer in answers if answer.status == 200)
        assert let_in == [1, 2, 3, 4]
        refused = [answer.body for answer in answers if answer.status == 409]
        (stored,) = house.tickets(theatre)
        first_in = stored["admitted_at"]
        assert stored == {**ticket, "admitted": 4, "admitted_at": first_in}
        facts = {(each["admitted"], each["people_left"], each["admitted_at"]) for each in refused}
        assert facts == {(4, 0, first_in)}


def test_without_the_condition_too_many_are_admitted(without: Without) -> None:
    theatre = without("revision")

    def admits_too_many() -> bool:
        _, answers = scan(theatre, theatre.house())
        return outcomes(answers)[200, None] > 4

    assert goes_wrong(admits_too_many)


def test_a_party_is_admitted_whole_at_one_of_many_doors(theatre: Theatre, rounds: int) -> None:
    for _ in range(rounds):
        (ticket,) = book(theatre, house := theatre.house(), 4)
        answers = at_once(theatre, [admitting(ticket)] * SCANS)
        assert outcomes(answers) == {(200, None): 1, (409, "already_admitted"): SCANS - 1}
        (stored,) = house.tickets(theatre)
        assert stored["admitted"] == 4
        assert {answer.body["admitted_at"] for answer in answers} == {stored["admitted_at"]}


def test_without_the_condition_a_party_is_admitted_at_several_doors(without: Without) -> None:
    theatre = without("revision")

    def admits_twice() -> bool:
        (ticket,) = book(theatre, theatre.house(), 4)
        answers = at_once(theatre, [admitting(ticket)] * SCANS)
        return outcomes(answers)[200, None] > 1

    assert goes_wrong(admits_twice)


def scan_with_keys(theatre: Theatre, house: House) -> list[Answer]:
    """Let each of 4 people be scanned 15 times at once, each time with their key."""
    (ticket,) = book(theatre, house, 4)
    keys = [f"person-{number}" for number in range(4)] * 15
    return at_once(theatre, [admitting(ticket, key, people=1) for key in keys])


def replays(answers: list[Answer]) -> int:
    return sum(answer.headers.get("idempotency-replayed") == "true" for answer in answers)


def test_a_scan_repeated_with_its_key_admits_one_person(theatre: Theatre, rounds: int) -> None:
    for _ in range(rounds):
        house = theatre.house()
        answers = scan_with_keys(theatre, house)
        assert outcomes(answers) == {(200, None): 60}
        assert replays(answers) == 56
        assert house.tickets(theatre)[0]["admitted"] == 4


def test_without_the_condition_a_repeated_scan_admits_several(without: Without) -> None:
    theatre = without("revision")
    assert goes_wrong(lambda: replays(scan_with_keys(theatre, theatre.house())) != 56)


Rival = Callable[[Any], Request]


def admit_against(
    theatre: Theatre, tickets: list[Any], rival: Rival
) -> Iterator[tuple[Any, Answer, Answer]]:
    """Admit one person of each ticket and make the rival's request; yield it with both answers."""
    answers: dict[tuple[str, str], Answer] = {}

    def noting(ticket: Any, name: str, request: Request) -> Request:
        def send(connection: Connection) -> Answer:
            answers[ticket["ticket_id"], name] = answer = request(connection)
            return answer

        return send

    pairs = [
        [
            noting(ticket, "admit", admitting(ticket, people=1)),
            noting(ticket, "rival", rival(ticket)),
        ]
        for ticket in tickets
    ]
    at_once(theatre, [request for pair in pairs for request in random.sample(pair, 2)])
    for ticket in tickets:
        ticket_id = ticket["ticket_id"]
        yield ticket, answers[ticket_id, "admit"], answers[ticket_id, "rival"]


def outcome(*answers: Answer) -> list[tuple[int, str | None]]:
    return [(answer.status, answer.code) for answer in answers]


REFUSED = [(200, None), (409, "already_admitted")]  # the rival came late


def test_a_partly_admitted_ticket_is_not_deleted(theatre: Theatre, rounds: int) -> None:
    for _ in range(rounds):
        house = theatre.house()
        tickets = book(theatre, house, *[2] * 10)
        for ticket, admitted, deleted in admit_against(theatre, tickets, deleting):
            seen = theatre.get(f"/tickets/{ticket['ticket_id']}")
            if seen.status == 200:
                assert outcome(admitted, deleted) == REFUSED
                at = admitted.body["admitted_at"]
                assert seen.body == {**ticket, "admitted": 1, "admitted_at": at}
            else:
                assert outcome(admitted, deleted) == [(404, "ticket_not_found"), (204, None)]


def test_without_the_condition_a_partly_admitted_ticket_is_deleted(without: Without) -> None:
    theatre = without("not_admitted")

    def deletes_an_admitted_ticket() -> bool:
        tickets = book(theatre, theatre.house(), *[2] * 10)
        return [200, 204] in [
            [admitted.status, deleted.status]
            for _, admitted, deleted in admit_against(theatre, tickets, deleting)
        ]

    assert goes_wrong(deletes_an_admitted_ticket)


def admit_against_moves(theatre: Theatre) -> Iterator[tuple[Any, Answer, Answer]]:
    """Admit one person of each of 10 tickets while it moves to another house."""
    house, target = theatre.house(), theatre.house()
    tickets = book(theatre, house, *[2] * 10)
    return admit_against(theatre, tickets, lambda ticket: moving(ticket, target))


def test_a_partly_admitted_ticket_is_not_moved(theatre: Theatre, rounds: int) -> None:
    for _ in range(rounds):
        for ticket, admitted, moved in admit_against_moves(theatre):
            seen = theatre.get(f"/tickets/{ticket['ticket_id']}").body
            if seen["admitted"]:
                assert outcome(admitted, moved) == REFUSED
                at = admitted.body["admitted_at"]
                assert seen == {**ticket, "admitted": 1, "admitted_at": at}
            else:
                assert outcome(admitted, moved) == [(409, "other_showing"), (200, None)]
                assert seen == moved.body


def test_without_the_condition_a_partly_admitted_ticket_is_moved(without: Without) -> None:
    theatre = without("revision")

    def moves_an_admitted_ticket() -> bool:
        return [200, 200] in [
            [admitted.status, moved.status] for _, admitted, moved in admit_against_moves(theatre)
        ]

    assert goes_wrong(moves_an_admitted_ticket)
