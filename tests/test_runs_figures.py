from __future__ import annotations

import io
import math
import re
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.testing import assert_allclose, assert_array_equal

from dlbook.data import make_moons
from dlbook.figures import style
from dlbook.figures.runs import confusion_matrix_figure, decision_boundary, learning_curves
from dlbook.history import History


@pytest.fixture(autouse=True)
def house_style() -> Iterator[None]:
    settings: Any = style.rc()  # matplotlib wants its keys as literals
    with mpl.rc_context(settings):
        yield


def history(*rows: dict[str, float]) -> History:
    record = History()
    for row in rows:
        record.record(**row)
    return record


def run(losses: list[float]) -> History:
    return history(
        *(
            {"train_loss": loss, "train_accuracy": 0.9, "validation_loss": 2 * loss}
            for loss in losses
        )
    )


def svg(fig: Figure) -> str:
    file = io.StringIO()
    fig.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def moons() -> tuple[Any, Any]:
    return make_moons(40, rng=np.random.default_rng(0))


def slope(X: Any) -> Any:
    return 1 / (1 + np.exp(-4 * (X[:, 1] - 0.25)))


def test_the_curves_are_the_recorded_numbers() -> None:
    loss, accuracy = learning_curves(run([3.0, 2.0, 1.0])).axes
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    assert_array_equal(loss.lines[0].get_xdata(), [1, 2, 3])
    assert_array_equal(loss.lines[0].get_ydata(), [3, 2, 1])
    assert_array_equal(loss.lines[1].get_ydata(), [6, 4, 2])
    assert [line.get_label() for line in accuracy.lines] == ["training"]
    styles = {(line.get_color(), line.get_linestyle()) for line in loss.lines}
    assert len({dash for _, dash in styles}) == 2, "the curves differ without color too"


def test_a_loss_that_falls_far_gets_a_logarithmic_axis() -> None:
    assert learning_curves(run([1.0, 0.02])).axes[0].get_yscale() == "linear"
    assert learning_curves(run([1.0, 0.002])).axes[0].get_yscale() == "log"


def test_one_epoch_is_a_visible_point() -> None:
    assert learning_curves(run([1.0])).axes[0].lines[0].get_marker() == "o"


@pytest.mark.parametrize("losses", [[1.0, math.inf, math.nan], [math.nan], [0.0, 0.0], [5.0, 0.0]])
def test_a_run_that_diverged_or_became_perfect_is_drawn_all_the_same(losses: list[float]) -> None:
    svg(learning_curves(run(losses)))


def test_an_empty_history_is_refused() -> None:
    with pytest.raises(ValueError, match="without epochs"):
        learning_curves(History())


def test_the_boundary_runs_where_the_odds_are_even() -> None:
    fig = decision_boundary(slope, *moons())
    lines = [c for c in fig.axes[0].collections if isinstance(c, ContourSet) and not c.filled]
    even, sure = (np.vstack([p.vertices for p in line.get_paths()]) for line in lines)
    assert_allclose(even[:, 1], 0.25, atol=1e-6)
    assert_allclose(
        np.unique(sure[:, 1].round(2)), 0.25 + np.array([-1, 1]) * np.log(9) / 4, atol=0.01
    )


def test_every_point_is_drawn_with_its_class() -> None:
    X, y = moons()
    points = {line.get_label(): line for line in decision_boundary(slope, X, y).axes[0].lines}
    for c in (0, 1):
        assert_array_equal(np.column_stack(points[f"class {c}"].get_data()), X[y == c])
    assert points["class 0"].get_marker() != points["class 1"].get_marker()


def test_a_classifier_that_never_changes_its_mind_has_no_boundary() -> None:
    svg(decision_boundary(lambda X: np.full(len(X), 0.7), *moons()))


def test_what_no_plane_can_hold_is_refused() -> None:
    X, y = moons()
    with pytest.raises(ValueError, match=r"shape \(n, 2\), got \(40, 1\)"):
        decision_boundary(slope, X[:, :1], y)
    with pytest.raises(ValueError, match="expected classes 0 and 1"):
        decision_boundary(slope, X, y + 1)
    with pytest.raises(ValueError, match="has the run diverged"):
        decision_boundary(lambda X: np.full(len(X), np.nan), X, y)


def test_the_confusion_matrix_shows_each_count_in_its_place() -> None:
    matrix = np.array([[8, 2, 0], [0, 10, 0], [1, 0, 0]])
    ax = confusion_matrix_figure(matrix, ["a", "b", "c"]).axes[0]
    shown = {tuple(map(int, t.get_position())): int(t.get_text()) for t in ax.texts}
    assert shown == {(0, 0): 8, (1, 0): 2, (1, 1): 10, (0, 2): 1}
    assert [t.get_text() for t in ax.get_yticklabels()] == ["a", "b", "c"]
    assert ax.yaxis_inverted(), "class 0 stands on top"
    cells = [cell for cell in ax.patches if isinstance(cell, Rectangle)]
    colors = {
        (cell.get_x() + 0.5, cell.get_y() + 0.5): to_rgba(cell.get_facecolor()) for cell in cells
    }
    blue, orange = to_rgb(style.BLUE), to_rgb(style.ORANGE)
    assert colors[0, 0][:3] == colors[1, 1][:3] == blue
    assert colors[1, 0][:3] == colors[0, 2][:3] == orange
    assert colors[0, 2][3] > colors[1, 0][3], "all of a class is deeper than a fifth"


def test_a_matrix_that_does_not_fit_its_labels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 2\) for 2 labels, got \(3, 3\)"):
        confusion_matrix_figure(np.eye(3, dtype=int), ["a", "b"])


@pytest.mark.parametrize(
    "draw",
    [
        lambda: learning_curves(run([1.0, 0.001])),
        lambda: decision_boundary(slope, *moons()),
        lambda: confusion_matrix_figure(np.array([[3, 1], [0, 2]]), ["a", "b"]),
    ],
)
def test_every_color_can_be_replaced_by_the_site(draw: Any) -> None:
    drawn = svg(draw())
    assert set(re.findall(r"#[0-9a-f]{6}\b", drawn)) <= set(style.THEMED)
    assert svg(draw()) == drawn, "drawn again it is the same, byte for byte"
