"""The service behind nginx, under a path prefix, with the configuration of deploy/nginx.conf."""

from __future__ import annotations

import http.client
import os
import re
import shutil
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from tests.running import HOST, ROOT, Answer, Connection, free_port, running_service, wait_until

BOOKING = {"name": "Asha Rao", "phone": "98765 43210", "timing": "12:00"}
SITE = (ROOT.parent / "deploy" / "nginx.conf").read_text()
MAIN = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@contextmanager
def running_nginx(folder: Path, service_port: int) -> Iterator[int]:
    """Run nginx in front of a service; yield its port."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if not nginx:
        if os.environ.get("CI"):
            pytest.fail("nginx is missing")
        pytest.skip("needs nginx")
    port = free_port()
    site = SITE.replace("8080", f"{HOST}:{port}").replace("5000", str(service_port))
    site = site.replace("/var/log/nginx", str(folder))
    (folder / "site.conf").write_text(site)
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    running = subprocess.Popen([nginx, "-e", "stderr", "-c", folder / "nginx.conf"])
    try:
        wait_until(lambda: status_of(port, "GET", "/") != 0, seconds=10)
        yield port
    finally:
        running.terminate()
        running.wait(10)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of nginx, in front of a service with a rate limit."""
    folder = tmp_path_factory.mktemp("nginx")
    environ = {"TRUSTED_PROXIES": "1", "RATE_LIMIT": "30 per hour", "WORKERS": "1"}
    with (
        running_service(folder / "data", environ=environ) as service,
        running_nginx(folder, service.port) as port,
    ):
        yield port


def page_at(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=10) as response:
        text: str = response.read().decode("latin-1")
        return text


def status_of(port: int, method: str, path: str, body: bytes | None = None) -> int:
    """Return the status of nginx's response, which may be HTML; 0 without one."""
    with (
        closing(http.client.HTTPConnection(HOST, port, timeout=10)) as connection,
        suppress(ConnectionRefusedError),
    ):
        connection.request(method, path, body)
        return connection.getresponse().status
    return 0


def ask(port: int, method: str, path: str, body: object = None, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(Connection(port)) as connection:
        return connection.request(method, path, body, names)


def test_addresses_include_the_services_path(proxy: int) -> None:
    forged = {"X_Forwarded_Prefix": "/evil", "X_Forwarded_Host": "evil.example"}
    booked = ask(proxy, "POST", "/box/booktickets", BOOKING, **forged)
    assert booked.status == 201
    location = booked.headers["location"]
    assert location == f"/box/tickets/{booked.body['ticket_id']}"
    assert ask(proxy, "GET", location).body == booked.body
    assert ask(proxy, "GET", "/box/openapi.json", **forged).body["servers"] == [{"url": "/box"}]


def test_the_docs_load(proxy: int) -> None:
    page = page_at(proxy, "/box/docs")
    addresses = [*re.findall('(?:src|href)="([^"]*)"', page), *re.findall('"url": "([^"]*)"', page)]
    assert len(addresses) >= 6
    for address in addresses:
        assert address.startswith("/box/")
        assert page_at(proxy, address)


def test_a_forged_address_is_not_trusted(proxy: int) -> None:
    statuses = [
        ask(proxy, "GET", "/box/", X_Forwarded_For=f"192.0.2.{number}").status
        for number in range(40)
    ]
    assert statuses[-1] == 429
    assert ask(proxy, "GET", "/box/health/live").status == 200


@pytest.mark.parametrize("path", ["metrics", "health/ready"])
@pytest.mark.parametrize("before", ["/box/", "/box//", "/box/%2F", "/box/./", "/box/x/../"])
def test_operators_routes_are_not_public(proxy: int, path: str, before: str) -> None:
    path = f"{before}{path}"
    with pytest.raises(urllib.error.HTTPError, match="404"):
        page_at(proxy, path)


def hang_up(accepted: socket.socket) -> None:
    accepted.close()


def respond_with_nonsense(accepted: socket.socket) -> None:
    accepted.recv(65536)
    accepted.sendall(b"HTTP/1.1 200 OK\r\n\0: nonsense\r\n\r\n")
    accepted.close()


@pytest.mark.parametrize("behaviour", [None, hang_up, respond_with_nonsense])
def test_no_failure_logs_a_ticket_id(
    tmp_path: Path, behaviour: Callable[[socket.socket], None] | None
) -> None:
    with socket.socket() as service:
        service.bind((HOST, 0))
        if behaviour:
            service.listen()
            accepting = threading.Thread(target=accept_all, args=(service, behaviour), daemon=True)
            accepting.start()
        with running_nginx(tmp_path, service.getsockname()[1]) as port:
            for path in ("/box/tickets/SECRET", "/box/admissions/SECRET", "/box/nope?id=SECRET"):
                assert status_of(port, "GET", path) == 502
                assert status_of(port, "DELETE", path) == 502
            assert status_of(port, "PATCH", "/box/tickets/SECRET", b"x" * 2_000_000) == 413
            for path in ("/box/metrics?SECRET", "/SECRET", "/tickets/SECRET"):
                assert status_of(port, "GET", path) == 404
    logged = {file.name: file.read_text() for file in tmp_path.glob("*.log")}
    assert "SECRET" not in str(logged)
    # Operators still see that something fails.
    assert " 502 " in str(logged)


def accept_all(listener: socket.socket, behaviour: Callable[[socket.socket], None]) -> None:
    with suppress(OSError):  # closed
        while True:
            behaviour(listener.accept()[0])
