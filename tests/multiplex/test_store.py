"""The catalogue's contract, on mongomock and on a real MongoDB."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from pymongo.database import Database

from app.domain.refusals import MovieNotFound, ScreenBusy
from app.domain.seating import House
from app.domain.showings import Play
from app.multiplex.store import Catalogue, StoredScreen

HOUSE = House(10, 4)


@pytest.fixture
def catalogue(database: Database[Any]) -> Catalogue:
    return Catalogue(database)


@pytest.fixture
def screen(catalogue: Catalogue) -> StoredScreen:
    return catalogue.add_screen(HOUSE)


@pytest.fixture
def movie(catalogue: Catalogue, screen: StoredScreen) -> Play:
    return catalogue.add_movie(screen, "18:00", "Sholay")


def test_screens_and_movies_are_numbered_from_one(catalogue: Catalogue) -> None:
    screens = [catalogue.add_screen(house) for house in (House(1, 1), HOUSE)]
    assert screens == [StoredScreen(1, House(1, 1)), StoredScreen(2, HOUSE)]
    assert catalogue.screens() == screens
    movies = [catalogue.add_movie(screens[1], f"1{hour}:00", None) for hour in range(3)]
    assert movies == [
        Play(f"1{hour}:00", HOUSE, screen=2, movie=hour + 1, on_sale=False) for hour in range(3)
    ]
    assert catalogue.movies() == movies


def test_screens_and_movies_are_found_by_number(catalogue: Catalogue, movie: Play) -> None:
    assert catalogue.screen(1) == StoredScreen(1, HOUSE)
    assert catalogue.screen(2) is None
    assert catalogue.find(1) == movie
    for number in (0, 2, 2**31 - 1):
        with pytest.raises(MovieNotFound):
            catalogue.find(number)


def test_a_change_keeps_the_other_fields(catalogue: Catalogue, movie: Play) -> None:
    assert catalogue.change(1, on_sale=True) == Play(
        "18:00", HOUSE, screen=1, movie=1, title="Sholay", on_sale=True
    )
    renamed = Play("18:00", HOUSE, screen=1, movie=1, title="Anand", on_sale=True)
    assert catalogue.change(1, title="Anand") == renamed
    assert catalogue.find(1) == renamed
    with pytest.raises(MovieNotFound):
        catalogue.change(2, title="Anand")


def test_a_screen_has_one_movie_at_a_time(
    catalogue: Catalogue, screen: StoredScreen, movie: Play
) -> None:
    with pytest.raises(ScreenBusy) as refusal:
        catalogue.add_movie(screen, "18:00", None)
    assert refusal.value.facts == {"movie": 1}
    assert catalogue.add_movie(screen, "18:01", None).movie == 2  # no number is lost
    assert catalogue.add_movie(catalogue.add_screen(HOUSE), "18:00", None).movie == 3


def test_a_deleted_movie_frees_its_screen_but_not_its_number(
    catalogue: Catalogue, screen: StoredScreen, movie: Play
) -> None:
    catalogue.delete(1)
    catalogue.delete(1)
    assert catalogue.movies() == []
    assert catalogue.add_movie(screen, "18:00", None).movie == 2


def test_numbers_are_new_even_if_counters_are_stale(
    catalogue: Catalogue, database: Database[Any]
) -> None:
    screens = [catalogue.add_screen(HOUSE) for _ in range(3)]
    for hour in range(3):
        catalogue.add_movie(screens[0], f"1{hour}:00", None)
    database["counters"].delete_many({})
    database["counters"].insert_one({"_id": "movies", "count": 1})
    assert catalogue.add_screen(HOUSE).number == 4
    assert catalogue.add_movie(screens[0], "20:00", None).movie == 4


def test_numbers_on_tickets_are_not_reused_after_a_restore(database: Database[Any]) -> None:
    database["tickets"].insert_one({"screen": 7, "movie": 9})
    catalogue = Catalogue(database)
    screen = catalogue.add_screen(HOUSE)
    assert screen.number == 8
    assert catalogue.add_movie(screen, "20:00", None).movie == 10


@pytest.mark.parametrize("has_index", [True, False])
def test_only_one_of_several_concurrent_movies_gets_the_screen(
    mongod_database: Database[Any], has_index: bool, monkeypatch: pytest.MonkeyPatch, rounds: int
) -> None:
    """Without the unique index, which is the control, several get it."""
    catalogue = Catalogue(mongod_database)
    screen = catalogue.add_screen(HOUSE)
    catalogue.prepare()
    if not has_index:
        mongod_database["movies"].drop_indexes()
        monkeypatch.setattr("app.mongodb.indexes.MAX_AGE_SECONDS", 3600)
    got_it = []
    try:
        for minute in range(10, 10 + 2 * rounds):
            barrier = Barrier(24)

            def schedule(_: int) -> int:
                barrier.wait()  # noqa: B023
                try:
                    return catalogue.add_movie(screen, f"18:{minute}", None).movie or 0  # noqa: B023
                except ScreenBusy as refusal:
                    return -int(refusal.facts["movie"])

            with ThreadPoolExecutor(24) as pool:
                movies = list(pool.map(schedule, range(24)))
            added = [movie for movie in movies if movie > 0]
            assert {-movie for movie in movies if movie < 0} <= set(added)
            got_it.append(len(added))
    finally:
        mongod_database["movies"].delete_many({})
        mongod_database["movies"].drop_indexes()
    assert (set(got_it) == {1}) is has_index
