"""The two plots, as SVG: throughput beside the bare insert, and rates as the tickets grow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.typing import RcKeyType

from bench.growth import Size
from bench.rounds import Spread
from bench.throughput import Throughput

_OURS, _OTHERS, _INK = "#2563a8", "#a9adb3", "#1f2328"
_NOT_OURS = {"bare", "check", "fastapi"}
_STYLE: dict[RcKeyType, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 13,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.fonttype": "path",  # looks the same wherever it is shown
    "svg.hashsalt": "box-office",  # and the same figures make the same file
}


def plot_throughput(throughput: Throughput, file: Path) -> None:
    """Draw the ratio of each contender, with its spread, as a bar."""
    contenders = list(throughput.contenders.items())[::-1]
    base = throughput.contenders["bare"]
    spreads = [Spread.of(contender.ratios(base)) for _, contender in contenders]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10, 5.2), layout="constrained")
        axes = figure.add_subplot()
        axes.barh(
            [contender.name.replace("`", "") for _, contender in contenders],
            [spread.median for spread in spreads],
            xerr=[
                [spread.median - spread.least for spread in spreads],
                [spread.most - spread.median for spread in spreads],
            ],
            color=[_OTHERS if key in _NOT_OURS else _OURS for key, _ in contenders],
            error_kw={"ecolor": _INK, "capsize": 4, "linewidth": 1.2},
            height=0.65,
        )
        for row, spread in enumerate(spreads):
            axes.annotate(
                f"{spread.median:.2f}",
                (spread.most, row),
                xytext=(8, 0),
                textcoords="offset points",
                va="center",
                fontweight="bold",
            )
        axes.axvline(1, color=_INK, linewidth=1, linestyle="--", zorder=0)
        axes.set_xlim(0, max(spread.most for spread in spreads) * 1.12)
        axes.set_xlabel("answers a second, as a multiple of the bare insert's (median and spread)")
        axes.tick_params(axis="y", length=0)
        figure.savefig(file, metadata={"Date": None})


def plot_growth(sizes: list[Size], file: Path) -> None:
    """Draw the rates of bookings and views over the stored tickets."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        axes = figure.add_subplot()
        positions = range(len(sizes))
        for name, color, marker, contenders in (
            ("POST /viewontime, full house", _OURS, "o", [size.view for size in sizes]),
            ("POST /booktickets", _INK, "s", [size.booking for size in sizes]),
        ):
            spreads = [Spread.of([turn.rate for turn in one.rounds]) for one in contenders]
            axes.errorbar(
                positions,
                [spread.median for spread in spreads],
                yerr=[
                    [spread.median - spread.least for spread in spreads],
                    [spread.most - spread.median for spread in spreads],
                ],
                label=name,
                color=color,
                marker=marker,
                markersize=8,
                linewidth=2,
                capsize=4,
            )
        axes.set_xticks(positions, [f"{size.tickets:,}" for size in sizes])
        axes.set_xlim(-0.3, len(sizes) - 0.7)
        axes.set_ylim(0)
        axes.set_xlabel("stored tickets")
        axes.set_ylabel("answers a second")
        axes.grid(axis="y", color="#e3e5e8")
        axes.set_axisbelow(True)
        axes.legend(frameon=False, loc="lower left")
        figure.savefig(file, metadata={"Date": None})
