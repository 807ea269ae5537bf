"""The door: each person of a ticket is admitted once, by a code that gives nothing else away."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database
from werkzeug.test import TestResponse

from app import create_app
from app.config import Settings
from app.domain.idempotency import IdempotentRequest
from app.domain.identifiers import new_admission_code
from app.tickets.store import TicketStore
from tests.conftest import Clock
from tests.helpers import (
    ASHA,
    add_movie,
    admit,
    assert_refused,
    book,
    buy,
    delete,
    patch,
    update,
    view,
)

STAFF_KEY = "correct-horse-battery"
KEY, OTHER_KEY = "key-12345", "key-67890"
DOOR_FIELDS = {
    *("admission_code", "name", "timing", "date", "showing_at", "movie", "screen", "title"),
    *("seat", "seats", "labels", "expired", "admitted", "admitted_at"),
}
AT_ONCE = "2046-11-22T16:03:11+05:30"


@pytest.fixture
def ticket(client: FlaskClient, clock: Clock) -> Any:
    """A ticket for 18:00, whose door opened at 16:00; it is 16:03:11.5."""
    booked = book(client)
    clock.advance(hours=2)
    return booked


@pytest.fixture
def party(client: FlaskClient, clock: Clock) -> Any:
    """A ticket for four people, at the same time."""
    booked = book(client, amount=4)
    clock.advance(hours=2)
    return booked


def correct(client: FlaskClient, ticket: Any, admitted: Any, **fields: Any) -> TestResponse:
    body = {"admitted": admitted, **fields}
    return client.put(f"/admissions/{ticket['admission_code']}", json=body)


def undo(client: FlaskClient, ticket: Any) -> TestResponse:
    return client.delete(f"/admissions/{ticket['admission_code']}")


def at_the_door(ticket: Any, **changed: Any) -> Any:
    return {name: ticket[name] for name in DOOR_FIELDS} | changed


class TestAdmit:
    def test_the_response_is_the_ticket_without_id_and_phone(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        answer = admit(client, ticket)
        assert answer.status_code == 200
        is_in = {"admitted": 1, "admitted_at": AT_ONCE}
        assert answer.json == at_the_door(ticket, **is_in)
        assert "Idempotency-Replayed" not in answer.headers
        assert view(client, ticket).json == {**ticket, **is_in}
        listed = client.get("/tickets?timing=18:00").json
        assert listed == [{**ticket, **is_in}]

    def test_a_ticket_is_admitted_only_once(
        self, client: FlaskClient, clock: Clock, ticket: Any
    ) -> None:
        admitted = admit(client, ticket).json
        clock.advance(minutes=5)
        refused = assert_refused(admit(client, ticket), 409, "already_admitted")
        assert refused["admitted_at"] == admitted["admitted_at"]
        assert (refused["admitted"], refused["people_left"]) == (1, 0)
        assert refused["ticket"] == admitted

    @pytest.mark.parametrize(
        ("change", "status"),
        [
            ({"microseconds": -1}, "admission_not_open"),
            ({}, None),
            ({"hours": 10, "microseconds": -1}, None),
            ({"hours": 10}, "ticket_expired"),
        ],
    )
    def test_the_door_is_open_from_two_hours_before_until_the_ticket_expires(
        self, client: FlaskClient, clock: Clock, change: Any, status: str | None
    ) -> None:
        ticket = book(client)
        opens_at = clock.now.replace(hour=10, minute=30, second=0, microsecond=0)  # 16:00 there
        clock.now = opens_at + timedelta(**change)
        answer = admit(client, ticket)
        if status is None:
            assert answer.status_code == 200
            return
        refused = assert_refused(answer, 409, status)
        shown = {**at_the_door(ticket), "expired": status == "ticket_expired"}
        assert refused["ticket"] == shown
        assert refused.get("opens_at") in (None, "2046-11-22T16:00:00+05:30")
        assert ("opens_at" in refused) == (status == "admission_not_open")

    def test_admission_hours_set_when_the_door_opens(
        self, database: Database[Any], settings: Settings, clock: Clock
    ) -> None:
        settings = replace(settings, admission_hours=timedelta(minutes=30))
        client = create_app(database, settings=settings, clock=clock).test_client()
        ticket = book(client)
        clock.now = clock.now.replace(hour=11, minute=59, second=59, microsecond=999_999)
        refused = assert_refused(admit(client, ticket), 409, "admission_not_open")
        assert refused["opens_at"] == "2046-11-22T17:30:00+05:30"
        clock.advance(microseconds=1)
        assert admit(client, ticket).status_code == 200

    def test_an_expired_ticket_is_not_admitted_again(
        self, client: FlaskClient, clock: Clock, ticket: Any
    ) -> None:
        admit(client, ticket, KEY)
        clock.advance(days=1)
        assert_refused(admit(client, ticket), 409, "ticket_expired")
        assert admit(client, ticket, KEY).status_code == 200  # a replay

    def test_an_unknown_code_is_not_found(self, client: FlaskClient, ticket: Any) -> None:
        for code in (new_admission_code(), "nope", "U" * 12, ticket["admission_code"] * 2):
            answer = client.post("/admissions", json={"admission_code": code})
            assert "ticket" not in assert_refused(answer, 404, "ticket_not_found")

    def test_a_moved_ticket_keeps_its_code(self, client: FlaskClient, ticket: Any) -> None:
        moved = update(client, ticket, "17:00", seats=[7, 8]).json
        assert admit(client, moved).json["seats"] == [7, 8]

    def test_the_code_of_a_deleted_ticket_is_not_found(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        delete(client, ticket)
        assert_refused(admit(client, ticket), 404, "ticket_not_found")


class TestParty:
    def test_one_scan_admits_the_whole_party(self, client: FlaskClient, party: Any) -> None:
        admitted = admit(client, party).json
        assert admitted == at_the_door(party, admitted=4, admitted_at=AT_ONCE)
        refused = assert_refused(admit(client, party, people=1), 409, "already_admitted")
        assert (refused["admitted"], refused["people_left"]) == (4, 0)

    def test_its_people_may_arrive_one_by_one(
        self, client: FlaskClient, clock: Clock, party: Any
    ) -> None:
        assert admit(client, party, people=2).json["admitted"] == 2
        clock.advance(hours=2)  # the showing has started
        assert admit(client, party, people=1).json["admitted"] == 3
        last = admit(client, party).json  # all who are not in yet
        assert (last["admitted"], last["admitted_at"]) == (4, AT_ONCE)
        assert_refused(admit(client, party), 409, "already_admitted")

    def test_more_people_than_are_left_are_all_refused(
        self, client: FlaskClient, party: Any
    ) -> None:
        admit(client, party, people=3)
        refused = assert_refused(admit(client, party, people=2), 409, "already_admitted")
        assert (refused["admitted"], refused["people_left"]) == (3, 1)
        assert refused["admitted_at"] == AT_ONCE
        assert refused["ticket"]["admitted"] == 3
        assert view(client, party).json["admitted"] == 3

    @pytest.mark.parametrize("people", [0, -1, 5, 10**30, 1.0, "1", True, None, [1], {"$gt": 0}])
    def test_a_wrong_number_of_people_is_refused(
        self, client: FlaskClient, party: Any, people: Any
    ) -> None:
        refused = assert_refused(admit(client, party, people=people), 400, "invalid_request")
        assert refused["errors"].keys() == {"people"}
        assert view(client, party).json == party

    def test_more_people_than_it_has_seats_are_refused_with_the_ticket(
        self, client: FlaskClient, party: Any
    ) -> None:
        for field, answer in (
            ("people", admit(client, party, people=5)),
            ("admitted", correct(client, party, 5)),
        ):
            refused = assert_refused(answer, 400, "invalid_request")
            assert refused["errors"] == {field: ["Must be at most 4, the number of seats."]}
            assert refused["ticket"] == at_the_door(party)

    @pytest.mark.parametrize("people", [1, 3, 4])
    def test_once_anyone_is_in_it_is_neither_moved_nor_deleted(
        self, client: FlaskClient, party: Any, people: int
    ) -> None:
        admit(client, party, people=people)
        for answer in (
            update(client, party, "21:00"),
            patch(client, party, seats=[1, 2]),
            delete(client, party),
        ):
            refused = assert_refused(answer, 409, "already_admitted")
            assert (refused["admitted"], refused["people_left"]) == (people, 4 - people)
        undo(client, party)
        assert update(client, party, "21:00").status_code == 200

    def test_it_keeps_the_keys_of_the_last_hundred_scans(
        self, client: FlaskClient, party: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.tickets.admissions._MAX_REQUESTS", 3)
        for number in range(5):
            assert admit(client, party, people=1, key=f"key-12345-{number}").status_code == 200
            assert correct(client, party, 1).status_code == 200
        again = [admit(client, party, people=1, key=f"key-12345-{number}") for number in (4, 2, 1)]
        replayed = [answer.headers.get("Idempotency-Replayed") for answer in again]
        assert replayed == ["true", "true", None]

    def test_a_party_that_grew_is_admitted_in_full(self, client: FlaskClient, party: Any) -> None:
        patch(client, party, seats=[1, 2, 3, 4, 5])
        assert admit(client, party, people=5).json["admitted"] == 5

    def test_keys_are_remembered_for_each_person(self, client: FlaskClient, party: Any) -> None:
        keys = [f"key-0000{number}" for number in range(4)]
        for count, key in enumerate(keys, 1):
            answer = admit(client, party, key, people=1)
            assert (answer.json["admitted"], answer.headers.get("Idempotency-Replayed")) == (
                count,
                None,
            )
        for key in keys:
            again = admit(client, party, key, people=1)
            assert (again.status_code, again.json["admitted"]) == (200, 4)
            assert again.headers["Idempotency-Replayed"] == "true"
            refused = admit(client, party, key, people=2)
            assert_refused(refused, 422, "idempotency_key_reused")
        assert_refused(admit(client, party, OTHER_KEY, people=1), 409, "already_admitted")
        undo(client, party)
        assert admit(client, party, keys[0], people=2).json["admitted"] == 2


class TestMovie:
    @pytest.fixture
    def movie(self, client: FlaskClient) -> int:
        return add_movie(client, title="Sholay")

    def test_its_tickets_are_admitted(self, client: FlaskClient, clock: Clock, movie: int) -> None:
        ticket = buy(client, movie, amount=2)
        refused = assert_refused(admit(client, ticket), 409, "admission_not_open")
        assert refused["ticket"] == at_the_door(ticket)
        clock.advance(hours=2)
        admitted = admit(client, ticket, people=1).json
        assert admitted == at_the_door(ticket, admitted=1, admitted_at=AT_ONCE)
        assert (admitted["movie"], admitted["title"], admitted["name"]) == (movie, "Sholay", None)

    def test_a_door_is_for_its_movie_or_its_timing(
        self, client: FlaskClient, clock: Clock, movie: int
    ) -> None:
        other = add_movie(client)
        bought, booked = buy(client, movie, amount=20), book(client, amount=20)
        clock.advance(hours=2)
        for ticket, door in (
            (bought, {"movie": other}),
            (bought, {"movie": movie, "date": "2046-11-23"}),
            (bought, {"timing": "18:00"}),  # another showing at the same time
            (booked, {"movie": movie}),
        ):
            refused = assert_refused(admit(client, ticket, **door), 409, "other_showing")
            assert refused["ticket"] == at_the_door(ticket)
            refused = correct(client, ticket, 1, **door)
            assert_refused(refused, 409, "other_showing")
        for ticket, door in (
            (bought, {"movie": movie}),
            (bought, {"movie": movie, "date": "2046-11-22"}),
            (bought, {"date": "2046-11-22"}),
            (booked, {"timing": "18:00"}),
            (booked, {"date": "2046-11-22"}),
        ):
            assert admit(client, ticket, people=1, **door).status_code == 200

    def test_a_door_has_one_showing(self, client: FlaskClient, ticket: Any) -> None:
        for answer in (
            admit(client, ticket, timing="18:00", movie=1),
            correct(client, ticket, 1, timing="18:00", movie=1),
        ):
            refused = assert_refused(answer, 400, "invalid_request")
            assert refused["errors"].keys() == {"timing", "movie"}


class TestCorrect:
    def test_downwards(self, client: FlaskClient, clock: Clock, party: Any) -> None:
        admit(client, party)
        clock.advance(minutes=5)
        for _ in range(2):
            corrected = correct(client, party, 3)
            assert corrected.status_code == 200
            assert corrected.json == at_the_door(party, admitted=3, admitted_at=AT_ONCE)
        assert view(client, party).json["admitted"] == 3
        assert admit(client, party).json["admitted"] == 4

    def test_upwards(self, client: FlaskClient, clock: Clock, party: Any) -> None:
        corrected = correct(client, party, 2)
        assert corrected.json == at_the_door(party, admitted=2, admitted_at=AT_ONCE)
        clock.advance(minutes=5)
        assert correct(client, party, 4, timing="18:00", date="2046-11-22").json == (
            at_the_door(party, admitted=4, admitted_at=AT_ONCE)
        )

    def test_to_nobody(self, client: FlaskClient, clock: Clock, party: Any) -> None:
        admit(client, party, KEY)
        for _ in range(2):
            assert correct(client, party, 0).json == at_the_door(party)
        assert view(client, party).json == party
        clock.advance(minutes=5)
        again = admit(client, party, KEY, people=1)  # the key is free
        assert again.json["admitted_at"] == "2046-11-22T16:08:11+05:30"
        assert "Idempotency-Replayed" not in again.headers

    def test_keys_are_kept_while_anyone_is_in(self, client: FlaskClient, party: Any) -> None:
        admit(client, party, KEY)
        correct(client, party, 1)
        again = admit(client, party, KEY)
        assert (again.json["admitted"], again.headers["Idempotency-Replayed"]) == (1, "true")

    def test_upwards_only_while_the_door_is_open(
        self, client: FlaskClient, clock: Clock, party: Any
    ) -> None:
        admit(client, party, people=2)
        clock.advance(hours=-1)
        refused = assert_refused(correct(client, party, 3), 409, "admission_not_open")
        assert refused["opens_at"] == "2046-11-22T16:00:00+05:30"
        assert refused["ticket"]["admitted"] == 2
        assert correct(client, party, 2).json["admitted"] == 2
        clock.advance(days=1)
        refused = assert_refused(correct(client, party, 3), 409, "ticket_expired")
        assert correct(client, party, 1).json["admitted"] == 1
        assert undo(client, party).json["admitted"] == 0

    def test_upwards_only_at_its_showings_door(self, client: FlaskClient, party: Any) -> None:
        admit(client, party, people=2)
        for door in ({"timing": "17:00"}, {"date": "2046-11-23"}, {"movie": 1}):
            refused = assert_refused(correct(client, party, 3, **door), 409, "other_showing")
            assert refused["ticket"]["admitted"] == 2
            assert correct(client, party, 2, **door).status_code == 200
        assert correct(client, party, 1, timing="17:00").json["admitted"] == 1

    @pytest.mark.parametrize("admitted", [-1, 5, 10**30, 1.0, "1", True, None, [1], {"$gt": 0}])
    def test_a_wrong_number_is_refused(
        self, client: FlaskClient, party: Any, admitted: Any
    ) -> None:
        refused = assert_refused(correct(client, party, admitted), 400, "invalid_request")
        assert refused["errors"].keys() == {"admitted"}
        assert view(client, party).json == party

    def test_every_bad_field_is_named(self, client: FlaskClient, party: Any) -> None:
        refused = assert_refused(
            client.put(
                f"/admissions/{party['admission_code']}", json={"timing": "6pm", "people": 1}
            ),
            400,
            "invalid_request",
        )
        assert refused["errors"].keys() == {"admitted", "timing", "people"}

    def test_an_unknown_code_is_not_found(self, client: FlaskClient, party: Any) -> None:
        for code in (new_admission_code(), "nope", "U" * 12):
            answer = correct(client, {"admission_code": code}, 1)
            assert "ticket" not in assert_refused(answer, 404, "ticket_not_found")


class TestTicketsOfVersion10:
    """They have one seat, and an admission without a number of people."""

    @pytest.fixture
    def stored(self, database: Database[Any], client: FlaskClient, clock: Clock) -> Any:
        """A ticket as 1.0 stored it."""
        client.get("/")  # with the indexes of this version
        document = {
            "_id": "C0Q7Y17GH1A6",
            "secret": "JacwG5IkRFzzMkflSfgAdw",
            "name": "Asha Rao",
            "phone": "98765 43210",
            "phone_e164": "+919876543210",
            "timing": "18:00",
            "date": "2046-11-22",
            "showing_at": datetime(2046, 11, 22, 12, 30, tzinfo=UTC),
            "booked_at": datetime(2046, 11, 22, 8, 33, 11, tzinfo=UTC),
            "seat": 7,
            "request": {
                "key": "key-00001",
                "fingerprint": "78767365185ba4d8f33c3e01051e53582b97bb71bb43910f24742c3126649558",
            },
        }
        database["tickets"].insert_one(document)
        clock.advance(hours=2)
        return {
            "ticket_id": "C0Q7Y17GH1A6JacwG5IkRFzzMkflSfgAdw",
            "name": "Asha Rao",
            "phone": "98765 43210",
            "timing": "18:00",
            "date": "2046-11-22",
            "showing_at": "2046-11-22T18:00:00+05:30",
            "movie": None,
            "screen": None,
            "title": None,
            "seat": 7,
            "seats": [7],
            "labels": ["B2"],
            "expired": False,
            "expires_at": "2046-11-23T02:00:00+05:30",
            "booked_at": "2046-11-22T14:03:11+05:30",
            "admission_code": "C0Q7Y17GH1A6",
            "admitted": 0,
            "admitted_at": None,
        }

    @pytest.fixture(params=[True, False])
    def admitted(self, database: Database[Any], stored: Any, request: Any) -> Any:
        """The same, admitted with a key or without."""
        admission: dict[str, Any] = {"at": datetime(2046, 11, 22, 10, 33, 11, tzinfo=UTC)}
        if request.param:
            asked = IdempotentRequest.of(KEY, timing="18:00", date=None)
            assert asked
            admission["request"] = {"key": asked.key, "fingerprint": asked.fingerprint}
        change = {"$set": {"admission": admission}}
        database["tickets"].update_one({"_id": stored["admission_code"]}, change)
        return {**stored, "admitted": 1, "admitted_at": AT_ONCE, "has_key": request.param}

    def test_they_are_shown(self, client: FlaskClient, stored: Any) -> None:
        assert view(client, stored).json == stored
        assert client.get("/tickets?timing=18:00").json == [stored]
        assert client.get("/tickets?date=2046-11-22").json == [stored]
        assert client.get("/seats?timing=18:00").json["booked"] == 1

    def test_their_seat_is_taken(self, client: FlaskClient, stored: Any) -> None:
        assert book(client, seats=[6, 7], status=409)["code"] == "seat_taken"
        assert len(book(client, amount=19)["seats"]) == 19
        assert book(client, status=409)["code"] == "sold_out"

    def test_their_keys_still_work(self, client: FlaskClient, stored: Any) -> None:
        assert book(client, key="key-00001") == stored
        assert book(client, key="key-00001", amount=2, status=422)

    def test_they_move_and_grow(self, client: FlaskClient, stored: Any) -> None:
        assert update(client, stored, "21:00").json["seats"] == [7]
        moved = patch(client, stored, timing="20:00", seats=[7, 8]).json or {}
        assert moved["labels"] == ["B2", "B3"]
        assert view(client, stored).json == moved
        assert delete(client, stored).status_code == 200

    def test_they_are_admitted(self, client: FlaskClient, stored: Any) -> None:
        is_in = at_the_door(stored, admitted=1, admitted_at=AT_ONCE)
        assert admit(client, stored, KEY).json == is_in
        assert admit(client, stored, KEY).headers["Idempotency-Replayed"] == "true"
        assert_refused(admit(client, stored), 409, "already_admitted")
        assert undo(client, stored).json == at_the_door(stored)

    def test_admitted_ones_stay_admitted(self, client: FlaskClient, admitted: Any) -> None:
        has_key = admitted.pop("has_key")
        assert view(client, admitted).json == admitted
        refused = assert_refused(admit(client, admitted), 409, "already_admitted")
        assert (refused["admitted"], refused["people_left"]) == (1, 0)
        again = admit(client, admitted, KEY, timing="18:00")
        assert again.status_code == (200 if has_key else 409)
        assert_refused(update(client, admitted, "21:00"), 409, "already_admitted")
        assert_refused(delete(client, admitted), 409, "already_admitted")
        assert correct(client, admitted, 1).json == at_the_door(admitted)
        assert undo(client, admitted).json["admitted"] == 0
        assert admit(client, admitted, KEY).json["admitted"] == 1


class TestDoorForOneShowing:
    @pytest.mark.parametrize(
        "door",
        [
            {"timing": "18:00"},
            {"date": "2046-11-22"},
            {"timing": "18:00", "date": "2046-11-22"},
        ],
    )
    def test_tickets_for_its_showing_are_admitted(
        self, client: FlaskClient, ticket: Any, door: Any
    ) -> None:
        assert admit(client, ticket, **door).status_code == 200

    @pytest.mark.parametrize(
        "door",
        [
            {"timing": "17:00"},
            {"timing": "03:33"},
            {"date": "2046-11-23"},
            {"date": "0001-01-01"},
            {"timing": "18:00", "date": "2046-11-21"},
            {"timing": "17:00", "date": "2046-11-22"},
            {"movie": 1},
            {"movie": 1, "date": "2046-11-22"},
        ],
    )
    def test_tickets_for_other_showings_are_refused(
        self, client: FlaskClient, ticket: Any, door: Any
    ) -> None:
        refused = assert_refused(admit(client, ticket, **door), 409, "other_showing")
        assert refused["ticket"] == at_the_door(ticket)
        assert view(client, ticket).json == ticket

    def test_latecomers_are_admitted_even_if_the_next_showing_is_tomorrow(
        self, client: FlaskClient, clock: Clock, ticket: Any
    ) -> None:
        clock.advance(hours=3)  # 19:03
        assert admit(client, ticket, timing="18:00").status_code == 200


class TestTyping:
    def test_a_typed_code_works_in_the_body_and_in_the_url(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        code = ticket["admission_code"]
        spaced = f" {code[:4]} {code[4:8]}-{code[8:]} ".lower().replace("0", "o").replace("1", "l")
        admitted = admit(client, {"admission_code": spaced})
        assert admitted.json["admission_code"] == code
        undone = client.delete(f"/admissions/{spaced.replace(' ', '%20')}")
        assert (undone.status_code, undone.json) == (200, at_the_door(ticket))

    @pytest.mark.parametrize(
        "scanned",
        [
            "]Q1{}\r\n",
            "{}\t",
            "\t{}",
            " ]Q1\n{}",
            "HTTP://BOX.EXAMPLE/DOOR#{}",
            "https://box.example/door#{}",
            "]Q3http://x/#{}\n",
        ],
    )
    def test_a_code_is_accepted_as_scanners_send_it(
        self, client: FlaskClient, ticket: Any, scanned: str
    ) -> None:
        code = scanned.format(ticket["admission_code"])
        assert admit(client, {"admission_code": code}).json["admitted"] == 1

    @pytest.mark.parametrize(
        "code", [None, 7, True, [], {"$ne": ""}, "", " - ", "7K\nQ4", "https://x", "é", "A" * 256]
    )
    def test_a_malformed_code_is_refused(self, client: FlaskClient, code: Any) -> None:
        body = {"admission_code": code, "timing": "6pm", "date": "today", "people": 0, "seat": 7}
        refused = assert_refused(client.post("/admissions", json=body), 400, "invalid_request")
        assert refused["errors"].keys() == body.keys()

    def test_non_ascii_letters_never_match_a_code(
        self, database: Database[Any], client: FlaskClient, ticket: Any
    ) -> None:
        stored = database["tickets"].find_one({"_id": ticket["admission_code"]})
        assert stored
        database["tickets"].delete_one({"_id": stored["_id"]})
        database["tickets"].insert_one({**stored, "_id": "7S1000000000"})
        assert client.delete("/admissions/7si000000000").status_code == 200
        for typed in ("7\u017f1000000000", "7S\u0131000000000"):
            answer = client.delete(f"/admissions/{typed}")
            assert_refused(answer, 404, "ticket_not_found")
            answer = client.post("/admissions", json={"admission_code": typed})
            assert_refused(answer, 400, "invalid_request")

    @pytest.mark.parametrize("code", ["nope", "%00", "%ff", "A" * 5000, "%F0%9F%8E%AB", "$ne"])
    def test_a_malformed_code_in_the_url_is_not_found(self, client: FlaskClient, code: str) -> None:
        assert_refused(client.delete(f"/admissions/{code}"), 404, "ticket_not_found")


class TestIdempotencyKey:
    def test_a_repeated_request_gets_the_first_response(
        self, client: FlaskClient, clock: Clock, ticket: Any
    ) -> None:
        first = admit(client, ticket, KEY)
        clock.advance(minutes=1)
        again = admit(client, ticket, KEY)
        assert (again.status_code, again.json) == (200, first.json)
        assert again.headers["Idempotency-Replayed"] == "true"

    def test_a_different_key_is_a_second_visit(self, client: FlaskClient, ticket: Any) -> None:
        admit(client, ticket, KEY)
        assert_refused(admit(client, ticket, OTHER_KEY), 409, "already_admitted")
        assert_refused(admit(client, ticket), 409, "already_admitted")

    def test_a_key_does_not_replay_an_admission_without_one(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        admit(client, ticket)
        assert_refused(admit(client, ticket, KEY), 409, "already_admitted")

    def test_a_key_with_a_different_request_is_refused(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        admitted = admit(client, ticket, KEY, timing="18:00").json
        for changed in (
            {},
            {"timing": "17:00"},
            {"timing": "18:00", "date": "2046-11-22"},
            {"timing": "18:00", "people": 1},
            {"timing": "18:00", "people": 99},
            {"movie": 1},
        ):
            answer = admit(client, ticket, KEY, **changed)
            refused = assert_refused(answer, 422, "idempotency_key_reused")
            assert refused["ticket"] == admitted

    def test_a_key_belongs_to_the_ticket_that_it_admitted(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        other = book(client)
        assert admit(client, ticket, KEY).status_code == 200
        admitted = admit(client, other, KEY)
        assert (admitted.status_code, admitted.json["seats"]) == (200, other["seats"])
        assert "Idempotency-Replayed" not in admitted.headers

    def test_the_key_of_a_booking_can_also_be_used_for_its_admission(
        self, client: FlaskClient, clock: Clock
    ) -> None:
        ticket = book(client, key=KEY)
        clock.advance(hours=2)
        assert admit(client, ticket, KEY).headers.get("Idempotency-Replayed") is None
        assert admit(client, ticket, KEY).headers["Idempotency-Replayed"] == "true"
        assert book(client, key=KEY) == view(client, ticket).json

    def test_a_refusal_does_not_use_up_the_key(self, client: FlaskClient, ticket: Any) -> None:
        assert_refused(admit(client, ticket, KEY, timing="17:00"), 409, "other_showing")
        assert admit(client, ticket, KEY).status_code == 200

    def test_after_an_undo_the_key_admits_again(
        self, client: FlaskClient, clock: Clock, ticket: Any
    ) -> None:
        admit(client, ticket, KEY)
        undo(client, ticket)
        clock.advance(minutes=1)
        again = admit(client, ticket, KEY)
        assert again.json["admitted_at"] == "2046-11-22T16:04:11+05:30"
        assert "Idempotency-Replayed" not in again.headers

    @pytest.mark.parametrize("key", ["short", "x" * 256])
    def test_an_invalid_key_is_named_with_the_other_bad_fields(
        self, client: FlaskClient, key: str
    ) -> None:
        answer = client.post("/admissions", json={"people": 0}, headers={"Idempotency-Key": key})
        refused = assert_refused(answer, 400, "invalid_request")
        assert refused["errors"].keys() == {"Idempotency-Key", "admission_code", "people"}


class TestUndo:
    def test_an_undone_ticket_can_be_admitted_again(self, client: FlaskClient, ticket: Any) -> None:
        admit(client, ticket)
        for _ in range(2):
            undone = undo(client, ticket)
            assert (undone.status_code, undone.json) == (200, at_the_door(ticket))
        assert view(client, ticket).json == ticket
        assert update(client, ticket, "17:00").status_code == 200
        assert admit(client, ticket).status_code == 200

    def test_undoing_a_ticket_that_was_not_admitted_changes_nothing(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        assert undo(client, ticket).json == at_the_door(ticket)
        assert view(client, ticket).json == ticket


class TestAdmittedTicket:
    def test_it_cannot_be_moved_or_deleted(self, client: FlaskClient, ticket: Any) -> None:
        admit(client, ticket)
        phone = {"Ticket-Phone": ASHA["phone"]}
        for answer in (
            update(client, ticket, "21:00"),
            update(client, ticket, "18:00"),
            patch(client, ticket, seat=7),
            delete(client, ticket),
            client.delete(f"/tickets/{ticket['ticket_id']}", headers=phone),
        ):
            refused = assert_refused(answer, 409, "already_admitted")
            assert refused["admitted_at"] == AT_ONCE
            assert (refused["admitted"], refused["people_left"]) == (1, 0)
            assert "ticket" not in refused
        assert view(client, ticket).json == {**ticket, "admitted": 1, "admitted_at": AT_ONCE}

    def test_it_still_cannot_after_the_start_or_after_expiry(
        self, client: FlaskClient, clock: Clock, ticket: Any
    ) -> None:
        admit(client, ticket)
        for hours in (3, 24):
            clock.advance(hours=hours)
            assert_refused(update(client, ticket, "21:00"), 409, "already_admitted")
            assert_refused(delete(client, ticket), 409, "already_admitted")

    def test_strangers_do_not_learn_that_it_was_admitted(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        admit(client, ticket)
        refused = assert_refused(delete(client, ticket, "+91 91234 56780"), 403, "phone_mismatch")
        assert "admitted_at" not in refused

    @pytest.mark.parametrize("method", ["move", "delete"])
    def test_a_ticket_admitted_between_read_and_write_is_not_changed(
        self, client: FlaskClient, ticket: Any, method: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        write = getattr(TicketStore, method)

        def after_an_admission(store: TicketStore, *args: Any) -> Any:
            monkeypatch.setattr(TicketStore, method, write)
            assert admit(client, ticket).status_code == 200
            return write(store, *args)

        monkeypatch.setattr(TicketStore, method, after_an_admission)
        answer = update(client, ticket, "21:00") if method == "move" else delete(client, ticket)
        assert_refused(answer, 409, "already_admitted")
        assert view(client, ticket).json["timing"] == "18:00"


class TestStaff:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, staff_key=STAFF_KEY)

    def test_the_door_is_for_staff_only(self, client: FlaskClient, ticket: Any) -> None:
        code = ticket["admission_code"]

        def statuses(headers: dict[str, str]) -> list[int]:
            return [
                client.open(path, method=method, json=body, headers=headers).status_code
                for method, path, body in (
                    ("POST", "/admissions", {"admission_code": code}),
                    ("PUT", f"/admissions/{code}", {"admitted": 1}),
                    ("DELETE", f"/admissions/{code}", None),
                )
            ]

        assert statuses({}) == statuses({"Authorization": "Bearer guessed-it"}) == [401] * 3
        assert view(client, ticket).json == ticket
        assert statuses({"Authorization": f"Bearer {STAFF_KEY}"}) == [200] * 3

    def test_customers_need_no_key_for_seats_and_their_qr_code(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        assert client.get("/seats?timing=18:00").status_code == 200
        assert client.get(f"/tickets/{ticket['ticket_id']}/qr.svg").status_code == 200


@pytest.mark.slow
class TestAdmissionCodeAlone:
    """Somebody who has photographed a QR code tries it everywhere.

    Nobody needs a code for the lists of tickets, which are open where there is no staff key. So
    no attempt asks for those of the ticket's own timing.
    """

    @pytest.fixture
    def database(self, mongomock_database: Database[Any]) -> Database[Any]:
        """There are many attempts, and what is looked up in the store is tested on mongod, too."""
        return mongomock_database

    NAMES = (
        *("ticket_id", "admission_code", "phone", "name", "timing", "timing_alter", "date", "seat"),
        *("movie", "screen", "amount", "seats", "showtime", "title", "Ticket-Phone"),
        *("Idempotency-Key", "Authorization", "people", "admitted", "on_sale", "seats_per_row"),
    )

    @pytest.fixture(params=[None, STAFF_KEY])
    def settings(self, settings: Settings, request: pytest.FixtureRequest) -> Settings:
        return replace(settings, staff_key=request.param)

    def attempts(self, client: FlaskClient, code: str) -> list[TestResponse]:
        """Send the code to every route, as every field that it accepts, and as others."""
        phone = "91234 56780"  # the attacker's
        useful = {"phone": phone, "timing_alter": "21:00", "timing": "21:00", "seat": 1}
        bodies: list[dict[str, Any]] = [
            {},
            {"ticket_id": code},
            {"admission_code": code},
            {"timing": code},
            {"timing": "21:00"},
            {"ticket_id": code, "phone": phone},
            {"ticket_id": code, "phone": phone, "timing_alter": "21:00"},
            dict.fromkeys(self.NAMES, code),
            {**dict.fromkeys(self.NAMES, code), **useful},
        ]
        headers = [
            {"Ticket-Phone": phone},
            {"Ticket-Phone": code, "Authorization": f"Bearer {code}", "Idempotency-Key": code},
        ]
        rules = [
            (method, re.sub("<.*?>", code, rule.rule))
            for rule in client.application.url_map.iter_rules()
            for method in (rule.methods or set()) - {"OPTIONS"}
        ]
        assert len(rules) > 30
        return [
            client.open(path, method=method, headers=sent, **{place: fields})
            for (method, path), fields, sent in product(rules, bodies, headers)
            for place in ("json", "query_string")
        ]

    def leaks(self, client: FlaskClient, ticket: Any, sent: str) -> list[str]:
        """Return the routes that give away the phone or the secret of a ticket for what is sent."""
        private = (ticket["ticket_id"][12:], ticket["phone"], ticket["phone"].replace(" ", ""))
        return [
            answer.request.path
            for answer in self.attempts(client, sent)
            if any(each in answer.text for each in private)
        ]

    def test_it_only_admits(
        self, database: Database[Any], settings: Settings, clock: Clock
    ) -> None:
        client = create_app(database, settings=settings, clock=clock).test_client()
        ticket = book(client, seat=7, phone="94444 33322")
        before = database["tickets"].find_one()
        clock.advance(hours=2)  # and its door is open
        assert self.leaks(client, ticket, ticket["admission_code"]) == []
        after = database["tickets"].find_one({"_id": ticket["admission_code"]})
        assert after
        if settings.staff_key is None:
            after.pop("admission", None)  # admitted, and undone again
            after.pop("revision")
        assert after == before

    @pytest.mark.long
    def test_the_ticket_id_by_contrast_shows_the_ticket(
        self, database: Database[Any], settings: Settings, clock: Clock
    ) -> None:
        client = create_app(database, settings=settings, clock=clock).test_client()
        ticket = book(client, seat=7, phone="94444 33322")
        leaks = self.leaks(client, ticket, ticket["ticket_id"])
        assert {"/viewuser", f"/tickets/{ticket['ticket_id']}"} <= set(leaks)

    def test_the_doors_responses_omit_ticket_id_and_phone(
        self, database: Database[Any], settings: Settings, clock: Clock
    ) -> None:
        client = create_app(database, settings=settings, clock=clock).test_client()
        ticket = book(client)
        key = {"Authorization": f"Bearer {STAFF_KEY}"}
        body = {"admission_code": ticket["admission_code"]}
        address = f"/admissions/{ticket['admission_code']}"
        answers = [client.post("/admissions", json=body, headers=key)]
        clock.advance(hours=2)
        answers += [client.post("/admissions", json=body, headers=key) for _ in range(2)]
        answers.append(client.put(address, json={"admitted": 1}, headers=key))
        answers.append(client.delete(address, headers=key))
        assert [answer.status_code for answer in answers] == [409, 200, 409, 200, 200]
        for answer in answers:
            assert answer.json.get("ticket", answer.json).keys() == DOOR_FIELDS
            assert "phone" not in json.dumps(answer.json)
