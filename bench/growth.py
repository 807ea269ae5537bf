"""Part 2: rates with few, many and very many stored tickets, and memory over many requests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, cycle, islice

from pymongo.database import Database

from app.booking.store import TicketStore
from app.config import Settings
from app.mongodb.client import Document, open_client
from app.mongodb.embedded import EmbeddedMongoDB
from app.theatre.identifiers import new_id
from app.theatre.showings import Showing
from bench.houses import CAPACITY, NAME, PHONE, PHONE_E164, booking, filling, showings, view
from bench.load import Request, steady
from bench.rounds import Contender, take_turns
from bench.servers import SERVICE, running

FEWEST = 260  # tickets where it says 0: one day of full houses, for there to be something to view
_ON_SALE = range(1, 700)  # days ahead, for the bookings that are measured
_STORED = range(700, 5000)  # days ahead, for the tickets that are there before
_BATCH = 10_000  # tickets
_FULL_HOUSES = 50
_HOUSES_A_SAMPLE = 500


@dataclass(frozen=True)
class Size:
    """What the service does with so many stored tickets."""

    tickets: int
    booking: Contender
    view: Contender


@dataclass(frozen=True)
class Memory:
    """The resident memory of all workers, in bytes, after so many requests."""

    requests: int
    resident: int


def measure_rates(
    mongodb: EmbeddedMongoDB, sizes: tuple[int, ...], *, rounds: int, seconds: int
) -> list[Size]:
    """Measure bookings and views on a database of each size, in so many rounds."""
    with ExitStack() as stack:
        client = stack.enter_context(open_client(mongodb.uri))
        measured = []
        for tickets in sizes:
            name = f"growth_{tickets}"
            houses = list(islice(showings(_STORED), max(tickets, FEWEST) // CAPACITY))
            _fill(client[name], houses)
            server = stack.enter_context(running(SERVICE, mongodb, name))
            measured.append(
                Size(
                    tickets,
                    Contender(f"booking at {tickets:,}", server, _bookings(), 201),
                    Contender(f"view at {tickets:,}", server, _views(houses), 200),
                )
            )
        client.admin.command("fsync")  # lest somebody is measured while that is being written
        take_turns([one for size in measured for one in (size.booking, size.view)], rounds, seconds)
        return measured


def measure_memory(
    mongodb: EmbeddedMongoDB, *, requests: int, warm_up: int, seconds: int
) -> list[Memory]:
    """Send bookings and, as often, other requests; read the memory every so many seconds.

    What is sent to warm up is not counted in the samples, the first of which follows it.
    """
    with running(SERVICE, mongodb, "memory") as server:
        unsold = showings()
        full = list(islice(unsold, _FULL_HOUSES))
        steady(server.port, filling(full), seconds=3)
        timetable = [Request("GET", "/")] * _FULL_HOUSES
        others = cycle([*timetable, *map(booking, full), *map(view, full)])
        samples: list[Memory] = []
        sent = -warm_up
        while sent < requests:
            bookings = filling(list(islice(unsold, _HOUSES_A_SAMPLE)))
            mixed = list(chain.from_iterable(zip(bookings, others, strict=False)))
            sent += steady(server.port, mixed, seconds).total
            if sent >= 0:
                samples.append(Memory(sent, server.memory()))
        return samples


def _bookings() -> Callable[[int], list[Request]]:
    unsold = showings(_ON_SALE)
    return lambda number: filling(list(islice(unsold, number // CAPACITY + 1)))


def _views(houses: list[Showing]) -> Callable[[int], list[Request]]:
    """Return views of houses all over the database."""
    return lambda number: [view(showing) for showing in houses[:: len(houses) // number + 1]]


def _fill(database: Database[Document], houses: list[Showing]) -> None:
    """Store a ticket on every seat of these houses, as the service would."""
    settings = Settings()
    TicketStore(database, settings.slot_capacity, settings.expiry_hours).prepare()
    booked_at = datetime.now(UTC).replace(microsecond=0)
    tickets = (
        {
            "_id": new_id(),
            "name": NAME,
            "phone": PHONE,
            "phone_e164": PHONE_E164,
            **showing.as_document(),
            "booked_at": booked_at,
            "seat": seat,
        }
        for showing in houses
        for seat in range(1, CAPACITY + 1)
    )
    while batch := list(islice(tickets, _BATCH)):
        database["tickets"].insert_many(batch)
