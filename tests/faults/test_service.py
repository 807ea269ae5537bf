"""Faults of the service's own processes, its disk and its start."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.mongodb.embedded import find_mongod
from tests.faults.conftest import WORKERS, Report
from tests.faults.customers import Customers, Verdict
from tests.running import (
    HOST,
    Connection,
    Service,
    free_port,
    outcomes,
    running_service,
    start_process,
    wait_until,
)
from tests.traffic import House

TOMORROW = (date.today() + timedelta(days=1)).isoformat()  # noqa: DTZ011 (its zone, too)


def test_a_killed_worker_loses_and_duplicates_nothing(
    service: Service, tickets: Any, rounds: int, report: Report
) -> None:
    verdicts = []
    for _ in range(rounds):
        wait_until(lambda: len(service.workers()) == int(WORKERS["WORKERS"]))
        with Customers(service) as customers:
            customers.wait_for_bookings()
            os.kill(service.workers()[0], signal.SIGKILL)
            customers.wait_for_bookings()
        verdicts.append(customers.verdict(tickets))
    report.add("worker killed (`kill -9`)", verdicts)
    assert all(verdict.is_clean for verdict in verdicts), verdicts


class HastyCustomers(Customers):
    """Customers who give up when they get no response."""

    def _book(self, connection: Connection, house: House, people: int) -> bool:
        return self._ask(connection, house, people, str(uuid4())).status != 0


def test_sigterm_finishes_requests_in_flight(tmp_path: Path, rounds: int, report: Report) -> None:
    verdicts, seconds = [], []
    for number in range(rounds):
        data_dir = tmp_path / str(number)
        with (
            running_service(data_dir, environ=WORKERS) as service,
            HastyCustomers(service) as customers,
        ):
            customers.wait_for_bookings(200)
            started = time.monotonic()
            assert service.stop(signal.SIGTERM) == 0
            seconds.append(time.monotonic() - started)
        with (
            running_service(data_dir, environ=WORKERS) as again,
            again.collection("tickets") as tickets,
        ):
            verdicts.append(customers.verdict(tickets))
    report.add(
        "SIGTERM; nobody sends anything again",
        verdicts,
        f"exit code 0 after {max(seconds):.1f} s at most, the embedded MongoDB's stop included",
    )
    assert all(verdict.is_clean for verdict in verdicts), verdicts


def test_without_mongodb_the_service_is_live_but_not_ready_and_recovers(tmp_path: Path) -> None:
    mongodb_port = free_port()
    environ = {"MONGODB_URI": f"mongodb://{HOST}:{mongodb_port}", "WORKERS": "1"}
    process = start_process(tmp_path, port := free_port(), environ, stderr=subprocess.DEVNULL)
    service = Service(port, process, tmp_path)
    mongod = None
    try:
        wait_until(lambda: service.connect().request("GET", "/health/live").status == 200)
        assert service.connect().request("GET", "/health/ready").status == 503
        (tmp_path / "db").mkdir()
        mongod = subprocess.Popen(
            [find_mongod(), "--dbpath", tmp_path / "db", "--port", str(mongodb_port)],
            stdout=subprocess.DEVNULL,
        )
        wait_until(lambda: service.connect().request("GET", "/health/ready").status == 200)
        body = {"name": "Asha Rao", "phone": "98765 43210", "timing": "12:00"}
        assert service.post("/booktickets", body).status == 201
        with_indexes = service.connect().request("GET", "/tickets?timing=12:00").body
        assert len(with_indexes) == 1
    finally:
        assert service.stop() == 0
        if mongod:
            mongod.kill()
            mongod.wait()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that has room for one MiB."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", tmp_path], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield tmp_path
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_a_full_disk_refuses_bookings_and_loses_no_confirmed_ticket(
    small_disk: Path, report: Report
) -> None:
    with running_service(small_disk, environ=WORKERS) as service:
        with Customers(service, houses=4000) as customers:
            refused = (503, "database_unavailable")
            wait_until(lambda: customers.statuses[refused] > 20)
            wait_until(lambda: "MiB left" in str(service.logged()))
            subprocess.run(["mount", "-o", "remount,size=600m", str(small_disk)], check=True)
            customers.wait_for_bookings()
        with service.collection("tickets") as tickets:
            verdict: Verdict = customers.verdict(tickets)
    report.add("disk of the embedded MongoDB full, later enlarged", [verdict])
    assert verdict.is_clean, verdict


def test_an_unwritable_disk_is_reported(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    process = start_process(small_disk, free_port())
    _, message = process.communicate(timeout=60)
    assert process.returncode == 1
    assert message == f"box-office: DATA_DIR={small_disk} cannot be used: Read-only file system.\n"


def test_a_dropped_database_is_not_oversold_once_noticed(tmp_path: Path) -> None:
    body = {"name": "Asha Rao", "phone": "98765 43210", "timing": "12:00", "date": TOMORROW}
    with running_service(tmp_path, environ=WORKERS) as service:
        assert service.post("/booktickets", body).status == 201
        with service.collection("tickets") as tickets:
            tickets.database.client.drop_database("boxoffice")
        time.sleep(5)
        answers = service.all_at_once([lambda each: each.post("/booktickets", body)] * 80)
        assert outcomes(answers) == {(201, None): 20, (409, "sold_out"): 60}
