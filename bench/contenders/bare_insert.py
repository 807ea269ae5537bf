"""The limit of the stack: a Flask view that does one journaled insert and nothing else."""

from __future__ import annotations

import os
from datetime import UTC, datetime

from flask import Flask

from app.mongodb.client import open_client
from app.theatre.identifiers import new_id

app = Flask(__name__)
tickets = open_client(os.environ["MONGODB_URI"])[os.environ["MONGODB_DATABASE"]]["tickets"]


@app.post("/booktickets")
def insert() -> tuple[dict[str, str], int]:
    """Store a document of a ticket's size, whatever was asked for."""
    ticket_id = new_id()
    now = datetime.now(UTC)
    tickets.insert_one(
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
