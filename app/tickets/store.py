"""Tickets in MongoDB: one document each, and a unique index that allows one ticket per seat."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from itertools import chain

from pymongo import ASCENDING, IndexModel
from pymongo import collection as pymongo_collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, PyMongoError

from app.domain.idempotency import IdempotentRequest, KeyTaken
from app.domain.identifiers import ADMISSION_CODE_LENGTH, new_admission_code, new_id
from app.domain.refusals import Refusal
from app.domain.seating import House, SeatMap
from app.domain.showings import Play, Showing
from app.domain.wanted import Wanted
from app.mongodb.batching import BatchLost, GroupCommit
from app.mongodb.client import ONE_BATCH, Document, find_settled, insert_all, violates_index_on
from app.mongodb.indexes import Indexes
from app.tickets.documents import (
    Admission,
    StoredTicket,
    admission_document,
    read_ticket,
    seating_fields,
    ticket_document,
)
from app.tickets.phones import Phone
from app.tickets.seat_choice import Order, SeatChooser, choose

# In this order the index also lists the tickets of a timing by date.
SEAT_OF_SHOWING = [(name, ASCENDING) for name in ("screen", "timing", "date", "seat")]
_MAX_ATTEMPTS = 1000  # a request needs another when it lost a seat or its batch left it out
_LIST_BATCH = 2000  # tickets that are decoded at once, while other requests wait
_NOT_ADMITTED: Document = {"admission": None}  # or has no such field


@dataclass(frozen=True, slots=True, eq=False)
class _Order(Order):
    """A sale that is still to be made."""

    name: str | None
    phone: Phone | None
    booked_at: datetime
    request: IdempotentRequest | None

    def ticket(self, seats: tuple[int, ...]) -> StoredTicket:
        """Return a new ticket for these seats."""
        return StoredTicket(
            admission_code=new_admission_code(),
            secret=new_id(),
            name=self.name,
            phone=self.phone,
            showing=self.showing,
            seats=seats,
            seats_per_row=None if self.showing.screen is None else self.house.seats_per_row,
            booked_at=self.booked_at,
            request_fingerprint=self.request.fingerprint if self.request else None,
        )


class TicketStore:
    """The tickets of one theatre, for all its houses.

    The cap is the absence of a seat above the last: a ticket holds numbered seats, and the unique
    index on showing and seat lets MongoDB refuse a second ticket for any of them, whole. Booking is
    one insert, moving one update, deleting one delete, admitting one update, so there is no state
    between them. Concurrent requests share a command, and each has its own result.
    """

    def __init__(
        self,
        database: Database[Document],
        expire_after: timedelta,
        upgrade: Callable[[], None] | None = None,
        started_at: float | None = None,
    ) -> None:
        """`upgrade` runs once, before the tickets are used for the first time.

        The service that started last, at `started_at` (seconds since 1970, by default now), decides
        after how long tickets expire.
        """
        self._indexes = Indexes(
            database["tickets"],
            unique=[
                IndexModel(SEAT_OF_SHOWING, unique=True),
                IndexModel("request.key", unique=True, sparse=True),
            ],
            expiry=("showing_at", expire_after),
            upgrade=upgrade,
            started_at=started_at,
        )
        self._chooser = SeatChooser()
        self._sell = GroupCommit(self._sell_all)
        self._find = GroupCommit(self._find_all)
        self._find_of_timings = GroupCommit(self._find_all_of_timings)
        self._find_taken_seats = GroupCommit(self._find_all_taken_seats)

    @property
    def _tickets(self) -> pymongo_collection.Collection[Document]:
        return self._indexes.collection

    def prepare(self) -> None:
        """Create the indexes; raises PyMongoError when they cannot be created."""
        self._indexes.ensure(max_age=0)

    # ---- Changes: each is one write.

    def add(
        self,
        showing: Showing,
        house: House,
        wanted: Wanted,
        *,
        name: str | None,
        phone: Phone | None,
        booked_at: datetime,
        request: IdempotentRequest | None = None,
    ) -> StoredTicket:
        """Store a new ticket with the wanted seats of `showing`, and return it.

        Raises SoldOut or NotEnoughSeats when they are not free, SeatTaken when chosen ones are not,
        KeyTaken when the key of `request` is in use, and BatchLost after too many attempts.
        """
        self._indexes.ensure()
        order = _Order(showing, house, wanted, name, phone, booked_at, request)
        for _ in range(_MAX_ATTEMPTS):
            if ticket := self._sell(order):
                return ticket
        raise BatchLost

    def move(
        self, ticket: StoredTicket, showing: Showing, house: House, wanted: Wanted | None = None
    ) -> StoredTicket | None:
        """Give `ticket` the wanted seats of `showing`, and return the moved ticket.

        By default these are its own seats where all of them are free, or else the best. Returns
        None, having changed nothing, when the ticket has changed since it was read. Raises SoldOut,
        NotEnoughSeats or SeatTaken when the seats are not free, and BatchLost after too many
        attempts.
        """
        self._indexes.ensure()
        for _ in range(_MAX_ATTEMPTS):
            taken = self.taken_seats([showing])[showing]
            free = SeatMap(house, taken)
            if showing == ticket.showing:
                free.release(ticket.seats)
            if wanted is None and all(seat in free for seat in ticket.seats):
                seats = ticket.seats
            else:
                seats = choose(free, wanted or Wanted(len(ticket.seats)))
            moved = replace(ticket, showing=showing, seats=seats, revision=ticket.revision + 1)
            if showing.screen is not None:
                moved = replace(moved, seats_per_row=house.seats_per_row)
            # Not by findAndModify: mongod logs a refused one with the ticket's id.
            change = {"$set": seating_fields(moved), "$inc": {"revision": 1}}
            try:
                changed = self._tickets.update_one(_unchanged(ticket), change).matched_count
            except DuplicateKeyError:
                continue  # somebody else has just got one of the seats
            self._chooser.forget(ticket.showing)
            self._chooser.forget(showing)
            return moved if changed else None
        raise BatchLost

    def delete(self, ticket_id: str, phone: Phone | None) -> bool:
        """Delete the ticket if it has this phone and nobody is in; return whether it did."""
        deletable = {
            **_owned(ticket_id),
            "phone_e164": phone.e164 if phone else None,
            **_NOT_ADMITTED,
        }
        document = self._tickets.find_one_and_delete(deletable)
        if document:
            self._chooser.forget(read_ticket(document).showing)
        return document is not None

    def admit(self, ticket: StoredTicket, admission: Admission | None) -> StoredTicket | None:
        """Record how many people of `ticket` are in (None: nobody), and return the ticket.

        Returns None, having changed nothing, when the ticket has changed since it was read.
        """
        admitted = replace(ticket, admission=admission, revision=ticket.revision + 1)
        change = (
            {"$set": {"admission": admission_document(admission)}}
            if admission
            else {"$unset": {"admission": True}}
        )
        found = self._tickets.update_one(_unchanged(ticket), {**change, "$inc": {"revision": 1}})
        return admitted if found.matched_count else None

    # ---- Reads

    def get(self, ticket_id: str) -> StoredTicket | None:
        """Return the ticket with this id, if there is one."""
        return self._find(ticket_id)

    def find_by_code(self, admission_code: str) -> StoredTicket | None:
        """Return the ticket with this admission code, if any, as a majority has it."""
        document = find_settled(self._tickets, {"_id": admission_code})
        return read_ticket(document) if document else None

    def find_by_key(self, key: str) -> StoredTicket | None:
        """Return the ticket that was booked with this idempotency key, if there is one."""
        document = find_settled(self._tickets, {"request.key": key})
        return read_ticket(document) if document else None

    def list_timing(
        self, timing: str, screen: int | None = None, day: date | None = None
    ) -> list[StoredTicket]:
        """Return all tickets of a timing on a screen (of one date, if given) by date, then seat."""
        return self._find_of_timings((screen, timing, day))

    def list_day(self, day: date, start: datetime, end: datetime) -> list[StoredTicket]:
        """Return all tickets of a day, by showing, then seat.

        `start` and `end` are instants that its showings lie between; the index on `showing_at`
        finds them.
        """
        wanted = {"showing_at": {"$gte": start, "$lte": end}, "date": day.isoformat()}
        return sorted(
            map(read_ticket, self._tickets.find(wanted, batch_size=_LIST_BATCH)), key=_sort_key
        )

    def count_of_movie(self, movie: Play, after: datetime) -> int:
        """Count the tickets of a movie whose showing is after an instant."""
        wanted = {"screen": movie.screen, "timing": movie.timing, "movie": movie.movie}
        return self._tickets.count_documents({**wanted, "showing_at": {"$gt": after}})

    def taken_seats(self, showings: Collection[Showing]) -> dict[Showing, set[int]]:
        """Return the seats of each showing that have a ticket.

        They may include seats above the capacity, from before it was lowered.
        """
        return self._find_taken_seats(showings) if showings else {}

    # ---- Commands that requests share

    def _sell_all(
        self, orders: list[_Order]
    ) -> list[StoredTicket | Refusal | KeyTaken | PyMongoError | None]:
        """Try to store a ticket for each order; one whose result is None must be tried again."""
        if unknown := self._chooser.begin(orders):
            self._chooser.learn(self._find_all_taken_seats([unknown])[0])
        outcomes: dict[_Order, StoredTicket | Refusal | KeyTaken | PyMongoError | None] = {}
        tickets: dict[_Order, StoredTicket] = {}
        for order, choice in zip(orders, self._chooser.choose(orders), strict=True):
            if isinstance(choice, tuple):
                tickets[order] = order.ticket(choice)
            else:
                outcomes[order] = choice
        documents = [ticket_document(tickets[order], order.request) for order in tickets]
        errors: Sequence[PyMongoError | None]
        try:
            errors = insert_all(self._tickets, documents) if documents else ()
        except PyMongoError as error:  # it is unknown which of them are stored
            errors = [error] * len(documents)
        for (order, ticket), refused in zip(tickets.items(), errors, strict=True):
            outcomes[order] = self._outcome_of(order, ticket, refused) if refused else ticket
        return [outcomes[order] for order in orders]

    def _outcome_of(
        self, order: _Order, ticket: StoredTicket, error: PyMongoError
    ) -> KeyTaken | PyMongoError | None:
        """Return what an order's caller gets after MongoDB has refused its ticket."""
        if not isinstance(error, DuplicateKeyError):
            self._chooser.forget(order.showing)
            return error
        key_taken = violates_index_on(error, "request.key")
        if key_taken is None and order.request:
            key_taken = self.find_by_key(order.request.key) is not None
        if key_taken or violates_index_on(error, "_id"):
            self._chooser.forget(order.showing)
        else:
            self._chooser.lose(order.showing, ticket.seats)
        return KeyTaken() if key_taken else None

    def _find_all(self, ticket_ids: list[str]) -> list[StoredTicket | None]:
        codes = {ticket_id[:ADMISSION_CODE_LENGTH] for ticket_id in ticket_ids}
        documents = self._tickets.find({"_id": {"$in": list(codes)}}, batch_size=ONE_BATCH)
        # By the whole id, secret included: the code alone finds nothing.
        found = {ticket.ticket_id: ticket for ticket in map(read_ticket, documents)}
        return [found.get(ticket_id) for ticket_id in ticket_ids]

    def _find_all_of_timings(
        self, wanted: list[tuple[int | None, str, date | None]]
    ) -> list[list[StoredTicket]]:
        found: dict[tuple[int | None, str, date | None], list[StoredTicket]]
        found = {each: [] for each in wanted}
        either = [
            {"screen": screen, "timing": timing} | ({"date": day.isoformat()} if day else {})
            for screen, timing, day in found
        ]
        documents = self._tickets.find({"$or": either}, batch_size=_LIST_BATCH)
        for ticket in sorted(map(read_ticket, documents), key=_sort_key):
            showing = ticket.showing
            for day in (None, showing.date):
                if (of_timing := found.get((showing.screen, showing.timing, day))) is not None:
                    of_timing.append(ticket)
        return [found[each] for each in wanted]

    def _find_all_taken_seats(
        self, wanted: list[Collection[Showing]]
    ) -> list[dict[Showing, set[int]]]:
        timings: dict[tuple[int | None, str], set[str]] = {}  # by screen and date
        for showing in chain.from_iterable(wanted):
            of_day = timings.setdefault((showing.screen, showing.date.isoformat()), set())
            of_day.add(showing.timing)
        either = [
            {"screen": screen, "date": day, "timing": {"$in": list(of_day)}}
            for (screen, day), of_day in timings.items()
        ]
        # MongoDB gathers the seats, one document per showing: reading the tickets themselves would
        # keep this process busy for ten times as long.
        identity = {"screen": "$screen", "timing": "$timing", "date": "$date"}
        gather: list[Document] = [
            {"$match": {"$or": either}},
            {"$unwind": "$seat"},
            {"$group": {"_id": identity, "seats": {"$push": "$seat"}}},
        ]
        taken = {
            (found["_id"].get("screen"), found["_id"]["timing"], found["_id"]["date"]): set(
                found["seats"]
            )
            for found in self._tickets.aggregate(gather, batchSize=ONE_BATCH)
        }
        return [
            {
                each: taken.get((each.screen, each.timing, each.date.isoformat()), set())
                for each in showings
            }
            for showings in wanted
        ]


def _owned(ticket_id: str) -> Document:
    """Return the condition that a ticket has this id, its secret included."""
    return {"_id": ticket_id[:ADMISSION_CODE_LENGTH], "secret": ticket_id[ADMISSION_CODE_LENGTH:]}


def _unchanged(ticket: StoredTicket) -> Document:
    """Return the condition that a ticket is there and has not changed since it was read."""
    return {**_owned(ticket.ticket_id), "revision": ticket.revision or None}


def _sort_key(ticket: StoredTicket) -> tuple[datetime, str, int, tuple[int, ...]]:
    showing = ticket.showing
    return showing.at, showing.timing, showing.screen or 0, ticket.seats
