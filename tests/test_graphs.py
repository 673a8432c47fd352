"""Pictures of what the autograd recorded."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D

from dlbook.figures import style
from dlbook.figures.graphs import graph, neuron_graph, value_used_twice
from dlbook.scratch.autograd import Tensor, cross_entropy, exp, relu, tanh


@pytest.fixture(autouse=True)
def house_style() -> Iterator[None]:
    settings: Any = style.rc()  # matplotlib wants its keys as literals
    with mpl.rc_context(settings):
        yield


def network_loss() -> Tensor:
    rng = np.random.default_rng(0)
    W1 = Tensor(rng.normal(size=(4, 3)), name="W1")
    b1 = Tensor(np.zeros(3), name="b1")
    W2 = Tensor(rng.normal(size=(3, 2)), name="W2")
    X, y = rng.normal(size=(5, 4)), np.array([0, 1, 1, 0, 1])
    return cross_entropy(relu(X @ W1 + b1) @ W2, y)


def tensors(output: Tensor) -> set[Tensor]:
    return {output}.union(*(tensors(source) for source in output.sources))


def nodes(fig: Figure) -> list[FancyBboxPatch]:
    return [p for p in fig.axes[0].patches if isinstance(p, FancyBboxPatch)]


def arrows(fig: Figure) -> list[FancyArrowPatch]:
    return [p for p in fig.axes[0].patches if isinstance(p, FancyArrowPatch)]


def way(arrow: FancyArrowPatch) -> np.ndarray:
    """Return points of an arrow's line, without its head."""
    path = arrow.get_path()
    end = int(np.flatnonzero(np.asarray(path.codes) == Path.MOVETO)[1])
    line = Path(np.asarray(path.vertices)[:end], np.asarray(path.codes)[:end])
    (points,) = line.to_polygons(Affine2D().scale(1000), closed_only=False)
    return np.asarray(points) / 1000


def words(fig: Figure) -> list[str]:
    return [text.get_text() for text in fig.axes[0].texts]


def test_every_tensor_is_one_node_and_every_use_one_arrow() -> None:
    loss = network_loss()
    fig, found = graph(loss), tensors(loss)
    assert len(nodes(fig)) == len(found)
    assert len(arrows(fig)) == sum(len(tensor.sources) for tensor in found)
    assert {"W1", "b1", "W2", "@", "relu", "[ ]", "(4, 3)"} <= set(words(fig))


def test_a_value_used_three_times_has_three_arrows_none_upon_another() -> None:
    fig = value_used_twice()
    assert len(nodes(fig)) == 4
    ways = {str(way(arrow)) for arrow in arrows(fig)}
    assert len(ways) == len(arrows(fig)) == 5


def test_blue_arrows_are_those_along_which_gradients_come_back() -> None:
    w, c = Tensor(np.ones(2), name="w"), Tensor(np.ones(2), name="c", constant=True)
    fig = graph(w * tanh(c))
    colors = sorted(to_hex(arrow.get_edgecolor()) for arrow in arrows(fig))
    assert colors == sorted([style.BLUE, style.MUTED, style.MUTED])
    filled = [n for n in nodes(fig) if to_hex(n.get_facecolor()) == style.BLUE_SOFT]
    assert len(filled) == 1, "the parameter"


def test_nodes_stand_apart_inside_the_picture_and_computation_goes_to_the_right() -> None:
    fig = graph(network_loss())
    ax = fig.axes[0]
    boxes = [n.get_bbox() for n in nodes(fig)]
    for i, box in enumerate(boxes):
        assert ax.get_xlim()[0] < box.x0 < box.x1 < ax.get_xlim()[1]
        assert ax.get_ylim()[0] < box.y0 < box.y1 < ax.get_ylim()[1]
        assert not any(box.overlaps(other) for other in boxes[:i])
    for arrow in arrows(fig):
        assert (np.diff(way(arrow)[:, 0]) >= 0).all()


def test_an_arrow_past_other_nodes_goes_around_them() -> None:
    start = Tensor(np.ones(2))
    fig = graph(tanh(exp(tanh(start))) + start)
    for arrow in arrows(fig):
        for node in nodes(fig):
            inside = node.get_bbox().shrunk(0.9, 0.9)
            assert not any(inside.contains(x, y) for x, y in way(arrow))


def test_every_color_has_a_themed_value_and_the_drawing_is_the_same_each_time() -> None:
    def svg() -> str:
        file = io.StringIO()
        neuron_graph().savefig(file, format="svg", metadata={"Date": None})
        return file.getvalue()

    drawing = svg()
    assert drawing == svg()
    used = {
        f"#{part[:6]}"
        for part in drawing.split("#")[1:]
        if set(part[:6]) <= set("0123456789abcdef")
    }
    assert used <= set(style.THEMED)
    assert words(neuron_graph()).count("loss") == 1


def test_what_no_picture_can_show_is_refused() -> None:
    x = Tensor(np.ones(2))
    y = x
    for _ in range(60):
        y = tanh(y)
    with pytest.raises(ValueError, match="at most 60 tensors to draw, got 61"):
        graph(y)
    with pytest.raises(TypeError, match="expected a Tensor, got ndarray"):
        graph(x.value)  # type: ignore[arg-type]  # on purpose
