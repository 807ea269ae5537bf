"""What Prometheus is told, about all server processes together."""

from __future__ import annotations

import functools
import os

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Processes find each other's figures in the folder that this variable names. It has to be set
# before prometheus_client is imported, and empty when the service starts.
FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

# In seconds, around what a booking takes; the last is when clients are told to come back later.
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The figures of one app; labels hold nothing that a client can make up."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "boxoffice_http_requests",
            "Answered requests.",
            ["method", "route", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "boxoffice_http_request_duration_seconds",
            "Time from a request's arrival to its answer.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self._bookings = Counter(
            "boxoffice_bookings",
            "Bookings and purchases made; repeated requests are not counted again.",
            ["route"],
            registry=self._registry,
        )
        self._refusals = Counter(
            "boxoffice_refusals",
            "Requests that failed, by the code of the problem.",
            ["code"],
            registry=self._registry,
        )

        # To look these up takes longer than to count.
        self._requests_of = functools.cache(self._requests.labels)
        self._seconds_of = functools.cache(self._seconds.labels)

    def count_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request, by its route's template."""
        self._requests_of(method, route, status).inc()
        self._seconds_of(method, route).observe(seconds)

    def count_booking(self, route: str) -> None:
        """Count a booking or purchase."""
        self._bookings.labels(route).inc()

    def count_refusal(self, code: str) -> None:
        """Count a problem."""
        self._refusals.labels(code).inc()

    def exposition(self) -> bytes:
        """Return the figures as Prometheus's text format 0.0.4 has them."""
        registry = self._registry
        if os.environ.get(FOLDER_VARIABLE):
            registry = CollectorRegistry()
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        return generate_latest(registry)
