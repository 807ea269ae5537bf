"""Reasons of missed targets follow from the figures, and never contradict them."""

from __future__ import annotations

import pytest

from bench import reasons
from bench.load import Turn

PROFILE = {"server": 252.0, "Flask": 152.0, "reading": 75.0, "own code": 104.0, "**all**": 951.0}


def turn(workers: float = 0, mongodb: float = 0, p50: float = 0) -> Turn:
    return Turn(rate=1, p50=p50, p99=1, workers=workers, mongodb=mongodb, generator=0)


def test_dearer_request_names_what_it_pays_for() -> None:
    text = reasons.dearer_than_bare(turn(631, 159), turn(311, 206), PROFILE)
    assert text.startswith("A request takes 790 µs of processor time, the bare insert 517 µs.")
    assert (
        "951 µs include gunicorn and gevent (252 µs), Flask (152 µs), our code (104 µs) and"
        " reading fields (75 µs)." in text
    )


def test_without_a_profile_the_parts_have_no_figures() -> None:
    text = reasons.dearer_than_bare(turn(631, 159), turn(311, 206), None)
    assert text.endswith("It pays for gunicorn, for Flask and for the reading of its fields.")


def test_cheap_request_does_not_blame_its_parts() -> None:
    text = reasons.dearer_than_bare(turn(300, 100), turn(311, 206), PROFILE)
    assert text.endswith("So it is not work that makes it slower, but waiting.")


def test_processor_times_bound_the_ratio_to_fastapi() -> None:
    text = reasons.close_to_fastapi(turn(631, 159), turn(697, 385))
    assert "790 µs of processor time here, and 1,082 µs there" in text
    assert text.endswith("a ratio of about 1.37.")


def test_dearer_request_queues_longer_than_before() -> None:
    text = reasons.slower_than_before(turn(631, 159), turn(502, 55), [2.0, 2.5])
    assert text.startswith("A request takes more processor time (790 µs now, 557 µs then)")


def test_request_that_is_not_dearer_tells_how_the_rounds_varied() -> None:
    text = reasons.slower_than_before(turn(500, 50), turn(502, 55), [0.9, 1.2, 1.1])
    assert text.startswith("A request does not take more processor time (550 µs now, 557 µs then).")
    assert text.endswith("from 0.90 to 1.20.")


def test_lone_client_has_its_latencies() -> None:
    assert "1.8 ms now, 1.1 ms then" in reasons.slower_alone(turn(p50=1.8), turn(p50=1.1))


def test_lost_inserts_are_those_beyond_one() -> None:
    text = reasons.lost_inserts(1.38, workers=8)
    assert text.startswith("8 workers choose seats")
    assert text.endswith("here 0.38 for each ticket.")


def test_memory_tells_what_the_last_requests_added() -> None:
    assert reasons.still_growing(0.0123, 40_000) == "The last 40,000 requests still added 1.2%."


def test_stored_tickets_are_paid_for_by_mongodb_or_the_workers() -> None:
    text = reasons.dearer_beside_tickets(turn(600, 150), turn(610, 300))
    assert "MongoDB 300 µs there and 150 µs with none" in text
    assert text.endswith("it takes the workers 610 and 600 µs.")


@pytest.mark.parametrize(
    ("oversold", "sentence"),
    [
        ({"a": [0, 0], "b": [0, 4], "c": [6, 22]}, "*b* and *c* oversold; *a* did not."),
        ({"a": [0, 0], "b": [0, 0], "c": [6, 22]}, "*c* oversold; *a* and *b* did not."),
        ({"a": [0], "b": [-3]}, "nobody oversold."),
        ({"a": [1], "b": [-3]}, "*a* oversold; *b* did not."),
        ({"a": [1], "b": [2]}, "*a* and *b* oversold."),
    ],
)
def test_only_those_who_oversold_are_named(oversold: dict[str, list[int]], sentence: str) -> None:
    assert reasons.who_oversold(oversold) == f"In this run, {sentence}"
