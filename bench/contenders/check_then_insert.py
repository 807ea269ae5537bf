"""The usual answer to the assignment: find the slot, count its tickets, insert, update its counter.

Between the count and the insert others do the same, so it oversells.
"""

from __future__ import annotations

import os
from typing import Any

from flask import Flask, request
from pymongo import ASCENDING

from app.mongodb.client import open_client
from app.theatre.identifiers import new_id

CAPACITY = 20

app = Flask(__name__)
database = open_client(os.environ["MONGODB_URI"])[os.environ["MONGODB_DATABASE"]]
for collection in ("slots", "tickets"):
    database[collection].create_index([("timing", ASCENDING), ("date", ASCENDING)])


@app.post("/booktickets")
def book() -> tuple[dict[str, Any], int]:
    """Book a ticket in the slot of this timing and date."""
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
