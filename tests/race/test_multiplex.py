"""Many buyers at once, on several server processes and a real MongoDB, with a negative control."""

from __future__ import annotations

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from app.multiplex.store import MultiplexStore, StoredMovie, StoredPurchase
from app.theatre.refusals import NotEnoughSeats
from app.theatre.showings import Showing
from tests.race.conftest import without_indexes
from tests.running import Answer, Connection, Service, outcomes

BUYERS = 64


def ok(answer: Answer, status: int) -> Any:
    assert answer.status == status, answer.body
    return answer.body


def movie_on_sale(service: Service, seats: int) -> int:
    """Set up a screen with a movie on sale, and return the movie's number."""
    connection = service.connect()
    screen = ok(connection.post("/api/screens", {"seats": seats}), 201)["screen"]
    body = {"screen": screen, "showtime": "00:00"}
    movie: int = ok(connection.post("/api/movies", body), 201)["movie"]
    ok(connection.request("PUT", "/api/tickets", {"movie": movie}), 200)
    connection.close()
    return movie


def buying(movie: int, amount: int, key: str | None = None) -> Callable[[Connection], Answer]:
    return lambda connection: connection.post(
        "/api/tickets", {"movie": movie, "amount": amount}, key
    )


def shown(service: Service, movie: int) -> Any:
    movies = ok(service.connect().request("GET", "/api/movies"), 200)
    return next(each for each in movies if each["movie"] == movie)


def seats_of(purchase: Any) -> list[int]:
    return [ticket["seat"] for ticket in purchase["tickets"]]


def buy_out(service: Service, movie: int) -> list[tuple[int, Answer]]:
    """Let every buyer buy 1 to 10 seats until none is left; return what was asked and got."""
    done: list[tuple[int, Answer]] = []
    start = threading.Barrier(BUYERS)

    def buyer(seed: int) -> None:
        chance = random.Random(seed)
        connection = service.connect()
        start.wait()
        amount = chance.randint(1, 10)
        while True:
            answer = buying(movie, amount)(connection)
            done.append((amount, answer))
            if answer.status == 201:
                amount = chance.randint(1, 10)
            elif answer.code == "not_enough_seats" and answer.body["seats_left"]:
                amount = chance.randint(1, min(10, answer.body["seats_left"]))
            else:
                break
        connection.close()

    threads = [threading.Thread(target=buyer, args=[seed]) for seed in range(BUYERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return done


def test_a_house_is_sold_out_exactly(service: Service, rounds: int) -> None:
    for _ in range(min(rounds, 10)):
        movie = movie_on_sale(service, 996)
        done = buy_out(service, movie)
        assert outcomes([answer for _, answer in done]).keys() == {
            (201, None),
            (409, "not_enough_seats"),
        }
        purchases = [answer.body for _, answer in done if answer.status == 201]
        for purchase in purchases:
            seats = seats_of(purchase)
            assert seats == list(range(seats[0], seats[0] + purchase["amount"]))
        # Every seat is sold, and each of them once.
        sold = [seat for purchase in purchases for seat in seats_of(purchase)]
        assert sorted(sold) == list(range(1, 997))
        for amount, answer in done:
            if answer.status == 409:
                assert 0 <= answer.body["seats_left"] < amount
        after = shown(service, movie)
        assert (after["purchased_seats"], after["free_seats"]) == (996, 0)
        with service.collection("sales") as sales:
            stored = sales.find_one({"movie": movie})
        ids = {each["purchase_id"]: each["ticket_ids"] for each in stored["purchases"]}
        assert len(ids) == len(purchases)
        for purchase in purchases:
            tickets = [ticket["ticket_id"] for ticket in purchase["tickets"]]
            assert ids[purchase["purchase_id"]] == tickets


class CheckThenSell(MultiplexStore):
    """The multiplex without its guard: looks first, and then sells on no condition."""

    def sell(self, movie: StoredMovie, showing: Showing, **purchase: Any) -> StoredPurchase:
        seats_left = movie.seats - self.sold({movie.number: showing})[movie.number]
        if seats_left < len(purchase["ticket_ids"]):
            raise NotEnoughSeats(seats_left)
        return super().sell(replace(movie, seats=10**6), showing, **purchase)


@pytest.mark.parametrize(("kind", "oversells"), [(MultiplexStore, False), (CheckThenSell, True)])
def test_only_the_condition_in_the_update_prevents_overselling(
    mongod_database: Database[Any], kind: type[MultiplexStore], oversells: bool
) -> None:
    store = kind(mongod_database, timedelta(hours=8))
    movie = store.add_movie(store.add_screen(100), "18:00", None)
    showing = Showing("18:00", date(2046, 1, 1), datetime(2046, 1, 1, tzinfo=UTC))

    def buy() -> None:
        with contextlib.suppress(NotEnoughSeats):
            while True:
                store.sell(movie, showing, purchase_id="p", ticket_ids=("a", "b", "c"))

    threads = [threading.Thread(target=buy) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sold = store.sold({movie.number: showing})[movie.number]
    assert sold > 100 if oversells else sold == 99


def test_the_first_sale_of_a_showing_refuses_nobody_in_vain(service: Service, rounds: int) -> None:
    for _ in range(10 * rounds):
        movie = movie_on_sale(service, BUYERS)
        answers = service.all_at_once([buying(movie, 1)] * BUYERS, clients=BUYERS)
        assert outcomes(answers) == {(201, None): BUYERS}
        seats = [seat for answer in answers for seat in seats_of(answer.body)]
        assert sorted(seats) == list(range(1, BUYERS + 1))


def test_numbers_are_unique(service: Service, rounds: int) -> None:
    for _ in range(rounds):
        create = [lambda connection: connection.post("/api/screens", {"seats": 5})] * 200
        answers = service.all_at_once(create)
        assert outcomes(answers) == {(201, None): 200}
        numbers = sorted(answer.body["screen"] for answer in answers)
        assert numbers == list(range(numbers[0], numbers[0] + 200))


def repeat(service: Service, movie: int, key: str) -> list[Answer]:
    """Send 200 purchases of 3 seats at once with one idempotency key."""
    return service.all_at_once([buying(movie, 3, key)] * 200)


def test_a_key_buys_once(service: Service, rounds: int) -> None:
    for number in range(rounds):
        movie = movie_on_sale(service, 996)
        answers = repeat(service, movie, f"key-{number}-of-the-race")
        assert outcomes(answers) == {(201, None): 200}
        assert all(answer.body == answers[0].body for answer in answers)
        replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
        assert Counter(replayed) == {None: 1, "true": 199}
        assert shown(service, movie)["purchased_seats"] == 3


def test_a_key_sent_for_two_movies_at_once_buys_for_one(service: Service, rounds: int) -> None:
    for number in range(rounds):
        movies = [movie_on_sale(service, 996) for _ in range(2)]
        key = f"key-{number}-for-two-movies"
        answers = service.all_at_once([buying(movie, 1, key) for movie in movies * 50])
        assert outcomes(answers) == {(201, None): 50, (422, "idempotency_key_reused"): 50}
        assert sum(shown(service, movie)["purchased_seats"] for movie in movies) == 1


def test_without_the_index_it_buys_for_both(defenceless: Service) -> None:
    with without_indexes(defenceless, "sales", "requests.key_1"):
        for number in range(50):
            movies = [movie_on_sale(defenceless, 996) for _ in range(2)]
            key = f"key-{number}-for-two-movies"
            defenceless.all_at_once([buying(movie, 1, key) for movie in movies * 50])
            if sum(shown(defenceless, movie)["purchased_seats"] for movie in movies) > 1:
                return
    pytest.fail("the guard was taken away, and nothing happened")
