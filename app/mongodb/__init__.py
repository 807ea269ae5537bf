"""Everything between the stores and MongoDB."""
