"""What clients send to the sockets of `python root.py`: half a request, a hundred, or none."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.web.limits import MAX_CHUNKS
from tests.running import HOST, Service, running_service, wait_until

BOOKING = json.dumps({"name": "Asha Rao", "phone": "98765 43210", "timing": "12:00"}).encode()
HEAD = b"POST /booktickets HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
LAST_GET = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
ENDLESS = b"%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000000\r\n\r\n"
ENDLESS_CHUNKS = b"%s HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
A_CHUNK = b"10000\r\n" + b"x" * 65536 + b"\r\n"


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
        pytest.param(GET % b"/docs/swagger-ui-bundle.js" * 20, id="requests without a reader"),
    ],
)
def test_stalled_clients_delay_nobody(service: Service, sent: bytes) -> None:
    with stalled(service, sent):
        assert_serves_promptly(service, within=8)  # Their connections are closed after 10.


def test_a_client_who_pipelines_requests_takes_turns_with_others(service: Service) -> None:
    with stalled(service, GET % b"/health/live" * 5000, clients=8):
        assert_serves_promptly(service)


@contextlib.contextmanager
def flooded(service: Service, head: bytes, piece: bytes, clients: int) -> Iterator[None]:
    """Keep connections busy with `head` and then `piece` after `piece`, as fast as they go."""
    command = [sys.executable, "-c", FLOOD, str(service.port), str(clients)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as flood:
        assert flood.stdin
        flood.stdin.write(f"{head.hex()} {piece.hex()}".encode())
        flood.stdin.close()
        time.sleep(0.5)
        try:
            yield
        finally:
            flood.kill()


# A process, because threads of this one would hold up the test itself.
FLOOD = f"""
import contextlib, socket, sys, threading

port, clients = map(int, sys.argv[1:])
head, piece = map(bytes.fromhex, sys.stdin.read().split())

def client():
    while True:
        try:
            with socket.create_connection(("{HOST}", port)) as connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connection.sendall(head)
                while True:
                    connection.sendall(piece)
                    with contextlib.suppress(BlockingIOError):
                        connection.recv(2**20, socket.MSG_DONTWAIT)
        except OSError:
            pass

for _ in range(clients):
    threading.Thread(target=client).start()
"""


@pytest.mark.parametrize(
    ("clients", "head", "piece"),
    [
        pytest.param(4, ENDLESS % b"POST /booktickets", b"x" * 65536, id="a body"),
        pytest.param(4, ENDLESS % b"GET /health/live", b"x" * 65536, id="a body of a GET"),
        pytest.param(4, ENDLESS % b"DELETE /tickets/x", b"x" * 65536, id="a body of a DELETE"),
        pytest.param(
            4, ENDLESS % b"PUT /nowhere", b"x" * 65536, id="a body for an unknown address"
        ),
        pytest.param(4, ENDLESS_CHUNKS % b"POST /booktickets", A_CHUNK, id="chunks"),
        pytest.param(4, ENDLESS_CHUNKS % b"GET /", b"1\r\na\r\n" * 9999, id="chunks of a byte"),
        pytest.param(4, b"\x16\x03", b"x" * 65536, id="not HTTP"),
        pytest.param(30, HEAD, b"X: " + b"a" * 95 + b"\r\n", id="headers, line by line"),
        pytest.param(30, HEAD + b"X: ", b"a", id="a header, byte by byte"),
        pytest.param(30, HEAD + b"X: ", b"a" * 8000, id="a long header"),
        pytest.param(100, GET % b"/", (GET % b"/seats?0&1&2") * 50, id="many requests at once"),
    ],
)
def test_an_endless_flood_delays_nobody(
    service: Service, clients: int, head: bytes, piece: bytes
) -> None:
    workers = service.workers()
    with flooded(service, head, piece, clients):
        assert_serves_promptly(service)
    assert service.workers() == workers


@pytest.mark.parametrize("request_line", [b"GET /health/live", b"DELETE /tickets/x", b"PUT /x"])
@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"Content-Length: 5\r\n\r\nab", id="cut off"),
        pytest.param(b"Content-Length: 5\r\n\r\nabcde", id="whole"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n", id="not a chunk"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nab", id="half a chunk"),
    ],
)
def test_an_unread_body_closes_the_connection_after_one_response(
    service: Service, request_line: bytes, rest: bytes
) -> None:
    sent = request_line + b" HTTP/1.1\r\nHost: localhost\r\n" + rest
    started = time.monotonic()
    response = exchange(service, sent)
    assert response.count(b"HTTP/1.1 ") == 1
    assert response.split(b" ")[1] in (b"200", b"404")
    assert b"Connection: close" in response
    assert time.monotonic() - started < 5


def test_a_client_that_never_reads_takes_little_memory(service: Service) -> None:
    """Kernel memory, which would hold megabytes of each such response."""
    with socket.create_connection((HOST, service.port)) as connection:
        connection.sendall((GET % b"/docs/swagger-ui-bundle.js") * 20)
        time.sleep(1)
        client, established = f"{connection.getsockname()[1]:04X}", "01"
        (waiting,) = (
            int(fields[4].partition(":")[0], 16)
            for fields in map(str.split, Path("/proc/net/tcp").read_text().splitlines())
            if fields[2].endswith(f":{client}") and fields[3] == established
        )
    assert 0 < waiting < 500_000


def test_a_reload_serves_connections_just_accepted(tmp_path: Path) -> None:
    with running_service(tmp_path, environ={"WORKERS": "2"}) as service:
        for _ in range(5):
            old = service.workers()
            clients = []
            for number in range(400):
                clients.append(socket.create_connection((HOST, service.port), timeout=20))
                clients[-1].sendall(LAST_GET % b"/health/live")
                if number == 200:
                    os.kill(service.gunicorn_pid, signal.SIGHUP)
            for client in clients:
                assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
                client.close()
            wait_until(lambda old=old: set(old).isdisjoint(service.workers()))  # type: ignore[misc]
        assert [line for line in service.logged() if line["level"] == "ERROR"] == []


def test_a_late_body_gets_408_and_late_headers_close_the_connection(service: Service) -> None:
    """Even if the client sends a byte every second."""
    started = time.monotonic()
    with (
        stalled(service, b"", clients=5) as silent,
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
        for connection in (*silent, *connections):
            connection.settimeout(5)
        for connection in (*late_bodies, *late_chunks):
            answer = b"".join(iter(lambda c=connection: c.recv(65536), b""))  # type: ignore[misc]
            assert problem(answer)["code"] == "request_timeout"
        for connection in (*silent, *late_headers):
            assert connection.recv(1) == b""
    assert 9 < time.monotonic() - started < 14


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        pytest.param(400, bytes.fromhex("16030100a5010000a10303") + b"\xd7" * 160, id="TLS"),
        pytest.param(400, b"\x00" * 10, id="zeros"),
        pytest.param(400, b"hello\r\n\r\n", id="hello"),
        pytest.param(400, b"GE T / HTTP/1.1\r\n\r\n", id="a space in the method"),
        pytest.param(400, b"get / HTTP/1.1\r\n\r\n", id="a method in lower case"),
        pytest.param(400, b"GET /\r\n\r\n", id="HTTP/0.9"),
        pytest.param(400, b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n", id="HTTP/3"),
        pytest.param(400, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", id="HTTP/2"),
        pytest.param(400, b"PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n" + LAST_GET % b"/", id="PROXY"),
        pytest.param(400, LAST_GET % b"metrics", id="a path without a slash"),
        pytest.param(400, b"GET / HTTP/1.1\r\nX Y: 1\r\n\r\n", id="an invalid header name"),
        pytest.param(400, b"GET / HTTP/1.1\r\nX: \0\r\n\r\n", id="an invalid header value"),
        pytest.param(400, b"GET / HTTP/1.1\r\nX: a\r\n b\r\n\r\n", id="a folded header"),
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
        pytest.param(417, HEAD + b"Expect: tea\r\n\r\n", id="an unknown expectation"),
        pytest.param(
            431,
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX: %s\r\n\r\n" % (b"a" * 3_000_000),
            id="a long header",
        ),
        pytest.param(431, HEAD + b"X: 1\r\n" * 101 + b"\r\n", id="many headers"),
        pytest.param(
            431, HEAD + (b"X: " + b"a" * 2000 + b"\r\n") * 40 + b"\r\n", id="headers of 80 KB"
        ),
        pytest.param(
            501, HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", id="a transfer coding"
        ),
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
def test_a_path_that_a_proxy_reads_differently_is_not_found(service: Service, path: str) -> None:
    response = exchange(service, LAST_GET % path.encode())
    # gunicorn takes no path without a slash in front.
    assert problem(response)["status"] == (400 if path.startswith("%") else 404)


def test_forwarded_headers_are_not_trusted(service: Service) -> None:
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
    assert succeeded or response[9:12] in (b"400", b"421")
    assert tickets(service) == before + succeeded


def test_a_client_may_wait_for_100_continue(service: Service) -> None:
    with socket.create_connection((HOST, service.port), timeout=5) as connection:
        length = b"Content-Length: %d\r\n" % len(BOOKING)
        connection.sendall(
            HEAD + b"Connection: close\r\nExpect: 100-continue\r\n" + length + b"\r\n"
        )
        assert connection.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(BOOKING)
        assert connection.recv(1000).startswith(b"HTTP/1.1 201 ")


def test_requests_may_share_a_connection_and_be_pipelined(
    service: Service,
) -> None:
    booking = HEAD + b"Content-Length: %d\r\n\r\n" % len(BOOKING) + BOOKING
    head = b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    responses = exchange(service, booking * 3 + head + booking + LAST_GET % b"/health/live")
    assert re.findall(rb"HTTP/1.1 (\d+)", responses) == [b"201"] * 3 + [b"200", b"201", b"200"]
    assert b'"timing":"09:00"' not in responses  # of HEAD /


def test_a_whole_chunked_body_books(service: Service) -> None:
    connection = http.client.HTTPConnection(HOST, service.port)
    connection.request("POST", "/booktickets", iter([BOOKING[:20], BOOKING[20:]]))
    assert connection.getresponse().status == 201
    connection.close()


def test_an_empty_line_before_a_request_is_ignored(service: Service) -> None:
    sent = b"\r\n" + GET % b"/health/live" + b"\r\n" + LAST_GET % b"/health/live"
    assert exchange(service, sent).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize(
    "trailer",
    [b"Host: y", b"Idempotency-Key: abcdefgh", b"Content-Length: 9", b"Authorization: x", b"a b"],
)
def test_trailers_are_ignored(service: Service, trailer: bytes) -> None:
    chunks = b"%x\r\n%s\r\n0\r\n%s\r\n\r\n" % (len(BOOKING), BOOKING, trailer)
    responses = exchange(service, CHUNKED + chunks + LAST_GET % b"/health/live")
    assert re.findall(rb"HTTP/1.1 (\d+)", responses) == [b"201", b"200"]
    assert b"Idempotency-Replayed" not in responses


def test_a_body_in_too_many_chunks_is_refused(service: Service) -> None:
    before = tickets(service)
    body = BOOKING.ljust(MAX_CHUNKS + 1)
    chunks = [b"1\r\n%c\r\n" % byte for byte in body]
    assert problem(exchange(service, CHUNKED + b"".join(chunks) + b"0\r\n\r\n"))["status"] == 400
    assert tickets(service) == before
    assert b" 201 " in exchange(
        service, CHUNKED + b"".join(chunks[:MAX_CHUNKS]) + b"0\r\n\r\n" + LAST_GET % b"/"
    )


def test_endless_trailers_are_refused(service: Service) -> None:
    before = tickets(service)
    trailers = b"X: %s\r\n" % (b"a" * 95) * 300
    chunks = b"%x\r\n%s\r\n0\r\n%s" % (len(BOOKING), BOOKING, trailers)
    assert problem(exchange(service, CHUNKED + chunks))["status"] == 400
    assert tickets(service) == before


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


def test_idle_and_stalled_connections_do_not_delay_a_stop(tmp_path: Path) -> None:
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
