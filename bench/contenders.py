"""What the box office is compared with, each as short as possible."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from fastapi import FastAPI, HTTPException
from flask import Flask, request
from pydantic import BaseModel, Field
from pymongo import AsyncMongoClient

from app.domain.identifiers import new_id
from app.mongodb.client import open_client

CAPACITY = 20

_uri, _name = os.environ["MONGODB_URI"], os.environ["MONGODB_DATABASE"]
database = open_client(_uri)[_name]
# Its writes are as durable as those of the other client.
async_client: AsyncMongoClient[Any] = AsyncMongoClient(_uri, w="majority", journal=True)

bare_insert = Flask("bare_insert")
check_then_insert = Flask("check_then_insert")
count_then_insert = FastAPI()


@bare_insert.post("/booktickets")
def insert() -> tuple[dict[str, str], int]:
    """Store a document of a ticket's size, no matter what the request says."""
    request.get_data()  # an unread body would cost the connection
    ticket_id = new_id()
    now = datetime.now(UTC)
    database["tickets"].insert_one(
        {
            "_id": ticket_id,
            "name": "Asha Rao",
            "phone": "9876543210",
            "phone_e164": "+919876543210",
            "timing": "18:00",
            "date": "2026-11-22",
            "showing_at": now,
            "booked_at": now,
            "seat": 7,
        }
    )
    return {"ticket_id": ticket_id}, 201


@check_then_insert.post("/booktickets")
def check_and_insert() -> tuple[dict[str, Any], int]:
    """Find the slot, count its tickets, insert one, update the counter; oversells in between."""
    body = request.get_json(force=True)
    if not all(body.get(field) for field in ("name", "phone", "timing", "date")):
        return {"error": "Missing fields"}, 400
    slot = {"timing": body["timing"], "date": body["date"]}
    if not database["slots"].find_one(slot):
        return {"error": "No such slot"}, 404
    if database["tickets"].count_documents(slot) >= CAPACITY:
        return {"error": "Sold out"}, 409
    ticket = {"_id": new_id(), "name": body["name"], "phone": body["phone"], **slot}
    database["tickets"].insert_one(ticket)
    database["slots"].update_one(slot, {"$inc": {"booked": 1}})
    return ticket, 201


class Booking(BaseModel):
    """A booking: who, and which showing."""

    name: str = Field(min_length=1, max_length=100)
    phone: str = Field(pattern=r"^\+?[0-9 ]{6,20}$")
    timing: str = Field(pattern=r"^[0-9]{2}:[0-9]{2}$")
    date: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")


class Ticket(Booking):
    """A booked ticket."""

    ticket_id: str


@count_then_insert.post("/booktickets", status_code=201)
async def count_and_insert(booking: Booking) -> Ticket:
    """Count the tickets of the showing, then insert one; oversells in between."""
    tickets = async_client[_name]["tickets"]
    showing = {"timing": booking.timing, "date": booking.date}
    if await tickets.count_documents(showing) >= CAPACITY:
        raise HTTPException(409, "Sold out")
    inserted = await tickets.insert_one({"name": booking.name, "phone": booking.phone, **showing})
    return Ticket(ticket_id=str(inserted.inserted_id), **booking.model_dump())
