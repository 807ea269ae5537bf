"""The report: tables that are printed, and filled into docs/benchmarks.md between its markers."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

_PACKAGES = ("Flask", "pymongo", "gunicorn", "gevent", "granian", "fastapi", "uvicorn")


class Report:
    """The tables of a run, by name, and the targets that it met or missed."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        """Facts about the run itself, by name."""
        self._tables: dict[str, str] = {}
        self._targets: list[list[str]] = []
        self._pictures: list[Callable[[], None]] = []

    def table(self, name: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Add a table in Markdown, its numbers to the right, and print it."""
        marks = ["---", *["---:"] * (len(header) - 1)]
        lines = [f"| {' | '.join(cells)} |" for cells in (header, marks, *rows)]
        self._tables[name] = "\n".join(lines)
        print(f"\n{name}\n\n{self._tables[name]}\n", flush=True)

    def picture(self, draw: Callable[[], None]) -> None:
        """Add a picture, which is drawn when the tables are filled in."""
        self._pictures.append(draw)

    def target(self, what: str, measured: float, sign: Literal["≥", "≤"], limit: float) -> None:
        """Add a target, and whether it was met."""
        met = measured >= limit if sign == "≥" else measured <= limit
        verdict = "met" if met else "**missed**"
        self._targets.append([what, f"{sign} {limit:.2f}", f"{measured:.2f}", verdict])

    def finish(self) -> None:
        """Add the tables of the targets and of the run itself."""
        self.table("targets", ["", "target", "measured", ""], self._targets)
        cores, memory = os.cpu_count(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        versions = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
        facts = {
            "date": f"{datetime.now().astimezone():%Y-%m-%d}",
            "machine": f"{cores} cores, {memory / 2**30:.0f} GiB, {platform.platform()}",
            "versions": f"Python {platform.python_version()}, {versions}",
        }
        self.table("run", ["", ""], (facts | self.facts).items())

    def write(self, document: Path) -> None:
        """Fill the tables in; raises ValueError when the document has no place for one of them."""
        text = document.read_text()
        for name, table in self._tables.items():
            before, start, rest = text.partition(f"<!-- table: {name} -->\n")
            _, end, after = rest.partition("<!-- end -->")
            if not end:
                raise ValueError(f"{document} has no place for the table {name}")
            text = f"{before}{start}{table}\n{end}{after}"
        document.write_text(text)
        for draw in self._pictures:
            draw()
