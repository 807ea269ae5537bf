"""The commands of the README and the API reference, typed as they stand."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.running import HOST, ROOT, running_service

README, API = ((ROOT.parent / name).read_text() for name in ("README.md", "docs/api.md"))


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)


def test_the_curl_walkthroughs_run(tmp_path: Path) -> None:
    commands = [
        block for document in (README, API) for block in blocks(document, "sh") if "curl" in block
    ]
    assert len(commands) >= 15
    # The door is open, whatever the time is now.
    with running_service(tmp_path / "data", environ={"ADMISSION_HOURS": "48"}) as service:
        script = "\n".join(commands).replace("127.0.0.1:5000", f"{HOST}:{service.port}")
        walk = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    # What is refused there is refused here, in the same order.
    expected = [
        code for block in blocks(API, "json") for code in re.findall('"code":"(.*?)"', block)
    ]
    assert (
        re.findall('"code":"(.*?)"', walk.stdout) == expected == ["seat_taken", "invalid_request"]
    )
    assert walk.stdout.count('"ticket_id"') >= 10
    assert '"deleted":true' in walk.stdout
    assert len(re.findall('"admitted_at":"', walk.stdout)) == 1
    assert '"purchased_seats":2,"free_seats":994' in walk.stdout
    assert "<svg" in (tmp_path / "ticket.svg").read_text()


def test_the_testing_snippet_runs() -> None:
    (snippet,) = blocks(API, "python")
    exec(compile(snippet, "api.md", "exec"), {})
