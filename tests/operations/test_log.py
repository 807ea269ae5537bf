"""The log: it never waits for its reader, and has lines for people and for programs."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TextIO

import pytest

from app.operations import log as logs

log = logging.getLogger("app.tests")


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    loggers = [logging.getLogger(), logging.getLogger("app")]
    before = [(logger, logger.handlers[:], logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.handlers.clear()
    yield
    for logger, handlers, propagate in before:
        logger.handlers[:] = handlers
        logger.propagate = propagate


@pytest.fixture(autouse=True)
def _within_ten_seconds() -> Iterator[None]:
    """Fail a test that waits for a reader."""

    def fail(*_: object) -> None:
        pytest.fail("waited for a reader")

    before = signal.signal(signal.SIGALRM, fail)
    signal.setitimer(signal.ITIMER_REAL, 10, 1)  # and again, in case its end waits as well
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def pipe() -> tuple[int, int]:
    return os.pipe()


def pair() -> tuple[int, int]:
    reader, writer = socket.socketpair()
    return reader.detach(), writer.detach()


def terminal() -> tuple[int, int]:
    return pty.openpty()


@pytest.fixture(params=[pipe, pair, terminal])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, TextIO]]:
    """The reader of a stream, and the stream."""
    reader, writer = request.param()
    os.set_blocking(reader, False)
    with os.fdopen(writer, "w") as stream:
        yield reader, stream
    with suppress(OSError):
        os.close(reader)


def read(reader: int) -> str:
    """Return what has arrived."""
    text = b""
    with suppress(BlockingIOError):
        while part := os.read(reader, 65536):
            text += part
    return text.decode()


def messages(text: str) -> list[str]:
    return [json.loads(line)["message"] for line in text.splitlines()]


def configure(monkeypatch: pytest.MonkeyPatch, stream: TextIO | None, form: str = "json") -> None:
    monkeypatch.setattr(sys, "stdout", stream)
    logs.configure("info", form)


def test_lines_arrive_at_once_and_in_order(
    ends: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, stream = ends
    configure(monkeypatch, stream)
    for number in range(5):
        log.info("%s", number)
    assert messages(read(reader)) == list("01234")


def test_no_request_waits_for_a_slow_reader(
    ends: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, stream = ends
    configure(monkeypatch, stream)
    for number in range(5000):
        log.info("%s %s", number, "x" * 300)
    text = read(reader)
    log.info("5000 is read")
    expected = 0
    for message in messages(text + read(reader)):
        number = int(message.split()[0])
        if message.endswith(" log lines were dropped: the reader is too slow"):
            expected += number
        else:
            assert number == expected
            expected += 1
    assert expected == 5001


def test_a_line_cut_short_is_completed_with_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    with os.fdopen(writer, "w") as stream:
        configure(monkeypatch, stream)
        log.info("x" * 100_000)
        beginning = read(reader)
        assert 0 < len(beginning) < 100_000
        log.info("next")
        assert messages(beginning + read(reader)) == ["x" * 100_000, "next"]
    os.close(reader)


def test_a_closed_reader_causes_no_error(
    ends: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    reader, stream = ends
    configure(monkeypatch, stream)
    os.close(reader)
    for _ in range(100):
        log.info("nobody reads this")
    assert capfd.readouterr().err == ""


def test_without_a_stream_nothing_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    configure(monkeypatch, None, "auto")
    log.info("nobody reads this")


def test_other_writers_to_a_pipe_still_wait_for_its_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as stream:
        configure(monkeypatch, stream)
        assert os.get_blocking(writer)
    os.close(reader)


def test_lines_do_not_overwrite_other_writers_in_a_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with (tmp_path / "log").open("w+") as stream:
        configure(monkeypatch, stream)
        log.info("one")
        os.write(stream.fileno(), b"another's\n")
        log.info("two")
        stream.seek(0)
        first, second, third = stream
    assert json.loads(first)["message"] == "one"
    assert second == "another's\n"
    assert json.loads(third)["message"] == "two"


REQUEST = {"milliseconds": 5.65, "request_id": "an-id", "status": 201}
LINE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO POST /booktickets 201 5\.65 ms an-id"


@pytest.mark.parametrize(
    ("form", "kind"), [("auto", terminal), ("text", pipe)], ids=["terminal", "text"]
)
def test_people_get_time_level_duration_and_id(
    monkeypatch: pytest.MonkeyPatch, form: str, kind: Callable[[], tuple[int, int]]
) -> None:
    reader, writer = kind()
    os.set_blocking(reader, False)
    with os.fdopen(writer, "w") as stream:
        configure(monkeypatch, stream, form)
        log.info("POST /booktickets %s", 201, extra=REQUEST)
        log.error("KeyError in GET /", extra={"traceback": "  File a\n  File b\n"})
        request, error, *traceback = read(reader).splitlines()
    os.close(reader)
    assert re.fullmatch(LINE, request)
    assert error.endswith(" ERROR KeyError in GET /")
    assert traceback == ["  File a", "  File b"]


@pytest.mark.parametrize(
    ("form", "kind"), [("auto", pipe), ("json", terminal)], ids=["pipe", "json"]
)
def test_programs_get_json(
    monkeypatch: pytest.MonkeyPatch, form: str, kind: Callable[[], tuple[int, int]]
) -> None:
    reader, writer = kind()
    os.set_blocking(reader, False)
    with os.fdopen(writer, "w") as stream:
        configure(monkeypatch, stream, form)
        log.info("POST /booktickets %s", 201, extra=REQUEST)
        (line,) = read(reader).splitlines()
    os.close(reader)
    document = json.loads(line)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", document.pop("time"))
    assert document == {
        "level": "INFO",
        "logger": "app.tests",
        "message": "POST /booktickets 201",
        **REQUEST,
    }


def test_a_servers_logging_configuration_is_kept(
    ends: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, stream = ends
    theirs = logging.StreamHandler(stream)
    logging.getLogger().addHandler(theirs)
    configure(monkeypatch, stream)
    logging.getLogger("other").warning("theirs")
    log.info("ours")
    first, second = read(reader).splitlines()
    assert first == "theirs"
    assert json.loads(second)["message"] == "ours"
