"""The body of a request, with limits on its time, its chunks and its trailers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import gevent
from gunicorn.http import errors
from gunicorn.http.body import ChunkedReader
from werkzeug.exceptions import ClientDisconnected, RequestTimeout

from app.web.limits import BODY_SECONDS, MAX_CHUNKS, TRAILERS_BYTES


class TimedBody:
    """The body of a gunicorn request, as a WSGI input that fails when it is late or cut off.

    Reading raises werkzeug's RequestTimeout or ClientDisconnected. The connection is closed then,
    and whenever the body was not read to its end, because nobody can tell where the next request
    starts.
    """

    def __init__(self, req: Any) -> None:
        self.headers: list[tuple[str, str]] = req.headers  # names in capitals
        self._req = req
        self._body = req.body
        if isinstance(req.body.reader, ChunkedReader):
            req.parse_headers = _ignore_trailers  # the headers have been parsed
            _limit(req.body.reader)
        self._deadline = time.monotonic() + BODY_SECONDS

    @property
    def is_read(self) -> bool:
        """Whether nothing of the body is left."""
        reader = self._body.reader
        return not (reader.parser if isinstance(reader, ChunkedReader) else reader.length)

    def close_unless_read(self) -> None:
        """Announce in the response that the connection closes, if something of the body is left."""
        if not self.is_read:
            self._req.force_close()

    def read(self, size: int = -1) -> bytes:
        """Return up to `size` bytes, or all there are."""
        return self._in_time(self._body.read, size)

    def readline(self, size: int = -1) -> bytes:
        """Return the rest of the line, up to `size` bytes."""
        return self._in_time(self._body.readline, size)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")

    def _in_time(self, read: Callable[[int], bytes], size: int) -> bytes:
        left = max(self._deadline - time.monotonic(), 0.001)
        try:
            with gevent.Timeout(left, RequestTimeout()):
                return read(size)
        except RequestTimeout:
            self._req.force_close()
            raise
        except (errors.ParseException, errors.NoMoreData, OSError):
            self._req.force_close()
            raise ClientDisconnected from None


def _limit(reader: Any) -> None:
    """Limit what gunicorn's reader of chunks parses in one turn, in which others wait."""
    # All trailers are searched again with each piece of them.
    reader.limit_trailer_section = TRAILERS_BYTES
    chunks = reader.parser

    def few_chunks() -> Iterator[bytes]:
        yield from islice(chunks, MAX_CHUNKS)
        if next(chunks, None) is not None:
            raise errors.InvalidChunkSize(b"too many chunks")

    reader.parser = few_chunks()


def _ignore_trailers(*_: Any, **__: Any) -> list[tuple[str, str]]:
    """Parse no trailers; gunicorn would refuse some."""
    return []
