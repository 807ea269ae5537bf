"""The six routes of the ticket window, as customers and staff use them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.booking.store import TicketStore
from app.theatre.refusals import SoldOut
from tests.api.helpers import (
    ASHA,
    RAVI,
    assert_booked,
    assert_refused,
    book,
    delete,
    fill,
    slot,
    update,
    view,
)
from tests.conftest import Clock


class TestBook:
    def test_the_response_is_the_ticket(self, client: FlaskClient) -> None:
        answer = client.post("/booktickets", json={**ASHA, "timing": "18:00"})
        assert answer.status_code == 201
        ticket = answer.json
        assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{12}[A-Za-z0-9_-]{22}", ticket["ticket_id"])
        assert 1 <= ticket["seat"] <= 20
        assert answer.headers["Location"] == f"/tickets/{ticket['ticket_id']}"
        assert "Idempotency-Replayed" not in answer.headers
        assert ticket == {
            "ticket_id": ticket["ticket_id"],
            "name": "Asha Rao",
            "phone": "98765 43210",
            "timing": "18:00",
            "date": "2046-11-22",
            "showing_at": "2046-11-22T18:00:00+05:30",
            "seat": ticket["seat"],
            "expired": False,
            "expires_at": "2046-11-23T02:00:00+05:30",
            "booked_at": "2046-11-22T14:03:11+05:30",
            "admission_code": ticket["ticket_id"][:12],
            "admitted_at": None,
        }

    def test_a_timing_that_has_passed_means_tomorrow(self, client: FlaskClient) -> None:
        assert book(client, timing="14:00")["date"] == "2046-11-23"

    def test_a_timing_is_todays_until_its_minute_has_passed(
        self, client: FlaskClient, clock: Clock
    ) -> None:
        clock.advance(hours=-4, minutes=-3)  # 10:00:11.5
        assert book(client, timing="10:00")["date"] == "2046-11-22"
        clock.advance(seconds=48)
        assert book(client, timing="10:00")["date"] == "2046-11-22"
        clock.advance(seconds=0.5)
        assert book(client, timing="10:00")["date"] == "2046-11-23"

    def test_a_day_can_be_picked(self, client: FlaskClient) -> None:
        assert book(client, date="2046-11-22")["date"] == "2046-11-22"
        assert book(client, date="2046-12-22")["showing_at"] == "2046-12-22T18:00:00+05:30"

    def test_name_and_phone_are_trimmed(self, client: FlaskClient) -> None:
        ticket = book(client, name="  Asha Rao ", phone=" 98765 43210 ")
        assert (ticket["name"], ticket["phone"]) == ("Asha Rao", "98765 43210")

    @pytest.mark.parametrize(
        "name", ["A", "x" * 100, "  " + "x" * 100, "अनीता राव", "क्‍ष", "José O'Brien-Łukasz", "李雷"]
    )
    def test_names_of_all_kinds_are_accepted(self, client: FlaskClient, name: str) -> None:
        assert book(client, name=name)["name"] == name.strip()

    def test_twenty_bookings_succeed_and_no_more(self, client: FlaskClient) -> None:
        tickets = fill(client)
        assert sorted(ticket["seat"] for ticket in tickets) == list(range(1, 21))
        assert len({ticket["ticket_id"] for ticket in tickets}) == 20
        answer = client.post("/booktickets", json={**ASHA, "timing": "18:00"})
        assert_refused(answer, 409, "sold_out")
        assert book(client, timing="19:00")
        assert book(client, date="2046-11-23")

    def test_yesterdays_tickets_take_no_seats_from_todays(
        self, client: FlaskClient, clock: Clock
    ) -> None:
        fill(client)
        clock.advance(days=1)
        assert book(client)["date"] == "2046-11-23"


class TestIdempotencyKey:
    def test_the_same_request_returns_the_same_ticket(self, client: FlaskClient) -> None:
        first = book(client, key="key-12345")
        body = {**ASHA, "timing": "18:00"}
        again = client.post("/booktickets", json=body, headers={"Idempotency-Key": "key-12345"})
        assert again.status_code == 201
        assert again.json == first
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["Location"] == f"/tickets/{first['ticket_id']}"
        assert_booked(client, tickets=1)

    def test_a_different_request_with_the_same_key_is_refused(self, client: FlaskClient) -> None:
        book(client, key="key-12345")
        for change in ({"name": "Ravi"}, {"timing": "19:00"}, {"date": "2046-11-22"}):
            assert book(client, key="key-12345", status=422, **change)["code"] == (
                "idempotency_key_reused"
            )
        assert_booked(client, tickets=1)

    def test_a_retry_succeeds_although_the_house_is_now_full(self, client: FlaskClient) -> None:
        first = book(client, key="key-12345")
        fill(client, 19)
        assert book(client, status=409)["code"] == "sold_out"
        assert book(client, key="key-12345") == first
        assert book(client, key="key-12345", status=422, name="Ravi")["status"] == 422
        assert book(client, key="key-67890", status=409)["code"] == "sold_out"

    def test_a_retry_succeeds_although_the_showing_has_started(
        self, client: FlaskClient, clock: Clock
    ) -> None:
        first = book(client, key="key-12345", date="2046-11-22")
        undated = book(client, key="key-67890")
        clock.advance(hours=5)
        assert book(client, key="key-12345", date="2046-11-22") == first
        assert book(client, key="key-67890") == undated

    def test_a_key_lives_as_long_as_its_ticket(self, client: FlaskClient) -> None:
        first = book(client, key="key-12345")
        delete(client, first)
        assert book(client, key="key-12345")["ticket_id"] != first["ticket_id"]

    @pytest.mark.parametrize("key", ["short", "x" * 256, "käse-12345"])
    def test_an_invalid_key_is_refused(self, client: FlaskClient, key: str) -> None:
        assert book(client, key=key, status=400)["errors"].keys() == {"Idempotency-Key"}

    @pytest.mark.parametrize("key", ["x" * 8, "x" * 255, "a key with ~!@#$%^&*() in it"])
    def test_a_valid_key_is_accepted(self, client: FlaskClient, key: str) -> None:
        assert book(client, key=key) == book(client, key=key)


class TestUpdate:
    def test_a_ticket_moves(self, client: FlaskClient) -> None:
        ticket = book(client)
        answer = update(client, ticket, "21:00")
        assert answer.status_code == 200
        assert answer.json == {
            **ticket,
            "timing": "21:00",
            "showing_at": "2046-11-22T21:00:00+05:30",
            "expires_at": "2046-11-23T05:00:00+05:30",
            "seat": answer.json["seat"],
        }
        assert view(client, ticket).json == answer.json
        assert slot(client, "18:00")["booked"] == 0
        assert slot(client, "21:00")["booked"] == 1

    def test_a_moved_ticket_keeps_its_date(self, client: FlaskClient) -> None:
        ticket = book(client, date="2046-11-25")
        assert update(client, ticket, "09:00").json["date"] == "2046-11-25"

    def test_a_ticket_moves_to_the_next_day_if_its_date_has_no_showing_left(
        self, client: FlaskClient
    ) -> None:
        ticket = book(client)
        assert update(client, ticket, "09:00").json["date"] == "2046-11-23"

    def test_a_ticket_moves_to_a_given_date(self, client: FlaskClient) -> None:
        ticket = book(client)
        assert update(client, ticket, "18:00", date="2046-11-30").json["date"] == "2046-11-30"

    def test_a_move_to_its_own_showing_changes_nothing_even_when_full(
        self, client: FlaskClient
    ) -> None:
        ticket = fill(client)[7]
        assert update(client, ticket, "18:00").json == ticket
        assert update(client, ticket, "18:00", date="2046-11-22").json == ticket

    def test_a_refused_move_changes_nothing(self, client: FlaskClient) -> None:
        fill(client, timing="21:00")
        ticket = book(client)
        assert_refused(update(client, ticket, "21:00"), 409, "sold_out")
        assert view(client, ticket).json == ticket

    def test_a_ticket_that_is_already_there_meanwhile_is_not_refused(
        self, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        ticket = book(client)
        move = TicketStore.move

        def move_twice(store: TicketStore, *args: Any) -> None:
            monkeypatch.setattr(TicketStore, "move", move)
            move(store, *args)  # the same request, sent twice, and the other was faster
            raise SoldOut

        monkeypatch.setattr(TicketStore, "move", move_twice)
        assert update(client, ticket, "21:00").json == view(client, ticket).json
        assert view(client, ticket).json["timing"] == "21:00"

    def test_any_spelling_of_the_phone_is_accepted(self, client: FlaskClient) -> None:
        assert update(client, book(client), "21:00", phone="+919876543210").status_code == 200

    def test_another_phone_is_refused(self, client: FlaskClient) -> None:
        ticket = book(client)
        assert_refused(update(client, ticket, "21:00", phone=RAVI["phone"]), 403, "phone_mismatch")
        assert view(client, ticket).json == ticket

    def test_an_unknown_ticket_is_not_found(self, client: FlaskClient) -> None:
        assert_refused(update(client, {"ticket_id": "nope"}, "21:00"), 404, "ticket_not_found")

    def test_a_ticket_whose_showing_has_started_cannot_move(
        self, client: FlaskClient, clock: Clock
    ) -> None:
        ticket = book(client)
        clock.advance(hours=4)  # 18:03:11
        assert_refused(update(client, ticket, "21:00"), 409, "showing_started")

    def test_an_expired_ticket_cannot_move(self, client: FlaskClient, clock: Clock) -> None:
        ticket = book(client)
        clock.now = clock.now.replace(hour=20, minute=30, second=0, microsecond=0)  # 02:00 there
        assert_refused(update(client, ticket, "21:00"), 409, "ticket_expired")

    def test_a_timing_that_cannot_be_booked_is_refused(self, client: FlaskClient) -> None:
        ticket = book(client)
        for timing, fields, bad in (
            ("18:30", {}, {"timing_alter"}),
            ("14:00", {"date": "2046-11-22"}, {"timing_alter"}),
            ("18:00", {"date": "2046-11-21"}, {"date"}),
            ("18:00", {"date": "2046-12-23"}, {"date"}),
            ("18:30", {"date": "2046-12-23"}, {"timing_alter", "date"}),
            ("18:30", {"date": "2046-12-23", "phone": "1"}, {"timing_alter", "date", "phone"}),
        ):
            refused = assert_refused(
                update(client, ticket, timing, **fields), 400, "invalid_request"
            )
            assert refused["errors"].keys() == bad
        assert view(client, ticket).json == ticket


class TestDelete:
    def test_the_seat_is_free_at_once(self, client: FlaskClient) -> None:
        ticket = fill(client)[3]
        answer = delete(client, ticket)
        assert answer.status_code == 200
        assert answer.json == {"ticket_id": ticket["ticket_id"], "deleted": True}
        assert book(client)["seat"] == ticket["seat"]
        assert_refused(view(client, ticket), 404, "ticket_not_found")
        assert_refused(delete(client, ticket), 404, "ticket_not_found")

    def test_another_phone_cannot_delete_it(self, client: FlaskClient) -> None:
        ticket = book(client)
        assert_refused(delete(client, ticket, RAVI["phone"]), 403, "phone_mismatch")
        assert view(client, ticket).json == ticket

    def test_an_expired_ticket_can_be_deleted(self, client: FlaskClient, clock: Clock) -> None:
        ticket = book(client)
        clock.advance(days=2)
        assert delete(client, ticket).status_code == 200


class TestView:
    def test_a_ticket_expires_eight_hours_after_its_showing(
        self, client: FlaskClient, clock: Clock
    ) -> None:
        ticket = book(client)
        clock.now = clock.now.replace(hour=20, minute=29, second=59, microsecond=999_999)
        assert view(client, ticket).json["expired"] is False
        clock.advance(microseconds=1)
        assert view(client, ticket).json == {**ticket, "expired": True}
        assert client.post("/viewontime", json={"timing": "18:00"}).json[0]["expired"] is True

    def test_a_timing_lists_all_its_tickets(self, client: FlaskClient) -> None:
        later = fill(client, 3, date="2046-11-24")
        today = fill(client, 4)
        fill(client, 2, timing="21:00")
        answer = client.post("/viewontime", json={"timing": "18:00"})
        assert answer.status_code == 200

        def by_seat(tickets: list[Any]) -> list[Any]:
            return sorted(tickets, key=lambda ticket: ticket["seat"])

        assert answer.json == by_seat(today) + by_seat(later)
        dated = client.post("/viewontime", json={"timing": "18:00", "date": "2046-11-24"})
        assert dated.json == by_seat(later)

    @pytest.mark.parametrize(
        "question",
        [{"timing": "03:33"}, {"timing": "18:00", "date": "0001-01-01"}, {"timing": "19:00"}],
    )
    def test_a_timing_without_tickets_is_an_empty_list(
        self, client: FlaskClient, question: Any
    ) -> None:
        book(client)
        answer = client.post("/viewontime", json=question)
        assert (answer.status_code, answer.json) == (200, [])

    def test_an_unknown_ticket_is_not_found(self, client: FlaskClient) -> None:
        assert_refused(view(client, {"ticket_id": "A" * 22}), 404, "ticket_not_found")


class TestSlots:
    def test_the_default_is_the_next_showing_of_each_timing(self, client: FlaskClient) -> None:
        fill(client, 2)
        book(client, timing="09:00")
        answer = client.get("/")
        assert answer.status_code == 200
        assert [entry["timing"] for entry in answer.json] == [f"{h:02}:00" for h in range(9, 22)]
        assert slot(client, "18:00") == {
            "timing": "18:00",
            "date": "2046-11-22",
            "showing_at": "2046-11-22T18:00:00+05:30",
            "capacity": 20,
            "booked": 2,
            "available": 18,
            "bookable": True,
        }
        assert slot(client, "09:00")["date"] == "2046-11-23"
        assert slot(client, "09:00")["booked"] == 1

    def test_a_date_lists_the_showings_of_that_day(self, client: FlaskClient) -> None:
        book(client, date="2046-11-23")
        answer = client.get("/?date=2046-11-23")
        assert {entry["date"] for entry in answer.json} == {"2046-11-23"}
        assert sum(entry["booked"] for entry in answer.json) == 1

    @pytest.mark.parametrize(
        "query", ["date=2046-11-21", "date=2046-12-23", "date=tomorrow", "date=", "day=2046-11-23"]
    )
    def test_an_invalid_date_is_refused(self, client: FlaskClient, query: str) -> None:
        refused = assert_refused(client.get(f"/?{query}"), 400, "invalid_request")
        assert refused["errors"].keys() == {query.partition("=")[0]}
