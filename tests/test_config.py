"""Settings: valid ones are read, invalid ones refused in one line."""

from __future__ import annotations

import math
import os
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import limits
import pytest
import tzlocal

from app.config import SettingError, Settings, usable_cores


def test_the_defaults() -> None:
    settings = asdict(Settings.from_environ({}))
    assert settings.pop("theatre_timezone") == tzlocal.get_localzone()
    assert settings == {
        "mongodb_uri": None,
        "mongodb_database": "boxoffice",
        "data_dir": Path("data"),
        "host": "127.0.0.1",
        "port": 5000,
        "workers": len(os.sched_getaffinity(0)),
        "trusted_proxies": 0,
        "show_times": tuple(f"{hour:02}:00" for hour in range(9, 22)),
        "slot_capacity": 20,
        "seats_per_row": 5,
        "expiry_hours": timedelta(hours=8),
        "advance_days": 30,
        "admission_hours": timedelta(hours=2),
        "phone_region": "IN",
        "staff_key": None,
        "rate_limit": None,
        "log_level": "info",
        "log_format": "auto",
    }


def test_every_setting_is_read() -> None:
    environ = {
        "MONGODB_URI": "mongodb://db1,db2/?replicaSet=rs0",
        "MONGODB_DATABASE": "roxy",
        "DATA_DIR": "/srv/box office",
        "HOST": "::1",
        "PORT": "8080",
        "WORKERS": "3",
        "TRUSTED_PROXIES": "2",
        "SHOW_TIMES": "21:30, 09:15",
        "SLOT_CAPACITY": "50",
        "SEATS_PER_ROW": "10",
        "EXPIRY_HOURS": "0.02",
        "ADVANCE_DAYS": "7",
        "ADMISSION_HOURS": "1.5",
        "THEATRE_TIMEZONE": "Asia/Kathmandu",
        "PHONE_REGION": "np",
        "STAFF_KEY": "correct-horse-battery",
        "RATE_LIMIT": "100 per 2 hours",
        "LOG_LEVEL": "DEBUG",
        "LOG_FORMAT": "JSON",
    }
    others = {"THREADS": "of an older version", "UNRELATED": "x"}
    assert asdict(Settings.from_environ(environ | others)) == {
        "mongodb_uri": "mongodb://db1,db2/?replicaSet=rs0",
        "mongodb_database": "roxy",
        "data_dir": Path("/srv/box office"),
        "host": "::1",
        "port": 8080,
        "workers": 3,
        "trusted_proxies": 2,
        "show_times": ("09:15", "21:30"),
        "slot_capacity": 50,
        "seats_per_row": 10,
        "expiry_hours": timedelta(seconds=72),
        "advance_days": 7,
        "admission_hours": timedelta(minutes=90),
        "theatre_timezone": ZoneInfo("Asia/Kathmandu"),
        "phone_region": "NP",
        "staff_key": "correct-horse-battery",
        "rate_limit": limits.parse("100 per 2 hours"),
        "log_level": "debug",
        "log_format": "json",
    }
    assert environ.keys() == {name.upper() for name in asdict(Settings())}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONGODB_DATABASE", "x"),
        ("MONGODB_DATABASE", "x" * 63),
        ("HOST", "h"),
        ("HOST", "h" * 253),
        ("PORT", "1"),
        ("PORT", "65535"),
        ("WORKERS", "1"),
        ("WORKERS", "256"),
        ("TRUSTED_PROXIES", "0"),
        ("TRUSTED_PROXIES", "10"),
        ("SHOW_TIMES", "00:00"),
        ("SHOW_TIMES", "23:59,00:00"),
        ("SLOT_CAPACITY", "1"),
        ("SLOT_CAPACITY", "10000"),
        ("SEATS_PER_ROW", "1"),
        ("SEATS_PER_ROW", "100"),
        ("EXPIRY_HOURS", "0.0167"),
        ("EXPIRY_HOURS", "8760"),
        ("ADMISSION_HOURS", "0.0003"),
        ("ADMISSION_HOURS", "8760"),
        ("ADVANCE_DAYS", "0"),
        ("ADVANCE_DAYS", "3650"),
        ("STAFF_KEY", "x" * 8),
        ("STAFF_KEY", "x" * 255),
        ("STAFF_KEY", "!~!~!~!~"),
        ("RATE_LIMIT", "1 per second"),
        ("RATE_LIMIT", "1000 per day"),
        ("RATE_LIMIT", "1000000000 per minute"),
        ("RATE_LIMIT", "60 per 366 days"),
        *(("LOG_LEVEL", each) for each in ("debug", "info", "warning", "error", "critical")),
        *(("LOG_FORMAT", each) for each in ("text", "json", "auto")),
    ],
)
def test_the_limit_itself_is_accepted(name: str, value: str) -> None:
    assert Settings.from_environ({name: value, "THEATRE_TIMEZONE": "UTC"})


@pytest.mark.parametrize(
    ("name", "value", "cause"),
    [
        ("MONGODB_DATABASE", "a.b", "character 2 is not allowed"),
        ("MONGODB_DATABASE", "x" * 64, "has 64 characters"),
        ("DATA_DIR", " ", "empty"),
        ("DATA_DIR", "\udcff", "not valid UTF-8"),
        ("HOST", "not a host", "character 4 is not allowed"),
        ("PORT", "0", "must be at least 1"),
        ("PORT", "65536", "must be at most 65535"),
        ("PORT", "५०००", "not a whole number"),
        ("PORT", "5000\n", "not a whole number"),
        ("WORKERS", "-1", "must be at least 1"),
        ("TRUSTED_PROXIES", "1.5", "not a whole number"),
        ("TRUSTED_PROXIES", "11", "must be at most 10"),
        ("RATE_LIMIT", "60", "not a number of requests and a time"),
        ("RATE_LIMIT", "", "empty"),
        ("RATE_LIMIT", "0 per minute", "allows no requests, or its time is zero"),
        ("RATE_LIMIT", "60 per fortnight", "not a number of requests and a time"),
        ("RATE_LIMIT", "60 per 0 minutes", "allows no requests, or its time is zero"),
        ("RATE_LIMIT", "60 per 2 years", "its time is longer than a year"),
        ("RATE_LIMIT", "9999999999 per minute", "allows more than 1000000000 requests"),
        ("RATE_LIMIT", "5 per second; 60 per minute", "more than one limit"),
        ("RATE_LIMIT", "60 per minute and more", "not a number of requests and a time"),
        ("SHOW_TIMES", "", "empty"),
        ("SHOW_TIMES", "09:00, 9:00", "time 2 is not HH:MM"),
        ("SHOW_TIMES", "09:00,10:00, 09:00", "lists 09:00 twice"),
        ("SHOW_TIMES", "09:00,", "time 2 is not HH:MM"),
        ("WORKERS", "257", "must be at most 256"),
        ("TRUSTED_PROXIES", "-1", "must be at least 0"),
        ("MONGODB_DATABASE", "", "empty"),
        ("HOST", "h" * 254, "has 254 characters"),
        ("SLOT_CAPACITY", "0", "must be at least 1"),
        ("SLOT_CAPACITY", "10001", "must be at most 10000"),
        ("SEATS_PER_ROW", "0", "must be at least 1"),
        ("SEATS_PER_ROW", "101", "must be at most 100"),
        ("SEATS_PER_ROW", "5.0", "not a whole number"),
        ("ADVANCE_DAYS", "-1", "must be at least 0"),
        ("ADVANCE_DAYS", "3651", "must be at most 3650"),
        ("ADMISSION_HOURS", "0.0002", "must be at least 0.0003"),
        ("ADMISSION_HOURS", "8760.1", "must be at most 8760"),
        ("RATE_LIMIT", "60 per 367 days", "its time is longer than a year"),
        ("RATE_LIMIT", "1000000001 per minute", "allows more than 1000000000 requests"),
        ("EXPIRY_HOURS", "0", "must be at least 0.0167"),
        ("EXPIRY_HOURS", "-8", "must be at least 0.0167"),
        ("EXPIRY_HOURS", "0.0166", "must be at least 0.0167"),
        ("EXPIRY_HOURS", "0.0003", "must be at least 0.0167"),
        ("EXPIRY_HOURS", "nan", "not a number of hours"),
        ("EXPIRY_HOURS", "1e9", "not a number of hours"),
        ("EXPIRY_HOURS", "8760.5", "must be at most 8760"),
        ("ADVANCE_DAYS", "soon", "not a whole number"),
        ("THEATRE_TIMEZONE", "Mars/Olympus", "no such time zone"),
        ("THEATRE_TIMEZONE", "../../etc/passwd", "no such time zone"),
        ("PHONE_REGION", "XX", "unknown"),
        ("LOG_LEVEL", "loud", "unknown"),
        ("LOG_LEVEL", "", "empty"),
        ("LOG_FORMAT", "xml", "unknown"),
    ],
)
def test_a_bad_value_is_reported_in_one_line_with_its_cause(
    name: str, value: str, cause: str
) -> None:
    with pytest.raises(SettingError) as refusal:
        Settings.from_environ({name: value})
    message = str(refusal.value)
    assert message.startswith(f"{name}={value!r} cannot be used: {cause}; set ")
    assert "\n" not in message


def test_tickets_never_expire_within_the_minute_of_their_sale() -> None:
    least = Settings.from_environ({"EXPIRY_HOURS": "0.0167"}).expiry_hours
    assert least == timedelta(minutes=1)


@pytest.mark.parametrize(
    ("uri", "cause"),
    [
        ("", "empty"),
        ("localhost:27017", "begins with neither mongodb:// nor mongodb+srv://"),
        ("http://user:secret@db", "begins with neither mongodb:// nor mongodb+srv://"),
        ("mongodb://user:sec@ret@db", "Username and password must be escaped"),
        ("mongodb://user:sec%ret@db", "Username and password must be escaped"),
        ("mongodb://user:1234/secret@db", "user name and password must be percent-encoded"),
        ("mongodb://user:1234/secret@db?appName=//", "password must be percent-encoded"),
        ("mongodb://user:secret/@db", "Port contains non-digit characters"),
        ("mongodb://user:12?secret@db", "MongoDB URI options are key=value pairs"),
        ("mongodb://user:12?secret=x@db", "Unknown option"),
        ("mongodb://db:secret", "Port contains non-digit characters"),
        ("mongodb://db:65536", "Port must be an integer"),
        ("mongodb://db/?tlsCAFile=/secret", "tlscafile file is not readable: No such file"),
        ("mongodb://db/?tlsCAFile=/dev/null", "certificate"),
        ("mongodb://db/?tlsCertificateKeyFile=/secret", "No such file"),
        ("mongodb://db/?tls=secret", "must be 'true' or 'false'"),
        ("mongodb://db/?secretOption=1", "Unknown option"),
        ("mongodb+srv://db.example.com/?secretOption=1", "Unknown option"),
        ("mongodb://db/?authMechanism=secret", "authmechanism must be in"),
        ("mongodb://db/?authMechanismProperties=secret:x", "not a supported auth mechanism"),
        (
            "mongodb://db/?authMechanismProperties=AWS_SESSION_TOKEN:ab%2Csecret%3A",
            "Malformed auth mechanism properties",
        ),
        (
            "mongodb://db/?authMechanism=MONGODB-AWS"
            "&authMechanismProperties=AWS_SESSION_TOKEN:ab%2Csecret:x",
            "not a supported auth mechanism property",
        ),
        (
            "mongodb://db/?authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:secret",
            "for MONGODB-OIDC",
        ),
        ("mongodb://db1,db2/?directConnection=true", "multiple hosts with directConnection"),
        ("mongodb://db/?maxPoolSize=2&minPoolSize=20", "minPoolSize must be smaller"),
        ("mongodb://db/?retryWrites=true&retryWrites=false", "Duplicate URI option"),
        ("mongodb://db/?readPreference=secret", "Not a valid read preference"),
        ("mongodb://db/?wTimeoutMS=secret", "must be an integer"),
        ("mongodb://db/?datetime_conversion=secret", "Invalid datetime_conversion value"),
    ],
)
def test_what_pymongo_refuses_is_reported_in_one_line_without_secrets(uri: str, cause: str) -> None:
    with pytest.raises(SettingError) as refusal:
        Settings.from_environ({"MONGODB_URI": uri})
    message = str(refusal.value)
    assert message.startswith("MONGODB_URI cannot be used: ")
    assert cause in message
    assert message.endswith("; set a MongoDB connection string such as mongodb://localhost:27017")
    assert "secret" not in message
    assert "ret@" not in message
    assert "\n" not in message


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://db/?minPoolSize=20",
        "mongodb://db/?minPoolSize=200",
        "mongodb://db/?minPoolSize=2&maxPoolSize=2",
        "mongodb://db?w=0;journal=true",
        "mongodb://db/?fsync=true&w=0&readPreference=nearest&readPreferenceTags=dc:east",
        "mongodb://db/?tz_aware=false&unicode_decode_error_handler=ignore&connect=true",
        "mongodb://user:p%40ss@db1,db2:27018/admin?replicaSet=rs0&appName=a@b&compressors=zlib",
        "mongodb+srv://user:secret@db.example.com/?srvMaxHosts=2&retryWrites=true&w=majority",
        "mongodb://%2Ftmp%2Fmongod.sock",
        "mongodb://db/?compressors=zlib,unknown",  # pymongo warns about it and continues
    ],
)
def test_what_pymongo_accepts_is_accepted(uri: str) -> None:
    assert Settings.from_environ({"MONGODB_URI": uri}).mongodb_uri == uri


@pytest.mark.parametrize(
    ("key", "cause"),
    [
        ("", "empty"),
        ("secret", "has 6 characters"),
        ("secret with spaces", "character 7 is not allowed"),
        ("secret-ä-secret", "character 8 is not allowed"),
        ("x" * 256, "has 256 characters"),
    ],
)
def test_a_wrong_staff_key_is_refused_and_not_shown(key: str, cause: str) -> None:
    with pytest.raises(SettingError) as refusal:
        Settings.from_environ({"STAFF_KEY": key})
    assert str(refusal.value).startswith(f"STAFF_KEY cannot be used: {cause}; set 8 to 255")


@pytest.mark.parametrize("name", ["MONGODB_DATABASE", "HOST", "RATE_LIMIT", "SHOW_TIMES"])
def test_a_connection_string_in_the_wrong_place_is_not_shown(name: str) -> None:
    with pytest.raises(SettingError) as refusal:
        Settings.from_environ({name: "mongodb://user:secret@db/?w=1"})
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("files", "own_group", "cores"),
    [
        ({}, "0::/", math.inf),
        ({"cpu.max": "max 100000"}, "0::/", math.inf),
        ({"cpu.max": "100000 100000"}, "0::/", 1),
        ({"cpu.max": "50000 100000"}, "0::/", 1),
        ({"cpu.max": "150000 100000"}, "0::/", 2),
        ({"cpu.max": "100000 100000"}, "0::/outside/the/container", 1),
        ({"theatre/cpu.max": "100000 100000"}, "0::/theatre/box-office", 1),
        (
            {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "100000"},
            "4:cpu,cpuacct:/docker/abc",
            1,
        ),
        (
            {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"},
            "4:cpu,cpuacct:/",
            math.inf,
        ),
    ],
)
def test_there_is_one_worker_per_usable_core(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    files: dict[str, str],
    own_group: str,
    cores: float,
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 4, 5}, raising=False)
    for name, text in files.items():
        file = tmp_path / "cgroup" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    own = tmp_path / "self"
    own.write_text(f"{own_group}\n")
    assert usable_cores(tmp_path / "cgroup", own) == min(4, cores)


def test_without_control_groups_affinity_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {3}, raising=False)
    assert usable_cores(tmp_path, tmp_path / "missing") == 1


def test_without_a_readable_system_zone_the_setting_is_required(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail() -> None:
        raise ZoneInfoNotFoundError("Nope/Nope")

    monkeypatch.setattr("tzlocal.get_localzone", fail)
    with pytest.raises(SettingError, match="THEATRE_TIMEZONE"):
        Settings.from_environ({})
    assert Settings.from_environ({"THEATRE_TIMEZONE": "UTC"})
