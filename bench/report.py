"""The report, docs/benchmarks.md: what was measured, on what, and whether it met its targets."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from app.mongodb.client import open_client
from app.mongodb.embedded import EmbeddedMongoDB
from bench import growth, rushes, servers, throughput
from bench.houses import CAPACITY
from bench.load import CONNECTIONS, TOOLS
from bench.plots import plot_growth, plot_throughput
from bench.profiles import GROUPS, Profile
from bench.rounds import Contender, Spread

_PACKAGES = ("Flask", "pymongo", "granian", "uvloop", "fastapi", "uvicorn")


@dataclass(frozen=True)
class Results:
    """All that was measured, in so many rounds of so many seconds; profiles are by kind."""

    throughput: throughput.Throughput
    sizes: list[growth.Size]
    memory: list[growth.Memory]
    rushes: list[rushes.Rush]
    profiles: dict[str, Profile]
    rounds: int
    seconds: int
    versions: dict[str, str]


def versions(mongodb: EmbeddedMongoDB) -> dict[str, str]:
    """Return the versions of all that takes part, by name."""
    with open_client(mongodb.uri) as client:
        mongod = client.server_info()["version"]
    return {
        "Python": platform.python_version(),
        "MongoDB": mongod,
        **{name: version(name) for name in _PACKAGES},
        **{name: _debian_version(name) for name in TOOLS},
    }


def write(folder: Path, results: Results) -> None:
    """Write benchmarks.md and its plots into the folder."""
    plot_throughput(results.throughput, folder / "benchmarks-throughput.svg")
    plot_growth(results.sizes, folder / "benchmarks-growth.svg")
    sections = (
        _intro,
        _targets,
        _throughput,
        _oversold,
        _growth,
        _memory,
        _rush,
        _profile,
        _findings,
        _repeat,
    )
    text = "\n\n".join(section(results).strip() for section in sections)
    (folder / "benchmarks.md").write_text(f"{text}\n")


def _intro(results: Results) -> str:
    named = ", ".join(f"{name} {number}" for name, number in results.versions.items())
    today = datetime.now().astimezone()
    return f"""
# Benchmarks

How fast the service is, beside the least that its stack can do for a booking, and beside what one
might build instead. `make bench` has measured the tables in one run and written this page;
[what was found](#what-was-found-and-changed) is told by those who looked for it.

The yardstick is the **bare insert**: a Flask view that stores one document in MongoDB, waits until
it is in the journal, and does nothing else. It looks at no request and checks nothing, has no cap
and no index for one, and counts nothing; like the service, it stands behind `app/gateway.py`. Every
row is a ratio to it, for requests a second say more about a machine than about a program. All
contenders use the same MongoDB and take turns of {results.seconds} s; a ratio compares turns of the
same round, so a slow minute is slow for both.

- Machine: {os.cpu_count()} cores ({_processor()}), {_memory_gib():.0f} GiB, Linux
  {platform.release()}. MongoDB, the servers and the load generator share it.
- Versions: {named}.
- Every server has {servers.WORKERS} processes. Flask's have {servers.THREADS} threads each, in the
  Granian that the service itself runs in; FastAPI runs in uvicorn with uvloop and httptools. All
  writes wait for the journal (`w=majority, j=true`).
- Load: `wrk` keeps {CONNECTIONS} connections busy, each of which sends its next request when it has
  its answer. A latency is mostly the time in that queue.
- The request log is off (`LOG_LEVEL=warning`) but for one row, which shows what it costs. Metrics
  are on.
- Measured on {today.day} {today:%B %Y}, in {results.rounds} rounds.
"""


def _targets(results: Results) -> str:
    contenders = results.throughput.contenders
    bare, booking = contenders["bare"], contenders["booking"]
    fewest, most = results.sizes[0], results.sizes[-1]
    first, last = results.memory[0].resident, results.memory[-1].resident
    lowest = [
        ("booking ÷ bare insert", 0.85, _ratio(booking, bare)),
        ("refusal of a sold-out house ÷ bare insert", 1.0, _ratio(contenders["refusal"], bare)),
        ("`/viewontime` of a full house ÷ bare insert", 1.0, _ratio(contenders["view"], bare)),
        ("`GET /` ÷ bare insert", 1.0, _ratio(contenders["slots"], bare)),
        ("booking ÷ FastAPI version", 1.4, _ratio(booking, contenders["fastapi"])),
        ("booking ÷ check-then-insert version", 3.0, _ratio(booking, contenders["check"])),
        (
            f"booking with {most.tickets:,} tickets ÷ with {fewest.tickets:,}",
            0.95,
            _ratio(most.booking, fewest.booking),
        ),
    ]
    rows = [
        [what, f"at least {target:.2f}", f"{measured:.2f}", _verdict(measured >= target)]
        for what, target, measured in lowest
    ]
    growth = last / first - 1
    rows.append(["memory growth", "under 5 %", f"{growth:+.1%}", _verdict(growth < 0.05)])
    oversold = max(results.throughput.bursts["booking"]) - CAPACITY
    rows.append(["oversold seats", "0", str(oversold), _verdict(oversold == 0)])
    table = _table(["", "target", "measured", ""], rows)
    to_fastapi, to_check = (_ratio(bare, contenders[name]) for name in ("fastapi", "check"))
    return f"""
## Targets

{table}

The bare insert itself is {to_fastapi:.2f} times the FastAPI version and {to_check:.2f} times the
check-then-insert one: a service that did nothing but store would have these ratios. What the missed
ones are made of is [below](#what-a-request-is-made-of).
"""


def _throughput(results: Results) -> str:
    contenders = results.throughput.contenders
    rows = []
    for contender in contenders.values():
        rounds = contender.rounds
        spread = Spread.of(contender.ratios(contenders["bare"]))
        rows.append(
            [
                contender.name,
                f"**{spread.median:.2f}**",
                f"{spread.least:.2f} to {spread.most:.2f}",
                f"{_median(turn.rate for turn in rounds):,.0f}",
                f"{_median(turn.answers.p50 for turn in rounds):.0f}",
                f"{_median(turn.answers.p99 for turn in rounds):.0f}",
                f"{_median(turn.server_time for turn in rounds):,.0f}",
                f"{_median(turn.mongodb_time for turn in rounds):,.0f}",
            ]
        )
    header = [
        "",
        "ratio",
        "spread",
        "answers/s",
        "p50, ms",
        "p99, ms",
        "workers, µs",
        "MongoDB, µs",
    ]
    full = _median(turn.used for turn in contenders["booking"].rounds)
    turns = [turn for contender in contenders.values() for turn in contender.rounds]
    share = max(turn.answers.generator_share for turn in turns)
    return f"""
## Throughput

![Answers a second as a multiple of the bare insert](benchmarks-throughput.svg)

{_table(header, rows)}

Medians of {results.rounds} rounds; a spread is from the least to the most. The last two columns are
processor time for one answer, of the workers and of MongoDB. `wrk` took at most {share:.0%} of a
core.

- Bookings go to houses that nobody has booked, in a random order, and fill them; {full:.0%} of the
  seats were sold when the median round ended. The fuller a house, the likelier that the seat which
  a booking tries first is taken.
- Refusals and `/viewontime` go round 50 full houses. `GET /` asks for a day of 13 full houses, by
  `date`, since what the next showings are depends on the time of day. Purchases go round 2,000
  showings of 996 seats, which stay nearly empty.
- *Check, then insert* does what answers to this assignment usually do: it finds the slot, counts
  its tickets, inserts one and updates the slot's counter. *Count, then insert* is that idea in two
  steps, with FastAPI and pymongo's asynchronous client.
"""


def _oversold(results: Results) -> str:
    rows = []
    for key, stored in results.throughput.bursts.items():
        spread = Spread.of([tickets - CAPACITY for tickets in stored])
        rows.append(
            [
                results.throughput.contenders[key].name,
                f"**{spread.median:.0f}**",
                f"{spread.least:.0f} to {spread.most:.0f}",
            ]
        )
    return f"""
### Oversold seats

Tickets beyond the {CAPACITY} of a house, when {throughput.BURST:,} requests for it come from
{throughput.BURST_CONNECTIONS} connections at once (median of {len(stored)} such bursts):

{_table(["", "oversold", "spread"], rows)}
"""


def _growth(results: Results) -> str:
    fewest = results.sizes[0]
    rows = []
    for size in results.sizes:
        row = [f"{size.tickets:,}"]
        for own, base in ((size.booking, fewest.booking), (size.view, fewest.view)):
            spread = Spread.of(own.ratios(base))
            row += [
                f"{_median(turn.rate for turn in own.rounds):,.0f}",
                f"**{spread.median:.2f}**",
                f"{spread.least:.2f} to {spread.most:.2f}",
            ]
        rows.append(row)
    header = ["stored tickets", "bookings/s", "ratio", "spread", "views/s", "ratio", "spread"]
    return f"""
## Growth

![Bookings and views a second over the number of stored tickets](benchmarks-growth.svg)

{_table(header, rows)}

One service on a database of each size, all on the same MongoDB, took turns in {results.rounds}
rounds. A view is of one date, of any full house in the database. Where it says 0, there were
{growth.FEWEST} tickets, for there to be something to view; what the rounds book comes on top.
"""


def _memory(results: Results) -> str:
    first = results.memory[0]
    step = max(1, len(results.memory) // 8)
    shown = [first, *results.memory[step:-1:step], results.memory[-1]]
    rows = [
        [
            f"{one.requests:,}",
            f"{one.resident / 2**20:.1f}",
            f"{one.resident / first.resident - 1:+.1%}",
        ]
        for one in shown
    ]
    return f"""
## Memory

Of the {servers.WORKERS} workers together, after a warm-up. Half of the requests are bookings, the
others refusals, views and `GET /`.

{_table(["requests", "resident, MiB", "growth"], rows)}
"""


def _rush(results: Results) -> str:
    rows = [
        [
            rush.route,
            f"{rush.seats}",
            f"{_median(run.seconds for run in rush.runs):.1f}",
            f"{_median(run.p50 for run in rush.runs):.0f}",
            f"{_median(run.p99 for run in rush.runs):.0f}",
            f"{rush.seats} of 201, {rush.requests - rush.seats:,} of 409",
        ]
        for rush in results.rushes
    ]
    requests, runs = results.rushes[0].requests, len(results.rushes[0].runs)
    header = ["", "seats", "all answered, s", "p50, ms", "p99, ms", "answers"]
    return f"""
## The rush

{requests:,} requests for the seats of one house from {rushes.CONNECTIONS} connections at once, by
`hey`; medians of {runs} rushes, each of which sold exactly its seats.

{_table(header, rows)}
"""


def _profile(results: Results) -> str:
    profiles = results.profiles.values()
    rows = [[group, *(f"{each.groups[group]:,.0f}" for each in profiles)] for group in GROUPS]
    rows.append(["**all**", *(f"**{each.total:,.0f}**" for each in profiles)])
    return f"""
## What a request is made of

Microseconds of a request when one comes after another in one process: no server, the request log
on, bookings of houses that fill from 0 to {CAPACITY}. Sampled by py-spy; what the standard library
and orjson take is counted as their caller's.

{_table(["", *results.profiles], rows)}
"""


def _findings(_: Results) -> str:
    return (Path(__file__).parent / "findings.md").read_text()


def _repeat(_: Results) -> str:
    return """
## Repeat it

On Debian or Ubuntu, with nothing else running:

```sh
sudo apt-get install wrk hey
make bench
```

It takes about 20 minutes, needs no MongoDB of yours, and writes this page anew. What it compares is
in `bench/contenders/`, and `.venv/bin/python -m bench --quick` tries it out in two minutes.
"""


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, the first column left and the others right."""
    marks = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, marks, *rows))


def _ratio(own: Contender, base: Contender) -> float:
    return Spread.of(own.ratios(base)).median


def _median(values: Iterable[float]) -> float:
    return Spread.of(list(values)).median


def _verdict(met: bool) -> str:
    return "met" if met else "**missed**"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def _memory_gib() -> float:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30


def _debian_version(package: str) -> str:
    command = ["dpkg-query", "--show", "--showformat=${Version}", package]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return "(of an unknown version)"
