"""Part 3: the rush, 10,000 requests at once for the seats of one house."""

from __future__ import annotations

from dataclasses import dataclass

from app.mongodb.embedded import EmbeddedMongoDB
from bench.houses import CAPACITY, SEATS, booking, day, purchase, put_movie_on_sale, showings
from bench.load import Answers, LoadError, Request, rush
from bench.servers import SERVICE, running

CONNECTIONS = 500


@dataclass(frozen=True)
class Rush:
    """A house with so many seats, and how each of its rushes went."""

    route: str
    seats: int
    requests: int
    runs: list[Answers]


def measure(mongodb: EmbeddedMongoDB, *, requests: int, runs: int) -> list[Rush]:
    """Sell out a showing of 20 seats and one of 996, so many times each.

    Raises LoadError when not exactly the seats of the house are sold.
    """
    with running(SERVICE, mongodb, "rush") as server:
        movie = put_movie_on_sale(server.port)
        houses = [
            Rush("`POST /booktickets`", CAPACITY, requests, []),
            Rush("`POST /api/tickets`", SEATS, requests, []),
        ]
        for number, showing in zip(range(1, runs + 1), showings(), strict=False):
            wanted: list[Request] = [booking(showing), purchase(movie, day(number))]
            for house, request in zip(houses, wanted, strict=True):
                answers = rush(server.port, request, requests, CONNECTIONS)
                if answers.statuses != {201: house.seats, 409: requests - house.seats}:
                    raise LoadError(f"{house.route} answers {dict(answers.statuses)}")
                house.runs.append(answers)
        return houses
