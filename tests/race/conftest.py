"""The services that the races run on: four server processes and a real MongoDB."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Service, running_service, wait_until

WORKERS = {"WORKERS": "4", "LOG_LEVEL": "error"}


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
