"""A run says what it lacks to be complete."""

from __future__ import annotations

from bench.run import COMPLETE, QUICK, shortcomings

EVERYTHING = frozenset({"booking", "memory", "rush"})


def test_complete_run_lacks_nothing() -> None:
    assert shortcomings(EVERYTHING, EVERYTHING, COMPLETE) == []


def test_parts_that_are_left_out_are_named() -> None:
    (sentence,) = shortcomings(frozenset({"booking"}), EVERYTHING, COMPLETE)
    assert sentence == "Shortened: this run left out memory, rush."


def test_quick_run_says_how_short_it_was() -> None:
    (sentence,) = shortcomings(EVERYTHING, EVERYTHING, QUICK)
    assert sentence.startswith("Shortened: 1 round instead of 5, turns of 0.5 s instead of 2 s")


def test_fewer_rounds_alone_are_a_shortened_run() -> None:
    (sentence,) = shortcomings(EVERYTHING, EVERYTHING, COMPLETE._replace(rounds=4))
    assert "4 rounds instead of 5" in sentence
