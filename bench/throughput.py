"""Rates, latencies and processor times of each kind of request, compared with the contenders'."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

from bench import picture, reasons
from bench.load import BROKEN, CONNECTIONS, Row, Turn, Workload, medians
from bench.report import Picture, plural
from bench.run import Run
from bench.servers import BOX_OFFICE, FASTAPI, RIVALS, YARDSTICK, Contender, running
from bench.workloads import (
    HOUSES,
    PURCHASES,
    SCREEN,
    SHOWINGS_A_DAY,
    filling,
    of_box_office,
    prepare_rival,
    showings,
)

WORKLOADS = {  # with the least that each should reach, times the yardstick
    "booking": ("booking, houses filling up", 0.95),
    "refusal": (f"refusal, {HOUSES} full houses", 0.95),
    "one-house": ("refusal, one full house", 0.95),
    "slots": ("`GET /`, a full day", 1.0),
    "view": ("`/viewontime`, a full house", 0.8),
    "purchase": ("`POST /api/tickets`", 0.85),
    "ticket": ("`GET /tickets/{ticket_id}`", None),
}
COLUMNS = ("per second", "p50, ms", "p99, ms", "workers, µs", "MongoDB, µs")
_LEVELS = (1, 4, 16, CONNECTIONS, 256)  # connections
_AT_ALL_LEVELS = ("booking", "refusal")


class _Key(NamedTuple):
    workload: str
    contender: Contender
    connections: int = CONNECTIONS


_Rows = Mapping[_Key, Row]


def throughput(run: Run) -> None:
    """Compare rates, latencies and processor times with the yardstick's."""
    rows: dict[_Key, Row] = {}
    rivals = RIVALS if "booking" in run.wanted else (YARDSTICK,)
    with ExitStack() as stack:
        for number, contender in enumerate([*rivals, *run.services]):
            server = stack.enter_context(running(contender, run.mongodb, f"throughput_{number}"))
            if contender in run.services:
                workloads = of_box_office(server)
            else:
                prepare_rival(server)
                workloads = {"booking": Workload(server, filling(showings()), 201)}
            for name, workload in workloads.items():
                if name in run.wanted or contender is YARDSTICK:
                    for level in _LEVELS if name in _AT_ALL_LEVELS else (CONNECTIONS,):
                        rows[_Key(name, contender, level)] = Row(workload, level)
        run.take_turns(list(rows.values()))

    _rates(run, rows)
    if not run.wanted.isdisjoint(_AT_ALL_LEVELS):
        _latencies(run, rows)
    if run.before:
        _against(run, rows, run.before)
    run.report.facts |= {
        "load generator": f"at most {max(t.generator for r in rows.values() for t in r.turns):.0%}"
        " of a core",
        "unexpected responses": "; ".join(
            f"{counted(row.unexpected)} ({key.contender.name}, {WORKLOADS[key.workload][0]},"
            f" {plural(key.connections, 'connection')})"
            for key, row in rows.items()
            if row.unexpected
        )
        or "none",
    }


def cells(turn: Turn) -> list[str]:
    """Return the cells below `COLUMNS`."""
    return [f"{value:,.0f}" for value in (*turn[:3], turn.workers, turn.mongodb)]


def counted(statuses: Counter[int]) -> str:
    """Return how often each status came."""
    return ", ".join(
        f"{count:,} of {'none' if status == BROKEN else status}"
        for status, count in sorted(statuses.items())
    )


def _rates(run: Run, rows: _Rows) -> None:
    table = []
    groups: dict[str, dict[str, float]] = {}
    targets = {}
    yardstick = rows[_Key("booking", YARDSTICK)]
    for key, row in rows.items():
        if key.connections != CONNECTIONS:
            continue
        title, least = WORKLOADS[key.workload]
        ratio = medians(row.ratios(yardstick)).rate
        each = medians(row.turns)
        table.append([title, key.contender.name, *row.relative_rate(yardstick), *cells(each)])
        groups.setdefault(title.replace("`", ""), {})[key.contender.name] = ratio
        if key.contender is BOX_OFFICE and least:
            targets[title.replace("`", "")] = least
            reason = _reason(run, key.workload, each, medians(yardstick.turns))
            run.report.target(f"{title} ÷ yardstick", ratio, "≥", least, reason)
    if "booking" in run.wanted:
        ours, theirs = rows[_Key("booking", BOX_OFFICE)], rows[_Key("booking", FASTAPI)]
        ratio = medians(ours.ratios(theirs)).rate
        reason = partial(reasons.close_to_fastapi, medians(ours.turns), medians(theirs.turns))
        run.report.target("booking ÷ FastAPI", ratio, "≥", 1.4, reason)
    run.report.add(
        "Throughput",
        f"""The ratio is to the yardstick's rate.

- Bookings fill {HOUSES} houses at a time, from empty to full, in random order.
- Refusals, `/viewontime` and tickets by id cycle through {HOUSES} full houses. `GET /` asks for a
  day of {SHOWINGS_A_DAY} full houses.
- Purchases cycle through {PURCHASES:,} showings of {SCREEN} seats, which stay nearly empty.
- *Check, then insert* is the usual solution to this assignment: find the slot, count its tickets,
  insert one, update a counter. *Count, then insert* leaves out the slot, and uses FastAPI and
  pymongo's asynchronous client.""",
        ["", "", "ratio", "spread", *COLUMNS],
        table,
        Picture(
            "bench-throughput",
            "Throughput of each kind of request, relative to the bare insert",
            partial(
                picture.grouped_bars,
                title="Throughput",
                x_label="requests per second ÷ those of the bare insert",
                # The box office first, so that it has the same colour as in the other pictures.
                groups={
                    kind: dict(sorted(group.items(), key=lambda bar: bar[0] != BOX_OFFICE.name))
                    for kind, group in groups.items()
                },
                targets=targets,
            ),
        ),
    )


def _reason(run: Run, workload: str, each: Turn, bare: Turn) -> Callable[[], str]:
    # The profile is measured after this, and before the reason is asked for.
    return lambda: reasons.dearer_than_bare(each, bare, run.report.profile.get(workload))


def _latencies(run: Run, rows: _Rows) -> None:
    table: dict[tuple[str, str], list[str]] = {}
    for key, row in rows.items():
        if key.workload in _AT_ALL_LEVELS and key.workload in run.wanted:
            ratio, _ = row.relative_rate(rows[_Key("booking", YARDSTICK, key.connections)])
            each = medians(row.turns)
            line = table.setdefault((WORKLOADS[key.workload][0], key.contender.name), [])
            line.append(f"{ratio} · {each.p50:.1f} / {each.p99:.1f}")
    drawn = None
    if "booking" in run.wanted:
        pair = (BOX_OFFICE, FASTAPI)
        turns = {
            each: [medians(rows[_Key("booking", each, level)].turns) for level in _LEVELS]
            for each in pair
        }
        lines = [
            line
            for colour, each in enumerate(pair)
            for line in (
                picture.Line(f"p50, {each.name}", [t.p50 for t in turns[each]], colour),
                picture.Line(f"p99, {each.name}", [t.p99 for t in turns[each]], colour, True),
            )
        ]
        drawn = Picture(
            "bench-latency",
            "Latency of a booking against the number of connections",
            partial(
                picture.line_chart,
                title="Latency of a booking",
                labels=("connections", "ms"),
                x=_LEVELS,
                lines=lines,
                scale="log",
            ),
        )
    run.report.add(
        f"Latency against load: from {_LEVELS[0]} connection to {_LEVELS[-1]}",
        "Ratio to the yardstick's rate at the same number of connections · p50 / p99 in ms.",
        ["", "", *map(str, _LEVELS)],
        [[*who, *line] for who, line in table.items()],
        drawn,
    )


def _against(run: Run, rows: _Rows, before: Contender) -> None:
    table = []
    for key, row in rows.items():
        if key.contender is not BOX_OFFICE or key.connections != CONNECTIONS:
            continue
        title = WORKLOADS[key.workload][0]
        older = rows[_Key(key.workload, before)]
        ratios = row.ratios(older)
        now, then = medians(row.turns), medians(older.turns)
        rate, p99 = row.relative_rate(older), medians(ratios).p99
        table.append(
            [title, *rate, f"{p99:.2f}", f"{now.processor:,.0f}", f"{then.processor:,.0f}"]
        )
        reason = partial(reasons.slower_than_before, now, then, [each.p99 for each in ratios])
        run.report.target(f"{title}: p99 ÷ {before.name}", p99, "≤", 1.0, reason)
    if "booking" in run.wanted:
        alone, older = rows[_Key("booking", BOX_OFFICE, 1)], rows[_Key("booking", before, 1)]
        what, p50 = f"booking, one client: p50 ÷ {before.name}", medians(alone.ratios(older)).p50
        reason = partial(reasons.slower_alone, medians(alone.turns), medians(older.turns))
        run.report.target(what, p50, "≤", 1.05, reason)
    run.report.add(
        f"Compared with {before.name}",
        "Rates and p99 as ratios to the older version in the same round; processor time of the"
        " workers and MongoDB together. The [changelog](../CHANGELOG.md) says what has changed.",
        ["", "rate ÷", "spread", "p99 ÷", "now, µs", "then, µs"],
        table,
    )
