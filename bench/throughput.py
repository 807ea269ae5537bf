"""Part 1: requests a second beside the bare insert, and what is oversold on the way."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice

from app.mongodb.client import open_client
from app.mongodb.embedded import EmbeddedMongoDB
from bench import servers
from bench.houses import (
    CAPACITY,
    booking,
    day,
    filling,
    purchase,
    put_movie_on_sale,
    showings,
    slots,
    view,
)
from bench.load import Request, rush, steady
from bench.rounds import Contender, take_turns
from bench.servers import Server, running

BURST = 1000  # requests for one house
BURST_CONNECTIONS = 50  # of which hey wants the requests to be a multiple
_FULL_HOUSES = 50
_MOVIES = 20
_MOVIE_DAYS = 100


@dataclass(frozen=True)
class Throughput:
    """The contenders by their keys, and the tickets stored of one house, burst by burst."""

    contenders: dict[str, Contender]
    bursts: dict[str, list[int]]


def measure(mongodb: EmbeddedMongoDB, *, rounds: int, seconds: int, bursts: int) -> Throughput:
    """Measure all contenders in so many rounds of so many seconds each, then the bursts."""
    with ExitStack() as stack:

        def start(command: tuple[str, ...], database: str, log_level: str = "warning") -> Server:
            server = running(command, mongodb, f"throughput_{database}", log_level=log_level)
            return stack.enter_context(server)

        service = start(servers.SERVICE, "service")
        logged = start(servers.SERVICE, "logged", "info")
        bare = start(servers.BARE_INSERT, "bare")
        check = start(servers.CHECK_THEN_INSERT, "check")
        fastapi = start(servers.FASTAPI, "fastapi")
        unsold = {server: showings() for server in (service, logged, bare, check, fastapi)}

        client = stack.enter_context(open_client(mongodb.uri))
        client[check.database]["slots"].insert_many(
            {**showing.identity(), "booked": 0} for showing in showings()
        )
        full = list(islice(unsold[service], _FULL_HOUSES))
        steady(service.port, filling(full), seconds=3)
        movies = [put_movie_on_sale(service.port) for _ in range(_MOVIES)]
        purchases = [
            purchase(movie, day(ahead)) for ahead in range(1, _MOVIE_DAYS + 1) for movie in movies
        ]

        def bookings(server: Server) -> Callable[[int], list[Request]]:
            return lambda number: filling(list(islice(unsold[server], number // CAPACITY + 1)))

        def same(requests: list[Request]) -> Callable[[int], list[Request]]:
            return lambda _: requests

        contenders = {
            "bare": Contender("bare insert", bare, bookings(bare), 201),
            "booking": Contender("`POST /booktickets`", service, bookings(service), 201),
            "logged": Contender("`POST /booktickets`, logged", logged, bookings(logged), 201),
            "refusal": Contender(
                "`POST /booktickets`, sold out", service, same([booking(s) for s in full]), 409
            ),
            "view": Contender(
                "`POST /viewontime`, full house", service, same([view(s) for s in full]), 200
            ),
            "slots": Contender("`GET /`, full houses", service, same([slots(full[0].date)]), 200),
            "purchase": Contender("`POST /api/tickets`", service, same(purchases), 201),
            "check": Contender("check, then insert (Flask)", check, bookings(check), 201),
            "fastapi": Contender("count, then insert (FastAPI)", fastapi, bookings(fastapi), 201),
        }
        take_turns(list(contenders.values()), rounds, seconds)

        stored: dict[str, list[int]] = {}
        for key in ("booking", "check", "fastapi"):
            server = contenders[key].server
            stored[key] = []
            for showing in islice(unsold[server], bursts):
                rush(server.port, booking(showing), BURST, BURST_CONNECTIONS)
                tickets = client[server.database]["tickets"]
                stored[key].append(tickets.count_documents(showing.identity()))
        return Throughput(contenders, stored)
