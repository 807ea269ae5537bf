"""The service behind nginx, under a path of its own, as deploy/nginx.conf has it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing

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
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of nginx, in front of a service with a rate limit."""
    nginx = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if not nginx:
        if os.environ.get("CI"):
            pytest.fail("nginx is missing")
        pytest.skip("needs nginx")
    folder = tmp_path_factory.mktemp("nginx")
    port = free_port()
    environ = {"TRUSTED_PROXIES": "1", "RATE_LIMIT": "30 per hour", "WORKERS": "1"}
    with running_service(folder / "data", environ=environ) as service:
        site = SITE.replace("8080", f"{HOST}:{port}").replace("5000", str(service.port))
        (folder / "site.conf").write_text(site)
        (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
        running = subprocess.Popen([nginx, "-e", "stderr", "-c", folder / "nginx.conf"])
        try:
            wait_until(lambda: ask(port, "GET", "/box/health/live").status == 200, seconds=10)
            yield port
        finally:
            running.terminate()
            running.wait(10)


def page_at(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://{HOST}:{port}{path}", timeout=10) as response:
        text: str = response.read().decode("latin-1")
        return text


def ask(port: int, method: str, path: str, body: object = None, **headers: str) -> Answer:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(Connection(port)) as connection:
        return connection.request(method, path, body, names)


def test_addresses_have_the_path_of_the_service(proxy: int) -> None:
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


def test_a_forged_address_is_not_believed(proxy: int) -> None:
    statuses = [
        ask(proxy, "GET", "/box/", X_Forwarded_For=f"192.0.2.{number}").status
        for number in range(40)
    ]
    assert statuses[-1] == 429
    assert ask(proxy, "GET", "/box/health/ready").status == 200


@pytest.mark.parametrize(
    "path", ["/box/metrics", "/box//metrics", "/box/%2Fmetrics", "/box/./metrics"]
)
def test_metrics_are_not_public(proxy: int, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        page_at(proxy, path)
