"""What operators need: the log, metrics, health checks and rate limits."""
