"""Tickets in MongoDB: one document each, and a unique index that keeps every seat to one ticket."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import chain
from typing import Any, TypeVar

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo import collection as pymongo_collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, WriteError

from app.mongodb.batching import GroupCommit
from app.mongodb.client import ONE_BATCH, Document, clashes_in, find_settled, insert_all
from app.mongodb.indexes import Indexes
from app.theatre.idempotency import IdempotentRequest, KeyTaken
from app.theatre.identifiers import ADMISSION_CODE_LENGTH, new_admission_code, new_id
from app.theatre.refusals import SeatTaken, SoldOut
from app.theatre.showings import Showing, as_utc
from app.workers import ALONE, Place

Result = TypeVar("Result")

_SHOWINGS_REMEMBERED = 2000
# In this order the index also lists a timing by date and seat, and counts a showing.
_SEAT_OF_SHOWING = [("timing", ASCENDING), ("date", ASCENDING), ("seat", ASCENDING)]
_NOT_ADMITTED: Document = {"admission": None}  # or has no such field


@dataclass(frozen=True, slots=True)
class StoredTicket:
    """A ticket as it is stored; instants are in UTC.

    Two secrets, because the QR code is shown around: the `admission_code` admits, and its owner's
    `ticket_id` is that code followed by a `secret` of 128 random bits. The code is the document's
    `_id`, so neither needs an index.
    """

    admission_code: str
    secret: str
    name: str
    phone: str
    phone_e164: str
    showing: Showing
    seat: int
    booked_at: datetime
    request_fingerprint: str | None
    admitted_at: datetime | None = None
    admission_request: IdempotentRequest | None = None

    @property
    def ticket_id(self) -> str:
        """The owner's secret: whoever has it may view the ticket."""
        return self.admission_code + self.secret


class TicketStore:
    """The tickets of one theatre, `capacity` to a showing.

    The cap is the absence of a seat `capacity + 1`: a ticket holds one numbered seat, and the
    unique index on showing and seat lets MongoDB refuse the second ticket for it. Booking is one
    insert, moving one update, deleting one delete, admitting one update, so there is no state
    between them. Requests of concurrent callers share a command, each with a result of its own.
    """

    def __init__(
        self,
        database: Database[Document],
        capacity: int,
        expire_after: timedelta,
        place: Place = ALONE,
    ) -> None:
        self._indexes = Indexes(
            database["tickets"],
            unique=[
                IndexModel(_SEAT_OF_SHOWING, unique=True),
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
        name: str,
        phone: str,
        phone_e164: str,
        showing: Showing,
        booked_at: datetime,
        seat: int | None = None,
        request: IdempotentRequest | None = None,
    ) -> StoredTicket:
        """Store a new ticket on `seat`, or else on any free seat of `showing`, and return it.

        Raises SoldOut when no seat is free, SeatTaken when that one is not, and KeyTaken when the
        key of `request` is in use.
        """
        document: Document = {
            "name": name,
            "phone": phone,
            "phone_e164": phone_e164,
            **showing.as_document(),
            "booked_at": booked_at,
        }
        if request:
            document["request"] = request.as_document()

        def insert(seat: int) -> StoredTicket:
            ids = {"_id": new_admission_code(), "secret": new_id()}
            seated = {**ids, **document, "seat": seat}
            try:
                self._insert(seated)
            except DuplicateKeyError as error:
                if clashes_in(error, "_id"):
                    return insert(seat)
                key_taken = clashes_in(error, "request.key")
                if key_taken is None and request:
                    key_taken = self.find_by_key(request.key) is not None
                if key_taken:
                    raise KeyTaken from None
                raise
            return _ticket(seated)

        return self._take_seat(showing, seat, insert)

    def move(
        self, ticket: StoredTicket, showing: Showing, seat: int | None = None
    ) -> StoredTicket | None:
        """Move `ticket` to this seat, or else any free one, in `showing`; return the moved ticket.

        That is one write. Returns None, having changed nothing, when the ticket has left the
        showing that `ticket` names, was admitted or was deleted. Raises SoldOut when no seat is
        free, and SeatTaken when that one is not.
        """
        unmoved = {**_owned(ticket.ticket_id), **ticket.showing.identity(), **_NOT_ADMITTED}

        def update(seat: int) -> StoredTicket | None:
            # Not by findAndModify: mongod logs a refused one with the ticket's id.
            change = {"$set": {**showing.as_document(), "seat": seat}}
            if self._tickets.update_one(unmoved, change).matched_count == 0:
                return None
            return replace(ticket, showing=showing, seat=seat)

        own_seat = ticket.seat if ticket.seat in self._seats else None
        return self._take_seat(showing, seat, update, preferred=own_seat)

    def delete(self, ticket_id: str, phone_e164: str) -> bool:
        """Delete the ticket if it has this phone and is not admitted; tell whether it did."""
        deletable = {**_owned(ticket_id), "phone_e164": phone_e164, **_NOT_ADMITTED}
        return self._tickets.delete_one(deletable).deleted_count == 1

    def get(self, ticket_id: str) -> StoredTicket | None:
        """Return the ticket with this id, if there is one."""
        return self._find(ticket_id)

    def admit(
        self,
        admission_code: str,
        *,
        at: datetime,
        showing_after: datetime,
        showing_until: datetime,
        timing: str | None = None,
        day: date | None = None,
        request: IdempotentRequest | None = None,
    ) -> StoredTicket | None:
        """Admit a ticket at the instant `at`, in one write, and return the admitted ticket.

        Returns None, having changed nothing, unless the ticket is there, is not admitted, and its
        showing is after one instant and not after the other; and of `timing` and `day` if given.
        """
        admissible: Document = {
            "_id": admission_code,
            **_NOT_ADMITTED,
            "showing_at": {"$gt": showing_after, "$lte": showing_until},
            **({"timing": timing} if timing else {}),
            **({"date": day.isoformat()} if day else {}),
        }
        admission: Document = {"at": at}
        if request:
            admission["request"] = request.as_document()
        return self._change(admissible, {"$set": {"admission": admission}})

    def undo_admission(self, admission_code: str) -> StoredTicket | None:
        """Take back the admission of the ticket with this code, if any, and return the ticket."""
        return self._change({"_id": admission_code}, {"$unset": {"admission": True}})

    def find_by_code(self, admission_code: str) -> StoredTicket | None:
        """Return the ticket with this admission code, if any, as a majority has it."""
        document = find_settled(self._tickets, {"_id": admission_code})
        return _ticket(document) if document else None

    def _change(self, wanted: Document, change: Document) -> StoredTicket | None:
        document = self._tickets.find_one_and_update(
            wanted, change, return_document=ReturnDocument.AFTER
        )
        return _ticket(document) if document else None

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
        codes = {ticket_id[:ADMISSION_CODE_LENGTH] for ticket_id in ticket_ids}
        documents = self._tickets.find({"_id": {"$in": list(codes)}}, batch_size=ONE_BATCH)
        # By the whole id, secret included: the code alone finds nothing.
        found = {ticket.ticket_id: ticket for ticket in map(_ticket, documents)}
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

    def _take_seat(
        self,
        showing: Showing,
        chosen: int | None,
        write: Callable[[int], Result],
        preferred: int | None = None,
    ) -> Result:
        """Call `write` with the chosen seat, or else with any free one; return its result.

        Of the free ones, the preferred is tried first. MongoDB alone decides whether a seat is
        free. Raises SoldOut when none is, and SeatTaken when others are, but not the chosen one.
        """
        self._indexes.ensure()
        if chosen is not None:
            return self._take_this_seat(showing, chosen, write)
        if preferred is not None:
            with suppress(DuplicateKeyError):
                return self._try_seat(showing, preferred, write)
        return self._take_any_seat(showing, write)

    def _take_this_seat(
        self, showing: Showing, chosen: int, write: Callable[[int], Result]
    ) -> Result:
        while True:
            with suppress(DuplicateKeyError):
                return self._try_seat(showing, chosen, write)
            free = self._free_seats(showing)
            if not free:
                raise SoldOut
            if chosen not in free:
                raise SeatTaken(sorted(free))

    def _try_seat(self, showing: Showing, seat: int, write: Callable[[int], Result]) -> Result:
        """Call `write` with this seat, and offer it to nobody else once it is taken."""
        written = write(seat)
        with suppress(ValueError):
            self._seats_to_try(showing).remove(seat)
        return written

    def _take_any_seat(self, showing: Showing, write: Callable[[int], Result]) -> Result:
        """Call `write` with one seat after another until MongoDB accepts it; return its result.

        The first seat is a guess, since asking for the free ones would double the round trips of
        a booking. A refused write means that somebody else got that seat, so a turn is only ever
        lost to a booking that succeeded. Raises SoldOut when no seat is free.
        """
        while True:
            untried = self._seats_to_try(showing)
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
            free = self._free_seats(showing)
            if self._untried.get(showing) is untried:  # no concurrent request has looked since
                self._remember(showing, free)
            if not free:
                raise SoldOut

    def _free_seats(self, showing: Showing) -> frozenset[int]:
        return self._seats - self.taken_seats([showing])[showing]

    def _seats_to_try(self, showing: Showing) -> list[int]:
        """Return the seats that this process has not taken or seen taken, the next one last."""
        untried = self._untried.get(showing)
        return self._remember(showing, self._seats) if untried is None else untried

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


def _owned(ticket_id: str) -> Document:
    """Return the condition that a ticket has this id, its secret included."""
    return {"_id": ticket_id[:ADMISSION_CODE_LENGTH], "secret": ticket_id[ADMISSION_CODE_LENGTH:]}


def _ticket(document: Mapping[str, Any]) -> StoredTicket:
    admission = document.get("admission", {})
    return StoredTicket(
        admission_code=document["_id"],
        secret=document.get("secret", ""),  # tickets from 0.9 lack it, and can only be listed
        name=document["name"],
        phone=document["phone"],
        phone_e164=document["phone_e164"],
        showing=Showing.from_document(document),
        seat=document["seat"],
        booked_at=as_utc(document["booked_at"]),
        request_fingerprint=document.get("request", {}).get("fingerprint"),
        admitted_at=as_utc(admission["at"]) if admission else None,
        admission_request=IdempotentRequest(**admission["request"])
        if "request" in admission
        else None,
    )
