"""What the documentation points to exists: files, headings, and the tests that prove its claims."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
DOCUMENTS = [
    path
    for folder in (".", "docs", "docs/decisions", "docs/postman", "deploy")
    for path in (PROJECT / folder).glob("*.md")
]
# Each is written by the command that measures its figures.
MEASURED = {PROJECT / "docs/benchmarks.md", PROJECT / "docs/faults.md"}

SECURITY = (PROJECT / "docs/security.md").read_text()
TESTS = re.findall(r"`(tests/[\w/]+\.py)::([\w:]+)`", SECURITY)
LINKS = [
    (document, link)
    for document in sorted(DOCUMENTS)
    for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)\s]*)?\)", document.read_text())
]


def names_in(file: Path) -> set[str]:
    """Return the names of the functions in a file as pytest has them, `test` or `Class::test`."""
    names = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {
                f"{node.name}::{each.name}"
                for each in node.body
                if isinstance(each, ast.FunctionDef)
            }
    return names


@pytest.mark.parametrize(("file", "name"), sorted(set(TESTS)))
def test_named_tests_exist(file: str, name: str) -> None:
    assert name.rpartition("::")[2].startswith("test_")
    assert name in names_in(PROJECT / file)


@pytest.mark.parametrize("number", range(1, 11))
def test_every_risk_has_a_test(number: int) -> None:
    (row,) = re.findall(rf"^\| \*\*API{number}\*\* .*\|$", SECURITY, re.MULTILINE)
    assert re.search(r"`tests/[\w/]+\.py::[\w:]+`", row)


def test_every_named_test_is_checked() -> None:
    assert len(TESTS) == SECURITY.count(".py::")


@pytest.mark.parametrize(
    ("document", "link"),
    [pytest.param(*pair, id=f"{pair[0].relative_to(PROJECT)}-{pair[1]}") for pair in LINKS],
)
def test_linked_files_exist(document: Path, link: str) -> None:
    target = (document.parent / link).resolve()
    assert target.exists() or target in MEASURED


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_named_modules_exist(document: Path) -> None:
    for name in re.findall(r"`([\w-]+(?:/[\w-]+)+\.py)`", document.read_text()):
        assert (PROJECT / name).exists() or (PROJECT / "app" / name).exists(), name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_linked_headings_exist(document: Path) -> None:
    for path, anchor in re.findall(r"\]\(([^)#:\s]*)#([^)\s]+)\)", document.read_text()):
        target = document.parent / path if path else document
        headings = re.findall(r"^#+ (.*)$", target.read_text(), re.MULTILINE)
        assert anchor in {
            re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings
        }
