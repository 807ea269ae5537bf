"""The report: sections and targets that are printed, and the page that is made of them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Literal, NamedTuple

_PAGE = Path(__file__).with_name("page.md")


class Picture(NamedTuple):
    """A picture: its name, what it shows, and what draws it into a file."""

    name: str
    shows: str
    draw: Callable[[Path], None]


@dataclass(frozen=True)
class Target:
    """A figure to reach; `reason` says why it is missed, from what has been measured."""

    what: str
    measured: float
    sign: Literal["≥", "≤"]
    limit: float
    reason: Callable[[], str]

    @property
    def met(self) -> bool:
        """Whether the figure, as it is printed, reaches the limit."""
        measured, limit = round(self.measured, 2), round(self.limit, 2)
        return measured >= limit if self.sign == "≥" else measured <= limit

    def cells(self) -> list[str]:
        """Return its row of the table."""
        verdict = "met" if self.met else "**missed**"
        return [self.what, f"{self.sign} {self.limit:.2f}", f"{self.measured:.2f}", verdict]


class Report:
    """What a run measured, in the order of its parts."""

    def __init__(self) -> None:
        self.facts: dict[str, str] = {}
        """Facts about the run itself, by name."""
        self.profile: dict[str, Mapping[str, float]] = {}
        """Microseconds of a request by what takes them, for each workload."""
        self._sections: list[str] = []
        self._targets: list[Target] = []
        self._pictures: list[Picture] = []

    def add(
        self,
        title: str,
        text: str,
        header: Sequence[str],
        rows: Iterable[Sequence[str]],
        picture: Picture | None = None,
    ) -> None:
        """Add a section, and print it."""
        section = f"## {title}\n\n{wrapped(text)}\n\n{table(header, rows)}\n"
        print(section, flush=True)
        if picture:
            section += f"\n![{picture.shows}](screenshots/{picture.name}.svg)\n"
            self._pictures.append(picture)
        self._sections.append(section)

    def target(
        self,
        what: str,
        measured: float,
        sign: Literal["≥", "≤"],
        limit: float,
        reason: Callable[[], str],
    ) -> None:
        """Add a target; the reason is asked for at the end, and only where it is missed."""
        self._targets.append(Target(what, measured, sign, limit, reason))

    def targets(self) -> str:
        """Return the table of the targets, and the reason of each that is missed."""
        missed = [target for target in self._targets if not target.met]
        met = len(self._targets) - len(missed)
        lines = [
            f"{met} of {plural(len(self._targets), 'target')} met.",
            "",
            table(["", "target", "measured", ""], (target.cells() for target in self._targets)),
        ]
        if missed:
            lines += ["", "Why the others are missed:", ""]
            lines += [wrapped(f"- **{target.what}**: {target.reason()}") for target in missed]
        return "\n".join(lines)

    def page(self, setup: Mapping[str, object], warnings: Sequence[str] = ()) -> str:
        """Return the whole page, the warnings on top; `setup` is how everything was measured."""
        return Template(_PAGE.read_text()).substitute(
            setup,
            warnings="".join(f"> **{warning}**\n\n" for warning in warnings),
            facts=table(["", ""], self.facts.items()),
            targets=self.targets(),
            sections="\n".join(self._sections),
        )

    def write(self, folder: Path, page: str) -> None:
        """Write the page and draw its pictures."""
        (folder / "screenshots").mkdir(parents=True, exist_ok=True)
        (folder / "benchmarks.md").write_text(page)
        for picture in self._pictures:
            picture.draw(folder / f"screenshots/{picture.name}.svg")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown, its figures to the right."""
    marks = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (header, marks, *rows))


def wrapped(text: str) -> str:
    """Return a text with its lines broken where they are too long."""
    return "\n".join(
        textwrap.fill(
            line,
            width=118,
            subsequent_indent="  " if line.startswith("- ") else "",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.splitlines()
    )


def plural(number: int, noun: str) -> str:
    """Return a number and its noun: "1 round", "5 rounds"."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def listed(names: Sequence[str]) -> str:
    """Return names as a sentence lists them: "a", "a and b", "a, b and c"."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
