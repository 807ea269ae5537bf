"""How far a run is: the share that is done and the time left, on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest

from bench.progress import Progress

PLAN = {"first": 300.0, "second": 100.0}


class Terminal(io.StringIO):
    """A stream that lines can be rewritten on."""

    def isatty(self) -> bool:
        return True


class Watch:
    """A clock in seconds that moves only when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_first_line_has_the_planned_time(watch: Watch) -> None:
    stream = io.StringIO()
    Progress(PLAN, stream, watch).begin("first")
    assert stream.getvalue() == "  0% · first · 6:40 left\n"


def test_time_left_follows_the_plan_while_the_pace_does(watch: Watch) -> None:
    stream = io.StringIO()
    progress = Progress(PLAN, stream, watch)
    progress.begin("first")
    watch.now += 150
    progress.at(0.5)
    assert stream.getvalue().splitlines()[-1] == " 38% · first · 4:10 left"


def test_slower_machine_has_more_time_left(watch: Watch) -> None:
    stream = io.StringIO()
    progress = Progress(PLAN, stream, watch)
    progress.begin("first")
    watch.now += 660  # instead of 300
    progress.end()
    progress.begin("second")
    assert stream.getvalue().splitlines()[-1] == " 75% · second · 3:20 left"


def test_terminal_has_one_line_that_is_rewritten(watch: Watch) -> None:
    stream = Terminal()
    progress = Progress(PLAN, stream, watch)
    progress.begin("first")
    progress.at(0.1)
    assert stream.getvalue().count("\r") == 2
    assert "\n" not in stream.getvalue()


def test_line_is_cleared_for_what_is_printed_next(watch: Watch) -> None:
    stream = Terminal()
    progress = Progress(PLAN, stream, watch)
    progress.begin("first")
    progress.end()
    assert stream.getvalue().endswith("\r\033[K")


def test_file_has_a_line_now_and_then(watch: Watch) -> None:
    stream = io.StringIO()
    progress = Progress(PLAN, stream, watch)
    progress.begin("first")
    for second in range(1, 61):
        watch.now += 1
        progress.at(second / 300)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 3
    assert "\r" not in stream.getvalue()


def test_each_part_has_a_line_in_a_file(watch: Watch) -> None:
    stream = io.StringIO()
    progress = Progress(PLAN, stream, watch)
    for part in PLAN:
        progress.begin(part)
        progress.end()
    assert [line.split(" · ")[1] for line in stream.getvalue().splitlines()] == list(PLAN)


def test_durations_are_those_of_the_parts(watch: Watch) -> None:
    progress = Progress(PLAN, io.StringIO(), watch)
    for part, seconds in (("first", 280), ("second", 120)):
        progress.begin(part)
        watch.now += seconds
        progress.end()
    assert progress.durations == {"first": 280, "second": 120}
