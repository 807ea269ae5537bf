"""Part 2: the rush, 10,000 requests for the seats of one house from 500 connections at once."""

from __future__ import annotations

import statistics
from collections import Counter
from itertools import islice, repeat

from app.mongodb.embedded import EmbeddedMongoDB
from bench.load import BROKEN, send
from bench.report import Report
from bench.servers import BOX_OFFICE, running
from bench.workloads import CAPACITY, SEATS, booking, day, purchase, put_movie_on_sale, showings

_CONNECTIONS = 500


def measure(mongodb: EmbeddedMongoDB, report: Report, *, requests: int, runs: int) -> None:
    """Sell out houses of 20 seats and of 996, this many times each."""
    with running(BOX_OFFICE, mongodb, "rush") as server:
        movie = put_movie_on_sale(server.port)
        houses = {
            "`POST /booktickets`": (CAPACITY, [booking(each) for each in islice(showings(), runs)]),
            "`POST /api/tickets`": (SEATS, [purchase(movie, day(1 + run)) for run in range(runs)]),
        }
        table = []
        for route, (seats, wanted) in houses.items():
            rushes = [send(server.port, repeat(each, requests), _CONNECTIONS) for each in wanted]
            statuses = sum((rush.statuses for rush in rushes), Counter[int]())
            wrong = (
                statuses - Counter({201: seats * runs, 409: (requests - seats) * runs})
            ).total()
            report.at_most(f"{route}, rush: wrong responses", wrong, 0)
            table.append(
                [
                    route,
                    f"{statistics.median(requests / rush.seconds for rush in rushes):,.0f}",
                    f"{statistics.median(rush.p50 for rush in rushes):.0f}",
                    f"{statistics.median(rush.p99 for rush in rushes):.0f}",
                    ", ".join(
                        f"{count:,} of {'broken' if status == BROKEN else status}"
                        for status, count in sorted(statuses.items())
                    ),
                ]
            )
    report.table("rush", ["", "per second", "p50, ms", "p99, ms", f"{runs} rushes"], table)
