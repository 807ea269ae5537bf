"""The ticket window: tickets of a timetable, `SLOT_CAPACITY` to a showing."""

from app.booking.resources import blueprint as resources
from app.booking.routes import blueprint as routes

blueprints = (routes, resources)
