"""The rules of the theatre that both features share; pure, without HTTP or MongoDB."""
