"""Screens and movies that are set up by many at once."""

from __future__ import annotations

from typing import Any

from tests.race.conftest import Theatre, Without, goes_wrong
from tests.running import Answer, outcomes


def test_numbers_are_unique(theatre: Theatre, rounds: int) -> None:
    for _ in range(min(rounds, 10)):
        create = [lambda connection: connection.post("/api/screens", {"seats": 5})] * 100
        answers = theatre.all_at_once(create)
        assert outcomes(answers) == {(201, None): 100}
        numbers = sorted(answer.body["screen"] for answer in answers)
        assert numbers == list(range(numbers[0], numbers[0] + 100))


def schedule(theatre: Theatre) -> tuple[int, list[Answer]]:
    """Schedule 24 movies at once for one time on a new screen; return it and the answers."""
    screen: int = theatre.post("/api/screens", {"seats": 5}).body["screen"]

    def movie(number: int) -> Any:
        body = {"screen": screen, "showtime": "18:00", "title": f"Movie {number % 2}"}
        return lambda connection: connection.post("/api/movies", body)

    return screen, theatre.all_at_once([movie(number) for number in range(24)], clients=24)


def test_one_movie_plays_on_a_screen_at_a_time(theatre: Theatre, rounds: int) -> None:
    for _ in range(rounds):
        screen, answers = schedule(theatre)
        assert outcomes(answers) == {(201, None): 1, (409, "screen_busy"): 23}
        (scheduled,) = (answer.body for answer in answers if answer.status == 201)
        refused = [answer.body for answer in answers if answer.status == 409]
        assert {each["movie"] for each in refused} == {scheduled["movie"]}
        movies = [each for each in theatre.get("/api/movies").body if each["screen"] == screen]
        assert movies == [scheduled]


def test_without_the_index_several_movies_share_a_screen_and_time(without: Without) -> None:
    theatre = without("one_movie_at_a_time")
    assert goes_wrong(lambda: outcomes(schedule(theatre)[1])[201, None] > 1)
