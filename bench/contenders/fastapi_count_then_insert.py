"""The modern stack: FastAPI with pymongo's async client; counts a showing's tickets, then inserts.

Between the count and the insert others do the same, so it oversells.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel, Field
from pymongo import ASCENDING, AsyncMongoClient

CAPACITY = 20


class Booking(BaseModel):
    """A booking: who, and which showing."""

    name: str = Field(min_length=1, max_length=100)
    phone: str = Field(pattern=r"^\+?[0-9 ]{6,20}$")
    timing: str = Field(pattern=r"^[0-9]{2}:[0-9]{2}$")
    date: str = Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")


class Ticket(Booking):
    """A booked ticket."""

    ticket_id: str


# With the same guarantees for a write as the service asks for.
client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
    os.environ["MONGODB_URI"], w="majority", journal=True
)
tickets = client[os.environ["MONGODB_DATABASE"]]["tickets"]


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    """Make the index that the count needs."""
    await tickets.create_index([("timing", ASCENDING), ("date", ASCENDING)])
    yield
    await client.close()


app = FastAPI(lifespan=lifespan)


@app.post("/booktickets", status_code=201)
async def book(booking: Booking) -> Ticket:
    """Book a ticket of a showing."""
    showing = {"timing": booking.timing, "date": booking.date}
    if await tickets.count_documents(showing) >= CAPACITY:
        raise HTTPException(409, "Sold out")
    inserted = await tickets.insert_one({"name": booking.name, "phone": booking.phone, **showing})
    return Ticket(ticket_id=str(inserted.inserted_id), **booking.model_dump())
