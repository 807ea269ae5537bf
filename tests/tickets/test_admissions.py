"""The door by itself: which showing it is for, and what it does when another door is faster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

import pytest

from app.domain.idempotency import IdempotentRequest
from app.domain.refusals import AdmissionNotOpen, AlreadyAdmitted, OtherShowing, TicketNotFound
from app.domain.seating import House
from app.domain.showings import Calendar, Showing
from app.tickets.admissions import AdmissionService, Door
from app.tickets.documents import Admission, StoredTicket
from app.tickets.store import TicketStore
from app.tickets.views import Views

CODE = "7KQ4M2XN0PVR"
DAY = date(2046, 11, 22)
EVENING = Showing("18:00", DAY, datetime(2046, 11, 22, 12, 30, tzinfo=UTC))
MOVIE = replace(EVENING, screen=1, movie=3)
NOW = datetime(2046, 11, 22, 10, 33, 11, 500_000, tzinfo=UTC)  # the door has been open for 3:11
PARTY = StoredTicket(
    admission_code=CODE,
    secret="secret",
    name="Asha",
    phone=None,
    showing=EVENING,
    seats=(7, 8, 9),
    seats_per_row=None,
    booked_at=NOW,
)
EARLIER = datetime(2046, 11, 22, 10, 31, tzinfo=UTC)


class StubStore:
    """One ticket, which somebody else changes just before the next change."""

    def __init__(self) -> None:
        self.ticket: StoredTicket | None = PARTY
        self.meanwhile: list[StoredTicket | None] = []

    def find_by_code(self, admission_code: str) -> StoredTicket | None:
        return self.ticket if admission_code == CODE else None

    def admit(self, ticket: StoredTicket, admission: Admission | None) -> StoredTicket | None:
        if self.meanwhile:
            self.ticket = self.meanwhile.pop(0)
        if ticket != self.ticket:
            return None
        self.ticket = replace(ticket, admission=admission, revision=ticket.revision + 1)
        return self.ticket


@pytest.fixture
def store() -> StubStore:
    return StubStore()


@pytest.fixture
def door(store: StubStore) -> AdmissionService:
    calendar = Calendar(ZoneInfo("Asia/Kolkata"), advance_days=30)
    return AdmissionService(
        cast(TicketStore, store),
        Views(calendar, House(seats=20, seats_per_row=5), timedelta(hours=8)),
        open_before=timedelta(hours=2),
        clock=lambda: NOW,
    )


def with_people(people: int, *requests: IdempotentRequest | None) -> StoredTicket:
    """The party after another door has admitted some of it."""
    keys = tuple(each for each in requests if each)
    return replace(PARTY, admission=Admission(EARLIER, people, keys), revision=1)


class TestDoor:
    @pytest.mark.parametrize(
        ("door", "timetable", "movie"),
        [
            (Door(), True, True),
            (Door(timing="18:00"), True, False),  # a movie at the same time is another showing
            (Door(timing="18:00", day=DAY), True, False),
            (Door(timing="21:00"), False, False),
            (Door(movie=3), False, True),
            (Door(movie=3, day=DAY), False, True),
            (Door(movie=3, day=date(2046, 11, 23)), False, False),
            (Door(movie=4), False, False),
            (Door(day=DAY), True, True),
            (Door(day=date(2046, 11, 23)), False, False),
        ],
    )
    def test_it_is_for_the_tickets_of_its_showing(
        self, door: Door, timetable: bool, movie: bool
    ) -> None:
        assert door.is_for(PARTY) is timetable
        assert door.is_for(replace(PARTY, showing=MOVIE)) is movie


class TestAnotherDoorIsFaster:
    def test_the_rest_are_admitted(self, store: StubStore, door: AdmissionService) -> None:
        store.meanwhile = [with_people(1)]
        admitted = door.admit(CODE, None, Door()).result
        assert admitted.admitted == 3
        assert admitted.admitted_at == EARLIER
        assert store.ticket == replace(with_people(3), revision=2)

    def test_the_requested_number_is_admitted_on_top(
        self, store: StubStore, door: AdmissionService
    ) -> None:
        store.meanwhile = [with_people(1), replace(with_people(0), admission=None, revision=2)]
        admitted = door.admit(CODE, 1, Door()).result
        assert admitted.admitted == 1
        assert admitted.admitted_at == NOW.replace(microsecond=0)

    def test_nobody_is_admitted_twice(self, store: StubStore, door: AdmissionService) -> None:
        for people, left in ((3, 0), (2, 1)):
            store.ticket, store.meanwhile = PARTY, [with_people(people)]
            with pytest.raises(AlreadyAdmitted) as refusal:
                door.admit(CODE, 2, Door())
            facts = refusal.value.facts
            assert (facts["admitted"], facts["people_left"]) == (people, left)
            assert facts["admitted_at"] == EARLIER
            assert facts["ticket"].admitted == people

    def test_the_same_request_admits_once(self, store: StubStore, door: AdmissionService) -> None:
        request = IdempotentRequest.of("key-12345", timing=None, date=None, people=1)
        store.meanwhile = [with_people(1, request)]
        outcome = door.admit(CODE, 1, Door(), "key-12345")
        assert (outcome.replayed, outcome.result.admitted) == (True, 1)

    @pytest.mark.parametrize(
        ("meanwhile", "refusal"),
        [
            (None, TicketNotFound),
            (
                replace(PARTY, showing=replace(EVENING, at=NOW + timedelta(hours=3)), revision=1),
                AdmissionNotOpen,
            ),
            (replace(PARTY, showing=replace(EVENING, timing="17:00"), revision=1), OtherShowing),
        ],
    )
    def test_a_changed_ticket_is_checked_again(
        self,
        store: StubStore,
        door: AdmissionService,
        meanwhile: StoredTicket | None,
        refusal: type[Exception],
    ) -> None:
        attempts: list[Callable[[], Any]] = [
            lambda: door.admit(CODE, 1, Door(timing="18:00")),
            lambda: door.correct(CODE, 2, Door(timing="18:00")),
        ]
        for attempt in attempts:
            store.ticket, store.meanwhile = PARTY, [meanwhile]
            with pytest.raises(refusal):
                attempt()
            assert store.ticket == meanwhile

    def test_a_correction_overrides_an_admission_made_meanwhile(
        self, store: StubStore, door: AdmissionService
    ) -> None:
        request = IdempotentRequest.of("key-12345", timing=None, date=None)
        store.meanwhile = [with_people(3, request)]
        assert door.correct(CODE, 2, Door()).admitted == 2
        assert store.ticket == replace(with_people(2, request), revision=2)
        store.ticket, store.meanwhile = with_people(1), [with_people(3)]
        assert door.correct(CODE, 0, Door()).admitted_at is None
        assert store.ticket == replace(PARTY, revision=2)
