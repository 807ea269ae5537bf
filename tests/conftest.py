"""What tests share: a clock that stands still, a database of each kind, an app, its client."""

from __future__ import annotations

import json
import logging
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import mongomock
import pytest
from flask import Flask
from flask.testing import FlaskClient
from pymongo import MongoClient
from pymongo.database import Database

from app import create_app
from app.config import Settings
from app.mongodb.client import OutageLog, open_client, outages
from app.mongodb.embedded import EmbeddedMongoDB, EmbeddedMongoDBError
from app.operations import log as logs
from app.tickets.seat_choice import SeatChooser

KOLKATA = ZoneInfo("Asia/Kolkata")
# 14:03:11.5 in the theatre. In the future, as mongomock removes what expired by its own clock.
NOW = datetime(2046, 11, 22, 8, 33, 11, 500_000, tzinfo=UTC)


class Clock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        self.now += timedelta(**units)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=2, help="rounds of each race")
    parser.addoption("--pictures", default="", help="where to keep the screenshots")
    parser.addoption("--report", default="", help="where to write the table of faults")
    parser.addoption("--url", default="", help="a running service for the Postman collection")
    parser.addoption("--churn-seconds", type=int, default=5, help="length of the random traffic")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what needs a mongod as slow; `make unit` leaves that out."""
    if isinstance(item, pytest.Function) and "mongod" in item.fixturenames:
        item.add_marker("slow")


@pytest.fixture
def rounds(request: pytest.FixtureRequest) -> int:
    """How often a race or a fault is repeated."""
    number: int = request.config.getoption("--rounds")
    return number


@pytest.fixture(autouse=True)
def _no_outage_was_logged() -> None:
    vars(outages).update(vars(OutageLog()))


@pytest.fixture(scope="session")
def shared_clock() -> Clock:
    return Clock()


@pytest.fixture
def clock(shared_clock: Clock) -> Clock:
    shared_clock.now = NOW
    return shared_clock


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedMongoDB]:
    """A real MongoDB for the tests, whose TTL monitor runs every second."""
    folder = tmp_path_factory.mktemp("mongod")
    options = ["--setParameter", "ttlMonitorSleepSecs=1", "--setParameter", "enableTestCommands=1"]
    try:
        running = EmbeddedMongoDB(folder, options).__enter__()
    except EmbeddedMongoDBError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(error))
    yield running
    running.__exit__(None, None, None)


@pytest.fixture(scope="session")
def mongod_uri(mongod: EmbeddedMongoDB) -> str:
    return mongod.uri


@pytest.fixture(scope="session")
def mongod_client(mongod: EmbeddedMongoDB) -> Iterator[MongoClient[Any]]:
    with open_client(mongod.uri) as client:
        yield client


@pytest.fixture
def mongod_database(mongod_client: MongoClient[Any]) -> Iterator[Database[Any]]:
    yield from emptied_afterwards(mongod_client["tests"])


@pytest.fixture(scope="session")
def mongomock_client() -> MongoClient[Any]:
    client: MongoClient[Any] = mongomock.MongoClient()
    return client


@pytest.fixture
def mongomock_database(mongomock_client: MongoClient[Any]) -> Iterator[Database[Any]]:
    yield from emptied_afterwards(mongomock_client["tests"])


def emptied_afterwards(database: Database[Any]) -> Iterator[Database[Any]]:
    yield database
    for name in database.list_collection_names():
        database[name].delete_many({})  # dropping them and recreating their indexes is slow


@pytest.fixture(params=["mongomock", pytest.param("mongod", marks=pytest.mark.slow)])
def database(request: pytest.FixtureRequest) -> Database[Any]:
    """An empty database, of each kind in turn."""
    database: Database[Any] = request.getfixturevalue(f"{request.param}_database")
    return database


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[Any]]]:
    """A function that returns what has been logged, one dict per line."""
    loggers = [logging.getLogger(), logging.getLogger("app")]
    before = [logger.handlers[:] for logger in loggers]
    with tempfile.TemporaryFile("w+") as out:
        monkeypatch.setattr(sys, "stdout", out)
        logs.configure("debug", "json")

        def logged() -> list[Any]:
            out.seek(0)
            return [json.loads(line) for line in out]

        yield logged
    for logger, handlers in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.propagate = True


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings(theatre_timezone=KOLKATA, data_dir=Path("never-used"))


@pytest.fixture(scope="session")
def shared_app(shared_clock: Clock) -> Callable[[Database[Any], Settings], Flask]:
    """A function that returns the app for a database and settings; making one takes 30 ms."""
    return cache(partial(create_app, clock=shared_clock))


@pytest.fixture
def client(
    database: Database[Any],
    settings: Settings,
    clock: Clock,
    shared_app: Callable[..., Flask],
) -> FlaskClient:
    app = shared_app(database, settings=settings)
    # What it remembers of houses is another test's: mongomock would not refuse a seat sold twice.
    app.extensions["tickets"]._store._chooser = SeatChooser()
    return app.test_client()
