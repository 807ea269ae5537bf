"""The multiplex store's contract, on mongomock and on a real MongoDB."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import mongomock
import pytest
from pymongo.database import Database

from app.multiplex.store import MultiplexStore, StoredMovie, StoredPurchase, StoredScreen
from app.theatre.idempotency import IdempotentRequest, KeyTaken
from app.theatre.refusals import NotEnoughSeats
from app.theatre.showings import Showing

EIGHT_HOURS = timedelta(hours=8)
TODAY = Showing("18:00", date(2046, 1, 1), datetime(2046, 1, 1, 12, 30, tzinfo=UTC))
TOMORROW = Showing("18:00", date(2046, 1, 2), datetime(2046, 1, 2, 12, 30, tzinfo=UTC))

Sell = Callable[..., StoredPurchase]


@pytest.fixture
def store(database: Database[Any]) -> MultiplexStore:
    return MultiplexStore(database, EIGHT_HOURS)


@pytest.fixture
def movie(store: MultiplexStore) -> StoredMovie:
    return store.add_movie(store.add_screen(10), "18:00", "Sholay")


@pytest.fixture
def sell(store: MultiplexStore, movie: StoredMovie) -> Sell:
    numbers = count(1)

    def sell(
        amount: int = 1,
        showing: Showing = TODAY,
        of: StoredMovie = movie,
        request: IdempotentRequest | None = None,
    ) -> StoredPurchase:
        return store.sell(
            of,
            showing,
            purchase_id=f"purchase-{next(numbers)}",
            ticket_ids=tuple(f"ticket-{next(numbers)}" for _ in range(amount)),
            request=request,
        )

    return sell


def test_numbers_are_counted_from_one(store: MultiplexStore) -> None:
    screens = [store.add_screen(seats) for seats in (1, 996)]
    assert screens == [StoredScreen(1, 1), StoredScreen(2, 996)] == store.screens()
    movies = [store.add_movie(screens[1], f"1{n}:00", None) for n in range(3)]
    assert [movie.number for movie in movies] == [1, 2, 3]
    assert store.movies() == movies
    assert movies[0] == StoredMovie(1, 2, 996, "10:00", None, on_sale=False)


def test_screens_and_movies_are_found_by_number(store: MultiplexStore, movie: StoredMovie) -> None:
    assert store.screen(1) == StoredScreen(1, 10)
    assert store.screen(2) is None
    assert store.movie(1) == movie
    assert store.movie(2) is None


def test_a_movie_is_put_on_sale_for_good(store: MultiplexStore, movie: StoredMovie) -> None:
    assert store.put_on_sale(2) is None
    for _ in range(2):
        shown = store.put_on_sale(movie.number)
        assert shown
        assert shown.on_sale
        assert store.movie(movie.number) == shown


def test_seats_are_consecutive_and_sold_once(store: MultiplexStore, sell: Sell) -> None:
    assert [sell(amount).first_seat for amount in (1, 3, 2, 4)] == [1, 2, 5, 7]
    assert store.sold({1: TODAY, 7: TODAY}) == {1: 10, 7: 0}
    assert store.sold({1: TOMORROW}) == {1: 0}


@pytest.mark.parametrize(("sold", "amount"), [(0, 11), (10, 1), (8, 3), (1, 996)])
def test_more_than_is_free_sells_nothing(
    store: MultiplexStore, sell: Sell, sold: int, amount: int
) -> None:
    if sold:
        sell(sold)
    for _ in range(2):
        with pytest.raises(NotEnoughSeats) as refusal:
            sell(amount)
        assert refusal.value.facts == {"seats_left": 10 - sold}
    assert store.sold({1: TODAY}) == {1: sold}
    if sold < 10:
        assert sell(10 - sold).first_seat == sold + 1


def test_each_day_and_each_movie_has_a_house_of_its_own(
    store: MultiplexStore, sell: Sell, movie: StoredMovie
) -> None:
    other = store.add_movie(StoredScreen(1, 10), "18:00", None)
    for showing, of in ((TODAY, movie), (TOMORROW, movie), (TODAY, other)):
        assert sell(10, showing, of).first_seat == 1


@pytest.mark.parametrize("showing", [TODAY, TOMORROW])
def test_a_key_buys_once(
    database: Database[Any], store: MultiplexStore, sell: Sell, showing: Showing
) -> None:
    if showing == TOMORROW and isinstance(database, mongomock.Database):
        pytest.skip("mongomock has no unique index on lists")
    sell(2)
    request = IdempotentRequest("key-12345", "fingerprint")
    purchase = sell(3, request=request)
    sell(1)
    with pytest.raises(KeyTaken):
        sell(3, showing, request=request)
    assert store.find_by_key("key-12345") == purchase
    assert (purchase.first_seat, purchase.request_fingerprint) == (3, "fingerprint")
    assert store.find_by_key("key-67890") is None
    assert store.sold({1: TODAY}) == {1: 6}
    assert store.sold({1: TOMORROW}) == {1: 0}
    assert sell(1, showing, request=IdempotentRequest("key-67890", "fingerprint"))


def test_a_taken_key_counts_even_when_the_house_is_full(sell: Sell) -> None:
    request = IdempotentRequest("key-12345", "fingerprint")
    sell(10, request=request)
    with pytest.raises(KeyTaken):
        sell(10, request=request)


def test_old_sales_are_removed_by_mongodb(mongod_database: Database[Any]) -> None:
    MultiplexStore(mongod_database, timedelta(hours=1)).prepare()
    MultiplexStore(mongod_database, EIGHT_HOURS).prepare()
    index = mongod_database["sales"].index_information()["showing_at_1"]
    assert index["expireAfterSeconds"] == 8 * 3600
