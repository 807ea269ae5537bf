"""Metrics for Prometheus, counted in memory that all workers of a server share.

What counts as a booking or an admission is decided in app/operations/routes.py.
"""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from itertools import accumulate, product
from typing import NamedTuple

import pymongo
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString
from pymongo.errors import PyMongoError

from app.mongodb.batching import BatchLost
from app.server.shared import COLUMNS, SharedTable

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "other")
NO_ROUTE = "none"

# Seconds, around what a booking takes; after the last, clients are told to come back later.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, float("inf"))
_BUCKET_NAMES = list(map(floatToGoString, _BUCKETS))
_SEATS_SECONDS = 1  # for the commands of a scrape


class Seats(NamedTuple):
    """The seats of a showing of today; `movie` is empty for the timetable."""

    timing: str
    movie: str
    sold: int
    free: int


@dataclass(frozen=True)
class _Family:
    """A metric: its name, its help, and `width` columns of the table for each set of labels."""

    name: str
    text: str
    labels: tuple[str, ...]
    columns: dict[tuple[str, ...], int]  # the first of each set
    width: int

    def used(self, totals: Mapping[int, float]) -> Iterator[tuple[tuple[str, ...], int]]:
        """Yield the sets of labels that have been counted, and their first columns."""
        sets, start = list(self.columns), min(self.columns.values())
        numbers = {(column - start) // self.width for column in totals}
        for number in sorted(number for number in numbers if 0 <= number < len(sets)):
            yield sets[number], start + number * self.width


class Metrics(Collector):
    """The metrics of one app; labels hold nothing that a client can make up.

    `routes` are the templates of all routes, `codes` the codes of all problems. Both give every
    process the same columns in the same order. `seats` returns the seats of today's showings from
    MongoDB; if it raises PyMongoError or BatchLost, they are left out. `table` is by default only
    this process's. `clock` returns seconds.
    """

    def __init__(
        self,
        routes: Iterable[str],
        codes: Iterable[str],
        *,
        version: str,
        seats: Callable[[], Iterable[Seats]],
        table: SharedTable | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._table = table or SharedTable(rows=1)
        self._version = version
        self._seats = seats
        self._used = 0
        routes = sorted({*routes, NO_ROUTE})
        self._requests = self._family(
            "boxoffice_http_requests",
            "Responses to requests.",
            method=METHODS,
            route=routes,
            status=[str(status.value) for status in HTTPStatus],
        )
        self._seconds = self._family(
            "boxoffice_http_request_duration_seconds",
            "Time from a request's headers to its response.",
            width=len(_BUCKETS) + 1,  # the last is the sum
            method=METHODS,
            route=routes,
        )
        self._bookings = self._family(
            "boxoffice_bookings",
            "Tickets booked and bought; repeated requests are not counted again.",
            route=routes,
        )
        self._admissions = self._family(
            "boxoffice_admissions",
            "Scans that admitted people; repeated requests are not counted again.",
        )
        self._refusals = self._family(
            "boxoffice_refusals",
            "Requests that were refused or failed, by the code of the problem.",
            code=sorted(codes),
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._next_exposition_at = float("-inf")
        self._exposition = b""
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def _family(self, name: str, text: str, *, width: int = 1, **labels: Iterable[str]) -> _Family:
        sets = list(product(*labels.values()))
        columns = {each: self._used + width * number for number, each in enumerate(sets)}
        self._used += width * len(sets)
        if self._used > COLUMNS:
            raise ValueError(f"metrics need more than {COLUMNS} columns")
        return _Family(name, text, tuple(labels), columns, width)

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
        """Return the metrics in Prometheus's text format 0.0.4.

        Making them takes some milliseconds, in which the worker serves nobody, and anybody may ask.
        So they are not made again until as much time has passed.
        """
        with self._lock:  # other scrapes wait for this one, which waits for MongoDB, and share it
            began_at = self._clock()
            if began_at >= self._next_exposition_at:
                self._exposition = generate_latest(self._registry)
                made_at = self._clock()
                self._next_exposition_at = made_at + (made_at - began_at)
            return self._exposition

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics; prometheus_client calls this."""
        yield InfoMetricFamily(
            "boxoffice_build",
            "The version of the service.",
            {"version": self._version, "python": platform.python_version()},
        )
        yield from self._collect_seats()
        totals = self._table.totals()
        for family in (self._requests, self._bookings, self._admissions, self._refusals):
            counter = CounterMetricFamily(family.name, family.text, labels=family.labels)
            for labels, column in family.used(totals):
                counter.add_metric(labels, totals[column])
            yield counter
        family = self._seconds
        histogram = HistogramMetricFamily(family.name, family.text, labels=family.labels)
        for labels, column in family.used(totals):
            *counts, seconds = (totals.get(column + n, 0) for n in range(family.width))
            buckets = zip(_BUCKET_NAMES, accumulate(counts), strict=True)
            histogram.add_metric(labels, list(buckets), seconds)
        yield histogram

    def _collect_seats(self) -> Iterator[Metric]:
        labels = ("timing", "movie")
        sold = GaugeMetricFamily(
            "boxoffice_seats_sold", "Seats sold, of today's showings.", labels=labels
        )
        free = GaugeMetricFamily(
            "boxoffice_seats_free", "Seats free, of today's showings.", labels=labels
        )
        with suppress(PyMongoError, BatchLost), pymongo.timeout(_SEATS_SECONDS):
            for each in self._seats():
                sold.add_metric((each.timing, each.movie), each.sold)
                free.add_metric((each.timing, each.movie), each.free)
        yield sold
        yield free
