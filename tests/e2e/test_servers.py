"""`root:app` under other WSGI servers, and what it logs there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.running import HOST, ROOT, Service, free_port, wait_until

BOOKING = {"name": "Asha Rao", "phone": "98765 43210", "timing": "12:00"}
BIN = Path(sys.executable).parent
WITH_A_BUG = """
from root import app

@app.get("/bug")
def bug():
    raise KeyError("a " + "secret")
"""
SERVERS = {
    "gunicorn, with our configuration": "gunicorn bug:app",
    "gunicorn, with our configuration but another worker": "gunicorn --worker-class sync bug:app",
    "gunicorn, with another configuration": (
        "gunicorn --config /dev/null --no-control-socket --bind {address} bug:app"
    ),
    "gunicorn, with threads": (
        "gunicorn --config /dev/null --no-control-socket --threads 4 --bind {address} bug:app"
    ),
    "waitress": "waitress-serve --listen={address} bug:app",
    "Flask's own": "flask --app bug:app run --port {port}",
}


@pytest.mark.parametrize("command", SERVERS.values(), ids=SERVERS.keys())
def test_another_server_serves_and_logs_requests_warnings_and_bugs(
    tmp_path: Path, mongod_uri: str, command: str
) -> None:
    (tmp_path / "bug.py").write_text(WITH_A_BUG)
    port = free_port()
    environ = {
        "PORT": str(port),
        "WORKERS": "1",
        "MONGODB_URI": mongod_uri,
        "MONGODB_DATABASE": "servers",
        "PYTHONPATH": str(tmp_path),
    }
    program, *arguments = command.format(address=f"{HOST}:{port}", port=port).split()
    with tempfile.TemporaryFile("w+") as log, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [BIN / program, *arguments],
            cwd=ROOT.parent,
            env={**os.environ, **environ},
            stdout=log,
            stderr=errors,
            text=True,
        )
        service = Service(port, process, tmp_path)
        try:
            wait_until(lambda: service.connect().request("GET", "/health/live").status == 200)
            booked = service.post("/booktickets", BOOKING)
            assert booked.status == 201
            viewed = service.connect().request("GET", f"/tickets/{booked.body['ticket_id']}")
            assert viewed.body == booked.body
            assert service.connect().request("GET", "/bug").code == "internal_error"
        finally:
            process.terminate()
            process.wait(20)
        log.seek(0)
        errors.seek(0)
        text = log.read()
        everything = text + errors.read()

    for secret in ("a secret", "Asha", "98765", booked.body["ticket_id"]):
        assert secret not in everything
    lines = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert all("time" in line for line in lines)
    assert "STAFF_KEY is not set" in text
    requests = {line["route"]: line for line in lines if "route" in line}
    assert {"/booktickets", "/tickets/<ticket_id>", "/bug"} <= requests.keys()
    assert requests["/booktickets"]["request_id"] == booked.headers["x-request-id"]
    (bug,) = (line for line in lines if "traceback" in line)
    assert (bug["level"], bug["message"]) == ("ERROR", "KeyError in GET /bug")
    assert "bug.py" in bug["traceback"]
    assert bug["request_id"] == requests["/bug"]["request_id"]
