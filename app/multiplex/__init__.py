"""The multiplex: screens, movies with a daily showtime, and tickets sold at the door."""

from app.multiplex.routes import blueprint

blueprints = (blueprint,)
