"""The pictures are readable on light and dark pages."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="only requirements-bench.txt has matplotlib")

from bench import picture

PAGES = ("#ffffff", "#0d1117")  # GitHub's, light and dark


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour, as WCAG 2 defines it."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(colour: str, other: str) -> float:
    dark, light = sorted((luminance(colour), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("colour", picture.COLOURS)
def test_lines_and_bars_stand_out(colour: str, page: str) -> None:
    assert contrast(colour, page) >= 3  # WCAG's least for graphics


@pytest.mark.parametrize("page", PAGES)
def test_text_stands_out(page: str) -> None:
    # No colour reaches WCAG's 4.5 on both: the best that there is has 4.35.
    assert contrast(picture.INK, page) >= 4.25


def test_text_stays_text_and_the_page_shows_through(tmp_path: Path) -> None:
    file = tmp_path / "latency.svg"
    lines = [picture.Line("p50", [1, 2], 0), picture.Line("p99", [2, 9], 0, dashed=True)]
    picture.line_chart(file, "Latency", ("connections", "ms"), [1, 64], lines, "log")
    drawn = file.read_text()
    assert ">connections</text>" in drawn
    assert "fill: #ffffff" not in drawn


def test_same_figures_give_the_same_file(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("first.svg", "second.svg")]
    for file in files:
        picture.stacked_bars(file, "", ("", ""), ["0", "10"], {"workers": [1, 2], "all": [3, 4]})
    assert files[0].read_text() == files[1].read_text()


def test_contenders_have_a_bar_where_they_were_measured(tmp_path: Path) -> None:
    file = tmp_path / "bars.svg"
    groups = {"booking": {"ours": 0.71, "theirs": 0.52}, "view": {"ours": 0.33}}
    picture.grouped_bars(file, "", "", groups, {"booking": 0.95})
    drawn = file.read_text()
    assert all(drawn.count(f">{ratio}</text>") == 1 for ratio in (0.71, 0.52, 0.33))
    assert drawn.count(">theirs</text>") == 1
