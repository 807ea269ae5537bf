"""MongoDB: one client per process, and what is true of every collection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

from pymongo import MongoClient, ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import (
    BulkWriteError,
    ConnectionFailure,
    DuplicateKeyError,
    OperationFailure,
    PyMongoError,
    WriteConcernError,
    WriteError,
)

Document = dict[str, Any]

# For lists: all in the first answer (which takes 16 MiB), where MongoDB would stop at 101.
ONE_BATCH = 100_000

# Server errors that are none of ours: the node is starting, stopping, stepping down or gone, its
# disk is full, or a write was not acknowledged in time (the names are those of MongoDB's
# error_codes.yml).
_PASSING_ERRORS = {
    6,  # HostUnreachable
    7,  # HostNotFound
    50,  # MaxTimeMSExpired
    64,  # WriteConcernFailed
    89,  # NetworkTimeout
    91,  # ShutdownInProgress
    100,  # UnsatisfiableWriteConcern
    189,  # PrimarySteppedDown
    262,  # ExceededTimeLimit
    9001,  # SocketException
    10107,  # NotWritablePrimary
    11600,  # InterruptedAtShutdown
    11602,  # InterruptedDueToReplStateChange
    13435,  # NotPrimaryNoSecondaryOk
    13436,  # NotPrimaryOrSecondary
    14031,  # OutOfDiskSpace
}
_INDEX_OPTIONS_CONFLICT = 85
_DUPLICATE_KEY = 11000


def open_client(uri: str, connections: int = 100) -> MongoClient[Document]:
    """Return a client for `uri` that connects on first use, so it may be made before a fork.

    Writes are acknowledged by the journals of a majority of nodes: what was answered survives the
    loss of any one of them. An operation, with its retries, takes 4 s at the most, in which the
    client looks again whether there is a primary. There are at most so many `connections` to each
    node.
    """
    return MongoClient(
        uri,
        connect=False,
        tz_aware=True,
        w="majority",
        journal=True,
        timeoutMS=4000,
        connectTimeoutMS=2000,
        heartbeatFrequencyMS=2000,
        maxPoolSize=connections,
        appname="box-office",
    )


def is_outage(error: PyMongoError) -> bool:
    """Tell whether `error` means that MongoDB cannot serve now, rather than a bug of ours."""
    if isinstance(error, ConnectionFailure) or error.timeout:
        return True
    if error.has_error_label("RetryableWriteError"):
        return True
    return isinstance(error, OperationFailure) and error.code in _PASSING_ERRORS


def find_settled(
    collection: Collection[Document], wanted: Mapping[str, Any]
) -> Mapping[str, Any] | None:
    """Return a document like `find_one`, once it is as safe from a failover as an own write."""
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
    projection: Mapping[str, Any] | None = None,
) -> Document:
    """Change the document that is wanted, or a new one, and return it as it is then.

    Raises DuplicateKeyError when two at once make the same new one.
    """
    changed = collection.find_one_and_update(
        wanted, change, projection, upsert=True, return_document=ReturnDocument.AFTER
    )
    return cast(Document, changed)  # an upsert always leaves one


def clashes_in(error: DuplicateKeyError, field: str) -> bool | None:
    """Tell whether it is the unique index on `field` that refused; None if that is not known."""
    # mongomock gives no details.
    details = error.details or {}
    return field in details["keyPattern"] if "keyPattern" in details else None


def create_expiry_index(collection: Collection[Document], field: str, after: timedelta) -> None:
    """Let MongoDB remove documents `after` the instant in `field`, in whole seconds.

    An index that has another period is changed in place, never dropped; several processes may
    call this at once.
    """
    seconds = int(after.total_seconds())
    try:
        collection.create_index(field, expireAfterSeconds=seconds)
    except OperationFailure as error:
        if error.code != _INDEX_OPTIONS_CONFLICT:
            raise
        collection.database.command(
            "collMod",
            collection.name,
            index={"keyPattern": {field: 1}, "expireAfterSeconds": seconds},
        )
