"""What a ticket costs when several services sell the same houses on one MongoDB."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from typing import NamedTuple

import gevent

from app.domain.showings import Showing
from bench.load import CONNECTIONS, ask, request, send
from bench.parts import Run
from bench.picture import draw
from bench.servers import BOX_OFFICE, PROJECT, Contender, Server, running
from bench.workloads import booking, showings

NUMBERS = (1, 2, 4)  # of services, each with two workers
_random = random.Random(6)  # noqa: S311 (the same order in every run)


class Sale(NamedTuple):
    """Houses of one size, and the bookings that sell them out.

    `most` is the target for four services, in inserts per ticket.
    """

    title: str
    environ: dict[str, str]
    houses: int
    requests: int
    largest_party: int
    most: float


SALES = (
    Sale(
        "a house of 200, single bookings",
        {"SLOT_CAPACITY": "200", "SEATS_PER_ROW": "20"},
        houses=1,
        requests=400,
        largest_party=1,
        most=1.5,
    ),
    Sale(
        "a house of 996, parties of 1 to 6",
        {"SLOT_CAPACITY": "996", "SEATS_PER_ROW": "20"},
        houses=1,
        requests=400,
        largest_party=6,
        most=1.2,
    ),
    Sale(
        "100 houses of 20, single bookings",
        {"SLOT_CAPACITY": "20", "SEATS_PER_ROW": "5"},
        houses=100,
        requests=2000,
        largest_party=1,
        most=1.3,
    ),
)


def services(run: Run) -> None:
    """Count the inserts per ticket, and the tickets per second, with 1, 2 and 4 services."""
    table, lines = [], {}
    contenders = [BOX_OFFICE, run.before] if run.before else [BOX_OFFICE]
    for sale in SALES:
        for contender in contenders:
            if contender is run.before and sale.largest_party > 1:
                continue  # it sells no parties
            measured = [_sell(run, contender, sale, number) for number in NUMBERS]
            cells = [f"**{inserts:.2f}** · {rate:,.0f}" for inserts, rate in measured]
            table.append([sale.title, contender.name, *cells])
            lines[f"{sale.title}, {contender.name}"] = [inserts for inserts, _ in measured]
            if contender is BOX_OFFICE:
                one, *_, four = measured
                run.report.target(f"{sale.title}: inserts, one service", one[0], "≤", 1.1)
                run.report.target(f"{sale.title}: inserts, four", four[0], "≤", sale.most)
    header = ["", "", *(f"{number} service{'s' * (number > 1)}" for number in NUMBERS)]
    run.report.table("services", header, table)
    picture = PROJECT / "docs/screenshots/bench-services.svg"
    run.report.picture(partial(draw, picture, "Inserts per ticket", NUMBERS, "services", lines))


def _sell(run: Run, contender: Contender, sale: Sale, number: int) -> tuple[float, float]:
    """Sell the houses of a sale several times; return the medians of inserts and rates."""
    name = f"services_{number}_{SALES.index(sale)}_{contender is BOX_OFFICE}"
    with ExitStack() as stack:
        servers = [
            stack.enter_context(running(contender, run.mongodb, name, sale.environ))
            for _ in range(number)
        ]
        for server in servers:
            ask(server.port, request("GET", "/"))
        unsold = showings()
        turns = [_turn(servers, sale, unsold) for _ in range(min(run.rounds, 3))]
    inserts, rates = zip(*turns, strict=True)
    return statistics.median(inserts), statistics.median(rates)


def _turn(servers: list[Server], sale: Sale, unsold: Iterator[Showing]) -> tuple[float, float]:
    """Sell the houses once; return the inserts per ticket, and the tickets per second."""
    tickets = servers[0].database["tickets"]
    requests = _bookings(sale, list(islice(unsold, sale.houses)))
    stored, inserted = tickets.count_documents({}), _inserts(servers[0])
    started = time.perf_counter()
    gevent.joinall(
        [
            gevent.spawn(send, server.port, requests, CONNECTIONS // len(servers))
            for server in servers
        ],
        raise_error=True,
    )
    seconds = time.perf_counter() - started
    sold = tickets.count_documents({}) - stored
    return (_inserts(servers[0]) - inserted) / sold, sold / seconds


def _bookings(sale: Sale, houses: list[Showing]) -> Iterator[bytes]:
    """Yield the bookings of one turn in random order, the same number for each house."""
    wanted = houses * (sale.requests // sale.houses)
    _random.shuffle(wanted)
    for showing in wanted:
        amount = _random.randint(1, sale.largest_party)
        yield booking(showing, {} if sale.largest_party == 1 else {"amount": amount})


def _inserts(server: Server) -> int:
    """Return how many documents MongoDB has been asked to insert."""
    counters = server.database.client.admin.command("serverStatus")["opcounters"]
    return int(counters["insert"])
