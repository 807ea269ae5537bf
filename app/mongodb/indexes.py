"""The indexes that our guarantees depend on: created before first use, and again when lost.

The stores declare them, in app/tickets/store.py and app/multiplex/store.py.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pymongo
from pymongo import IndexModel
from pymongo.collection import Collection
from pymongo.errors import ConnectionFailure, DuplicateKeyError, OperationFailure, PyMongoError

from app.mongodb.client import UNAUTHORIZED, Document, describe, outages, renew_connections

MAX_AGE_SECONDS = 2.0
_ATTEMPT_SECONDS = 4
_INDEX_OPTIONS_CONFLICT = 85
_MAX_SKEW = timedelta(minutes=1)
_NEVER = 2**31 - 1  # seconds, the most that MongoDB allows

log = logging.getLogger(__name__)


class IndexesUnavailable(ConnectionFailure):
    """MongoDB refuses to create this service's indexes; its text is MongoDB's reason."""


class Indexes:
    """The indexes of one collection: `unique` ones, and perhaps one by which documents expire.

    Dropping a collection drops its indexes, so requests recreate them when they were last verified
    more than MAX_AGE_SECONDS ago. A loss goes unnoticed for no longer than that. One request does
    so for all that are waiting.
    """

    def __init__(
        self,
        collection: Collection[Document],
        *,
        unique: Sequence[IndexModel],
        expiry: tuple[str, timedelta] | None = None,
        upgrade: Callable[[], None] | None = None,
        started_at: float | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Documents expire at the instant in a field plus a period, in whole seconds.

        The period is that of the service that started last, at `started_at` (by default, now).
        While MongoDB's clock and `clock` (both times in seconds since 1970) disagree, nothing is
        removed. `upgrade` runs after the indexes are created, until it has succeeded once.
        """
        self._collection = collection
        self._unique = unique
        self._expiry = expiry
        self._upgrade = upgrade
        self._clock = clock
        self._started_at = started_at or clock()
        self._clocks_agree = True
        self._lock = threading.Lock()
        self._seen_at = float("-inf")
        self._tried_at = float("-inf")
        self._failure: PyMongoError | None = None

    @property
    def collection(self) -> Collection[Document]:
        """The collection, for operations that duplicates do not harm, such as reading.

        Raises IndexesUnavailable when they cannot be created, except because of duplicates.
        """
        try:
            self.ensure()
        except IndexesUnavailable as error:
            if not isinstance(error.__cause__, DuplicateKeyError):
                raise
        return self._collection

    def ensure(self, max_age: float | None = None) -> None:
        """Create the indexes, unless they were seen within `max_age` seconds (MAX_AGE_SECONDS).

        Raises IndexesUnavailable when they cannot be created.
        """
        arrived_at = time.monotonic()
        oldest = arrived_at - (MAX_AGE_SECONDS if max_age is None else max_age)
        if self._seen_at > oldest:
            return
        # A request must not wait for the attempts of several others in turn.
        if not self._lock.acquire(timeout=_ATTEMPT_SECONDS):
            failure = self._failure
            raise IndexesUnavailable(describe(failure) if failure else "timed out") from failure
        try:
            # Requests that waited here share the outcome, so that an outage does not delay them
            # one after another. What MongoDB has refused, it will refuse for a while.
            refused = isinstance(self._failure, OperationFailure)
            if self._tried_at < (oldest if refused else arrived_at):
                self._create_all()
            if self._failure:
                raise IndexesUnavailable(describe(self._failure)) from self._failure
        finally:
            self._lock.release()
        outages.end()

    def _create_all(self) -> None:
        started_at = time.monotonic()
        try:
            with pymongo.timeout(_ATTEMPT_SECONDS):
                self._collection.create_indexes(self._unique)
                if self._expiry:
                    self._create_expiry_index(*self._expiry)
            if self._upgrade:
                self._upgrade()
                self._upgrade = None
        except PyMongoError as error:
            self._failure = error
            self._seen_at = float("-inf")
            if isinstance(error, OperationFailure) and error.code == UNAUTHORIZED:
                renew_connections(self._collection.database.client)
        else:
            self._failure = None
            self._seen_at = started_at
        self._tried_at = time.monotonic()

    def _create_expiry_index(self, field: str, after: timedelta) -> None:
        theirs = self._their_clock()
        ours = datetime.fromtimestamp(self._clock(), UTC)
        # If MongoDB's clock is wrong, it would remove valid tickets for good.
        agree = theirs is None or abs(theirs - ours) <= _MAX_SKEW
        outcome = "until they agree, no expired tickets are removed"
        try:
            self._set_period(field, self._period(int(after.total_seconds())) if agree else _NEVER)
        except OperationFailure as error:
            if agree or error.code != UNAUTHORIZED:
                raise
            outcome = "it may remove valid tickets, and its user has no right to stop it (collMod)"
        if theirs and self._clocks_agree and not agree:
            log.error(
                "MongoDB's clock says %s and this machine's %s: %s",
                theirs.isoformat(timespec="seconds"),
                ours.isoformat(timespec="seconds"),
                outcome,
            )
        elif agree and not self._clocks_agree:
            log.warning("The clocks of MongoDB and of this machine agree again")
        self._clocks_agree = agree

    def _set_period(self, field: str, seconds: int) -> None:
        try:
            self._collection.create_index(field, expireAfterSeconds=seconds)
        except OperationFailure as error:
            if error.code != _INDEX_OPTIONS_CONFLICT:
                raise
            self._collection.database.command(
                "collMod",
                self._collection.name,
                index={"keyPattern": {field: 1}, "expireAfterSeconds": seconds},
            )

    def _period(self, own: int) -> int:
        """Return the period of the service that started last, in seconds."""
        starts = self._collection.database["starts"]
        # A start in the future was recorded by a wrong clock.
        now = self._clock()
        self._started_at = min(self._started_at, now)
        later = {"$gte": self._started_at, "$lte": now + _MAX_SKEW.total_seconds()}
        if last := starts.find_one({"_id": self._collection.name, "started_at": later}):
            return int(last["expire_after_seconds"])
        mine = {"started_at": self._started_at, "expire_after_seconds": own}
        with suppress(DuplicateKeyError):  # another one starts right now; the next check decides
            starts.replace_one(
                {"_id": self._collection.name, "started_at": {"$not": later}}, mine, upsert=True
            )
        return own

    def _their_clock(self) -> datetime | None:
        """Return the time by MongoDB's clock, or None on mongomock, which has none."""
        try:
            hello = self._collection.database.command("hello")
        except NotImplementedError:
            return None
        their_time: datetime = hello["localTime"]
        return their_time.replace(tzinfo=UTC)  # which commands omit
