"""The README's commands, typed as they stand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.running import HOST, ROOT, running_service

README = (ROOT.parent / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def test_the_walks_by_curl(tmp_path: Path) -> None:
    commands = [block for block in blocks("sh") if "curl" in block or block.startswith("ID=")]
    assert len(commands) >= 10
    with running_service(tmp_path) as service:
        script = "\n".join(commands).replace("127.0.0.1:5000", f"{HOST}:{service.port}")
        walk = subprocess.run(
            ["bash", "-eu", "-c", script], capture_output=True, text=True, check=True
        )
    # One of them shows an error.
    assert re.findall('"code":"(.*?)"', walk.stdout) == ["invalid_request"]
    assert walk.stdout.count('"ticket_id"') >= 6
    assert '"deleted":true' in walk.stdout
    assert '"purchased_seats":2,"free_seats":994' in walk.stdout


def test_the_snippet_for_tests() -> None:
    (snippet,) = blocks("python")
    exec(compile(snippet, "README.md", "exec"), {})
