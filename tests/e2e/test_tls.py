"""`gunicorn --certfile … root:app` serves TLS."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.running import HOST, ROOT, free_port, wait_until


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for HOST, and its key."""
    if not shutil.which("openssl"):
        if os.environ.get("CI"):
            pytest.fail("openssl is missing")
        pytest.skip("needs openssl")
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    options = f"-x509 -newkey rsa:2048 -nodes -subj /CN=box-office -addext subjectAltName=IP:{HOST}"
    command = ["openssl", "req", *options.split(), "-out", str(certificate), "-keyout", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


@pytest.fixture(scope="module")
def port(certificate: tuple[Path, Path], mongod_uri: str) -> Iterator[int]:
    port = free_port()
    environ = {
        "PORT": str(port),
        "WORKERS": "1",
        "MONGODB_URI": mongod_uri,
        "MONGODB_DATABASE": "tls",
    }
    gunicorn = Path(sys.executable).parent / "gunicorn"
    process = subprocess.Popen(
        [gunicorn, "--certfile", certificate[0], "--keyfile", certificate[1], "root:app"],
        cwd=ROOT.parent,
        env={**os.environ, **environ},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: answers(port, certificate[0]))
        yield port
    finally:
        process.terminate()
        assert process.wait(20) == 0


@contextmanager
def connected(port: int, certificate: Path) -> Iterator[http.client.HTTPSConnection]:
    context = ssl.create_default_context(cafile=str(certificate))
    connection = http.client.HTTPSConnection(HOST, port, timeout=10, context=context)
    with closing(connection):
        connection.connect()
        yield connection


def answers(port: int, certificate: Path) -> bool:
    try:
        with connected(port, certificate):
            return True
    except OSError:
        return False


@pytest.fixture
def connection(port: int, certificate: tuple[Path, Path]) -> Iterator[http.client.HTTPSConnection]:
    with connected(port, certificate[0]) as connection:
        yield connection


def test_a_ticket_is_booked_and_viewed_on_one_connection(
    connection: http.client.HTTPSConnection,
) -> None:
    booking = {"name": "Asha Rao", "phone": "98765 43210", "timing": "12:00"}
    connection.request("POST", "/tickets", json.dumps(booking))
    booked = connection.getresponse()
    ticket = json.loads(booked.read())
    assert booked.status == 201
    assert booked.headers["Location"] == f"/tickets/{ticket['ticket_id']}"
    connection.request("GET", f"/tickets/{ticket['ticket_id']}")
    assert json.loads(connection.getresponse().read()) == ticket


def test_a_response_that_takes_many_reads_arrives_whole(
    connection: http.client.HTTPSConnection,
) -> None:
    connection.request("GET", "/docs/swagger-ui-bundle.js")
    response = connection.getresponse()
    assert len(response.read()) == int(response.headers["Content-Length"]) > 1_000_000


def test_plain_http_gets_no_response(port: int) -> None:
    with closing(http.client.HTTPConnection(HOST, port, timeout=10)) as connection:
        connection.request("GET", "/health/live")
        with pytest.raises((http.client.HTTPException, OSError)):
            connection.getresponse()


def test_a_pipelining_client_is_served_in_order(connection: http.client.HTTPSConnection) -> None:
    paths = (b"/health/live", b"/nowhere", b"/health/ready") * 5
    head = b" HTTP/1.1\r\nHost: %s\r\n" % HOST.encode()
    requests = [b"GET " + path + head for path in paths]
    requests[-1] += b"Connection: close\r\n"
    connection.sock.sendall(b"\r\n".join(requests) + b"\r\n")
    received = b"".join(iter(lambda: connection.sock.recv(65536), b""))
    statuses = [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 404, 200] * 5
