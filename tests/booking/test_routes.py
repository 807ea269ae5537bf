"""The ticket window: its slots, booking, and the six routes of the assignment."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database

from app import create_app
from app.config import Settings
from app.domain.refusals import SoldOut
from app.domain.seating import House, best_seats
from app.tickets.store import TicketStore
from tests.conftest import Clock
from tests.helpers import (
    ASHA,
    RAVI,
    add_movie,
    admit,
    assert_booked,
    assert_refused,
    book,
    buy,
    delete,
    fill,
    free_seats,
    patch,
    slot,
    update,
    view,
)

HOUSE = House(seats=20, seats_per_row=5)
ALL = list(range(1, 21))


class TestSlots:
    def test_the_default_is_the_next_showing_of_each_timing(self, client: FlaskClient) -> None:
        book(client, amount=2)
        book(client, timing="09:00")
        answer = client.get("/")
        assert answer.status_code == 200
        assert [entry["timing"] for entry in answer.json] == [f"{h:02}:00" for h in range(9, 22)]
        assert slot(client, "18:00") == {
            "timing": "18:00",
            "title": None,
            "date": "2046-11-22",
            "showing_at": "2046-11-22T18:00:00+05:30",
            "capacity": 20,
            "booked": 2,
            "blocked": 0,
            "available": 18,
            "bookable": True,
        }
        assert slot(client, "09:00")["date"] == "2046-11-23"
        assert slot(client, "09:00")["booked"] == 1

    def test_a_date_lists_the_showings_of_that_day(self, client: FlaskClient) -> None:
        book(client, date="2046-11-23", amount=3)
        answer = client.get("/?date=2046-11-23")
        assert {entry["date"] for entry in answer.json} == {"2046-11-23"}
        assert sum(entry["booked"] for entry in answer.json) == 3

    @pytest.mark.parametrize(
        "query", ["date=2046-11-21", "date=2046-12-23", "date=tomorrow", "date=", "day=2046-11-23"]
    )
    def test_an_invalid_date_is_refused(self, client: FlaskClient, query: str) -> None:
        refused = assert_refused(client.get(f"/?{query}"), 400, "invalid_request")
        assert refused["errors"].keys() == {query.partition("=")[0]}

    def test_every_bad_parameter_is_named(self, client: FlaskClient) -> None:
        refused = assert_refused(client.get("/?date=2020-01-01&day=1"), 400, "invalid_request")
        assert refused["errors"].keys() == {"date", "day"}

    def test_a_showing_is_bookable_until_it_is_sold_out(self, client: FlaskClient) -> None:
        book(client, amount=19)
        assert slot(client, "18:00")["bookable"] is True
        book(client)
        assert slot(client, "18:00")["bookable"] is False
        assert slot(client, "19:00")["bookable"] is True

    def test_a_showing_is_bookable_until_it_has_started(self, client: FlaskClient) -> None:
        today = client.get("/?date=2046-11-22").json
        assert {each["timing"] for each in today if not each["bookable"]} == {
            f"{hour:02}:00" for hour in range(9, 15)
        }

    def test_a_showing_beyond_the_booking_window_is_not_bookable(
        self, database: Database[Any], settings: Settings, clock: Clock
    ) -> None:
        settings = replace(settings, advance_days=0)
        client = create_app(database, settings=settings, clock=clock).test_client()
        for each in client.get("/").json or []:
            assert each["bookable"] is (each["date"] == "2046-11-22")
            status = 201 if each["bookable"] else 400
            book(client, timing=each["timing"], status=status)
        refused = book(client, timing="09:00", status=400)
        assert refused["errors"] == {
            "timing": ["The next showing is too far ahead to be booked yet."]
        }

    @pytest.mark.parametrize(
        ("seats", "booked"),
        [([1, 2], 2), ([9, 10, 11], 2), ([11, 20], 0), (list(range(1, 16)), 10)],
    )
    def test_seats_above_a_lowered_capacity_do_not_count(
        self,
        database: Database[Any],
        settings: Settings,
        clock: Clock,
        client: FlaskClient,
        seats: list[int],
        booked: int,
    ) -> None:
        ticket = book(client, seats=seats)
        settings = replace(settings, slot_capacity=10)
        smaller = create_app(database, settings=settings, clock=clock).test_client()
        after = slot(smaller, "18:00")
        assert (after["capacity"], after["booked"]) == (10, booked)
        assert after["booked"] + after["blocked"] + after["available"] == 10
        assert after["bookable"] is (booked < 10)
        assert free_seats(smaller) == [seat for seat in range(1, 11) if seat not in seats]
        assert view(smaller, ticket).json == ticket
        if booked < 10:
            assert book(smaller, amount=10 - booked)["seats"][-1] <= 10
        assert book(smaller, status=409)["code"] == "sold_out"


class TestBook:
    @pytest.mark.parametrize("path", ["/booktickets", "/tickets"])
    def test_the_response_is_the_ticket(self, client: FlaskClient, path: str) -> None:
        answer = client.post(path, json={**ASHA, "timing": "18:00"})
        assert answer.status_code == 201
        ticket = answer.json
        assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{12}[A-Za-z0-9_-]{22}", ticket["ticket_id"])
        assert answer.headers["Location"] == f"/tickets/{ticket['ticket_id']}"
        assert "Idempotency-Replayed" not in answer.headers
        assert ticket == {
            "ticket_id": ticket["ticket_id"],
            "name": "Asha Rao",
            "phone": "98765 43210",
            "timing": "18:00",
            "date": "2046-11-22",
            "showing_at": "2046-11-22T18:00:00+05:30",
            "movie": None,
            "screen": None,
            "title": None,
            "seat": 8,
            "seats": [8],
            "labels": ["B3"],
            "expired": False,
            "expires_at": "2046-11-23T02:00:00+05:30",
            "booked_at": "2046-11-22T14:03:11+05:30",
            "admission_code": ticket["ticket_id"][:12],
            "admitted": 0,
            "admitted_at": None,
        }
        assert client.get(answer.headers["Location"]).json == ticket

    def test_a_timing_that_has_passed_means_tomorrow(self, client: FlaskClient) -> None:
        assert book(client, timing="14:00")["date"] == "2046-11-23"

    def test_a_timing_is_todays_until_its_minute_has_passed(
        self, client: FlaskClient, clock: Clock
    ) -> None:
        clock.advance(hours=-4, minutes=-3)  # 10:00:11.5
        assert book(client, timing="10:00")["date"] == "2046-11-22"
        clock.advance(seconds=48)
        assert book(client, timing="10:00")["date"] == "2046-11-22"
        assert book(client, timing="10:00", date="2046-11-22")["date"] == "2046-11-22"
        clock.advance(seconds=0.5)
        assert book(client, timing="10:00")["date"] == "2046-11-23"
        refused = book(client, timing="10:00", date="2046-11-22", status=409)
        assert refused["code"] == "showing_started"

    def test_a_date_can_be_chosen(self, client: FlaskClient) -> None:
        assert book(client, date="2046-11-22")["date"] == "2046-11-22"
        assert book(client, date="2046-12-22")["showing_at"] == "2046-12-22T18:00:00+05:30"

    def test_a_showing_that_does_not_exist_is_refused(self, client: FlaskClient) -> None:
        for fields, bad in (
            ({"timing": "18:30"}, {"timing"}),
            ({"date": "2046-11-21"}, {"date"}),
            ({"date": "2046-12-23"}, {"date"}),
            ({"timing": "18:30", "date": "2046-11-21", "amount": 21}, {"timing", "date", "amount"}),
            ({"timing": "18:30", "phone": "1", "name": ""}, {"timing", "phone", "name"}),
        ):
            assert book(client, **fields, status=400)["errors"].keys() == bad
        assert_booked(client, tickets=0)

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
        assert sorted(ticket["seat"] for ticket in tickets) == ALL
        assert len({ticket["ticket_id"] for ticket in tickets}) == 20
        refused = book(client, status=409)
        assert (refused["code"], refused["seats_left"]) == ("sold_out", 0)
        assert book(client, timing="19:00")
        assert book(client, date="2046-11-23")

    def test_yesterdays_tickets_take_no_seats_from_todays(
        self, client: FlaskClient, clock: Clock
    ) -> None:
        fill(client)
        clock.advance(days=1)
        assert book(client)["date"] == "2046-11-23"


class TestParty:
    def test_it_sits_side_by_side_near_the_middle(self, client: FlaskClient) -> None:
        ticket = book(client, amount=4)
        assert (ticket["seat"], ticket["seats"]) == (6, [6, 7, 8, 9])
        assert ticket["labels"] == ["B1", "B2", "B3", "B4"]
        assert slot(client, "18:00")["booked"] == 4
        assert view(client, ticket).json == ticket

    def test_it_is_split_rather_than_refused(self, client: FlaskClient) -> None:
        book(client, seats=[3, 8, 13, 18])
        assert book(client, amount=5)["labels"] == ["B1", "B2", "B4", "B5", "C2"]
        assert len(book(client, amount=11)["seats"]) == 11
        assert book(client, status=409)["code"] == "sold_out"

    @pytest.mark.parametrize("path", ["/booktickets", "/tickets"])
    def test_it_gets_the_seats_it_chooses(self, client: FlaskClient, path: str) -> None:
        body = {**ASHA, "timing": "18:00", "seats": [20, 7, 1]}
        ticket = client.post(path, json=body).json or {}
        assert (ticket["seat"], ticket["seats"]) == (1, [1, 7, 20])
        assert ticket["labels"] == ["A1", "B2", "D5"]
        assert free_seats(client) == [seat for seat in ALL if seat not in (1, 7, 20)]

    def test_one_seat_can_be_chosen_by_either_field(self, client: FlaskClient) -> None:
        assert book(client, seat=7)["seats"] == [7]
        assert book(client, seats=[8])["seats"] == [8]
        assert book(client, seat=20)["labels"] == ["D5"]

    def test_all_seats_or_none(self, client: FlaskClient) -> None:
        ticket = book(client, seat=8)
        refused = book(client, seats=[7, 8, 9], status=409)
        assert refused["code"] == "seat_taken"
        assert refused["free_seats"] == [seat for seat in ALL if seat != 8]
        assert slot(client, "18:00")["booked"] == 1
        assert book(client, seats=[7, 8, 9], timing="19:00")["seats"] == [7, 8, 9]
        delete(client, ticket)
        assert book(client, seats=[7, 8, 9])["seats"] == [7, 8, 9]

    def test_free_seats_are_listed_in_ascending_order(self, client: FlaskClient) -> None:
        book(client, seats=[seat for seat in ALL if seat not in (1, 8, 16)])
        assert book(client, seat=2, status=409)["free_seats"] == [1, 8, 16]
        assert book(client, seats=[1, 2], status=409)["free_seats"] == [1, 8, 16]

    def test_a_party_that_is_too_large_for_what_is_left_is_refused(
        self, client: FlaskClient
    ) -> None:
        book(client, amount=18)
        refused = book(client, amount=3, status=409)
        assert (refused["code"], refused["seats_left"]) == ("not_enough_seats", 2)
        assert slot(client, "18:00")["booked"] == 18
        assert len(book(client, amount=2)["seats"]) == 2
        for fields in ({"amount": 3}, {"amount": 1}, {"seat": 7}, {"seats": [1, 2]}, {}):
            refused = book(client, **fields, status=409)
            assert (refused["code"], refused["seats_left"]) == ("sold_out", 0)
            assert "free_seats" not in refused

    def test_a_party_may_fill_the_house(self, client: FlaskClient) -> None:
        assert book(client, amount=20)["seats"] == ALL
        assert book(client, seats=ALL, timing="19:00")["seats"] == ALL

    def test_chosen_seats_are_not_given_to_others(self, client: FlaskClient) -> None:
        chosen = [book(client, seat=seat)["seat"] for seat in range(2, 21, 2)]
        given = [seat for _ in range(5) for seat in book(client, amount=2)["seats"]]
        assert sorted(chosen + given) == ALL
        assert book(client, status=409)["code"] == "sold_out"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            *(
                (field, value)
                for field in ("seat", "amount")
                for value in (0, -1, 21, 10**30, 7.0, "7", "७", True, None, [7], {"$gt": 0}, "")
            ),
            *(
                ("seats", value)
                for value in (
                    [],
                    7,
                    "7",
                    "7,8",
                    None,
                    True,
                    {},
                    {"$in": [7]},
                    [0],
                    [-1, 1],
                    [21],
                    [1, 21],
                    [10**30],
                    [7.0],
                    ["7"],
                    ["७"],
                    [True],
                    [None],
                    [[7]],
                    [{"$gt": 0}],
                    [7, 7],
                    [7, 8, 7],
                    list(range(1, 22)),
                )
            ),
        ],
    )
    def test_a_wrong_value_is_named_with_the_other_bad_fields(
        self, client: FlaskClient, field: str, value: Any
    ) -> None:
        assert book(client, **{field: value}, status=400)["errors"].keys() == {field}
        bad = {field: value, "timing": "18:30", "phone": "12", "date": "2046-11-21"}
        assert book(client, **bad, status=400)["errors"].keys() == bad.keys()
        assert_booked(client, tickets=0)

    @pytest.mark.parametrize("field", [{"seat": 21}, {"seats": [20, 21]}, {"amount": 21}])
    def test_an_unknown_seat_is_named_with_a_bad_header(
        self, client: FlaskClient, field: Any
    ) -> None:
        refused = book(client, key="short", timing="18:30", **field, status=400)
        assert refused["errors"].keys() == {"Idempotency-Key", "timing", *field}

    @pytest.mark.parametrize(
        "fields",
        [
            {"seat": 7, "amount": 1},
            {"seat": 7, "seats": [7]},
            {"seats": [7, 8], "amount": 2},
            {"seat": 7, "seats": [7], "amount": 1},
            {"seat": None, "amount": 1},
        ],
    )
    def test_only_one_of_seat_seats_and_amount_may_be_sent(
        self, client: FlaskClient, fields: Any
    ) -> None:
        refused = book(client, **fields, status=400)
        assert refused["errors"].keys() == fields.keys()
        assert all("Give only one of" in each[-1] for each in refused["errors"].values())
        assert_booked(client, tickets=0)

    def test_messages_name_the_range_of_the_house(
        self, database: Database[Any], settings: Settings, clock: Clock
    ) -> None:
        settings = replace(settings, slot_capacity=3)
        client = create_app(database, settings=settings, clock=clock).test_client()
        for field, message in (
            ({"seat": 4}, "The seats are numbered from 1 to 3."),
            ({"seats": [3, 4]}, "The seats are numbered from 1 to 3."),
            ({"amount": 4}, "Must be from 1 to 3."),
        ):
            assert book(client, **field, status=400)["errors"] == {next(iter(field)): [message]}
        assert book(client, seat=3)["seat"] == 3
        assert len(book(client, amount=2)["seats"]) == 2

    def test_rows_have_the_configured_length(
        self, database: Database[Any], settings: Settings, clock: Clock
    ) -> None:
        settings = replace(settings, slot_capacity=30, seats_per_row=10)
        client = create_app(database, settings=settings, clock=clock).test_client()
        ticket = book(client, amount=8)
        assert ticket["labels"] == [f"B{number}" for number in range(1, 9)]
        assert ticket["seats"] == list(range(11, 19))
        assert client.get("/seats?timing=18:00").json["seats_per_row"] == 10


class TestBestSeats:
    @pytest.mark.parametrize("amounts", [[1] * 20, [2, 3, 1, 4, 5, 1, 3, 1], [6, 7, 7], [4] * 5])
    def test_each_request_gets_the_best_free_seats(
        self, client: FlaskClient, amounts: list[int]
    ) -> None:
        for amount in amounts:
            best = best_seats(free_seats(client), amount, HOUSE)
            assert book(client, amount=amount)["seats"] == list(best)
        assert free_seats(client) == []

    def test_freed_seats_are_sold_again_at_once(self, client: FlaskClient) -> None:
        party = book(client, amount=3)
        book(client, amount=17)
        assert update(client, party, "21:00").status_code == 200
        assert book(client, amount=3)["seats"] == party["seats"]
        assert book(client, status=409)["code"] == "sold_out"
        single = book(client, timing="21:00")
        assert delete(client, party).status_code == 200
        free = [seat for seat in ALL if seat != single["seat"]]
        best = list(best_seats(free, 4, HOUSE))
        assert book(client, timing="21:00", amount=4)["seats"] == best

    def test_two_services_taking_turns_sell_the_best_seats(
        self,
        mongod_database: Database[Any],
        settings: Settings,
        clock: Clock,
    ) -> None:
        one, other = (
            create_app(mongod_database, settings=settings, clock=clock).test_client()
            for _ in range(2)
        )

        def sell(client: FlaskClient, amount: int) -> Any:
            best = best_seats(free_seats(client), amount, HOUSE)
            ticket = book(client, amount=amount)
            assert ticket["seats"] == list(best)
            return ticket

        for _ in range(12):
            sell(one, 1)  # until it seems to be alone
        for amount in (1, 2):
            sell(other, amount)
            assert delete(other, sell(one, amount)).status_code == 200
            sell(one, 1)


class TestIdempotencyKey:
    @pytest.mark.parametrize("path", ["/booktickets", "/tickets"])
    def test_the_same_request_returns_the_same_ticket(self, client: FlaskClient, path: str) -> None:
        first = book(client, key="key-12345", amount=3)
        body = {**ASHA, "timing": "18:00", "amount": 3}
        again = client.post(path, json=body, headers={"Idempotency-Key": "key-12345"})
        assert again.status_code == 201
        assert again.json == first
        assert again.headers["Idempotency-Replayed"] == "true"
        assert again.headers["Location"] == f"/tickets/{first['ticket_id']}"
        assert_booked(client, tickets=3)

    @pytest.mark.parametrize(
        ("asked", "change"),
        [
            ({}, {"name": "Ravi"}),
            ({}, {"phone": RAVI["phone"]}),
            ({}, {"timing": "19:00"}),
            ({}, {"date": "2046-11-22"}),
            ({}, {"seat": 7}),
            ({}, {"amount": 2}),
            ({"amount": 2}, {"amount": 3}),
            ({"seats": [7, 8]}, {"seats": [7, 9]}),
            ({"seat": 7}, {"seat": 8}),
        ],
    )
    def test_a_different_request_with_the_same_key_is_refused(
        self, client: FlaskClient, asked: Any, change: Any
    ) -> None:
        first = book(client, key="key-12345", **asked)
        refused = book(client, key="key-12345", status=422, **{**asked, **change})
        assert refused["code"] == "idempotency_key_reused"
        assert_booked(client, tickets=len(first["seats"]))

    def test_the_order_of_chosen_seats_does_not_matter(self, client: FlaskClient) -> None:
        first = book(client, key="key-12345", seats=[8, 7])
        assert book(client, key="key-12345", seats=[7, 8]) == first

    def test_one_seat_is_the_default(self, client: FlaskClient) -> None:
        assert book(client, key="key-12345") == book(client, key="key-12345", amount=1)

    def test_stored_fingerprints_match_version_1_0(
        self, client: FlaskClient, database: Database[Any]
    ) -> None:
        stored_by_1_0: list[tuple[dict[str, Any], str]] = [
            ({}, "78767365185ba4d8f33c3e01051e53582b97bb71bb43910f24742c3126649558"),
            (
                {"date": "2046-11-23"},
                "34e5f3a11389e6b4dd341cf52858af2f01baf11dbcc7b563a42ff516f3f76043",
            ),
            ({"seat": 7}, "26e45c8e917486d062d8bb789d239d87076af098c145246bde4212f64f900637"),
        ]
        for number, (fields, fingerprint) in enumerate(stored_by_1_0):
            ticket = book(client, key=f"key-0000{number}", **fields)
            stored = database["tickets"].find_one({"_id": ticket["admission_code"]})
            assert stored
            assert stored["request"] == {"key": f"key-0000{number}", "fingerprint": fingerprint}

    def test_bookings_and_purchases_share_keys(self, client: FlaskClient) -> None:
        movie = add_movie(client)
        booked, bought = book(client, key="key-12345"), buy(client, movie, key="key-67890")
        for refused in (
            buy(client, movie, key="key-12345", status=422),
            book(client, key="key-67890", status=422),
        ):
            assert refused["code"] == "idempotency_key_reused"
        assert book(client, key="key-12345") == booked
        assert buy(client, movie, key="key-67890") == bought

    def test_a_retry_succeeds_even_if_the_house_is_now_full(self, client: FlaskClient) -> None:
        first = book(client, key="key-12345")
        fill(client, 19)
        assert book(client, status=409)["code"] == "sold_out"
        assert book(client, key="key-12345") == first
        assert book(client, key="key-12345", status=422, name="Ravi")["status"] == 422
        assert book(client, key="key-67890", status=409)["code"] == "sold_out"

    def test_a_refusal_does_not_use_up_the_key(self, client: FlaskClient) -> None:
        full = book(client, amount=20)
        assert book(client, key="key-12345", status=409)["code"] == "sold_out"
        delete(client, full)
        assert book(client, key="key-12345", amount=2)["seats"]

    def test_a_retry_succeeds_even_if_its_seats_are_now_taken(self, client: FlaskClient) -> None:
        first = book(client, seats=[7, 8], key="key-12345")
        moved = patch(client, first, seats=[9, 10]).json
        book(client, seat=7)
        assert book(client, seats=[7, 8], key="key-12345") == moved

    def test_a_retry_succeeds_after_the_showing(self, client: FlaskClient, clock: Clock) -> None:
        dated = book(client, key="key-12345", date="2046-11-22", amount=2)
        undated = book(client, key="key-67890")
        for hours, expired in ((5, False), (20, True)):  # it has started; its date has passed
            clock.advance(hours=hours)
            again = book(client, key="key-12345", date="2046-11-22", amount=2)
            assert again == {**dated, "expired": expired}
            assert book(client, key="key-67890") == {**undated, "expired": expired}
        refused = book(client, key="key-12345", date="2046-11-22", amount=3, status=422)
        assert refused["code"] == "idempotency_key_reused"

    def test_a_retry_succeeds_after_its_timing_has_left_the_timetable(
        self, database: Database[Any], settings: Settings, clock: Clock, client: FlaskClient
    ) -> None:
        first = book(client, key="key-12345")
        settings = replace(settings, show_times=("21:00",), slot_capacity=5)
        changed = create_app(database, settings=settings, clock=clock).test_client()
        assert book(changed, key="key-12345") == first

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
        ticket = book(client, amount=3)
        answer = update(client, ticket, "21:00")
        assert answer.status_code == 200
        assert answer.json == {
            **ticket,
            "timing": "21:00",
            "showing_at": "2046-11-22T21:00:00+05:30",
            "expires_at": "2046-11-23T05:00:00+05:30",
        }
        assert view(client, ticket).json == answer.json
        assert slot(client, "18:00")["booked"] == 0
        assert slot(client, "21:00")["booked"] == 3

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

    def test_a_ticket_moves_to_chosen_seats(self, client: FlaskClient) -> None:
        ticket = book(client, seat=3)
        assert update(client, ticket, "21:00", seat=7).json["seats"] == [7]
        assert update(client, ticket, "18:00", seats=[8, 7]).json["seats"] == [7, 8]
        assert update(client, ticket, "18:00", seats=[8, 9]).json == {
            **ticket,
            "seat": 8,
            "seats": [8, 9],
            "labels": ["B3", "B4"],
        }

    def test_a_move_to_the_same_showing_changes_nothing_even_if_it_is_full(
        self, client: FlaskClient
    ) -> None:
        ticket = book(client, amount=3)
        book(client, amount=17)
        assert update(client, ticket, "18:00").json == ticket
        assert update(client, ticket, "18:00", date="2046-11-22").json == ticket
        assert update(client, ticket, "18:00", seats=ticket["seats"]).json == ticket

    def test_a_refused_move_changes_nothing(self, client: FlaskClient) -> None:
        full = book(client, timing="21:00", amount=18)
        ticket = book(client, amount=3)
        refused = assert_refused(update(client, ticket, "21:00"), 409, "not_enough_seats")
        assert refused["seats_left"] == 2
        seats = [*full["seats"][:1], *free_seats(client, "timing=21:00")]
        refused = assert_refused(update(client, ticket, "21:00", seats=seats), 409, "seat_taken")
        assert refused["free_seats"] == free_seats(client, "timing=21:00")
        book(client, timing="21:00", amount=2)
        refused = assert_refused(update(client, ticket, "21:00"), 409, "sold_out")
        assert refused["seats_left"] == 0
        assert view(client, ticket).json == ticket

    def test_a_ticket_already_moved_there_by_another_request_is_not_refused(
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

    def test_the_phone_is_accepted_in_any_format(self, client: FlaskClient) -> None:
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

    def test_a_ticket_does_not_move_to_a_showing_that_has_started(
        self, client: FlaskClient
    ) -> None:
        ticket = book(client)
        answer = update(client, ticket, "14:00", date="2046-11-22")
        assert_refused(answer, 409, "showing_started")
        assert view(client, ticket).json == ticket

    def test_an_expired_ticket_cannot_move(self, client: FlaskClient, clock: Clock) -> None:
        ticket = book(client)
        clock.now = clock.now.replace(hour=20, minute=30, second=0, microsecond=0)  # 02:00 there
        assert_refused(update(client, ticket, "21:00"), 409, "ticket_expired")

    @pytest.mark.parametrize(
        ("timing", "fields", "bad"),
        [
            ("18:30", {}, "timing_alter"),
            ("18:00", {"date": "2046-11-21"}, "date"),
            ("18:00", {"date": "2046-12-23"}, "date"),
            ("18:30", {"date": "2046-12-23"}, "timing_alter date"),
            ("18:30", {"date": "2046-12-23", "phone": "1"}, "timing_alter date phone"),
            ("21:00", {"seat": 21}, "seat"),
            ("18:00", {"seat": 21}, "seat"),
            ("18:30", {"seat": 21}, "timing_alter seat"),
            ("18:30", {"seats": [1, 21], "phone": "1"}, "timing_alter seats phone"),
            ("18:30", {"seats": []}, "timing_alter seats"),
            ("21:00", {"seat": 1, "seats": [1]}, "seat seats"),
            ("21:00", {"amount": 2}, "amount"),
            ("21:00", {"movie": 1}, "movie"),
        ],
    )
    def test_every_bad_field_is_named(
        self, client: FlaskClient, timing: str, fields: Any, bad: str
    ) -> None:
        ticket = book(client)
        refused = assert_refused(update(client, ticket, timing, **fields), 400, "invalid_request")
        assert refused["errors"].keys() == set(bad.split())
        assert view(client, ticket).json == ticket

    def test_a_timing_is_required(self, client: FlaskClient) -> None:
        body = {"ticket_id": book(client)["ticket_id"], "phone": ASHA["phone"], "seat": 7}
        refused = assert_refused(client.post("/update", json=body), 400, "invalid_request")
        assert refused["errors"].keys() == {"timing_alter"}


class TestDelete:
    def test_the_seats_are_free_at_once(self, client: FlaskClient) -> None:
        ticket = book(client, amount=3)
        book(client, amount=17)
        answer = delete(client, ticket)
        assert answer.status_code == 200
        assert answer.json == {"ticket_id": ticket["ticket_id"], "deleted": True}
        assert book(client, amount=3)["seats"] == ticket["seats"]
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


class TestMoviesTicket:
    """The assignment's routes take any ticket, but those that change it always need a phone."""

    def test_it_can_be_viewed_without_a_phone(self, client: FlaskClient) -> None:
        ticket = buy(client, add_movie(client))
        assert view(client, ticket).json == ticket

    def test_a_ticket_without_a_phone_is_not_changed(self, client: FlaskClient) -> None:
        ticket = buy(client, add_movie(client))
        assert_refused(update(client, ticket, "21:00"), 403, "phone_mismatch")
        assert_refused(delete(client, ticket), 403, "phone_mismatch")
        body = {"ticket_id": ticket["ticket_id"]}
        refused = assert_refused(client.post("/delete", json=body), 400, "invalid_request")
        assert refused["errors"].keys() == {"phone"}
        assert view(client, ticket).json == ticket

    def test_a_ticket_with_a_phone_is_deleted_with_that_phone(self, client: FlaskClient) -> None:
        ticket = buy(client, add_movie(client), **ASHA)
        assert_refused(delete(client, ticket, RAVI["phone"]), 403, "phone_mismatch")
        assert delete(client, ticket).json == {"ticket_id": ticket["ticket_id"], "deleted": True}

    @pytest.mark.parametrize("timing", ["18:00", "21:00", "03:33"])
    def test_it_has_no_timing_to_change(self, client: FlaskClient, timing: str) -> None:
        ticket = buy(client, add_movie(client), **ASHA)
        refused = assert_refused(update(client, ticket, timing), 400, "invalid_request")
        assert refused["errors"] == {
            "timing_alter": ["This ticket is for a movie, not for the timetable."]
        }
        assert view(client, ticket).json == ticket

    def test_it_is_not_listed_under_a_timing(self, client: FlaskClient) -> None:
        buy(client, add_movie(client, showtime="18:00"))
        assert client.post("/viewontime", json={"timing": "18:00"}).json == []


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
        later = [book(client, date="2046-11-24", seats=seats) for seats in ([1, 20], [2], [3])]
        today = [book(client, seats=seats) for seats in ([5, 6, 7], [4, 8], [10], [1])]
        fill(client, 2, timing="21:00")
        answer = client.post("/viewontime", json={"timing": "18:00"})
        assert answer.status_code == 200
        assert answer.json == [today[3], today[1], today[0], today[2], *later]
        dated = client.post("/viewontime", json={"timing": "18:00", "date": "2046-11-24"})
        assert dated.json == later

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


class TestDaylightSaving:
    """Each instant has the offset of its day."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return replace(settings, theatre_timezone=ZoneInfo("Europe/Berlin"), show_times=("02:30",))

    @pytest.mark.parametrize(
        ("today", "day", "showing_at", "expires_at"),
        [
            (
                date(2046, 3, 20),
                "2046-03-25",  # 02:30 is skipped
                "2046-03-25T03:30:00+02:00",
                "2046-03-25T11:30:00+02:00",
            ),
            (
                date(2046, 10, 20),
                "2046-10-28",  # 02:30 occurs twice
                "2046-10-28T02:30:00+02:00",
                "2046-10-28T09:30:00+01:00",
            ),
        ],
    )
    def test_a_night_when_the_clocks_change(
        self,
        client: FlaskClient,
        clock: Clock,
        today: date,
        day: str,
        showing_at: str,
        expires_at: str,
    ) -> None:
        clock.advance(days=(today - clock.now.date()) // timedelta(days=1))
        ticket = book(client, timing="02:30", date=day, amount=2)
        assert (ticket["showing_at"], ticket["expires_at"]) == (showing_at, expires_at)
        assert client.get(f"/?date={day}").json[0]["showing_at"] == showing_at
        clock.advance(days=8)
        assert admit(client, ticket).status_code == 409
