"""The embedded MongoDB: what it inherits and logs; where it cannot run, one message says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.mongodb.client import open_client
from app.mongodb.embedded import EmbeddedMongoDB, EmbeddedMongoDBError
from tests.running import wait_until

LIBRARY = (
    "mongod: error while loading shared libraries: {}: "
    "cannot open shared object file: No such file or directory"
)
GLIBC = (
    "mongod: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.34' not found (required by mongod)"
)


def start_with(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Start with this script as `mongod`; return the error."""
    (folder / "bin").mkdir()
    mongod = folder / "bin" / "mongod"
    mongod.write_text(script)
    mongod.chmod(0o755)
    monkeypatch.setenv("PATH", f"{mongod.parent}:/usr/bin:/bin")
    with pytest.raises(EmbeddedMongoDBError) as refusal, EmbeddedMongoDB(folder / "data"):
        pass
    message = str(refusal.value)
    assert "\n" not in message
    assert "log" not in message  # there is none
    return message


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (LIBRARY.format("libcurl.so.4"), "apt-get install libcurl4)"),
        (LIBRARY.format("liblzma.so.5"), "apt-get install liblzma5)"),
        (LIBRARY.format("libcrypto.so.3"), "install OpenSSL 3, or a MongoDB made for this system"),
        (LIBRARY.format("libcrypto.so.1.1"), "install OpenSSL 1.1, or a MongoDB made for this"),
        (GLIBC, "install a MongoDB made for this system"),
        ("Error parsing command line: unrecognised option", "unrecognised option."),
    ],
)
def test_a_mongod_that_fails_to_load_reports_the_loaders_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, remedy: str
) -> None:
    script = f"#!/bin/sh\ncat >&2 <<'END'\n{words}\nEND\nexit 127\n"
    message = start_with(script, tmp_path, monkeypatch)
    assert words in message
    assert remedy in message


def test_a_mongod_that_fails_silently_has_no_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "no reason given" in start_with("#!/bin/sh\nexit 1\n", tmp_path, monkeypatch)


@pytest.mark.parametrize("script", ["\x7fELF for another machine", "#!/nowhere/sh\n"])
def test_a_mongod_for_another_machine_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    message = start_with(script, tmp_path, monkeypatch)
    assert f"cannot be run as {tmp_path / 'bin' / 'mongod'}: " in message


@pytest.mark.slow
def test_it_inherits_no_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAFF_KEY", "a-key-for-the-staff")
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    with EmbeddedMongoDB(tmp_path) as mongodb:
        inherited = Path(f"/proc/{mongodb.pid}/environ").read_text()
    assert "STAFF_KEY" not in inherited
    assert "a-key-for-the-staff" not in inherited
    assert "TZ=Asia/Kolkata" in inherited


@pytest.mark.long
def test_its_log_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.mongodb.embedded._LOG_BYTES", 500)
    monkeypatch.setattr("app.mongodb.embedded._LOG_SECONDS", 0.4)

    def old_logs() -> list[Path]:
        return sorted((tmp_path / "mongodb").glob("mongod.log.*"))

    with EmbeddedMongoDB(tmp_path) as mongodb, open_client(mongodb.uri) as client:
        pid = mongodb.pid
        wait_until(lambda: len(old_logs()) == 3)
        first = old_logs()[0]
        wait_until(lambda: first not in old_logs())
        assert len(old_logs()) <= 4  # one may be about to go
        assert client.admin.command("ping")["ok"]
        assert mongodb.pid == pid
