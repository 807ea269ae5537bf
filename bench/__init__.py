"""Benchmarks: Box Office compared with the alternatives; `python -m bench` runs them all."""
