"""What counts as an outage, what the log says of it, and how the client is opened."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from pymongo import errors
from pymongo.collection import Collection

from app.mongodb.client import (
    OutageLog,
    describe,
    insert_all,
    is_outage,
    log_ignored_options,
    open_client,
    violates_index_on,
)

UNSAFE = {
    "readPreference": "secondaryPreferred",
    "readPreferenceTags": "dc:east",
    "maxStalenessSeconds": "120",
    "readConcernLevel": "available",
    "w": "0",
    "journal": "false",
    "fsync": "true",
    "wTimeoutMS": "1",
    "retryReads": "false",
    "retryWrites": "false",
    "timeoutMS": "60000",
    "connectTimeoutMS": "1",
    "serverSelectionTimeoutMS": "1",
    "socketTimeoutMS": "1",
    "waitQueueTimeoutMS": "1",
    "heartbeatFrequencyMS": "600000",
    "tz_aware": "false",
    "datetime_conversion": "DATETIME_MS",
    "unicode_decode_error_handler": "ignore",
    "connect": "true",
}


@pytest.mark.parametrize("written", [str, str.lower, str.upper])
@pytest.mark.parametrize("option", UNSAFE)
def test_an_option_that_guarantees_depend_on_cannot_be_changed(
    option: str, written: Callable[[str], str], caplog: pytest.LogCaptureFixture
) -> None:
    uri = f"mongodb://db/?{written(option)}={UNSAFE[option]}"
    with open_client("mongodb://db/") as plain, open_client(uri) as client:
        for name in (
            *("codec_options", "read_preference", "read_concern", "write_concern"),
            *("retry_reads", "retry_writes", "timeout", "connect", "heartbeat_frequency"),
            *("server_selection_timeout",),
        ):
            assert getattr(client.options, name) == getattr(plain.options, name)
        ours, theirs = plain.options.pool_options, client.options.pool_options
        for name in ("connect_timeout", "socket_timeout", "wait_queue_timeout"):
            assert getattr(theirs, name) == getattr(ours, name)
    log_ignored_options(uri)
    (record,) = caplog.records
    assert record.getMessage().endswith(f"ignored: {written(option)}")


def test_one_warning_names_all_ignored_options(caplog: pytest.LogCaptureFixture) -> None:
    options = "&".join(f"{name}={value}" for name, value in UNSAFE.items())
    log_ignored_options(f"mongodb://user:secret@db/?appName=x&{options}")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().endswith(f"ignored: {', '.join(UNSAFE)}")


def test_options_that_agree_with_ours_cause_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    log_ignored_options(
        "mongodb+srv://user:secret@db/?retryWrites=true&w=majority&appName=x&readPreference=primary"
        "&timeoutMS=4000&journal=true&tls=true"
    )
    assert not caplog.records


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ("", (0, 100)),
        ("?minPoolSize=20", (20, 100)),
        ("?minPoolSize=200", (200, 200)),
        ("?maxPoolSize=7", (0, 7)),
    ],
)
def test_the_connection_string_sets_the_size_of_the_pool(
    options: str, sizes: tuple[int, int]
) -> None:
    with open_client(f"mongodb://db/{options}") as client:
        pool = client.options.pool_options
        assert (pool.min_pool_size, pool.max_pool_size) == sizes


def test_other_options_are_honoured() -> None:
    with open_client("mongodb://db/?replicaSet=rs0&appName=lobby&maxIdleTimeMS=5000") as client:
        assert client.options.replica_set_name == "rs0"
        assert client.options.pool_options.appname == "lobby"
        assert client.options.pool_options.max_idle_time_seconds == 5


# Every code by which MongoDB says that it cannot serve now (error_codes.yml has their names).
class TestOutage:
    @pytest.mark.parametrize(
        "error",
        [
            errors.AutoReconnect("no"),
            errors.ConfigurationError("no"),  # a name that DNS does not know
            errors.NetworkTimeout("no"),
            errors.ExecutionTimeout("no"),
            errors.OperationFailure("no", 13),  # rights
            errors.OperationFailure("no", 999_999),
            errors.WriteError("no", 121),
            errors.BulkWriteError({"writeErrors": [{"code": 2}]}),
        ],
    )
    def test_any_other_refusal_by_mongodb_is_an_outage(self, error: errors.PyMongoError) -> None:
        assert is_outage(error)

    @pytest.mark.parametrize(
        "error", [errors.DuplicateKeyError("no"), errors.InvalidOperation("no")]
    )
    def test_a_duplicate_key_and_a_closed_client_are_bugs(self, error: errors.PyMongoError) -> None:
        assert not is_outage(error)


class TestReason:
    @pytest.mark.parametrize(
        ("error", "reason"),
        [
            (
                errors.AutoReconnect("db:27017: [Errno 111] refused"),
                "db:27017: [Errno 111] refused",
            ),
            (errors.AutoReconnect(""), "AutoReconnect"),
            (errors.OperationFailure("two\n  lines", 1), "two lines"),
            (errors.AutoReconnect("x" * 501), "x" * 500),
            (
                errors.OperationFailure("not authorized", 13, {"errmsg": "not authorized"}),
                "not authorized",
            ),
            (
                errors.ServerSelectionTimeoutError(
                    "db:27017: refused (configured timeouts: timeoutMS: 4000.0ms), "
                    "Timeout: 3.9s, Topology Description: <TopologyDescription id: 6a1>"
                ),
                "db:27017: refused",
            ),
            (
                errors.OperationFailure(
                    'not authorized on boxoffice to execute command { insert: "tickets", '
                    'documents: [ { _id: "7KQ4M2XN0PVR" } ] }',
                    13,
                ),
                "not authorized on boxoffice",
            ),
            (
                errors.OperationFailure(
                    "Executor error :: caused by :: index build 6a1f failed :: caused by :: "
                    'E11000 duplicate key error dup key: { request.key: "key-12345" }',
                    11000,
                ),
                "E11000 duplicate key error dup key: { request.key: *** }",
            ),
            (
                errors.BulkWriteError(
                    {
                        "writeErrors": [{"errmsg": "first"}, {"errmsg": "second"}],
                        "writeConcernErrors": [{"errmsg": "third"}],
                    }
                ),
                "first",
            ),
            (
                errors.BulkWriteError(
                    {"writeErrors": [], "writeConcernErrors": [{"errmsg": "third"}]}
                ),
                "third",
            ),
        ],
    )
    def test_it_omits_customer_data_and_anything_that_varies(
        self, error: errors.PyMongoError, reason: str
    ) -> None:
        assert describe(error) == reason


class TestOutageLog:
    @pytest.fixture
    def seconds(self, monkeypatch: pytest.MonkeyPatch) -> list[float]:
        """The time by the log's clock, to be set."""
        now = [1000.0]
        clock = SimpleNamespace(monotonic=lambda: now[0])
        monkeypatch.setattr("app.mongodb.client.time", clock)
        return now

    @pytest.fixture
    def logged(self, caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
        """A function that returns the last word of each line since it was last called."""

        def read() -> list[str]:
            words = [record.getMessage().split()[-1] for record in caplog.records]
            caplog.clear()
            return words

        return read

    def test_a_reason_is_logged_once(
        self, seconds: list[float], logged: Callable[[], list[str]]
    ) -> None:
        log = OutageLog()
        for _ in range(3):
            seconds[0] += 100
            log.report(errors.AutoReconnect("away"))
        assert logged() == ["away"]

    def test_alternating_reasons_are_logged_once_a_minute(
        self, seconds: list[float], logged: Callable[[], list[str]]
    ) -> None:
        log = OutageLog()
        for _ in range(3):
            log.report(errors.AutoReconnect("one"))
            log.report(errors.AutoReconnect("two"))
        assert logged() == ["one", "two"]
        seconds[0] += 60
        log.report(errors.AutoReconnect("one"))
        assert logged() == []
        seconds[0] += 1
        log.report(errors.AutoReconnect("two"))
        log.report(errors.AutoReconnect("one"))
        assert logged() == ["two", "one"]

    def test_the_end_is_logged_one_second_after_the_last_error(
        self, seconds: list[float], logged: Callable[[], list[str]]
    ) -> None:
        log = OutageLog()
        log.end()
        assert logged() == []
        log.report(errors.AutoReconnect("away"))
        seconds[0] += 1
        log.end()
        assert logged() == ["away"]
        log.report(errors.AutoReconnect("away"))
        seconds[0] += 1
        log.end()
        assert logged() == []
        seconds[0] += 1
        log.end()
        log.end()
        assert logged() == ["again"]
        log.report(errors.AutoReconnect("away"))  # the next outage
        assert logged() == ["away"]


class Refusing:
    """A collection whose inserts fail as the test wants."""

    def __init__(self, details: dict[str, Any]) -> None:
        self._details = details

    def insert_many(self, documents: Any, ordered: bool) -> None:
        assert not ordered
        raise errors.BulkWriteError(self._details)


def refused(index: int, code: int) -> dict[str, Any]:
    return {"index": index, "code": code, "errmsg": f"refused {index}"}


def inserted(**details: Any) -> list[Any]:
    """Return what comes of each of three documents when the insert fails with these details."""
    return list(insert_all(cast(Collection[Any], Refusing(details)), [{}, {}, {}]))


class TestInsertAll:
    def test_each_document_has_its_own_error(self) -> None:
        failures = inserted(writeErrors=[refused(2, 121), refused(0, 11000)])
        assert [type(each) for each in failures] == [
            errors.DuplicateKeyError,
            type(None),
            errors.WriteError,
        ]
        assert [str(each).split(",")[0] for each in failures] == ["refused 0", "None", "refused 2"]
        assert (failures[0].code, failures[0].details) == (11000, refused(0, 11000))
        assert (failures[2].code, failures[2].details) == (121, refused(2, 121))

    def test_writes_that_a_failover_may_lose_fail_the_whole_batch(self) -> None:
        lost = {"errmsg": "waiting for replication timed out", "code": 64}
        with pytest.raises(errors.WriteConcernError, match="timed out") as failure:
            inserted(writeErrors=[refused(0, 11000)], writeConcernErrors=[lost])
        assert (failure.value.code, failure.value.details) == (64, lost)


@pytest.mark.parametrize(
    ("details", "expected"),
    [
        ({"keyPattern": {"request.key": 1}}, True),
        ({"keyPattern": {"screen": 1, "seat": 1}}, False),
        ({}, None),
        (None, None),
    ],
)
def test_the_index_that_refused_a_write_is_known_from_its_fields(
    details: Any, expected: bool | None
) -> None:
    error = errors.DuplicateKeyError("E11000", 11000, details)
    assert violates_index_on(error, "request.key") is expected
