"""Part 3: rates with few and with a million stored tickets, and memory over many requests."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import chain, cycle, islice

from app.mongodb.client import open_client
from app.mongodb.embedded import EmbeddedMongoDB
from app.theatre.identifiers import new_id
from app.theatre.showings import Showing
from bench.load import ask, send
from bench.report import Report
from bench.rounds import Row, take_turns
from bench.servers import BOX_OFFICE, Server, running
from bench.workloads import (
    CAPACITY,
    CONNECTIONS,
    Workload,
    booking,
    filling,
    of_box_office,
    showings,
    view,
)

_FEW = 1000  # tickets
_FIRST_STORED = 700  # days ahead; the houses that fill while it is measured come before
_LAST_STORED = 5000
_BATCH = 10_000  # tickets
_VIEWS = 1000  # houses all over the database
_SAMPLES = 8


def measure_rates(
    mongodb: EmbeddedMongoDB, report: Report, *, tickets: int, rounds: int, seconds: float
) -> None:
    """Compare bookings and views with this many stored tickets and with few."""
    rows: dict[tuple[str, int], Row] = {}
    with ExitStack() as stack:
        for size in (_FEW, tickets):
            server = stack.enter_context(running(BOX_OFFICE, mongodb, f"growth_{size}"))
            houses = list(islice(showings(_FIRST_STORED, _LAST_STORED), size // CAPACITY))
            _store_tickets(server, houses)
            views = [view(showing) for showing in houses[:: len(houses) // _VIEWS or 1]]
            bookings = Workload(server, filling(showings(2, _FIRST_STORED)), 201)
            rows["booking", size] = Row("booking", bookings)
            rows["view", size] = Row("view", Workload(server, cycle(views), 200))
        with open_client(mongodb.uri) as client:
            client.admin.command("fsync")  # nobody is measured while those are being written
        take_turns(list(rows.values()), rounds, seconds)
    names = {"booking": "booking, houses filling up", "view": "`/viewontime`, a full house"}
    table = []
    for key, name in names.items():
        few, many = rows[key, _FEW], rows[key, tickets]
        rates = [f"{row.median(lambda turn: turn.rate):,.0f}" for row in (few, many)]
        table.append([name, *rates, *many.ratios(few).cells])
    ratio = rows["booking", tickets].ratios(rows["booking", _FEW]).median
    report.at_least(f"booking with {tickets:,} tickets ÷ with {_FEW:,}", ratio, 0.95)
    header = ["", f"per second at {_FEW:,}", f"per second at {tickets:,}", "ratio", "spread"]
    report.table("growth", header, table)


def measure_memory(
    mongodb: EmbeddedMongoDB, report: Report, *, requests: int, warm_up: int
) -> None:
    """Read the memory during this many requests, which follow those of the warm-up.

    Every other request is a booking; the rest are refusals, views and `GET /`.
    """
    with running(BOX_OFFICE, mongodb, "memory") as server:
        workloads = of_box_office(server)
        others = (workloads[name].requests for name in ("refusal", "view", "slots"))
        mixed = chain.from_iterable(
            zip(
                workloads["booking"].requests,
                chain.from_iterable(zip(*others, strict=True)),
                strict=False,
            )
        )
        send(server.port, islice(mixed, warm_up), CONNECTIONS)
        samples = [server.memory()]
        for _ in range(_SAMPLES):
            send(server.port, islice(mixed, requests // _SAMPLES), CONNECTIONS)
            samples.append(server.memory())
    report.at_most("memory growth, %", (samples[-1] / samples[0] - 1) * 100, 5.0)
    report.table(
        "memory",
        ["requests", "resident, MiB", "growth"],
        [
            [
                f"{number * requests // _SAMPLES:,}",
                f"{resident / 2**20:.1f}",
                f"{resident / samples[0] - 1:+.1%}",
            ]
            for number, resident in enumerate(samples)
        ],
    )


def _store_tickets(server: Server, houses: list[Showing]) -> None:
    """Fill these houses with copies of a ticket that was booked."""
    booked = ask(server.port, booking(next(showings())))
    with open_client(server.mongodb.uri) as client:
        collection = client[server.database]["tickets"]
        original = next(collection.find({"_id": booked["ticket_id"]}))
        tickets = (
            original | {"_id": new_id(), "seat": seat} | showing.as_document()
            for showing in houses
            for seat in range(1, CAPACITY + 1)
        )
        while batch := list(islice(tickets, _BATCH)):
            collection.insert_many(batch, ordered=False)
