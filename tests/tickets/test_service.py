"""The ticket service at a given instant, and when others are faster."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pymongo.database import Database

from app.domain.idempotency import IdempotentRequest, KeyTaken, Outcome
from app.domain.refusals import (
    AlreadyAdmitted,
    IdempotencyKeyReused,
    InvalidRequest,
    MovieNotFound,
    NotOnSale,
    SeatTaken,
    ShowingStarted,
    SoldOut,
    TicketNotFound,
)
from app.domain.seating import House
from app.domain.showings import Calendar, Play
from app.domain.wanted import Wanted
from app.tickets.documents import Admission
from app.tickets.phones import Phone
from app.tickets.service import TicketService
from app.tickets.store import TicketStore
from app.tickets.views import Ticket, Views
from tests.conftest import NOW, Clock

HOUSE = House(seats=4, seats_per_row=2)
PHONE = Phone("98765 43210", "+919876543210")
TODAY = date(2046, 11, 22)
TOMORROW = date(2046, 11, 23)
REQUEST = IdempotentRequest("key-12345", "fingerprint")


class Timetable:
    def find(self, timing: str) -> Play:
        if timing not in ("14:00", "18:00", "21:00"):
            raise InvalidRequest({"timing": ["Not in the timetable."]})
        return Play(timing, HOUSE)


class Movies:
    def __init__(self) -> None:
        self.on_sale = True

    def find(self, movie: int) -> Play:
        if movie not in (1, 2):
            raise MovieNotFound
        return Play("18:00", HOUSE, screen=movie, movie=movie, on_sale=self.on_sale)


@pytest.fixture
def store(mongomock_database: Database[Any]) -> TicketStore:
    return TicketStore(mongomock_database, timedelta(hours=8))


@pytest.fixture
def movies() -> Movies:
    return Movies()


@pytest.fixture
def service(store: TicketStore, movies: Movies, clock: Clock) -> TicketService:
    calendar = Calendar(ZoneInfo("Asia/Kolkata"), advance_days=30)
    return TicketService(
        store,
        Views(calendar, HOUSE, timedelta(hours=8)),
        timetable=Timetable(),
        catalogue=movies,
        clock=clock,
    )


def sell(service: TicketService, amount: int = 1, **fields: Any) -> Outcome[Ticket]:
    who = {"name": "Asha", "phone": PHONE, "request": None, "wanted": Wanted(amount)}
    if "movie" not in fields:
        fields = {"timing": "18:00", **fields}
    return service.sell(**{**who, **fields})


Once = Callable[[str, Callable[[], Any]], None]


@pytest.fixture
def once(monkeypatch: pytest.MonkeyPatch) -> Once:
    """A function that runs an action once, right before a method of the store."""

    def arrange(method: str, act: Callable[[], Any]) -> None:
        real = getattr(TicketStore, method)

        def acting(*args: Any, **fields: Any) -> Any:
            monkeypatch.setattr(TicketStore, method, real)
            act()
            return real(*args, **fields)

        monkeypatch.setattr(TicketStore, method, acting)

    return arrange


def fail(error: Exception) -> Callable[[], Any]:
    def act() -> None:
        raise error

    return act


class TestSell:
    def test_booked_at_is_the_second_of_the_sale(self, service: TicketService) -> None:
        assert sell(service).result.booked_at == NOW.replace(microsecond=0)

    @pytest.mark.parametrize(
        ("fields", "refusal"),
        [
            ({"timing": "14:00", "day": TODAY}, ShowingStarted),
            ({"timing": "15:00"}, InvalidRequest),
            ({"day": date(2046, 11, 21)}, InvalidRequest),
            ({"amount": 5}, InvalidRequest),
            ({"movie": 3}, MovieNotFound),
            ({"movie": 1, "wanted": Wanted(1, (5,), "seats")}, InvalidRequest),
        ],
    )
    def test_it_refuses_what_cannot_be_sold(
        self, service: TicketService, store: TicketStore, fields: Any, refusal: type[Exception]
    ) -> None:
        with pytest.raises(refusal):
            sell(service, **fields)
        assert store.list_timing("18:00") == store.list_timing("14:00") == []

    def test_a_movie_is_sold_while_it_is_on_sale(
        self, service: TicketService, movies: Movies
    ) -> None:
        first = sell(service, movie=1, request=REQUEST)
        movies.on_sale = False
        with pytest.raises(NotOnSale):
            sell(service, movie=1)
        again = sell(service, movie=1, request=REQUEST)
        assert again == Outcome(first.result, replayed=True)

    def test_a_key_freed_meanwhile_sells_again(self, service: TicketService, once: Once) -> None:
        once("add", fail(KeyTaken()))  # whose ticket is deleted before it can be read
        assert not sell(service, request=REQUEST).replayed

    @pytest.mark.parametrize("amount", [1, 4])  # with 4, nothing is left for the second
    def test_a_key_used_meanwhile_replays_the_sale(
        self, service: TicketService, once: Once, amount: int
    ) -> None:
        earlier: list[Outcome[Ticket]] = []
        once("add", lambda: earlier.append(sell(service, amount, request=REQUEST)))
        again = sell(service, amount, request=REQUEST)
        assert again == Outcome(earlier[0].result, replayed=True)

    def test_another_request_with_the_key_is_refused(self, service: TicketService) -> None:
        sell(service, amount=4, request=REQUEST)
        other = replace(REQUEST, fingerprint="another")
        for timing in ("18:00", "21:00"):  # sold out, and free
            with pytest.raises(IdempotencyKeyReused):
                sell(service, timing=timing, request=other)

    @pytest.mark.parametrize("days", [0, 1, 40])
    def test_a_replay_is_the_ticket_as_it_is_now(
        self, service: TicketService, clock: Clock, days: int
    ) -> None:
        first = sell(service, day=TODAY, request=REQUEST).result
        moved = service.move(first.ticket_id, PHONE, timing="21:00")
        clock.advance(days=days)
        again = sell(service, day=TODAY, request=REQUEST)
        assert again.replayed
        assert again.result == service.ticket(first.ticket_id)
        assert (again.result.timing, again.result.expired) == (moved.timing, days > 0)


class TestMove:
    @pytest.fixture
    def ticket(self, service: TicketService) -> Ticket:
        return sell(service, amount=2).result

    def test_a_ticket_moved_meanwhile_is_read_again(
        self, service: TicketService, once: Once, ticket: Ticket
    ) -> None:
        once("move", lambda: service.move(ticket.ticket_id, PHONE, day=TOMORROW))
        moved = service.move(ticket.ticket_id, PHONE, timing="21:00")
        assert (moved.timing, moved.date) == ("21:00", TOMORROW)
        assert service.ticket(ticket.ticket_id) == moved

    def test_a_ticket_deleted_meanwhile_is_not_found(
        self, service: TicketService, once: Once, ticket: Ticket
    ) -> None:
        once("move", lambda: service.delete(ticket.ticket_id, PHONE))
        with pytest.raises(TicketNotFound):
            service.move(ticket.ticket_id, PHONE, timing="21:00")

    def test_a_ticket_admitted_meanwhile_stays(
        self, service: TicketService, store: TicketStore, once: Once, ticket: Ticket
    ) -> None:
        stored = store.get(ticket.ticket_id)
        assert stored
        once("move", lambda: store.admit(stored, Admission(NOW, 1)))
        with pytest.raises(AlreadyAdmitted) as refusal:
            service.move(ticket.ticket_id, PHONE, timing="21:00")
        assert (refusal.value.facts["admitted"], refusal.value.facts["people_left"]) == (1, 1)
        assert service.ticket(ticket.ticket_id).timing == "18:00"

    def test_a_refusal_stands_if_the_ticket_has_not_changed(
        self, service: TicketService, ticket: Ticket
    ) -> None:
        sell(service, amount=4, timing="21:00")
        with pytest.raises(SoldOut):
            service.move(ticket.ticket_id, PHONE, timing="21:00")
        other = sell(service).result
        wanted = Wanted(seats=(other.seat,), field="seat")
        with pytest.raises(SeatTaken):
            service.move(ticket.ticket_id, PHONE, wanted=wanted)

    def test_the_default_date_is_its_own_until_that_showing_has_started(
        self, service: TicketService, clock: Clock
    ) -> None:
        clock.now = datetime.fromisoformat("2046-11-22T18:00:59.999999+05:30")
        late = sell(service, timing="21:00").result
        assert service.move(late.ticket_id, PHONE, timing="18:00").date == TODAY
        service.move(late.ticket_id, PHONE, timing="21:00")
        clock.advance(microseconds=1)
        assert service.move(late.ticket_id, PHONE, timing="18:00").date == TOMORROW

    def test_the_date_is_kept_when_the_booking_window_has_shrunk(
        self, service: TicketService
    ) -> None:
        ticket = sell(service, day=TOMORROW).result
        service._calendar = replace(service._calendar, advance_days=0)
        assert service.move(ticket.ticket_id, PHONE, timing="21:00").date == TOMORROW
        with pytest.raises(InvalidRequest):
            service.move(ticket.ticket_id, PHONE, timing="18:00", day=TOMORROW)


class TestDelete:
    def test_a_ticket_moved_meanwhile_is_deleted(self, service: TicketService, once: Once) -> None:
        ticket = sell(service).result
        once("delete", lambda: service.move(ticket.ticket_id, PHONE, timing="21:00"))
        service.delete(ticket.ticket_id, PHONE)
        with pytest.raises(TicketNotFound):
            service.ticket(ticket.ticket_id)

    def test_a_ticket_admitted_meanwhile_stays(
        self, service: TicketService, store: TicketStore, once: Once
    ) -> None:
        ticket = sell(service).result
        stored = store.get(ticket.ticket_id)
        assert stored
        once("delete", lambda: store.admit(stored, Admission(NOW, 1)))
        with pytest.raises(AlreadyAdmitted):
            service.delete(ticket.ticket_id, PHONE)
        assert service.ticket(ticket.ticket_id).admitted == 1


class TestQuestions:
    def test_a_list_needs_a_timing_a_movie_or_a_day(self, service: TicketService) -> None:
        with pytest.raises(ValueError, match="name a timing, a movie or a day"):
            service.tickets()

    def test_each_play_has_a_slot(self, service: TicketService) -> None:
        sell(service, amount=2)
        sell(service, amount=3, movie=1)
        plays = [Play("18:00", HOUSE), Movies().find(1), Movies().find(2)]
        assert [slot.booked for slot in service.slots(plays)] == [2, 3, 0]
        assert [slot.booked for slot in service.slots(plays, TOMORROW)] == [0, 0, 0]
        assert service.slots([]) == []
        with pytest.raises(InvalidRequest):
            service.slots(plays, date(2046, 11, 21))

    def test_errors_name_their_fields(self, service: TicketService) -> None:
        assert service.errors() == {}
        assert service.errors(movie=3) == {}  # unknown, which is 404
        errors = service.errors("15:00", day=date(2046, 11, 21), wanted=Wanted(5))
        assert errors.keys() == {"timing", "date", "amount"}

    def test_a_ticket_counts_until_it_expires(self, service: TicketService, clock: Clock) -> None:
        sell(service, movie=1, amount=2)
        sell(service, movie=1)
        sell(service, movie=2)
        clock.now = datetime.fromisoformat("2046-11-23T01:59:59.999999+05:30")
        assert service.count_unexpired(Movies().find(1)) == 2
        clock.advance(microseconds=1)
        assert service.count_unexpired(Movies().find(1)) == 0
