"""The replica set, services on it, and the table that `make faults` writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from app.mongodb.client import open_client
from tests.faults.customers import Verdict
from tests.faults.replica_set import ReplicaSet
from tests.running import Service, running_service, wait_until

ELECTION_MS = 5000  # so that a failover takes longer than the 4 s that a request may take
WORKERS = {
    "WORKERS": "2",
    "ADVANCE_DAYS": "3650",
    "LOG_LEVEL": "error",
    "ADMISSION_HOURS": "8760",  # a year
}

HEADER = """\
# Faults

Written by `make faults`. Customers book without a pause, for parties of 1 to 4, in the timetable and
for a movie, each with an `Idempotency-Key`. They retry each request that gets 503 or is cut off.
Meanwhile things break. Afterwards, the responses are compared with what is stored: *missing* was
confirmed but is not stored, *altered* is stored with other seats than the response named, *doubled*
is a key or a seat with two tickets, *unconfirmed* is stored although its customer got no ticket. At
the doors, the people of each ticket are scanned one by one, at two doors at once. There, *booked*
counts people, *missing* was let in but is not recorded, *doubled* is more people than the ticket
has seats, *unconfirmed* is recorded but was not let in.

| fault | rounds | booked | retried | missing | altered | doubled | unconfirmed | unexpected responses | |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
"""  # noqa: E501 (a table)


class Report:
    """The rows of the table, one per fault."""

    def __init__(self) -> None:
        self._rows: list[str] = []

    def add(self, fault: str, verdicts: list[Verdict], note: str = "") -> None:
        """Add the outcome of the bookings of all rounds."""

        def total(name: str) -> int:
            return sum(getattr(verdict, name) for verdict in verdicts)

        unexpected = ", ".join(f"{each}" for verdict in verdicts for each in verdict.unexpected)
        figures = [total(name) for name in ("answered", "retried", "missing", "altered", "doubled")]
        row = [fault, len(verdicts), *figures, total("unanswered"), unexpected or "none", note]
        self._rows.append(f"| {' | '.join(str(each) for each in row)} |\n")

    def write(self, path: Path) -> None:
        path.write_text(HEADER + "".join(self._rows))


@pytest.fixture(scope="session")
def report(request: pytest.FixtureRequest) -> Iterator[Report]:
    collected = Report()
    yield collected
    if path := request.config.getoption("--report"):
        collected.write(Path(path))


@pytest.fixture(scope="session")
def replica_set(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReplicaSet]:
    running = ReplicaSet(tmp_path_factory.mktemp("replica-set"))
    try:
        running.set_election_timeout(ELECTION_MS)
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def replica_set_client(replica_set: ReplicaSet) -> Iterator[MongoClient[Any]]:
    with open_client(replica_set.uri) as client:
        yield client


@pytest.fixture
def tickets(replica_set_client: MongoClient[Any]) -> Any:
    return replica_set_client["boxoffice"]["tickets"]


@pytest.fixture
def service(replica_set: ReplicaSet, tmp_path: Path) -> Iterator[Service]:
    """Two workers on the replica set."""
    with running_service(tmp_path, environ={**WORKERS, "MONGODB_URI": replica_set.uri}) as running:
        wait_until(lambda: len(running.workers()) == int(WORKERS["WORKERS"]))
        yield running
