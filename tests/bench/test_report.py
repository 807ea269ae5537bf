"""The page of the benchmarks: targets with their reasons, and what it says of a shortened run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import pytest

from bench.report import Picture, Report, Target, listed, plural, wrapped

SETUP = {"rounds": "5 rounds", "seconds": 2, "workers": 2, "threads": 4, "connections": 64}


def no_reason() -> str:
    pytest.fail("nobody asks for the reason of a target that is met")


@pytest.fixture
def report() -> Report:
    report = Report()
    report.facts["date"] = "2046-11-22"
    report.target("booking ÷ yardstick", 0.72, "≥", 0.95, lambda: "It reads fields.")
    report.target("oversold seats", 0, "≤", 0, no_reason)
    report.add("The rush", "Many at once.", ["", "rate"], [["box office", "2,154"]])
    return report


@pytest.mark.parametrize(
    ("measured", "sign", "limit", "met"),
    [
        (0.95, "≥", 0.95, True),
        (0.9451, "≥", 0.95, True),  # it is printed as 0.95
        (0.944, "≥", 0.95, False),
        (1.0, "≤", 1.0, True),
        (1.004, "≤", 1.0, True),  # it is printed as 1.00
        (1.006, "≤", 1.0, False),
    ],
)
def test_verdict_fits_the_printed_figures(
    measured: float, sign: Literal["≥", "≤"], limit: float, met: bool
) -> None:
    target = Target("", measured, sign, limit, no_reason)
    assert target.met is met
    assert target.cells()[-1] == ("met" if met else "**missed**")


def test_missed_target_has_its_reason(report: Report) -> None:
    lines = report.targets().splitlines()
    assert "| booking ÷ yardstick | ≥ 0.95 | 0.72 | **missed** |" in lines
    assert "- **booking ÷ yardstick**: It reads fields." in lines
    assert lines[0] == "1 of 2 targets met."


def test_met_targets_have_no_reasons() -> None:
    report = Report()
    report.target("oversold seats", 0, "≤", 0, no_reason)
    assert "missed" not in report.targets()


def test_page_has_facts_targets_and_sections(report: Report) -> None:
    page = report.page(SETUP)
    assert "| date | 2046-11-22 |" in page
    assert report.targets() in page
    assert "## The rush\n\nMany at once.\n\n|  | rate |\n| --- | ---: |\n| box office |" in page
    assert "this run took 5 rounds" in page


def test_warnings_stand_above_everything_else(report: Report) -> None:
    page = report.page(SETUP, ["Shortened: 1 round.", "Disturbed: by others."])
    assert page.startswith(
        "# Benchmarks\n\n> **Shortened: 1 round.**\n\n> **Disturbed: by others.**\n\n"
    )


def test_page_without_warnings_has_no_place_for_them(report: Report) -> None:
    assert report.page(SETUP).startswith("# Benchmarks\n\nHow fast ")


def test_page_lacks_nothing_of_the_setup(report: Report) -> None:
    with pytest.raises(KeyError, match="rounds"):
        report.page({name: value for name, value in SETUP.items() if name != "rounds"})


def test_frame_of_the_page_has_no_figures() -> None:
    frame = (Path(__file__).parents[2] / "bench/page.md").read_text()
    assert not re.findall(r".*\d.*", frame)


def test_pictures_are_beside_the_page_that_shows_them(report: Report, tmp_path: Path) -> None:
    def draw(path: Path) -> None:
        path.write_text("<svg/>")

    picture = Picture("bench-latency", "Latency", draw)
    report.add("Latency", "", [""], [], picture)
    page = report.page(SETUP)
    report.write(tmp_path, page)
    (link,) = re.findall(r"!\[Latency\]\((.*)\)", page)
    assert (tmp_path / link).read_text() == "<svg/>"
    assert (tmp_path / "benchmarks.md").read_text() == page


def test_lists_read_as_sentences() -> None:
    assert [listed(list(names)) for names in ("a", "ab", "abc")] == ["a", "a and b", "a, b and c"]


def test_nouns_agree_with_their_numbers() -> None:
    assert [plural(number, "round") for number in (1, 2)] == ["1 round", "2 rounds"]


def test_long_lines_are_broken() -> None:
    text = wrapped("- " + "word " * 40)
    first, second = text.splitlines()
    assert len(first) <= 118
    assert second.startswith("  word")
