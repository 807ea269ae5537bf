"""The catalogue in MongoDB: screens, and the movies that play on them every day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pymongo import ASCENDING, DESCENDING, IndexModel, ReturnDocument
from pymongo import collection as pymongo_collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from app.domain.refusals import MovieNotFound, ScreenBusy
from app.domain.seating import House
from app.domain.showings import Play
from app.mongodb.batching import GroupCommit
from app.mongodb.client import ONE_BATCH, Document, upsert
from app.mongodb.indexes import Indexes

DEFAULT_SEATS_PER_ROW = 20  # also of the screens of 1.0, which had no rows


@dataclass(frozen=True, slots=True)
class StoredScreen:
    """A screen, by its number from 1, and its house, which never changes."""

    number: int
    house: House


class Catalogue:
    """The screens and movies of one theatre.

    A movie is one document, and a unique index on the screen and the time allows one movie there.
    """

    def __init__(
        self, database: Database[Document], upgrade: Callable[[], None] | None = None
    ) -> None:
        """`upgrade` runs once, before the movies are used for the first time."""
        # One field, so that the index can leave out movies of 1.0 that share a screen and a time.
        self._indexes = Indexes(
            database["movies"],
            unique=[IndexModel("plays_at", unique=True, sparse=True)],
            upgrade=upgrade,
        )
        self._counters: pymongo_collection.Collection[Document] = database["counters"]
        self._tickets: pymongo_collection.Collection[Document] = database["tickets"]
        self._counted: set[str] = set()  # the fields whose counters are not behind
        self._screens: pymongo_collection.Collection[Document] = database["screens"]
        self._find = GroupCommit(self._find_all)

    @property
    def _movies(self) -> pymongo_collection.Collection[Document]:
        return self._indexes.collection

    def prepare(self) -> None:
        """Create the indexes; raises PyMongoError when they cannot be created."""
        self._indexes.ensure(max_age=0)

    def add_screen(self, house: House) -> StoredScreen:
        """Store a new screen and return it."""
        while True:
            number = self._next_number("screen", self._screens)
            try:
                self._screens.insert_one(
                    {"_id": number, "seats": house.seats, "seats_per_row": house.seats_per_row}
                )
            except DuplicateKeyError:
                self._counted.clear()  # somebody has restored older counters
                continue
            return StoredScreen(number, house)

    def screen(self, number: int) -> StoredScreen | None:
        """Return the screen with this number, if there is one."""
        document = self._screens.find_one({"_id": number})
        return _screen(document) if document else None

    def screens(self) -> list[StoredScreen]:
        """Return all screens in the order of their numbers."""
        documents = self._screens.find(sort=[("_id", ASCENDING)], batch_size=ONE_BATCH)
        return [_screen(document) for document in documents]

    def add_movie(self, screen: StoredScreen, showtime: str, title: str | None) -> Play:
        """Store a new movie, not on sale, and return it.

        Raises ScreenBusy when another movie plays there at this time.
        """
        self._indexes.ensure()
        at = plays_at(screen.number, showtime)
        while True:
            if other := self._movies.find_one({"plays_at": at}):
                raise ScreenBusy(other["_id"])
            document = {
                "_id": self._next_number("movie", self._movies),
                "screen": screen.number,
                "seats": screen.house.seats,
                "seats_per_row": screen.house.seats_per_row,
                "showtime": showtime,
                "plays_at": at,
                "title": title,
                "on_sale": False,
            }
            try:
                self._movies.insert_one(document)
            except DuplicateKeyError:
                self._counted.clear()  # another movie was faster, or the counters are older
                continue
            return _play(document)

    def find(self, movie: int) -> Play:
        """Return the movie with this number; raises MovieNotFound."""
        if not (play := self._find(movie)):
            raise MovieNotFound
        return play

    def movies(self) -> list[Play]:
        """Return all movies in the order of their numbers."""
        documents = self._movies.find(sort=[("_id", ASCENDING)], batch_size=ONE_BATCH)
        return [_play(document) for document in documents]

    def change(self, movie: int, *, title: str | None = None, on_sale: bool | None = None) -> Play:
        """Set what is not None, and return the movie; raises MovieNotFound."""
        given = {"title": title, "on_sale": on_sale}
        changes = {name: value for name, value in given.items() if value is not None}
        document = self._movies.find_one_and_update(
            {"_id": movie}, {"$set": changes}, return_document=ReturnDocument.AFTER
        )
        if not document:
            raise MovieNotFound
        return _play(document)

    def delete(self, movie: int) -> None:
        """Delete a movie, if it is there."""
        self._movies.delete_one({"_id": movie})

    def _find_all(self, numbers: list[int]) -> list[Play | None]:
        wanted = {"_id": {"$in": list(set(numbers))}}
        found = {
            document["_id"]: _play(document)
            for document in self._movies.find(wanted, batch_size=ONE_BATCH)
        }
        return [found.get(number) for number in numbers]

    def _next_number(self, kind: str, collection: pymongo_collection.Collection[Document]) -> int:
        """Return the next number for a document of `collection`, counting from 1.

        Tickets have it in the field `kind`. They, too, may be newer than the counter.
        """
        counter = {"_id": collection.name}
        while True:
            try:
                if kind not in self._counted:
                    used = [_highest(collection, "_id"), _highest(self._tickets, kind)]
                    upsert(self._counters, counter, {"$max": {"count": max(used)}})
                    self._counted.add(kind)
                return int(upsert(self._counters, counter, {"$inc": {"count": 1}})["count"])
            except DuplicateKeyError:
                pass  # lost the race to start the count


def _highest(collection: pymongo_collection.Collection[Document], field: str) -> int:
    found = collection.find_one({field: {"$gt": 0}}, {field: True}, sort=[(field, DESCENDING)])
    return found[field] if found else 0


def plays_at(screen: int, showtime: str) -> str:
    """Return the value of the unique field for a screen and a time (`HH:MM`)."""
    return f"{screen} {showtime}"


def _screen(document: Mapping[str, Any]) -> StoredScreen:
    return StoredScreen(document["_id"], _house(document))


def _play(document: Mapping[str, Any]) -> Play:
    return Play(
        timing=document["showtime"],
        house=_house(document),
        screen=document["screen"],
        movie=document["_id"],
        title=document["title"],
        on_sale=document["on_sale"],
    )


def _house(document: Mapping[str, Any]) -> House:
    return House(document["seats"], document.get("seats_per_row", DEFAULT_SEATS_PER_ROW))
