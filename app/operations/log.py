"""The log on stdout: lines for people on a terminal, JSON for everything else."""

from __future__ import annotations

import logging
import os
import stat
import sys
from contextlib import suppress
from typing import TextIO

from flask import g, has_request_context
from pythonjsonlogger.orjson import OrjsonFormatter

log = logging.getLogger(__name__)


def configure(level: str, log_format: str = "auto") -> None:
    """Log this service's messages from `level` on, and those of libraries from WARNING on.

    `log_format` is `text`, `json` or `auto`. Below WARNING, libraries log what a log must not hold:
    pymongo whole documents with names and phones, Werkzeug's server the ids of tickets. A server
    that has configured the root logger keeps its own format.
    """
    logging.raiseExceptions = False  # a line that cannot be logged must not fail a request
    if log_format == "auto":
        log_format = "text" if sys.stdout and sys.stdout.isatty() else "json"
    handler = NonBlockingHandler(sys.stdout)
    handler.addFilter(_RequestId())
    handler.setFormatter(_FORMATTERS[log_format])
    ours = logging.getLogger("app")
    ours.handlers[:] = [handler]
    ours.setLevel(level.upper())
    ours.propagate = False
    root = logging.getLogger()
    if not root.handlers:
        root.addHandler(handler)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)


class NonBlockingHandler(logging.Handler):
    """Writes lines to a stream without ever waiting for its reader.

    A line is dropped when there is no room for it. Otherwise, a reader that stops would block all
    requests of the process.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._descriptor = _without_waiting(stream.fileno()) if stream else None
        self._rest = b""  # of a partly written line
        self._dropped = 0  # lines since the last one written

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, or drop it."""
        try:
            lines = self._line(record)
            if self._dropped:
                lines = self._line(self._gap()) + lines
        except Exception:
            return self.handleError(record)
        if self._rest:
            self._rest = self._write(self._rest)
        unwritten = lines if self._rest else self._write(lines)
        if unwritten == lines:
            self._dropped += 1
        else:
            self._rest, self._dropped = unwritten, 0
        return None

    def _line(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode(errors="backslashreplace")

    def _gap(self) -> logging.LogRecord:
        text = "%s log lines were dropped: the reader is too slow"
        return log.makeRecord(log.name, logging.WARNING, __file__, 0, text, (self._dropped,), None)

    def _write(self, line: bytes) -> bytes:
        """Write as much as there is room for; return what is left."""
        if self._descriptor is not None:
            with suppress(OSError):
                return line[os.write(self._descriptor, line) :]
        return line


def _without_waiting(descriptor: int) -> int:
    """Return a descriptor for the same stream whose writes never wait for a reader."""
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISCHR(mode):
        # A separate one, because other writers to this pipe or terminal may rely on blocking.
        flags = os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY
        with suppress(OSError):  # another user's, or there is no /proc
            return os.open(f"/proc/self/fd/{descriptor}", flags)
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        os.set_blocking(descriptor, False)
    return descriptor


class _RequestId(logging.Filter):
    """Adds the id of the request that a record belongs to."""

    def filter(self, record: logging.LogRecord) -> bool:
        if has_request_context() and "request_id" in g:
            record.request_id = g.request_id
        return True


class _TextFormatter(logging.Formatter):
    """Writes a line, with a request's duration and id, and below it the traceback of a bug."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 (logging's name)
        fields = record.__dict__
        line = super().formatMessage(record)
        if "milliseconds" in fields:
            line += f" {fields['milliseconds']} ms"
        if "request_id" in fields:
            line += f" {fields['request_id']}"
        if "traceback" in fields:
            line += f"\n{fields['traceback'].rstrip()}"
        return line


_FORMATTERS = {
    "text": _TextFormatter("{asctime} {levelname} {message}", style="{"),
    "json": OrjsonFormatter(
        "{levelname}{name}{message}",
        style="{",
        timestamp="time",
        rename_fields={"levelname": "level", "name": "logger"},
    ),
}
