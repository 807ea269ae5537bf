"""The ticket store's contract, on mongomock and on a real MongoDB."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app import create_app
from app.booking.store import StoredTicket, TicketStore
from app.config import Settings
from app.mongodb.embedded import EmbeddedMongoDB
from app.theatre.idempotency import IdempotentRequest, KeyTaken
from app.theatre.refusals import SeatTaken, SoldOut
from app.theatre.showings import Showing

CAPACITY = 3
EIGHT_HOURS = timedelta(hours=8)
EVENING = Showing("18:00", date(2030, 1, 1), datetime(2030, 1, 1, 12, 30, tzinfo=UTC))
NIGHT = Showing("21:00", date(2030, 1, 1), datetime(2030, 1, 1, 15, 30, tzinfo=UTC))
NEXT_EVENING = Showing("18:00", date(2030, 1, 2), datetime(2030, 1, 2, 12, 30, tzinfo=UTC))

Add = Callable[..., StoredTicket]


@pytest.fixture
def store(database: Database[Any]) -> TicketStore:
    return TicketStore(database, CAPACITY, EIGHT_HOURS)


@pytest.fixture
def add(store: TicketStore) -> Add:
    def add(showing: Showing = EVENING, **fields: Any) -> StoredTicket:
        return store.add(
            name="Asha",
            phone="98765 43210",
            phone_e164="+919876543210",
            showing=showing,
            booked_at=datetime(2029, 12, 31, 9, 0, tzinfo=UTC),
            **fields,
        )

    return add


def counts(store: TicketStore, *showings: Showing) -> list[int]:
    """Return how many seats of each showing are taken."""
    taken = store.taken_seats(showings)
    return [len(taken[showing]) for showing in showings]


def test_a_ticket_comes_back_as_it_was_stored(store: TicketStore, add: Add) -> None:
    stored = add()
    assert store.get(stored.ticket_id) == stored
    assert stored.showing.at == EVENING.at
    assert stored.booked_at == datetime(2029, 12, 31, 9, 0, tzinfo=UTC)
    assert store.get("another") is None


def test_a_showing_takes_its_capacity_and_no_more(store: TicketStore, add: Add) -> None:
    assert sorted(add().seat for _ in range(CAPACITY)) == [1, 2, 3]
    for _ in range(2):
        with pytest.raises(SoldOut):
            add()
    assert add(NIGHT)
    assert add(NEXT_EVENING)
    assert counts(store, EVENING, NIGHT) == [3, 1]


def test_the_database_itself_refuses_a_second_ticket_on_a_seat(
    database: Database[Any], add: Add
) -> None:
    add()
    ticket = database["tickets"].find_one()
    assert ticket
    with pytest.raises(DuplicateKeyError):
        database["tickets"].insert_one({**ticket, "_id": "another"})


class TestAChosenSeat:
    def test_it_is_given_as_long_as_it_is_free(self, add: Add) -> None:
        assert add(seat=2).seat == 2
        with pytest.raises(SeatTaken) as refusal:
            add(seat=2)
        assert refusal.value.facts == {"free_seats": [1, 3]}
        assert add(seat=3).seat == 3

    def test_nobody_else_is_offered_it_any_more(self, add: Add) -> None:
        assert {add(seat=2).seat, add().seat, add().seat} == {1, 2, 3}

    def test_a_full_house_is_sold_out_whatever_is_chosen(self, add: Add) -> None:
        for _ in range(CAPACITY):
            add()
        with pytest.raises(SoldOut):
            add(seat=2)

    def test_one_that_becomes_free_between_the_write_and_the_read_is_tried_again(
        self, store: TicketStore, add: Add, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        holder = add(seat=2)
        taken_seats = TicketStore.taken_seats

        def after_a_deletion(*args: Any) -> Any:
            store.delete(holder.ticket_id, holder.phone_e164)
            return taken_seats(*args)

        monkeypatch.setattr(TicketStore, "taken_seats", after_a_deletion)
        assert add(seat=2).seat == 2

    def test_a_move_takes_it_in_this_showing_or_another(self, store: TicketStore, add: Add) -> None:
        stored, neighbour = add(seat=1), add(NIGHT, seat=2)
        changed = store.move(stored, EVENING, 3)
        assert changed == replace(stored, seat=3)
        with pytest.raises(SeatTaken) as refusal:
            store.move(changed, NIGHT, 2)
        assert refusal.value.facts == {"free_seats": [1, 3]}
        assert store.get(stored.ticket_id) == changed
        assert store.get(neighbour.ticket_id) == neighbour


class TestTwoSecrets:
    def test_the_ticket_id_is_the_admission_code_and_a_secret(self, add: Add) -> None:
        stored = add()
        assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{12}", stored.admission_code)
        assert re.fullmatch("[A-Za-z0-9_-]{22}", stored.secret)
        assert stored.ticket_id == stored.admission_code + stored.secret

    def test_the_code_with_another_secret_finds_and_changes_nothing(
        self, store: TicketStore, add: Add
    ) -> None:
        stored, other = add(), add()
        for secret in ("", other.secret, stored.secret[:-1], stored.secret + "A"):
            ticket_id = stored.admission_code + secret
            assert store.get(ticket_id) is None
            assert not store.delete(ticket_id, stored.phone_e164)
            assert store.move(replace(stored, secret=secret), NIGHT) is None
        assert store.get(stored.ticket_id) == stored

    def test_a_code_that_is_in_use_is_replaced_by_a_new_one(
        self, mongod_database: Database[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        codes = iter(["0" * 12, "0" * 12, "0" * 12, "1" * 12])
        monkeypatch.setattr("app.booking.store.new_admission_code", lambda: next(codes))
        store = TicketStore(mongod_database, CAPACITY, EIGHT_HOURS)
        now = datetime(2029, 12, 31, 9, 0, tzinfo=UTC)
        tickets = [
            store.add(name="A", phone="", phone_e164="", showing=EVENING, booked_at=now, seat=seat)
            for seat in (1, 2)
        ]
        assert [(ticket.admission_code, ticket.seat) for ticket in tickets] == [
            ("0" * 12, 1),
            ("1" * 12, 2),
        ]


class TestAdmission:
    DOOR: dict[str, Any] = {
        "at": datetime(2030, 1, 1, 12, 0, tzinfo=UTC),
        "showing_after": EVENING.at - timedelta(hours=1),
        "showing_until": EVENING.at,
    }

    def test_a_ticket_is_admitted_once(self, store: TicketStore, add: Add) -> None:
        stored = add()
        admitted = store.admit(stored.admission_code, **self.DOOR)
        assert admitted == replace(stored, admitted_at=self.DOOR["at"])
        assert store.admit(stored.admission_code, **self.DOOR) is None
        assert store.get(stored.ticket_id) == store.find_by_code(stored.admission_code) == admitted
        assert store.list_timing("18:00") == [admitted]

    def test_only_within_its_hours_and_for_its_showing(self, store: TicketStore, add: Add) -> None:
        code = add().admission_code
        a_moment = timedelta(seconds=1)
        for changed in (
            {"showing_after": EVENING.at},
            {"showing_until": EVENING.at - a_moment},
            {"timing": "21:00"},
            {"day": NEXT_EVENING.date},
        ):
            assert store.admit(code, **{**self.DOOR, **changed}) is None
        assert store.admit("ANOTHER", **self.DOOR) is None
        assert store.admit(code, **self.DOOR, timing="18:00", day=EVENING.date)

    def test_the_request_is_stored_with_it(self, store: TicketStore, add: Add) -> None:
        request = IdempotentRequest("key-12345", "fingerprint")
        code = add().admission_code
        store.admit(code, **self.DOOR, request=request)
        stored = store.find_by_code(code)
        assert stored
        assert stored.admission_request == request

    def test_an_admitted_ticket_is_neither_moved_nor_deleted(
        self, store: TicketStore, add: Add
    ) -> None:
        before = add()
        admitted = store.admit(before.admission_code, **self.DOOR)
        assert store.move(before, NIGHT) is None
        assert not store.delete(before.ticket_id, before.phone_e164)
        assert store.get(before.ticket_id) == admitted

    def test_an_undone_ticket_is_as_before(self, store: TicketStore, add: Add) -> None:
        before = add()
        assert store.undo_admission(before.admission_code) == before
        store.admit(before.admission_code, **self.DOOR)
        for _ in range(2):
            assert store.undo_admission(before.admission_code) == before
        assert store.admit(before.admission_code, **self.DOOR)
        assert store.undo_admission("ANOTHER") is None
        assert store.find_by_code("ANOTHER") is None


def test_a_deleted_tickets_seat_is_free_at_once(store: TicketStore, add: Add) -> None:
    full = [add() for _ in range(CAPACITY)]
    with pytest.raises(SoldOut):
        add()
    assert store.delete(full[1].ticket_id, full[1].phone_e164)
    assert add().seat == full[1].seat


def test_only_the_owner_deletes(store: TicketStore, add: Add) -> None:
    stored = add()
    assert not store.delete(stored.ticket_id, "+911111111111")
    assert not store.delete("another", stored.phone_e164)
    assert store.get(stored.ticket_id) == stored


def test_a_move_takes_a_seat_there_and_frees_the_one_here(store: TicketStore, add: Add) -> None:
    stored = add()
    moved = store.move(stored, NIGHT)
    assert moved
    assert moved.showing == NIGHT
    assert moved.showing.at == NIGHT.at
    assert store.get(stored.ticket_id) == moved
    assert counts(store, EVENING) == [0]


def test_a_refused_move_changes_nothing(store: TicketStore, add: Add) -> None:
    stored = add()
    for _ in range(CAPACITY):
        add(NIGHT)
    with pytest.raises(SoldOut):
        store.move(stored, NIGHT)
    assert store.get(stored.ticket_id) == stored


def test_a_move_of_a_moved_or_deleted_ticket_does_nothing(store: TicketStore, add: Add) -> None:
    stored = add()
    moved = store.move(stored, NIGHT)
    assert store.move(stored, NEXT_EVENING) is None
    assert store.get(stored.ticket_id) == moved
    store.delete(stored.ticket_id, stored.phone_e164)
    assert store.move(stored, NIGHT) is None


def test_a_key_books_once(store: TicketStore, add: Add) -> None:
    request = IdempotentRequest("key-12345", "fingerprint")
    stored = add(request=request)
    for showing in (EVENING, NIGHT):
        with pytest.raises(KeyTaken):
            add(showing, request=request)
    assert store.find_by_key("key-12345") == stored
    assert counts(store, EVENING, NIGHT) == [1, 0]


def test_a_key_is_free_again_when_its_ticket_is_gone(store: TicketStore, add: Add) -> None:
    request = IdempotentRequest("key-12345", "fingerprint")
    stored = add(request=request)
    store.delete(stored.ticket_id, stored.phone_e164)
    assert store.find_by_key("key-12345") is None
    assert add(request=request).ticket_id != stored.ticket_id


def test_tickets_without_a_key_do_not_clash(add: Add) -> None:
    assert add().ticket_id != add().ticket_id


def test_a_timing_is_listed_by_date_then_seat(store: TicketStore, add: Add) -> None:
    for showing in (NEXT_EVENING, EVENING, NIGHT, EVENING, NEXT_EVENING, EVENING):
        add(showing)
    listed = [(ticket.showing, ticket.seat) for ticket in store.list_timing("18:00")]
    assert listed == sorted(listed, key=lambda ticket: (ticket[0].date, ticket[1]))
    assert len(listed) == 5
    assert len(store.list_timing("18:00", EVENING.date)) == 3
    assert store.list_timing("10:00") == []


def test_a_lowered_capacity_keeps_the_tickets_above_it(
    database: Database[Any], store: TicketStore, add: Add
) -> None:
    for _ in range(CAPACITY):
        add()
    smaller = TicketStore(database, 2, EIGHT_HOURS)
    assert smaller.taken_seats([EVENING]) == {EVENING: {1, 2, 3}}
    by_seat = {ticket.seat: ticket for ticket in store.list_timing("18:00")}
    store.delete(by_seat[3].ticket_id, by_seat[3].phone_e164)
    assert smaller.taken_seats([EVENING]) == {EVENING: {1, 2}}
    store.delete(by_seat[1].ticket_id, by_seat[1].phone_e164)
    assert smaller.taken_seats([EVENING]) == {EVENING: {2}}


def test_mongodb_removes_what_has_expired_and_nothing_else(
    mongod_database: Database[Any],
) -> None:
    store = TicketStore(mongod_database, CAPACITY, timedelta(seconds=36))
    now = datetime.now(UTC)
    ages = {"long": timedelta(hours=1), "just": timedelta(seconds=37), "not": timedelta(seconds=0)}
    ids = {}
    for name, age in ages.items():
        showing = Showing("18:00", (now - age).date(), now - age)
        stored = store.add(name=name, phone="", phone_e164="", showing=showing, booked_at=now)
        ids[name] = stored.ticket_id
    deadline = time.monotonic() + 20  # the tests' mongod looks every second
    while store.get(ids["long"]) or store.get(ids["just"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert store.get(ids["not"])


def test_another_expiry_changes_the_index_in_place(mongod_database: Database[Any]) -> None:
    def expiry() -> dict[str, Any]:
        index: dict[str, Any] = mongod_database["tickets"].index_information()["showing_at_1"]
        return index

    for hours in (8, 8, 0.01, 24):
        TicketStore(mongod_database, CAPACITY, timedelta(hours=hours)).prepare()
        assert expiry()["expireAfterSeconds"] == hours * 3600


def test_the_indexes_are_created_at_the_start(
    mongod: EmbeddedMongoDB, mongod_database: Database[Any], settings: Settings
) -> None:
    for name in ("tickets", "sales"):
        mongod_database.drop_collection(name)
    create_app(settings=replace(settings, mongodb_uri=mongod.uri, mongodb_database="tests"))
    for name, index in (("tickets", "timing_1_date_1_seat_1"), ("sales", "requests.key_1")):
        assert mongod_database[name].index_information()[index]["unique"]
        assert "showing_at_1" in mongod_database[name].index_information()
