"""The parts of the benchmark; each adds tables and targets to the report."""

from __future__ import annotations

import statistics
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, cycle, islice, repeat

from app.mongodb.client import open_client
from app.mongodb.embedded import EmbeddedMongoDB
from app.theatre.identifiers import new_id
from app.theatre.showings import Showing
from bench import servers
from bench.load import BROKEN, ask, send
from bench.report import Report
from bench.rounds import Row, medians, take_turns
from bench.servers import BOX_OFFICE, Contender, Server, running
from bench.workloads import (
    CAPACITY,
    CONNECTIONS,
    SEATS,
    Workload,
    booking,
    day,
    filling,
    of_box_office,
    purchase,
    put_movie_on_sale,
    showings,
    view,
)

WORKLOADS = {  # with the least that each should reach, times the yardstick
    "booking": ("booking, houses filling up", 1.0),
    "refusal": ("refusal, 50 full houses", 1.0),
    "one-house": ("refusal, one full house", 1.2),
    "slots": ("`GET /`, a full day", 1.2),
    "view": ("`/viewontime`, a full house", 0.85),
    "purchase": ("`POST /api/tickets`", 0.8),
    "ticket": ("`GET /tickets/{ticket_id}`", None),
}
_LEVELS = (1, 8, 64, 512)  # connections, for booking and refusal
_FEW = 1000  # tickets
_FIRST_STORED, _LAST_STORED = 700, 5000  # days ahead, after those that are booked meanwhile


@dataclass(frozen=True)
class Run:
    """What all parts need; a quick run is too short for figures that mean something."""

    mongodb: EmbeddedMongoDB
    report: Report
    wanted: set[str]
    before: Contender | None
    quick: bool

    @property
    def rounds(self) -> int:
        """The number of rounds."""
        return 1 if self.quick else 7

    @property
    def seconds(self) -> float:
        """The length of a turn."""
        return 0.5 if self.quick else 3

    def scaled(self, number: int) -> int:
        """Return the number, or a fiftieth of it in a quick run."""
        return number // 50 if self.quick else number


def throughput(run: Run) -> None:
    """Compare rates, latencies and processor times with the yardstick's."""
    services = [BOX_OFFICE, *([run.before] if run.before else [])]
    others = [servers.BARE_ON_GUNICORN, servers.FASTAPI, servers.CHECK]
    rows: dict[tuple[str, Contender, int], Row] = {}
    with ExitStack() as stack:
        for number, contender in enumerate([servers.YARDSTICK, *others, *services]):
            server = stack.enter_context(running(contender, run.mongodb, f"throughput_{number}"))
            if contender in services:
                workloads = of_box_office(server)
            else:
                _prepare_rival(server)
                workloads = {"booking": Workload(server, filling(showings()), 201)}
            for name, workload in workloads.items():
                if name in run.wanted or contender is servers.YARDSTICK:
                    for level in _LEVELS if name in ("booking", "refusal") else (CONNECTIONS,):
                        rows[name, contender, level] = Row(workload, level)
        take_turns(list(rows.values()), run.rounds, run.seconds)

    yardstick = {level: rows["booking", servers.YARDSTICK, level] for level in _LEVELS}
    by_rate = []
    by_level: dict[tuple[str, str], list[str]] = {}
    unexpected: Counter[int] = Counter()
    for (name, contender, level), row in rows.items():
        title, least = WORKLOADS[name]
        each = medians(row.turns)
        ratio = row.relative_rate(yardstick[level])
        unexpected += row.unexpected
        if name in ("booking", "refusal"):
            by_level.setdefault((title, contender.name), []).append(
                f"{ratio[0]} · {each.p50:.1f} / {each.p99:.1f}"
            )
        if level != CONNECTIONS:
            continue
        numbers = (each.rate, each.p50, each.p99, each.workers, each.mongodb)
        by_rate.append([title, contender.name, *ratio, *(f"{number:,.0f}" for number in numbers)])
        if contender is BOX_OFFICE:
            if least:
                measured = medians(row.ratios(yardstick[level])).rate
                run.report.at_least(f"{title} ÷ yardstick", measured, least)
            if run.before:
                p99 = medians(row.ratios(rows[name, run.before, level])).p99
                run.report.at_most(f"{title}: p99 ÷ before", p99, 1.0)
    if "booking" in run.wanted:
        compared = rows["booking", BOX_OFFICE, 64].ratios(rows["booking", servers.FASTAPI, 64])
        run.report.at_least("booking ÷ FastAPI", medians(compared).rate, 1.4)
        if run.before:
            compared = rows["booking", BOX_OFFICE, 1].ratios(rows["booking", run.before, 1])
            run.report.at_most("booking, one client: p50 ÷ before", medians(compared).p50, 1.05)
    headings = ["per second", "p50, ms", "p99, ms", "workers, µs", "MongoDB, µs"]
    run.report.table("throughput", ["", "", "ratio", "spread", *headings], by_rate)
    run.report.table(
        "concurrency",
        ["", "", *map(str, _LEVELS)],
        [[*who, *cells] for who, cells in by_level.items()],
    )
    generator = max(turn.generator for row in rows.values() for turn in row.turns)
    run.report.facts |= {
        "rounds": f"{run.rounds}, with turns of {run.seconds} s",
        "load generator": f"at most {generator:.0%} of a core",
        "unexpected responses": _counted(unexpected) or "none",
    }


def overselling(run: Run) -> None:
    """Count the tickets of houses that 1,000 requests want at once, five houses each."""
    table = []
    with open_client(run.mongodb.uri) as client:
        for number, contender in enumerate((BOX_OFFICE, servers.CHECK, servers.FASTAPI)):
            with running(contender, run.mongodb, f"overselling_{number}") as server:
                if contender is not BOX_OFFICE:
                    _prepare_rival(server)
                tickets = client[server.database]["tickets"]
                oversold = []
                for showing in islice(showings(), 5):
                    send(server.port, repeat(booking(showing), 1000), 50)
                    oversold.append(tickets.count_documents(showing.identity()) - CAPACITY)
            if contender is BOX_OFFICE:
                run.report.at_most("oversold seats", max(oversold), 0)
            spread = f"{min(oversold)} to {max(oversold)}"
            table.append([contender.name, f"**{statistics.median(oversold)}**", spread])
    run.report.table("overselling", ["", "oversold", "spread"], table)


def rush(run: Run) -> None:
    """Sell out houses of 20 and of 996 seats from 500 connections at once, three times each."""
    requests = run.scaled(10_000)
    with running(BOX_OFFICE, run.mongodb, "rush") as server:
        movie = put_movie_on_sale(server.port)
        houses = {
            "`POST /booktickets`": (CAPACITY, map(booking, islice(showings(), 3))),
            "`POST /api/tickets`": (SEATS, (purchase(movie, day(ahead)) for ahead in (1, 2, 3))),
        }
        table = []
        for route, (seats, wanted) in houses.items():
            rushes = [send(server.port, repeat(each, requests), 500) for each in wanted]
            rates = [requests / each.seconds for each in rushes]
            p50, p99 = [each.p50 for each in rushes], [each.p99 for each in rushes]
            sold = min(seats, requests)
            right = Counter({201: sold, 409: requests - sold})
            wrong = sum(each.statuses != right for each in rushes)
            run.report.at_most(f"{route}, rushes with wrong responses", wrong, 0)
            figures = (f"{statistics.median(values):,.0f}" for values in (rates, p50, p99))
            statuses = sum((each.statuses for each in rushes), Counter[int]())
            table.append([route, *figures, _counted(statuses)])
    header = ["", "per second", "p50, ms", "p99, ms", "responses of 3 rushes"]
    run.report.table("rush", header, table)


def memory(run: Run) -> None:
    """Read the memory over 200,000 requests, half bookings, half refusals, views and `GET /`."""
    requests = run.scaled(200_000)
    with running(BOX_OFFICE, run.mongodb, "memory") as server:
        kinds = of_box_office(server)
        bookings, *others = (
            kinds[name].requests for name in ("booking", "refusal", "view", "slots")
        )
        mixed = chain.from_iterable((next(bookings), next(other)) for other in cycle(others))
        send(server.port, islice(mixed, requests // 10), CONNECTIONS)  # to warm up
        resident = [server.memory()]
        for _ in range(5):
            send(server.port, islice(mixed, requests // 5), CONNECTIONS)
            resident.append(server.memory())
    growth = [size / resident[0] - 1 for size in resident]
    run.report.at_most("memory growth, %", growth[-1] * 100, 5.0)
    table = [
        [f"{number * requests // 5:,}", f"{size / 2**20:.1f}", f"{growth[number]:+.1%}"]
        for number, size in enumerate(resident)
    ]
    run.report.table("memory", ["requests", "resident, MiB", "growth"], table)


def growth(run: Run) -> None:
    """Compare bookings and views with a million stored tickets and with a thousand."""
    many = run.scaled(1_000_000)
    rows: dict[tuple[str, int], Row] = {}
    with ExitStack() as stack:
        for size in (_FEW, many):
            server = stack.enter_context(running(BOX_OFFICE, run.mongodb, f"growth_{size}"))
            houses = list(islice(showings(_FIRST_STORED, _LAST_STORED), size // CAPACITY))
            _store_tickets(server, houses)
            views = [view(showing) for showing in houses[:: len(houses) // 1000 or 1]]
            rows["view", size] = Row(Workload(server, cycle(views), 200))
            rows["booking", size] = Row(Workload(server, filling(showings(2)), 201))
        with open_client(run.mongodb.uri) as client:
            client.admin.command("fsync")  # so that no turn is measured while they are written
        take_turns(list(rows.values()), run.rounds, run.seconds)
    table = []
    for name in ("booking", "view"):
        few, grown = rows[name, _FEW], rows[name, many]
        rates = [f"{medians(row.turns).rate:,.0f}" for row in (few, grown)]
        table.append([WORKLOADS[name][0], *rates, *grown.relative_rate(few)])
    compared = rows["booking", many].ratios(rows["booking", _FEW])
    run.report.at_least(f"booking at {many:,} tickets ÷ at {_FEW:,}", medians(compared).rate, 0.95)
    header = ["", f"per second at {_FEW:,}", f"at {many:,}", "ratio", "spread"]
    run.report.table("growth", header, table)


def _prepare_rival(server: Server) -> None:
    """Create the index that its counts need, and the slots that it looks up."""
    with open_client(server.mongodb.uri) as client:
        for name in ("slots", "tickets"):
            client[server.database][name].create_index(["timing", "date"])
        slots = ({**showing.identity(), "booked": 0} for showing in showings())
        client[server.database]["slots"].insert_many(slots)


def _store_tickets(server: Server, houses: list[Showing]) -> None:
    """Fill these houses with copies of a ticket that the box office has booked."""
    booked = ask(server.port, booking(next(showings())))
    with open_client(server.mongodb.uri) as client:
        tickets = client[server.database]["tickets"]
        original = next(tickets.find({"_id": booked["ticket_id"]}))
        copies = (
            original | {"_id": new_id(), "seat": seat} | showing.as_document()
            for showing in houses
            for seat in range(1, CAPACITY + 1)
        )
        while batch := list(islice(copies, 10_000)):
            tickets.insert_many(batch, ordered=False)


def _counted(statuses: Counter[int]) -> str:
    return ", ".join(
        f"{count:,} of {'none' if status == BROKEN else status}"
        for status, count in sorted(statuses.items())
    )
