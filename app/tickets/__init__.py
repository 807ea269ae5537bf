"""Tickets for any showing, from the sale to the door."""

from app.tickets.admission_routes import blueprint as admission_routes
from app.tickets.routes import blueprint as ticket_routes

blueprints = (ticket_routes, admission_routes)
