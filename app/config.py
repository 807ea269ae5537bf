"""Settings from the environment, read and checked once, at the start."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

import limits
import phonenumbers
import pymongo.errors
import pymongo.uri_parser
import tzlocal
from limits import RateLimitItem

from app.theatre.showings import parse_timing

_MOST_REQUESTS = 10**9
_LONGEST_WINDOW = 366 * 24 * 3600  # seconds


class SettingError(Exception):
    """A setting has a value that cannot be used; its text is one line for the operator."""


def _whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (re.fullmatch(r"[0-9]{1,9}", text) and lowest <= int(text) <= highest):
            raise ValueError(f"a whole number from {lowest} to {highest}")
        return int(text)

    return parse


def _one_of(allowed: Collection[str], description: str) -> Callable[[str], str]:
    """Return a parser of one of these words, in any case."""
    as_allowed = {word.casefold(): word for word in allowed}

    def parse(text: str) -> str:
        if text.casefold() not in as_allowed:
            raise ValueError(description)
        return as_allowed[text.casefold()]

    return parse


def _text(description: str, pattern: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(description)
        return text

    return parse


def _mongodb_uri(text: str) -> str:
    expected = "a MongoDB connection string such as mongodb://localhost:27017"
    if text.startswith("mongodb+srv://"):
        return text  # Only a DNS look-up can tell more.
    try:
        pymongo.uri_parser.parse_uri(text)
    except (pymongo.errors.PyMongoError, ValueError, OSError):
        raise ValueError(expected) from None
    return text


def _path(text: str) -> Path:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("a folder whose name is text in UTF-8") from None
    if not text.strip():
        raise ValueError("a folder")
    return Path(text)


def _show_times(text: str) -> tuple[str, ...]:
    expected = "a comma-separated list of different times such as 09:00,18:30"
    try:
        times = [parse_timing(part.strip()) for part in text.split(",")]
    except ValueError:
        raise ValueError(expected) from None
    if len(set(times)) < len(times):
        raise ValueError(expected)
    return tuple(sorted(times))


def _hours(text: str) -> timedelta:
    # MongoDB's TTL counts whole seconds, so the service does, too.
    if re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,9})?", text):
        seconds = round(float(text) * 3600)
        if 1 <= seconds <= 8760 * 3600:
            return timedelta(seconds=seconds)
    raise ValueError("hours from 0.0003 (a second) to 8760")


def _zone(text: str) -> tzinfo:
    if text not in available_timezones():
        raise ValueError("an IANA time zone such as Asia/Kolkata")
    return ZoneInfo(text)


def _machine_zone() -> tzinfo:
    try:
        return tzlocal.get_localzone()
    except (LookupError, ValueError, OSError):
        raise SettingError(
            "THEATRE_TIMEZONE is not set, and the machine's time zone cannot be read: "
            "set an IANA time zone such as Asia/Kolkata"
        ) from None


def _rate_limit(text: str) -> RateLimitItem:
    with contextlib.suppress(ValueError):
        (limit,) = limits.parse_many(text)
        # It would take "5 per 0 seconds" for one second.
        if not re.search(r"(?<![0-9])0+(?![0-9])", text) and (
            limit.amount <= _MOST_REQUESTS and limit.get_expiry() <= _LONGEST_WINDOW
        ):
            return limit
    raise ValueError("a number of requests and a time up to a year, such as 60 per minute")


def _setting(default: Any, parse: Callable[[str], Any], secret: bool = False) -> Any:
    """Declare a setting: `default` is a value or a function, `parse` raises ValueError."""
    metadata = {"parse": parse, "secret": secret}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; each is read from the environment variable of its name in capitals."""

    mongodb_uri: str | None = _setting(None, _mongodb_uri)
    mongodb_database: str = _setting(
        "boxoffice",
        _text("1 to 63 letters, digits, - or _", r"[A-Za-z0-9_-]{1,63}"),
    )
    data_dir: Path = _setting(Path("data"), _path)
    host: str = _setting(
        "127.0.0.1", _text("an IP address or a host name", r"[A-Za-z0-9.:_-]{1,253}")
    )
    port: int = _setting(5000, _whole_number(1, 65535))
    workers: int = _setting(lambda: os.cpu_count() or 1, _whole_number(1, 256))
    show_times: tuple[str, ...] = _setting(
        tuple(f"{hour:02}:00" for hour in range(9, 22)), _show_times
    )
    slot_capacity: int = _setting(20, _whole_number(1, 10_000))
    expiry_hours: timedelta = _setting(timedelta(hours=8), _hours)
    advance_days: int = _setting(30, _whole_number(0, 3650))
    admission_hours: timedelta = _setting(timedelta(hours=2), _hours)
    theatre_timezone: tzinfo = _setting(_machine_zone, _zone)
    phone_region: str = _setting(
        "IN", _one_of(phonenumbers.SUPPORTED_REGIONS, "a two-letter region such as IN")
    )
    staff_key: str | None = _setting(
        None, _text("8 to 255 printable ASCII characters without spaces", r"[!-~]{8,255}"), True
    )
    rate_limit: RateLimitItem | None = _setting(None, _rate_limit)
    log_level: str = _setting(
        "info",
        _one_of(
            {"debug", "info", "warning", "error", "critical"},
            "debug, info, warning, error or critical",
        ),
    )
    log_format: str = _setting("auto", _one_of({"text", "json", "auto"}, "text, json or auto"))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the settings; raises SettingError on the first value that cannot be used."""
        values = {}
        for setting in fields(cls):
            name = setting.name.upper()
            if name not in environ:
                continue
            text = environ[name]
            try:
                values[setting.name] = setting.metadata["parse"](text)
            except ValueError as error:
                # No password in a message.
                shown = (
                    "***" if setting.metadata["secret"] else re.sub("//.*@", "//***@", repr(text))
                )
                raise SettingError(f"{name}={shown} cannot be used: set {error}") from None
        return cls(**values)
