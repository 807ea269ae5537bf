"""Screens, movies and sales in MongoDB: one document for each dated showing, with all it sold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any

from pymongo import ASCENDING, IndexModel, ReturnDocument
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.mongodb.batching import GroupCommit
from app.mongodb.client import ONE_BATCH, Document, find_settled, upsert
from app.mongodb.indexes import Indexes
from app.theatre.idempotency import IdempotentRequest, KeyTaken
from app.theatre.refusals import NotEnoughSeats
from app.theatre.showings import Showing

_SHOWINGS_REMEMBERED = 2000


@dataclass(frozen=True, slots=True)
class StoredScreen:
    """A screen, by its number, and how many seats it has."""

    number: int
    seats: int


@dataclass(frozen=True, slots=True)
class StoredMovie:
    """A movie that plays daily at `showtime` (`HH:MM`) on a screen with this many seats."""

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


@dataclass(frozen=True, slots=True, eq=False)
class _Order:
    """A purchase that is still to be made; no two are equal."""

    purchase_id: str
    ticket_ids: tuple[str, ...]
    request: IdempotentRequest | None

    @property
    def amount(self) -> int:
        return len(self.ticket_ids)

    def as_document(self) -> Document:
        return {"purchase_id": self.purchase_id, "ticket_ids": list(self.ticket_ids)}

    def purchase(self, movie: StoredMovie, showing: Showing, first_seat: int) -> StoredPurchase:
        return StoredPurchase(
            purchase_id=self.purchase_id,
            movie=movie.number,
            screen=movie.screen,
            showing=showing,
            first_seat=first_seat,
            ticket_ids=self.ticket_ids,
            request_fingerprint=self.request.fingerprint if self.request else None,
        )


def _first_that_fit(orders: list[_Order], seats: int) -> list[_Order]:
    """Return the orders, from the first on, that fit into `seats`, each key only once."""
    chosen: list[_Order] = []
    keys: set[str] = set()
    for order in orders:
        if order.amount > seats or (order.request and order.request.key in keys):
            break
        seats -= order.amount
        chosen.append(order)
        if order.request:
            keys.add(order.request.key)
    return chosen


class MultiplexStore:
    """The multiplex of one theatre.

    A showing's sales are one document: how many seats are sold, and the purchases in the order of
    their seats. A purchase is one conditional update of it, so all of it happens or nothing.
    Concurrent purchases for a showing share an update.
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
        self._find_movie = GroupCommit(self._find_movies)
        # Each showing is a document of its own, so sales for different ones need not wait in turn.
        self._orders_for = lru_cache(_SHOWINGS_REMEMBERED)(
            lambda movie, showing: GroupCommit(partial(self._sell_all, movie, showing))
        )

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
        return self._find_movie(number)

    def _find_movies(self, numbers: list[int]) -> list[StoredMovie | None]:
        wanted = {"_id": {"$in": list(set(numbers))}}
        found = {
            document["_id"]: _movie(document)
            for document in self._movies.find(wanted, batch_size=ONE_BATCH)
        }
        return [found.get(number) for number in numbers]

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
        return self._orders_for(movie, showing)(_Order(purchase_id, ticket_ids, request))

    def _sell_all(
        self, movie: StoredMovie, showing: Showing, orders: list[_Order]
    ) -> list[StoredPurchase | NotEnoughSeats | KeyTaken]:
        """Sell to as many orders as the showing has seats for, usually in one write."""
        outcomes: dict[_Order, StoredPurchase | NotEnoughSeats | KeyTaken] = {}
        seats_left = movie.seats  # or fewer, which MongoDB says when it refuses
        while waiting := [order for order in orders if order not in outcomes]:
            chosen = _first_that_fit(waiting, seats_left)
            if chosen and (first_seat := self._sell_together(movie, showing, chosen)):
                for order in chosen:
                    outcomes[order] = order.purchase(movie, showing, first_seat)
                    first_seat += order.amount
                continue
            # The showing has too few seats, a key is taken, or another process made the first
            # sale at the same moment. In the last case the next turn succeeds.
            seats_left = movie.seats - self._sold(_sale_id(movie.number, showing))
            for order in waiting:
                if order.request and self.find_by_key(order.request.key):
                    outcomes[order] = KeyTaken()
                elif order.amount > seats_left:
                    outcomes[order] = NotEnoughSeats(seats_left)
        return [outcomes[order] for order in orders]

    def _sell_together(
        self, movie: StoredMovie, showing: Showing, orders: list[_Order]
    ) -> int | None:
        """Sell to all of these orders in one conditional update, or to none.

        Returns the first seat sold. An upsert does not ask whether a new showing has that many
        seats, so the orders must fit into an empty house.
        """
        amount = sum(order.amount for order in orders)
        wanted: Document = {
            "_id": _sale_id(movie.number, showing),
            "sold": {"$lte": movie.seats - amount},
        }
        pushed: Document = {"purchases": {"$each": [order.as_document() for order in orders]}}
        requests = [
            {**order.request.as_document(), "purchase_id": order.purchase_id}
            for order in orders
            if order.request
        ]
        if requests:
            # The unique index compares different documents only; this looks into the same one.
            wanted["requests.key"] = {"$nin": [request["key"] for request in requests]}
            pushed["requests"] = {"$each": requests}
        change = {
            "$inc": {"sold": amount},
            "$push": pushed,
            "$setOnInsert": {
                "movie": movie.number,
                "screen": movie.screen,
                **showing.as_document(),
            },
        }
        try:
            sale = upsert(self._sales, wanted, change, projection={"sold": 1})
        except DuplicateKeyError:
            return None
        return int(sale["sold"]) - amount + 1

    def find_by_key(self, key: str) -> StoredPurchase | None:
        """Return the purchase that was made with this idempotency key, if there is one."""
        sale = find_settled(self._sales, {"requests.key": key})
        return _purchase(sale, key) if sale else None

    def _sold(self, sale_id: str) -> int:
        sale = self._sales.find_one({"_id": sale_id}, {"sold": 1})
        return int(sale["sold"]) if sale else 0

    def _next_number(self, of: str) -> int:
        """Return the next number for one of these, counting from 1."""
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
