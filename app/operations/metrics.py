"""Figures for Prometheus, counted in memory that all workers of a server share."""

from __future__ import annotations

import mmap
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from itertools import accumulate, compress, product

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
NO_ROUTE = "none"

# Seconds, around what a booking takes; after the last, clients are told to come back later.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, float("inf"))
_BUCKET_NAMES = list(map(floatToGoString, _BUCKETS))
_COLUMNS = 32 * 1024  # more than the routes of the service need


class SharedTable:
    """A table of numbers that all processes forked by a server share.

    Each process adds to a row of its own, and reads the sum of all rows. The memory belongs to no
    file, so a full disk cannot stop a booking, and nobody can remove it.
    """

    def __init__(self, rows: int) -> None:
        cells = memoryview(mmap.mmap(-1, rows * _COLUMNS * 8)).cast("d")
        self._rows = [cells[row * _COLUMNS : (row + 1) * _COLUMNS] for row in range(rows)]
        self._is_used = mmap.mmap(-1, _COLUMNS)  # a byte for each column, 1 once it is in use
        self._lock = threading.Lock()
        self.row = 0

    def add(self, column: int, number: float) -> None:
        """Add `number` to a column, in this process's row."""
        with self._lock:
            self._rows[self.row][column] += number
        self._is_used[column] = 1

    def totals(self) -> dict[int, float]:
        """Return the sum of each column in use, in order; most columns never are."""
        used = compress(range(_COLUMNS), self._is_used[:])
        return {column: sum(row[column] for row in self._rows) for column in used}


@dataclass(frozen=True)
class _Family:
    """One metric: its name, what it says, and the column of each set of labels."""

    name: str
    text: str
    labels: tuple[str, ...]
    columns: dict[tuple[str, ...], int]


class Metrics(Collector):
    """The figures of one app; labels hold nothing that a client can make up.

    `routes` are the templates of all routes, `codes` the codes of all problems. Both give every
    process the same columns in the same order. `table` is by default this process's alone. `clock`
    returns seconds.
    """

    def __init__(
        self,
        routes: Iterable[str],
        codes: Iterable[str],
        table: SharedTable | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table or SharedTable(rows=1)
        self._used = 0
        routes = sorted({*routes, NO_ROUTE})
        statuses = [str(status.value) for status in HTTPStatus]
        self._requests = self._family(
            "boxoffice_http_requests",
            "Requests that were answered.",
            method=METHODS,
            route=routes,
            status=statuses,
        )
        self._seconds = self._family(
            "boxoffice_http_request_duration_seconds",
            "Time from a request's arrival to its response.",
            width=len(_BUCKETS) + 1,  # the last is the sum
            method=METHODS,
            route=routes,
        )
        self._bookings = self._family(
            "boxoffice_bookings",
            "Bookings and purchases; repeated requests are not counted again.",
            route=routes,
        )
        self._admissions = self._family(
            "boxoffice_admissions",
            "Tickets admitted, mistaken ones included; repeated requests are not counted again.",
        )
        self._refusals = self._family(
            "boxoffice_refusals", "Requests that failed, by the problem's code.", code=sorted(codes)
        )
        self._clock = clock
        self._made_again_from = float("-inf")
        self._exposition = b""
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def _family(self, name: str, text: str, *, width: int = 1, **labels: Iterable[str]) -> _Family:
        """Give each set of labels `width` columns."""
        sets = list(product(*labels.values()))
        columns = {each: self._used + width * number for number, each in enumerate(sets)}
        self._used += width * len(sets)
        if self._used > _COLUMNS:
            raise ValueError(f"metrics need more than {_COLUMNS} columns")
        return _Family(name, text, tuple(labels), columns)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a response, by its method (one of METHODS) and the template of its route."""
        self._table.add(self._requests.columns[method, route, str(status)], 1)
        first = self._seconds.columns[method, route]
        bucket = next(n for n, limit in enumerate(_BUCKETS) if seconds <= limit)
        self._table.add(first + bucket, 1)
        self._table.add(first + len(_BUCKETS), seconds)

    def count_booking(self, route: str) -> None:
        """Count a booking or purchase."""
        self._table.add(self._bookings.columns[route,], 1)

    def count_admission(self) -> None:
        """Count an admission."""
        self._table.add(self._admissions.columns[()], 1)

    def count_refusal(self, code: str) -> None:
        """Count a problem."""
        self._table.add(self._refusals.columns[code,], 1)

    def exposition(self) -> bytes:
        """Return the figures in Prometheus's text format 0.0.4.

        Making them takes some milliseconds, in which the worker serves nobody, and anybody may ask.
        So they are made again only after a pause that is as long as that took.
        """
        began_at = self._clock()
        if began_at >= self._made_again_from:
            self._exposition = generate_latest(self._registry)
            made_at = self._clock()
            self._made_again_from = made_at + (made_at - began_at)
        return self._exposition

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; prometheus_client calls this."""
        totals = self._table.totals()
        for family in (self._requests, self._bookings, self._admissions, self._refusals):
            counter = CounterMetricFamily(family.name, family.text, labels=family.labels)
            for labels, column in family.columns.items():
                if column in totals:
                    counter.add_metric(labels, totals[column])
            yield counter
        family = self._seconds
        histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
        for labels, column in family.columns.items():
            *counts, seconds = (totals.get(column + n, 0) for n in range(len(_BUCKETS) + 1))
            if any(counts):
                buckets = zip(_BUCKET_NAMES, accumulate(counts), strict=True)
                histogram.add_metric(labels, list(buckets), seconds)
        yield histogram


# The table of the server that forked this process, where there is one (see gunicorn.conf.py).
shared_table: SharedTable | None = None
