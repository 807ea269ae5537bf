"""A line chart as SVG that is readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

_GREY = "#7d7d7d"  # has contrast on white and on black


def draw(
    path: Path,
    title: str,
    x: Sequence[float],
    x_label: str,
    lines: Mapping[str, Sequence[float]],
) -> None:
    """Draw one line per name over `x`, as SVG in the file `path`."""
    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "box office", "font.size": 11, "text.color": _GREY})
    figure, axes = pyplot.subplots(figsize=(7.5, 4.2))
    for name, values in lines.items():
        axes.plot(x, values, marker="o", label=name)
    axes.set_title(title, color=_GREY)
    axes.set_xlabel(x_label, color=_GREY)
    axes.set_xticks(x)
    axes.set_ylim(bottom=0)
    axes.tick_params(colors=_GREY)
    axes.grid(color=_GREY, alpha=0.3)
    for side in axes.spines.values():
        side.set_color(_GREY)
    axes.legend(frameon=False)
    figure.savefig(path, transparent=True, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
