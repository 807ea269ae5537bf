"""Turns what version 1.0 sold for its movies into tickets.

1.0 kept one document in `sales` for each showing of a movie: the purchases, in the order of their
seats. Each becomes a ticket with the same seats. A ticket's ids follow from its purchase, so it
is made only once, even if this is interrupted or several services run it at once.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from pymongo.database import Database
from pymongo.errors import DuplicateKeyError, OperationFailure

from app.domain.idempotency import IdempotentRequest
from app.domain.identifiers import as_admission_code
from app.domain.seating import House, SeatMap
from app.domain.showings import Showing
from app.mongodb.client import Document, insert_all
from app.multiplex.store import DEFAULT_SEATS_PER_ROW, plays_at
from app.tickets.documents import StoredTicket, as_utc, seats_of, ticket_document

log = logging.getLogger(__name__)

# It lacks the screen, so it would refuse a movie's ticket for a seat taken in the timetable.
_OLD_SEAT_INDEX = "timing_1_date_1_seat_1"
_INDEX_NOT_FOUND = 27


def upgrade_movies(database: Database[Document]) -> None:
    """Give the movies of 1.0 their screens at their times; repeating this changes nothing.

    Their unique index has to be there. Raises PyMongoError when MongoDB is unavailable.
    """
    for movie in database["movies"].find({"plays_at": None}, sort=[("_id", 1)]):
        _keep_screen(database, movie)


def upgrade_sales(database: Database[Document]) -> None:
    """Turn the purchases of 1.0 into tickets; repeating this changes nothing.

    The indexes of the tickets have to be there. Raises PyMongoError when MongoDB is unavailable, or
    a service of 1.0 still runs.
    """
    if _OLD_SEAT_INDEX in database["tickets"].index_information():
        try:
            database["tickets"].drop_index(_OLD_SEAT_INDEX)
        except OperationFailure as error:
            if error.code != _INDEX_NOT_FOUND:  # another service was faster
                raise
    unfinished = database["sales"].find({"upgraded": None}, {"movie": True, "date": True})
    sales = sorted(unfinished, key=lambda sale: (sale["movie"], sale["date"]))
    if sales:
        log.info("Making tickets of what 1.0 sold for %s showings of movies", len(sales))
    # Tickets whose seats were sold twice come last: the new ones must not be anybody's.
    for may_reseat in (False, True):
        for each in sales:
            if sale := database["sales"].find_one({"_id": each["_id"], "upgraded": None}):
                _make_tickets(database, sale, may_reseat)


def _keep_screen(database: Database[Document], movie: Mapping[str, Any]) -> None:
    """Give a movie its screen at its time, unless another one has it already."""
    screen, showtime = movie["screen"], movie["showtime"]
    change = {"$set": {"plays_at": plays_at(screen, showtime)}}
    try:
        database["movies"].update_one({"_id": movie["_id"]}, change)
    except DuplicateKeyError:
        log.warning(
            "Movie %s shares screen %s with another movie at %s; they now share its seats, too",
            movie["_id"],
            screen,
            showtime,
        )


def _make_tickets(database: Database[Document], sale: Mapping[str, Any], may_reseat: bool) -> None:
    """Store a ticket for each purchase of a showing; without `may_reseat`, if its seats are free.

    Mark the sale when nothing is left to do.
    """
    movie = database["movies"].find_one({"_id": sale["movie"]}) or {}
    requests = {
        each["purchase_id"]: IdempotentRequest(each["key"], each["fingerprint"])
        for each in sale.get("requests", ())
    }
    showing = Showing(
        sale["timing"],
        date.fromisoformat(sale["date"]),
        as_utc(sale["showing_at"]),
        sale["screen"],
        sale["movie"],
        movie.get("title"),
    )
    house = House(movie.get("seats", sale["sold"]), DEFAULT_SEATS_PER_ROW)
    first_seat = 1
    tickets = []
    for purchase in sale["purchases"]:
        behind = first_seat + len(purchase["ticket_ids"])
        ticket = StoredTicket(
            admission_code=as_admission_code(
                hashlib.sha256(purchase["purchase_id"].encode()).digest()
            ),
            secret=purchase["purchase_id"],  # 128 random bits
            name=None,
            phone=None,
            showing=showing,
            seats=tuple(range(first_seat, behind)),
            seats_per_row=DEFAULT_SEATS_PER_ROW,
            booked_at=datetime.now(UTC).replace(microsecond=0),  # 1.0 did not store it
        )
        tickets.append((ticket, requests.get(purchase["purchase_id"])))
        first_seat = behind
    errors = insert_all(database["tickets"], [ticket_document(*each) for each in tickets])
    are_done = [
        error is None or _store(database, house, *each, may_reseat)
        for each, error in zip(tickets, errors, strict=True)
    ]
    if all(are_done):
        database["sales"].update_one({"_id": sale["_id"]}, {"$set": {"upgraded": True}})


def _store(
    database: Database[Document],
    house: House,
    ticket: StoredTicket,
    request: IdempotentRequest | None,
    may_reseat: bool,
) -> bool:
    """Store a ticket, with other seats and without its key if another ticket has them.

    Returns False, having stored nothing, when its seats are taken and it may not get others.
    """
    showing, sold = ticket.showing, ticket.seats
    where = f"movie {showing.movie} on {showing.date} at {showing.timing}"
    while True:
        try:
            database["tickets"].insert_one(ticket_document(ticket, request))
        except DuplicateKeyError as error:
            refusal = error
            if database["tickets"].find_one({"_id": ticket.admission_code}):
                return True  # stored by an earlier attempt, or by another service
            if request and database["tickets"].find_one({"request.key": request.key}):
                log.warning("A booking has the idempotency key of a purchase for %s", where)
                request = None
                continue
        else:
            if ticket.seats != sold:
                log.warning(
                    "Some of the seats %s of %s were sold twice; the second ticket now has %s",
                    _listed(sold),
                    where,
                    _listed(ticket.seats),
                )
            return True
        if not may_reseat:
            return False
        taken = database["tickets"].find(
            {"screen": showing.screen, "timing": showing.timing, "date": showing.date.isoformat()}
        )
        free = SeatMap(house, {seat for each in taken for seat in seats_of(each)})
        if all(seat in free for seat in ticket.seats):
            # Another index has refused them. A service of 1.0 that still runs creates its own.
            raise OperationFailure(str(refusal), refusal.code)
        seats = free.best(len(sold), near=sold[0])
        if not seats:
            log.error(
                "Some of the seats %s of %s were sold twice and too few are free: "
                "purchase %s gets no ticket",
                _listed(sold),
                where,
                ticket.secret,
            )
            return True
        ticket = replace(ticket, seats=seats)


def _listed(seats: tuple[int, ...]) -> str:
    return ", ".join(map(str, seats))
