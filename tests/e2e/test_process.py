"""The life of `python root.py`: starts, stops, crashes, and what is left behind (nothing)."""

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
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.mongodb.embedded import EmbeddedMongoDB, find_mongod
from tests.running import (
    HOST,
    ROOT,
    Service,
    descendants,
    free_port,
    is_alive,
    running_service,
    start_process,
    wait_until,
)

LOGGERS = {"app.root", "app.mongodb.embedded", "app.operations.routes"}
TOMORROW_NOON = {"name": "Asha Rao", "phone": "98765 43210", "timing": "12:00"}


def book(service: Service) -> Any:
    answer = service.post("/booktickets", TOMORROW_NOON)
    assert answer.status == 201
    return answer.body


def view(service: Service, ticket: Any) -> Any:
    return service.post("/viewuser", {"ticket_id": ticket["ticket_id"]}).body


def wait_until_gone(processes: list[int]) -> None:
    wait_until(lambda: not any(is_alive(pid) for pid in processes), seconds=10)


def refusal(data_dir: Path, port: int, **environ: str) -> str:
    """Return what `python root.py` says when it will not start."""
    process = start_process(data_dir, port, environ)
    _, message = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in message
    return message


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    with running_service(tmp_path / "data") as running:
        yield running


@pytest.mark.parametrize("with_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_clean_and_keeps_the_tickets(service: Service, with_signal: int) -> None:
    ticket = book(service)
    processes = descendants(service.process.pid)
    assert service.mongod_pid in processes
    assert service.stop(with_signal) == 0
    wait_until_gone(processes)
    assert "Now exiting" in (service.mongodb / "mongod.log").read_text()
    with running_service(service.data_dir, port=service.port) as again:
        assert view(again, ticket) == ticket


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGHUP])
def test_what_a_terminal_sends_to_its_whole_group_is_a_clean_stop(
    tmp_path: Path, with_signal: int
) -> None:
    for _ in range(2):
        with running_service(tmp_path) as service:
            service.all_at_once([lambda client: client.request("GET", "/")] * 50, clients=10)
            processes = descendants(service.process.pid)
            os.killpg(service.process.pid, with_signal)
            assert service.process.wait(10) == 0
            wait_until_gone(processes)


def test_under_nohup_it_survives_its_terminal(tmp_path: Path) -> None:
    with running_service(tmp_path, under=["nohup"]) as service:
        os.killpg(service.process.pid, signal.SIGHUP)
        assert book(service)
        assert service.stop() == 0


def test_a_killed_service_leaves_no_orphans_and_the_next_takes_over(service: Service) -> None:
    ticket = book(service)
    processes = descendants(service.process.pid)
    service.stop(signal.SIGKILL)
    with running_service(service.data_dir, port=service.port) as again:
        assert view(again, ticket) == ticket
        wait_until_gone(processes)


def test_a_mongod_left_behind_is_cleared_up(tmp_path: Path) -> None:
    # As on a machine where children outlive a killed parent: one that nobody looks after.
    leftover = EmbeddedMongoDB(tmp_path).__enter__()
    leftover._stopping.set()
    assert leftover._lock
    leftover._lock.close()
    with running_service(tmp_path) as service:
        assert book(service)
        assert service.mongod_pid != leftover.pid
        wait_until(lambda: not is_alive(leftover.pid))


def test_a_killed_worker_is_replaced(tmp_path: Path) -> None:
    with running_service(tmp_path, environ={"WORKERS": "2"}) as service:
        ticket = book(service)
        before = descendants(service.process.pid)
        os.kill(service.workers()[0], signal.SIGKILL)
        wait_until(lambda: len(descendants(service.process.pid)) == len(before))
        wait_until(lambda: view(service, ticket) == ticket)


def test_a_second_service_on_the_same_data_is_refused(service: Service) -> None:
    message = refusal(service.data_dir, free_port())
    assert "Another service is running on DATA_DIR=" in message
    assert book(service)


def test_a_second_service_on_the_same_port_is_refused(service: Service, tmp_path: Path) -> None:
    message = refusal(tmp_path / "other", service.port)
    assert f"PORT={service.port} on HOST=127.0.0.1 cannot be used" in message
    assert book(service)


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("PORT", "http", "PORT='http'"),
        ("SHOW_TIMES", "9:00", "SHOW_TIMES='9:00'"),
        ("MONGODB_URI", "db:27017", "MONGODB_URI"),
    ],
)
def test_a_wrong_setting_stops_the_start_in_one_line(
    tmp_path: Path, name: str, value: str, shown: str
) -> None:
    message = refusal(tmp_path, free_port(), **{name: value})
    assert f"box-office: {shown} cannot be used: it" in message
    assert message.count("\n") == 1


def test_a_data_dir_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be used" in refusal(tmp_path / "file", free_port())
    assert "too long for a Unix socket" in refusal(tmp_path / ("x" * 100), free_port())


@pytest.mark.parametrize("name", ["a b:c,[d] ü%20?&", "-x"])
def test_a_data_dir_may_have_any_name(tmp_path: Path, name: str) -> None:
    with running_service(tmp_path / name) as service:
        assert view(service, ticket := book(service)) == ticket


def test_mongod_comes_back_though_at_first_it_cannot_be_started(tmp_path: Path) -> None:
    binary = tmp_path / "bin" / "mongod"
    binary.parent.mkdir()
    binary.symlink_to(find_mongod())
    path = f"{binary.parent}{os.pathsep}{os.environ['PATH']}"
    with running_service(tmp_path / "data", environ={"PATH": path}) as service:
        ticket = book(service)
        binary.rename(tmp_path / "gone")
        os.kill(service.mongod_pid, signal.SIGKILL)
        wait_until(lambda: service.connect().request("GET", "/").status == 503)
        (tmp_path / "gone").rename(binary)
        wait_until(lambda: view(service, ticket) == ticket)


def test_what_mongod_says_of_a_failed_start_is_passed_on(tmp_path: Path) -> None:
    database = tmp_path / "mongodb" / "db"
    database.mkdir(parents=True)
    (database / "WiredTiger").write_text("broken")
    (database / "storage.bson").write_text("broken")
    message = refusal(tmp_path, free_port())
    assert "The embedded MongoDB does not start" in message
    assert "it gives no reason" not in message


def test_the_data_is_private_in_a_folder_that_is_not(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with running_service(tmp_path) as service:
        assert tmp_path.stat().st_mode & 0o777 == 0o755
        assert service.mongodb.stat().st_mode & 0o777 == 0o700
        assert (service.mongodb / "mongod.sock").stat().st_mode & 0o777 == 0o600
        listening = Path("/proc/net/tcp").read_text()
        assert f":{27017:04X} " not in listening


def test_any_wsgi_server_can_serve_the_app(mongod: EmbeddedMongoDB) -> None:
    port = free_port()
    code = (
        "from wsgiref.simple_server import make_server; from root import app; "
        f"make_server('{HOST}', {port}, app).serve_forever()"
    )
    environ = {**os.environ, "MONGODB_URI": mongod.uri, "MONGODB_DATABASE": "any_server"}
    server = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT.parent, env=environ)
    try:
        service = Service(port, server, Path())  # type: ignore[arg-type]
        wait_until(lambda: service.connect().request("GET", "/").status == 200)
        assert view(service, book(service))["seat"]
    finally:
        server.terminate()
        server.wait()


def test_without_mongodb_it_starts_and_says_503_until_mongodb_is_there(tmp_path: Path) -> None:
    uri = f"mongodb://{HOST}:{free_port()}"
    process = start_process(tmp_path, port := free_port(), {"MONGODB_URI": uri, "WORKERS": "1"})
    try:
        service = Service(port, process, tmp_path)
        wait_until(lambda: service.connect().request("GET", "/").status == 503)
        started = time.monotonic()
        assert service.post("/booktickets", TOMORROW_NOON).code == "database_unavailable"
        assert time.monotonic() - started < 30
    finally:
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize(
    "sent", ["%x\r\n%s\r\n", "%x\r\n%s\r\n1", "%x\r\n%s", "1%x\r\n%s\r\n", "%x\r\n%s\r\nzz\r\n"]
)
def test_a_chunked_body_that_is_cut_off_books_nothing(service: Service, sent: str) -> None:
    body = json.dumps(TOMORROW_NOON)
    with socket.create_connection((HOST, service.port)) as connection:
        head = "POST /booktickets HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall((head + sent % (len(body), body)).encode())
        connection.shutdown(socket.SHUT_WR)
        assert b" 400 " in connection.recv(1000)
    answer = service.connect().request("GET", "/tickets?timing=12:00")
    assert answer.body == []


def test_a_whole_chunked_body_books(service: Service) -> None:
    connection = http.client.HTTPConnection(HOST, service.port)
    chunks = [json.dumps(TOMORROW_NOON)[:20].encode(), json.dumps(TOMORROW_NOON)[20:].encode()]
    connection.request("POST", "/booktickets", iter(chunks), encode_chunked=True)
    assert connection.getresponse().status == 201


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /booktickets HTTP/1.1\r\nHost: x\r\nContent-Le",
        b"POST /booktickets HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        b"POST /booktickets HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ],
)
def test_clients_who_stop_halfway_keep_nobody_waiting(service: Service, sent: bytes) -> None:
    with contextlib.ExitStack() as open_connections:
        for _ in range(200):
            connection = socket.create_connection((HOST, service.port))
            open_connections.enter_context(connection)
            connection.sendall(sent)
        assert book(service)
        assert service.connect().request("GET", "/health/ready").status == 200
        assert service.stop() == 0


def test_metrics_are_those_of_all_workers_dead_ones_too(tmp_path: Path) -> None:
    counted = re.compile(r'requests_total{.*route="/api/movies".*} (.*)')

    def ask_and_count(service: Service) -> float:
        wait_until(lambda: len(service.workers()) == 2)
        service.all_at_once([lambda client: client.request("GET", "/api/movies")] * 100, clients=20)
        with urllib.request.urlopen(f"http://{HOST}:{service.port}/metrics") as answer:
            found = counted.search(answer.read().decode())
        return float(found[1]) if found else 0

    with running_service(tmp_path, environ={"WORKERS": "2"}) as service:
        assert ask_and_count(service) == 100
        os.kill(killed := service.workers()[0], signal.SIGKILL)
        wait_until(lambda: killed not in service.workers())
        assert ask_and_count(service) == 200


def test_all_that_is_logged_is_json_and_tells_of_no_customer(tmp_path: Path) -> None:
    with running_service(tmp_path, environ={"LOG_LEVEL": "debug"}) as service:
        ticket = book(service)
        view(service, ticket)
        os.kill(service.workers()[0], signal.SIGKILL)
        os.kill(service.mongod_pid, signal.SIGKILL)
        wait_until(lambda: view(service, ticket) == ticket)
        service.stop()
        lines = service.logged()
    assert {"app.root", "app.mongodb.embedded", "app.operations.routes"} <= {
        line["logger"] for line in lines
    }
    for word in (ticket["ticket_id"], ticket["name"], "98765", "9876543210"):
        assert word not in str(lines)
