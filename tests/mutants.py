"""Changes one module in many small ways, and shows the changes that no test notices.

`make mutants MODULE=app/domain/showings.py` runs this. mutmut works in a copy of the project, and
runs only the quick tests that reach the changed function.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).parent.parent
MUTMUT = [str(Path(sys.executable).with_name("mutmut"))]
FEATURES = ["tests/tickets", "tests/booking", "tests/multiplex"]
CONFIG = """
[tool.mutmut]
source_paths = ["app"]
only_mutate = ["{module}"]
also_copy = {also_copy}
pytest_add_cli_args = ["-m", "not slow", "-p", "no:cacheprovider"]
pytest_add_cli_args_test_selection = {tests}
# A mutant has this many times as long as its tests take, and these seconds.
timeout_multiplier = 5.0
timeout_constant = 10.0
"""


def tests_of(module: Path) -> list[str]:
    """Return the tests that a module's mutants run by default: its folder's, and its users'."""
    folder = module.parts[1]
    if not (PROJECT / "tests" / folder).is_dir():
        return [f"tests/test_{module.name}"]
    users = FEATURES if folder in ("domain", "mongodb", "web") else []
    return list(dict.fromkeys([f"tests/{folder}", *users]))


def copy_project(target: Path) -> list[str]:
    """Copy the files that belong to the project, and return the names at its top."""
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    output = subprocess.run(listed, cwd=PROJECT, check=True, capture_output=True, text=True).stdout
    names = [name for name in output.split("\0") if (PROJECT / name).is_file()]
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, target / name)
    return sorted({name.partition("/")[0] for name in names} - {"app"})


def main(module: str, *tests: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        also_copy = copy_project(Path(folder))
        config = CONFIG.format(
            module=module, also_copy=also_copy, tests=list(tests) or tests_of(Path(module))
        )
        with (Path(folder) / "pyproject.toml").open("a") as pyproject:
            pyproject.write(config)
        subprocess.run([*MUTMUT, "run"], cwd=folder, check=True)
        results = subprocess.run(
            [*MUTMUT, "results"], cwd=folder, check=True, capture_output=True, text=True
        ).stdout.split("\n")
        for mutant in (line.partition(":")[0].strip() for line in results if ": " in line):
            subprocess.run([*MUTMUT, "show", mutant], cwd=folder, check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
