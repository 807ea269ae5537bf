"""The life of `python root.py`: starts, stops, crashes, and what is left behind (nothing)."""

from __future__ import annotations

import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.mongodb.embedded import EmbeddedMongoDB, find_mongod
from tests.running import (
    HOST,
    ROOT,
    Answer,
    Service,
    descendants,
    free_port,
    is_alive,
    running_service,
    start_process,
    wait_until,
)

TOMORROW_NOON = {"name": "Asha Rao", "phone": "98765 43210", "timing": "12:00"}
ODD_NAME = "-a b:c,[d] ü%20?&"


def book(service: Service) -> Any:
    answer = service.post("/booktickets", TOMORROW_NOON)
    assert answer.status == 201
    return answer.body


def view(service: Service, ticket: Any) -> Any:
    return service.post("/viewuser", {"ticket_id": ticket["ticket_id"]}).body


def assert_gone(processes: list[int], temporary: Path) -> None:
    """Check that within 10 s no process is left, and no file of theirs."""
    wait_until(lambda: not any(is_alive(pid) for pid in processes), seconds=10)
    assert list(temporary.iterdir()) == []


def refusal(data_dir: Path, port: int, **environ: str) -> str:
    """Return what `python root.py` says when it will not start."""
    process = start_process(data_dir, port, environ)
    _, message = process.communicate(timeout=60)
    assert process.returncode != 0
    assert "Traceback" not in message
    return message


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The temporary folder of the service's processes."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def service(tmp_path: Path, temporary: Path) -> Iterator[Service]:
    environ = {"WORKERS": "2", "TMPDIR": str(temporary)}
    with running_service(tmp_path / "data", environ=environ) as running:
        yield running


def test_a_stop_is_clean_and_keeps_the_tickets(service: Service, temporary: Path) -> None:
    ticket = book(service)
    processes = descendants(service.process.pid)
    assert service.mongod_pid in processes
    assert service.stop() == 0
    assert_gone(processes, temporary)
    assert "Now exiting" in (service.mongodb / "mongod.log").read_text()
    with running_service(service.data_dir, port=service.port) as again:
        assert view(again, ticket) == ticket


@pytest.mark.parametrize("with_signal", [signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_whole_process_group_is_a_clean_stop(
    service: Service, temporary: Path, with_signal: int
) -> None:
    service.all_at_once([lambda client: client.request("GET", "/")] * 50, clients=10)
    processes = descendants(service.process.pid)
    os.killpg(service.process.pid, with_signal)
    assert service.process.wait(10) == 0
    assert_gone(processes, temporary)


def test_under_nohup_it_survives_its_terminal() -> None:
    environ = {"THREADS": "4"}  # a setting of earlier versions
    with (
        tempfile.TemporaryDirectory() as folder,  # whose name leaves room for that of the socket
        running_service(Path(folder) / ODD_NAME, environ=environ, under=["nohup"]) as service,
    ):
        os.killpg(service.process.pid, signal.SIGHUP)
        assert view(service, ticket := book(service)) == ticket
        assert service.stop() == 0


def test_requests_in_flight_are_answered_before_a_stop(service: Service) -> None:
    book(service)  # The database is ready.
    answers: list[Answer] = []
    clients = [
        threading.Thread(target=lambda: answers.append(service.post("/booktickets", TOMORROW_NOON)))
        for _ in range(10)
    ]
    os.kill(service.mongod_pid, signal.SIGSTOP)
    try:
        for client in clients:
            client.start()
        time.sleep(0.5)
        service.process.terminate()
        time.sleep(1)
        assert answers == []
    finally:
        os.kill(service.mongod_pid, signal.SIGCONT)
    for client in clients:
        client.join()
    assert [answer.status for answer in answers] == [201] * 10
    assert service.process.wait(10) == 0


def test_a_killed_service_leaves_nothing_behind_and_the_next_takes_over(
    service: Service, temporary: Path
) -> None:
    ticket = book(service)
    processes = descendants(service.process.pid)
    service.stop(signal.SIGKILL)
    with running_service(service.data_dir, port=service.port) as again:
        assert view(again, ticket) == ticket
        assert_gone(processes, temporary)


def test_a_killed_server_ends_the_service_with_a_logged_reason(
    tmp_path: Path, temporary: Path
) -> None:
    port = free_port()
    process = start_process(tmp_path, port, {"TMPDIR": str(temporary)})
    service = Service(port, process, tmp_path)
    wait_until(lambda: service.connect().request("GET", "/").status == 200)
    processes = descendants(process.pid)
    os.kill(service.gunicorn_pid, signal.SIGKILL)
    _, message = process.communicate(timeout=10)
    assert process.returncode == 1
    assert message == "box-office: The server was killed by a signal: Killed.\n"
    assert_gone(processes, temporary)


def test_a_leftover_mongod_is_cleaned_up(tmp_path: Path) -> None:
    # As on a machine where children outlive a killed parent.
    leftover = EmbeddedMongoDB(tmp_path).__enter__()
    leftover._stopping.set()
    assert leftover._lock
    leftover._lock.close()
    with running_service(tmp_path) as service:
        assert book(service)
        assert service.mongod_pid != leftover.pid
        wait_until(lambda: not is_alive(leftover.pid))


def test_workers_that_keep_dying_are_replaced(service: Service) -> None:
    ticket = book(service)
    for _ in range(15):
        killed = service.workers()
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda killed=killed: not {*killed} & {*service.workers()})  # type: ignore[misc]
        assert view(service, ticket) == ticket
    wait_until(lambda: len(service.workers()) == 2, seconds=5)


def test_a_hung_worker_is_replaced(tmp_path: Path) -> None:
    environ = {"WORKERS": "2", "GUNICORN_CMD_ARGS": "--timeout 2"}
    with running_service(tmp_path, environ=environ) as service:
        hanging, other = service.workers()
        os.kill(hanging, signal.SIGSTOP)
        wait_until(lambda: len({*service.workers()} - {hanging}) == 2, seconds=20)
        assert other in service.workers()
        assert book(service)
        assert any("WORKER TIMEOUT" in line["message"] for line in service.logged())


def test_only_one_of_ten_services_gets_the_port(tmp_path: Path) -> None:
    port = free_port()
    hosts = ["127.0.0.1", "0.0.0.0"] * 5
    services = [
        start_process(tmp_path / str(number), port, {"HOST": host, "WORKERS": "1"})
        for number, host in enumerate(hosts)
    ]
    try:
        wait_until(lambda: sum(each.poll() is None for each in services) == 1, seconds=20)
        (serving,) = (each for each in services if each.poll() is None)
        service = Service(port, serving, tmp_path)
        wait_until(lambda: service.connect().request("GET", "/").status == 200)
        assert book(service)
        messages = [refused.communicate()[1] for refused in services if refused is not serving]
    finally:
        for each in services:
            each.terminate()
    assert all("cannot be used: Address already in use; set another" in said for said in messages)
    assert all(said.count("\n") == 1 for said in messages)
    serving.communicate(timeout=10)
    assert serving.returncode == 0


def test_a_second_service_on_the_same_data_or_port_is_refused(
    service: Service, tmp_path: Path
) -> None:
    assert "Another service is using DATA_DIR=" in refusal(service.data_dir, free_port())
    started = time.monotonic()
    message = refusal(tmp_path / "other", service.port)
    assert f"PORT={service.port} on HOST=127.0.0.1 cannot be used" in message
    assert time.monotonic() - started < 8
    assert book(service)


LOOPBACK = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}
GUNICORN = [str(Path(sys.executable).parent / "gunicorn"), "root:app"]


def test_localhost_is_served_on_both_loopback_addresses(tmp_path: Path) -> None:
    with running_service(tmp_path, environ={"HOST": "localhost"}) as service:
        assert [status_at(address, service.port) for address in LOOPBACK] == [200, 200]
        (line,) = (line for line in service.logged() if "Serving" in line["message"])
        for name in ("127.0.0.1", "[::1]"):
            assert f"http://{name}:{service.port}" in line["message"]


def test_under_gunicorn_localhost_is_served_on_both_loopback_addresses(
    tmp_path: Path, mongod_uri: str
) -> None:
    environ = {"HOST": "localhost", "PORT": str(port := free_port()), "MONGODB_URI": mongod_uri}
    with (tmp_path / "log").open("w+") as log:
        process = subprocess.Popen(
            GUNICORN, cwd=ROOT.parent, env={**os.environ, **environ}, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: all(status_at(address, port) == 200 for address in LOOPBACK))
        finally:
            process.terminate()
            process.wait(10)
        log.seek(0)
        assert f"http://127.0.0.1:{port} and http://[::1]:{port} " in log.read()


def status_at(address: str, port: int) -> int:
    """Return the status of the response at this address; 0 without one."""
    connection = http.client.HTTPConnection(address, port, timeout=10)
    try:
        connection.request("GET", "/health/live")
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


@pytest.mark.parametrize("taken", LOOPBACK)
def test_the_start_is_refused_if_either_loopback_address_is_in_use(
    tmp_path: Path, taken: str
) -> None:
    with socket.socket(LOOPBACK[taken]) as other:
        other.bind((taken, 0))
        other.listen()
        port = other.getsockname()[1]
        message = refusal(tmp_path, port, HOST="localhost")
    assert f"PORT={port} on HOST=localhost ({taken}) cannot be used: Address already" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("host", ["a..b", "no-such-host.invalid"])
def test_gunicorn_refuses_an_invalid_host_in_one_line(host: str) -> None:
    refused = subprocess.run(
        GUNICORN,
        cwd=ROOT.parent,
        env={**os.environ, "HOST": host, "MONGODB_URI": "mongodb://127.0.0.1:1"},
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"box-office: HOST={host} cannot be used: ")
    assert refused.stderr.count("\n") == 1


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "999.1.1.1", "a..b"])
def test_a_host_of_another_machine_stops_the_start_at_once(tmp_path: Path, host: str) -> None:
    started = time.monotonic()
    message = refusal(tmp_path, free_port(), HOST=host)
    assert f"HOST={host} cannot be used: " in message
    assert message.count("\n") == 1
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("PORT", "http", "PORT='http'"),
        ("SHOW_TIMES", "9:00", "SHOW_TIMES='9:00'"),
        ("MONGODB_URI", "db:27017", "MONGODB_URI"),
    ],
)
def test_an_invalid_setting_stops_the_start_with_one_line(
    tmp_path: Path, name: str, value: str, shown: str
) -> None:
    message = refusal(tmp_path, free_port(), **{name: value})
    assert f"box-office: {shown} cannot be used: " in message
    assert message.count("\n") == 1


def test_an_unusable_data_dir_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be used" in refusal(tmp_path / "file", free_port())
    assert "too long for a Unix socket" in refusal(tmp_path / ("x" * 100), free_port())


def test_mongod_restarts_even_if_the_first_attempt_fails(tmp_path: Path) -> None:
    binary = tmp_path / "bin" / "mongod"
    binary.parent.mkdir()
    binary.symlink_to(find_mongod())
    path = f"{binary.parent}{os.pathsep}{os.environ['PATH']}"
    with running_service(tmp_path / "data", environ={"PATH": path}) as service:
        ticket = book(service)
        binary.rename(tmp_path / "gone")
        os.kill(service.mongod_pid, signal.SIGKILL)
        wait_until(lambda: any("Retrying" in line["message"] for line in service.logged()))
        (tmp_path / "gone").rename(binary)
        wait_until(lambda: view(service, ticket) == ticket)


def test_a_failed_mongod_start_is_reported_with_its_reason(tmp_path: Path) -> None:
    database = tmp_path / "mongodb" / "db"
    database.mkdir(parents=True)
    (database / "WiredTiger").write_text("broken")
    (database / "storage.bson").write_text("broken")
    message = refusal(tmp_path, free_port())
    assert "The embedded MongoDB failed to start" in message
    assert "no reason given" not in message


def test_the_data_is_private_even_in_a_public_folder(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    with running_service(tmp_path) as service:
        assert tmp_path.stat().st_mode & 0o777 == 0o755
        assert service.mongodb.stat().st_mode & 0o777 == 0o700
        assert (service.mongodb / "mongod.sock").stat().st_mode & 0o777 == 0o600
        listening = Path("/proc/net/tcp").read_text()
        assert f":{27017:04X} " not in listening


def test_without_mongodb_it_serves_503(tmp_path: Path) -> None:
    uri = f"mongodb://{HOST}:{free_port()}"
    process = start_process(tmp_path, port := free_port(), {"MONGODB_URI": uri, "WORKERS": "1"})
    service = Service(port, process, tmp_path)
    try:
        wait_until(
            lambda: service.post("/booktickets", TOMORROW_NOON).code == "database_unavailable"
        )
    finally:
        assert service.stop() == 0


def test_metrics_cover_all_workers_including_dead_ones(tmp_path: Path) -> None:
    counted = re.compile(r'requests_total{.*route="/api/movies".*} (.*)')

    def ask_and_count(service: Service) -> float:
        wait_until(lambda: len(service.workers()) == 2)
        service.all_at_once([lambda client: client.request("GET", "/api/movies")] * 100, clients=20)
        found = counted.search(service.metrics())
        return float(found[1]) if found else 0

    with running_service(tmp_path, environ={"WORKERS": "2"}) as service:
        assert ask_and_count(service) == 100
        os.kill(killed := service.workers()[0], signal.SIGKILL)
        wait_until(lambda: killed not in service.workers())
        assert ask_and_count(service) == 200


def test_the_log_is_json_and_holds_no_customer_data(tmp_path: Path) -> None:
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
