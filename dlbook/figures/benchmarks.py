"""Figures of the page on speed, drawn from what a benchmark recorded."""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from dlbook.figures import style

OTHERS = {
    "pytorch": ("PyTorch", style.BLUE, "o"),
    "sklearn": ("scikit-learn", style.ORANGE, "^"),
    "inline": ("in-line loop", style.GREEN, "s"),
    "products": ("bare products", style.PURPLE, "x"),
}
TICKS = (0.25, 0.5, 1, 2, 4, 8)


def speed(results: str) -> Figure:
    """Draw how long a step by hand takes, as a share of the others' time, for every cell.

    Parameters
    ----------
    results : str
        The file that ``tests.benchmarks.speed`` recorded, seen from the repository.

    Returns
    -------
    Figure
        A panel for each optimizer; a row for each network and batch size.
    """
    root = Path(__file__).parents[2]
    cells = json.loads((root / results).read_text(encoding="utf-8"))["values"]["cells"]
    ratios = {tuple(name.split(", ")): cell["ratios"] for name, cell in cells.items()}
    fig = style.canvas(height=4.6)
    optimizers = list(dict.fromkeys(optimizer for _, _, optimizer in ratios))
    panels = fig.subplots(1, len(optimizers), sharex=True, sharey=True, squeeze=False)[0]
    for ax, optimizer in zip(panels, optimizers, strict=True):
        _panel(ax, {key[:2]: r for key, r in ratios.items() if key[2] == optimizer})
        ax.set_title({"sgd": "SGD with momentum", "adam": "Adam"}.get(optimizer, optimizer))
    panels[0].invert_yaxis()
    fig.supxlabel("our time over theirs: left of 1 ours is shorter", fontsize=style.SMALL)
    handles = panels[0].get_legend_handles_labels()
    fig.legend(*handles, loc="outside upper center", ncols=len(OTHERS))
    return fig


def _panel(ax: Axes, ratios: dict[tuple[str, ...], dict[str, float]]) -> None:
    rows = range(len(ratios))
    for other, (label, color, marker) in OTHERS.items():
        times = [r[other] for r in ratios.values()]
        ax.plot(times, rows, marker, color=color, label=label, markersize=5, linestyle="none")
    ax.axvline(1, color=style.INK, linewidth=style.THIN)
    networks = [network for network, _ in ratios]
    for row in rows[1:]:
        if networks[row] != networks[row - 1]:
            ax.axhline(row - 0.5, color=style.GRID, linewidth=style.THIN)
    ax.set_xscale("log", base=2)
    ax.set_xticks(TICKS)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_yticks(rows, [f"{network}, {batch}" for network, batch in ratios])
    ax.grid(axis="x")
