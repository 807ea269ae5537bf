"""The parts of the benchmark; each adds tables and targets to the report."""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain, cycle, islice, repeat
from pathlib import Path

from app.domain.identifiers import new_id
from app.domain.showings import Showing
from app.mongodb.embedded import EmbeddedMongoDB
from bench.load import (
    BROKEN,
    CONNECTIONS,
    Row,
    Workload,
    ask,
    medians,
    request,
    send,
    take_turns,
)
from bench.report import Report
from bench.servers import BOX_OFFICE, CHECK, FASTAPI, RIVALS, YARDSTICK, Contender, Server, running
from bench.workloads import CAPACITY, booking, filling, identity, of_box_office, showings

WORKLOADS = {  # with the least that each should reach, times the yardstick
    "booking": ("booking, houses filling up", 0.95),
    "refusal": ("refusal, 50 full houses", 0.95),
    "one-house": ("refusal, one full house", 0.95),
    "slots": ("`GET /`, a full day", 1.0),
    "view": ("`/viewontime`, a full house", 0.8),
    "purchase": ("`POST /api/tickets`", 0.85),
    "ticket": ("`GET /tickets/{ticket_id}`", None),
}
_LEVELS = {"booking": (1, 8, 64, 512), "refusal": (1, 8, 64, 512)}  # connections, not 64 alone

# Parts of a request, by paths. The innermost frame that matches decides, so the time of gevent's
# sockets, orjson and the standard library belongs to the code that calls them.
_OWNERS = {
    "pymongo": r"/(pymongo|bson)/",
    "log and metrics": r"/app/operations/|/(logging|pythonjsonlogger|prometheus_client)/",
    "reading": r"/(marshmallow|webargs|flask_smorest|phonenumbers)/"
    r"|/app/web/(reading|fields)\.py|/app/\w+/(schemas|phones)\.py",
    "Flask": r"/(flask|werkzeug)/",
    "server": r"/gunicorn/|/app/server/",  # and the rest: gevent
    "own code": r"/app/",
}
_WAITING = "waiting"  # the supervisor's samples and those of gunicorn's arbiter


@dataclass(frozen=True)
class Run:
    """What the parts need; a quick run has numbers of requests divided by `divisor`."""

    mongodb: EmbeddedMongoDB
    report: Report
    wanted: set[str]
    before: Contender | None
    rounds: int
    seconds: float
    divisor: int


def throughput(run: Run) -> None:
    """Compare rates, latencies and processor times with the yardstick's."""
    rivals = RIVALS if "booking" in run.wanted else [YARDSTICK]
    services = [BOX_OFFICE, run.before] if run.before else [BOX_OFFICE]
    rows: dict[tuple[str, Contender, int], Row] = {}
    with ExitStack() as stack:
        for number, contender in enumerate([*rivals, *services]):
            server = stack.enter_context(running(contender, run.mongodb, f"throughput_{number}"))
            if contender in services:
                workloads = of_box_office(server)
            else:
                _prepare_rival(server)
                workloads = {"booking": Workload(server, filling(showings()), 201)}
            for name, workload in workloads.items():
                if name in run.wanted or contender is YARDSTICK:
                    for level in _LEVELS.get(name, (CONNECTIONS,)):
                        rows[name, contender, level] = Row(workload, level)
        take_turns(list(rows.values()), run.rounds, run.seconds)

    by_rate = []
    by_level: dict[tuple[str, str], list[str]] = {}
    for (name, contender, level), row in rows.items():
        title, least = WORKLOADS[name]
        each = medians(row.turns)
        yardstick = rows["booking", YARDSTICK, level]
        ratio = row.relative_rate(yardstick)
        if name in _LEVELS:
            cells = by_level.setdefault((title, contender.name), [])
            cells.append(f"{ratio[0]} · {each.p50:.1f} / {each.p99:.1f}")
        if level != CONNECTIONS:
            continue
        numbers = (each.rate, each.p50, each.p99, each.workers, each.mongodb)
        by_rate.append([title, contender.name, *ratio, *(f"{number:,.0f}" for number in numbers)])
        if contender is BOX_OFFICE:
            if least:
                rate = medians(row.ratios(yardstick)).rate
                run.report.target(f"{title} ÷ yardstick", rate, "≥", least)
            if run.before:
                p99 = medians(row.ratios(rows[name, run.before, level])).p99
                run.report.target(f"{title}: p99 ÷ before", p99, "≤", 1.0)
    if "booking" in run.wanted:
        ratios = rows["booking", BOX_OFFICE, 64].ratios(rows["booking", FASTAPI, 64])
        run.report.target("booking ÷ FastAPI", medians(ratios).rate, "≥", 1.4)
        if run.before:
            ratios = rows["booking", BOX_OFFICE, 1].ratios(rows["booking", run.before, 1])
            run.report.target("booking, one client: p50 ÷ before", medians(ratios).p50, "≤", 1.05)
    headings = ["per second", "p50, ms", "p99, ms", "workers, µs", "MongoDB, µs"]
    run.report.table("throughput", ["", "", "ratio", "spread", *headings], by_rate)
    lines = [[*who, *cells] for who, cells in by_level.items()]
    run.report.table("concurrency", ["", "", *map(str, _LEVELS["booking"])], lines)
    generator = max(turn.generator for row in rows.values() for turn in row.turns)
    unexpected = sum((row.unexpected for row in rows.values()), Counter[int]())
    run.report.facts |= {
        "rounds": f"{run.rounds}, with turns of {run.seconds} s",
        "load generator": f"at most {generator:.0%} of a core",
        "unexpected responses": _counted(unexpected) or "none",
    }


def overselling(run: Run) -> None:
    """Count the tickets sold when 1,000 requests compete for a house, in five houses each."""
    table = []
    for number, contender in enumerate((BOX_OFFICE, CHECK, FASTAPI)):
        with running(contender, run.mongodb, f"overselling_{number}") as server:
            if contender is not BOX_OFFICE:
                _prepare_rival(server)
            oversold = []
            for showing in islice(showings(), 5):
                send(server.port, repeat(booking(showing), 1000), 50)
                stored = server.database["tickets"].count_documents(identity(showing))
                oversold.append(stored - CAPACITY)
        if contender is BOX_OFFICE:
            run.report.target("oversold seats", max(oversold), "≤", 0)
        spread = f"{min(oversold)} to {max(oversold)}"
        table.append([contender.name, f"**{statistics.median(oversold)}**", spread])
    run.report.table("overselling", ["", "oversold", "spread"], table)


def rush(run: Run) -> None:
    """Sell out three houses of 20 seats, each to 10,000 requests from 500 connections at once."""
    requests = 10_000 // run.divisor
    with running(BOX_OFFICE, run.mongodb, "rush") as server:
        rushes = [
            send(server.port, repeat(booking(showing), requests), 500)
            for showing in islice(showings(), 3)
        ]
    right = Counter({201: CAPACITY, 409: requests - CAPACITY})
    run.report.target(
        "rushes with wrong responses", sum(r.statuses != right for r in rushes), "≤", 0
    )
    table = [
        [f"{requests / r.seconds:,.0f}", f"{r.p50:.0f}", f"{r.p99:.0f}", _counted(r.statuses)]
        for r in rushes
    ]
    run.report.table("rush", ["per second", "p50, ms", "p99, ms", "responses"], table)


def movies(run: Run) -> None:
    """Measure `GET /api/movies` for 20 houses of 300 seats, sold in single tickets."""
    rows = {}
    with ExitStack() as stack:
        for number, contender in enumerate([BOX_OFFICE, *([run.before] if run.before else [])]):
            server = stack.enter_context(running(contender, run.mongodb, f"movies_{number}"))
            for movie in range(1, 21):
                ask(server.port, request("POST", "/api/screens", {"seats": 300}))
                ask(server.port, request("POST", "/api/movies", {"screen": movie}))
                ask(server.port, request("PUT", "/api/tickets", {"movie": movie}))
            tomorrow = f"{next(showings()).date}"
            seats = [
                request("POST", "/api/tickets", {"movie": movie, "date": tomorrow})
                for movie in range(1, 21)
            ] * (300 // run.divisor)
            send(server.port, iter(seats), CONNECTIONS)
            question = request("GET", f"/api/movies{'' if number else f'?date={tomorrow}'}")
            rows[contender.name] = Row(Workload(server, repeat(question), 200), 8)
        take_turns(list(rows.values()), run.rounds, run.seconds)
    table = []
    for name, row in rows.items():
        turn = medians(row.turns)
        numbers = (turn.rate, turn.p50, turn.p99, turn.workers, turn.mongodb)
        table.append([name, *(f"{number:,.0f}" for number in numbers)])
    headings = ["per second", "p50, ms", "p99, ms", "workers, µs", "MongoDB, µs"]
    run.report.table("movies", ["", *headings], table)


def profile(run: Run) -> None:
    """Measure the processor time of a request, then sample with py-spy how it divides.

    This suits greenlets: a thread that waits would count as working. Raises RuntimeError where
    py-spy may not attach to a process of the same user.
    """
    seconds = round(3 * run.seconds)
    columns = {}
    with running(BOX_OFFICE, run.mongodb, "profile") as server:
        workloads = of_box_office(server)
        for name in ("booking", "refusal", "view"):
            turn = Row(workloads[name]).take_turn(seconds)
            with tempfile.NamedTemporaryFile("r") as stacks:
                command = (
                    f"{Path(sys.executable).parent}/py-spy record --subprocesses --full-filenames"
                    f" --pid {server.pid} --duration {seconds} --format raw --output {stacks.name}"
                )
                sampler = subprocess.Popen(command.split(), stdout=subprocess.DEVNULL)  # noqa: S603
                send(server.port, workloads[name].requests, CONNECTIONS, seconds + 2)  # to attach
                if sampler.wait():
                    raise RuntimeError("py-spy cannot sample; try again as root")
                samples: Counter[str] = Counter()
                for line in stacks:  # frames, the outermost first, and their count
                    frames, _, count = line.rpartition(" ")
                    samples[_owner(frames.split(";"))] += int(count)
                del samples[_WAITING]
            times = {owner: turn.workers * samples[owner] / samples.total() for owner in _OWNERS}
            total = turn.workers + turn.mongodb
            columns[WORKLOADS[name][0]] = times | {"MongoDB": turn.mongodb, "**all**": total}
    table = [
        [owner, *(f"{column[owner]:,.0f}" for column in columns.values())]
        for owner in (*_OWNERS, "MongoDB", "**all**")
    ]
    run.report.table("profile", ["µs", *columns], table)


def memory(run: Run) -> None:
    """Measure memory over 200,000 requests: half bookings, half refusals, views and `GET /`."""
    requests = 200_000 // run.divisor
    with running(BOX_OFFICE, run.mongodb, "memory") as server:
        workloads = of_box_office(server)
        bookings = workloads["booking"].requests
        others = cycle(workloads[name].requests for name in ("refusal", "view", "slots"))
        mixed = chain.from_iterable((next(bookings), next(other)) for other in others)
        send(server.port, islice(mixed, requests // 10), CONNECTIONS)  # to warm up
        resident = [server.memory()]
        for _ in range(5):
            send(server.port, islice(mixed, requests // 5), CONNECTIONS)
            resident.append(server.memory())
    growths = [size / resident[0] - 1 for size in resident]
    run.report.target("memory growth, %", growths[-1] * 100, "≤", 5.0)
    table = [
        [f"{number * requests // 5:,}", f"{size / 2**20:.1f}", f"{growths[number]:+.1%}"]
        for number, size in enumerate(resident)
    ]
    run.report.table("memory", ["requests", "resident, MiB", "growth"], table)


def growth(run: Run) -> None:
    """Compare bookings with a million stored tickets and with a thousand."""
    sizes = (1000, 1_000_000 // run.divisor)
    rows = []
    with ExitStack() as stack:
        for size in sizes:
            server = stack.enter_context(running(BOX_OFFICE, run.mongodb, f"growth_{size}"))
            _store_tickets(server, islice(showings(700, 5000), size // CAPACITY))
            rows.append(Row(Workload(server, filling(showings(2, 700)), 201)))
        # Wait until these are written: that must not fall into a measured turn.
        server.database.client.admin.command("fsync")
        take_turns(rows, run.rounds, run.seconds)
    few, many = rows
    rates = [f"{medians(row.turns).rate:,.0f}" for row in rows]
    header = ["", *(f"per second at {size:,}" for size in sizes), "ratio", "spread"]
    run.report.table("growth", header, [["booking", *rates, *many.relative_rate(few)]])
    ratio = medians(many.ratios(few)).rate
    run.report.target(f"booking at {sizes[1]:,} tickets ÷ at {sizes[0]:,}", ratio, "≥", 0.95)


def _owner(frames: list[str]) -> str:
    if re.search(r"/(subprocess|arbiter|root)\.py", frames[-1]):
        return _WAITING
    for frame in reversed(frames):
        for owner, paths in _OWNERS.items():
            if re.search(paths, frame):
                return owner
    return "server"


def _prepare_rival(server: Server) -> None:
    """Create the index that its counts need, and the slots that it looks up."""
    for name in ("slots", "tickets"):
        server.database[name].create_index(["timing", "date"])
    server.database["slots"].insert_many({**identity(each), "booked": 0} for each in showings())


def _store_tickets(server: Server, houses: Iterable[Showing]) -> None:
    """Fill these houses with copies of a ticket that the box office has booked."""
    booked = ask(server.port, booking(next(showings())))
    original = next(server.database["tickets"].find({"_id": booked["admission_code"]}))
    copies = (
        original | {"_id": new_id(), "seat": [seat], "showing_at": showing.at} | identity(showing)
        for showing in houses
        for seat in range(1, CAPACITY + 1)
    )
    while batch := list(islice(copies, 10_000)):
        server.database["tickets"].insert_many(batch, ordered=False)


def _counted(statuses: Counter[int]) -> str:
    return ", ".join(
        f"{count:,} of {'none' if status == BROKEN else status}"
        for status, count in sorted(statuses.items())
    )
