"""What selling one house from several services costs: how many documents MongoDB is offered.

A process that tries to sell a seat which another one has just sold has to try again. If all of
them tried the seats in the same order, four services would offer about four documents per ticket.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from tests.race.conftest import Theatre, Without, goes_wrong
from tests.running import Front, Service, outcomes
from tests.traffic import Request


def single_bookings(theatre: Theatre) -> list[Request]:
    """A rush on a house of 200."""
    return [theatre.house_of_movie(200).booking()] * 400


def parties(theatre: Theatre) -> list[Request]:
    """A rush on a house of 996, by parties of 1 to 6."""
    house = theatre.house_of_movie(996)
    return [house.booking(amount=random.randint(1, 6)) for _ in range(400)]


def many_houses(theatre: Theatre) -> list[Request]:
    """All seats of 100 houses of 20."""
    houses = [theatre.house() for _ in range(100)]
    requests = [house.booking() for house in houses for _ in range(house.seats)]
    random.shuffle(requests)
    return requests


Rush = Callable[[Theatre], list[Request]]


def inserts_per_ticket(front: Front, theatre: Theatre, rush: Rush, times: int) -> float:
    """Send a rush on new houses this many times; return the inserts offered per ticket sold."""
    sold = offered = 0
    with theatre.collection("tickets") as tickets:
        for _ in range(times):
            requests = rush(theatre)
            before = tickets.database.command("serverStatus")["opcounters"]["insert"]
            sold += outcomes(front.all_at_once(requests))[201, None]
            offered += tickets.database.command("serverStatus")["opcounters"]["insert"] - before
    assert offered >= sold > 0
    return offered / sold


@pytest.mark.parametrize(
    ("rush", "times", "most"), [(single_bookings, 3, 1.9), (parties, 3, 1.7), (many_houses, 1, 1.5)]
)
def test_four_services_seldom_try_the_same_seats(
    four_services: Theatre, rush: Rush, times: int, most: float
) -> None:
    assert inserts_per_ticket(four_services, four_services, rush, times) < most


@pytest.mark.parametrize(("rush", "times"), [(single_bookings, 3), (parties, 3), (many_houses, 1)])
def test_workers_of_one_service_rarely_try_the_same_seats(
    services: Sequence[Service], four_services: Theatre, rush: Rush, times: int
) -> None:
    assert inserts_per_ticket(services[0], four_services, rush, times) < 1.3


def test_workers_without_separate_places_try_the_same_seats(without: Without) -> None:
    theatre = without("places")
    assert goes_wrong(lambda: inserts_per_ticket(theatre, theatre, many_houses, 1) > 1.3)
