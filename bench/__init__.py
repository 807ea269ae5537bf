"""Box Office measured beside what its users might pick instead; `python -m bench` runs it all."""
