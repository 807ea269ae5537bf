"""The door: a ticket is admitted once, by a code that gives nothing else away."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest
import segno
from flask.testing import FlaskClient
from pymongo.database import Database
from werkzeug.test import TestResponse

from app import create_app
from app.booking.store import TicketStore
from app.config import Settings
from app.theatre.identifiers import new_admission_code, read_admission_code
from tests.conftest import Clock
from tests.helpers import ASHA, assert_refused, book, delete, update, view

STAFF_KEY = "correct-horse-battery"
KEY = {"Idempotency-Key": "key-12345"}
DOOR_FIELDS = {
    *("admission_code", "name", "timing", "date", "showing_at", "seat"),
    *("expired", "admitted_at"),
}


@pytest.fixture
def ticket(client: FlaskClient, clock: Clock) -> Any:
    """A ticket for 18:00, whose door opened at 16:00; it is 16:03:11.5."""
    booked = book(client)
    clock.advance(hours=2)
    return booked


def admit(client: FlaskClient, ticket: Any, headers: Any = None, **fields: Any) -> TestResponse:
    body = {"admission_code": ticket["admission_code"], **fields}
    return client.post("/admissions", json=body, headers=headers)


def undo(client: FlaskClient, ticket: Any) -> TestResponse:
    return client.delete(f"/admissions/{ticket['admission_code']}")


def at_the_door(ticket: Any) -> Any:
    return {name: ticket[name] for name in DOOR_FIELDS}


class TestAdmit:
    def test_the_response_is_the_ticket_without_id_and_phone(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        answer = admit(client, ticket)
        assert answer.status_code == 200
        admitted_at = "2046-11-22T16:03:11+05:30"
        assert answer.json == {**at_the_door(ticket), "admitted_at": admitted_at}
        assert "Idempotency-Replayed" not in answer.headers
        assert view(client, ticket).json == {**ticket, "admitted_at": admitted_at}
        listed = client.get("/tickets?timing=18:00").json
        assert listed == [{**ticket, "admitted_at": admitted_at}]

    def test_a_ticket_is_admitted_only_once(
        self, client: FlaskClient, clock: Clock, ticket: Any
    ) -> None:
        admitted = admit(client, ticket).json
        clock.advance(minutes=5)
        refused = assert_refused(admit(client, ticket), 409, "already_admitted")
        assert refused["admitted_at"] == admitted["admitted_at"]
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

    def test_an_expired_ticket_is_not_admitted_again_either(
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
        moved = update(client, ticket, "17:00", seat=7).json
        assert admit(client, moved).json["seat"] == 7

    def test_the_code_of_a_deleted_ticket_is_not_found(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        delete(client, ticket)
        assert_refused(admit(client, ticket), 404, "ticket_not_found")


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
        ],
    )
    def test_tickets_for_other_showings_are_refused(
        self, client: FlaskClient, ticket: Any, door: Any
    ) -> None:
        refused = assert_refused(admit(client, ticket, **door), 409, "other_showing")
        assert refused["ticket"] == at_the_door(ticket)
        assert view(client, ticket).json == ticket

    def test_late_comers_are_admitted_though_the_next_showing_is_tomorrow(
        self, client: FlaskClient, clock: Clock, ticket: Any
    ) -> None:
        clock.advance(hours=3)  # 19:03
        assert admit(client, ticket, timing="18:00").status_code == 200


class TestTyping:
    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("7kq4 m2xn 0pvr", "7KQ4M2XN0PVR"),
            ("7KQ4-M2XN-OPVR", "7KQ4M2XN0PVR"),
            (" 7KQ4M2XNoPVR- ", "7KQ4M2XN0PVR"),
            ("iIlL1ABCDEFG", "11111ABCDEFG"),
            # Capitals of other letters are not what somebody read off a ticket.
            ("7KQ4M2XN\u0131PVR", "7KQ4M2XN\u0131PVR"),
            ("\u017f" * 12, "\u017f" * 12),
        ],
    )
    def test_a_code_is_read_as_people_type_it(self, typed: str, meant: str) -> None:
        assert read_admission_code(typed) == meant

    def test_codes_are_well_formed_and_unique(self) -> None:
        codes = {new_admission_code() for _ in range(1000)}
        assert len(codes) == 1000
        assert all(re.fullmatch("[0-9A-HJKMNP-TV-Z]{12}", code) for code in codes)
        assert set().union(*codes) == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
        assert all(read_admission_code(code) == code for code in codes)

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
        "code", [None, 7, True, [], {"$ne": ""}, "", " - ", "7KQ4\n", "https://x", "é", "A" * 65]
    )
    def test_a_malformed_code_is_refused(self, client: FlaskClient, code: Any) -> None:
        body = {"admission_code": code, "timing": "6pm", "date": "today", "seat": 7}
        refused = assert_refused(client.post("/admissions", json=body), 400, "invalid_request")
        assert refused["errors"].keys() == body.keys()

    def test_letters_that_become_one_in_capitals_are_none(
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
        other = {"Idempotency-Key": "key-67890"}
        assert_refused(admit(client, ticket, other), 409, "already_admitted")
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
        for door in ({}, {"timing": "17:00"}, {"timing": "18:00", "date": "2046-11-22"}):
            answer = admit(client, ticket, KEY, **door)
            refused = assert_refused(answer, 422, "idempotency_key_reused")
            assert refused["ticket"] == admitted

    def test_a_key_belongs_to_the_ticket_that_it_admitted(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        other = book(client)
        assert admit(client, ticket, KEY).status_code == 200
        admitted = admit(client, other, KEY)
        assert (admitted.status_code, admitted.json["seat"]) == (200, other["seat"])
        assert "Idempotency-Replayed" not in admitted.headers

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
        answer = client.post("/admissions", json={}, headers={"Idempotency-Key": key})
        refused = assert_refused(answer, 400, "invalid_request")
        assert refused["errors"].keys() == {"Idempotency-Key", "admission_code"}


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
        admitted_at = admit(client, ticket).json["admitted_at"]
        address = f"/tickets/{ticket['ticket_id']}"
        phone = {"Ticket-Phone": ASHA["phone"]}
        for answer in (
            update(client, ticket, "21:00"),
            update(client, ticket, "18:00"),
            client.patch(address, json={"seat": 7}, headers=phone),
            delete(client, ticket),
            client.delete(address, headers=phone),
        ):
            refused = assert_refused(answer, 409, "already_admitted")
            assert refused["admitted_at"] == admitted_at
            assert "ticket" not in refused
        assert view(client, ticket).json == {**ticket, "admitted_at": admitted_at}

    def test_it_still_cannot_once_the_showing_has_started_or_it_has_expired(
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


class TestQRCode:
    def test_it_is_a_scalable_image(self, client: FlaskClient, ticket: Any) -> None:
        answer = client.get(f"/tickets/{ticket['ticket_id']}/qr.svg")
        assert (answer.status_code, answer.content_type) == (200, "image/svg+xml")
        assert answer.headers["Cache-Control"] == "no-store"
        image = ET.fromstring(answer.data)
        assert image.tag == "{http://www.w3.org/2000/svg}svg"
        assert image.attrib == {"viewBox": "0 0 29 29"}  # version 1, and four modules around it
        background, modules = image
        assert (background.get("fill"), background.get("d")) == ("#fff", "M0 0h29v29h-29z")
        assert modules.get("stroke") == "#000"
        expected = segno.make_qr(ticket["admission_code"], error="m").svg_inline()
        assert f'd="{modules.get("d")}"' in expected

    def test_each_ticket_has_its_own(self, client: FlaskClient, ticket: Any) -> None:
        images = {
            client.get(f"/tickets/{each['ticket_id']}/qr.svg").data
            for each in (ticket, ticket, book(client))
        }
        assert len(images) == 2
        assert not any(ticket["ticket_id"].encode() in image for image in images)

    def test_it_is_not_found_for_an_unknown_ticket(self, client: FlaskClient, ticket: Any) -> None:
        for ticket_id in ("nope", ticket["admission_code"], ticket["ticket_id"][:-1]):
            answer = client.get(f"/tickets/{ticket_id}/qr.svg")
            assert_refused(answer, 404, "ticket_not_found")


class TestStaff:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, staff_key=STAFF_KEY)

    def test_the_door_is_for_the_staff(self, client: FlaskClient, ticket: Any) -> None:
        for headers in ({}, {"Authorization": "Bearer guessed-it"}):
            answer = admit(client, ticket, headers)
            assert_refused(answer, 401, "unauthorized")
            answer = client.delete(f"/admissions/{ticket['admission_code']}", headers=headers)
            assert_refused(answer, 401, "unauthorized")
        assert view(client, ticket).json == ticket
        key = {"Authorization": f"Bearer {STAFF_KEY}"}
        assert admit(client, ticket, key).status_code == 200
        answer = client.delete(f"/admissions/{ticket['admission_code']}", headers=key)
        assert answer.status_code == 200

    def test_customers_need_no_key_for_seats_and_their_qr_code(
        self, client: FlaskClient, ticket: Any
    ) -> None:
        assert client.get("/seats?timing=18:00").status_code == 200
        assert client.get(f"/tickets/{ticket['ticket_id']}/qr.svg").status_code == 200


@pytest.mark.slow
class TestAdmissionCodeAlone:
    """Whoever has photographed a QR code tries it everywhere.

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
        *("Idempotency-Key", "Authorization"),
    )

    @pytest.fixture(params=[None, STAFF_KEY])
    def settings(self, settings: Settings, request: pytest.FixtureRequest) -> Settings:
        return replace(settings, staff_key=request.param)

    def attempts(self, client: FlaskClient, code: str) -> list[TestResponse]:
        """Send the code to every route, as and with everything that a route may take."""
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

    def test_it_admits_and_does_nothing_else_even_without_a_staff_key(
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
            after.pop("admission", None)
        assert after == before

    def test_the_ticket_id_in_its_place_shows_the_ticket(
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
        answers = [admit(client, ticket, key)]
        clock.advance(hours=2)
        answers += [admit(client, ticket, key), admit(client, ticket, key)]
        answers.append(client.delete(f"/admissions/{ticket['admission_code']}", headers=key))
        assert [answer.status_code for answer in answers] == [409, 200, 409, 200]
        for answer in answers:
            assert answer.json.get("ticket", answer.json).keys() == DOOR_FIELDS
            assert "phone" not in json.dumps(answer.json)
