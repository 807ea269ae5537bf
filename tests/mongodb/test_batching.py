"""Group commit, under threads; the last test repeats all others under gevent."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from app.mongodb import batching
from app.mongodb.batching import BatchLost, GroupCommit
from tests.running import HOST, free_port

PROJECT = Path(__file__).parent.parent.parent


class Command:
    """A command that takes as long as the test wants, and remembers the batches it was given."""

    def __init__(self) -> None:
        self.batches: list[list[Any]] = []
        self.may_end = threading.Event()
        self.result: Callable[[list[Any]], Any] = lambda batch: [f"done {each}" for each in batch]

    def __call__(self, batch: list[Any]) -> Any:
        self.batches.append(batch)
        assert self.may_end.wait(10)
        return self.result(batch)


class Callers:
    """Callers in separate threads, and what each of them got."""

    def __init__(self, group: GroupCommit[Any, Any]) -> None:
        self.group = group
        self.outcomes: dict[Any, Any] = {}
        self.threads: list[threading.Thread] = []

    def call(self, asked: Any) -> None:
        """Let a new caller ask, and return when it leads or stands in the queue."""
        waiting, leading = len(self.group._queue), self.group._led
        thread = threading.Thread(target=self._ask, args=[asked])
        self.threads.append(thread)
        thread.start()
        while (len(self.group._queue), self.group._led) == (waiting, leading):
            time.sleep(0.0001)

    def _ask(self, asked: Any) -> None:
        try:
            self.outcomes[asked] = self.group(asked)
        except BaseException as error:
            self.outcomes[asked] = error

    def join(self) -> dict[Any, Any]:
        for thread in self.threads:
            thread.join(10)
            assert not thread.is_alive()
        return self.outcomes


@pytest.fixture
def command() -> Command:
    return Command()


def test_a_lone_request_is_sent_at_once_by_itself(command: Command) -> None:
    command.may_end.set()
    group = GroupCommit(command)
    assert [group(1), group(2)] == ["done 1", "done 2"]
    assert command.batches == [[1], [2]]


def test_requests_that_arrive_meanwhile_share_the_next_command_in_order(command: Command) -> None:
    callers = Callers(GroupCommit(command))
    for asked in range(5):
        callers.call(asked)
    command.may_end.set()
    assert callers.join() == {asked: f"done {asked}" for asked in range(5)}
    assert command.batches == [[0], [1, 2, 3, 4]]


def test_batches_have_a_maximum_size(command: Command) -> None:
    callers = Callers(GroupCommit(command, largest=2))
    for asked in range(6):
        callers.call(asked)
    command.may_end.set()
    callers.join()
    assert command.batches == [[0], [1, 2], [3, 4], [5]]


def test_an_error_of_one_request_affects_no_other(command: Command) -> None:
    taken = ValueError("seat 1 is taken")
    command.result = lambda batch: [taken if each == 1 else each for each in batch]
    callers = Callers(GroupCommit(command))
    for asked in range(3):
        callers.call(asked)
    command.may_end.set()
    assert callers.join() == {0: 0, 1: taken, 2: 2}


def test_a_failed_command_fails_its_batch_and_the_next_batch_runs(command: Command) -> None:
    gone = ConnectionError("mongod is gone")

    def fail_once(batch: list[Any]) -> Any:
        if len(command.batches) == 2:
            raise gone
        return batch

    command.result = fail_once
    callers = Callers(GroupCommit(command, largest=2))
    for asked in range(5):
        callers.call(asked)
    command.may_end.set()
    assert callers.join() == {0: 0, 1: gone, 2: gone, 3: 3, 4: 4}


def test_a_missing_result_fails_the_whole_batch(command: Command) -> None:
    command.result = lambda batch: batch[1:]
    command.may_end.set()
    with pytest.raises(RuntimeError, match="0 results for 1 requests"):
        GroupCommit(command)(1)


class Killed(BaseException):
    """Ends a thread, as GreenletExit ends a greenlet."""


@pytest.mark.parametrize("kind", [Killed, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_a_killed_leader_hands_over(command: Command, kind: type[BaseException]) -> None:
    def kill_the_second(batch: list[Any]) -> Any:
        if len(command.batches) == 2:
            raise kind
        return batch

    command.result = kill_the_second
    callers = Callers(GroupCommit(command, largest=2))
    for asked in range(5):
        callers.call(asked)
    command.may_end.set()
    outcomes = callers.join()
    assert isinstance(outcomes[1], kind)
    assert isinstance(outcomes[2], BatchLost)
    assert (outcomes[0], outcomes[3], outcomes[4]) == (0, 3, 4)
    assert not callers.group._led


def test_the_commands_of_a_batch_share_one_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "BATCH_SECONDS", 0.3)
    with MongoClient[Any](HOST, free_port(), timeoutMS=3000) as nobody_there:

        def look_and_write(batch: list[Any]) -> list[Any]:
            with pytest.raises(PyMongoError):
                nobody_there.admin.command("ping")
            with pytest.raises(PyMongoError):
                nobody_there.admin.command("ping")
            return batch

        started_at = time.monotonic()
        assert GroupCommit[str, str](look_and_write)("a") == "a"
        assert time.monotonic() - started_at < 3


def test_nobody_waits_longer_than_patience(command: Command) -> None:
    callers = Callers(GroupCommit(command, largest=2, patience=0.05))
    for asked in range(4):
        callers.call(asked)
    for thread in callers.threads[1:]:
        thread.join(10)
    assert {type(callers.outcomes[asked]) for asked in (1, 2, 3)} == {BatchLost}
    command.may_end.set()
    assert callers.join()[0] == "done 0"
    # Callers that have left the queue are in no batch, and leave no gap.
    assert callers.group(4) == "done 4"
    assert command.batches == [[0], [4]]


def test_a_caller_killed_on_becoming_the_leader_hands_over(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait = batching._Caller.wait

    def wait_and_die(caller: Any, seconds: float) -> None:
        wait(caller, seconds)
        if caller.asked == 1:
            raise Killed

    monkeypatch.setattr(batching._Caller, "wait", wait_and_die)
    callers = Callers(GroupCommit(command))
    for asked in range(4):
        callers.call(asked)
    command.may_end.set()
    outcomes = callers.join()
    assert isinstance(outcomes.pop(1), Killed)
    assert outcomes == {0: "done 0", 2: "done 2", 3: "done 3"}
    assert command.batches == [[0], [2, 3]]


@pytest.mark.slow
@pytest.mark.skipif("UNDER_GEVENT" not in os.environ, reason="runs under gevent, below")
def test_killed_greenlets_leave_nobody_waiting(command: Command) -> None:
    import gevent

    group = GroupCommit(command)
    leader, queued, follower = (gevent.spawn(group, asked) for asked in range(3))
    gevent.sleep(0)
    for greenlet in (leader, queued):
        greenlet.kill(block=False)
    command.may_end.set()
    assert follower.get(timeout=10) == "done 2"
    assert command.batches == [[0], [2]]
    assert not group._led


@pytest.mark.slow
def test_ten_thousand_callers_are_served_in_order() -> None:
    batches: list[list[int]] = []

    def run(batch: list[int]) -> list[int]:
        batches.append(batch)
        time.sleep(0.0005)
        return [-each for each in batch]

    group = GroupCommit(run)
    callers = Callers(group)
    threads = [threading.Thread(target=callers._ask, args=[asked]) for asked in range(10_000)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert callers.outcomes == {asked: -asked for asked in range(10_000)}
    assert max(map(len, batches)) <= 100
    assert not group._queue
    assert not group._led


def test_no_request_is_remembered() -> None:
    class Asked:
        pass

    def refuse(batch: list[Asked]) -> list[Any]:
        return [ValueError() for _ in batch]

    group = GroupCommit(refuse)
    asked = Asked()
    trace = weakref.ref(asked)
    gc.disable()
    try:
        with pytest.raises(ValueError):  # noqa: PT011 (there is no text)
            group(asked)
        del asked
        assert trace() is None
    finally:
        gc.enable()


@pytest.mark.slow
@pytest.mark.skipif("UNDER_GEVENT" in os.environ, reason="it runs the others")
def test_all_of_this_holds_under_gevent() -> None:
    under_gevent = subprocess.run(
        [sys.executable, "-m", "gevent.monkey", "--module", "pytest", __file__],
        env={**os.environ, "UNDER_GEVENT": "yes"},
        cwd=PROJECT,
        capture_output=True,
        text=True,
    )
    assert under_gevent.returncode == 0, under_gevent.stdout
