"""Settings from the environment, read and checked once, at the start."""

from __future__ import annotations

import contextlib
import math
import os
import re
import ssl
import sys
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote_plus
from zoneinfo import ZoneInfo, available_timezones

import limits
import phonenumbers
import tzlocal
from limits import RateLimitItem
from pymongo.errors import PyMongoError
from pymongo.uri_parser import split_options

from app.domain.showings import parse_timing
from app.mongodb.client import open_client

Number = TypeVar("Number", int, float)

# Where MONGODB_URI is not set; `python root.py` starts an embedded MongoDB instead.
DEFAULT_MONGODB_URI = "mongodb://localhost:27017"

_MAX_REQUESTS = 10**9
# A showing can be booked until its minute has passed, and no ticket may expire before.
_MIN_EXPIRY_HOURS = 0.0167
_MIN_HOURS = 0.0003
_MAX_HOURS = 8760
_MAX_WINDOW_SECONDS = 366 * 24 * 3600


class SettingError(Exception):
    """A setting has a value that cannot be used; its text is one line for the operator."""


# Parsers: each returns the value of a text, or raises ValueError that says what is wrong with it.


def _whole_number(lowest: int, highest: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,9}", text):
            raise ValueError("not a whole number")
        return _within(int(text), lowest, highest)

    return parse


def _within(number: Number, lowest: float, highest: float) -> Number:
    if number < lowest:
        raise ValueError(f"must be at least {lowest}")
    if number > highest:
        raise ValueError(f"must be at most {highest}")
    return number


def _one_of(allowed: Collection[str]) -> Callable[[str], str]:
    """Return a parser of one of these words, in any case."""
    as_allowed = {word.casefold(): word for word in allowed}

    def parse(text: str) -> str:
        if text.casefold() not in as_allowed:
            raise ValueError("unknown")
        return as_allowed[text.casefold()]

    return parse


def _text(allowed: str, shortest: int, longest: int) -> Callable[[str], str]:
    """Return a parser of text whose characters are all in `allowed`, a regular expression's set."""

    def parse(text: str) -> str:
        if not shortest <= len(text) <= longest:
            raise ValueError(f"has {len(text)} characters")
        if wrong := re.search(f"[^{allowed}]", text):
            raise ValueError(f"character {wrong.start() + 1} is not allowed")
        return text

    return parse


def _mongodb_uri(text: str) -> str:
    if not text.startswith(("mongodb://", "mongodb+srv://")):
        raise ValueError("begins with neither mongodb:// nor mongodb+srv://")
    with _pymongos_refusal(text), warnings.catch_warnings():
        # The client only warns of options that it cannot use; split_options refuses them.
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", "Duplicate URI option")
        if query := text.partition("?")[2]:
            split_options(query, warn=False)
        open_client(text).close()
    # With an unescaped / in a password, pymongo would take the part before it for a host and port,
    # and name these in errors.
    if "@" in text.partition("//")[2].partition("?")[0].partition("/")[2]:
        raise ValueError(
            "has an @ after its first /: user name and password must be percent-encoded"
        )
    return text


@contextlib.contextmanager
def _pymongos_refusal(uri: str) -> Iterator[None]:
    """Turn what pymongo raises into ValueError with its cause and without any secret of `uri`."""
    try:
        yield
    except (PyMongoError, ValueError, TypeError, KeyError, OSError, UserWarning) as error:
        cause = str(error.args[-1] if error.args else error).partition(" or maybe a camelCase")[0]
        if isinstance(error, OSError) and error.errno and not isinstance(error, ssl.SSLError):
            cause = f"{cause}: {os.strerror(error.errno)}"
        # It names the parts of these properties that it does not know, which may be a token's.
        properties = re.search("authMechanismProperties=([^&;]*)", uri, re.IGNORECASE)
        for piece in re.split("[,:]", unquote_plus(properties[1])) if properties else ():
            cause = re.sub(rf"(?<!\w){re.escape(piece)}(?!\w)", "***", cause) if piece else cause
        raise ValueError(" ".join(cause.split()).rstrip(".")) from None


def _path(text: str) -> Path:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("not valid UTF-8") from None
    return Path(text)


def _show_times(text: str) -> tuple[str, ...]:
    times: list[str] = []
    for number, part in enumerate(text.split(","), 1):
        try:
            time = parse_timing(part.strip())
        except ValueError:
            raise ValueError(f"time {number} is not HH:MM") from None
        if time in times:
            raise ValueError(f"lists {time} twice")
        times.append(time)
    return tuple(sorted(times))


def _hours(lowest: float) -> Callable[[str], timedelta]:
    def parse(text: str) -> timedelta:
        if not re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", text):
            raise ValueError("not a number of hours")
        # MongoDB's TTL counts whole seconds, so the service does, too.
        return timedelta(seconds=round(_within(float(text), lowest, _MAX_HOURS) * 3600))

    return parse


def _zone(text: str) -> tzinfo:
    if text not in available_timezones():
        raise ValueError("no such time zone")
    return ZoneInfo(text)


def _machine_zone() -> tzinfo:
    try:
        return tzlocal.get_localzone()
    except (LookupError, ValueError, OSError):
        raise SettingError(
            "THEATRE_TIMEZONE is not set, and the machine's time zone cannot be read; "
            "set an IANA time zone such as Asia/Kolkata"
        ) from None


def _rate_limit(text: str) -> RateLimitItem:
    try:
        limit, *more = limits.parse_many(text)
    except ValueError:
        raise ValueError("not a number of requests and a time") from None
    if more:
        raise ValueError("more than one limit")
    # The library would read "5 per 0 seconds" as one second.
    if re.search(r"(?<![0-9])0+(?![0-9])", text):
        raise ValueError("allows no requests, or its time is zero")
    if limit.amount > _MAX_REQUESTS:
        raise ValueError(f"allows more than {_MAX_REQUESTS} requests")
    if limit.get_expiry() > _MAX_WINDOW_SECONDS:
        raise ValueError("its time is longer than a year")
    return limit


def usable_cores(
    control_groups: Path = Path("/sys/fs/cgroup"), own_groups: Path = Path("/proc/self/cgroup")
) -> int:
    """Count the cores that this process may use, by its affinity and its control groups' quotas."""
    # Some systems, such as macOS, have no affinity.
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    quotas = [float(cores)]
    with contextlib.suppress(OSError):
        for line in own_groups.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            root = control_groups / "cpu" if controllers else control_groups  # version 1 or 2
            # A container may see its own group at the root, no matter what it is called outside.
            own = root / path.lstrip("/")
            for group in (own, *own.parents):
                quotas += _quota_of(group)
    return max(1, math.ceil(min(quotas)))


def _quota_of(group: Path) -> Iterator[float]:
    """Yield how many cores a control group may keep busy, where it has a limit."""
    for files in (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us")):
        with contextlib.suppress(OSError, ValueError):  # ValueError: "max"
            quota, period = map(int, " ".join((group / file).read_text() for file in files).split())
            if quota > 0:
                yield quota / period


def _setting(default: Any, parse: Callable[[str], Any], right: str, secret: bool = False) -> Any:
    """Declare a setting: `default` is a value or a function; `right` describes a valid value."""
    metadata = {"parse": parse, "right": right, "secret": secret}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _number_setting(default: Any, lowest: int, highest: int) -> Any:
    return _setting(
        default, _whole_number(lowest, highest), f"a whole number from {lowest} to {highest}"
    )


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings; each is read from the environment variable of its name in capitals."""

    mongodb_uri: str | None = _setting(
        None,
        _mongodb_uri,
        "a MongoDB connection string such as mongodb://localhost:27017",
        secret=True,
    )
    mongodb_database: str = _setting(
        "boxoffice", _text("A-Za-z0-9_-", 1, 63), "1 to 63 letters, digits, - or _"
    )
    data_dir: Path = _setting(Path("data"), _path, "a folder")
    host: str = _setting(
        "127.0.0.1", _text("A-Za-z0-9.:_-", 1, 253), "an IP address or a host name"
    )
    port: int = _number_setting(5000, 1, 65535)
    workers: int = _number_setting(usable_cores, 1, 256)
    trusted_proxies: int = _number_setting(0, 0, 10)
    show_times: tuple[str, ...] = _setting(
        tuple(f"{hour:02}:00" for hour in range(9, 22)),
        _show_times,
        "a comma-separated list of different times such as 09:00,18:30",
    )
    slot_capacity: int = _number_setting(20, 1, 10_000)
    seats_per_row: int = _number_setting(5, 1, 100)
    expiry_hours: timedelta = _setting(
        timedelta(hours=8),
        _hours(_MIN_EXPIRY_HOURS),
        f"hours from {_MIN_EXPIRY_HOURS} (a minute) to {_MAX_HOURS}",
    )
    advance_days: int = _number_setting(30, 0, 3650)
    admission_hours: timedelta = _setting(
        timedelta(hours=2),
        _hours(_MIN_HOURS),
        f"hours from {_MIN_HOURS} (a second) to {_MAX_HOURS}",
    )
    theatre_timezone: tzinfo = _setting(
        _machine_zone, _zone, "an IANA time zone such as Asia/Kolkata"
    )
    phone_region: str = _setting(
        "IN", _one_of(phonenumbers.SUPPORTED_REGIONS), "a two-letter region such as IN"
    )
    staff_key: str | None = _setting(
        None,
        _text("!-~", 8, 255),
        "8 to 255 printable ASCII characters without spaces",
        secret=True,
    )
    rate_limit: RateLimitItem | None = _setting(
        None, _rate_limit, "a number of requests and a time up to a year, such as 600 per minute"
    )
    log_level: str = _setting(
        "info",
        _one_of({"debug", "info", "warning", "error", "critical"}),
        "debug, info, warning, error or critical",
    )
    log_format: str = _setting("auto", _one_of({"text", "json", "auto"}), "text, json or auto")

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
                if not text.strip():
                    raise ValueError("empty")
                values[setting.name] = setting.metadata["parse"](text)
            except ValueError as error:
                # A connection string may have been put into the wrong setting.
                is_secret = setting.metadata["secret"] or "://" in text
                shown = "" if is_secret else f"={text!r}"
                right = setting.metadata["right"]
                raise SettingError(f"{name}{shown} cannot be used: {error}; set {right}") from None
        return cls(**values)
