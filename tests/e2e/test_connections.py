"""What clients send to the sockets of `python root.py`: half a request, a hundred, or none."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.running import HOST, Service, running_service

BOOKING = json.dumps({"name": "Asha Rao", "phone": "98765 43210", "timing": "12:00"}).encode()
HEAD = b"POST /booktickets HTTP/1.1\r\nHost: x\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"
LAST_GET = b"GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    environ = {"WORKERS": "2", "SLOT_CAPACITY": "1000"}
    with running_service(tmp_path_factory.mktemp("data"), environ=environ) as running:
        yield running


def exchange(service: Service, sent: bytes, end: bool = False) -> bytes:
    """Send bytes over a new connection; return all that comes until it is closed."""
    with socket.create_connection((HOST, service.port), timeout=15) as connection:
        connection.sendall(sent)
        if end:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def tickets(service: Service) -> int:
    return len(service.connect().request("GET", "/tickets?timing=12:00").body)


def problem(response: bytes) -> Any:
    head, _, body = response.partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head
    assert b"X-Request-Id: " in head
    document = json.loads(body)
    assert head.startswith(b"HTTP/1.1 %d " % document["status"])
    return document


@contextlib.contextmanager
def stalled(service: Service, sent: bytes, clients: int = 200) -> Iterator[list[socket.socket]]:
    """Open connections on which `sent` is sent and nothing is read."""
    with contextlib.ExitStack() as opened:
        connections = []
        for _ in range(clients):
            connection = socket.create_connection((HOST, service.port))
            connections.append(opened.enter_context(connection))
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                connection.send(sent)
        yield connections


def assert_serves_promptly(service: Service, within: float = 3) -> None:
    started = time.monotonic()
    for _ in range(5):
        with contextlib.closing(service.connect()) as connection:
            assert connection.request("POST", "/booktickets", json.loads(BOOKING)).status == 201
            assert connection.request("GET", "/health/ready").status == 200
    assert time.monotonic() - started < within


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEAD + b"Content-Le", id="half the headers"),
        pytest.param(HEAD + b"Content-Length: 9\r\n\r\n{", id="half a body"),
        pytest.param(CHUNKED + b"2\r\n{}\r\n", id="half a chunked body"),
        pytest.param(GET % b"/docs/swagger-ui-bundle.js" * 20, id="requests, and no reader"),
    ],
)
def test_stalled_clients_keep_nobody_waiting(service: Service, sent: bytes) -> None:
    with stalled(service, sent):
        assert_serves_promptly(service, within=8)  # Their connections are closed after 10.


def test_a_client_who_sends_many_requests_at_once_has_one_turn_at_a_time(service: Service) -> None:
    with stalled(service, GET % b"/health/live" * 5000, clients=8):
        assert_serves_promptly(service)


def test_a_late_body_gets_408_and_late_headers_close_the_connection(service: Service) -> None:
    """Although each of these clients sends a byte every second."""
    started = time.monotonic()
    with (
        stalled(service, HEAD + b"X: ", clients=50) as late_headers,
        stalled(service, HEAD + b"Content-Length: 99\r\n\r\n", clients=50) as late_bodies,
        stalled(service, CHUNKED + b"99\r\n", clients=50) as late_chunks,
    ):
        connections = [*late_headers, *late_bodies, *late_chunks]
        while time.monotonic() - started < 9:
            for connection in connections:
                connection.send(b"1")
            assert_serves_promptly(service)
            time.sleep(0.8)
        for connection in connections:
            connection.settimeout(5)
        for connection in (*late_bodies, *late_chunks):
            answer = b"".join(iter(lambda c=connection: c.recv(65536), b""))  # type: ignore[misc]
            assert problem(answer)["code"] == "request_timeout"
        for connection in late_headers:
            assert connection.recv(1) == b""
    assert 9 < time.monotonic() - started < 14


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        pytest.param(400, bytes.fromhex("16030100a5010000a10303") + b"\xd7" * 160, id="TLS"),
        pytest.param(400, b"\x00" * 10, id="zeros"),
        pytest.param(400, b"hello\r\n\r\n", id="hello"),
        pytest.param(400, b"GE T / HTTP/1.1\r\nHost: x\r\n\r\n", id="a space in the method"),
        pytest.param(400, b"get / HTTP/1.1\r\nHost: x\r\n\r\n", id="a method in lower case"),
        pytest.param(400, b"GET /\r\n\r\n", id="HTTP/0.9"),
        pytest.param(400, b"GET / HTTP/3.0\r\nHost: x\r\n\r\n", id="HTTP/3"),
        pytest.param(400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", id="HTTP/2"),
        pytest.param(400, b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + LAST_GET % b"/", id="PROXY"),
        pytest.param(400, LAST_GET % b"metrics", id="a path without a slash"),
        pytest.param(400, b"GET / HTTP/1.1\r\nHost: x\r\nX Y: 1\r\n\r\n", id="a header's name"),
        pytest.param(400, b"GET / HTTP/1.1\r\nHost: x\r\nX: \0\r\n\r\n", id="a header's value"),
        pytest.param(400, b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n", id="a folded header"),
        pytest.param(400, HEAD + b"Content-Length: -1\r\n\r\n", id="a negative length"),
        pytest.param(400, HEAD + b"Content-Length: +1\r\n\r\n1", id="a signed length"),
        pytest.param(
            400, HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", id="two lengths"
        ),
        pytest.param(
            400,
            HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            id="a length and chunks",
        ),
        pytest.param(414, LAST_GET % (b"/" + b"a" * 100_000), id="a long address"),
        pytest.param(417, HEAD + b"Expect: tea\r\n\r\n", id="an expectation"),
        pytest.param(
            431,
            b"GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"a" * 3_000_000),
            id="a long header",
        ),
        pytest.param(431, HEAD + b"X: 1\r\n" * 101 + b"\r\n", id="many headers"),
    ],
)
def test_what_is_not_http_gets_an_error_at_once(service: Service, status: int, sent: bytes) -> None:
    started = time.monotonic()
    document = problem(exchange(service, sent))
    assert document["status"] == status
    assert len(json.dumps(document)) < 300
    assert time.monotonic() - started < 3


def test_a_refusal_of_what_is_not_http_is_logged_with_its_id(service: Service) -> None:
    response = exchange(service, b"hello\r\n\r\n")
    request_id = response.partition(b"X-Request-Id: ")[2].split(b"\r\n")[0].decode()
    (line,) = (line for line in service.logged() if line.get("request_id") == request_id)
    assert (line["level"], line["status"]) == ("INFO", 400)
    assert "InvalidRequestLine" in line["message"]


@pytest.mark.parametrize(
    "path",
    [
        "//metrics",
        "///health/live",
        "//tickets?timing=12:00",
        "/%2Fmetrics",
        "/%2f%2Fmetrics",
        "%2F/metrics",
        "http://x//metrics",
        "/./metrics",
        "/x/../metrics",
        "/metrics/",
        "/metrics;x",
    ],
)
def test_a_path_that_a_proxy_reads_in_another_way_is_not_found(service: Service, path: str) -> None:
    response = exchange(service, LAST_GET % path.encode())
    # gunicorn takes no path without a slash in front.
    assert problem(response)["status"] == (400 if path.startswith("%") else 404)


def test_forwarded_headers_are_not_believed(service: Service) -> None:
    forged = (
        b"X-Forwarded-Proto: https\r\nX-Forwarded-Ssl: on\r\nX-Forwarded-Protocol: ssl\r\n"
        b"X-Forwarded-Host: evil.example\r\nX-Forwarded-Prefix: /evil\r\n"
        b"Script-Name: /evil\r\nSCRIPT_NAME: /evil\r\nForwarded: host=evil.example\r\n"
    )
    for path in (b"/openapi.json", b"/docs"):
        request = (LAST_GET % path).replace(b"\r\n\r\n", b"\r\n" + forged + b"\r\n")
        response = exchange(service, request)
        assert response.startswith(b"HTTP/1.1 200 ")
        assert b"evil" not in response
        assert b"https://" not in response


@pytest.mark.parametrize("host", [b"a b[", b"\xe2\x98\x83:x", b"x" * 4000, b"'\"<>"])
def test_with_a_strange_host_a_booking_succeeds_or_nothing_is_booked(
    service: Service, host: bytes
) -> None:
    before = tickets(service)
    head = b"POST /booktickets HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n" % host
    response = exchange(service, head + b"Content-Length: %d\r\n\r\n" % len(BOOKING) + BOOKING)
    succeeded = response.startswith(b"HTTP/1.1 201 ")
    assert succeeded or response.startswith(b"HTTP/1.1 400 ")
    assert tickets(service) == before + succeeded


def test_a_client_may_ask_before_it_sends_the_body(service: Service) -> None:
    with socket.create_connection((HOST, service.port), timeout=5) as connection:
        length = b"Content-Length: %d\r\n" % len(BOOKING)
        connection.sendall(
            HEAD + b"Connection: close\r\nExpect: 100-continue\r\n" + length + b"\r\n"
        )
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BOOKING)
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")


def test_requests_may_share_a_connection_and_need_not_wait_for_each_other(
    service: Service,
) -> None:
    booking = HEAD + b"Content-Length: %d\r\n\r\n" % len(BOOKING) + BOOKING
    head = b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
    responses = exchange(service, booking * 3 + head + booking + LAST_GET % b"/health/live")
    assert re.findall(rb"HTTP/1.1 (\d+)", responses) == [b"201"] * 3 + [b"200", b"201", b"200"]
    assert b'"timing":"09:00"' not in responses  # of HEAD /


def test_a_whole_chunked_body_books(service: Service) -> None:
    connection = http.client.HTTPConnection(HOST, service.port)
    connection.request("POST", "/booktickets", iter([BOOKING[:20], BOOKING[20:]]))
    assert connection.getresponse().status == 201
    connection.close()


@pytest.mark.parametrize(
    "sent", ["%x\r\n%s\r\n", "%x\r\n%s\r\n1", "%x\r\n%s", "1%x\r\n%s\r\n", "%x\r\n%s\r\nzz\r\n"]
)
def test_a_chunked_body_that_is_cut_off_books_nothing(service: Service, sent: str) -> None:
    before = tickets(service)
    body = sent % (len(BOOKING), BOOKING.decode())
    assert problem(exchange(service, CHUNKED + body.encode(), end=True))["status"] == 400
    assert tickets(service) == before


def test_none_of_this_is_logged_as_an_error(service: Service) -> None:
    exchange(service, LAST_GET % b"/")
    assert [line for line in service.logged() if line["level"] not in ("INFO", "WARNING")] == []


def test_connections_that_are_idle_or_stalled_do_not_delay_a_stop(tmp_path: Path) -> None:
    with (
        running_service(tmp_path) as service,
        stalled(service, b"") as _,
        stalled(service, GET % b"/health/live") as idle,
        stalled(service, HEAD + b"X: ") as _,
    ):
        for connection in idle:
            connection.settimeout(10)
            assert connection.recv(1000)
        started = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - started < 4
