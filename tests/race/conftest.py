"""What the races run on: four workers of one service, four services, and unguarded services."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, timedelta
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from app.mongodb.client import open_client
from app.mongodb.embedded import EmbeddedMongoDB
from tests.running import ROOT, Connection, Front, Service, free_port, running_service, wait_until
from tests.traffic import House, put_movie_on_sale

WORKERS = 4
DAYS = 364
ENVIRON = {
    "WORKERS": str(WORKERS),
    "LOG_LEVEL": "error",
    "ADMISSION_HOURS": "8760",  # a year, so that every door is open
    "ADVANCE_DAYS": str(DAYS),
}
TIMINGS = [f"{hour:02}:00" for hour in range(9, 22)]

Without = Callable[[str], "Theatre"]


def days() -> Iterator[str]:
    """Yield the days of the booking window from tomorrow on."""
    today = date.today()  # noqa: DTZ011 (the services run in this machine's zone, too)
    return ((today + timedelta(days=ahead)).isoformat() for ahead in range(1, DAYS))


class Theatre(Front):
    """Services that share a database, and houses in it that no other test has used.

    Clients connect to the services in turn.
    """

    def __init__(self, services: Sequence[Service], mongodb_uri: str, database: str) -> None:
        self._turns = cycle(services)
        self._mongodb_uri = mongodb_uri
        self._database = database
        self._days = days()
        self._houses: Iterator[House] = iter(())
        self._houses_of_movies: dict[int, Iterator[House]] = {}

    def connect(self) -> Connection:
        return next(self._turns).connect()

    @contextmanager
    def collection(self, name: str) -> Iterator[Any]:
        """One of their collections, past the services."""
        with open_client(self._mongodb_uri) as client:
            yield client[self._database][name]

    def day(self) -> list[House]:
        """Return all houses of the timetable on a new day."""
        day = next(self._days)
        return [House(day, timing) for timing in TIMINGS]

    def house(self) -> House:
        """Return a new house of the timetable."""
        house = next(self._houses, None)
        if house is None:
            house, *others = self.day()
            self._houses = iter(others)
        return house

    def house_of_movie(self, seats: int) -> House:
        """Return a new house of a movie, with this many seats."""
        houses = self._houses_of_movies.get(seats)
        if not houses or not (house := next(houses, None)):
            movie = put_movie_on_sale(self, seats)
            houses = (House(day, movie=movie, seats=seats) for day in days())
            self._houses_of_movies[seats] = houses
            house = next(houses)
        return house

    def new_house(self, seats: int | None) -> House:
        """Return a new house of a movie with this many seats, or of the timetable for None."""
        return self.house_of_movie(seats) if seats else self.house()


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service of four workers, with an embedded MongoDB."""
    with running_service(tmp_path_factory.mktemp("race"), environ=ENVIRON) as running:
        yield running


@pytest.fixture(scope="package")
def four_workers(service: Service) -> Theatre:
    return Theatre([service], service.mongodb_uri, "boxoffice")


@pytest.fixture(scope="package")
def services(
    service: Service, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sequence[Service]]:
    """Four services of two workers each, on one database."""
    ours = {"WORKERS": "2", "MONGODB_URI": service.mongodb_uri, "MONGODB_DATABASE": "shared"}
    folder = tmp_path_factory.mktemp("services")
    with ExitStack() as running:
        yield [
            running.enter_context(running_service(folder, environ={**ENVIRON, **ours}))
            for _ in range(4)
        ]


@pytest.fixture(scope="package")
def four_services(service: Service, services: Sequence[Service]) -> Theatre:
    return Theatre(services, service.mongodb_uri, "shared")


@pytest.fixture(scope="package", params=["four_workers", "four_services"])
def theatre(request: pytest.FixtureRequest) -> Theatre:
    theatre: Theatre = request.getfixturevalue(request.param)
    return theatre


@contextmanager
def serving(app: str, mongod: EmbeddedMongoDB, database: str) -> Iterator[Theatre]:
    """Serve a WSGI app from four workers, with the project's gunicorn.conf.py."""
    port = free_port()
    environ = {
        **os.environ,
        **ENVIRON,
        "MONGODB_URI": mongod.uri,
        "MONGODB_DATABASE": database,
        "PORT": str(port),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", app], cwd=ROOT.parent, env=environ, text=True
    )
    service = Service(port, process, Path())
    try:
        wait_until(service.answers)
        yield Theatre([service], mongod.uri, database)
    finally:
        service.stop()


@pytest.fixture(scope="package")
def without(mongod: EmbeddedMongoDB) -> Iterator[Without]:
    """A function that returns four workers which lack a guard (see tests/race/unguarded.py)."""
    with ExitStack() as running:

        @cache
        def start(guard: str) -> Theatre:
            app = f"tests.race.unguarded:without('{guard}')"
            return running.enter_context(serving(app, mongod, f"without_{guard}"))

        yield start


def goes_wrong(attempt: Callable[[], bool]) -> bool:
    """Return whether one of many attempts goes wrong; a race need not happen each time."""
    return any(attempt() for _ in range(20))
