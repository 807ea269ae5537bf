"""Choosing a seat: when a ticket is booked, when it is moved, and which ones are free."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database
from werkzeug.test import TestResponse

from app import create_app
from app.config import Settings
from app.theatre.idempotency import IdempotentRequest
from tests.conftest import Clock
from tests.helpers import ASHA, assert_refused, book, delete, fill, slot, update, view


def patch(client: FlaskClient, ticket: Any, **fields: Any) -> TestResponse:
    address = f"/tickets/{ticket['ticket_id']}"
    return client.patch(address, json=fields, headers={"Ticket-Phone": ASHA["phone"]})


class TestBooking:
    @pytest.mark.parametrize("path", ["/booktickets", "/tickets"])
    def test_the_chosen_seat_is_given(self, client: FlaskClient, path: str) -> None:
        for seat in (7, 1, 20):
            answer = client.post(path, json={**ASHA, "timing": "18:00", "seat": seat})
            assert (answer.status_code, answer.json["seat"]) == (201, seat)

    def test_a_refused_seat_comes_with_the_free_ones(self, client: FlaskClient) -> None:
        ticket = book(client, seat=7)
        refused = book(client, seat=7, status=409)
        assert refused["code"] == "seat_taken"
        assert refused["free_seats"] == [seat for seat in range(1, 21) if seat != 7]
        assert slot(client, "18:00")["booked"] == 1
        assert book(client, seat=7, timing="19:00")["seat"] == 7
        delete(client, ticket)
        assert book(client, seat=7)["seat"] == 7

    def test_a_full_house_is_sold_out_whatever_is_chosen(self, client: FlaskClient) -> None:
        fill(client)
        refused = book(client, seat=7, status=409)
        assert refused["code"] == "sold_out"
        assert "free_seats" not in refused

    def test_chosen_seats_are_not_given_to_others(self, client: FlaskClient) -> None:
        chosen = [book(client, seat=seat)["seat"] for seat in range(2, 21, 2)]
        given = [book(client)["seat"] for _ in range(10)]
        assert sorted(chosen + given) == list(range(1, 21))
        assert book(client, status=409)["code"] == "sold_out"

    @pytest.mark.parametrize("seat", [0, -1, 21, 10**30, 7.0, "7", True, None, [7], {"$gt": 0}])
    def test_an_invalid_seat_is_named(self, client: FlaskClient, seat: Any) -> None:
        refused = book(client, seat=seat, timing="18:30", phone="12", status=400)
        assert refused["errors"].keys() == {"seat", "timing", "phone"}
        assert book(client, seat=seat, status=400)["errors"].keys() == {"seat"}

    def test_the_last_seat_is_the_capacity(
        self, database: Database[Any], settings: Settings, clock: Clock
    ) -> None:
        settings = replace(settings, slot_capacity=3)
        client = create_app(database, settings=settings, clock=clock).test_client()
        assert book(client, seat=3)["seat"] == 3
        refused = book(client, seat=4, status=400)
        assert refused["errors"] == {"seat": ["Choose a seat from 1 to 3."]}


class TestIdempotencyKey:
    def test_the_seat_is_part_of_the_request(self, client: FlaskClient) -> None:
        first = book(client, seat=7, key="key-12345")
        assert book(client, seat=7, key="key-12345") == first
        for change in ({"seat": 8}, {}):
            refused = book(client, key="key-12345", status=422, **change)
            assert refused["code"] == "idempotency_key_reused"

    def test_a_request_without_a_seat_is_remembered_as_before_seats_could_be_chosen(
        self, client: FlaskClient, database: Database[Any]
    ) -> None:
        book(client, key="key-12345", date="2046-11-23")
        request = IdempotentRequest.of("key-12345", **ASHA, timing="18:00", date="2046-11-23")
        assert request
        stored = database["tickets"].find_one()
        assert stored
        assert stored["request"] == request.as_document()

    def test_a_retry_succeeds_although_the_seat_is_now_taken(self, client: FlaskClient) -> None:
        first = book(client, seat=7, key="key-12345")
        moved = patch(client, first, seat=8).json
        book(client, seat=7)
        assert book(client, seat=7, key="key-12345") == moved


class TestMoving:
    def test_a_ticket_moves_to_a_seat_in_another_showing(self, client: FlaskClient) -> None:
        ticket = book(client, seat=3)
        assert update(client, ticket, "21:00", seat=7).json["seat"] == 7
        moved = patch(client, ticket, timing="20:00", date="2046-11-24", seat=20)
        assert moved.json["showing_at"] == "2046-11-24T20:00:00+05:30"
        assert moved.json["seat"] == 20
        assert view(client, ticket).json == moved.json

    def test_a_ticket_changes_its_seat_within_its_showing(self, client: FlaskClient) -> None:
        ticket = book(client, seat=3)
        assert update(client, ticket, "18:00", seat=7).json == {**ticket, "seat": 7}
        assert patch(client, ticket, seat=8).json == {**ticket, "seat": 8}
        assert patch(client, ticket, seat=8).json == {**ticket, "seat": 8}
        assert slot(client, "18:00")["booked"] == 1
        assert book(client, seat=3)["seat"] == 3

    def test_a_move_to_its_own_seat_in_a_full_house_changes_nothing(
        self, client: FlaskClient
    ) -> None:
        ticket = fill(client)[7]
        assert patch(client, ticket, seat=ticket["seat"]).json == ticket
        assert_refused(patch(client, ticket, seat=ticket["seat"] % 20 + 1), 409, "sold_out")

    def test_a_move_to_a_taken_seat_changes_nothing(self, client: FlaskClient) -> None:
        book(client, timing="21:00", seat=7)
        book(client, seat=8)
        ticket = book(client, seat=3)
        refused = assert_refused(update(client, ticket, "21:00", seat=7), 409, "seat_taken")
        assert refused["free_seats"] == [seat for seat in range(1, 21) if seat != 7]
        refused = assert_refused(patch(client, ticket, seat=8), 409, "seat_taken")
        assert refused["free_seats"] == [seat for seat in range(1, 21) if seat not in (3, 8)]
        assert view(client, ticket).json == ticket

    def test_fields_that_are_not_sent_stay_unchanged(self, client: FlaskClient) -> None:
        ticket = book(client, date="2046-11-25", seat=3)
        moved = patch(client, ticket, date="2046-11-26").json
        assert moved["showing_at"] == "2046-11-26T18:00:00+05:30"
        moved = patch(client, ticket, timing="09:00").json or {}
        assert moved["showing_at"] == "2046-11-26T09:00:00+05:30"
        assert patch(client, ticket, seat=11).json == {**moved, "seat": 11}
        moved = patch(client, ticket, date="2046-11-27", seat=12).json
        assert (moved["showing_at"], moved["seat"]) == ("2046-11-27T09:00:00+05:30", 12)
        assert patch(client, ticket, date="2046-11-27").json == moved

    def test_a_ticket_keeps_its_seat_in_another_showing_where_that_is_free(
        self, client: FlaskClient
    ) -> None:
        ticket = book(client, seat=7)
        assert patch(client, ticket, timing="21:00").json["seat"] == 7
        assert update(client, ticket, "20:00").json["seat"] == 7
        book(client, timing="19:00", seat=7)
        assert patch(client, ticket, timing="19:00").json["seat"] != 7

    def test_a_request_without_changes_is_refused(self, client: FlaskClient) -> None:
        ticket = book(client)
        refused = assert_refused(patch(client, ticket), 400, "invalid_request")
        assert refused["errors"].keys() == {"timing", "date", "seat"}
        refused = assert_refused(patch(client, ticket, seats=7), 400, "invalid_request")
        assert refused["errors"].keys() == {"timing", "date", "seat", "seats"}
        refused = assert_refused(patch(client, ticket, seat=None), 400, "invalid_request")
        assert refused["errors"].keys() == {"seat"}

    def test_the_assignments_route_still_requires_a_timing(self, client: FlaskClient) -> None:
        body = {"ticket_id": book(client)["ticket_id"], "phone": ASHA["phone"], "seat": 7}
        refused = assert_refused(client.post("/update", json=body), 400, "invalid_request")
        assert refused["errors"].keys() == {"timing_alter"}

    def test_an_invalid_seat_is_named_with_the_other_bad_fields(self, client: FlaskClient) -> None:
        ticket = book(client)
        for answer, expected in (
            (patch(client, ticket, seat=21), {"seat"}),
            (patch(client, ticket, seat=21, timing="21:00"), {"seat"}),
            (patch(client, ticket, seat=21, timing="18:30"), {"seat", "timing"}),
            (patch(client, ticket, seat=0, date="2020-01-01"), {"seat", "date"}),
            (update(client, ticket, "18:30", seat=21), {"seat", "timing_alter"}),
            (
                update(client, ticket, "18:30", seat=21, phone="1"),
                {"seat", "timing_alter", "phone"},
            ),
        ):
            assert assert_refused(answer, 400, "invalid_request")["errors"].keys() == expected
        assert view(client, ticket).json == ticket

    def test_a_seat_cannot_be_changed_once_the_showing_has_started(
        self, client: FlaskClient, clock: Clock
    ) -> None:
        ticket = book(client)
        clock.advance(hours=4)
        assert_refused(patch(client, ticket, seat=7), 409, "showing_started")


class TestFreeSeats:
    def test_the_default_is_the_next_showing(self, client: FlaskClient) -> None:
        book(client, seat=7)
        book(client, seat=20)
        answer = client.get("/seats?timing=18:00")
        assert answer.status_code == 200
        free = [seat for seat in range(1, 20) if seat != 7]
        assert (answer.json or {}) == {**slot(client, "18:00"), "free_seats": free}

    def test_a_date_picks_the_showing_of_that_day(self, client: FlaskClient) -> None:
        fill(client, date="2046-11-24")
        full = client.get("/seats?timing=18:00&date=2046-11-24").json
        assert full["free_seats"] == []
        assert full["bookable"] is False
        assert len(client.get("/seats?timing=18:00&date=2046-11-25").json["free_seats"]) == 20
        assert client.get("/seats?timing=09:00").json["date"] == "2046-11-23"

    @pytest.mark.parametrize(
        ("query", "bad"),
        [
            ("", "timing"),
            ("timing=18:30", "timing"),
            ("timing=6pm", "timing"),
            ("timing=18:00&date=2046-11-21", "date"),
            ("timing=18:00&date=2046-12-23", "date"),
            ("timing=18:30&date=2046-12-23&seat=7", "timing date seat"),
            ("timing=18:00&timing=18:00", "timing"),
        ],
    )
    def test_a_showing_that_does_not_exist_is_refused(
        self, client: FlaskClient, query: str, bad: str
    ) -> None:
        refused = assert_refused(client.get(f"/seats?{query}"), 400, "invalid_request")
        assert refused["errors"].keys() == set(bad.split())


class TestBookable:
    def test_a_showing_is_bookable_until_it_is_sold_out(self, client: FlaskClient) -> None:
        fill(client, 19)
        assert slot(client, "18:00")["bookable"] is True
        book(client)
        assert slot(client, "18:00")["bookable"] is False
        assert slot(client, "19:00")["bookable"] is True

    def test_a_showing_is_bookable_until_it_has_started(self, client: FlaskClient) -> None:
        today = client.get("/?date=2046-11-22").json
        assert {each["timing"] for each in today if not each["bookable"]} == {
            f"{hour:02}:00" for hour in range(9, 15)
        }
        started = client.get("/seats?timing=14:00&date=2046-11-22")
        assert (started.status_code, started.json["bookable"]) == (200, False)

    def test_a_showing_beyond_the_booking_window_is_not_bookable(
        self, database: Database[Any], settings: Settings, clock: Clock
    ) -> None:
        settings = replace(settings, advance_days=0)
        client = create_app(database, settings=settings, clock=clock).test_client()
        for each in client.get("/").json or []:
            assert each["bookable"] is (each["date"] == "2046-11-22")
            status = 201 if each["bookable"] else 400
            book(client, timing=each["timing"], status=status)  # as it says
        assert client.get("/seats?timing=09:00").json["bookable"] is False

    def test_every_bad_parameter_is_named(self, client: FlaskClient) -> None:
        refused = assert_refused(client.get("/?date=2020-01-01&day=1"), 400, "invalid_request")
        assert refused["errors"].keys() == {"date", "day"}
