"""The rules of the theatre: pure functions and values, without HTTP or MongoDB."""
