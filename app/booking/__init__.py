"""The ticket window: tickets of a timetable, `SLOT_CAPACITY` to a showing."""

from app.booking.admission_routes import blueprint as admission_routes
from app.booking.assignment_routes import blueprint as assignment_routes
from app.booking.ticket_routes import blueprint as ticket_routes

blueprints = (assignment_routes, ticket_routes, admission_routes)
