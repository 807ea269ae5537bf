"""The OpenAPI document passes the recommended rules of two linters."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import mongomock
import pytest

from app import create_app
from tests.contract.test_postman import DOCS


@pytest.mark.parametrize(
    "linter",
    [
        pytest.param(["redocly", "lint"], id="redocly"),
        pytest.param(["spectral", "lint", "--fail-severity", "hint"], id="spectral"),
    ],
)
def test_linters_find_nothing(linter: list[str], tmp_path: Path) -> None:
    npx = shutil.which("npx")
    assert npx, "Node.js is needed for the linters"
    client = create_app(mongomock.MongoClient()["openapi"]).test_client()
    (tmp_path / "openapi.json").write_text(client.get("/openapi.json").text)
    (tmp_path / ".spectral.yaml").write_text("extends: spectral:oas")
    (tmp_path / "redocly.yaml").write_text("extends: [recommended-strict]")  # warnings fail, too
    quiet = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    subprocess.run(
        [npx, "--prefix", str(DOCS), *linter, "openapi.json"],
        cwd=tmp_path,
        env={**os.environ, **quiet},
        check=True,
    )
