"""The Postman collection is a story that can be told again and again."""

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


@pytest.fixture
def base_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Return the address given by `--url`, or else that of a service of the test's own."""
    given = request.config.getoption("--url")
    if given:
        yield given
        return
    # A year: whatever the time is, a door is open.
    environ = {"STAFF_KEY": STAFF_KEY, "ADMISSION_HOURS": "8760"}
    with running_service(tmp_path, environ=environ) as service:
        yield f"http://{HOST}:{service.port}"


def newman(base_url: str) -> list[str]:
    """Return the words of a command that tells the story to the service at `base_url`."""
    return [
        *("newman", "run", str(COLLECTION), "--environment", str(ENVIRONMENT)),
        *("--env-var", f"base_url={base_url}", "--env-var", f"staff_key={STAFF_KEY}"),
    ]


def test_the_story_twice_against_the_same_service(base_url: str) -> None:
    npx = shutil.which("npx")
    assert npx, "Node.js is needed for newman"
    for _ in range(2):
        told = subprocess.run(
            [npx, *newman(base_url), "--color", "off"],
            cwd=DOCS,
            check=False,
        )
        assert told.returncode == 0
