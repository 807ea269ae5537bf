"""Group commit: requests that arrive while a command is in flight share the next one.

One command to MongoDB costs about as much for one document as for ten. So the first caller leads:
it sends its request at once, by itself. Callers who arrive meanwhile queue. When the command is
done, the first in the queue leads the next batch: itself and those behind it.

Invariants:

- There is no timer and no minimum. A lone request is sent at once, in one round trip.
- A batch starts after each of its requests has arrived. A shared read is therefore never older
  than its request. A cache, or a read already in flight, could not guarantee that.
- Each caller gets the result, or the error, of its own request. An error of the whole command
  goes to everybody.
- Batches are taken in order of arrival, and at most one is in flight.
- As long as somebody queues, somebody leads. A leader that is killed, by any exception, hands over
  first.
- The commands of a batch share one deadline, so a batch that looks before it writes does not take
  twice as long. Nobody waits longer than `patience`, which is more than two such batches.

The model is LevelDB's queue of writers (`DBImpl::Write`). It works with threads, and with the
greenlets that gevent puts in their place.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import pymongo

Asked = TypeVar("Asked")
Result = TypeVar("Result")

MAX_BATCH = 100  # requests
BATCH_SECONDS = 4.0  # the deadline of one; pymongo may notice it half a second late
PATIENCE_SECONDS = 10.0


class BatchLost(Exception):
    """A request got no result: its leader was killed, or the wait was too long.

    Whether a write took effect is unknown.
    """


class GroupCommit(Generic[Asked, Result]):
    """Collects the requests of concurrent callers into batches for `run`.

    `run` takes a batch in order of arrival, from 1 to `largest` requests, and returns as many
    results in the same order. A result that is an exception is raised to its caller only; one that
    `run` raises is raised to every caller of the batch. A caller waits at most `patience` seconds.
    """

    def __init__(
        self,
        run: Callable[[list[Asked]], Sequence[Result | Exception]],
        *,
        largest: int = MAX_BATCH,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._run = run
        self._largest = largest
        self._patience = patience
        self._lock = threading.Lock()  # never held across anything that waits
        self._queue: deque[_Caller[Asked, Result]] = deque()
        self._led = False  # whether somebody leads, or has been told to

    def __call__(self, asked: Asked) -> Result:
        """Return the result of `asked`, from a batch that starts after this call.

        Raises what `run` raises or returns for it, and BatchLost.
        """
        caller: _Caller[Asked, Result] = _Caller(asked)
        with self._lock:
            caller.leads, self._led = not self._led, True
            if not caller.leads:
                self._queue.append(caller)
        try:
            if not caller.leads:
                caller.wait(self._patience)
            if caller.leads:
                self._lead(caller)
            return caller.result()
        except BaseException:
            self._leave(caller)
            raise

    def _lead(self, leader: _Caller[Asked, Result]) -> None:
        batch = self._take_batch(leader)
        outcomes: Sequence[Result | Exception]
        try:
            with pymongo.timeout(BATCH_SECONDS):
                outcomes = self._run([caller.asked for caller in batch])
            if len(outcomes) != len(batch):
                raise RuntimeError(f"{len(outcomes)} results for {len(batch)} requests")
        except Exception as error:
            outcomes = [error] * len(batch)
        except BaseException:
            outcomes = [BatchLost()] * len(batch)
            raise
        finally:
            # The next command goes on its way before these callers resume their own work.
            self._hand_over(leader)
            for caller, outcome in zip(batch, outcomes, strict=True):
                caller.finish(outcome)

    def _take_batch(self, leader: _Caller[Asked, Result]) -> list[_Caller[Asked, Result]]:
        batch = [leader]
        with self._lock:
            while self._queue and len(batch) < self._largest:
                caller = self._queue.popleft()
                if not caller.gone:
                    batch.append(caller)
        return batch

    def _hand_over(self, leader: _Caller[Asked, Result]) -> None:
        """Let the first in the queue lead, if anybody is there."""
        with self._lock:
            leader.leads = self._led = False
            while self._queue and not self._led:
                caller = self._queue.popleft()
                if not caller.gone:
                    caller.leads = self._led = True
                    caller.wake()

    def _leave(self, caller: _Caller[Asked, Result]) -> None:
        """Skip a caller that fails, or is killed, in the queue, or hand over its lead."""
        with self._lock:
            caller.gone = True
        if caller.leads:
            self._hand_over(caller)


class _Caller(Generic[Asked, Result]):
    """A request, and the caller who waits for its result."""

    __slots__ = ("_alarm", "_outcomes", "asked", "gone", "leads")

    def __init__(self, asked: Asked) -> None:
        self.asked = asked
        self.leads = False
        self.gone = False
        self._outcomes: list[Result | Exception] = []  # one, once it is known
        self._alarm = threading.Lock()  # released to wake the caller
        self._alarm.acquire()

    def wait(self, seconds: float) -> None:
        """Return when this caller leads or has an outcome, after `seconds` at the latest."""
        self._alarm.acquire(timeout=seconds)

    def wake(self) -> None:
        """End the wait."""
        if self._alarm.locked():
            self._alarm.release()

    def finish(self, outcome: Result | Exception) -> None:
        """Leave the outcome and end the wait."""
        self._outcomes.append(outcome)
        self.wake()

    def result(self) -> Result:
        """Return the outcome, or raise it if it is an exception; raises BatchLost without one."""
        outcome = self._outcomes.pop() if self._outcomes else BatchLost()
        try:
            if isinstance(outcome, Exception):
                raise outcome
            return outcome
        finally:
            del outcome  # its traceback would refer to itself through this frame
