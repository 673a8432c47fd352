"""Figures of the chapter on the neuron."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from dlbook.data import load_delivery, load_two_digits
from dlbook.figures import style
from dlbook.scratch.activations import sigmoid
from dlbook.scratch.neuron import Path, descend

WALK_INPUTS = (0.8, 1.0, 0.5)
WALK_WEIGHTS = (2.0, 1.5, -3.0)
WALK_BIAS = -1.0
WALK_NAMES = ("sunshine", "day off", "wind")


def delivery_line() -> Figure:
    """Draw the two delivery records, the line through them and the promise at 7 miles."""
    X, Y = load_delivery()
    fig = style.canvas(height=3.3)
    ax = fig.subplots()
    miles = np.array([0.0, 8.4])
    ax.axhline(30, color=style.MUTED, linewidth=style.THIN, linestyle=(0, (6, 3)))
    ax.text(0.1, 30.4, "the promise: 30 minutes", fontsize=style.SMALL, color=style.MUTED)
    ax.plot(miles, 3.4 * miles + 5.2, color=style.BLUE)
    ax.plot(X[:, 0], Y[:, 0], "o", color=style.INK, markersize=7)
    ax.plot(7, 29.0, "D", color=style.ORANGE, markersize=7)
    for x, y, dx, dy, align in [
        (5, 22.2, -0.15, 0.9, "right"),
        (6, 25.6, -0.15, 0.9, "right"),
        (7, 29.0, 0.2, -2.3, "left"),
    ]:
        ax.text(x + dx, y + dy, f"{x} miles, {y} min", ha=align, fontsize=style.SMALL)
    ax.plot(0, 5.2, "s", color=style.GREEN, markersize=6, clip_on=False, zorder=4)
    ax.text(0.2, 3.1, "bias 5.2: minutes before the first mile", fontsize=style.SMALL)
    ax.plot([2, 3, 3], [12.0, 12.0, 15.4], color=style.MUTED, linewidth=style.THIN)
    ax.text(3.1, 13.0, "weight 3.4: minutes more a mile", fontsize=style.SMALL)
    ax.set(xlabel="distance (miles)", ylabel="time (minutes)", xlim=(0, 8.4), ylim=(0, 36))
    return fig


def anatomy() -> Figure:
    """Draw a neuron with three inputs: weights on the arrows, sum, activation, output."""
    fig = style.canvas(height=2.7)
    ax = style.diagram(fig, (-1.3, 8.6), (-1.9, 1.9))
    for y, index in zip((1.35, 0.0, -1.35), "₁₂₃", strict=True):
        style.unit(ax, 0.3, y, f"x{index}", face=style.BLUE_SOFT)
        style.arrow(ax, (0.66, y), (3.02, 0.36 * np.sign(y)), width=style.THIN)
        ax.text(1.75, 0.68 * y + 0.2, f"w{index}", ha="center", color=style.BLUE)
    style.unit(ax, 3.5, 0.0, "Σ", radius=0.5)
    ax.text(3.5, -1.42, "b", ha="center", color=style.GREEN)
    style.arrow(ax, (3.5, -1.15), (3.5, -0.54))
    style.arrow(ax, (4.02, 0.0), (5.32, 0.0))
    ax.text(4.65, 0.16, "z", ha="center")
    style.unit(ax, 5.85, 0.0, "f", radius=0.5, face=style.ORANGE_SOFT)
    style.arrow(ax, (6.37, 0.0), (7.6, 0.0))
    ax.text(7.75, 0.0, "a", va="center")
    for x, text in [(0.3, "inputs"), (3.5, "weighted sum"), (5.85, "activation")]:
        ax.text(x, 1.8, text, ha="center", va="bottom", fontsize=style.SMALL, color=style.MUTED)
    ax.text(3.72, -1.42, "bias", fontsize=style.SMALL, color=style.MUTED)
    return fig


def walk_sum() -> Figure:
    """Draw how the four terms of the walk example add up, and what the sigmoid makes of them."""
    terms = [w * x for w, x in zip(WALK_WEIGHTS, WALK_INPUTS, strict=True)] + [WALK_BIAS]
    labels = [
        f"{name}\n{w:g} × {x:g}".replace("-", "−")
        for name, w, x in zip(WALK_NAMES, WALK_WEIGHTS, WALK_INPUTS, strict=True)
    ]
    fig = style.canvas(height=3.0)
    ax, curve = fig.subplots(1, 2, width_ratios=(1.7, 1))
    level = 0.0
    for position, term in enumerate(terms):
        up = term > 0
        ax.bar(
            position,
            term,
            bottom=level,
            width=0.62,
            color=style.BLUE_SOFT if up else style.ORANGE_SOFT,
            edgecolor=style.BLUE if up else style.ORANGE,
            hatch="" if up else "////",
        )
        ax.text(
            position,
            max(level, level + term) + 0.08,
            f"{term:+.1f}".replace("-", "−"),
            ha="center",
            fontsize=style.SMALL,
        )
        level += term
        ax.plot(
            [position - 0.31, position + 1.31], [level, level], color=style.MUTED, lw=style.THIN
        )
    ax.bar(4, level, width=0.62, color=style.INK)
    ax.text(4, level + 0.08, f"{level:.1f}", ha="center", fontsize=style.SMALL)
    ax.axhline(0, color=style.INK, linewidth=style.THIN)
    ax.set_xticks(range(5), [*labels, "bias", "z"])
    ax.set(ylim=(0, 3.6), ylabel="running sum")
    _sigmoid_axes(curve)
    a = float(sigmoid(np.array([level]))[0])
    curve.plot(
        [level, level, -6], [0, a, a], color=style.MUTED, linewidth=style.THIN, linestyle="--"
    )
    curve.plot(level, a, "o", color=style.ORANGE)
    curve.text(
        level + 0.5, a - 0.06, f"σ({level:.1f}) = {a:.2f}", fontsize=style.SMALL, va="center"
    )
    return fig


def _sigmoid_axes(ax: Axes) -> None:
    z = np.linspace(-6, 6, 121)
    ax.plot(z, sigmoid(z), color=style.BLUE)
    ax.set(
        xlabel="z",
        ylabel="a",
        xlim=(-6, 6),
        ylim=(0, 1.02),
        xticks=(-6, -3, 0, 3, 6),
        yticks=(0, 0.5, 1),
    )


def three_activations() -> Figure:
    """Draw the identity, the step and the sigmoid, the three activations of the chapter."""
    z = np.linspace(-4, 4, 161)
    fig = style.canvas(height=2.5)
    panels = [
        ("identity: any number", z),
        ("step: yes or no", np.where(z > 0, 1.0, 0.0)),
        ("sigmoid: how sure", sigmoid(z)),
    ]
    for ax, (title, a) in zip(fig.subplots(1, 3), panels, strict=True):
        ax.axvline(0, color=style.GRID, linewidth=style.THIN)
        if title.startswith("step"):
            ax.hlines([0, 1], [-4, 0], [0, 4], color=style.BLUE, linewidth=style.LINE)
            ax.plot(0, 0, "o", color=style.BLUE, markersize=5)
            ax.plot(
                0, 1, "o", markerfacecolor=style.PAPER, markeredgecolor=style.BLUE, markersize=5
            )
        else:
            ax.plot(z, a, color=style.BLUE)
        ax.set(
            title=title, xlabel="z", xlim=(-4, 4), ylim=(-4, 4) if title[0] == "i" else (-0.1, 1.1)
        )
    return fig


def weight_and_bias() -> Figure:
    """Draw what the weight and the bias do to the curve of a sigmoid neuron."""
    x = np.linspace(-6, 6, 241)
    fig = style.canvas(height=2.9)
    left, right = fig.subplots(1, 2, sharey=True)
    for w, color, dash in [(0.5, style.BLUE, "-"), (1, style.ORANGE, "--"), (3, style.GREEN, "-.")]:
        left.plot(x, sigmoid(w * x), color=color, linestyle=dash, label=f"w = {w:g}")
    for b, color, dash in [(-3, style.BLUE, "-"), (0, style.ORANGE, "--"), (3, style.GREEN, "-.")]:
        label = f"b = {b:g}".replace("-", "−")
        right.plot(x, sigmoid(x + b), color=color, linestyle=dash, label=label)
    left.set(title="the weight sets the slope (b = 0)", xlabel="x", ylabel="σ(wx + b)")
    right.set(title="the bias moves the curve (w = 1)", xlabel="x")
    for ax in (left, right):
        ax.axhline(0.5, color=style.GRID, linewidth=style.THIN)
        ax.legend(loc="lower right")
        ax.set(xlim=(-6, 6), ylim=(-0.02, 1.02))
    return fig


def walk_boundary() -> Figure:
    """Draw the boundary z = 0 between walking and staying on a day off, and its normal."""
    w1, w3, b = WALK_WEIGHTS[0], WALK_WEIGHTS[2], WALK_WEIGHTS[1] + WALK_BIAS
    sun, wind = np.meshgrid(np.linspace(0, 1, 41), np.linspace(0, 1, 41))
    a = sigmoid(w1 * sun + w3 * wind + b)
    fig = style.canvas(width=4.6, height=3.9)
    ax = fig.subplots()
    for low, high, color in [(0, 0.5, style.ORANGE_SOFT), (0.5, 1, style.BLUE_SOFT)]:
        ax.contourf(sun, wind, a, levels=[low, high], colors=[color])
    lines = ax.contour(
        sun, wind, a, levels=[0.2, 0.35, 0.65, 0.8], colors=style.MUTED, linewidths=0.8
    )
    places = [(0.3, 0.83), (0.2, 0.51), (0.3, 0.16), (0.6, 0.1)]
    ax.clabel(lines, fontsize=style.SMALL, fmt="%.2f", manual=places)
    ax.contour(sun, wind, a, levels=[0.5], colors=style.INK, linewidths=style.BOLD)
    foot = np.array([0.5, (w1 * 0.5 + b) / -w3])
    normal = 0.3 * np.array([w1, w3]) / np.hypot(w1, w3)
    style.arrow(ax, tuple(foot), tuple(foot + normal), width=style.LINE)
    tip = foot + normal
    ax.text(tip[0] + 0.02, tip[1] - 0.01, "(w₁, w₂)", va="center", fontsize=style.SMALL)
    ax.plot(0.8, 0.5, "o", color=style.INK)
    ax.text(0.78, 0.53, "today", ha="right", fontsize=style.SMALL)
    ax.text(0.08, 0.86, "stay", fontsize=style.LARGE)
    ax.text(0.84, 0.08, "walk", fontsize=style.LARGE)
    ax.set(xlabel="sunshine", ylabel="wind", xlim=(0, 1), ylim=(0, 1), aspect="equal")
    return fig


def batch_shapes() -> Figure:
    """Draw the shapes in Z = XW + b for four days with three inputs each."""
    fig = style.canvas(height=2.3)
    ax = style.diagram(fig, (-0.3, 12.6), (-1.3, 4.5))
    blocks = [
        (0.0, 4, 3, "X", "(n, d)", style.BLUE_SOFT),
        (4.4, 3, 1, "W", "(d, 1)", style.ORANGE_SOFT),
        (7.2, 1, 1, "b", "(1,)", style.PAPER),
        (10.2, 4, 1, "Z", "(n, 1)", style.BLUE_SOFT),
    ]
    for left, rows, columns, name, shape, face in blocks:
        for row in range(rows):
            for column in range(columns):
                corner = (left + column, 3 - row)
                picked = name in "XZ" and row == 1
                ax.add_patch(
                    Rectangle(
                        corner, 1, 1, facecolor=face, edgecolor=style.INK,
                        linewidth=style.BOLD if picked else style.THIN, zorder=3 if picked else 2,
                    )
                )  # fmt: skip
        ax.text(left + columns / 2, 4.15, name, ha="center")
        ax.text(
            left + columns / 2, -1.0, shape, ha="center", fontsize=style.SMALL, color=style.MUTED
        )
    for x, sign in [(3.7, "·"), (6.3, "+"), (9.2, "=")]:
        ax.text(x, 2.4, sign, ha="center", va="center", fontsize=style.LARGE + 3)
    ax.text(11.35, 2.5, "one day,\none sum", va="center", fontsize=style.SMALL)
    return fig


def one_step() -> Figure:
    """Draw the errors as squares before the first step and after it (centered distances)."""
    X, Y = load_delivery()
    x, y = X[:, 0] - X.mean(), Y[:, 0]
    path = descend(X - X.mean(), Y, lr=0.5, steps=1)
    fig = style.canvas(height=3.3)
    for ax, step in zip(fig.subplots(1, 2, sharey=True), (0, 1), strict=True):
        w, b = path.W[step, 0], path.b[step]
        grid = np.array([-1.2, 1.2])
        ax.plot(grid, w * grid + b, color=style.BLUE)
        ax.vlines(x, w * x + b, y, color=style.ORANGE, linewidth=style.BOLD)
        ax.plot(x, y, "o", color=style.INK, markersize=7)
        for xi, yi, ei in zip(x, y, w * x + b - y, strict=True):
            beside = yi + 0.5 * ei if step == 0 else yi - 1.6 * ei
            label = f"{ei:+.4g}".replace("-", "−")
            ax.text(xi + 0.07, beside, label, va="center", fontsize=style.SMALL)
        ax.set(
            title=f"after {step} step{'s' if step != 1 else ''}: loss {path.loss[step]:.4g}",
            xlabel="distance − 5.5 (miles)", xlim=(-1.2, 1.2), ylim=(-2, 30),
        )  # fmt: skip
    fig.axes[0].set_ylabel("time (minutes)")
    return fig


def _loss_grid(X: np.ndarray, Y: np.ndarray, w: np.ndarray, b: np.ndarray) -> np.ndarray:
    Z = w[..., np.newaxis] * X[:, 0] + b[..., np.newaxis]
    loss: np.ndarray = ((Z - Y[:, 0]) ** 2).mean(axis=-1)
    return loss


def two_landscapes() -> Figure:
    """Draw the loss over (w, b) with centered and with raw distances, and the ways down."""
    X, Y = load_delivery()
    fig = style.canvas(height=3.5)
    panels = [
        ("centered distances", X - X.mean(), 0.3, 40, (3.4, 23.9), (-5, 12), (10, 38)),
        ("raw distances", X, 0.03, 2000, (3.4, 5.2), (-5, 12), (-9, 19)),
    ]
    for ax, (title, inputs, lr, steps, best, wlim, blim) in zip(
        fig.subplots(1, 2), panels, strict=True
    ):
        w, b = np.meshgrid(np.linspace(*wlim, 301), np.linspace(*blim, 61))
        levels = (0.3, 3, 12, 35, 80, 160)
        ax.contour(
            w, b, _loss_grid(inputs, Y, w, b), levels=levels, colors=style.MUTED, linewidths=0.8
        )
        path = descend(inputs, Y, lr=lr, steps=steps)
        shown = np.r_[:40, 40 : steps + 1 : 40]  # after the first steps, every fortieth will do
        ax.plot(
            path.W[shown, 0], path.b[shown], color=style.BLUE, marker=".", markersize=4, linewidth=1
        )
        ax.plot(*best, "*", color=style.ORANGE, markersize=12)
        ax.set(title=title, xlabel="w (minutes per mile)", xlim=wlim, ylim=blim)
    fig.axes[0].set_ylabel("b (minutes)")
    return fig


def error_by_step() -> Figure:
    """Draw the error of the 7-mile prediction by step, centered against raw distances."""
    X, Y = load_delivery()
    centered = descend(X - X.mean(), Y, lr=0.5, steps=40)
    raw = descend(X, Y, lr=0.03, steps=20_000)
    runs: list[tuple[Path, float, str, str]] = [
        (centered, 1.5, style.BLUE, "-"),
        (raw, 7.0, style.ORANGE, "--"),
    ]
    fig = style.canvas(height=3.0)
    ax = fig.subplots()
    for path, x, color, dash in runs:
        error = np.abs(path.W[:, 0] * x + path.b - 29.0)
        steps = np.unique(np.geomspace(1, len(error) - 1, 300).astype(int))
        ax.plot(steps, error[steps], color=color, linestyle=dash)
    ax.axhline(0.001, color=style.MUTED, linewidth=style.THIN)
    ax.text(1.1, 0.0013, "0.001 minute", fontsize=style.SMALL, color=style.MUTED)
    ax.text(11, 0.02, "centered,\nrate 0.5", ha="right", fontsize=style.SMALL, color=style.BLUE)
    ax.text(300, 1.6, "raw miles, rate 0.03", fontsize=style.SMALL, color=style.ORANGE)
    ax.set(
        xscale="log", yscale="log", xlabel="steps", ylabel="error at 7 miles (min)",
        xlim=(1, 20_000), ylim=(1e-4, 50),
    )  # fmt: skip
    return fig


def digit_weights() -> Figure:
    """Draw the mean 3, the mean 8, the weights that tell them apart, and the held-out sums."""
    digits = load_two_digits(3, 8, rng=np.random.default_rng(0))
    (X, Y), (held_out, truth) = digits.train, digits.test
    mean = X.mean(axis=0)
    path = descend(X - mean, Y, lr=0.1, steps=200)
    weights, z = path.W[-1], (held_out - mean) @ path.W[-1] + path.b[-1]
    fig = style.canvas(height=2.5)
    axes = fig.subplots(1, 4, width_ratios=(1, 1, 1, 1.5))
    limit = float(np.abs(weights).max())
    images = [
        ("mean 3", X[Y[:, 0] < 0].mean(axis=0), "Greys", 0.0, 1.0),
        ("mean 8", X[Y[:, 0] > 0].mean(axis=0), "Greys", 0.0, 1.0),
        ("weights", weights, style.diverging(), -limit, limit),
    ]
    for ax, (title, image, cmap, low, high) in zip(axes[:3], images, strict=True):
        ax.pcolormesh(image.reshape(8, 8)[::-1], cmap=cmap, vmin=low, vmax=high)
        ax.set(title=title, xticks=(), yticks=(), aspect="equal")
        ax.spines[:].set_visible(True)
    bins = np.linspace(-2, 2, 21)
    for label, sign, face, edge, hatch in [
        ("3", -1, style.ORANGE_SOFT, style.ORANGE, "////"),
        ("8", 1, style.BLUE_SOFT, style.BLUE, ""),
    ]:
        axes[3].hist(
            z[truth[:, 0] == sign], bins, color=face, edgecolor=edge, hatch=hatch, label=label
        )
    axes[3].axvline(0, color=style.INK, linewidth=style.LINE)
    axes[3].set(title="held-out sums", xlabel="z", yticks=())
    axes[3].legend(loc="upper right", handlelength=1.2)
    axes[3].set_xlim(-2.1, 2.9)
    return fig


def and_or_xor() -> Figure:
    """Draw AND and OR, each cut by a line, and XOR, which no line cuts."""
    points = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    fig = style.canvas(height=2.6)
    panels = [
        ("AND", (0, 0, 0, 1), -1.5),
        ("OR", (0, 1, 1, 1), -0.5),
        ("XOR", (0, 1, 1, 0), None),
    ]
    for ax, (title, answers, bias) in zip(fig.subplots(1, 3), panels, strict=True):
        if bias is not None:
            x = np.array([-0.5, 1.5])
            ax.fill_between(x, -bias - x, 1.6, color=style.BLUE_SOFT, linewidth=0)
            ax.plot(x, -bias - x, color=style.BLUE)
        for (x1, x2), answer in zip(points, answers, strict=True):
            ax.plot(
                x1, x2, "o", markersize=11, zorder=3, markeredgecolor=style.INK,
                markerfacecolor=style.INK if answer else style.PAPER,
            )  # fmt: skip
        ax.set(
            title=title, xlabel="x₁", xlim=(-0.5, 1.5), ylim=(-0.5, 1.5),
            xticks=(0, 1), yticks=(0, 1), aspect="equal",
        )  # fmt: skip
    fig.axes[0].set_ylabel("x₂")
    return fig


def xor_network() -> Figure:
    """Draw the three step neurons that compute XOR, and a table of what each of them says."""
    fig = style.canvas(height=2.7)
    ax = style.diagram(fig, (-0.6, 12.0), (-2.4, 2.6))
    for y, label in [(1.2, "x₁"), (-1.2, "x₂")]:
        style.unit(ax, 0.0, y, label, radius=0.42, face=style.BLUE_SOFT)
        for target in (1.2, -1.2):
            bend = 0.28 * np.sign(target - y)
            style.arrow(ax, (0.46, y + bend), (2.54, target - bend))
    weights = [(1.5, 1.35), (1.5, -1.65), (0.62, 0.24), (0.62, -0.5), (4.5, 0.95), (4.5, -1.25)]
    for (x, y), weight in zip(weights, ["1", "1", "1", "1", "1", "−1"], strict=True):
        ax.text(x, y, weight, ha="center", fontsize=style.SMALL, color=style.BLUE)
    steps = [
        (3.1, 1.2, "at least one", "b = −0.5"),
        (3.1, -1.2, "both", "b = −1.5"),
        (5.7, 0, "", "b = −0.5"),
    ]
    for x, y, name, bias in steps:
        style.unit(ax, x, y, "", radius=0.5, face=style.PAPER if name else style.ORANGE_SOFT)
        corner = ([x - 0.25, x, x, x + 0.25], [y - 0.2, y - 0.2, y + 0.2, y + 0.2])
        ax.plot(*corner, color=style.INK, linestyle="-", zorder=4)
        ax.text(x, y + 0.68, name, ha="center", fontsize=style.SMALL)
        ax.text(x, y - 0.95, bias, ha="center", fontsize=style.SMALL, color=style.GREEN)
    for y in (1.2, -1.2):
        style.arrow(ax, (3.64, y - 0.14 * np.sign(y)), (5.18, 0.24 * np.sign(y)))
    style.arrow(ax, (6.22, 0.0), (6.95, 0.0))
    columns = [(8.0, "x₁"), (8.7, "x₂"), (9.7, "at least\none"), (10.75, "both"), (11.6, "XOR")]
    rows = [(0, 0, 0, 0, 0), (0, 1, 1, 0, 1), (1, 0, 1, 0, 1), (1, 1, 1, 1, 0)]
    for k, (x, head) in enumerate(columns):
        ax.text(x, 1.75, head, ha="center", va="bottom", fontsize=style.SMALL, color=style.MUTED)
        for line, row in enumerate(rows):
            ax.text(x, 1.15 - 0.85 * line, str(row[k]), ha="center", va="center")
    ax.plot([7.6, 12.0], [1.6, 1.6], color=style.MUTED, ls="-", lw=style.THIN)
    return fig
