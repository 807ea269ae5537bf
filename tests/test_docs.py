"""The documents name every setting with its default, every route and every error code."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import mongomock
import pytest
from werkzeug.routing import Rule

from app import create_app
from app.config import Settings
from app.web.problems import PROBLEMS

PROJECT = Path(__file__).parent.parent
README, API, SETTINGS = (
    (PROJECT / name).read_text() for name in ("README.md", "docs/api.md", "docs/settings.md")
)
APP = create_app(mongomock.MongoClient()["docs"])
# Files that a page loads are its own affair.
RULES = [rule for rule in APP.url_map.iter_rules() if "<path:filename>" not in rule.rule]


@pytest.mark.parametrize("name", [field.name.upper() for field in fields(Settings)])
def test_every_setting_is_documented(name: str) -> None:
    assert len(re.findall(rf"^\| `{name}` \|", SETTINGS, re.MULTILINE)) == 1


@pytest.mark.parametrize("code", [problem.code for problem in PROBLEMS])
def test_every_error_code_is_documented(code: str) -> None:
    assert f"`{code}`" in API


@pytest.mark.parametrize("document", [README, API], ids=["README", "api"])
@pytest.mark.parametrize("rule", RULES, ids=str)
def test_every_route_is_documented(rule: Rule, document: str) -> None:
    path = re.sub(r"<(.*?)>", r"{\1}", rule.rule)
    if document is README:
        path = path.removesuffix("/") or "/"  # /docs/ is /docs
    for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
        assert f"`{method} {path}`" in document
