"""Tickets in MongoDB: one document each, and a unique index that keeps every seat to one ticket."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Set
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any, TypeVar

from pymongo import ASCENDING, IndexModel
from pymongo import collection as pymongo_collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, WriteError

from app.mongodb.batching import GroupCommit
from app.mongodb.client import ONE_BATCH, Document, clashes_in, find_settled, insert_all
from app.mongodb.indexes import Indexes
from app.theatre.idempotency import IdempotentRequest, KeyTaken
from app.theatre.refusals import SoldOut
from app.theatre.showings import Showing, as_utc
from app.workers import ALONE, Place

Result = TypeVar("Result")

_SHOWINGS_REMEMBERED = 2000
# In this order the index also lists a timing by date and seat.
_SEAT_OF_SHOWING = [("timing", ASCENDING), ("date", ASCENDING), ("seat", ASCENDING)]


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


class TicketStore:
    """The tickets of one theatre, `capacity` to a showing.

    The cap is the absence of a seat `capacity + 1`: a ticket holds one numbered seat, and the
    unique index on showing and seat lets MongoDB refuse the second ticket for it. Booking is one
    insert, moving one update, deleting one delete, so there is no state between them. Requests of
    concurrent callers share a command, each with a result of its own.
    """

    def __init__(
        self,
        database: Database[Document],
        capacity: int,
        expire_after: timedelta,
        place: Place = ALONE,
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
        self._place = place
        self._seats = frozenset(range(1, capacity + 1))
        # Seats to try before asking MongoDB, the next one last: not those that this process has
        # taken or seen taken. It only saves round trips: whether a seat or a house is free is
        # always for MongoDB to say.
        self._untried: dict[Showing, list[int]] = {}
        self._insert = GroupCommit(self._insert_all)
        self._find = GroupCommit(self._find_all)
        self._find_of_timing = GroupCommit(self._find_all_of_timings)
        self._find_taken_seats = GroupCommit(self._find_all_taken_seats)

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
            seated = {**document, "seat": seat}
            try:
                self._insert(seated)
            except DuplicateKeyError as error:
                key_taken = clashes_in(error, "request.key")
                if key_taken is None and request:
                    key_taken = self.find_by_key(request.key) is not None
                if key_taken:
                    raise KeyTaken from None
                raise
            return _ticket(seated)

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
        return self._find(ticket_id)

    def find_by_key(self, key: str) -> StoredTicket | None:
        """Return the ticket that was booked with this idempotency key, if there is one."""
        document = find_settled(self._tickets, {"request.key": key})
        return _ticket(document) if document else None

    def list_timing(self, timing: str, day: date | None = None) -> list[StoredTicket]:
        """Return all tickets of a timing (of one date, if given) by date, then seat."""
        return self._find_of_timing((timing, day))

    def taken_seats(self, showings: Collection[Showing]) -> dict[Showing, set[int]]:
        """Return the seats of each showing that have a ticket.

        They may include seats above the capacity, from before it was lowered.
        """
        return self._find_taken_seats(showings)

    def _insert_all(self, tickets: list[Document]) -> list[WriteError | None]:
        return insert_all(self._tickets, tickets)

    def _find_all(self, ticket_ids: list[str]) -> list[StoredTicket | None]:
        wanted = {"_id": {"$in": list(set(ticket_ids))}}
        found = {
            document["_id"]: _ticket(document)
            for document in self._tickets.find(wanted, batch_size=ONE_BATCH)
        }
        return [found.get(ticket_id) for ticket_id in ticket_ids]

    def _find_all_of_timings(
        self, wanted: list[tuple[str, date | None]]
    ) -> list[list[StoredTicket]]:
        found: dict[tuple[str, date | None], list[StoredTicket]] = {each: [] for each in wanted}
        either = [
            {"timing": timing} | ({"date": day.isoformat()} if day else {}) for timing, day in found
        ]
        for document in self._tickets.find(
            {"$or": either}, sort=_SEAT_OF_SHOWING, batch_size=ONE_BATCH
        ):
            ticket = _ticket(document)
            for day in (None, ticket.showing.date):
                if (tickets := found.get((ticket.showing.timing, day))) is not None:
                    tickets.append(ticket)
        return [found[each] for each in wanted]

    def _find_all_taken_seats(
        self, wanted: list[Collection[Showing]]
    ) -> list[dict[Showing, set[int]]]:
        timings: dict[str, set[str]] = {}  # by date
        for showing in chain.from_iterable(wanted):
            timings.setdefault(showing.date.isoformat(), set()).add(showing.timing)
        either = [{"date": day, "timing": {"$in": list(of_day)}} for day, of_day in timings.items()]
        taken: dict[tuple[str, str], set[int]] = {}
        # The index alone answers this.
        seats = {"_id": False, "timing": True, "date": True, "seat": True}
        for found in self._tickets.find({"$or": either}, seats, batch_size=ONE_BATCH):
            taken.setdefault((found["timing"], found["date"]), set()).add(found["seat"])
        return [
            {each: taken.get((each.timing, each.date.isoformat()), set()) for each in showings}
            for showings in wanted
        ]

    def _on_free_seat(self, showing: Showing, write: Callable[[int], Result]) -> Result:
        """Call `write` with one seat after another until MongoDB accepts it; return its result.

        The first seat is a guess, since asking for the free ones would double the round trips of
        a booking. A refused write means that somebody else got that seat, so a turn is only ever
        lost to a booking that succeeded. Raises SoldOut when no seat is free.
        """
        self._indexes.ensure()
        while True:
            untried = self._untried.get(showing)
            if untried is None:
                untried = self._remember(showing, self._seats)
            try:
                seat = untried.pop()  # so that concurrent requests try others meanwhile
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
            free = self._seats - self.taken_seats([showing])[showing]
            if self._untried.get(showing) is untried:  # no concurrent request has looked since
                self._remember(showing, free)
            if not free:
                raise SoldOut

    def _remember(self, showing: Showing, free: Set[int]) -> list[int]:
        """Return these seats in the order in which this process is to try them, the last first.

        Each two workers share a part of the house and fill it from its two ends, so they meet only
        when it is nearly full.
        """
        if showing not in self._untried and len(self._untried) >= _SHOWINGS_REMEMBERED:
            self._untried.clear()
        pair, downwards = divmod(self._place.number, 2)
        before = self._capacity * (pair + downwards) // ((self._place.of + 1) // 2)

        def distance(seat: int) -> int:
            return (before - seat if downwards else seat - before - 1) % self._capacity

        untried = self._untried[showing] = sorted(free, key=distance, reverse=True)
        return untried


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
