"""Tickets in MongoDB: one document each, and a unique index that keeps every seat to one ticket."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

from pymongo import ASCENDING, IndexModel
from pymongo import collection as pymongo_collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.mongodb.client import ONE_BATCH, Document, clashes_in, find_settled
from app.mongodb.indexes import Indexes
from app.theatre.idempotency import IdempotentRequest, KeyTaken
from app.theatre.refusals import SoldOut
from app.theatre.showings import Showing, as_utc

Result = TypeVar("Result")

_SHOWINGS_REMEMBERED = 2000


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """A ticket as it is stored; instants are in UTC."""

    ticket_id: str
    name: str
    phone: str
    phone_e164: str
    showing: Showing
    seat: int
    booked_at: datetime
    request_fingerprint: str | None


@dataclass(frozen=True, slots=True)
class Occupancy:
    """How many tickets a showing has, and how many of its seats are still free."""

    booked: int
    free: int


class TicketStore:
    """The tickets of one theatre, `capacity` to a showing.

    The cap is the absence of a seat `capacity + 1`: a ticket holds one numbered seat, and the
    unique index on showing and seat lets MongoDB refuse the second ticket for it. Booking is one
    insert, moving one update, deleting one delete, so there is no state between them.
    """

    def __init__(
        self, database: Database[Document], capacity: int, expire_after: timedelta
    ) -> None:
        # In this order the first also lists a timing by date and seat, and counts a showing.
        seat_of_showing = [("timing", ASCENDING), ("date", ASCENDING), ("seat", ASCENDING)]
        self._indexes = Indexes(
            database["tickets"],
            unique=[
                IndexModel(seat_of_showing, unique=True),
                IndexModel("request.key", unique=True, sparse=True),
            ],
            expiry="showing_at",
            expire_after=expire_after,
        )
        self._capacity = capacity
        self._seats = frozenset(range(1, capacity + 1))
        # Seats to try before asking MongoDB, the next one last: not those that this process has
        # taken or seen taken. It only saves round trips: whether a seat or a house is free is
        # always for MongoDB to say.
        self._untried: dict[Showing, list[int]] = {}

    @property
    def _tickets(self) -> pymongo_collection.Collection[Document]:
        return self._indexes.collection

    def prepare(self) -> None:
        """Create the indexes; raises PyMongoError when MongoDB cannot be used."""
        self._indexes.ensure(max_age=0)

    def add(
        self,
        *,
        ticket_id: str,
        name: str,
        phone: str,
        phone_e164: str,
        showing: Showing,
        booked_at: datetime,
        request: IdempotentRequest | None = None,
    ) -> StoredTicket:
        """Store a new ticket on a free seat of `showing` and return it.

        Raises SoldOut when no seat is free, and KeyTaken when the key of `request` is in use.
        """
        document: Document = {
            "_id": ticket_id,
            "name": name,
            "phone": phone,
            "phone_e164": phone_e164,
            **showing.as_document(),
            "booked_at": booked_at,
        }
        if request:
            document["request"] = request.as_document()

        def insert(seat: int) -> StoredTicket:
            document["seat"] = seat
            try:
                self._tickets.insert_one(document)
            except DuplicateKeyError as error:
                key_taken = clashes_in(error, "request.key")
                if key_taken is None and request:
                    key_taken = self.find_by_key(request.key) is not None
                if key_taken:
                    raise KeyTaken from None
                raise
            return _ticket(document)

        return self._on_free_seat(showing, insert)

    def move(self, ticket: StoredTicket, showing: Showing) -> StoredTicket | None:
        """Give `ticket` a free seat in another showing, in one write, and return it as it is then.

        Returns None, having changed nothing, when the ticket has left the showing that `ticket`
        names or is deleted. Raises SoldOut when no seat is free.
        """
        unmoved = {"_id": ticket.ticket_id, **ticket.showing.identity()}

        def update(seat: int) -> StoredTicket | None:
            # Not by findAndModify, of which mongod logs a refused one with the ticket's id.
            change = {"$set": {**showing.as_document(), "seat": seat}}
            if self._tickets.update_one(unmoved, change).matched_count == 0:
                return None
            return replace(ticket, showing=showing, seat=seat)

        return self._on_free_seat(showing, update)

    def delete(self, ticket_id: str, phone_e164: str) -> bool:
        """Delete the ticket if it was booked with this phone; tell whether it was there."""
        owned = {"_id": ticket_id, "phone_e164": phone_e164}
        return self._tickets.delete_one(owned).deleted_count == 1

    def get(self, ticket_id: str) -> StoredTicket | None:
        """Return the ticket with this id, if there is one."""
        document = self._tickets.find_one({"_id": ticket_id})
        return _ticket(document) if document else None

    def find_by_key(self, key: str) -> StoredTicket | None:
        """Return the ticket that was booked with this idempotency key, if there is one."""
        document = find_settled(self._tickets, {"request.key": key})
        return _ticket(document) if document else None

    def list_timing(self, timing: str, day: date | None = None) -> list[StoredTicket]:
        """Return all tickets of a timing (of one date, if given) by date, then seat."""
        wanted = {"timing": timing} | ({"date": day.isoformat()} if day else {})
        by_seat = [("date", ASCENDING), ("seat", ASCENDING)]
        found = self._tickets.find(wanted, sort=by_seat, batch_size=ONE_BATCH)
        return [_ticket(document) for document in found]

    def occupancy(self, showings: Collection[Showing]) -> dict[Showing, Occupancy]:
        """Count the tickets and the free seats of each showing, in one query."""
        dates = sorted({showing.date.isoformat() for showing in showings})
        timings = sorted({showing.timing for showing in showings})
        groups = self._tickets.aggregate(
            [
                {"$match": {"timing": {"$in": timings}, "date": {"$in": dates}}},
                {
                    "$group": {
                        "_id": {"timing": "$timing", "date": "$date"},
                        "seats": {"$push": "$seat"},
                    }
                },
            ]
        )
        # Tickets above the capacity, sold before it was lowered, take no seat that is on sale.
        counted = {
            (group["_id"]["timing"], group["_id"]["date"]): Occupancy(
                len(group["seats"]), len(self._seats.difference(group["seats"]))
            )
            for group in groups
        }
        empty = Occupancy(0, self._capacity)
        return {
            showing: counted.get((showing.timing, showing.date.isoformat()), empty)
            for showing in showings
        }

    def _on_free_seat(self, showing: Showing, write: Callable[[int], Result]) -> Result:
        """Call `write` with one seat after another until MongoDB accepts it; return its result.

        The first seat is a guess, since asking for the free ones would double the round trips of
        a booking. A refused write means that somebody else got that seat, so a turn is only ever
        lost to a booking that succeeded. Raises SoldOut when no seat is free.
        """
        self._indexes.ensure()
        untried = self._untried.get(showing)
        if untried is None:
            untried = self._remember(showing, self._seats)
        while True:
            try:
                seat = untried.pop()  # so that other threads try others meanwhile
            except IndexError:
                pass  # none that this process knows of
            else:
                try:
                    return write(seat)
                except DuplicateKeyError:
                    pass
                except BaseException:
                    untried.append(seat)
                    raise
            free = self._seats - self._taken_seats(showing)
            untried = self._remember(showing, free)
            if not free:
                raise SoldOut

    def _remember(self, showing: Showing, free: Set[int]) -> list[int]:
        """Return these seats in the order in which this process is to try them.

        That is one beside the other from a seat at random, so that processes which fill a house
        together meet less often.
        """
        if showing not in self._untried and len(self._untried) >= _SHOWINGS_REMEMBERED:
            self._untried.clear()
        seats = sorted(free, reverse=True)
        first = random.randrange(len(seats) or 1)  # noqa: S311 (a seat is no secret)
        untried = self._untried[showing] = seats[first:] + seats[:first]
        return untried

    def _taken_seats(self, showing: Showing) -> set[int]:
        return set(self._tickets.distinct("seat", showing.identity()))


def _ticket(document: Mapping[str, Any]) -> StoredTicket:
    return StoredTicket(
        ticket_id=document["_id"],
        name=document["name"],
        phone=document["phone"],
        phone_e164=document["phone_e164"],
        showing=Showing.from_document(document),
        seat=document["seat"],
        booked_at=as_utc(document["booked_at"]),
        request_fingerprint=document.get("request", {}).get("fingerprint"),
    )
