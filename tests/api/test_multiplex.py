"""The multiplex's routes: screens, movies, tickets on sale and bought."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from pymongo.database import Database
from werkzeug.test import TestResponse

from app import create_app
from app.config import Settings
from tests.api.helpers import assert_refused
from tests.conftest import Clock

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


def ok(answer: TestResponse, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json


def add_screen(client: FlaskClient, seats: int = 10) -> Any:
    return ok(client.post("/api/screens", json={"seats": seats}), 201)


def add_movie(client: FlaskClient, **fields: Any) -> Any:
    body = {"screen": 1, "showtime": "18:00", **fields}
    return ok(client.post("/api/movies", json=body), 201)


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


def only_movie(client: FlaskClient) -> Any:
    (movie,) = ok(client.get("/api/movies"))
    return movie


def test_an_empty_multiplex_has_empty_lists(client: FlaskClient) -> None:
    assert ok(client.get("/api/screens")) == []
    assert ok(client.get("/api/movies")) == []


def test_screens_are_listed_with_their_movies(client: FlaskClient) -> None:
    assert add_screen(client) == {"screen": 1, "seats": 10, "movies": []}
    assert add_movie(client) == MOVIE
    titled = add_movie(client, title=" Sholay ", showtime="11:22")
    assert titled["title"] == "Sholay"
    assert titled["showing_at"] == "2046-11-23T11:22:00+05:30"
    assert ok(client.get("/api/movies")) == [MOVIE, titled]
    assert ok(client.get("/api/screens")) == [{"screen": 1, "seats": 10, "movies": [MOVIE, titled]}]


def test_without_a_showtime_a_movie_plays_now(client: FlaskClient) -> None:
    add_screen(client)
    movie = ok(client.post("/api/movies", json={"screen": 1}), 201)
    assert movie["showtime"] == "14:03"
    assert movie["showing_at"] == "2046-11-22T14:03:00+05:30"


def test_tickets_go_on_sale(client: FlaskClient) -> None:
    add_screen(client)
    add_movie(client)
    assert_refused(buy(client), 409, "not_on_sale")
    for _ in range(2):
        assert ok(put_on_sale(client)) == {**MOVIE, "on_sale": True}
    assert only_movie(client)["on_sale"] is True
    assert_refused(put_on_sale(client, 2), 404, "movie_not_found")


def test_the_response_is_the_purchase(house: FlaskClient) -> None:
    ok(buy(house, amount=2), 201)
    purchase = ok(buy(house, amount=3), 201)
    identifiers = [purchase["purchase_id"], *(each["ticket_id"] for each in purchase["tickets"])]
    assert len(set(identifiers)) == 4
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{22}", each) for each in identifiers)
    assert purchase == {
        "purchase_id": purchase["purchase_id"],
        "movie": 1,
        "screen": 1,
        "date": "2046-11-22",
        "showing_at": "2046-11-22T18:00:00+05:30",
        "amount": 3,
        "tickets": [
            {"ticket_id": ticket_id, "seat": seat}
            for seat, ticket_id in enumerate(identifiers[1:], 3)
        ],
    }
    assert only_movie(house) == {
        **MOVIE,
        "on_sale": True,
        "purchased_seats": 5,
        "free_seats": 5,
    }


def test_one_ticket_is_the_default(house: FlaskClient) -> None:
    assert ok(buy(house), 201)["amount"] == 1


def test_a_purchase_is_all_or_nothing(house: FlaskClient) -> None:
    ok(buy(house, amount=8), 201)
    assert assert_refused(buy(house, amount=3), 409, "not_enough_seats")["seats_left"] == 2
    assert only_movie(house)["free_seats"] == 2
    ok(buy(house, amount=2), 201)
    assert assert_refused(buy(house), 409, "not_enough_seats")["seats_left"] == 0
    assert assert_refused(buy(house, amount=996), 409, "not_enough_seats")["seats_left"] == 0
    assert_refused(put_on_sale(house), 409, "sold_out")


def test_the_largest_house_can_be_bought_at_once(client: FlaskClient) -> None:
    add_screen(client, 996)
    add_movie(client)
    put_on_sale(client)
    tickets = ok(buy(client, amount=996), 201)["tickets"]
    assert [ticket["seat"] for ticket in tickets] == list(range(1, 997))
    assert len({ticket["ticket_id"] for ticket in tickets}) == 996


def test_every_day_starts_with_an_empty_house(house: FlaskClient, clock: Clock) -> None:
    yesterdays = ok(buy(house, key="key-12345", amount=10), 201)
    assert_refused(put_on_sale(house), 409, "sold_out")
    clock.advance(hours=4)  # 18:03, so tomorrow's showing is the next
    assert only_movie(house)["date"] == "2046-11-23"
    assert only_movie(house)["purchased_seats"] == 0
    todays = ok(buy(house, amount=10), 201)
    assert (yesterdays["date"], todays["date"]) == ("2046-11-22", "2046-11-23")
    assert_refused(buy(house), 409, "not_enough_seats")
    assert ok(buy(house, key="key-12345", amount=10), 201) == yesterdays


def test_a_day_can_be_picked(house: FlaskClient, clock: Clock) -> None:
    assert ok(buy(house, date="2046-12-22"), 201)["showing_at"] == "2046-12-22T18:00:00+05:30"
    assert only_movie(house)["purchased_seats"] == 0
    for day in ("2046-11-21", "2046-12-23"):
        refused = assert_refused(buy(house, date=day), 400, "invalid_request")
        assert refused["errors"].keys() == {"date"}
    clock.advance(hours=4)
    assert_refused(buy(house, date="2046-11-22"), 409, "showing_started")


def test_the_booking_window_holds_without_a_date_too(
    database: Database[Any], settings: Settings, clock: Clock
) -> None:
    today_only = replace(settings, advance_days=0)
    house = create_app(database, settings=today_only, clock=clock).test_client()
    add_screen(house)
    add_movie(house)
    put_on_sale(house)
    ok(buy(house), 201)
    clock.advance(hours=4)
    assert assert_refused(buy(house), 400, "invalid_request")["errors"].keys() == {"date"}


def test_a_retry_buys_once(house: FlaskClient) -> None:
    first = buy(house, key="key-12345", amount=6)
    again = buy(house, key="key-12345", amount=6)
    assert ok(again, 201) == ok(first, 201)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    for change in ({"amount": 1}, {"amount": 6, "date": "2046-11-22"}, {"movie": 2, "amount": 6}):
        assert_refused(buy(house, key="key-12345", **change), 422, "idempotency_key_reused")
    assert only_movie(house)["purchased_seats"] == 6


BAD = [
    *[("POST", "/api/screens", {"seats": seats}) for seats in (0, 997, -1, 1.0, "5", True, None)],
    *[("POST", "/api/screens", body) for body in ({}, {"seats": {"$gt": 0}}, {"seats": 10**400})],
    ("POST", "/api/screens", {"seats": 5, "rows": 2}),
    *[("POST", "/api/movies", {"screen": n}) for n in (0, "1", None, True, 1.0, 2**31, 2**64)],
    *[("POST", "/api/movies", {"screen": 1, "showtime": t}) for t in (2, "25:00", "9:00", None)],
    *[("POST", "/api/movies", {"screen": 1, "title": t}) for t in ("", " ", "x" * 101, 5, None)],
    ("POST", "/api/movies", {}),
    ("POST", "/api/movies", {"screen": 1, "time": "11:00"}),
    *[("PUT", "/api/tickets", {"movie": n}) for n in (0, "1", None, True, -1)],
    ("PUT", "/api/tickets", {}),
    ("PUT", "/api/tickets", {"movie": 1, "amount": 1}),
    *[("POST", "/api/tickets", {"movie": n}) for n in (0, "1", None)],
    *[("POST", "/api/tickets", {"movie": 1, "amount": n}) for n in (0, 997, "1", 1.5, None, True)],
    ("POST", "/api/tickets", {"movie": 1, "date": "tomorrow"}),
    ("POST", "/api/tickets", {"movie": 1, "seats": 1}),
    ("POST", "/api/tickets", {}),
]


@pytest.mark.parametrize(("method", "path", "body"), BAD, ids=repr)
def test_bad_input_changes_nothing(
    house: FlaskClient, database: Database[Any], method: str, path: str, body: Any
) -> None:
    before = ok(house.get("/api/screens"))
    refused = assert_refused(house.open(path, method=method, json=body), 400, "invalid_request")
    assert refused["errors"]
    assert ok(house.get("/api/screens")) == before
    assert database["sales"].count_documents({}) == 0
    assert add_screen(house)["screen"] == 2  # no number is lost either


def test_a_date_outside_the_window_is_named_with_the_rest(house: FlaskClient) -> None:
    for date in ("2046-11-21", "2046-12-23"):
        refused = assert_refused(
            buy(house, "short", amount=0, date=date, seat=1), 400, "invalid_request"
        )
        assert refused["errors"].keys() == {"Idempotency-Key", "amount", "date", "seat"}


def test_an_unknown_screen_or_movie_is_not_found(house: FlaskClient) -> None:
    assert_refused(house.post("/api/movies", json={"screen": 26}), 404, "screen_not_found")
    assert_refused(buy(house, movie=2), 404, "movie_not_found")
    assert only_movie(house)["movie"] == 1


def test_a_large_multiplex_is_listed_completely(client: FlaskClient) -> None:
    """25 screens of 1 to 996 seats with 15 movies each, against a model of them."""
    chance = random.Random(25)
    model: list[Any] = []
    for number in range(1, 26):
        seats = chance.choice((1, 996, chance.randint(1, 996)))
        add_screen(client, seats)
        model.append({"screen": number, "seats": seats, "movies": []})
    movies: list[Any] = []
    for number in range(1, 25 * 15 + 1):
        screen = model[(number - 1) % 25]
        movie = add_movie(client, screen=screen["screen"])
        assert movie["movie"] == number
        if chance.random() < 0.5:
            movie = ok(put_on_sale(client, number))
            if chance.random() < 0.5:
                amount = chance.randint(1, screen["seats"])
                ok(buy(client, movie=number, amount=amount), 201)
                movie["purchased_seats"] += amount
                movie["free_seats"] -= amount
        screen["movies"].append(movie)
        movies.append(movie)
    assert ok(client.get("/api/screens")) == model
    assert ok(client.get("/api/movies")) == movies
