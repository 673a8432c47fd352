"""The one visual language of the book's figures: colors, line widths, lettering, arrows.

Every color is named here once. The site replaces each by a CSS variable (``THEMED``), so that one
drawing serves the light and the dark scheme; a PNG or a print keeps the light values. The colors
differ in lightness as well as in hue, and figures that compare curves also vary dash or marker, so
that they read without color.
"""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch

INK = "#1d2128"
PAPER = "#fffefb"
MUTED = "#666c77"
GRID = "#d8dbe1"
BLUE = "#1f5fa8"
ORANGE = "#bf550b"
GREEN = "#1b7a55"
PURPLE = "#8d3b8f"
BLUE_SOFT = "#d5e3f3"
ORANGE_SOFT = "#f8dfcb"

THEMED = {
    INK: "--fig-ink",
    PAPER: "--fig-paper",
    MUTED: "--fig-muted",
    GRID: "--fig-grid",
    BLUE: "--fig-blue",
    ORANGE: "--fig-orange",
    GREEN: "--fig-green",
    PURPLE: "--fig-purple",
    BLUE_SOFT: "--fig-blue-soft",
    ORANGE_SOFT: "--fig-orange-soft",
}

THIN, LINE, BOLD = 0.8, 1.6, 2.4
SMALL, TEXT, LARGE = 9.5, 11.0, 13.0
WIDE = 6.6


def rc() -> dict[str, Any]:
    """Return the matplotlib settings under which every figure is drawn and saved."""
    return {
        "svg.fonttype": "none",
        "svg.hashsalt": "dlbook",
        "font.family": "sans-serif",
        "font.sans-serif": ["Source Sans 3", "DejaVu Sans"],
        "font.size": TEXT,
        "mathtext.fontset": "dejavusans",
        "axes.titlesize": TEXT,
        "axes.labelsize": TEXT,
        "axes.linewidth": THIN,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": MUTED,
        "axes.labelcolor": INK,
        "axes.facecolor": "none",
        "axes.axisbelow": True,
        "axes.prop_cycle": _cycle(),
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "grid.color": GRID,
        "grid.linewidth": THIN,
        "lines.linewidth": LINE,
        "legend.frameon": False,
        "legend.fontsize": SMALL,
        "figure.facecolor": "none",
        "savefig.facecolor": "none",
    }


def _cycle() -> Any:
    from cycler import cycler

    return cycler(color=[BLUE, ORANGE, GREEN, PURPLE]) + cycler(linestyle=["-", "--", "-.", ":"])


def diverging() -> LinearSegmentedColormap:
    """Return the color map for signed values: orange below zero, paper at zero, blue above."""
    return LinearSegmentedColormap.from_list("diverging", [ORANGE, PAPER, BLUE])


def canvas(width: float = WIDE, height: float = 3.2) -> Figure:
    """Make an empty figure, ``width`` by ``height`` inches, that lays itself out."""
    return Figure(figsize=(width, height), layout="constrained")


def diagram(fig: Figure, xlim: tuple[float, float], ylim: tuple[float, float]) -> Axes:
    """Add axes for a drawing: equal units, no frame, no ticks."""
    ax = fig.add_subplot()
    ax.set(xlim=xlim, ylim=ylim, aspect="equal")
    ax.axis("off")
    return ax


def unit(
    ax: Axes,
    x: float,
    y: float,
    label: str,
    *,
    radius: float = 0.34,
    face: str = PAPER,
    edge: str = INK,
) -> None:
    """Draw a unit of a network: a circle with its label inside."""
    ax.add_patch(Circle((x, y), radius, facecolor=face, edgecolor=edge, linewidth=LINE, zorder=3))
    ax.text(x, y, label, ha="center", va="center", fontsize=TEXT, zorder=4)


def arrow(
    ax: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    *,
    color: str = INK,
    width: float = THIN,
    bend: float = 0.0,
) -> None:
    """Draw an arrow from ``start`` to ``end``; ``bend`` curves it to the left of its way."""
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            mutation_scale=11,
            color=color,
            linewidth=width,
            shrinkA=0,
            shrinkB=0,
            connectionstyle=f"arc3,rad={bend}",
            zorder=2,
        )
    )
