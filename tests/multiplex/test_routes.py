"""The multiplex's routes: screens, movies, tickets on sale and bought."""

from __future__ import annotations

import random
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database
from werkzeug.test import TestResponse

from app import create_app
from app.config import Settings
from tests.conftest import Clock
from tests.helpers import ASHA, assert_refused, book, slot

MOVIE = {
    "movie": 1,
    "screen": 1,
    "title": None,
    "showtime": "18:00",
    "on_sale": False,
    "date": "2046-11-22",
    "showing_at": "2046-11-22T18:00:00+05:30",
    "seats": 10,
    "purchased_seats": 0,
    "free_seats": 10,
}
SCREEN = {"screen": 1, "seats": 10, "seats_per_row": 20, "movies": []}


def ok(answer: TestResponse, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json


def add_screen(client: FlaskClient, seats: int = 10, **fields: Any) -> Any:
    return ok(client.post("/api/screens", json={"seats": seats, **fields}), 201)


def schedule(client: FlaskClient, **fields: Any) -> TestResponse:
    return client.post("/api/movies", json={"screen": 1, "showtime": "18:00", **fields})


def add_movie(client: FlaskClient, **fields: Any) -> Any:
    return ok(schedule(client, **fields), 201)


def put_on_sale(client: FlaskClient, movie: int = 1) -> TestResponse:
    return client.put("/api/tickets", json={"movie": movie})


def buy(client: FlaskClient, key: str | None = None, **fields: Any) -> TestResponse:
    headers = {"Idempotency-Key": key} if key else {}
    return client.post("/api/tickets", json={"movie": 1, **fields}, headers=headers)


@pytest.fixture
def house(client: FlaskClient) -> FlaskClient:
    """A client of a multiplex with one movie, on sale, on a screen with 10 seats."""
    add_screen(client)
    add_movie(client)
    ok(put_on_sale(client))
    return client


def only_movie(client: FlaskClient, day: str | None = None) -> Any:
    (movie,) = ok(client.get("/api/movies", query_string={"date": day} if day else None))
    return movie


# ---- Screens and movies


def test_an_empty_multiplex_has_empty_lists(client: FlaskClient) -> None:
    assert ok(client.get("/api/screens")) == []
    assert ok(client.get("/api/movies")) == []
    assert ok(client.get("/api/movies?date=2046-11-23")) == []


def test_screens_are_listed_with_their_movies(client: FlaskClient) -> None:
    assert add_screen(client) == SCREEN
    assert add_movie(client) == MOVIE
    titled = add_movie(client, title=" Sholay ", showtime="11:22")
    assert titled["title"] == "Sholay"
    assert titled["showing_at"] == "2046-11-23T11:22:00+05:30"
    assert ok(client.get("/api/movies")) == [MOVIE, titled]
    assert ok(client.get("/api/screens")) == [{**SCREEN, "movies": [MOVIE, titled]}]


@pytest.mark.parametrize(("seats", "per_row"), [(1, 100), (996, 1), (7, 3)])
def test_a_screen_has_rows(client: FlaskClient, seats: int, per_row: int) -> None:
    screen = {**SCREEN, "seats": seats, "seats_per_row": per_row}
    assert add_screen(client, seats, seats_per_row=per_row) == screen
    assert ok(client.get("/api/screens")) == [screen]
    add_movie(client)
    assert ok(client.get("/seats?movie=1"))["seats_per_row"] == per_row
    ok(put_on_sale(client))
    rows, rest = divmod(seats - 1, per_row)
    letters = chr(64 + rows // 26) * (rows > 25) + chr(65 + rows % 26)
    assert ok(buy(client, seat=seats), 201)["labels"] == [
        "ALH1" if rows == 995 else f"{letters}{rest + 1}"
    ]


def test_the_default_showtime_is_now(client: FlaskClient) -> None:
    add_screen(client)
    movie = ok(client.post("/api/movies", json={"screen": 1}), 201)
    assert movie["showtime"] == "14:03"
    assert movie["showing_at"] == "2046-11-22T14:03:00+05:30"


def test_two_movies_cannot_share_a_screen_and_a_time(client: FlaskClient) -> None:
    add_screen(client)
    add_screen(client)
    add_movie(client, screen=2)
    add_movie(client)
    for again in (schedule(client), schedule(client, title="Sholay")):
        assert assert_refused(again, 409, "screen_busy")["movie"] == 2
    now = {"screen": 1, "showtime": "14:03"}
    ok(client.post("/api/movies", json=now), 201)
    assert assert_refused(client.post("/api/movies", json={"screen": 1}), 409, "screen_busy")
    assert add_movie(client, showtime="18:01")["movie"] == 4
    assert len(ok(client.get("/api/movies"))) == 4


def test_only_one_of_several_concurrent_movies_gets_the_screen(
    mongod_database: Database[Any], settings: Settings, clock: Clock, rounds: int
) -> None:
    app = create_app(mongod_database, settings=settings, clock=clock)
    add_screen(app.test_client())
    for number in range(rounds):
        barrier = Barrier(24)

        def add(_: int) -> TestResponse:
            barrier.wait()  # noqa: B023
            return schedule(app.test_client(), showtime=f"18:{number:02}")  # noqa: B023

        with ThreadPoolExecutor(24) as pool:
            answers = list(pool.map(add, range(24)))
        (added,) = (answer for answer in answers if answer.status_code == 201)
        for answer in answers:
            if answer is not added:
                refused = assert_refused(answer, 409, "screen_busy")
                assert refused["movie"] == added.json["movie"]
    assert len(ok(app.test_client().get("/api/movies"))) == rounds


def test_movies_at_different_times_share_a_screen(house: FlaskClient) -> None:
    add_movie(house, showtime="21:00")
    ok(put_on_sale(house, 2))
    for movie in (1, 2):
        assert ok(buy(house, movie=movie, amount=10), 201)["seats"] == [*range(1, 11)]
    assert [movie["free_seats"] for movie in ok(house.get("/api/movies"))] == [0, 0]


def test_the_timetable_plays_in_a_separate_house(house: FlaskClient) -> None:
    ticket = book(house, timing="18:00", seats=[1, 2])
    bought = ok(buy(house, seats=[1, 2]), 201)
    assert (ticket["seats"], ticket["screen"]) == (bought["seats"], None)
    assert ok(house.get("/seats?movie=1"))["free_seats"] == [*range(3, 11)]
    assert ok(house.get("/seats?timing=18:00"))["free_seats"] == [*range(3, 21)]
    assert slot(house, "18:00")["booked"] == 2
    assert ok(house.get("/tickets?timing=18:00")) == [ticket]
    assert ok(house.get("/tickets?movie=1")) == [bought]


def test_movies_are_listed_with_a_days_seats(house: FlaskClient, clock: Clock) -> None:
    ok(buy(house, amount=3, date="2046-11-24"), 201)
    assert only_movie(house, "2046-11-24") == {
        **MOVIE,
        "on_sale": True,
        "date": "2046-11-24",
        "showing_at": "2046-11-24T18:00:00+05:30",
        "purchased_seats": 3,
        "free_seats": 7,
    }
    clock.advance(hours=4)  # today's showing has started
    assert only_movie(house)["date"] == "2046-11-23"
    assert only_movie(house, "2046-11-22")["date"] == "2046-11-22"
    for day in ("2046-11-21", "2046-12-23", "today", "", "20461124"):
        answer = house.get(f"/api/movies?date={day}")
        assert assert_refused(answer, 400, "invalid_request")["errors"].keys() == {"date"}


# ---- On sale and off


def test_tickets_go_on_sale(client: FlaskClient) -> None:
    add_screen(client)
    add_movie(client)
    assert_refused(buy(client), 409, "not_on_sale")
    for _ in range(2):
        assert ok(put_on_sale(client)) == {**MOVIE, "on_sale": True}
    assert only_movie(client)["on_sale"] is True
    assert_refused(put_on_sale(client, 2), 404, "movie_not_found")


def change(client: FlaskClient, **fields: Any) -> TestResponse:
    return client.patch("/api/movies/1", json=fields)


def test_renaming_a_movie_keeps_the_title_on_sold_tickets(
    house: FlaskClient,
) -> None:
    before = ok(buy(house), 201)
    assert before["title"] is None
    renamed = {**MOVIE, "on_sale": True, "title": "Anand", "purchased_seats": 1, "free_seats": 9}
    assert ok(change(house, title=" Anand ")) == renamed
    assert only_movie(house) == renamed
    assert ok(buy(house), 201)["title"] == "Anand"
    assert ok(house.get(f"/tickets/{before['ticket_id']}")) == before


def test_taking_a_movie_off_sale_keeps_its_tickets_valid(house: FlaskClient, clock: Clock) -> None:
    ticket = ok(buy(house, key="key-12345", amount=2), 201)
    path = f"/tickets/{ticket['ticket_id']}"
    off_sale = {**MOVIE, "purchased_seats": 2, "free_seats": 8}
    for _ in range(2):
        assert ok(change(house, on_sale=False)) == off_sale
    assert_refused(buy(house), 409, "not_on_sale")
    assert ok(house.get("/seats?movie=1"))["bookable"] is False
    assert ok(buy(house, key="key-12345", amount=2), 201) == ticket
    assert ok(house.get(path)) == ticket
    assert_refused(house.patch(path, json={"date": "2046-11-23"}), 409, "not_on_sale")
    moved = ok(house.patch(path, json={"seats": [9, 10]}))  # within its own showing
    assert moved == {**ticket, "seat": 9, "seats": [9, 10], "labels": ["A9", "A10"]}
    clock.advance(hours=2)
    admitted = house.post("/admissions", json={"admission_code": ticket["admission_code"]})
    assert ok(admitted)["admitted"] == 2
    both = change(house, on_sale=True, title="Sholay")
    assert ok(both) == {**off_sale, "on_sale": True, "title": "Sholay"}
    assert ok(buy(house), 201)["title"] == "Sholay"


# ---- Deleting movies


def test_deleting_a_movie_frees_its_screen(house: FlaskClient) -> None:
    deleted = house.delete("/api/movies/1")
    assert (deleted.status_code, deleted.data) == (204, b"")
    assert_refused(house.delete("/api/movies/1"), 404, "movie_not_found")
    assert_refused(buy(house), 404, "movie_not_found")
    assert_refused(change(house, on_sale=True), 404, "movie_not_found")
    assert_refused(house.get("/seats?movie=1"), 404, "movie_not_found")
    assert_refused(house.get("/tickets?movie=1"), 404, "movie_not_found")
    assert ok(house.get("/api/screens")) == [SCREEN]
    assert add_movie(house) == {**MOVIE, "movie": 2}


def test_a_movie_cannot_be_deleted_until_its_tickets_expire(
    mongod_database: Database[Any], settings: Settings, clock: Clock
) -> None:
    house = create_app(mongod_database, settings=settings, clock=clock).test_client()
    add_screen(house)
    add_movie(house)
    ok(put_on_sale(house))
    todays = [ok(buy(house, amount=amount), 201) for amount in (1, 3)]
    tomorrows = ok(buy(house, date="2046-11-23"), 201)
    before = only_movie(house)
    assert assert_refused(house.delete("/api/movies/1"), 409, "has_tickets")["tickets"] == 3
    assert only_movie(house) == before  # and still on sale
    assert house.delete(f"/tickets/{tomorrows['ticket_id']}").status_code == 204
    assert assert_refused(house.delete("/api/movies/1"), 409, "has_tickets")["tickets"] == 2
    clock.advance(hours=11, minutes=56)  # 01:59, a minute before they expire
    assert assert_refused(house.delete("/api/movies/1"), 409, "has_tickets")["tickets"] == 2
    clock.advance(minutes=1)
    assert house.delete("/api/movies/1").status_code == 204
    # MongoDB has not removed them yet.
    assert ok(house.get(f"/tickets/{todays[0]['ticket_id']}"))["expired"] is True
    assert add_movie(house)["movie"] == 2


def test_tickets_of_other_movies_do_not_prevent_deletion(house: FlaskClient) -> None:
    add_screen(house)
    elsewhere: list[dict[str, Any]] = [{"screen": 2}, {"showtime": "21:00"}]
    for number, place in enumerate(elsewhere, 2):
        add_movie(house, **place)
        ok(put_on_sale(house, number))
        ok(buy(house, movie=number), 201)
    book(house, timing="18:00")
    assert house.delete("/api/movies/1").status_code == 204


@pytest.mark.parametrize(
    "number",
    [
        "2",
        "0",
        "-1",
        "2147483647",
        "2147483648",
        "9" * 30,
        "9" * 5000,
        "x",
        "1.0",
        "१",
        "1a",
        "%00",
    ],
)
@pytest.mark.parametrize("method", ["PATCH", "DELETE"])
def test_an_unknown_movie_is_not_found(house: FlaskClient, method: str, number: str) -> None:
    answer = house.open(f"/api/movies/{number}", method=method, json={"on_sale": False})
    assert answer.status_code == 404
    assert answer.json["code"] in ("movie_not_found", "not_found")
    assert only_movie(house)["on_sale"] is True


# ---- Purchases


def test_the_response_is_a_ticket(house: FlaskClient) -> None:
    answer = buy(house, amount=3)
    ticket = ok(answer, 201)
    assert re.fullmatch(r"[0-9A-Z]{12}[A-Za-z0-9_-]{22}", ticket["ticket_id"])
    assert ticket == {
        "ticket_id": ticket["ticket_id"],
        "name": None,
        "phone": None,
        "timing": "18:00",
        "date": "2046-11-22",
        "showing_at": "2046-11-22T18:00:00+05:30",
        "movie": 1,
        "screen": 1,
        "title": None,
        "seat": ticket["seats"][0],
        "seats": ticket["seats"],
        "labels": [f"A{seat}" for seat in ticket["seats"]],
        "expired": False,
        "expires_at": "2046-11-23T02:00:00+05:30",
        "booked_at": "2046-11-22T14:03:11+05:30",
        "admission_code": ticket["ticket_id"][:12],
        "admitted": 0,
        "admitted_at": None,
    }
    first = ticket["seat"]
    assert ticket["seats"] == [first, first + 1, first + 2]
    assert answer.headers["Location"] == f"/tickets/{ticket['ticket_id']}"
    assert ok(house.get(answer.headers["Location"])) == ticket
    assert ok(house.post("/viewuser", json={"ticket_id": ticket["ticket_id"]})) == ticket
    assert ok(house.get("/tickets?movie=1&date=2046-11-22")) == [ticket]
    assert only_movie(house) == {**MOVIE, "on_sale": True, "purchased_seats": 3, "free_seats": 7}


def test_one_seat_is_the_default(house: FlaskClient) -> None:
    assert len(ok(buy(house), 201)["seats"]) == 1


def test_a_ticket_has_the_buyers_name_and_phone(house: FlaskClient) -> None:
    ticket = ok(buy(house, **ASHA), 201)
    assert (ticket["name"], ticket["phone"]) == ("Asha Rao", "98765 43210")
    path = f"/tickets/{ticket['ticket_id']}"
    assert_refused(house.delete(path), 400, "invalid_request")
    wrong = {"Ticket-Phone": "+91 91234 56780"}
    assert_refused(house.delete(path, headers=wrong), 403, "phone_mismatch")
    assert house.delete(path, headers={"Ticket-Phone": "+919876543210"}).status_code == 204
    named = ok(buy(house, name="Asha"), 201)
    assert (named["name"], named["phone"]) == ("Asha", None)


def test_a_ticket_without_a_phone_can_be_deleted_by_its_id(house: FlaskClient) -> None:
    ticket = ok(buy(house, amount=10), 201)
    path = f"/tickets/{ticket['ticket_id']}"
    headers = {"Ticket-Phone": ASHA["phone"]}
    assert_refused(house.delete(path, headers=headers), 403, "phone_mismatch")
    assert house.delete(path).status_code == 204
    assert ok(buy(house, amount=10), 201)


def test_seats_can_be_chosen(house: FlaskClient) -> None:
    assert ok(buy(house, seat=7), 201)["seats"] == [7]
    assert ok(buy(house, seats=[10, 1]), 201)["seats"] == [1, 10]
    for chosen in ({"seat": 7}, {"seats": [7]}, {"seats": [2, 1]}, {"seats": [1, 7, 10]}):
        refused = assert_refused(buy(house, **chosen), 409, "seat_taken")
        assert refused["free_seats"] == [2, 3, 4, 5, 6, 8, 9]
    assert only_movie(house)["purchased_seats"] == 3


def test_a_purchase_is_all_or_nothing(house: FlaskClient) -> None:
    ok(buy(house, amount=8), 201)
    for amount in (3, 11, 10_000):
        refused = assert_refused(buy(house, amount=amount), 409, "not_enough_seats")
        assert refused["seats_left"] == 2
    assert only_movie(house)["free_seats"] == 2
    ok(buy(house, amount=2), 201)
    for wanted in ({}, {"amount": 996}, {"seat": 1}, {"seats": [1, 2]}):
        assert assert_refused(buy(house, **wanted), 409, "sold_out")["seats_left"] == 0
    assert_refused(put_on_sale(house), 409, "sold_out")


def test_the_largest_house_can_be_bought_at_once(client: FlaskClient) -> None:
    add_screen(client, 996)
    add_movie(client)
    put_on_sale(client)
    ticket = ok(buy(client, amount=996), 201)
    assert ticket["seats"] == [*range(1, 997)]
    assert (ticket["labels"][0], ticket["labels"][-1]) == ("A1", "AX16")


def test_every_day_starts_with_an_empty_house(house: FlaskClient, clock: Clock) -> None:
    yesterdays = ok(buy(house, key="key-12345", amount=10), 201)
    assert_refused(put_on_sale(house), 409, "sold_out")
    clock.advance(hours=4)  # 18:03, so tomorrow's showing is the next
    assert only_movie(house)["date"] == "2046-11-23"
    assert only_movie(house)["purchased_seats"] == 0
    todays = ok(buy(house, amount=10), 201)
    assert (yesterdays["date"], todays["date"]) == ("2046-11-22", "2046-11-23")
    assert_refused(buy(house), 409, "sold_out")
    assert ok(buy(house, key="key-12345", amount=10), 201) == yesterdays


def test_a_date_can_be_chosen(house: FlaskClient, clock: Clock) -> None:
    assert ok(buy(house, date="2046-12-22"), 201)["showing_at"] == "2046-12-22T18:00:00+05:30"
    assert only_movie(house)["purchased_seats"] == 0
    for day in ("2046-11-21", "2046-12-23"):
        refused = assert_refused(buy(house, date=day), 400, "invalid_request")
        assert refused["errors"].keys() == {"date"}
    clock.advance(hours=4)
    assert_refused(buy(house, date="2046-11-22"), 409, "showing_started")


def test_the_booking_window_applies_without_a_date(
    database: Database[Any], settings: Settings, clock: Clock
) -> None:
    today_only = replace(settings, advance_days=0)
    house = create_app(database, settings=today_only, clock=clock).test_client()
    add_screen(house)
    add_movie(house)
    put_on_sale(house)
    ok(buy(house), 201)
    clock.advance(hours=4)
    assert assert_refused(buy(house), 400, "invalid_request")["errors"].keys() == {"movie"}


def test_a_retry_buys_once(house: FlaskClient) -> None:
    first = buy(house, key="key-12345", amount=6)
    again = buy(house, key="key-12345", amount=6)
    assert ok(again, 201) == ok(first, 201)
    assert again.headers["Location"] == first.headers["Location"]
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    for other in (
        {"amount": 1},
        {"seats": first.json["seats"]},
        {"amount": 6, "date": "2046-11-22"},
        {"amount": 6, "name": "Asha"},
        {"amount": 6, "phone": ASHA["phone"]},
    ):
        assert_refused(buy(house, key="key-12345", **other), 422, "idempotency_key_reused")
    assert only_movie(house)["purchased_seats"] == 6


def test_an_amount_of_one_is_the_same_request_as_the_default(house: FlaskClient) -> None:
    first = ok(buy(house, key="key-12345"), 201)
    assert ok(buy(house, key="key-12345", amount=1), 201) == first


def test_bookings_and_purchases_share_keys(house: FlaskClient) -> None:
    ok(buy(house, key="key-12345"), 201)
    assert book(house, key="key-12345", status=422)["code"] == "idempotency_key_reused"
    book(house, key="key-67890")
    assert_refused(buy(house, key="key-67890"), 422, "idempotency_key_reused")
    assert only_movie(house)["purchased_seats"] == 1


# ---- Bad input


NO_SEATS: list[Any] = [[], 1, "1", None, {"1": 1}]
NO_TITLES: list[Any] = ["", " ", "x" * 101, "a\n", 5, None, []]
NOT_BOOLEAN: list[Any] = [0, 1, "true", "", None, [], "on"]
NO_NUMBERS: list[Any] = [0, -1, "1", "", None, True, 1.0, 2**31, 2**64, [1], {"$gt": 0}]
BAD = [
    *[("POST", "/api/screens", {"seats": n}) for n in (*NO_NUMBERS, 997, 10**400)],
    *[
        ("POST", "/api/screens", {"seats": 5, "seats_per_row": n})
        for n in (*NO_NUMBERS, 101, 10**400)
    ],
    ("POST", "/api/screens", {}),
    ("POST", "/api/screens", {"seats_per_row": 5}),
    ("POST", "/api/screens", {"seats": 5, "rows": 2}),
    *[("POST", "/api/movies", {"screen": n}) for n in NO_NUMBERS],
    *[("POST", "/api/movies", {"screen": 1, "showtime": t}) for t in (2, "25:00", "9:00", None)],
    *[("POST", "/api/movies", {"screen": 1, "title": t}) for t in NO_TITLES],
    ("POST", "/api/movies", {}),
    ("POST", "/api/movies", {"screen": 1, "time": "11:00"}),
    *[("PATCH", "/api/movies/1", {"title": t}) for t in NO_TITLES],
    *[("PATCH", "/api/movies/1", {"on_sale": o}) for o in NOT_BOOLEAN],
    ("PATCH", "/api/movies/1", {}),
    ("PATCH", "/api/movies/1", {"showtime": "11:00"}),
    ("PATCH", "/api/movies/1", {"title": "Anand", "seats": 5}),
    *[("PUT", "/api/tickets", {"movie": n}) for n in NO_NUMBERS],
    ("PUT", "/api/tickets", {}),
    ("PUT", "/api/tickets", {"movie": 1, "amount": 1}),
    *[("POST", "/api/tickets", {"movie": n}) for n in NO_NUMBERS],
    *[("POST", "/api/tickets", {"movie": 1, "amount": n}) for n in (*NO_NUMBERS, 10_001)],
    *[("POST", "/api/tickets", {"movie": 1, "seat": n}) for n in (*NO_NUMBERS, 11)],
    *[("POST", "/api/tickets", {"movie": 1, "seats": [2, n]}) for n in (*NO_NUMBERS, 11, 2)],
    *[("POST", "/api/tickets", {"movie": 1, "seats": s}) for s in NO_SEATS],
    ("POST", "/api/tickets", {"movie": 1, "seat": 1, "amount": 1}),
    ("POST", "/api/tickets", {"movie": 1, "seat": 1, "seats": [1]}),
    ("POST", "/api/tickets", {"movie": 1, "seats": [1], "amount": 1}),
    ("POST", "/api/tickets", {"movie": 1, "date": "tomorrow"}),
    *[("POST", "/api/tickets", {"movie": 1, "name": n}) for n in ("", " ", 5, None, "x" * 101)],
    *[("POST", "/api/tickets", {"movie": 1, "phone": p}) for p in ("", "12", 9876543210, None)],
    ("POST", "/api/tickets", {"movie": 1, "timing": "18:00"}),
    ("POST", "/api/tickets", {}),
]


@pytest.mark.parametrize(
    ("method", "path", "body"), BAD, ids=lambda value: repr(value)[:60].replace("\\", "")
)
@pytest.mark.slow
def test_bad_input_changes_nothing(
    house: FlaskClient, database: Database[Any], method: str, path: str, body: Any
) -> None:
    before = ok(house.get("/api/screens"))
    refused = assert_refused(house.open(path, method=method, json=body), 400, "invalid_request")
    assert refused["errors"]
    assert ok(house.get("/api/screens")) == before
    assert database["tickets"].count_documents({}) == 0
    assert add_screen(house)["screen"] == 2  # no number is lost either


def test_only_one_of_seat_seats_and_amount_may_be_sent(house: FlaskClient) -> None:
    for several in ({"seat": 1, "amount": 1}, {"seat": 1, "seats": [2], "amount": 3}):
        refused = assert_refused(buy(house, **several), 400, "invalid_request")
        assert refused["errors"].keys() == several.keys()


def test_an_unknown_seat_or_date_is_named_with_the_other_bad_fields(house: FlaskClient) -> None:
    for date in ("2046-11-21", "2046-12-23"):
        refused = assert_refused(
            buy(house, "short", seat=11, date=date, name=""), 400, "invalid_request"
        )
        assert refused["errors"].keys() == {"Idempotency-Key", "seat", "date", "name"}


def test_a_bad_date_is_named_with_an_unknown_parameter(house: FlaskClient) -> None:
    refused = assert_refused(house.get("/api/movies?date=2046-11-21&x=1"), 400, "invalid_request")
    assert refused["errors"].keys() == {"date", "x"}


def test_without_a_movie_the_amount_is_not_compared_with_the_timetables_house(
    house: FlaskClient,
) -> None:
    refused = assert_refused(
        house.post("/api/tickets", json={"amount": 21}), 400, "invalid_request"
    )
    assert refused["errors"].keys() == {"movie"}


def test_the_largest_numbers_of_a_seat_and_a_movie_are_accepted(house: FlaskClient) -> None:
    largest = 2**31 - 1
    answer = house.post("/api/tickets", json={"movie": largest})
    assert_refused(answer, 404, "movie_not_found")
    for asked in ({"seat": largest}, {"seats": [largest]}):
        refused = assert_refused(buy(house, **asked), 400, "invalid_request")
        assert [*refused["errors"].items()] == [
            (name, ["The seats are numbered from 1 to 10."]) for name in asked
        ]


def test_an_unknown_screen_or_movie_is_not_found(house: FlaskClient) -> None:
    assert_refused(house.post("/api/movies", json={"screen": 26}), 404, "screen_not_found")
    assert_refused(buy(house, movie=2), 404, "movie_not_found")
    assert_refused(put_on_sale(house, 2), 404, "movie_not_found")
    assert only_movie(house)["movie"] == 1


# ---- As a whole


def test_the_contracts_commands_work_verbatim(client: FlaskClient) -> None:
    """curl's `-d` without a JSON content type, and its misspelt header."""

    def curl(method: str, path: str, data: str) -> Any:
        headers = {"ContentType": "application/json"}
        form = "application/x-www-form-urlencoded"
        return ok(
            client.open(path, method=method, data=data, headers=headers, content_type=form),
            200 if method == "PUT" else 201,
        )

    assert curl("POST", "/api/screens", '{"seats":996}')["screen"] == 1
    assert curl("POST", "/api/movies", '{"screen":1}')["movie"] == 1
    assert curl("POST", "/api/movies", '{"screen":1, "showtime": "11:22"}')["movie"] == 2
    assert curl("PUT", "/api/tickets", '{"movie":1}')["on_sale"] is True
    assert curl("PUT", "/api/tickets", '{"movie":2}')["on_sale"] is True
    assert len(curl("POST", "/api/tickets", '{"movie":1}')["seats"]) == 1
    assert curl("POST", "/api/tickets", '{"movie":2, "amount": 996}')["seats"] == [*range(1, 997)]
    movies = ok(client.get("/api/movies"))
    sold = [(movie["purchased_seats"], movie["free_seats"]) for movie in movies]
    assert sold == [(1, 995), (996, 0)]
    (screen,) = ok(client.get("/api/screens"))
    assert screen == {"screen": 1, "seats": 996, "seats_per_row": 20, "movies": movies}


def test_a_partial_restore_reuses_no_numbers_and_keeps_counts_right(
    house: FlaskClient, database: Database[Any]
) -> None:
    for seats in (1, 9, 10):
        ok(house.post("/api/tickets", json={"movie": 1, "seat": seats}), 201)
    database["counters"].delete_many({})
    database["screens"].update_one({"_id": 1}, {"$set": {"seats": 2}})
    database["movies"].update_one({"_id": 1}, {"$set": {"seats": 2}})
    assert (add_screen(house)["screen"], add_movie(house, showtime="20:00")["movie"]) == (2, 2)
    for movie in (house.get("/api/movies").json[0], house.get("/api/screens").json[0]["movies"][0]):
        assert (movie["seats"], movie["purchased_seats"], movie["free_seats"]) == (2, 1, 1)
    plan = ok(house.get("/seats?movie=1"))
    assert (plan["capacity"], plan["booked"], plan["available"]) == (2, 1, 1)
    assert plan["free_seats"] == [2]
    refused = house.post("/api/tickets", json={"movie": 1, "amount": 2})
    assert assert_refused(refused, 409, "not_enough_seats")["seats_left"] == 1
    assert ok(house.post("/api/tickets", json={"movie": 1}), 201)["seats"] == [2]
    assert_refused(house.put("/api/tickets", json={"movie": 1}), 409, "sold_out")


@pytest.mark.parametrize(
    "database", [pytest.param("mongod", marks=pytest.mark.slow)], indirect=True
)
def test_a_large_multiplex_is_listed_in_full(client: FlaskClient) -> None:
    """25 screens of 1 to 996 seats with 15 movies each, against a model of them."""
    chance = random.Random(25)
    model: list[Any] = []
    for number in range(1, 26):
        seats, per_row = chance.choice((1, 996, chance.randint(1, 996))), chance.randint(1, 100)
        screen = add_screen(client, seats, seats_per_row=per_row)
        model.append({"screen": number, "seats": seats, "seats_per_row": per_row, "movies": []})
        assert screen == model[-1]
    movies: list[Any] = []
    for number in range(1, 25 * 15 + 1):
        screen = model[(number - 1) % 25]
        showtime = f"{9 + number // 25 % 12:02}:{number % 60:02}"
        taken = [movie["movie"] for movie in screen["movies"] if movie["showtime"] == showtime]
        if taken:
            refused = schedule(client, screen=screen["screen"], showtime=showtime)
            assert assert_refused(refused, 409, "screen_busy")["movie"] == taken[0]
            showtime = f"22:{number % 60:02}"
        movie = add_movie(client, screen=screen["screen"], showtime=showtime)
        assert movie["movie"] == number
        if chance.random() < 0.5:
            movie = ok(put_on_sale(client, number))
            if chance.random() < 0.5:
                amount = chance.randint(1, screen["seats"])
                assert len(ok(buy(client, movie=number, amount=amount), 201)["seats"]) == amount
                movie["purchased_seats"] += amount
                movie["free_seats"] -= amount
        screen["movies"].append(movie)
        movies.append(movie)
    assert ok(client.get("/api/screens")) == model
    assert ok(client.get("/api/movies")) == movies
    for movie in [each for each in movies if chance.random() < 0.2]:
        answer = client.delete(f"/api/movies/{movie['movie']}")
        if movie["purchased_seats"]:
            assert assert_refused(answer, 409, "has_tickets")["tickets"] == 1
        else:
            assert answer.status_code == 204
            movies.remove(movie)
            model[movie["screen"] - 1]["movies"].remove(movie)
    assert ok(client.get("/api/screens")) == model
    assert ok(client.get("/api/movies")) == movies
