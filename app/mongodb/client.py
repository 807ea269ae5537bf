"""MongoDB: one client per process, what an outage is, and what the log says about it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote_plus

from pymongo import MongoClient, ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import (
    BulkWriteError,
    DuplicateKeyError,
    InvalidOperation,
    PyMongoError,
    WriteConcernError,
    WriteError,
)

Document = dict[str, Any]

# For lists: all in the first reply (up to 16 MiB), where MongoDB would stop at 101.
ONE_BATCH = 100_000

# Options that our guarantees depend on; they override the URI's. None is the default.
_OURS: dict[str, Any] = {
    # A customer sees their own booking at once, and a refusal rests on the latest state.
    "readPreference": "primary",
    "readPreferenceTags": None,
    "maxStalenessSeconds": None,
    "readConcernLevel": "local",
    # What we confirm is in the journals of a majority of nodes: it survives the loss of any one.
    "w": "majority",
    "journal": True,
    "fsync": None,
    "wTimeoutMS": None,
    "retryReads": True,
    "retryWrites": True,
    # An operation, with its retries, takes 4 s at the most, in which the client looks again
    # whether there is a primary.
    "timeoutMS": 4000,
    "connectTimeoutMS": 2000,
    "heartbeatFrequencyMS": 2000,
    "serverSelectionTimeoutMS": None,
    "socketTimeoutMS": None,
    "waitQueueTimeoutMS": None,
    # The stores expect instants in UTC, and valid text.
    "tz_aware": True,
    "datetime_conversion": None,
    "unicode_decode_error_handler": None,
    # The client connects on first use, so it may be made before a fork.
    "connect": False,
}
_OUR_VALUES = {name.lower(): str(value).lower() for name, value in _OURS.items()}
UNAUTHORIZED = 13
_POOL_SIZE = 100  # connections to each node, where the connection string does not say

_DUPLICATE_KEY = 11000

_MAX_REASON_CHARACTERS = 500
_REPEAT_SECONDS = 60  # in which a reason that comes and goes is logged once
_QUIET_SECONDS = 1  # without an error, before an outage counts as over

log = logging.getLogger(__name__)


def open_client(uri: str) -> MongoClient[Document]:
    """Return a client for `uri` that obeys its options, except those that our guarantees depend on.

    It connects on first use, to names that DNS knows by then. Raises what pymongo raises for a
    connection string that it cannot use: PyMongoError, ValueError, TypeError, KeyError or OSError.
    """
    obeyed = {name.lower(): value for name, value in _options(uri)}
    ours = {name: value for name, value in _OURS.items() if value is not None}
    if "appname" not in obeyed:
        ours["appname"] = "box-office"
    if "maxpoolsize" not in obeyed:
        fewest = obeyed.get("minpoolsize", "")
        ours["maxPoolSize"] = max(_POOL_SIZE, int(fewest) if fewest.isdecimal() else 0)
    # Without these, because pymongo would combine some with ours, such as tags with a preference.
    kept = "&".join(
        option for option in _query(uri) if option.partition("=")[0].lower() not in _OUR_VALUES
    )
    return MongoClient(uri.partition("?")[0] + (kept and f"?{kept}"), **ours)


def renew_connections(client: MongoClient[Document]) -> None:
    """Close the idle connections of `client`, so that new ones authenticate.

    A connection whose user was dropped stays unauthorized, even when that user is created again.
    """
    # pymongo has no public way, and a new client would have to reach every store.
    for server in list(client._topology._servers.values()):
        server.pool.reset_without_pause()


def log_ignored_options(uri: str) -> None:
    """Log one warning that names the options of `uri` that `open_client` does not obey."""
    ignored = {
        name: None  # in the order of the connection string, each once
        for name, value in _options(uri)
        if value.lower() != _OUR_VALUES.get(name.lower(), value.lower())
    }
    if ignored:
        log.warning(
            "MONGODB_URI has options that the service sets itself; ignored: %s", ", ".join(ignored)
        )


def _query(uri: str) -> list[str]:
    return [option for option in re.split("[&;]", uri.partition("?")[2]) if option]


def _options(uri: str) -> Iterator[tuple[str, str]]:
    """Yield the options of a connection string, in its order, as name and unquoted value."""
    for option in _query(uri):
        name, _, value = option.partition("=")
        yield name, unquote_plus(value)


def is_outage(error: PyMongoError) -> bool:
    """Return whether MongoDB does not serve; a duplicate key and a closed client are our bugs.

    Anything else that it refuses, for lack of a primary, disk space or privileges, may pass later.
    """
    return not isinstance(error, DuplicateKeyError | InvalidOperation)


def describe(error: PyMongoError) -> str:
    """Return pymongo's message on one line, without customer data.

    It also leaves out what differs each time, such as how long the operation waited.
    """
    text = str(error)
    if details := getattr(error, "details", None) or {}:  # several errors in one
        inner = [*details.get("writeErrors", ()), *details.get("writeConcernErrors", ())]
        text = inner[0].get("errmsg", text) if inner else text
    for start in (
        ", full error: ",
        ", Timeout: ",
        ", Topology Description: ",
        " to execute command ",
    ):
        text = text.partition(start)[0]
    text = text.rpartition(":: caused by :: ")[2]  # behind ids that differ each time
    text = re.sub(r" \(configured timeouts: [^)]*\)", "", text)
    text = re.sub(r'(\bkey: )"[^"]*"', r"\1***", text)  # a customer's idempotency key
    return " ".join(text.split())[:_MAX_REASON_CHARACTERS] or type(error).__name__


class OutageLog:
    """Logs why MongoDB is unavailable, whenever that changes, and the end of the outage."""

    def __init__(self) -> None:
        self._reason: str | None = None  # None when all is well
        # The reasons of this outage, and when they were logged.
        self._logged_at: dict[str, float] = {}
        self._reported_at = 0.0

    def report(self, error: PyMongoError) -> None:
        """Log why MongoDB is unavailable, unless that has been logged."""
        now = self._reported_at = time.monotonic()
        reason = describe(error)
        # Reasons of concurrent requests may alternate, which must not fill the log.
        logged_at = self._logged_at.get(reason, float("-inf"))
        is_news = reason != self._reason and now - logged_at > _REPEAT_SECONDS
        self._reason = reason
        if is_news:
            self._logged_at[reason] = now
            log.warning("MongoDB is unavailable; responding with 503: %s", reason)

    def end(self) -> None:
        """Log that MongoDB is available again, if it was not and no request has failed since."""
        if self._reason and time.monotonic() - self._reported_at > _QUIET_SECONDS:
            self._reason = None
            self._logged_at.clear()
            log.warning("MongoDB is available again")


outages = OutageLog()  # one for each process, like its log


def find_settled(
    collection: Collection[Document], wanted: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return a document like `find_one`, once it is as durable as our own writes."""
    # A write that changes nothing waits for the acknowledgement of all that came before it.
    return collection.find_one_and_update(wanted, {"$unset": {"never_set": True}})


def insert_all(
    collection: Collection[Document], documents: Sequence[Document]
) -> list[WriteError | None]:
    """Insert the documents in one command, and return what was wrong with each, or None.

    Raises PyMongoError when all of them failed, or may be lost in a failover.
    """
    refused: dict[int, WriteError] = {}
    try:
        collection.insert_many(documents, ordered=False)
    except BulkWriteError as error:
        details: Mapping[str, Any] = error.details or {}
        for failure in details.get("writeConcernErrors", ()):
            raise WriteConcernError(failure["errmsg"], failure.get("code"), failure) from None
        for failure in details["writeErrors"]:
            kind = DuplicateKeyError if failure["code"] == _DUPLICATE_KEY else WriteError
            refused[failure["index"]] = kind(failure["errmsg"], failure["code"], failure)
    return [refused.get(index) for index in range(len(documents))]


def upsert(
    collection: Collection[Document],
    wanted: Mapping[str, Any],
    change: Mapping[str, Any],
) -> Document:
    """Change the wanted document, or create it, and return it as it is afterwards.

    Raises DuplicateKeyError when two callers create the same one at once.
    """
    changed = collection.find_one_and_update(
        wanted, change, upsert=True, return_document=ReturnDocument.AFTER
    )
    return cast(Document, changed)  # an upsert always leaves one


def violates_index_on(error: DuplicateKeyError, field: str) -> bool | None:
    """Return whether the unique index on `field` refused the write; None if that is unknown."""
    # mongomock gives no details.
    details = error.details or {}
    return field in details["keyPattern"] if "keyPattern" in details else None
