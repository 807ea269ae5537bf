"""Screens, movies and sales in MongoDB: one document for each dated showing, with all it sold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.mongodb.client import ONE_BATCH, Document, find_settled, upsert
from app.mongodb.indexes import Indexes
from app.theatre.idempotency import IdempotentRequest, KeyTaken
from app.theatre.refusals import NotEnoughSeats
from app.theatre.showings import Showing


@dataclass(frozen=True, slots=True)
class StoredScreen:
    """A screen, by its number, and how many seats it has."""

    number: int
    seats: int


@dataclass(frozen=True, slots=True)
class StoredMovie:
    """A movie that plays daily at `showtime` (`HH:MM`) on a screen with so many seats."""

    number: int
    screen: int
    seats: int
    showtime: str
    title: str | None
    on_sale: bool


@dataclass(frozen=True, slots=True)
class StoredPurchase:
    """Consecutive seats of one showing, from `first_seat` on, one for each ticket id."""

    purchase_id: str
    movie: int
    screen: int
    showing: Showing
    first_seat: int
    ticket_ids: tuple[str, ...]
    request_fingerprint: str | None


class MultiplexStore:
    """The multiplex of one theatre.

    A showing's sales are one document: how many seats are sold, and the purchases in the order of
    their seats. A purchase is one conditional update of it, so all of it happens or nothing.
    """

    def __init__(self, database: Database[Document], expire_after: timedelta) -> None:
        self._indexes = Indexes(
            database["sales"],
            # A list of its own: among all purchases, those without a key would clash as null.
            unique=[IndexModel("requests.key", unique=True, sparse=True)],
            expiry="showing_at",
            expire_after=expire_after,
        )
        self._counters: Collection[Document] = database["counters"]
        self._screens: Collection[Document] = database["screens"]
        self._movies: Collection[Document] = database["movies"]

    @property
    def _sales(self) -> Collection[Document]:
        return self._indexes.collection

    def prepare(self) -> None:
        """Create the indexes; raises PyMongoError when MongoDB cannot be used."""
        self._indexes.ensure(max_age=0)

    def add_screen(self, seats: int) -> StoredScreen:
        """Store a new screen and return it."""
        screen = StoredScreen(self._next_number("screens"), seats)
        self._screens.insert_one({"_id": screen.number, "seats": seats})
        return screen

    def screen(self, number: int) -> StoredScreen | None:
        """Return the screen with this number, if there is one."""
        document = self._screens.find_one({"_id": number})
        return _screen(document) if document else None

    def screens(self) -> list[StoredScreen]:
        """Return all screens in the order of their numbers."""
        return [
            _screen(document)
            for document in self._screens.find(sort=[("_id", ASCENDING)], batch_size=ONE_BATCH)
        ]

    def add_movie(self, screen: StoredScreen, showtime: str, title: str | None) -> StoredMovie:
        """Store a new movie, not on sale, and return it."""
        number = self._next_number("movies")
        movie = StoredMovie(number, screen.number, screen.seats, showtime, title, on_sale=False)
        self._movies.insert_one(
            {
                "_id": movie.number,
                "screen": movie.screen,
                "seats": movie.seats,  # a screen's never change
                "showtime": movie.showtime,
                "title": movie.title,
                "on_sale": movie.on_sale,
            }
        )
        return movie

    def movie(self, number: int) -> StoredMovie | None:
        """Return the movie with this number, if there is one."""
        document = self._movies.find_one({"_id": number})
        return _movie(document) if document else None

    def movies(self) -> list[StoredMovie]:
        """Return all movies in the order of their numbers."""
        return [
            _movie(document)
            for document in self._movies.find(sort=[("_id", ASCENDING)], batch_size=ONE_BATCH)
        ]

    def put_on_sale(self, number: int) -> StoredMovie | None:
        """Put a movie on sale for good and return it, if there is one with this number."""
        document = self._movies.find_one_and_update(
            {"_id": number}, {"$set": {"on_sale": True}}, return_document=ReturnDocument.AFTER
        )
        return _movie(document) if document else None

    def sold(self, showings: Mapping[int, Showing]) -> dict[int, int]:
        """Return how many seats are sold of each movie's given showing, in one query."""
        numbers = {_sale_id(number, showing): number for number, showing in showings.items()}
        wanted = {"_id": {"$in": list(numbers)}}
        sales = self._sales.find(wanted, {"sold": 1}, batch_size=ONE_BATCH)
        counts = {numbers[sale["_id"]]: sale["sold"] for sale in sales}
        return {number: counts.get(number, 0) for number in showings}

    def sell(
        self,
        movie: StoredMovie,
        showing: Showing,
        *,
        purchase_id: str,
        ticket_ids: tuple[str, ...],
        request: IdempotentRequest | None = None,
    ) -> StoredPurchase:
        """Sell the next seats of a showing, one for each ticket id, and return the purchase.

        Raises NotEnoughSeats when they are not free, and KeyTaken when the key of `request` is in
        use; nothing is sold then.
        """
        self._indexes.ensure()
        amount = len(ticket_ids)
        sale_id = _sale_id(movie.number, showing)
        wanted: Document = {"_id": sale_id, "sold": {"$lte": movie.seats - amount}}
        purchase: Document = {"purchase_id": purchase_id, "ticket_ids": list(ticket_ids)}
        pushed: Document = {"purchases": purchase}
        if request:
            # The unique index speaks of different documents only, this of the same.
            wanted["requests.key"] = {"$ne": request.key}
            pushed["requests"] = {**request.as_document(), "purchase_id": purchase_id}
        change = {
            "$inc": {"sold": amount},
            "$push": pushed,
            "$setOnInsert": {
                "movie": movie.number,
                "screen": movie.screen,
                **showing.as_document(),
            },
        }
        while True:
            # Asked first because mongomock has no unique index on lists; MongoDB's index decides.
            if request and self.find_by_key(request.key):
                raise KeyTaken
            # An upsert does not ask whether a new showing has that many seats.
            if amount > movie.seats:
                raise NotEnoughSeats(movie.seats - self._sold(sale_id))
            try:
                sale = upsert(self._sales, wanted, change, projection={"sold": 1})
            except DuplicateKeyError:
                # The showing is there and too full, or the key is taken since, or this upsert lost
                # the race for the first sale; the latter two are for another turn to tell.
                seats_left = movie.seats - self._sold(sale_id)
                if seats_left < amount:
                    raise NotEnoughSeats(seats_left) from None
            else:
                return StoredPurchase(
                    purchase_id=purchase_id,
                    movie=movie.number,
                    screen=movie.screen,
                    showing=showing,
                    first_seat=sale["sold"] - amount + 1,
                    ticket_ids=ticket_ids,
                    request_fingerprint=request.fingerprint if request else None,
                )

    def find_by_key(self, key: str) -> StoredPurchase | None:
        """Return the purchase that was made with this idempotency key, if there is one."""
        sale = find_settled(self._sales, {"requests.key": key})
        return _purchase(sale, key) if sale else None

    def _sold(self, sale_id: str) -> int:
        sale = self._sales.find_one({"_id": sale_id}, {"sold": 1})
        return int(sale["sold"]) if sale else 0

    def _next_number(self, of: str) -> int:
        """Count one more of these, from 1, and return its number."""
        while True:
            try:
                return int(upsert(self._counters, {"_id": of}, {"$inc": {"count": 1}})["count"])
            except DuplicateKeyError:
                pass  # lost the race to start the count


def _sale_id(movie: int, showing: Showing) -> str:
    return f"{movie} {showing.date.isoformat()}"


def _screen(document: Mapping[str, Any]) -> StoredScreen:
    return StoredScreen(document["_id"], document["seats"])


def _movie(document: Mapping[str, Any]) -> StoredMovie:
    return StoredMovie(
        number=document["_id"],
        screen=document["screen"],
        seats=document["seats"],
        showtime=document["showtime"],
        title=document["title"],
        on_sale=document["on_sale"],
    )


def _purchase(sale: Mapping[str, Any], key: str) -> StoredPurchase:
    request = next(request for request in sale["requests"] if request["key"] == key)
    first_seat = 1
    for purchase in sale["purchases"]:
        if purchase["purchase_id"] == request["purchase_id"]:
            break
        first_seat += len(purchase["ticket_ids"])  # they stand in the order of their seats
    return StoredPurchase(
        purchase_id=purchase["purchase_id"],
        movie=sale["movie"],
        screen=sale["screen"],
        showing=Showing.from_document(sale),
        first_seat=first_seat,
        ticket_ids=tuple(purchase["ticket_ids"]),
        request_fingerprint=request["fingerprint"],
    )
