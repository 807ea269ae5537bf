"""How many requests a client may send; counted in MongoDB for all processes together."""

from __future__ import annotations

import math
import time
from ipaddress import IPv6Address, IPv6Network
from typing import Any

from flask import Flask, request
from limits import RateLimitItem
from limits.storage import MongoDBStorageBase
from limits.strategies import FixedWindowRateLimiter
from pymongo import MongoClient, WriteConcern
from pymongo.collection import Collection
from pymongo.database import Database
from werkzeug.exceptions import TooManyRequests

from app.web.addresses import parse_ip, without_port


class _Counters(MongoDBStorageBase):
    """The counters of `limits`, in a database that is given, where `limits` takes only a URI."""

    STORAGE_SCHEME = ["box-office"]

    def __init__(self, database: Database[Any]) -> None:
        self._client = database.client
        super().__init__(
            "",
            database_name=database.name,
            counter_collection_name="rate_limits",
            window_collection_name="rate_limit_windows",
        )

    def _init_mongo_client(self, *_: Any, **__: Any) -> MongoClient[Any]:
        return self._client

    def __del__(self) -> None:
        """Leave the client open; the base class would close it."""

    @property
    def counters(self) -> Collection[Any]:
        """The counts; one may be lost in a crash, so nobody waits for the journal."""
        return super().counters.with_options(write_concern=WriteConcern(w=1))


def configure(
    app: Flask, database: Database[Any], limit: RateLimitItem | None, exempt: tuple[str, ...]
) -> None:
    """Refuse requests from an address beyond `limit`.

    A window begins with its first request. Static files are not counted, nor are paths that start
    with one of `exempt`.
    """
    if limit is None:
        return
    limiter = FixedWindowRateLimiter(_Counters(database))

    @app.before_request
    def refuse_too_many_requests() -> None:
        if request.path.startswith(exempt) or (request.endpoint or "").endswith(".static"):
            return
        client = _client(request.remote_addr or "")
        if limiter.hit(limit, client):
            return
        seconds = math.ceil(limiter.get_window_stats(limit, client).reset_time - time.time())
        # The window may have ended meanwhile; then its end is unknown.
        raise TooManyRequests(retry_after=min(max(seconds, 1), limit.get_expiry()))


def _client(address: str) -> str:
    """Return the name under which an address is counted: one for each IPv4 address or IPv6 /64.

    Some proxies name a port, which differs from connection to connection.
    """
    try:
        parsed = parse_ip(without_port(address))
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(IPv6Network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
