"""What real MongoDB clients and servers refuse: the service waits, and logs why."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app import announce, create_app
from app.config import Settings
from tests.conftest import KOLKATA, Clock
from tests.faults.replica_set import Node, ReplicaSet
from tests.helpers import ASHA, assert_refused, book, fill, update, view
from tests.running import HOST, free_port, wait_until

Log = Callable[[], list[Any]]
Start = Callable[[str], FlaskClient]

BOOKING = {**ASHA, "timing": "18:00"}
ADMIN = {"username": "admin", "password": "admin-secret"}


@pytest.fixture
def start(clock: Clock) -> Start:
    """Start a service on the database that a connection string names."""

    def start(uri: str) -> FlaskClient:
        settings = Settings.from_environ(
            {"MONGODB_URI": uri, "MONGODB_DATABASE": "refusals", "STAFF_KEY": "staff-key"}
        )
        announce(settings)
        return create_app(settings=settings, clock=clock).test_client()

    return start


@pytest.fixture(autouse=True)
def _in_kolkata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tzlocal.get_localzone", lambda: KOLKATA)


def warnings(log: Log) -> list[str]:
    return [line["message"] for line in log() if line["level"] == "WARNING"]


def is_ready(client: FlaskClient) -> bool:
    return client.get("/health/ready").status_code == 200


def is_over(client: FlaskClient, log: Log) -> bool:
    """Return whether the service is ready, and has logged that MongoDB is available again."""
    return is_ready(client) and warnings(log)[-1] == "MongoDB is available again"


@pytest.fixture
def lagging_set(replica_set: ReplicaSet) -> Iterator[ReplicaSet]:
    """The replica set, with a secondary that no longer replicates."""
    replica_set.wait_until_whole()
    primary = replica_set.wait_for_primary()
    lagging = next(node for node in replica_set.nodes if node is not primary)
    assert lagging.command("fsync", lock=True)
    yield replica_set
    assert lagging.command("fsyncUnlock")


@pytest.mark.parametrize("mode", ["secondary", "secondaryPreferred", "nearest"])
def test_no_request_reads_from_a_lagging_secondary(
    lagging_set: ReplicaSet, start: Start, log: Log, mode: str, replica_set_client: Any
) -> None:
    replica_set_client["refusals"]["tickets"].delete_many({})
    client = start(f"{lagging_set.uri}&readPreference={mode}&localThresholdMS=1000")
    tickets = fill(client)
    assert all(view(client, ticket).status_code == 200 for ticket in tickets)
    assert_refused(client.post("/booktickets", json=BOOKING), 409, "sold_out")
    moved = update(client, tickets[0], "20:00").json
    assert moved["timing"] == "20:00"
    assert view(client, tickets[0]).json["timing"] == "20:00"
    (warning,) = warnings(log)
    assert warning.endswith("ignored: readPreference")


def test_a_service_tied_to_a_secondary_responds_with_503_rather_than_stale_data(
    replica_set: ReplicaSet, start: Start, log: Log
) -> None:
    replica_set.wait_until_whole()
    primary = replica_set.wait_for_primary()
    secondary = next(node for node in replica_set.nodes if node is not primary)
    client = start(f"mongodb://{secondary.address}/?directConnection=true")
    for path in ("/", "/health/ready"):
        assert_refused(client.get(path), 503, "database_unavailable")
    (warning,) = warnings(log)
    assert "not primary" in warning


def test_a_wrong_replica_set_name_is_logged(
    replica_set: ReplicaSet, start: Start, log: Log
) -> None:
    client = start(replica_set.uri.replace("rs0", "rs1"))
    assert_refused(client.get("/"), 503, "database_unavailable")
    assert_refused(client.post("/booktickets", json=BOOKING), 503, "database_unavailable")
    (warning,) = warnings(log)
    assert "rs1" in warning


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Node]:
    """A mongod that asks for credentials, with a user `box` that may read and write."""
    node = Node(tmp_path / "auth", "--auth")
    try:
        admin = {"pwd": ADMIN["password"], "roles": ["root"]}
        wait_until(lambda: node.command("createUser", ADMIN["username"], **admin) != {})
        node.login = ADMIN
        restore_user(node)
        yield node
    finally:
        node.kill()


def uri_of(node: Node) -> str:
    return f"mongodb://box:box-secret@{node.address}/?authSource=admin"


def withdraw_rights(node: Node) -> None:
    assert node.command("updateUser", "box", roles=[{"role": "read", "db": "refusals"}])


def restore_rights(node: Node) -> None:
    assert node.command("updateUser", "box", roles=[{"role": "readWrite", "db": "refusals"}])


def drop_user(node: Node) -> None:
    assert node.command("dropUser", "box")


def restore_user(node: Node) -> None:
    roles = [{"role": "readWrite", "db": "refusals"}]
    assert node.command("createUser", "box", pwd="box-secret", roles=roles)


@pytest.mark.parametrize(
    ("withdraw", "restore"), [(withdraw_rights, restore_rights), (drop_user, restore_user)]
)
def test_revoked_privileges_are_a_logged_outage_that_ends_by_itself(
    guarded: Node,
    start: Start,
    log: Log,
    withdraw: Callable[[Node], None],
    restore: Callable[[Node], None],
) -> None:
    client = start(uri_of(guarded))
    ticket = book(client)
    withdraw(guarded)
    wait_until(lambda: not is_ready(client), seconds=5)
    for _ in range(3):
        assert_refused(client.post("/booktickets", json=BOOKING), 503, "database_unavailable")
    assert_refused(view(client, ticket), 503, "database_unavailable")
    (warning,) = warnings(log)
    assert "not authorized on refusals" in warning or "requires authentication" in warning
    assert "Asha" not in warning
    restore(guarded)
    wait_until(lambda: is_over(client, log), seconds=8)
    book(client)
    assert len(warnings(log)) == 2


def test_a_password_changed_before_the_start_is_an_outage(
    guarded: Node, start: Start, log: Log
) -> None:
    assert guarded.command("updateUser", "box", pwd="changed-secret")
    client = start(uri_of(guarded))
    for _ in range(3):
        assert_refused(client.post("/booktickets", json=BOOKING), 503, "database_unavailable")
    (warning,) = warnings(log)
    assert warning.endswith("Authentication failed.")
    assert "secret" not in str(log())
    assert guarded.command("updateUser", "box", pwd="box-secret")
    wait_until(lambda: is_over(client, log), seconds=8)
    book(client)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for this machine, signed by itself, with its key."""
    file, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"),
            *("-subj", "/CN=box-office", "-addext", f"subjectAltName=IP:{HOST}"),
            *("-keyout", str(key), "-out", str(file)),
        ],
        check=True,
        capture_output=True,
    )
    file.write_text(file.read_text() + key.read_text())
    return file


@pytest.fixture
def tls_node(tmp_path: Path, certificate: Path) -> Iterator[Node]:
    """A mongod that speaks TLS only."""
    node = Node(
        tmp_path / "tls",
        *("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(certificate)),
        *("--tlsCAFile", str(certificate), "--tlsAllowConnectionsWithoutCertificates"),
        tlsCAFile=str(certificate),
    )
    try:
        wait_until(lambda: node.command("ping") != {})
        yield node
    finally:
        node.kill()


def test_tls_works_with_the_right_certificate_authority(
    tls_node: Node, certificate: Path, start: Start, log: Log
) -> None:
    client = start(f"mongodb://{tls_node.address}/?tls=true&tlsCAFile={certificate}")
    book(client)
    assert not warnings(log)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("", "connection closed"),
        ("?tls=true", "certificate verify failed"),
    ],
)
def test_a_tls_failure_is_logged_once_with_its_reason(
    tls_node: Node, start: Start, log: Log, options: str, reason: str
) -> None:
    client = start(f"mongodb://{tls_node.address}/{options}")
    assert_refused(client.get("/"), 503, "database_unavailable")
    (warning,) = warnings(log)
    assert reason in warning


def test_an_outage_is_logged_when_its_reason_changes_and_when_it_ends(
    tmp_path: Path, start: Start, log: Log
) -> None:
    node = Node(tmp_path / "plain")
    try:
        wait_until(lambda: node.command("ping") != {})
        client = start(f"mongodb://{node.address}/?tls=true")
        assert_refused(client.get("/"), 503, "database_unavailable")
        (warning,) = warnings(log)
        assert "SSL" in warning
        node.kill()
        wait_until(lambda: not is_ready(client) and len(warnings(log)) > 1, seconds=10)
        assert "Connection refused" in warnings(log)[1]
    finally:
        node.kill()


def test_a_mongodb_that_starts_late_is_logged_as_available(
    tmp_path: Path, start: Start, log: Log
) -> None:
    node = Node(tmp_path / "late")
    try:
        node.kill()
        client = start(f"mongodb://{node.address}")
        assert not is_ready(client)
        node.start()
        wait_until(lambda: is_over(client, log), seconds=10)
        book(client)
        refused, _ = warnings(log)
        assert refused.endswith(f"{node.address}: [Errno 111] Connection refused")
    finally:
        node.kill()


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("mongodb://box:box-secret@nosuch.invalid/", "nosuch.invalid:27017: [Errno "),
        ("mongodb+srv://box:box-secret@nosuch.invalid/", "_mongodb._tcp.nosuch.invalid"),
    ],
)
def test_the_service_waits_for_a_name_that_dns_does_not_know(
    start: Start, log: Log, uri: str, reason: str
) -> None:
    client = start(uri)
    assert client.get("/health/live").status_code == 200
    assert_refused(client.get("/"), 503, "database_unavailable")
    (warning,) = warnings(log)
    assert reason in warning
    assert "secret" not in str(log())


def test_many_requests_log_an_outage_once(start: Start, log: Log) -> None:
    client = start(f"mongodb://{HOST}:{free_port()}")
    for path in ("/", "/health/ready"):
        assert_refused(client.get(path), 503, "database_unavailable")
    assert len(warnings(log)) == 1
