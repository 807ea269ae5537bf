"""The README tells of every setting, route and error code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import mongomock
import pytest

from app import create_app
from app.config import Settings
from app.web.problems import PROBLEMS

README = (Path(__file__).parent.parent / "README.md").read_text()
APP = create_app(mongomock.MongoClient()["docs"])
# The files that pages load are their own affair.
RULES = [r for r in APP.url_map.iter_rules() if not r.rule.startswith(("/docs/", "/static/"))]


@pytest.mark.parametrize("name", [field.name.upper() for field in fields(Settings)])
def test_settings(name: str) -> None:
    assert f"`{name}`" in README


@pytest.mark.parametrize("code", [problem.code for problem in PROBLEMS])
def test_error_codes(code: str) -> None:
    assert f"`{code}`" in README


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_routes(rule: object) -> None:
    path = re.sub(r"<(.*?)>", r"{\1}", str(rule))
    for method in rule.methods - {"HEAD", "OPTIONS"}:  # type: ignore[attr-defined]
        assert re.search(rf"`{method} {re.escape(path)}[`?]", README), f"{method} {path}"
