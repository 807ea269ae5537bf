"""Customers who book through faults, and what must hold of their tickets afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count, product
from typing import Any
from uuid import uuid4

from tests.running import Answer, Connection, Service, wait_until

CAPACITY = 20
TIMINGS = [f"{hour:02}:00" for hour in range(9, 22)]
_DAYS = [(date.today() + timedelta(days=day)).isoformat() for day in range(1, 3600)]  # noqa: DTZ011
_HOUSES = list(product(_DAYS, TIMINGS))
_next_house = count()

EXPECTED = {(201, None), (409, "sold_out"), (503, "database_unavailable"), (0, None)}


@dataclass(frozen=True)
class Verdict:
    """What became of the bookings: `missing` were answered and are not stored; of `doubled` keys or
    seats there are two tickets; `unanswered` are stored, and their customers were told no."""

    answered: int
    retried: int
    missing: int
    doubled: int
    unanswered: int
    unexpected: dict[str, int]

    @property
    def is_clean(self) -> bool:
        return not (self.missing or self.doubled or self.unanswered or self.unexpected)


class Customers:
    """Clients that book one ticket after another, each with a key, until they are told to stop.

    One who gets no answer, or a 503, sends the same request again until it is answered. With
    `fresh_keys`, it does not know better and takes a new key.
    """

    def __init__(
        self, service: Service, *, houses: int = 40, clients: int = 8, fresh_keys: bool = False
    ) -> None:
        self._service = service
        self._fresh_keys = fresh_keys
        self._leave = threading.Event()
        self._threads = [threading.Thread(target=self._shop) for _ in range(clients)]
        self._houses = [_HOUSES[next(_next_house)] for _ in range(houses)]  # of their own
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
        """Wait until so many more are booked, from now on."""
        wanted = len(self.tickets) + number
        wait_until(lambda: len(self.tickets) >= wanted)

    def verdict(self, tickets: Any) -> Verdict:
        """Compare what was answered with the collection of tickets."""
        houses = set(self._houses)
        dates = sorted({day for day, _ in houses})
        stored = [
            ticket
            for ticket in tickets.find({"date": {"$in": dates}})
            if (ticket["date"], ticket["timing"]) in houses
        ]
        codes = {ticket["_id"] for ticket in stored}
        by_key = Counter(ticket["request"]["key"] for ticket in stored)
        by_seat = Counter((ticket["timing"], ticket["date"], ticket["seat"]) for ticket in stored)
        answered = {ticket["admission_code"] for ticket in self.tickets.values()}
        return Verdict(
            answered=len(self.tickets),
            retried=self.statuses[503, "database_unavailable"] + self.statuses[0, None],
            missing=len(answered - codes),
            doubled=sum(times - 1 for counts in (by_key, by_seat) for times in counts.values()),
            unanswered=len(codes - answered),
            unexpected={
                f"{status} {code}": number
                for (status, code), number in self.statuses.items()
                if (status, code) not in EXPECTED
            },
        )

    def _shop(self) -> None:
        connection = self._service.connect()
        for number in count():
            house = self._houses[number % len(self._houses)]
            if self._leave.is_set() or not self._book(connection, house):
                break
        connection.close()

    def _book(self, connection: Connection, house: tuple[str, str]) -> bool:
        """Book, until it is answered; tell whether to go on."""
        key = str(uuid4())
        while True:
            answer = self._ask(connection, house, key)
            if answer.status not in (0, 503):
                return True
            if self._fresh_keys:
                key = str(uuid4())
            time.sleep(0.05)

    def _ask(self, connection: Connection, house: tuple[str, str], key: str) -> Answer:
        """Send one request for a ticket, and note what is answered."""
        day, timing = house
        body = {"name": "Asha Rao", "phone": "98765 43210", "timing": timing, "date": day}
        answer = connection.post("/booktickets", body, key)
        self.statuses[answer.status, answer.code] += 1
        if answer.status == 201:
            self.tickets[key] = answer.body
            now = time.monotonic()
            self.longest_pause = max(self.longest_pause, now - self._last_booked_at)
            self._last_booked_at = now
        return answer
