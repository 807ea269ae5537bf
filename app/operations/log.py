"""The log: a JSON object a line, on stdout."""

from __future__ import annotations

import logging
import sys

from flask import g, has_request_context
from pythonjsonlogger.json import JsonFormatter


def configure(level: str) -> None:
    """Log what this service says from `level` on, and only warnings of its libraries.

    These tell more at lower levels than a log may hold: pymongo, for one, whole documents with
    their names and phones.
    """
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(_add_request_id)
    handler.setFormatter(
        JsonFormatter(
            "{levelname}{name}{message}",
            style="{",
            timestamp="time",
            rename_fields={"levelname": "level", "name": "logger"},
            json_ensure_ascii=False,
        )
    )
    logging.basicConfig(handlers=[handler], force=True)
    logging.getLogger("app").setLevel(level.upper())


def _add_request_id(record: logging.LogRecord) -> bool:
    if has_request_context() and "request_id" in g:
        record.request_id = g.request_id
    return True
