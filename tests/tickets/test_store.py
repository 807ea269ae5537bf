"""The ticket store's contract, on mongomock and on a real MongoDB."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database
from pymongo.errors import AutoReconnect, DuplicateKeyError

from app import create_app
from app.config import Settings
from app.domain.idempotency import IdempotentRequest, KeyTaken
from app.domain.refusals import NotEnoughSeats, SeatTaken, SoldOut
from app.domain.seating import House, best_seats
from app.domain.showings import Play, Showing
from app.domain.wanted import Wanted
from app.mongodb.client import insert_all
from app.mongodb.embedded import EmbeddedMongoDB
from app.tickets.documents import Admission, StoredTicket
from app.tickets.phones import Phone
from app.tickets.seat_choice import SeatChooser
from app.tickets.store import TicketStore

HOUSE = House(seats=6, seats_per_row=3)
EIGHT_HOURS = timedelta(hours=8)
EVENING = Showing("18:00", date(2046, 1, 1), datetime(2046, 1, 1, 12, 30, tzinfo=UTC))
NIGHT = Showing("21:00", date(2046, 1, 1), datetime(2046, 1, 1, 15, 30, tzinfo=UTC))
NEXT_EVENING = Showing("18:00", date(2046, 1, 2), datetime(2046, 1, 2, 12, 30, tzinfo=UTC))
MOVIE = replace(EVENING, screen=1, movie=1, title="Sholay")
OTHER_MOVIE = replace(EVENING, screen=2, movie=2)
PHONE = Phone("98765 43210", "+919876543210")
NOW = datetime(2045, 12, 31, 9, 0, tzinfo=UTC)
REQUEST = IdempotentRequest("key-12345", "fingerprint")

Add = Callable[..., StoredTicket]


@pytest.fixture
def store(database: Database[Any]) -> TicketStore:
    return TicketStore(database, EIGHT_HOURS)


def add_to(
    store: TicketStore,
    showing: Showing = EVENING,
    *seats: int,
    amount: int = 1,
    house: House = HOUSE,
    name: str | None = "Asha",
    phone: Phone | None = PHONE,
    request: IdempotentRequest | None = None,
) -> StoredTicket:
    wanted = Wanted(len(seats), seats, "seats") if seats else Wanted(amount)
    return store.add(showing, house, wanted, name=name, phone=phone, booked_at=NOW, request=request)


@pytest.fixture
def add(store: TicketStore) -> Add:
    def add(*args: Any, **fields: Any) -> StoredTicket:
        return add_to(store, *args, **fields)

    return add


def sell_until_alone(add: Add) -> None:
    """Sell seats of two showings one by one, until the store seems to be the only seller."""
    for _ in range(12):
        add(NIGHT, house=House(20, 5))
    add(EVENING, 6)


def fail() -> None:
    raise AutoReconnect


def taken(store: TicketStore, *showings: Showing) -> list[set[int]]:
    """Return the taken seats of each showing."""
    found = store.taken_seats(showings)
    return [found[showing] for showing in showings]


def seats_of(refusal: SeatTaken) -> Any:
    return refusal.facts["free_seats"]


class TestAdd:
    def test_a_ticket_comes_back_as_it_was_stored(self, store: TicketStore, add: Add) -> None:
        stored = add(EVENING, 1, 2)
        assert store.get(stored.ticket_id) == stored
        assert stored == StoredTicket(
            admission_code=stored.admission_code,
            secret=stored.secret,
            name="Asha",
            phone=PHONE,
            showing=EVENING,
            seats=(1, 2),
            seats_per_row=None,
            booked_at=NOW,
        )
        assert stored.showing.at == EVENING.at
        assert store.get("another") is None

    def test_a_ticket_is_one_document(
        self, database: Database[Any], store: TicketStore, add: Add
    ) -> None:
        booked = add(EVENING, 1, 2, request=REQUEST)
        bought = add(MOVIE, 3, name=None, phone=None)
        at = {"date": "2046-01-01", "timing": "18:00"}

        def stored(ticket: StoredTicket) -> Any:
            document = database["tickets"].find_one({"_id": ticket.admission_code}) or {}
            return {name: document[name] for name in document if not name.endswith("_at")}

        assert stored(booked) == {
            "_id": booked.admission_code,
            "secret": booked.secret,
            "name": "Asha",
            "phone": "98765 43210",
            "phone_e164": "+919876543210",
            **at,
            "seat": [1, 2],
            "request": {"key": "key-12345", "fingerprint": "fingerprint"},
        }
        assert stored(bought) == {
            "_id": bought.admission_code,
            "secret": bought.secret,
            **at,
            "seat": [3],
            "screen": 1,
            "movie": 1,
            "title": "Sholay",
            "seats_per_row": 3,
        }
        assert store.get(bought.ticket_id) == bought

    def test_a_house_sells_its_seats_and_no_more(self, store: TicketStore, add: Add) -> None:
        for amount in (2, 3, 1):
            assert len(add(amount=amount).seats) == amount
        for amount in (1, 2):
            with pytest.raises(SoldOut):
                add(amount=amount)
        assert taken(store, EVENING, NIGHT) == [{1, 2, 3, 4, 5, 6}, set()]

    def test_showings_do_not_share_seats(self, store: TicketStore, add: Add) -> None:
        showings = EVENING, NIGHT, NEXT_EVENING, MOVIE, OTHER_MOVIE
        for showing in showings:
            add(showing, amount=6)
        assert taken(store, *showings) == [{1, 2, 3, 4, 5, 6}] * 5

    def test_a_party_gets_all_its_seats_or_none(self, store: TicketStore, add: Add) -> None:
        add(EVENING, 1, 2, 3, 4)
        with pytest.raises(NotEnoughSeats) as refusal:
            add(amount=3)
        assert refusal.value.facts == {"seats_left": 2}
        assert add(amount=2).seats == (5, 6)
        assert taken(store, EVENING) == [{1, 2, 3, 4, 5, 6}]

    def test_chosen_seats_are_given_as_long_as_all_are_free(
        self, store: TicketStore, add: Add
    ) -> None:
        assert add(EVENING, 2, 5).seats == (2, 5)
        for seats in ((2,), (1, 2), (5, 6), (1, 2, 3, 4, 5, 6)):
            with pytest.raises(SeatTaken) as refusal:
                add(EVENING, *seats)
            assert seats_of(refusal.value) == [1, 3, 4, 6]
        assert taken(store, EVENING) == [{2, 5}]
        assert add(EVENING, 1, 3, 4, 6)
        with pytest.raises(SoldOut):
            add(EVENING, 2)

    def test_the_database_itself_refuses_a_second_ticket_for_a_seat(
        self, mongod_database: Database[Any]
    ) -> None:
        add_to(TicketStore(mongod_database, EIGHT_HOURS), EVENING, 1, 2, 3)
        ticket = mongod_database["tickets"].find_one()
        assert ticket
        for seats in ([1], [3, 4], [4, 2], 2, [1, 2, 3]):
            with pytest.raises(DuplicateKeyError):
                mongod_database["tickets"].insert_one({**ticket, "_id": "another", "seat": seats})
        for changed in ({"seat": [4, 5]}, {"screen": 1}, {"date": "2046-01-02"}):
            mongod_database["tickets"].insert_one({**ticket, "_id": str(changed), **changed})

    def test_seats_freed_after_a_look_are_found_by_the_next(
        self, mongod_database: Database[Any]
    ) -> None:
        one, other = (TicketStore(mongod_database, EIGHT_HOURS) for _ in range(2))
        party = add_to(one, EVENING, amount=6)
        with pytest.raises(SoldOut):
            add_to(other)
        assert one.delete(party.ticket_id, PHONE)
        assert add_to(other, EVENING, 1, 6).seats == (1, 6)

    def test_a_chosen_seat_sold_meanwhile_by_another_service_is_refused(
        self, mongod_database: Database[Any], before_insert: Callable[..., None]
    ) -> None:
        one, other = (TicketStore(mongod_database, EIGHT_HOURS) for _ in range(2))
        before_insert(lambda: add_to(other, EVENING, 2, 3))
        with pytest.raises(SeatTaken) as refusal:
            add_to(one, EVENING, 1, 2)
        assert seats_of(refusal.value) == [1, 4, 5, 6]
        assert taken(one, EVENING) == [{2, 3}]

    def test_a_party_whose_seats_are_sold_meanwhile_gets_others(
        self, mongod_database: Database[Any], before_insert: Callable[..., None]
    ) -> None:
        one, other = (TicketStore(mongod_database, EIGHT_HOURS) for _ in range(2))
        before_insert(lambda: add_to(other, EVENING, 1, 2))  # where the party of three would sit
        assert add_to(one, amount=3).seats == (4, 5, 6)
        assert taken(one, EVENING) == [{1, 2, 4, 5, 6}]

    def test_a_sale_after_a_move_or_a_deletion_tries_no_taken_seat(
        self, store: TicketStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inserted: list[int] = []

        def insert(collection: Any, documents: Any) -> Any:
            inserted.append(len(documents))
            return insert_all(collection, documents)

        for _ in range(12):  # until it seems to be alone
            add_to(store, NEXT_EVENING, house=House(20, 5))
        first, second = add_to(store, EVENING), add_to(store, NIGHT, 1)
        moved = store.move(first, NIGHT, HOUSE, Wanted(1, (2,), "seats"))
        assert moved
        monkeypatch.setattr("app.tickets.store.insert_all", insert)
        assert add_to(store, EVENING).seats == first.seats
        assert add_to(store, NIGHT).seats == (3,)  # a single
        store.delete(second.ticket_id, PHONE)
        assert add_to(store, NIGHT).seats == (1,)
        assert inserted == [1, 1, 1]

    def test_after_an_outage_unsold_seats_are_sold(
        self, store: TicketStore, add: Add, before_insert: Callable[..., None]
    ) -> None:
        sell_until_alone(add)
        before_insert(fail)
        with pytest.raises(AutoReconnect):
            add(amount=3)
        assert add(amount=3).seats == (1, 2, 3)

    def test_a_seat_whose_sale_failed_is_sold_to_the_next(
        self, store: TicketStore, add: Add, before_insert: Callable[..., None]
    ) -> None:
        store._chooser = SeatChooser(clock=lambda: 0.0)  # nothing that it remembers gets old
        sell_until_alone(add)
        before_insert(fail)
        with pytest.raises(AutoReconnect):
            add()
        assert add().seats == best_seats(range(1, 6), 1, HOUSE)


@pytest.fixture
def before_insert(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that runs an action right before the next insert."""

    def arrange(act: Callable[[], Any]) -> None:
        def insert(*args: Any) -> Any:
            monkeypatch.setattr("app.tickets.store.insert_all", insert_all)
            act()
            return insert_all(*args)

        monkeypatch.setattr("app.tickets.store.insert_all", insert)

    return arrange


class Crowd:
    """Orders that arrive while a sale is in flight, and so share the next batch."""

    def __init__(self, store: TicketStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self._store = store
        self._may_end = threading.Event()
        self._outcomes: list[Any] = []
        self.batches: list[int] = []
        monkeypatch.setattr("app.tickets.store.insert_all", self._insert)

    def _insert(self, collection: Any, documents: Any) -> Any:
        self.batches.append(len(documents))
        assert self._may_end.wait(10)
        return insert_all(collection, documents)

    def _order(self, number: int, args: Any, fields: Any) -> None:
        try:
            self._outcomes[number] = add_to(self._store, *args, **fields)
        except (SoldOut, NotEnoughSeats, SeatTaken, KeyTaken) as refusal:
            self._outcomes[number] = refusal

    def order(self, *orders: tuple[tuple[Any, ...], dict[str, Any]]) -> list[Any]:
        """Return the result of each order."""
        self._outcomes = [None] * (len(orders) + 1)
        threads = [
            threading.Thread(target=self._order, args=(number, args, fields))
            for number, (args, fields) in enumerate((((NEXT_EVENING,), {}), *orders))
        ]
        threads[0].start()
        while not self.batches:
            time.sleep(0.001)
        queue = self._store._sell._queue
        for number, thread in enumerate(threads[1:], 1):
            thread.start()
            while len(queue) < number:
                time.sleep(0.001)
        self._may_end.set()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        return self._outcomes[1:]


def order(*args: Any, **fields: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, fields


@pytest.mark.parametrize("is_known", [False, True])
class TestBatch:
    """Orders that share a command, for a house that has just been looked at (`is_known`) or not."""

    @pytest.fixture
    def store(self, mongod_database: Database[Any]) -> TicketStore:
        return TicketStore(mongod_database, EIGHT_HOURS)

    @pytest.fixture
    def crowd(self, store: TicketStore, is_known: bool, monkeypatch: pytest.MonkeyPatch) -> Crowd:
        if is_known:
            add_to(store, EVENING, 6)
        else:
            add_to(TicketStore(store._tickets.database, EIGHT_HOURS), EVENING, 6)
        return Crowd(store, monkeypatch)

    def test_larger_than_the_house(self, store: TicketStore, crowd: Crowd) -> None:
        outcomes = crowd.order(*(order(name=f"Guest {number}") for number in range(9)))
        tickets = [each for each in outcomes if isinstance(each, StoredTicket)]
        refused = [each for each in outcomes if isinstance(each, SoldOut)]
        assert (len(tickets), len(refused)) == (5, 4)
        assert sorted(seat for each in tickets for seat in each.seats) == [1, 2, 3, 4, 5]
        for number, outcome in enumerate(outcomes):
            if outcome in tickets:
                assert outcome.name == f"Guest {number}"
                assert store.get(outcome.ticket_id) == outcome

    def test_parties_that_do_not_all_fit(self, store: TicketStore, crowd: Crowd) -> None:
        outcomes = crowd.order(*(order(amount=2) for _ in range(4)))
        tickets = [each for each in outcomes if isinstance(each, StoredTicket)]
        refused = [each for each in outcomes if isinstance(each, NotEnoughSeats)]
        assert (len(tickets), len(refused)) == (2, 2)
        assert all(each.facts == {"seats_left": 1} for each in refused)
        assert len(taken(store, EVENING)[0]) == 5

    def test_chosen_seats_that_overlap(self, store: TicketStore, crowd: Crowd) -> None:
        first, second, third = crowd.order(
            order(EVENING, 1, 2), order(EVENING, 2, 3), order(EVENING, 4)
        )
        assert (first.seats, third.seats) == ((1, 2), (4,))
        assert isinstance(second, SeatTaken)
        assert seats_of(second) == [3, 5]
        assert taken(store, EVENING) == [{1, 2, 4, 6}]

    def test_a_repeated_key(self, store: TicketStore, crowd: Crowd) -> None:
        outcomes = crowd.order(*(order(amount=2, request=REQUEST) for _ in range(2)))
        (ticket,) = (each for each in outcomes if isinstance(each, StoredTicket))
        assert sum(isinstance(each, KeyTaken) for each in outcomes) == 1
        assert store.find_by_key(REQUEST.key) == ticket
        assert taken(store, EVENING) == [{6, *ticket.seats}]
        assert add_to(store, EVENING, amount=3)

    def test_several_houses(self, store: TicketStore, crowd: Crowd) -> None:
        showings = EVENING, NIGHT, MOVIE, OTHER_MOVIE
        outcomes = crowd.order(*(order(showing, amount=2) for showing in showings))
        assert [each.showing for each in outcomes] == list(showings)
        assert [len(each) for each in taken(store, *showings)] == [3, 2, 2, 2]
        assert crowd.batches[1] == 4


class TestTwoSecrets:
    def test_the_ticket_id_is_the_admission_code_and_a_secret(self, add: Add) -> None:
        stored = add()
        assert re.fullmatch("[0-9A-HJKMNP-TV-Z]{12}", stored.admission_code)
        assert re.fullmatch("[A-Za-z0-9_-]{22}", stored.secret)
        assert stored.ticket_id == stored.admission_code + stored.secret

    def test_the_code_with_a_wrong_secret_finds_and_changes_nothing(
        self, store: TicketStore, add: Add
    ) -> None:
        stored, other = add(), add()
        for secret in ("", other.secret, stored.secret[:-1], stored.secret + "A"):
            ticket_id = stored.admission_code + secret
            assert store.get(ticket_id) is None
            assert not store.delete(ticket_id, PHONE)
            assert store.move(replace(stored, secret=secret), NIGHT, HOUSE) is None
        assert store.get(stored.ticket_id) == stored

    def test_a_code_in_use_is_replaced_by_a_new_one(
        self, mongod_database: Database[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        codes = iter(["0" * 12, "0" * 12, "0" * 12, "1" * 12])
        monkeypatch.setattr("app.tickets.store.new_admission_code", lambda: next(codes))
        store = TicketStore(mongod_database, EIGHT_HOURS)
        tickets = [add_to(store, EVENING, seat) for seat in (1, 2)]
        assert [(ticket.admission_code, ticket.seats) for ticket in tickets] == [
            ("0" * 12, (1,)),
            ("1" * 12, (2,)),
        ]


class TestMove:
    def test_it_takes_new_seats_and_frees_the_old_ones(self, store: TicketStore, add: Add) -> None:
        stored = add(EVENING, 1, 2)
        moved = store.move(stored, NIGHT, HOUSE)
        assert moved == replace(stored, showing=NIGHT, revision=1)
        assert moved.showing.at == NIGHT.at
        assert store.get(stored.ticket_id) == moved
        assert taken(store, EVENING, NIGHT) == [set(), {1, 2}]
        assert add(amount=6)

    def test_without_wanted_seats_it_keeps_its_own_or_gets_the_best(
        self, store: TicketStore, add: Add
    ) -> None:
        stored = add(EVENING, 1, 2)
        add(NIGHT, 2)
        moved = store.move(stored, NIGHT, HOUSE)
        assert moved
        assert moved.seats == (4, 5)
        back = store.move(moved, EVENING, HOUSE)
        assert back
        assert back.seats == (4, 5)

    def test_wanted_seats_may_overlap_its_own(self, store: TicketStore, add: Add) -> None:
        stored = add(EVENING, 1, 2)
        moved = store.move(stored, EVENING, HOUSE, Wanted(3, (2, 3, 4), "seats"))
        assert moved == replace(stored, seats=(2, 3, 4), revision=1)
        assert taken(store, EVENING) == [{2, 3, 4}]

    def test_a_refused_move_changes_nothing(self, store: TicketStore, add: Add) -> None:
        stored = add(EVENING, 1, 2)
        add(NIGHT, 1, 2, 3, 4, 5)
        with pytest.raises(NotEnoughSeats) as too_few:
            store.move(stored, NIGHT, HOUSE)
        assert too_few.value.facts == {"seats_left": 1}
        with pytest.raises(SeatTaken) as refusal:
            store.move(stored, NIGHT, HOUSE, Wanted(2, (5, 6), "seats"))
        assert seats_of(refusal.value) == [6]
        add(NIGHT)
        with pytest.raises(SoldOut):
            store.move(stored, NIGHT, HOUSE)
        assert store.get(stored.ticket_id) == stored
        assert taken(store, EVENING) == [{1, 2}]

    def test_a_changed_or_deleted_ticket_is_not_moved(self, store: TicketStore, add: Add) -> None:
        stored = add()
        moved = store.move(stored, NIGHT, HOUSE)
        assert moved
        assert store.move(stored, NEXT_EVENING, HOUSE) is None
        assert store.get(stored.ticket_id) == moved
        store.delete(stored.ticket_id, PHONE)
        assert store.move(moved, NIGHT, HOUSE) is None
        assert taken(store, EVENING, NIGHT, NEXT_EVENING) == [set(), set(), set()]

    def test_a_movies_ticket_takes_the_rows_of_its_new_house(
        self, store: TicketStore, add: Add
    ) -> None:
        stored = add(MOVIE, 3)
        moved = store.move(stored, OTHER_MOVIE, House(8, 4))
        assert moved == replace(stored, showing=OTHER_MOVIE, seats_per_row=4, revision=1)
        assert (moved.showing.movie, moved.showing.title) == (2, None)
        assert store.get(stored.ticket_id) == moved

    def test_a_seat_lost_meanwhile_stays_with_the_other_ticket(
        self, mongod_database: Database[Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = TicketStore(mongod_database, EIGHT_HOURS)
        stored = add_to(store, EVENING, 1, 2)
        taken_seats = TicketStore.taken_seats

        def before_another_sale(self: TicketStore, showings: Any) -> Any:
            found = taken_seats(self, showings)
            monkeypatch.setattr(TicketStore, "taken_seats", taken_seats)
            add_to(self, NIGHT, 2, 3)
            return found

        monkeypatch.setattr(TicketStore, "taken_seats", before_another_sale)
        moved = store.move(stored, NIGHT, HOUSE)
        assert moved
        assert moved.seats == (4, 5)
        assert taken(store, EVENING, NIGHT) == [set(), {2, 3, 4, 5}]


class TestDelete:
    def test_its_seats_are_free_at_once(self, store: TicketStore, add: Add) -> None:
        party = add(EVENING, 2, 3)
        add(amount=4)
        assert store.delete(party.ticket_id, PHONE)
        assert not store.delete(party.ticket_id, PHONE)
        assert add(amount=2).seats == (2, 3)

    def test_the_phone_must_be_the_tickets(self, store: TicketStore, add: Add) -> None:
        booked, bought = add(), add(MOVIE, name=None, phone=None)
        other = Phone("91234 56780", "+919123456780")
        for ticket, phone in ((booked, other), (booked, None), (bought, PHONE)):
            assert not store.delete(ticket.ticket_id, phone)
            assert store.get(ticket.ticket_id) == ticket
        assert not store.delete("another", PHONE)
        assert store.delete(bought.ticket_id, None)
        assert store.delete(booked.ticket_id, Phone("09876543210", PHONE.e164))


class TestAdmission:
    ADMISSION = Admission(datetime(2046, 1, 1, 12, 0, tzinfo=UTC), 2, (REQUEST,))

    def test_it_is_stored_with_the_ticket(self, store: TicketStore, add: Add) -> None:
        stored = add(amount=3)
        admitted = store.admit(stored, self.ADMISSION)
        assert admitted == replace(stored, admission=self.ADMISSION, revision=1)
        assert store.get(stored.ticket_id) == store.find_by_code(stored.admission_code) == admitted
        assert store.list_timing("18:00") == [admitted]
        assert store.find_by_code("ANOTHER") is None

    def test_a_changed_ticket_is_not_admitted(self, store: TicketStore, add: Add) -> None:
        stored = add(amount=3)
        moved = store.move(stored, NIGHT, HOUSE)
        assert moved
        assert store.admit(stored, self.ADMISSION) is None
        admitted = store.admit(moved, self.ADMISSION)
        assert admitted
        assert store.admit(moved, self.ADMISSION) is None
        assert store.admit(admitted, replace(self.ADMISSION, people=3))
        store.delete(stored.ticket_id, PHONE)
        assert store.get(stored.ticket_id)

    def test_an_admitted_ticket_is_neither_moved_nor_deleted(
        self, store: TicketStore, add: Add
    ) -> None:
        before = add()
        admitted = store.admit(before, self.ADMISSION)
        assert store.move(before, NIGHT, HOUSE) is None
        assert not store.delete(before.ticket_id, PHONE)
        assert store.get(before.ticket_id) == admitted

    def test_none_undoes_it(self, store: TicketStore, add: Add) -> None:
        before = add()
        admitted = store.admit(before, self.ADMISSION)
        assert admitted
        undone = store.admit(admitted, None)
        assert undone == replace(before, revision=2)
        assert store.get(before.ticket_id) == undone
        assert store.delete(before.ticket_id, PHONE)


class TestKeys:
    def test_a_key_books_once(self, store: TicketStore, add: Add) -> None:
        stored = add(request=REQUEST)
        assert stored.request_fingerprint == "fingerprint"
        for showing in (EVENING, NIGHT, MOVIE):
            with pytest.raises(KeyTaken):
                add(showing, request=REQUEST)
        assert store.find_by_key("key-12345") == stored
        assert store.find_by_key("key-67890") is None
        assert taken(store, EVENING, NIGHT, MOVIE) == [set(stored.seats), set(), set()]

    def test_a_fresh_key_in_a_full_house_is_refused(self, store: TicketStore, add: Add) -> None:
        add(amount=6, request=REQUEST)
        with pytest.raises(SoldOut):
            add(request=IdempotentRequest("key-67890", "fingerprint"))
        assert store.find_by_key("key-67890") is None

    def test_a_key_is_free_again_when_its_ticket_is_gone(
        self, store: TicketStore, add: Add
    ) -> None:
        stored = add(request=REQUEST)
        store.delete(stored.ticket_id, PHONE)
        assert store.find_by_key("key-12345") is None
        assert add(request=REQUEST).ticket_id != stored.ticket_id

    def test_tickets_without_a_key_do_not_clash(self, add: Add) -> None:
        assert add().ticket_id != add().ticket_id


class TestLists:
    def test_a_timing_is_listed_by_date_then_seat(self, store: TicketStore, add: Add) -> None:
        later = [add(NEXT_EVENING, 4), add(NEXT_EVENING, 1, 5)]
        today = [add(EVENING, 3), add(EVENING, 2, 6), add(EVENING, 1, 4)]
        add(NIGHT)
        movie = add(MOVIE)
        assert store.list_timing("18:00") == [*today[::-1], *later[::-1]]
        assert store.list_timing("18:00", day=EVENING.date) == today[::-1]
        assert store.list_timing("18:00", screen=1) == [movie]
        assert store.list_timing("18:00", screen=3) == store.list_timing("10:00") == []

    def test_a_day_is_listed_by_showing_then_seat(self, store: TicketStore, add: Add) -> None:
        night, other, movie = add(NIGHT), add(OTHER_MOVIE), add(MOVIE)
        evening = [add(EVENING, 3), add(EVENING, 1, 5)]
        add(NEXT_EVENING)
        start, end = EVENING.at - timedelta(days=1), EVENING.at + timedelta(days=1)
        listed = store.list_day(EVENING.date, start, end)
        assert listed == [*evening[::-1], movie, other, night]
        assert store.list_day(EVENING.date, NIGHT.at, end) == [night]
        assert store.list_day(EVENING.date, start, EVENING.at) == listed[:-1]

    def test_tickets_of_a_movie_are_counted(self, store: TicketStore, add: Add) -> None:
        play = Play("18:00", HOUSE, screen=1, movie=1)
        for showing in (MOVIE, MOVIE, replace(MOVIE, date=NEXT_EVENING.date, at=NEXT_EVENING.at)):
            add(showing, amount=2)
        add(EVENING)
        add(OTHER_MOVIE)
        add(replace(MOVIE, timing="21:00"))
        a_moment = timedelta(seconds=1)
        assert store.count_of_movie(play, MOVIE.at - a_moment) == 3
        assert store.count_of_movie(play, MOVIE.at) == 1
        assert store.count_of_movie(play, NEXT_EVENING.at) == 0

    def test_taken_seats_are_listed_per_showing(self, store: TicketStore, add: Add) -> None:
        add(EVENING, 1, 2)
        add(EVENING, 4)
        add(MOVIE, 6)
        assert taken(store, EVENING, NIGHT, MOVIE) == [{1, 2, 4}, set(), {6}]
        assert store.taken_seats([]) == {}


def test_a_lowered_capacity_keeps_the_tickets_above_it(store: TicketStore, add: Add) -> None:
    above, below = add(EVENING, 5, 6), add(EVENING, 1)
    smaller = House(seats=3, seats_per_row=3)
    assert taken(store, EVENING) == [{1, 5, 6}]
    with pytest.raises(NotEnoughSeats) as refusal:
        add(amount=3, house=smaller)
    assert refusal.value.facts == {"seats_left": 2}
    assert add(amount=2, house=smaller).seats == (2, 3)
    with pytest.raises(SoldOut):
        add(house=smaller)
    store.delete(above.ticket_id, PHONE)
    with pytest.raises(SoldOut):
        add(house=smaller)
    store.delete(below.ticket_id, PHONE)
    assert add(house=smaller).seats == (1,)


def test_mongodb_removes_what_has_expired_and_nothing_else(
    mongod_database: Database[Any],
) -> None:
    store = TicketStore(mongod_database, timedelta(seconds=36))
    now = datetime.now(UTC)
    ages = {"long": timedelta(hours=1), "just": timedelta(seconds=37), "not": timedelta(seconds=0)}
    ids = {}
    for name, age in ages.items():
        showing = Showing(name, (now - age).date(), now - age)
        ids[name] = add_to(store, showing, 1, 2).ticket_id
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
        TicketStore(mongod_database, timedelta(hours=hours)).prepare()
        assert expiry()["expireAfterSeconds"] == hours * 3600


def test_preparing_recreates_indexes_dropped_a_moment_ago(
    mongod_database: Database[Any],
) -> None:
    store = TicketStore(mongod_database, EIGHT_HOURS)
    for _ in range(2):
        store.prepare()
        indexes = mongod_database["tickets"].index_information()
        assert indexes["screen_1_timing_1_date_1_seat_1"]["unique"]
        mongod_database["tickets"].drop_indexes()


def test_the_indexes_are_created_at_the_start(
    mongod: EmbeddedMongoDB, mongod_database: Database[Any], settings: Settings
) -> None:
    for name in ("tickets", "movies"):
        mongod_database.drop_collection(name)
    create_app(settings=replace(settings, mongodb_uri=mongod.uri, mongodb_database="tests"))
    tickets, movies = (mongod_database[name].index_information() for name in ("tickets", "movies"))
    assert tickets["screen_1_timing_1_date_1_seat_1"]["unique"]
    assert tickets["request.key_1"]["unique"]
    assert "showing_at_1" in tickets
    assert movies["plays_at_1"]["unique"]
