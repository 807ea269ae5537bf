"""The Postman collection can be run again and again, against a service in any state."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import HOST, ROOT, running_service

DOCS = ROOT.parent / "docs"
COLLECTION = DOCS / "postman" / "box-office.postman_collection.json"
ENVIRONMENT = DOCS / "postman" / "box-office.postman_environment.json"
STAFF_KEY = os.environ.get("STAFF_KEY", "correct-horse-battery")
ALWAYS = "8760"  # hours that a door is open before its showing: a year


@pytest.fixture
def base_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the address given by `--url`, or that of a new service."""
    given = request.config.getoption("--url")
    if given:
        yield given
        return
    environ = {"STAFF_KEY": STAFF_KEY, "ADMISSION_HOURS": ALWAYS}
    with running_service(tmp_path, environ=environ) as service:
        yield f"http://{HOST}:{service.port}"


def newman(base_url: str) -> list[str]:
    """Return the newman command that runs the collection against a service."""
    return [
        *("newman", "run", str(COLLECTION), "--environment", str(ENVIRONMENT)),
        *("--env-var", f"base_url={base_url}", "--env-var", f"staff_key={STAFF_KEY}"),
    ]


def test_the_collection_passes_twice_against_the_same_service(base_url: str) -> None:
    npx = shutil.which("npx")
    assert npx, "Node.js is needed for newman"
    for _ in range(2):
        subprocess.run([npx, *newman(base_url), "--color", "off"], cwd=DOCS, check=True)
