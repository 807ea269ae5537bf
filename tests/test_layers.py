"""The house's rules on who may know whom; data flows from routes to the store and back."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
MODULES = sorted(path.relative_to(PROJECT) for path in (PROJECT / "app").rglob("*.py"))

# A module (by the end of its path) may import these parts of the app, and these libraries.
ALLOWED: dict[str, tuple[set[str], set[str]]] = {
    "app/errors.py": (set(), set()),
    "app/showings.py": (set(), set()),
    "app/identifiers.py": (set(), set()),
    "app/idempotency.py": ({"errors"}, set()),
    "app/database.py": (set(), {"pymongo"}),
    "app/embedded.py": (set(), {"pymongo"}),
    "app/gateway.py": ({"http"}, {"granian", "werkzeug"}),
    "app/logs.py": (set(), {"flask", "pythonjsonlogger"}),
    "app/metrics.py": (set(), {"prometheus_client"}),
    "app/rate_limit.py": (set(), {"flask", "limits", "pymongo", "werkzeug"}),
    "app/config.py": ({"showings"}, {"limits", "phonenumbers", "pymongo", "tzlocal"}),
    "app/fields.py": ({"showings"}, {"marshmallow"}),
    "app/operations.py": ({"http", "metrics"}, {"flask", "marshmallow", "pymongo"}),
    "app/problems.py": ({"database", "errors"}, {"flask", "marshmallow", "pymongo", "werkzeug"}),
    "app/http.py": (
        {"errors", "problems"},
        {"flask", "flask_smorest", "marshmallow", "orjson", "webargs", "werkzeug"},
    ),
    "app/docs.py": (set(), {"flask", "flask_smorest", "flask_swagger_ui"}),
    "/phones.py": (set(), {"phonenumbers"}),
    "/store.py": ({"database", "errors", "idempotency", "showings"}, {"pymongo"}),
    "/service.py": (
        {"*.phones", "*.store", "errors", "idempotency", "identifiers", "showings"},
        set(),
    ),
    "/schemas.py": ({"*.phones", "fields"}, {"marshmallow"}),
    "/routes.py": ({"*.schemas", "*.service", "errors", "http"}, {"flask"}),
    "/resources.py": ({"*.routes", "*.schemas", "*.service", "errors", "http"}, {"flask"}),
    "/__init__.py": ({"*.routes", "*.resources"}, set()),
}


def imports(module: Path) -> set[str]:
    """Return the full names of the modules that a module imports."""
    names = set()
    for node in ast.walk(ast.parse((PROJECT / module).read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide who knows whom"
            if node.module == "app":
                names |= {f"app.{alias.name}" for alias in node.names}
            elif node.module and node.module != "__future__":
                names.add(node.module)
    return names


def is_standard(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


@pytest.mark.parametrize(
    "module", [module for module in MODULES if module != Path("app/__init__.py")], ids=str
)
def test_no_import_runs_uphill_or_sideways(module: Path) -> None:
    rule = next(end for end in ALLOWED if f"/{module}".endswith(end))
    parts, libraries = ALLOWED[rule]
    # `*` stands for the feature that the module is in, so features do not know each other.
    parts = {f"app.{part.replace('*', module.parent.name)}" for part in parts}
    for name in imports(module):
        if name.startswith("app"):
            assert name in parts, f"{module} must not import {name}"
        elif not is_standard(name):
            assert name.partition(".")[0] in libraries, f"{module} must not import {name}"


@pytest.mark.parametrize("part", ["app.embedded", "app.gateway", "app.logs"])
def test_only_the_launcher_and_the_tests_know_how_it_is_run(part: str) -> None:
    assert not [module for module in MODULES if part in imports(module)]
    assert part in imports(Path("root.py"))
