"""Customers who book through faults, and what must hold of their tickets afterwards."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import count, islice, product
from typing import Any, ClassVar
from uuid import uuid4

from tests.running import Answer, Connection, Service, wait_until

CAPACITY = 20
TIMINGS = [f"{hour:02}:00" for hour in range(9, 22)]
_DAYS = [(date.today() + timedelta(days=day)).isoformat() for day in range(1, 3600)]  # noqa: DTZ011
# A door opens a year ahead at the most.
_HOUSES_WITH_OPEN_DOORS = product(_DAYS[:300], TIMINGS)
_HOUSES = product(_DAYS[300:], TIMINGS)

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

    free_houses: ClassVar = _HOUSES

    def __init__(
        self, service: Service, *, houses: int = 40, clients: int = 32, fresh_keys: bool = False
    ) -> None:
        self._service = service
        self._fresh_keys = fresh_keys
        self._leave = threading.Event()
        self._threads = [threading.Thread(target=self._shop) for _ in range(clients)]
        self._houses = list(islice(self.free_houses, houses))  # of their own
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


class Visitors(Customers):
    """Customers who come in as soon as they have booked, each at two doors at once.

    As somebody with a copy of the QR code would. Each door has a key for each visit, and sends a
    request again until it is answered.
    """

    free_houses = _HOUSES_WITH_OPEN_DOORS

    def __init__(self, service: Service) -> None:
        super().__init__(service)
        self.let_in: dict[str, list[str]] = {}  # the keys that were answered 200, by code
        self.unexpected: Counter[str] = Counter()

    def verdict(self, tickets: Any) -> Verdict:
        """Compare what the doors were answered with the collection of tickets.

        Here `missing` were let in and are recorded as outside, or let in by another key; `doubled`
        were let in twice; `unanswered` are recorded as inside, though nobody let them in.
        """
        stored = tickets.find({"_id": {"$in": list(self.let_in)}})
        inside = {each["_id"]: each.get("admission", {}).get("request") for each in stored}
        return Verdict(
            answered=sum(map(len, self.let_in.values())),
            retried=self.statuses[503, "database_unavailable"] + self.statuses[0, None],
            missing=sum(
                (inside.get(code) or {}).get("key") != key
                for code, keys in self.let_in.items()
                for key in keys
            ),
            doubled=sum(max(0, len(keys) - 1) for keys in self.let_in.values()),
            unanswered=sum(
                bool(inside.get(code) and not keys) for code, keys in self.let_in.items()
            ),
            unexpected=dict(self.unexpected),
        )

    def _ask(self, connection: Connection, house: tuple[str, str], key: str) -> Answer:
        answer = super()._ask(connection, house, key)
        if answer.status == 201:
            code = answer.body["admission_code"]
            self.let_in[code] = []
            with ThreadPoolExecutor(2) as doors:
                list(doors.map(self._come_in, [code] * 2))
        return answer

    def _come_in(self, code: str) -> None:
        key = str(uuid4())
        connection = self._service.connect()
        while True:
            answer = connection.post("/admissions", {"admission_code": code}, key)
            if answer.status not in (0, 503):
                break
            self.statuses[answer.status, answer.code] += 1
            time.sleep(0.05)
        connection.close()
        if answer.status == 200:
            self.let_in[code].append(key)
        elif answer.code != "already_admitted":
            self.unexpected[f"{answer.status} {answer.code}"] += 1
