"""The services that the races run on: four server processes and a real MongoDB."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from itertools import product
from pathlib import Path

import pytest
from pymongo.errors import OperationFailure

from tests.running import Service, running_service, wait_until

ADMISSION_HOURS = "8760"  # a year, so that every door is open
DAYS = 90
WORKERS = {
    "WORKERS": "4",
    "LOG_LEVEL": "error",
    "ADMISSION_HOURS": ADMISSION_HOURS,
    "ADVANCE_DAYS": str(DAYS),
}
TIMINGS = [f"{hour:02}:00" for hour in range(9, 22)]

Showing = tuple[str, str]


@pytest.fixture(scope="package")
def showings() -> Iterator[Showing]:
    """Showings that no other test has used."""
    today = date.today()  # noqa: DTZ011 (the service runs in this machine's zone, too)
    days = [(today + timedelta(days=ahead)).isoformat() for ahead in range(1, DAYS)]
    return iter(list(product(TIMINGS, days)))


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with running_service(tmp_path_factory.mktemp("race"), environ=WORKERS) as running:
        yield running


@pytest.fixture
def defenceless(tmp_path: Path) -> Iterator[Service]:
    """A service of the test's own, which may take the guards away from its database."""
    with running_service(tmp_path, environ=WORKERS) as running:
        wait_until(lambda: len(running.workers()) == int(WORKERS["WORKERS"]))
        # Every worker makes sure of the indexes before its first request, so let all have one.
        for path in ("/", "/api/movies"):
            answers = [lambda connection, path=path: connection.request("GET", path)] * 200
            running.all_at_once(answers)
        yield running


@contextmanager
def without_indexes(service: Service, collection: str, *indexes: str) -> Iterator[None]:
    """Drop the indexes of a collection, and again whenever the service creates them."""
    leave = threading.Event()
    dropped = threading.Event()

    def drop() -> None:
        with service.collection(collection) as documents:
            while not leave.is_set():
                for index in indexes:
                    with contextlib.suppress(OperationFailure):  # it is missing, as it should be
                        documents.drop_index(index)
                dropped.set()
                leave.wait(0.02)

    thread = threading.Thread(target=drop)
    thread.start()
    dropped.wait()
    try:
        yield
    finally:
        leave.set()
        thread.join()
