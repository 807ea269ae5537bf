"""The multiplex: screens, the movies that play on them daily, and the sale of their tickets."""

from app.multiplex.routes import blueprint

blueprints = (blueprint,)
