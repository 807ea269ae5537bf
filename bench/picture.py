"""The pictures: SVG with mid-tone colours, so that they are readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib import pyplot

INK = "#787878"  # text and axes
COLOURS = ("#2f81d6", "#c8641b", "#2e8b57", "#9467d6", "#d1495b", "#8a7a2a")
_MARKERS = "osD^vP"  # for readers who cannot tell the colours apart
_INKED = ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color")
_STYLE = dict.fromkeys(_INKED, INK) | {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "box office",  # the same figures give the same file
    "font.size": 11,
    "axes.prop_cycle": f"cycler('color', {list(COLOURS)})",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": INK,
    "grid.alpha": 0.3,
    "legend.frameon": False,
}


class Line(NamedTuple):
    """A line of a chart; lines that belong together share a colour, and differ in their dashes."""

    name: str
    values: Sequence[float]
    colour: int
    dashed: bool = False


def grouped_bars(
    path: Path,
    title: str,
    x_label: str,
    groups: Mapping[str, Mapping[str, float]],
    targets: Mapping[str, float],
) -> None:
    """Draw a horizontal bar for each contender in each group, and a mark at the group's target."""
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    places = [(kind, name) for kind, group in groups.items() for name in group]
    # One step from bar to bar, and one more from group to group.
    y = {place: n + list(groups).index(place[0]) for n, place in enumerate(places)}
    spans = {kind: [y[kind, name] for name in group] for kind, group in groups.items()}
    with _axes(path, title, height=1.5 + 0.25 * (len(places) + len(groups))) as axes:
        axes.axvline(1, color=INK, linewidth=1, zorder=0)
        for name in names:
            kinds = [kind for kind, group in groups.items() if name in group]
            values = [groups[kind][name] for kind in kinds]
            axes.barh([y[kind, name] for kind in kinds], values, 0.9, label=name)
        for kind, name in places:
            ratio = f"{groups[kind][name]:.2f}"
            axes.text(0.01, y[kind, name], ratio, color="white", fontsize=10, va="center")
        tops = [spans[kind][0] - 0.7 for kind in targets]
        axes.plot(list(targets.values()), tops, "v", color=INK, label="target of the box office")
        axes.set_yticks([sum(span) / len(span) for span in spans.values()], list(spans))
        axes.tick_params(axis="y", length=0)
        axes.set_ylim(max(y.values()) + 1, -1.2)
        axes.set_xlim(left=0)
        axes.set_xlabel(x_label)
        axes.grid(axis="x")


def line_chart(
    path: Path,
    title: str,
    labels: tuple[str, str],
    x: Sequence[float],
    lines: Sequence[Line],
    scale: str = "linear",
) -> None:
    """Draw lines over `x`; the labels are those of the two axes."""
    with _axes(path, title, height=5) as axes:
        for line in lines:
            axes.plot(
                x,
                line.values,
                "--" if line.dashed else "-",
                color=COLOURS[line.colour],
                marker=_MARKERS[line.colour],
                label=line.name,
            )
        axes.set_xscale(scale)
        axes.set_yscale(scale)
        if scale == "linear":
            axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
        axes.set_xticks(x, [f"{value:g}" for value in x])
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.grid()


def stacked_bars(
    path: Path,
    title: str,
    labels: tuple[str, str],
    x: Sequence[str],
    layers: Mapping[str, Sequence[float]],
) -> None:
    """Draw a bar for each of `x`, made of layers; the labels are those of the two axes."""
    with _axes(path, title, height=5) as axes:
        base = [0.0] * len(x)
        for name, values in layers.items():
            drawn = axes.bar(x, values, 0.6, base, label=name)
            axes.bar_label(drawn, fmt="%.0f", label_type="center", color="white")
            base = [below + value for below, value in zip(base, values, strict=True)]
        axes.bar_label(drawn, [f"{total:.0f}" for total in base], padding=3)
        axes.set_xlabel(labels[0])
        axes.set_ylabel(labels[1])
        axes.grid(axis="y")


@contextmanager
def _axes(path: Path, title: str, height: float) -> Iterator[Any]:
    """Give axes to draw on; then add the legend, and save them as SVG."""
    mpl.use("svg")
    with mpl.rc_context(_STYLE):
        figure, axes = pyplot.subplots(figsize=(8, height), layout="constrained")
        axes.set_title(title, loc="left")
        yield axes
        longest = max(map(len, axes.get_legend_handles_labels()[1]))
        figure.legend(loc="outside lower left", ncols=1 if longest > 40 else 2)
        figure.savefig(path, transparent=True, metadata={"Date": None})
        pyplot.close(figure)
