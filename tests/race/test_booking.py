"""Many clients book at once, from several server processes and services on a real MongoDB.

Each guard has its control: the same traffic goes wrong without the guard.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest

from tests.race.conftest import Theatre, Without, goes_wrong
from tests.running import Answer, Connection, Front, outcomes, run_all
from tests.traffic import CAPACITY, House, deleting

BUYERS = 64


def tickets_of(answers: Sequence[Answer]) -> list[Any]:
    """Return the tickets that these answers confirm, by seat."""
    tickets = (answer.body for answer in answers if answer.status == 201)
    return sorted(tickets, key=lambda ticket: ticket["seats"])


def seats_of(tickets: Sequence[Any]) -> list[int]:
    return [seat for ticket in tickets for seat in ticket["seats"]]


def share_a_seat(tickets: Sequence[Any]) -> bool:
    seats = seats_of(tickets)
    return len(set(seats)) < len(seats)


def book(front: Front, house: House, *parties: int) -> list[Any]:
    """Book a ticket for each of these parties."""
    answers = front.all_at_once([house.booking(amount=people) for people in parties], clients=4)
    assert outcomes(answers) == {(201, None): len(parties)}
    return [answer.body for answer in answers]


def test_every_request_of_a_crowd_is_answered(four_workers: Theatre, rounds: int) -> None:
    # At full length, 10,000 requests from 500 connections.
    crowd = 500 * rounds
    booking = four_workers.house().booking()
    answers = four_workers.all_at_once([booking] * crowd, clients=25 * rounds)
    assert outcomes(answers) == {(201, None): CAPACITY, (409, "sold_out"): crowd - CAPACITY}


def rush(theatre: Theatre, house: House) -> list[Answer]:
    """Send 300 bookings at once for one house."""
    return theatre.all_at_once([house.booking()] * 300)


def make_first_sales(theatre: Theatre) -> list[Answer]:
    """Let as many buyers as a new house has seats buy one each, at once."""
    house = theatre.house_of_movie(BUYERS)
    return theatre.all_at_once([house.booking()] * BUYERS, clients=BUYERS)


def free_a_seat(theatre: Theatre, house: House) -> tuple[Any, list[Answer]]:
    """Delete a ticket of a full house while 30 others book; return it and all answers."""
    first, *_ = book(theatre, house, *[1] * CAPACITY)
    requests = [deleting(first), *[house.booking()] * 30]
    return first, theatre.all_at_once(requests, clients=31)


class TestSingles:
    def test_a_rush_sells_the_house_exactly(self, theatre: Theatre, rounds: int) -> None:
        for _ in range(rounds):
            house = theatre.house()
            answers = rush(theatre, house)
            assert outcomes(answers) == {(201, None): CAPACITY, (409, "sold_out"): 300 - CAPACITY}
            tickets = tickets_of(answers)
            assert seats_of(tickets) == list(range(1, CAPACITY + 1))
            assert len({ticket["ticket_id"] for ticket in tickets}) == CAPACITY
            assert house.tickets(theatre) == tickets

    def test_without_the_index_it_oversells(self, without: Without) -> None:
        theatre = without("unique_seats")
        assert goes_wrong(lambda: len(tickets_of(rush(theatre, theatre.house()))) > CAPACITY)

    def test_racing_first_sales_all_succeed(self, theatre: Theatre, rounds: int) -> None:
        for _ in range(rounds):
            answers = make_first_sales(theatre)
            assert outcomes(answers) == {(201, None): BUYERS}
            assert seats_of(tickets_of(answers)) == list(range(1, BUYERS + 1))

    def test_without_a_retry_some_first_sales_fail(self, without: Without) -> None:
        theatre = without("attempts")
        assert goes_wrong(lambda: outcomes(make_first_sales(theatre))[201, None] < BUYERS)

    def test_a_seat_freed_in_a_full_house_is_sold_once(self, theatre: Theatre, rounds: int) -> None:
        for _ in range(rounds):
            house = theatre.house()
            first, answers = free_a_seat(theatre, house)
            assert outcomes(answers).keys() <= {(204, None), (201, None), (409, "sold_out")}
            assert outcomes(answers)[204, None] == 1
            # None if all came before the seat was free.
            booked = tickets_of(answers) or book(theatre, house, 1)
            assert seats_of(booked) == first["seats"]
            assert seats_of(house.tickets(theatre)) == list(range(1, CAPACITY + 1))

    def test_without_the_index_a_freed_seat_is_sold_twice(self, without: Without) -> None:
        theatre = without("unique_seats")
        assert goes_wrong(lambda: len(tickets_of(free_a_seat(theatre, theatre.house())[1])) > 1)


@dataclass
class Party:
    """People who want to sit together, what they got, and when they asked and got it."""

    house: House
    people: int
    answer: Answer | None = None
    asked_at: float = 0
    answered_at: float = 0

    def __call__(self, connection: Connection) -> Answer:
        request = self.house.booking(amount=self.people)
        self.asked_at = time.monotonic()
        self.answer = request(connection)
        self.answered_at = time.monotonic()
        return self.answer


def book_in_parties(theatre: Theatre, house: House) -> list[Party]:
    """Let 400 parties of 1 to 6 book at once."""
    parties = [Party(house, random.randint(1, 6)) for _ in range(400)]
    theatre.all_at_once(parties)
    return parties


class TestParties:
    @pytest.mark.parametrize("seats", [200, 996])
    def test_only_parties_that_do_not_fit_are_refused(
        self, theatre: Theatre, rounds: int, seats: int
    ) -> None:
        for _ in range(rounds):
            house = theatre.house_of_movie(seats)
            parties = book_in_parties(theatre, house)
            answers = [party.answer for party in parties if party.answer]
            refusals = {(409, "sold_out"), (409, "not_enough_seats")}
            assert outcomes(answers).keys() <= {(201, None), *refusals}
            tickets = tickets_of(answers)
            assert not share_a_seat(tickets)
            assert set(seats_of(tickets)) <= set(range(1, seats + 1))
            assert house.tickets(theatre) == tickets
            sold = [party for party in parties if party.answer.status == 201]
            refused = [party for party in parties if party.answer.status == 409]
            assert all(len(party.answer.body["seats"]) == party.people for party in sold)
            assert sum(party.people for party in parties) > seats
            for party in refused:
                assert party.answer.body["seats_left"] in possible(party, sold, seats)
                assert party.answer.body["seats_left"] < party.people
                is_sold_out = party.answer.code == "sold_out"
                assert (party.answer.body["seats_left"] == 0) == is_sold_out
            left = house.free_seats(theatre)
            assert sorted([*left, *seats_of(tickets)]) == list(range(1, seats + 1))
            assert all(party.people > len(left) for party in refused)

    def test_without_the_index_a_seat_is_sold_twice(self, without: Without) -> None:
        theatre = without("unique_seats")

        def sells_a_seat_twice() -> bool:
            parties = book_in_parties(theatre, theatre.house_of_movie(200))
            return share_a_seat(tickets_of([party.answer for party in parties if party.answer]))

        assert goes_wrong(sells_a_seat_twice)

    def test_buyers_who_accept_fewer_seats_sell_out_a_house_exactly(
        self, theatre: Theatre, rounds: int
    ) -> None:
        for _ in range(min(rounds, 10)):
            house = theatre.house_of_movie(996)
            answers = buy_out(theatre, house)
            assert outcomes(answers).keys() <= {
                (201, None),
                (409, "not_enough_seats"),
                (409, "sold_out"),
            }
            tickets = tickets_of(answers)
            assert sorted(seats_of(tickets)) == list(range(1, 997))
            assert house.tickets(theatre) == tickets
            movies = theatre.get(f"/api/movies?date={house.date}").body
            movie = next(each for each in movies if each["movie"] == house.movie)
            assert (movie["purchased_seats"], movie["free_seats"]) == (996, 0)

    def test_without_the_index_buyers_get_more_seats_than_the_house_has(
        self, without: Without
    ) -> None:
        theatre = without("unique_seats")

        def sells_too_many() -> bool:
            answers = buy_out(theatre, theatre.house_of_movie(200))
            return len(seats_of(tickets_of(answers))) > 200

        assert goes_wrong(sells_too_many)


def possible(party: Party, sold: Sequence[Party], seats: int) -> range:
    """Return how many seats may have been free at some moment while this party was waiting."""
    before = sum(each.people for each in sold if each.answered_at < party.asked_at)
    by_then = sum(each.people for each in sold if each.asked_at < party.answered_at)
    return range(seats - by_then, seats - before + 1)


def buy_out(theatre: Theatre, house: House) -> list[Answer]:
    """Let every buyer buy up to 10 seats at a time until none are left."""
    answers: list[Answer] = []

    def buy() -> None:
        connection = theatre.connect()
        most = 10
        while most:
            answer = house.booking(amount=random.randint(1, most))(connection)
            answers.append(answer)
            if answer.status == 409:
                most = min(10, answer.body["seats_left"])
        connection.close()

    run_all([buy] * BUYERS)
    return answers


CHOICES = [[first, first + 1, first + 2] for first in range(1, CAPACITY - 1, 2)]


def choose_overlapping_seats(theatre: Theatre, house: House) -> list[tuple[list[int], Answer]]:
    """Let 8 customers each want seats 1 to 3, 3 to 5, 5 to 7, and so on; return what they got."""
    got: list[tuple[list[int], Answer]] = []

    def choosing(seats: list[int]) -> Any:
        def choose(connection: Connection) -> Answer:
            answer = house.booking(seats=seats)(connection)
            got.append((seats, answer))
            return answer

        return choose

    choices = CHOICES * 8
    random.shuffle(choices)
    theatre.all_at_once(map(choosing, choices), clients=len(choices))
    return got


class TestChosenSeats:
    @pytest.mark.parametrize("seats", [None, CAPACITY], ids=["timetable", "movie"])
    def test_chosen_seats_are_sold_once_and_all_or_nothing(
        self, theatre: Theatre, rounds: int, seats: int | None
    ) -> None:
        for _ in range(rounds):
            house = theatre.new_house(seats)
            got = choose_overlapping_seats(theatre, house)
            answers = [answer for _, answer in got]
            assert outcomes(answers).keys() == {(201, None), (409, "seat_taken")}
            tickets = tickets_of(answers)
            assert not share_a_seat(tickets)
            assert house.tickets(theatre) == tickets
            taken = set(seats_of(tickets))
            for wanted, answer in got:
                if answer.status == 201:
                    assert answer.body["seats"] == wanted
                else:
                    free = set(answer.body["free_seats"])
                    assert free >= set(range(1, CAPACITY + 1)) - taken
                    assert not free >= set(wanted)
            assert all(taken & set(choice) for choice in CHOICES)

    def test_without_the_index_a_seat_is_sold_twice(self, without: Without) -> None:
        theatre = without("unique_seats")

        def sells_a_seat_twice() -> bool:
            got = choose_overlapping_seats(theatre, theatre.house())
            return share_a_seat(tickets_of([answer for _, answer in got]))

        assert goes_wrong(sells_a_seat_twice)


def repeat(theatre: Theatre, house: House, key: str) -> list[Answer]:
    """Send 100 requests for a party of 3 at once with one idempotency key."""
    return theatre.all_at_once([house.booking(key, amount=3)] * 100)


class TestIdempotencyKeys:
    @pytest.mark.parametrize("seats", [None, 200], ids=["timetable", "movie"])
    def test_a_key_gets_one_ticket(self, theatre: Theatre, rounds: int, seats: int | None) -> None:
        for number in range(rounds):
            house = theatre.new_house(seats)
            answers = repeat(theatre, house, f"key-{number}-of-the-race-{seats}")
            assert outcomes(answers) == {(201, None): 100}
            assert house.tickets(theatre) == [answers[0].body]
            assert all(answer.body == answers[0].body for answer in answers)
            assert len(answers[0].body["seats"]) == 3
            replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
            assert Counter(replayed) == {None: 1, "true": 99}

    @pytest.mark.parametrize("seats", [None, 200], ids=["timetable", "movie"])
    def test_without_the_index_a_key_gets_several_tickets(
        self, without: Without, seats: int | None
    ) -> None:
        theatre = without("unique_keys")

        def sells_twice() -> bool:
            house = theatre.new_house(seats)
            repeat(theatre, house, f"key-of-the-race-{house}")
            return len(house.tickets(theatre)) > 1

        assert goes_wrong(sells_twice)

    def test_a_key_used_for_a_timing_and_a_movie_at_once_gets_one_ticket(
        self, theatre: Theatre, rounds: int
    ) -> None:
        for number in range(rounds):
            houses, answers = book_in_two_houses(theatre, f"key-{number}-for-two-houses")
            assert outcomes(answers) == {(201, None): 50, (422, "idempotency_key_reused"): 50}
            assert sum(len(house.tickets(theatre)) for house in houses) == 1

    def test_without_the_index_a_key_gets_a_ticket_in_each_house(self, without: Without) -> None:
        theatre = without("unique_keys")
        attempts = count()

        def sells_in_both() -> bool:
            houses, _ = book_in_two_houses(theatre, f"key-{next(attempts)}-for-two-houses")
            return all(house.tickets(theatre) for house in houses)

        assert goes_wrong(sells_in_both)

    def test_the_last_seat_goes_to_one_key(self, theatre: Theatre, rounds: int) -> None:
        for number in range(rounds):
            house = theatre.house()
            answers = book_the_last_seat(theatre, house, number)
            assert outcomes(answers).keys() == {(201, None), (409, "sold_out")}
            tickets = tickets_of(answers)
            assert all(ticket == tickets[0] for ticket in tickets)
            assert seats_of(house.tickets(theatre)) == list(range(1, CAPACITY + 1))

    def test_without_the_index_several_keys_get_the_last_seat(self, without: Without) -> None:
        theatre = without("unique_seats")
        attempts = count()

        def sells_it_twice() -> bool:
            tickets = tickets_of(book_the_last_seat(theatre, theatre.house(), next(attempts)))
            return len({ticket["ticket_id"] for ticket in tickets}) > 1

        assert goes_wrong(sells_it_twice)


def book_in_two_houses(theatre: Theatre, key: str) -> tuple[list[House], list[Answer]]:
    """Book with one key 50 times in the timetable and 50 times for a movie, at once."""
    houses = [theatre.house(), theatre.house_of_movie(200)]
    return houses, theatre.all_at_once([house.booking(key) for house in houses * 50])


def book_the_last_seat(theatre: Theatre, house: House, number: int) -> list[Answer]:
    """Book the last seat with 10 keys, 10 times each, at once."""
    book(theatre, house, *[1] * (CAPACITY - 1))
    keys = [f"last-seat-{number}-{name}" for name in range(10)]
    return theatre.all_at_once([house.booking(key) for key in keys * 10])
