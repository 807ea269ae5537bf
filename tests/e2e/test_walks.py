"""The commands of the README and the API reference run verbatim, and print what these show."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.running import HOST, ROOT, running_service

README, API = ((ROOT.parent / name).read_text() for name in ("README.md", "docs/api.md"))
# The offset of the documents' examples, and doors that are open at any time of day.
ENVIRON = {"THEATRE_TIMEZONE": "Asia/Kolkata", "ADMISSION_HOURS": "48"}
ELLIPSIS = ", …]"


def blocks(document: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", document, re.DOTALL | re.MULTILINE)


def walkthrough(document: str) -> list[tuple[str, list[str]]]:
    """Return the blocks of commands that call curl, each with the lines that it shows."""
    pattern = r"^```sh\n(.*?)^```$(?:\n```json\n(.*?)^```$)?"
    found = re.findall(pattern, document, re.DOTALL | re.MULTILINE)
    return [(commands, shown.splitlines()) for commands, shown in found if "curl" in commands]


def run(document: str, port: int, folder: Path) -> list[str]:
    """Run all blocks in one shell, and return what each prints."""
    commands = "printf '\\0'\n".join(block for block, _ in walkthrough(document))
    finished = subprocess.run(
        ["bash", "-eu", "-c", commands.replace("127.0.0.1:5000", f"{HOST}:{port}")],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return finished.stdout.split("\0")


def parsed(line: str) -> Any:
    """Return a line of JSON without what differs from run to run."""
    line = re.sub('"(ticket_id|admission_code|booked_at|admitted_at)":"[^"]*"', r'"\1":"…"', line)
    line = re.sub(r"\d{4}-\d\d-\d\d", "…", line)
    return json.loads(line.replace(ELLIPSIS, "]"))


@pytest.mark.parametrize("document", [README, API], ids=["README", "api"])
def test_the_commands_print_what_the_document_shows(document: str, tmp_path: Path) -> None:
    with running_service(tmp_path / "data", environ=ENVIRON) as service:
        printed = run(document, service.port, tmp_path)
    compared = 0
    for (_, shown), output in zip(walkthrough(document), printed, strict=True):
        lines = output.splitlines()[-len(shown) :] if shown else []
        for expected, line in zip(shown, lines, strict=True):
            actual = parsed(line)
            if expected.endswith(ELLIPSIS):
                actual = actual[: len(parsed(expected))]
            assert actual == parsed(expected)
            compared += 1
    assert compared == sum(block.count("\n") for block in blocks(document, "json"))


def test_the_curl_walkthrough_covers_the_life_of_a_ticket(tmp_path: Path) -> None:
    with running_service(tmp_path / "data", environ=ENVIRON) as service:
        printed = "".join(run(API, service.port, tmp_path))
    assert re.findall('"code":"(.*?)"', printed) == [
        "seat_taken",
        "already_admitted",
        "invalid_request",
    ]
    assert re.findall('"admitted":([0-9]),"admitted_at":"', printed) == ["1", "2", "2", "1"]
    assert "<svg" in (tmp_path / "ticket.svg").read_text()


def test_the_testing_snippet_runs() -> None:
    (snippet,) = blocks(API, "python")
    exec(compile(snippet, "api.md", "exec"), {})
