"""The service with one of its guards removed, for the controls of the races.

Without a control, a test could pass only because its requests never race.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from flask import Flask
from pymongo import IndexModel

from app.domain.seating import SeatMap
from app.domain.wanted import Wanted
from app.mongodb import batching, client
from app.mongodb.indexes import Indexes
from app.tickets import seat_choice, store
from app.tickets.documents import ticket_document


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


def _give_up_at_once() -> None:
    """Try to get a seat once, although another process may have taken it meanwhile."""
    store._MAX_ATTEMPTS = 1


def _move_by_two_writes() -> None:
    """Move a ticket by deleting it and storing it again."""

    def move(
        self: store.TicketStore, ticket: Any, showing: Any, house: Any, wanted: Any = None
    ) -> Any:
        taken = self.taken_seats([showing])[showing]
        seats = seat_choice.choose(SeatMap(house, taken), wanted or Wanted(len(ticket.seats)))
        moved = replace(ticket, showing=showing, seats=seats)
        self._tickets.delete_one(store._owned(ticket.ticket_id))
        self._tickets.insert_one(ticket_document(moved, None))
        return moved

    store.TicketStore.move = move  # type: ignore[method-assign]


def _take_the_best_seats() -> None:
    """Let every process try the best seats of a house."""
    seat_choice.SeatChooser._is_alone = property(lambda _: True)  # type: ignore[assignment]


def _mix_up_results() -> None:
    """Give the callers of a batch its results in the wrong order."""
    guarded = batching.GroupCommit.__init__

    def init(self: batching.GroupCommit[Any, Any], run: Any, **options: Any) -> None:
        guarded(self, lambda batch: list(run(batch))[::-1], **options)

    batching.GroupCommit.__init__ = init  # type: ignore[method-assign]


def _share_errors() -> None:
    """Let one document that MongoDB refuses fail all documents of its command."""

    def insert_all(collection: Any, documents: Any) -> list[Any]:
        collection.insert_many(documents, ordered=False)
        return [None] * len(documents)

    store.insert_all = insert_all  # type: ignore[attr-defined]


def _confirm_before_it_is_safe() -> None:
    """Confirm what MongoDB has not written to its journal yet."""
    client._OURS |= {"w": 1, "journal": False}


_GUARDS: dict[str, Callable[[], None]] = {
    "unique_seats": partial(_allow_duplicates, "seat"),
    "unique_keys": partial(_allow_duplicates, "request.key"),
    "one_movie_at_a_time": partial(_allow_duplicates, "plays_at"),
    "revision": _write_unconditionally,
    "not_admitted": _delete_admitted_tickets,
    "attempts": _give_up_at_once,
    "one_write": _move_by_two_writes,
    "places": _take_the_best_seats,
    "order_of_results": _mix_up_results,
    "own_errors": _share_errors,
    "journal": _confirm_before_it_is_safe,
}
