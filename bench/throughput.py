"""Part 1: rates, latencies and processor times beside the yardstick, and who oversells."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import repeat

from app.mongodb.client import open_client
from app.mongodb.embedded import EmbeddedMongoDB
from bench.load import send
from bench.report import Report
from bench.rounds import Row, take_turns
from bench.servers import (
    BARE_ON_GUNICORN,
    BOX_OFFICE,
    CHECK,
    FASTAPI,
    YARDSTICK,
    Contender,
    Server,
    running,
)
from bench.workloads import (
    CAPACITY,
    CONNECTIONS,
    Workload,
    booking,
    filling,
    of_box_office,
    showings,
)

WORKLOADS = {
    "booking": "booking, houses filling up",
    "refusal": "refusal, 50 full houses",
    "one-house": "refusal, one full house",
    "slots": "`GET /`, a full day",
    "view": "`/viewontime`, a full house",
    "purchase": "`POST /api/tickets`",
    "ticket": "`GET /tickets/{ticket_id}`",
}
_AT_LEAST = {  # times the yardstick's rate
    "booking": 1.0,
    "refusal": 1.0,
    "one-house": 1.2,
    "slots": 1.2,
    "view": 0.85,
    "purchase": 0.8,
}
_LEVELS = (1, 8, 64, 512)  # connections
_AT_ALL_LEVELS = {"booking", "refusal"}  # the others run at 64 connections
_BURST = 1000  # requests for one house
_BURST_CONNECTIONS = 50


def measure(
    mongodb: EmbeddedMongoDB,
    report: Report,
    before: Contender | None,
    wanted: set[str],
    *,
    rounds: int,
    seconds: float,
) -> dict[str, str]:
    """Measure the wanted workloads in this many rounds; return facts about the run."""
    services = [BOX_OFFICE, *([before] if before else [])]
    others = [BARE_ON_GUNICORN, FASTAPI, CHECK] if "booking" in wanted else []
    rows: dict[tuple[str, Contender, int], Row] = {}

    def add(name: str, contender: Contender, workload: Workload) -> None:
        all_levels = name in _AT_ALL_LEVELS and wanted & _AT_ALL_LEVELS
        for level in _LEVELS if all_levels else (CONNECTIONS,):
            rows[name, contender, level] = Row(name, workload, level)

    with ExitStack() as stack:
        for number, contender in enumerate([YARDSTICK, *others, *services]):
            server = stack.enter_context(running(contender, mongodb, f"throughput_{number}"))
            if contender in services:
                for name, workload in of_box_office(server).items():
                    if name in wanted:
                        add(name, contender, workload)
            else:
                if contender is CHECK:
                    _add_slots(server)
                add("booking", contender, Workload(server, filling(showings()), 201))
        take_turns(list(rows.values()), rounds, seconds)

    def base(level: int) -> Row:
        return rows["booking", YARDSTICK, level]

    report.table(
        "throughput",
        [
            "",
            "",
            "ratio",
            "spread",
            "per second",
            "p50, ms",
            "p99, ms",
            "workers, µs",
            "MongoDB, µs",
        ],
        [
            [
                WORKLOADS[name],
                contender.name,
                *row.ratios(base(level)).cells,
                f"{row.median(lambda turn: turn.rate):,.0f}",
                f"{row.median(lambda turn: turn.p50):.0f}",
                f"{row.median(lambda turn: turn.p99):.0f}",
                f"{row.median(lambda turn: turn.server):,.0f}",
                f"{row.median(lambda turn: turn.mongodb):,.0f}",
            ]
            for (name, contender, level), row in rows.items()
            if level == CONNECTIONS
        ],
    )
    report.table(
        "concurrency",
        ["", "", *(f"{level}" for level in _LEVELS)],
        [
            [
                WORKLOADS[name],
                contender.name,
                *(
                    f"**{row.ratios(base(level)).median:.2f}**"
                    f" · {row.median(lambda turn: turn.p50):.1f}"
                    f" / {row.median(lambda turn: turn.p99):.1f}"
                    for level in _LEVELS
                    for row in [rows[name, contender, level]]
                ),
            ]
            for name, contender, first in rows
            if first == _LEVELS[0]
        ],
    )
    for name, least in _AT_LEAST.items():
        if name in wanted:
            ratio = rows[name, BOX_OFFICE, 64].ratios(base(64)).median
            report.at_least(f"{WORKLOADS[name]} ÷ yardstick", ratio, least)
    if "booking" in wanted:
        own, fastapi = rows["booking", BOX_OFFICE, 64], rows["booking", FASTAPI, 64]
        report.at_least("booking ÷ FastAPI", own.ratios(fastapi).median, 1.4)
    if before:
        for name in wanted:
            own, old = rows[name, BOX_OFFICE, 64], rows[name, before, 64]
            p99 = own.ratios(old, lambda turn: turn.p99).median
            report.at_most(f"{WORKLOADS[name]}: p99 ÷ before", p99, 1.0)
        if "booking" in wanted:
            own, old = rows["booking", BOX_OFFICE, 1], rows["booking", before, 1]
            p50 = own.ratios(old, lambda turn: turn.p50).median
            report.at_most("booking, one client: p50 ÷ before", p50, 1.05)
    unexpected = [
        f"{count} of {status} ({contender.name}, {WORKLOADS[name]})"
        for (name, contender, _), row in rows.items()
        for status, count in row.unexpected.items()
    ]
    generator = max(turn.generator for row in rows.values() for turn in row.turns)
    return {
        "rounds": f"{rounds}, with turns of {seconds} s",
        "load generator": f"at most {generator:.0%} of a core",
        "unexpected responses": ", ".join(unexpected) or "none",
    }


def measure_overselling(mongodb: EmbeddedMongoDB, report: Report, *, bursts: int) -> None:
    """Count the tickets of houses that 1,000 requests ask for at once."""
    table = []
    for number, contender in enumerate((BOX_OFFICE, CHECK, FASTAPI)):
        with running(contender, mongodb, f"overselling_{number}") as server:
            if contender is CHECK:
                _add_slots(server)
            oversold = list(_oversold(server, bursts))
        if contender is BOX_OFFICE:
            report.at_most("oversold seats", max(oversold), 0)
        spread = f"{min(oversold)} to {max(oversold)}"
        table.append([contender.name, f"**{statistics.median(oversold):.0f}**", spread])
    report.table("overselling", ["", "oversold", "spread"], table)


def _oversold(server: Server, bursts: int) -> Iterator[int]:
    with open_client(server.mongodb.uri) as client:
        tickets = client[server.database]["tickets"]
        for _, showing in zip(range(bursts), showings(), strict=False):
            send(server.port, repeat(booking(showing), _BURST), _BURST_CONNECTIONS)
            yield tickets.count_documents(showing.identity()) - CAPACITY


def _add_slots(server: Server) -> None:
    """Store the slots that check-then-insert looks up."""
    with open_client(server.mongodb.uri) as client:
        slots = ({**showing.identity(), "booked": 0} for showing in showings())
        client[server.database]["slots"].insert_many(slots)
