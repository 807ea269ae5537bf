"""The log on stdout: lines for people on a terminal, JSON for everything else."""

from __future__ import annotations

import logging
import logging.config
import sys
from typing import Any

from flask import g, has_request_context


def configure(level: str, log_format: str = "auto") -> None:
    """Log what this service says from `level` on (see `configuration`)."""
    logging.config.dictConfig(configuration(level, log_format))


def configuration(level: str, log_format: str) -> dict[str, Any]:
    """Return the configuration of logging, as `logging.config.dictConfig` takes it.

    `log_format` is `text`, `json` or `auto`. Libraries are heard from WARNING on. At lower levels
    they tell more than a log may hold: pymongo, for one, whole documents with names and phones.
    """
    logging.raiseExceptions = False  # when the reader of the log is gone, the service goes on
    if log_format == "auto":
        log_format = "text" if sys.stdout.isatty() else "json"
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"request_id": {"()": _RequestId}},
        "formatters": {
            "text": {"()": _TextFormatter, "fmt": "{asctime} {levelname} {message}", "style": "{"},
            "json": {
                "()": "pythonjsonlogger.json.JsonFormatter",
                "fmt": "{levelname}{name}{message}",
                "style": "{",
                "timestamp": "time",
                "rename_fields": {"levelname": "level", "name": "logger"},
                "json_ensure_ascii": False,
            },
        },
        "handlers": {
            "stdout": {
                "class": "logging.StreamHandler",
                "stream": sys.stdout,
                "filters": ["request_id"],
                "formatter": log_format,
            }
        },
        "root": {"handlers": ["stdout"], "level": "WARNING"},
        "loggers": {
            "app": {"level": level.upper()},
            "gunicorn.error": {"level": "WARNING", "handlers": [], "propagate": True},
        },
    }


class _RequestId(logging.Filter):
    """Adds the id of the request that a record belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        if has_request_context() and "request_id" in g:
            record.request_id = g.request_id
        return True


class _TextFormatter(logging.Formatter):
    """Writes a line, and below it the traceback of a bug."""

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record) + "".join(
            f"\n{part}" for part in (getattr(record, "traceback", ""),) if part
        )
