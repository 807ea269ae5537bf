"""Settings: read when right, refused in one line when wrong."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfoNotFoundError

import pytest

from app.config import SettingError, Settings


def test_defaults() -> None:
    settings = Settings.from_environ({})
    assert settings.mongodb_uri is None
    assert (settings.host, settings.port) == ("127.0.0.1", 5000)
    assert settings.show_times[0] == "09:00"
    assert settings.show_times[-1] == "21:00"
    assert len(settings.show_times) == 13
    assert settings.slot_capacity == 20
    assert settings.expiry_hours == timedelta(hours=8)
    assert settings.advance_days == 30


def test_every_setting_is_read() -> None:
    settings = Settings.from_environ(
        {
            "MONGODB_URI": "mongodb://db1,db2/?replicaSet=rs0",
            "MONGODB_DATABASE": "roxy",
            "DATA_DIR": "/srv/box office",
            "HOST": "::1",
            "PORT": "8080",
            "WORKERS": "3",
            "SHOW_TIMES": "21:30, 09:15",
            "SLOT_CAPACITY": "5",
            "EXPIRY_HOURS": "0.01",
            "ADVANCE_DAYS": "7",
            "THEATRE_TIMEZONE": "Asia/Kathmandu",
            "PHONE_REGION": "np",
            "STAFF_KEY": "correct-horse-battery",
            "RATE_LIMIT": "100 per 2 hours",
            "LOG_LEVEL": "DEBUG",
            "UNRELATED": "x",
        }
    )
    assert settings.mongodb_uri == "mongodb://db1,db2/?replicaSet=rs0"
    assert settings.mongodb_database == "roxy"
    assert settings.data_dir == Path("/srv/box office")
    assert (settings.host, settings.port) == ("::1", 8080)
    assert settings.workers == 3
    assert settings.show_times == ("09:15", "21:30")
    assert settings.slot_capacity == 5
    assert settings.expiry_hours == timedelta(seconds=36)
    assert settings.advance_days == 7
    assert str(settings.theatre_timezone) == "Asia/Kathmandu"
    assert settings.phone_region == "NP"
    assert settings.staff_key == "correct-horse-battery"
    assert str(settings.rate_limit) == "100 per 2 hour"
    assert settings.log_level == "debug"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MONGODB_URI", "localhost:27017"),
        ("MONGODB_URI", ""),
        ("MONGODB_DATABASE", "a.b"),
        ("MONGODB_DATABASE", "x" * 64),
        ("DATA_DIR", " "),
        ("DATA_DIR", "\udcff"),
        ("MONGODB_URI", "mongodb://db/?tls=true&tlsCAFile=/nope"),
        ("HOST", "not a host"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "५०००"),
        ("PORT", "5000\n"),
        ("WORKERS", "-1"),
        ("RATE_LIMIT", "60"),
        ("RATE_LIMIT", ""),
        ("RATE_LIMIT", "0 per minute"),
        ("RATE_LIMIT", "60 per fortnight"),
        ("RATE_LIMIT", "60 per 0 minutes"),
        ("RATE_LIMIT", "60 per 2 years"),
        ("RATE_LIMIT", "9999999999 per minute"),
        ("RATE_LIMIT", "5 per second; 60 per minute"),
        ("RATE_LIMIT", "60 per minute and more"),
        ("SHOW_TIMES", ""),
        ("SHOW_TIMES", "9:00"),
        ("SHOW_TIMES", "09:00,09:00"),
        ("SHOW_TIMES", "09:00,"),
        ("SLOT_CAPACITY", "0"),
        ("EXPIRY_HOURS", "0"),
        ("EXPIRY_HOURS", "-8"),
        ("EXPIRY_HOURS", "nan"),
        ("EXPIRY_HOURS", "1e9"),
        ("ADVANCE_DAYS", "soon"),
        ("THEATRE_TIMEZONE", "Mars/Olympus"),
        ("THEATRE_TIMEZONE", "../../etc/passwd"),
        ("PHONE_REGION", "XX"),
        ("LOG_LEVEL", "loud"),
        ("LOG_LEVEL", ""),
    ],
)
def test_a_wrong_value_is_named_in_one_line(name: str, value: str) -> None:
    with pytest.raises(SettingError) as refusal:
        Settings.from_environ({name: value})
    message = str(refusal.value)
    assert message.startswith(f"{name}={value!r} cannot be used: set ")
    assert "\n" not in message


def test_a_password_is_not_shown() -> None:
    with pytest.raises(SettingError) as refusal:
        Settings.from_environ({"MONGODB_URI": "http://user:secret@db"})
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("key", ["", "secret", "secret with spaces", "secret-ä-secret", "x" * 256])
def test_a_staff_key_that_is_none_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(SettingError) as refusal:
        Settings.from_environ({"STAFF_KEY": key})
    assert str(refusal.value).startswith("STAFF_KEY=*** cannot be used: set 8 to 255")


def test_nor_a_part_of_one() -> None:
    with pytest.raises(SettingError) as refusal:
        Settings.from_environ({"MONGODB_URI": "http://user:sec@ret@db"})
    assert "ret" not in str(refusal.value)


def test_a_machine_without_a_readable_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZoneInfoNotFoundError("Nope/Nope")

    monkeypatch.setattr("tzlocal.get_localzone", fail)
    with pytest.raises(SettingError, match="THEATRE_TIMEZONE"):
        Settings.from_environ({})
    assert Settings.from_environ({"THEATRE_TIMEZONE": "UTC"})
