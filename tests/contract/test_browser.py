"""The docs page in a real browser: "Try it out" books a ticket, and other hosts are not asked."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.test_postman import DOCS, newman
from tests.running import HOST, running_service


def test_try_it_out_and_take_the_screenshots(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    node, npx = shutil.which("node"), shutil.which("npx")
    assert node, "Node.js is needed for the browser"
    assert npx
    assert shutil.which("chromium"), "Chromium is needed"
    pictures = Path(request.config.getoption("--pictures") or tmp_path)
    report = tmp_path / "report.json"
    environ = {"THEATRE_TIMEZONE": "Asia/Kolkata"}  # as in the examples
    with running_service(tmp_path / "data", environ=environ) as service:
        url = f"http://{HOST}:{service.port}"
        as_json = ["--reporters", "json", "--reporter-json-export", str(report)]
        subprocess.run([npx, *newman(url), *as_json], cwd=DOCS, check=True)
        script = DOCS / "screenshots" / "take.mjs"
        subprocess.run([node, script, url, report, pictures.absolute()], cwd=DOCS, check=True)
    assert len(list(pictures.glob("*.png"))) >= 11
