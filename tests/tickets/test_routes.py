"""Any ticket as a resource, and the seats of any showing."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest
import segno
from flask.testing import FlaskClient
from pymongo.database import Database

from app import create_app
from app.config import Settings
from app.domain.seating import House, best_seats
from tests.conftest import Clock
from tests.helpers import (
    ASHA,
    RAVI,
    add_movie,
    admit,
    assert_refused,
    book,
    buy,
    fill,
    free_seats,
    patch,
    slot,
    view,
)

HOUSE = House(seats=20, seats_per_row=5)
ALL = list(range(1, 21))


def address(ticket: Any) -> str:
    return f"/tickets/{ticket['ticket_id']}"


def take_off_sale(client: FlaskClient, movie: int) -> None:
    assert client.patch(f"/api/movies/{movie}", json={"on_sale": False}).status_code == 200


class TestSeats:
    def test_a_timing_means_its_next_showing(self, client: FlaskClient) -> None:
        book(client, seats=[7, 20])
        answer = client.get("/seats?timing=18:00")
        assert answer.status_code == 200
        assert answer.json == {
            **slot(client, "18:00"),
            "movie": None,
            "screen": None,
            "seats_per_row": 5,
            "free_seats": [seat for seat in ALL if seat not in (7, 20)],
        }
        assert client.get("/seats?timing=09:00").json["date"] == "2046-11-23"

    def test_a_movie_means_its_next_showing(self, client: FlaskClient) -> None:
        movie = add_movie(client, seats=12, showtime="11:22", title="Sholay")
        buy(client, movie, seats=[1, 12])
        answer = client.get(f"/seats?movie={movie}")
        assert (answer.status_code, answer.json) == (
            200,
            {
                "timing": "11:22",
                "title": "Sholay",
                "date": "2046-11-23",
                "showing_at": "2046-11-23T11:22:00+05:30",
                "capacity": 12,
                "booked": 2,
                "blocked": 0,
                "available": 10,
                "bookable": True,
                "movie": movie,
                "screen": 1,
                "seats_per_row": 5,
                "free_seats": list(range(2, 12)),
            },
        )
        assert free_seats(client, f"movie={movie}&date=2046-11-24") == list(range(1, 13))

    def test_a_movie_that_is_not_on_sale_is_not_bookable(self, client: FlaskClient) -> None:
        movie = add_movie(client, on_sale=False)
        seats = client.get(f"/seats?movie={movie}").json or {}
        assert (seats["available"], seats["bookable"]) == (20, False)

    def test_a_date_picks_the_showing_of_that_day(self, client: FlaskClient) -> None:
        book(client, date="2046-11-24", amount=20)
        full = client.get("/seats?timing=18:00&date=2046-11-24").json
        assert (full["free_seats"], full["bookable"]) == ([], False)
        assert free_seats(client, "timing=18:00&date=2046-11-25") == ALL

    def test_a_showing_that_has_started_is_not_bookable(self, client: FlaskClient) -> None:
        started = client.get("/seats?timing=14:00&date=2046-11-22")
        assert (started.status_code, started.json["bookable"]) == (200, False)

    def test_a_showing_beyond_the_booking_window_is_not_bookable(
        self, database: Database[Any], settings: Settings, clock: Clock
    ) -> None:
        settings = replace(settings, advance_days=0)
        client = create_app(database, settings=settings, clock=clock).test_client()
        assert client.get("/seats?timing=09:00").json["bookable"] is False
        assert client.get("/seats?timing=18:00").json["bookable"] is True

    @pytest.mark.parametrize(
        ("query", "bad"),
        [
            ("", "timing movie"),
            ("date=2046-11-23", "timing movie"),
            ("timing=18:30", "timing"),
            ("timing=6pm", "timing"),
            ("timing=18:00&date=2046-11-21", "date"),
            ("timing=18:00&date=2046-12-23", "date"),
            ("timing=18:30&date=2046-12-23&seat=7", "timing date seat"),
            ("timing=18:00&timing=18:00", "timing"),
            ("timing=18:00&movie=1", "timing movie"),
            ("movie=0", "movie"),
            ("movie=-1", "movie"),
            ("movie=1.0", "movie"),
            ("movie=", "movie"),
            ("movie=%D9%A1", "movie"),  # an Arabic digit
            ("movie=2147483648", "movie"),
            ("movie=99999999999999999999", "movie"),
            ("movie=one&date=2046-12-23", "movie date"),
        ],
    )
    def test_every_bad_parameter_is_named(self, client: FlaskClient, query: str, bad: str) -> None:
        refused = assert_refused(client.get(f"/seats?{query}"), 400, "invalid_request")
        assert refused["errors"].keys() == set(bad.split())

    def test_an_unknown_movie_is_not_found(self, client: FlaskClient) -> None:
        assert_refused(client.get("/seats?movie=7"), 404, "movie_not_found")
        assert_refused(client.get("/seats?movie=2147483647"), 404, "movie_not_found")


class TestList:
    def test_tickets_are_listed_by_timing_movie_or_day(self, client: FlaskClient) -> None:
        movie, other = add_movie(client), add_movie(client, showtime="11:22")
        later = book(client, date="2046-11-24", seat=3)
        party = book(client, seats=[2, 3])
        single = book(client, seat=1)
        night = book(client, timing="21:00", seat=4)
        at_the_movie = buy(client, movie, seats=[1, 5])
        tomorrow = buy(client, movie, date="2046-11-23", seat=2)
        noon = buy(client, other, seat=1)  # on the 23rd, too
        for query, tickets in (
            ("timing=18:00", [single, party, later]),
            ("timing=18:00&date=2046-11-22", [single, party]),
            ("timing=18:00&date=2046-11-24", [later]),
            ("timing=18:00&date=0001-01-01", []),
            ("timing=03:33", []),
            (f"movie={movie}", [at_the_movie, tomorrow]),
            (f"movie={movie}&date=2046-11-23", [tomorrow]),
            (f"movie={movie}&date=2046-11-25", []),
            ("date=2046-11-22", [single, party, at_the_movie, night]),
            ("date=2046-11-23", [noon, tomorrow]),
            ("date=2046-11-25", []),
            ("date=9999-12-31", []),
            ("date=0001-01-01", []),
        ):
            answer = client.get(f"/tickets?{query}")
            assert (answer.status_code, answer.json) == (200, tickets), query

    def test_tickets_of_the_movie_that_played_there_before_are_not_listed(
        self, client: FlaskClient, clock: Clock
    ) -> None:
        movie = add_movie(client)
        ticket = buy(client, movie)
        clock.advance(days=1)  # it has expired
        assert client.delete(f"/api/movies/{movie}").status_code == 204
        following = client.post("/api/movies", json={"screen": 1, "showtime": "18:00"}).json or {}
        assert client.get(f"/tickets?movie={following['movie']}").json == []
        assert client.get("/tickets?date=2046-11-22").json == [{**ticket, "expired": True}]

    def test_a_movie_that_is_off_sale_is_listed(self, client: FlaskClient) -> None:
        movie = add_movie(client)
        ticket = buy(client, movie)
        take_off_sale(client, movie)
        assert client.get(f"/tickets?movie={movie}").json == [ticket]

    def test_expired_tickets_are_listed(self, client: FlaskClient, clock: Clock) -> None:
        movie = add_movie(client)
        booked, bought = book(client, seat=1), buy(client, movie)
        clock.advance(days=2)
        for query, tickets in (
            ("timing=18:00", [booked]),
            (f"movie={movie}", [bought]),
            ("date=2046-11-22", [booked, bought]),
        ):
            expired = [{**ticket, "expired": True} for ticket in tickets]
            assert client.get(f"/tickets?{query}").json == expired

    @pytest.mark.parametrize(
        ("query", "bad"),
        [
            ("", "timing movie date"),
            ("timing=9:00", "timing"),
            ("timing=18:00&when=now", "when"),
            ("when=now", "when timing movie date"),
            ("timing=18:00&movie=1", "timing movie"),
            ("movie=x&date=y", "movie date"),
            ("date=2046-11-22&date=2046-11-22", "date"),
        ],
    )
    def test_every_bad_parameter_is_named(self, client: FlaskClient, query: str, bad: str) -> None:
        refused = assert_refused(client.get(f"/tickets?{query}"), 400, "invalid_request")
        assert refused["errors"].keys() == set(bad.split())

    def test_an_unknown_movie_is_not_found(self, client: FlaskClient) -> None:
        assert_refused(client.get("/tickets?movie=7"), 404, "movie_not_found")


class TestView:
    def test_the_location_of_a_booking_shows_it(self, client: FlaskClient) -> None:
        booked = client.post("/tickets", json={**ASHA, "timing": "18:00", "amount": 2})
        assert client.get(booked.headers["Location"]).json == booked.json
        assert view(client, booked.json).json == booked.json

    def test_what_is_not_a_ticket_is_not_found(self, client: FlaskClient) -> None:
        assert_refused(client.get("/tickets/nope"), 404, "ticket_not_found")
        assert_refused(client.get("/tickets/%00%ff%0A"), 404, "ticket_not_found")
        assert_refused(client.get("/tickets/"), 404, "not_found")
        assert_refused(client.put("/tickets/nope"), 405, "method_not_allowed")

    def test_an_expired_ticket_is_shown_as_such(self, client: FlaskClient, clock: Clock) -> None:
        ticket = book(client)
        clock.advance(days=1)
        assert client.get(address(ticket)).json == {**ticket, "expired": True}


class TestMove:
    def test_fields_that_are_not_sent_stay_the_same(self, client: FlaskClient) -> None:
        ticket = book(client, date="2046-11-25", seats=[3, 4])
        moved = patch(client, ticket, date="2046-11-26").json or {}
        assert moved == {
            **ticket,
            "date": "2046-11-26",
            "showing_at": "2046-11-26T18:00:00+05:30",
            "expires_at": "2046-11-27T02:00:00+05:30",
        }
        moved = patch(client, ticket, timing="09:00").json or {}
        assert moved["showing_at"] == "2046-11-26T09:00:00+05:30"
        assert moved["seats"] == [3, 4]
        chosen = {"seat": 11, "seats": [11], "labels": ["C1"]}
        assert patch(client, ticket, seat=11).json == {**moved, **chosen}
        moved = patch(client, ticket, date="2046-11-27", seats=[12, 13]).json or {}
        assert moved["showing_at"] == "2046-11-27T09:00:00+05:30"
        assert moved["seats"] == [12, 13]
        assert patch(client, ticket, date="2046-11-27").json == moved
        assert view(client, ticket).json == moved

    def test_without_a_date_it_keeps_its_date_until_that_showing_starts(
        self, client: FlaskClient, clock: Clock
    ) -> None:
        ticket = book(client, timing="21:00")
        assert patch(client, ticket, timing="15:00").json["date"] == "2046-11-22"
        patch(client, ticket, timing="21:00")
        clock.advance(hours=1)  # 15:03
        assert patch(client, ticket, timing="15:00").json["date"] == "2046-11-23"

    def test_a_party_keeps_its_seats_if_they_are_all_free(self, client: FlaskClient) -> None:
        party = book(client, seats=[1, 2, 3])
        book(client, timing="21:00", seat=4)
        assert patch(client, party, timing="21:00").json["seats"] == [1, 2, 3]
        book(client, timing="20:00", seat=2)
        free = free_seats(client, "timing=20:00")
        best = list(best_seats(free, 3, HOUSE))
        assert patch(client, party, timing="20:00").json["seats"] == best

    def test_it_takes_other_seats_that_overlap_its_own(self, client: FlaskClient) -> None:
        party = book(client, seats=[7, 8, 9])
        for seats in ([8, 9, 10], [6, 8, 10], [7, 8, 9]):
            moved = patch(client, party, seats=seats).json or {}
            assert moved["seats"] == seats
            assert free_seats(client) == [seat for seat in ALL if seat not in seats]
        assert moved == party

    def test_naming_more_or_fewer_seats_resizes_a_party(self, client: FlaskClient) -> None:
        party = book(client, seats=[7, 8])
        assert patch(client, party, seats=[6, 7, 8]).json["labels"] == ["B1", "B2", "B3"]
        assert patch(client, party, timing="21:00", seats=ALL).json["seats"] == ALL
        assert patch(client, party, seat=20).json["seats"] == [20]
        assert slot(client, "18:00")["booked"] == 0
        assert slot(client, "21:00")["booked"] == 1

    def test_it_moves_whole_or_not_at_all(self, client: FlaskClient) -> None:
        party = book(client, seats=[7, 8, 9])
        other = book(client, seat=10)
        book(client, timing="21:00", seats=[seat for seat in ALL if seat not in (7, 20)])
        for fields, code, facts in (
            ({"timing": "21:00"}, "not_enough_seats", {"seats_left": 2}),
            ({"timing": "21:00", "seats": [7, 8]}, "seat_taken", {"free_seats": [7, 20]}),
            (
                {"seats": [9, 10]},
                "seat_taken",
                {"free_seats": [seat for seat in ALL if seat != 10]},
            ),
        ):
            refused = assert_refused(patch(client, party, **fields), 409, code)
            assert {name: refused[name] for name in facts} == facts
            assert view(client, party).json == party
        assert view(client, other).json == other
        assert patch(client, party, timing="21:00", seats=[7, 20]).json["seats"] == [7, 20]

    def test_within_a_full_house(self, client: FlaskClient) -> None:
        party = book(client, seats=[7, 8])
        book(client, amount=18)
        assert patch(client, party, seats=[8, 7]).json == party
        assert patch(client, party, date="2046-11-22").json == party
        refused = assert_refused(patch(client, party, seats=[8, 9]), 409, "seat_taken")
        assert refused["free_seats"] == [7, 8]  # those that it would free itself
        assert patch(client, party, seat=8).json["seats"] == [8]
        assert free_seats(client) == [7]

    def test_to_a_showing_that_has_started(self, client: FlaskClient) -> None:
        ticket = book(client)
        answer = patch(client, ticket, timing="14:00", date="2046-11-22")
        assert_refused(answer, 409, "showing_started")
        assert view(client, ticket).json == ticket

    def test_after_its_showing_has_started(self, client: FlaskClient, clock: Clock) -> None:
        ticket = book(client)
        clock.advance(hours=4)
        for fields in ({"seat": 7}, {"timing": "21:00"}, {"date": "2046-11-23"}):
            assert_refused(patch(client, ticket, **fields), 409, "showing_started")

    def test_after_it_has_expired(self, client: FlaskClient, clock: Clock) -> None:
        tickets = book(client), buy(client, add_movie(client))
        clock.advance(days=1)
        for ticket, phone in zip(tickets, (ASHA["phone"], None), strict=True):
            answer = patch(client, ticket, phone, date="2046-11-24")
            assert_refused(answer, 409, "ticket_expired")
            assert view(client, ticket).json == {**ticket, "expired": True}

    def test_the_phone_is_required(self, client: FlaskClient) -> None:
        ticket = book(client)
        for phone, status, code in (
            (None, 400, "invalid_request"),
            ("12", 400, "invalid_request"),
            (RAVI["phone"], 403, "phone_mismatch"),
        ):
            refused = assert_refused(patch(client, ticket, phone, timing="21:00"), status, code)
            if status == 400:
                assert refused["errors"].keys() == {"Ticket-Phone"}
        refused = assert_refused(
            patch(client, ticket, None, seats=[], timing="18:30"), 400, "invalid_request"
        )
        assert refused["errors"].keys() == {"Ticket-Phone", "seats", "timing"}
        assert view(client, ticket).json == ticket
        assert patch(client, ticket, "+91 9876543210", timing="21:00").status_code == 200

    def test_at_least_one_field_is_required(self, client: FlaskClient) -> None:
        ticket = book(client)
        every = {"timing", "movie", "date", "seat", "seats"}
        refused = assert_refused(patch(client, ticket), 400, "invalid_request")
        assert refused["errors"].keys() == every
        refused = assert_refused(patch(client, ticket, row="A"), 400, "invalid_request")
        assert refused["errors"].keys() == {*every, "row"}

    @pytest.mark.parametrize("name", ["timing", "movie", "date", "seat", "seats"])
    def test_null_is_not_a_value(self, client: FlaskClient, name: str) -> None:
        refused = assert_refused(
            patch(client, book(client), **{name: None}), 400, "invalid_request"
        )
        assert refused["errors"].keys() == {name}

    @pytest.mark.parametrize(
        ("fields", "bad"),
        [
            ({"seat": 21}, "seat"),
            ({"seats": [20, 21]}, "seats"),
            ({"seat": 21, "timing": "21:00"}, "seat"),
            ({"seat": 21, "timing": "18:30"}, "seat timing"),
            ({"seats": [21], "timing": "18:30", "date": "2046-12-23"}, "seats timing date"),
            ({"seat": 0, "date": "2020-01-01"}, "seat date"),
            ({"seats": [7, 7], "timing": "18:30"}, "seats timing"),
            ({"seat": 7, "seats": [7]}, "seat seats"),
            ({"seat": 7, "amount": 2}, "seat amount"),
            ({"amount": 2}, "timing movie date seat seats amount"),
            ({"movie": "1", "timing": 7}, "movie timing"),
            ({"movie": 1}, "movie"),
            ({"movie": 1, "seat": 7}, "movie"),
            ({"movie": 1, "timing": "18:30"}, "movie timing"),
        ],
    )
    def test_every_bad_field_is_named(self, client: FlaskClient, fields: Any, bad: str) -> None:
        ticket = book(client)
        refused = assert_refused(patch(client, ticket, **fields), 400, "invalid_request")
        assert refused["errors"].keys() == set(bad.split())
        assert view(client, ticket).json == ticket


class TestChangedHouse:
    """What was booked before the settings changed stays as it is."""

    def changed(
        self, database: Database[Any], settings: Settings, clock: Clock, **fields: Any
    ) -> FlaskClient:
        return create_app(database, settings=replace(settings, **fields), clock=clock).test_client()

    def test_a_ticket_keeps_a_seat_above_a_lowered_capacity(
        self, database: Database[Any], settings: Settings, clock: Clock, client: FlaskClient
    ) -> None:
        ticket = book(client, seats=[19, 20])
        smaller = self.changed(database, settings, clock, slot_capacity=10)
        assert patch(smaller, ticket, timing="18:00").json == ticket
        assert patch(smaller, ticket, date="2046-11-22").json == ticket
        refused = assert_refused(patch(smaller, ticket, seat=20), 400, "invalid_request")
        assert refused["errors"] == {"seat": ["The seats are numbered from 1 to 10."]}
        moved = patch(smaller, ticket, timing="21:00").json or {}
        assert moved["seats"] == list(best_seats(range(1, 11), 2, House(10, 5)))

    def test_a_ticket_whose_timing_has_left_the_timetable(
        self, database: Database[Any], settings: Settings, clock: Clock, client: FlaskClient
    ) -> None:
        ticket = book(client, seats=[7, 8])
        book(client, seat=9)
        changed = self.changed(database, settings, clock, show_times=("17:00", "21:00"))
        assert view(changed, ticket).json == ticket
        assert ticket in (changed.get("/tickets?timing=18:00").json or [])
        assert patch(changed, ticket, timing="18:00").json == ticket
        assert patch(changed, ticket, seats=[8, 10]).json["seats"] == [8, 10]
        assert_refused(patch(changed, ticket, seat=9), 409, "seat_taken")
        refused = assert_refused(patch(changed, ticket, date="2046-11-23"), 400, "invalid_request")
        assert refused["errors"] == {
            "timing": ["Not in the timetable. The show times are 17:00, 21:00."]
        }
        moved = patch(changed, ticket, timing="21:00").json or {}
        assert (moved["timing"], moved["seats"]) == ("21:00", [8, 10])


class TestDelete:
    def test_its_seats_are_free_at_once(self, client: FlaskClient) -> None:
        ticket = book(client, seats=[7, 8])
        deleted = client.delete(address(ticket), headers={"Ticket-Phone": "+91 9876543210"})
        assert (deleted.status_code, deleted.data) == (204, b"")
        assert free_seats(client) == ALL
        assert_refused(client.get(address(ticket)), 404, "ticket_not_found")
        again = client.delete(address(ticket), headers={"Ticket-Phone": ASHA["phone"]})
        assert_refused(again, 404, "ticket_not_found")

    def test_the_phone_is_required(self, client: FlaskClient) -> None:
        ticket = book(client)
        refused = assert_refused(client.delete(address(ticket)), 400, "invalid_request")
        assert refused["errors"] == {"Ticket-Phone": ["Missing data for required field."]}
        for phone, status, code in (
            ("12", 400, "invalid_request"),
            (RAVI["phone"], 403, "phone_mismatch"),
        ):
            answer = client.delete(address(ticket), headers={"Ticket-Phone": phone})
            assert_refused(answer, status, code)
        assert view(client, ticket).json == ticket

    def test_an_expired_ticket_can_be_deleted(self, client: FlaskClient, clock: Clock) -> None:
        booked, bought = book(client), buy(client, add_movie(client))
        clock.advance(days=1)
        phone = {"Ticket-Phone": ASHA["phone"]}
        assert client.delete(address(booked), headers=phone).status_code == 204
        assert client.delete(address(bought)).status_code == 204


class TestMoviesTicket:
    @pytest.fixture
    def movie(self, client: FlaskClient) -> int:
        return add_movie(client, title="Sholay")

    def test_without_a_phone_its_id_is_enough(self, client: FlaskClient, movie: int) -> None:
        ticket = buy(client, movie, seats=[7, 8])
        assert client.get(address(ticket)).json == view(client, ticket).json == ticket
        assert (ticket["name"], ticket["phone"]) == (None, None)
        refused = patch(client, ticket, ASHA["phone"], seat=9)
        assert_refused(refused, 403, "phone_mismatch")
        headers = {"Ticket-Phone": ASHA["phone"]}
        refused = client.delete(address(ticket), headers=headers)
        assert_refused(refused, 403, "phone_mismatch")
        assert patch(client, ticket, None, seats=[8, 9]).json["seats"] == [8, 9]
        assert client.delete(address(ticket)).status_code == 204
        assert free_seats(client, f"movie={movie}") == ALL

    def test_with_a_phone_the_phone_is_required(self, client: FlaskClient, movie: int) -> None:
        ticket = buy(client, movie, **ASHA)
        assert (ticket["name"], ticket["phone"]) == ("Asha Rao", "98765 43210")
        refused = assert_refused(patch(client, ticket, None, seat=9), 400, "invalid_request")
        assert refused["errors"] == {"Ticket-Phone": ["Missing data for required field."]}
        refused = assert_refused(client.delete(address(ticket)), 400, "invalid_request")
        assert refused["errors"] == {"Ticket-Phone": ["Missing data for required field."]}
        assert_refused(patch(client, ticket, RAVI["phone"], seat=9), 403, "phone_mismatch")
        assert patch(client, ticket, ASHA["phone"], seat=9).json["seats"] == [9]
        headers = {"Ticket-Phone": ASHA["phone"]}
        assert client.delete(address(ticket), headers=headers).status_code == 204

    def test_it_moves_to_another_day(self, client: FlaskClient, movie: int) -> None:
        ticket = buy(client, movie, seats=[7, 8])
        moved = patch(client, ticket, None, date="2046-11-25").json
        assert moved == {
            **ticket,
            "date": "2046-11-25",
            "showing_at": "2046-11-25T18:00:00+05:30",
            "expires_at": "2046-11-26T02:00:00+05:30",
        }
        assert free_seats(client, f"movie={movie}") == ALL
        assert patch(client, ticket, None, movie=movie, date="2046-11-22", seat=1).json == {
            **ticket,
            "seat": 1,
            "seats": [1],
            "labels": ["A1"],
        }

    def test_it_moves_to_another_movie(self, client: FlaskClient, movie: int) -> None:
        other = add_movie(client, seats=30, showtime="20:00", title="Mughal-e-Azam")
        ticket = buy(client, movie, date="2046-11-24", seats=[7, 8])
        moved = patch(client, ticket, None, movie=other).json
        assert moved == {
            **ticket,
            "movie": other,
            "screen": 2,
            "title": "Mughal-e-Azam",
            "timing": "20:00",
            "showing_at": "2046-11-24T20:00:00+05:30",
            "expires_at": "2046-11-25T04:00:00+05:30",
        }
        assert client.get(f"/tickets?movie={other}").json == [moved]
        assert client.get(f"/tickets?movie={movie}").json == []
        assert free_seats(client, f"movie={movie}&date=2046-11-24") == ALL
        assert patch(client, ticket, None, seat=30).json["labels"] == ["F5"]
        smaller = patch(client, ticket, None, movie=movie).json or {}
        assert smaller["seats"] == list(best_seats(ALL, 1, HOUSE))  # it has no seat 30

    def test_labels_follow_its_house(self, client: FlaskClient, movie: int) -> None:
        wide = client.post("/api/screens", json={"seats": 40, "seats_per_row": 10}).json or {}
        body = {"screen": wide["screen"], "showtime": "18:00"}
        other = (client.post("/api/movies", json=body).json or {})["movie"]
        client.put("/api/tickets", json={"movie": other})
        ticket = buy(client, movie, seats=[7, 8])
        assert ticket["labels"] == ["B2", "B3"]
        assert patch(client, ticket, None, movie=other).json["labels"] == ["A7", "A8"]

    def test_it_does_not_move_to_a_movie_that_is_not_on_sale(
        self, client: FlaskClient, movie: int
    ) -> None:
        other = add_movie(client, on_sale=False)
        ticket = buy(client, movie)
        assert_refused(patch(client, ticket, None, movie=other), 409, "not_on_sale")
        assert_refused(patch(client, ticket, None, movie=99), 404, "movie_not_found")
        assert view(client, ticket).json == ticket

    def test_it_stays_valid_when_its_movie_goes_off_sale(
        self, client: FlaskClient, movie: int
    ) -> None:
        ticket = buy(client, movie, seats=[7, 8])
        take_off_sale(client, movie)
        assert view(client, ticket).json == ticket
        assert patch(client, ticket, None, movie=movie).json == ticket
        assert patch(client, ticket, None, seats=[8, 9]).json["seats"] == [8, 9]
        assert_refused(patch(client, ticket, None, date="2046-11-25"), 409, "not_on_sale")

    def test_a_retry_succeeds_after_its_movie_goes_off_sale(
        self, client: FlaskClient, movie: int
    ) -> None:
        ticket = buy(client, movie, key="key-12345", amount=2)
        take_off_sale(client, movie)
        assert buy(client, movie, status=409)["code"] == "not_on_sale"
        assert buy(client, movie, key="key-12345", amount=2) == ticket
        assert buy(client, movie, key="key-67890", status=409)["code"] == "not_on_sale"

    def test_the_stored_fingerprint_matches_version_1_0(
        self, client: FlaskClient, database: Database[Any], movie: int
    ) -> None:
        ticket = buy(client, movie, key="key-12345")
        assert movie == 1
        stored = database["tickets"].find_one({"_id": ticket["admission_code"]}) or {}
        assert stored["request"] == {
            "key": "key-12345",
            "fingerprint": "1db1f2e0f52d2809b431aa6906921134d050c65a3c5113f92e71cfca0716c0c8",
        }
        assert buy(client, movie, key="key-12345", amount=1) == ticket

    def test_it_keeps_the_title_it_was_sold_with(self, client: FlaskClient, movie: int) -> None:
        ticket = buy(client, movie)
        client.patch(f"/api/movies/{movie}", json={"title": "Deewaar"})
        assert view(client, ticket).json["title"] == "Sholay"
        assert patch(client, ticket, None, seat=1).json["title"] == "Sholay"
        assert patch(client, ticket, None, date="2046-11-25").json["title"] == "Deewaar"

    def test_a_ticket_does_not_move_between_timetable_and_movies(
        self, client: FlaskClient, movie: int
    ) -> None:
        bought, booked = buy(client, movie), book(client)
        for timing in ("18:00", "21:00"):
            refused = patch(client, bought, None, timing=timing)
            assert assert_refused(refused, 400, "invalid_request")["errors"] == {
                "timing": ["This ticket is for a movie, not for the timetable."]
            }
        refused = patch(client, booked, movie=movie)
        assert assert_refused(refused, 400, "invalid_request")["errors"] == {
            "movie": ["This ticket is for the timetable, not for a movie."]
        }
        for ticket in (bought, booked):
            assert view(client, ticket).json == ticket

    def test_every_bad_field_of_a_move_is_named(self, client: FlaskClient, movie: int) -> None:
        bought = buy(client, movie, phone=ASHA["phone"])
        larger = add_movie(client, seats=30)
        for phone, fields, bad in (
            (None, {"movie": movie, "seat": 21}, "phone seat"),
            (None, {"movie": larger, "seat": 21}, "phone"),
            (ASHA["phone"], {"timing": "21:00", "date": "2046-11-21"}, "timing date"),
            (ASHA["phone"], {"timing": "21:00", "seat": 21}, "timing seat"),
        ):
            refused = assert_refused(patch(client, bought, phone, **fields), 400, "invalid_request")
            names = {name.replace("Ticket-Phone", "phone") for name in refused["errors"]}
            assert names == set(bad.split())

    def test_a_seat_the_screen_does_not_have_is_refused(
        self, client: FlaskClient, movie: int
    ) -> None:
        ticket = buy(client, movie)
        refused = assert_refused(
            patch(client, ticket, None, seat=21, date="2046-12-23"), 400, "invalid_request"
        )
        assert refused["errors"].keys() == {"seat", "date"}

    def test_it_shares_no_seats_with_the_timetable(self, client: FlaskClient, movie: int) -> None:
        fill(client)
        assert buy(client, movie, amount=20)["seats"] == ALL
        assert_refused(client.get(f"/seats?movie={movie + 1}"), 404, "movie_not_found")
        assert slot(client, "18:00")["booked"] == 20

    def test_once_admitted_it_is_neither_moved_nor_deleted(
        self, client: FlaskClient, clock: Clock, movie: int
    ) -> None:
        ticket = buy(client, movie, amount=3)
        clock.advance(hours=2)
        assert admit(client, ticket, people=1).status_code == 200
        for answer in (
            patch(client, ticket, None, date="2046-11-25"),
            client.delete(address(ticket)),
        ):
            refused = assert_refused(answer, 409, "already_admitted")
            assert (refused["admitted"], refused["people_left"]) == (1, 2)


class TestQRCode:
    @pytest.fixture(params=["timetable", "movie"])
    def ticket(self, client: FlaskClient, request: pytest.FixtureRequest) -> Any:
        return book(client) if request.param == "timetable" else buy(client, add_movie(client))

    def test_it_is_a_scalable_image(self, client: FlaskClient, ticket: Any) -> None:
        answer = client.get(f"{address(ticket)}/qr.svg")
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

    def test_each_ticket_has_a_different_one(self, client: FlaskClient, ticket: Any) -> None:
        images = {
            client.get(f"{address(each)}/qr.svg").data for each in (ticket, ticket, book(client))
        }
        assert len(images) == 2
        assert not any(ticket["ticket_id"].encode() in image for image in images)

    def test_it_is_not_found_for_an_unknown_ticket(self, client: FlaskClient, ticket: Any) -> None:
        for ticket_id in ("nope", ticket["admission_code"], ticket["ticket_id"][:-1]):
            answer = client.get(f"/tickets/{ticket_id}/qr.svg")
            assert_refused(answer, 404, "ticket_not_found")
