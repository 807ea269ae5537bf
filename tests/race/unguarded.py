"""The service with one of its guards removed, for the controls of the races.

Without a control, a test could pass only because its requests never race.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from flask import Flask
from pymongo import IndexModel

from app.mongodb.indexes import Indexes
from app.tickets import store


def without(guard: str) -> Flask:
    """Return the app without this guard."""
    _GUARDS[guard]()
    from root import app

    return app


def _allow_duplicates(field: str) -> None:
    """Keep the index on this field, but not unique."""
    guarded = Indexes.__init__

    def init(self: Indexes, *args: Any, unique: Sequence[IndexModel], **options: Any) -> None:
        for index in unique:
            if field in index.document["key"]:
                index.document.pop("unique")
        guarded(self, *args, unique=unique, **options)

    Indexes.__init__ = init  # type: ignore[method-assign]


def _write_unconditionally() -> None:
    """Move and admit tickets on no condition but their id."""
    store._unchanged = lambda ticket: store._owned(ticket.ticket_id)


def _delete_admitted_tickets() -> None:
    """Delete tickets whether or not anybody of them is in."""
    store._NOT_ADMITTED = {}


_GUARDS: dict[str, Callable[[], None]] = {
    "unique_seats": partial(_allow_duplicates, "seat"),
    "unique_keys": partial(_allow_duplicates, "request.key"),
    "one_movie_at_a_time": partial(_allow_duplicates, "plays_at"),
    "revision": _write_unconditionally,
    "not_admitted": _delete_admitted_tickets,
}
