"""The ticket window: the timetable, and the assignment's routes for its tickets."""

from app.booking.routes import blueprint

blueprints = (blueprint,)
