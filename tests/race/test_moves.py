"""Tickets move between houses, many at once: each is whole, and in one house."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from tests.race.conftest import Theatre, Without, goes_wrong
from tests.race.test_booking import book, seats_of, share_a_seat
from tests.running import Answer, outcomes
from tests.traffic import CAPACITY, House, moving


def squeeze(theatre: Theatre) -> tuple[House, list[Any], list[Answer]]:
    """Send 50 tickets at once to a house with one free seat; return it, them and the answers."""
    target = theatre.house()
    book(theatre, target, *[1] * (CAPACITY - 1))
    tickets = [ticket for _ in range(5) for ticket in book(theatre, theatre.house(), *[1] * 10)]
    return target, tickets, theatre.all_at_once([moving(ticket, target) for ticket in tickets])


def test_only_one_ticket_moves_to_the_last_seat(theatre: Theatre, rounds: int) -> None:
    for _ in range(rounds):
        target, tickets, answers = squeeze(theatre)
        assert outcomes(answers) == {(200, None): 1, (409, "sold_out"): 49}
        moved = next(answer.body for answer in answers if answer.status == 200)
        for ticket in tickets:
            expected = moved if ticket["ticket_id"] == moved["ticket_id"] else ticket
            assert theatre.get(f"/tickets/{ticket['ticket_id']}").body == expected
        assert seats_of(target.tickets(theatre)) == list(range(1, CAPACITY + 1))


def test_without_the_index_several_move_to_the_last_seat(without: Without) -> None:
    theatre = without("unique_seats")
    assert goes_wrong(lambda: outcomes(squeeze(theatre)[2])[200, None] > 1)


def scatter(theatre: Theatre) -> tuple[Any, list[Answer], list[Any]]:
    """Send a ticket to three houses at once; return it, the answers, and where it is then."""
    home, *targets = (theatre.house() for _ in range(4))
    (ticket,) = book(theatre, home, 4)
    answers = theatre.all_at_once([moving(ticket, target) for target in targets * 10])
    places = [found for place in (home, *targets) for found in place.tickets(theatre)]
    return ticket, answers, places


def test_a_ticket_moved_to_several_showings_at_once_is_in_one(
    theatre: Theatre, rounds: int
) -> None:
    for _ in range(rounds):
        ticket, answers, places = scatter(theatre)
        assert outcomes(answers) == {(200, None): 30}
        assert places == [theatre.get(f"/tickets/{ticket['ticket_id']}").body]
        assert len(places[0]["seats"]) == 4


def test_a_ticket_moved_in_two_writes_is_missing_in_between(without: Without) -> None:
    theatre = without("one_write")
    assert goes_wrong(lambda: outcomes(scatter(theatre)[1]) != {(200, None): 30})


PARTIES = (4, 3, 2, 4, 3, 2), (3, 2, 4, 3, 2, 3)  # 18 and 17 people, in houses of 20


@dataclass
class Shuttle:
    """Parties that move between two nearly full houses, and what a reader sees as they do."""

    theatre: Theatre
    booked: list[list[int]] = field(default_factory=list)  # in both houses, at each look
    listed: list[list[Any]] = field(default_factory=list)  # the tickets of a house, at each look
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.houses = self.theatre.day()[:2]
        homes = [
            book(self.theatre, house, *parties)
            for house, parties in zip(self.houses, PARTIES, strict=True)
        ]
        self.people = {
            ticket["ticket_id"]: len(ticket["seats"]) for tickets in homes for ticket in tickets
        }
        first, second = self.houses
        there_and_back = [
            moving(ticket, target)
            for targets in [(second, first), (first, second)] * 6
            for tickets, target in zip(homes, targets, strict=True)
            for ticket in tickets
        ]
        done = threading.Event()
        reader = threading.Thread(target=self._look, args=[done])
        reader.start()
        self.answers = self.theatre.all_at_once(there_and_back, clients=16)
        done.set()
        reader.join()

    def _look(self, done: threading.Event) -> None:
        """Look again and again, and once more at the end."""
        is_last = False
        while not is_last:
            is_last = done.is_set()
            slots = self.theatre.get(f"/?date={self.houses[0].date}").body
            self.booked.append([slot["booked"] for slot in slots[:2]])
            self.listed += [house.tickets(self.theatre) for house in self.houses]

    def wrong(self) -> list[str]:
        """Return what is wrong with what the reader saw."""
        total = sum(self.people.values())
        last = [*self.listed[-2], *self.listed[-1]]
        whole = all(
            len(ticket["seats"]) == self.people[ticket["ticket_id"]]
            for tickets in self.listed
            for ticket in tickets
        )
        faults = {
            "more seats are booked than a house has": any(
                booked > CAPACITY for look in self.booked for booked in look
            ),
            "more people sit there than have tickets": any(
                sum(look) > total for look in self.booked
            ),
            "a seat has two tickets": any(map(share_a_seat, self.listed)),
            "a ticket is not whole": not whole,
            "a ticket is not in one house": Counter(each["ticket_id"] for each in last)
            != Counter(self.people.keys()),
            "fewer seats are booked than people have tickets": sum(self.booked[-1]) != total,
        }
        return [fault for fault, is_there in faults.items() if is_there]


def test_parties_moving_between_nearly_full_houses_stay_whole(
    theatre: Theatre, rounds: int
) -> None:
    for _ in range(rounds):
        shuttle = Shuttle(theatre)
        assert outcomes(shuttle.answers).keys() <= {
            (200, None),
            (409, "not_enough_seats"),
            (409, "sold_out"),
        }
        assert outcomes(shuttle.answers)[200, None] > 0
        assert shuttle.wrong() == []


def test_without_the_index_two_parties_share_a_seat(without: Without) -> None:
    theatre = without("unique_seats")
    assert goes_wrong(lambda: "a seat has two tickets" in Shuttle(theatre).wrong())
