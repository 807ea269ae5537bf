"""What all routes have in common: how requests are read, and how responses look."""
