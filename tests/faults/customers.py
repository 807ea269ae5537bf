"""Customers who book during faults, and what must be true of their tickets afterwards."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import chain, count, islice
from typing import Any, ClassVar
from uuid import uuid4

from tests.running import Answer, Connection, Service, wait_until
from tests.traffic import CAPACITY, House, put_movie_on_sale

TIMINGS = [f"{hour:02}:00" for hour in range(9, 22)]
MAX_PARTY = 4
_DAYS = [(date.today() + timedelta(days=day)).isoformat() for day in range(1, 3600)]  # noqa: DTZ011


def _houses(days: list[str]) -> Iterator[House]:
    return (House(day, timing) for day in days for timing in TIMINGS)


# A door opens a year ahead at the most.
_HOUSES_WITH_OPEN_DOORS = _houses(_DAYS[:300])
_HOUSES = _houses(_DAYS[300:])

EXPECTED = {
    (201, None),
    (409, "sold_out"),
    (409, "not_enough_seats"),
    (503, "database_unavailable"),
    (0, None),
}


@dataclass(frozen=True)
class Verdict:
    """The outcome of bookings: `missing` were confirmed but are not stored; `altered` are stored
    with other seats than the response named; `doubled` keys or seats have two tickets;
    `unanswered` are stored although their customers got no ticket."""

    answered: int
    retried: int
    missing: int
    altered: int
    doubled: int
    unanswered: int
    unexpected: dict[str, int]

    @property
    def is_clean(self) -> bool:
        return not (
            self.missing or self.altered or self.doubled or self.unanswered or self.unexpected
        )


class Customers:
    """Clients that book for one party after another, each with a key, until the block ends.

    Half of the houses are the timetable's, half are a movie's. A client that gets no answer, or
    503, repeats the request until it is answered. With `fresh_keys`, each repetition has a new key.
    """

    free_houses: ClassVar = _HOUSES

    def __init__(
        self, service: Service, *, houses: int = 100, clients: int = 32, fresh_keys: bool = False
    ) -> None:
        self._service = service
        self._fresh_keys = fresh_keys
        self._leave = threading.Event()
        self._threads = [threading.Thread(target=self._shop) for _ in range(clients)]
        self._movie = put_movie_on_sale(service, CAPACITY)
        of_movie = [House(day, movie=self._movie) for day in _DAYS[: houses // 2]]
        of_timetable = islice(self.free_houses, houses // 2)
        pairs = zip(of_timetable, of_movie, strict=True)
        self._houses: list[House] = list(chain.from_iterable(pairs))
        self.tickets: dict[str, Any] = {}  # by key
        self.statuses: Counter[tuple[int, str | None]] = Counter()
        self._last_booked_at = time.monotonic()
        self.longest_pause = 0.0  # seconds in which nobody booked

    def __enter__(self) -> Customers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave.set()
        for thread in self._threads:
            thread.join()

    def wait_for_bookings(self, number: int = 20) -> None:
        """Wait until this many more are booked, from now on."""
        wanted = len(self.tickets) + number
        wait_until(lambda: len(self.tickets) >= wanted)

    def verdict(self, tickets: Any) -> Verdict:
        """Compare the responses with the collection of tickets."""
        stored = self._stored(tickets)
        by_key = Counter(ticket["request"]["key"] for ticket in stored.values())
        by_seat = Counter(seat for ticket in stored.values() for seat in _places(ticket))
        answered = {ticket["admission_code"]: ticket for ticket in self.tickets.values()}
        return Verdict(
            answered=len(self.tickets),
            retried=self.statuses[503, "database_unavailable"] + self.statuses[0, None],
            missing=len(answered.keys() - stored.keys()),
            altered=self._altered(stored),
            doubled=sum(times - 1 for counts in (by_key, by_seat) for times in counts.values()),
            unanswered=len(stored.keys() - answered.keys()),
            unexpected={
                f"{status} {code}": number
                for (status, code), number in self.statuses.items()
                if (status, code) not in EXPECTED
            },
        )

    def _stored(self, tickets: Any) -> dict[str, Any]:
        """Return the stored tickets of these customers' houses, by code."""
        ours = {(house.date, house.timing) for house in self._houses if house.timing}
        of_timetable = {"movie": None, "date": {"$in": sorted({day for day, _ in ours})}}
        return {
            ticket["_id"]: ticket
            for ticket in tickets.find({"$or": [{"movie": self._movie}, of_timetable]})
            if "movie" in ticket or (ticket["date"], ticket["timing"]) in ours
        }

    def _altered(self, stored: dict[str, Any]) -> int:
        """Count the tickets that are stored with another showing or seats than were answered."""
        return sum(
            _places(stored[ticket["admission_code"]])
            != _places({**ticket, "seat": ticket["seats"]})
            for ticket in self.tickets.values()
            if ticket["admission_code"] in stored
        )

    def _shop(self) -> None:
        connection = self._service.connect()
        for number in count():
            house = self._houses[number % len(self._houses)]
            people = random.randint(1, MAX_PARTY)
            if self._leave.is_set() or not self._book(connection, house, people):
                break
        connection.close()

    def _book(self, connection: Connection, house: House, people: int) -> bool:
        """Book, until it is answered; return whether to go on."""
        key = str(uuid4())
        while True:
            answer = self._ask(connection, house, people, key)
            if answer.status not in (0, 503):
                return True
            if self._fresh_keys:
                key = str(uuid4())
            time.sleep(0.05)

    def _ask(self, connection: Connection, house: House, people: int, key: str) -> Answer:
        """Send one request for a ticket, and note the response."""
        answer = house.booking(key, amount=people)(connection)
        self.statuses[answer.status, answer.code] += 1
        if answer.status == 201:
            self.tickets[key] = answer.body
            now = time.monotonic()
            self.longest_pause = max(self.longest_pause, now - self._last_booked_at)
            self._last_booked_at = now
        return answer


def _places(ticket: Any) -> list[tuple[int | None, str, str, int]]:
    """Return the seats of a ticket's document, each with its house."""
    house = ticket.get("screen"), ticket["timing"], ticket["date"]
    return [(*house, seat) for seat in ticket["seat"]]


class Visitors(Customers):
    """Customers who are admitted right after booking, one by one, at two doors at once.

    A copied QR code makes this possible. Each scan has a key, and is repeated until it is answered.
    """

    free_houses = _HOUSES_WITH_OPEN_DOORS

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.let_in: dict[str, list[str]] = {}  # the keys that were answered 200, by code
        self.unexpected: Counter[str] = Counter()

    def verdict(self, tickets: Any) -> Verdict:
        """Compare the responses at the doors with the collection of tickets.

        Here `missing` were admitted but are not recorded; `doubled` are more than the ticket has
        seats; `unanswered` are recorded although no door admitted them.
        """
        stored = self._stored(tickets)
        recorded = {
            code: [each["key"] for each in stored[code].get("admission", {}).get("requests", [])]
            for code in self.let_in
        }
        people = {code: stored[code].get("admission", {}).get("people", 0) for code in self.let_in}
        return Verdict(
            answered=sum(map(len, self.let_in.values())),
            retried=self.statuses[503, "database_unavailable"] + self.statuses[0, None],
            missing=sum(len({*keys} - {*recorded[code]}) for code, keys in self.let_in.items()),
            altered=self._altered(stored),
            doubled=sum(
                max(0, len(keys) - len(stored[code]["seat"])) for code, keys in self.let_in.items()
            ),
            unanswered=sum(abs(people[code] - len(keys)) for code, keys in self.let_in.items()),
            unexpected=dict(self.unexpected),
        )

    def _ask(self, connection: Connection, house: House, people: int, key: str) -> Answer:
        answer = super()._ask(connection, house, people, key)
        if answer.status == 201:
            code = answer.body["admission_code"]
            self.let_in[code] = []
            with ThreadPoolExecutor(2) as doors:
                list(doors.map(self._admit_all, [code] * 2))
        return answer

    def _admit_all(self, code: str) -> None:
        """Scan the ticket for one person after another, until all of them are in."""
        connection = self._service.connect()
        while (answer := self._scan(connection, code, key := str(uuid4()))).status == 200:
            self.let_in[code].append(key)
        connection.close()
        if answer.code != "already_admitted":
            self.unexpected[f"{answer.status} {answer.code}"] += 1

    def _scan(self, connection: Connection, code: str, key: str) -> Answer:
        """Scan, until it is answered."""
        body = {"admission_code": code, "people": 1}
        while (answer := connection.post("/admissions", body, key)).status in (0, 503):
            self.statuses[answer.status, answer.code] += 1
            time.sleep(0.05)
        return answer
