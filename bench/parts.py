"""The shorter parts of the benchmark; each adds a section and its targets to the report."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from itertools import chain, cycle, islice, repeat

import pymongo

from app.domain.identifiers import new_id
from app.domain.showings import Showing
from bench import picture, reasons
from bench.load import CONNECTIONS, Row, Workload, ask, medians, request, send
from bench.report import Picture
from bench.run import Run
from bench.servers import BOX_OFFICE, CHECK, FASTAPI, Server, running
from bench.throughput import COLUMNS, cells, counted
from bench.workloads import (
    CAPACITY,
    FILL_SECONDS,
    booking,
    filling,
    identity,
    of_box_office,
    prepare_rival,
    showings,
)


def overselling(run: Run) -> None:
    """Count the tickets that are sold when many compete for a house, in several houses."""
    requests, connections, houses = 1000, 50, 5
    contenders = (BOX_OFFICE, CHECK, FASTAPI)
    oversold: dict[str, list[int]] = {}
    for number, contender in enumerate(contenders):
        run.progress.at(number / len(contenders))
        with running(contender, run.mongodb, f"overselling_{number}") as server:
            if contender is not BOX_OFFICE:
                prepare_rival(server)
            seats = oversold[contender.name] = []
            for showing in islice(showings(), houses):
                send(server.port, repeat(booking(showing), requests), connections)
                stored = server.database["tickets"].count_documents(identity(showing))
                seats.append(stored - CAPACITY)
    most = max(oversold[BOX_OFFICE.name])
    run.report.target("oversold seats", most, "≤", 0, lambda: reasons.FAULT)
    run.report.add(
        "Oversold seats",
        f"Tickets beyond the {CAPACITY} of a house after {requests:,} requests for it from"
        f" {connections} connections, in {houses} houses. {reasons.who_oversold(oversold)}",
        ["", "oversold", "spread"],
        [
            [name, f"**{statistics.median(seats)}**", f"{min(seats)} to {max(seats)}"]
            for name, seats in oversold.items()
        ],
    )


def rush(run: Run) -> None:
    """Sell out houses of 20 seats, each to a crowd that comes at once."""
    requests, connections, houses = 10_000 // run.length.divisor, 500, 3
    with running(BOX_OFFICE, run.mongodb, "rush") as server:
        rushes = []
        for number, showing in enumerate(islice(showings(), houses)):
            run.progress.at(number / houses)
            rushes.append(send(server.port, repeat(booking(showing), requests), connections))
    right = Counter({201: CAPACITY, 409: requests - CAPACITY})
    wrong = sum(each.statuses != right for each in rushes)
    run.report.target("rushes with wrong responses", wrong, "≤", 0, lambda: reasons.FAULT)
    run.report.add(
        "The rush",
        f"{requests:,} requests for {CAPACITY} seats from {connections} connections at once, for"
        f" {houses} houses. In a correct rush, {CAPACITY} get 201 and {requests - CAPACITY:,} get"
        " 409.",
        ["per second", "p50, ms", "p99, ms", "responses"],
        [
            [
                f"{requests / each.seconds:,.0f}",
                f"{each.p50:.0f}",
                f"{each.p99:.0f}",
                counted(each.statuses),
            ]
            for each in rushes
        ],
    )


def movies(run: Run) -> None:
    """Measure `GET /api/movies` for houses that are sold in single tickets."""
    houses, sold, connections = 20, 300 // run.length.divisor, 8
    rows = {}
    with ExitStack() as stack:
        for number, contender in enumerate(run.services):
            server = stack.enter_context(running(contender, run.mongodb, f"movies_{number}"))
            for movie in range(1, houses + 1):
                ask(server.port, request("POST", "/api/screens", {"seats": 300}))
                ask(server.port, request("POST", "/api/movies", {"screen": movie}))
                ask(server.port, request("PUT", "/api/tickets", {"movie": movie}))
            tomorrow = f"{next(showings()).date}"
            seats = [
                request("POST", "/api/tickets", {"movie": movie, "date": tomorrow})
                for movie in range(1, houses + 1)
            ] * sold
            send(server.port, iter(seats), CONNECTIONS)
            # The older version has one house for each movie, for all dates.
            question = request("GET", f"/api/movies{'' if number else f'?date={tomorrow}'}")
            rows[contender.name] = Row(Workload(server, repeat(question), 200), connections)
        run.take_turns(list(rows.values()))
    run.report.add(
        "The list of movies",
        f"`GET /api/movies` with {houses} houses, each with {sold} single tickets sold, for"
        f" {connections} connections. MongoDB gathers the seats of {houses * sold:,} tickets for"
        " each response of the box office.",
        ["", *COLUMNS],
        [[name, *cells(medians(row.turns))] for name, row in rows.items()],
    )


def memory(run: Run) -> None:
    """Measure memory under a mix of requests: half bookings, half refusals, views and `GET /`."""
    requests, steps = 200_000 // run.length.divisor, 5
    with running(BOX_OFFICE, run.mongodb, "memory") as server:
        workloads = of_box_office(server)
        bookings = workloads["booking"].requests
        others = cycle(workloads[name].requests for name in ("refusal", "view", "slots"))
        mixed = chain.from_iterable((next(bookings), next(other)) for other in others)
        send(server.port, islice(mixed, requests // 10), CONNECTIONS)  # to warm up
        resident = [server.memory()]
        for step in range(steps):
            run.progress.at((step + 0.5) / (steps + 0.5))
            send(server.port, islice(mixed, requests // steps), CONNECTIONS)
            resident.append(server.memory())
    growths = [size / resident[0] - 1 for size in resident]
    reason = partial(reasons.still_growing, growths[-1] - growths[-2], requests // steps)
    run.report.target("memory growth, %", growths[-1] * 100, "≤", 5.0, reason)
    run.report.add(
        "Memory",
        "All processes of the service together. Half of the requests are bookings; the rest are"
        " refusals, views and `GET /`.",
        ["requests", "resident, MiB", "growth"],
        [
            [f"{number * requests // steps:,}", f"{size / 2**20:.1f}", f"{growths[number]:+.1%}"]
            for number, size in enumerate(resident)
        ],
    )


def growth(run: Run) -> None:
    """Compare bookings with more and more tickets stored."""
    sizes = [stored // run.length.divisor for stored in (0, 10_000, 100_000, 1_000_000)]
    rows = []
    with ExitStack() as stack:
        for size in sizes:
            server = stack.enter_context(running(BOX_OFFICE, run.mongodb, f"growth_{size}"))
            _store_tickets(server, islice(showings(700, 5000), size // CAPACITY))
            rows.append(Row(Workload(server, filling(showings(2, 700)), 201)))
        # Wait until these are written: that must not fall into a measured turn.
        with pymongo.timeout(FILL_SECONDS):
            server.database.client.admin.command("fsync")
        run.take_turns(rows)
    none, most = rows[0], rows[-1]
    turns = [medians(row.turns) for row in rows]
    run.report.target(
        f"booking with {sizes[-1]:,} tickets stored ÷ with none",
        medians(most.ratios(none)).rate,
        "≥",
        0.95,
        partial(reasons.dearer_beside_tickets, turns[0], turns[-1]),
    )
    run.report.add(
        "Cost against the number of tickets",
        "Bookings, with tickets of other showings stored before the first turn.",
        ["tickets", "ratio", "spread", *COLUMNS],
        [
            [f"{size:,}", *row.relative_rate(none), *cells(turn)]
            for size, row, turn in zip(sizes, rows, turns, strict=True)
        ],
        Picture(
            "bench-tickets",
            "Processor time of a booking against the number of stored tickets",
            partial(
                picture.stacked_bars,
                title="Processor time of a booking",
                labels=("tickets stored before", "µs"),
                x=[f"{size:,}" for size in sizes],
                layers={
                    "workers": [turn.workers for turn in turns],
                    "MongoDB": [turn.mongodb for turn in turns],
                },
            ),
        ),
    )


def _store_tickets(server: Server, houses: Iterable[Showing]) -> None:
    """Fill these houses with copies of a ticket that the box office has booked."""
    booked = ask(server.port, booking(next(showings())))
    original = next(server.database["tickets"].find({"_id": booked["admission_code"]}))
    copies = (
        original | {"_id": new_id(), "seat": [seat], "showing_at": showing.at} | identity(showing)
        for showing in houses
        for seat in range(1, CAPACITY + 1)
    )
    with pymongo.timeout(FILL_SECONDS):
        while batch := list(islice(copies, 10_000)):
            server.database["tickets"].insert_many(batch, ordered=False)
