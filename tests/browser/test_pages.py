"""The pages in a real browser; pages.mjs has the tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import HOST, running_service

PAGES = Path(__file__).with_name("pages.mjs")
STAFF_KEY = "a-key-for-the-staff"


def test_pages_work_in_a_browser(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    node = shutil.which("node")
    assert node, "Node.js is needed for the browser"
    pictures = Path(request.config.getoption("--pictures") or tmp_path)
    environ = {
        "THEATRE_TIMEZONE": "Asia/Kolkata",
        "ADMISSION_HOURS": "48",  # tomorrow's doors are open at any time of day
        "STAFF_KEY": STAFF_KEY,
        "TRUSTED_PROXIES": "1",  # which one of the tests plays
    }
    with running_service(tmp_path / "data", environ=environ) as service:
        facts = {
            "URL": f"http://{HOST}:{service.port}",
            "STAFF_KEY": STAFF_KEY,
            "MONGOD_PID": str(service.mongod_pid),
            "PICTURES": str(pictures.absolute()),
        }
        command = [node, "--test", "--test-reporter=spec", str(PAGES)]
        subprocess.run(command, env={**os.environ, **facts}, check=True)
