"""What a ticket costs when several services sell the same houses on one MongoDB."""

from __future__ import annotations

import os
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
from bench.picture import Line, line_chart
from bench.reasons import lost_inserts
from bench.report import Picture, plural
from bench.run import Run
from bench.servers import BOX_OFFICE, WORKERS, Contender, Server, running
from bench.workloads import booking, showings

NUMBERS = (1, 2, 4)  # of services, each with two workers
_random = random.Random(6)  # noqa: S311 (the same order in every run)


class Sale(NamedTuple):
    """Houses of one size, and the bookings that sell them out.

    `most` is the target for the most services, in inserts per ticket.
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
    """Count the inserts per ticket, and the tickets per second, with several services."""
    table, lines = [], []
    # The older version sells no parties.
    sellers = [
        (sale, contender)
        for sale in SALES
        for contender in run.services
        if contender is BOX_OFFICE or sale.largest_party == 1
    ]
    for number, (sale, contender) in enumerate(sellers):
        measured = []
        for step, services in enumerate(NUMBERS):
            run.progress.at((number + step / len(NUMBERS)) / len(sellers))
            measured.append(_sell(run, contender, sale, services))
        cells = [f"**{inserts:.2f}** · {rate:,.0f}" for inserts, rate in measured]
        table.append([sale.title, contender.name, *cells])
        lines.append(
            Line(
                f"{sale.title}, {contender.name}",
                [inserts for inserts, _ in measured],
                SALES.index(sale),
                dashed=contender is not BOX_OFFICE,
            )
        )
        if contender is BOX_OFFICE:
            for services, (inserts, _), most in (
                (NUMBERS[0], measured[0], 1.1),
                (NUMBERS[-1], measured[-1], sale.most),
            ):
                run.report.target(
                    f"{sale.title}: inserts per ticket, {plural(services, 'service')}",
                    inserts,
                    "≤",
                    most,
                    partial(lost_inserts, inserts, WORKERS * services),
                )
    run.report.add(
        "Cost against the number of services",
        f"What a ticket costs when several services of {WORKERS} workers each sell the same houses,"
        f" to {CONNECTIONS} connections in total: inserts per ticket (1 is the least) · tickets per"
        f" second. All services share the machine's {os.cpu_count()} cores."
        " [Decision 9](decisions/0009-the-order-of-seats.md) explains how seats are chosen.",
        ["", "", *(plural(number, "service") for number in NUMBERS)],
        table,
        Picture(
            "bench-services",
            "Inserts per ticket against the number of services",
            partial(
                line_chart,
                title="Inserts per ticket",
                labels=("services", "inserts"),
                x=NUMBERS,
                lines=lines,
            ),
        ),
    )


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
        turns = [_turn(servers, sale, unsold) for _ in range(run.length.rounds)]
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
