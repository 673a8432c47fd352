"""Mistakes that readers found in respected books and courses, kept out of the PyTorch half.

Each test belongs to an entry of the list "Errors of the field"; the number stands in its name.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from dlbook.pytorch.devices import move

ROOT = Path(__file__).parents[1]
META = torch.device("meta")  # holds shapes and no numbers, and is there on every machine
RETURNS_WHAT_IT_MOVED = {"to", "move", "cuda", "cpu"}
MODULES = {"model", "loss"}  # they alone move in place; so are they named throughout


def dropped_moves(code: str) -> Iterator[str]:
    """Yield every call that moves something and whose result is dropped."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called = node.value.func
            name = called.attr if isinstance(called, ast.Attribute) else ast.unparse(called)
            receiver = ast.unparse(called.value) if isinstance(called, ast.Attribute) else ""
            if name in RETURNS_WHAT_IT_MOVED and receiver.rpartition(".")[2] not in MODULES:
                yield ast.unparse(node)


def test_09_a_tensor_stays_where_it_was_and_a_model_moves() -> None:
    X, model = torch.zeros(2, 3), nn.Linear(3, 1)
    X.to(META)
    model.to(META)
    assert X.device == torch.device("cpu")
    assert model.weight.device == META


def test_09_a_batch_is_returned_where_it_was_moved_and_what_came_stays() -> None:
    batch = (torch.zeros(2, 3), torch.zeros(2))
    moved = move(batch, META)
    assert [part.device for part in moved] == [META, META]
    assert [part.device.type for part in batch] == ["cpu", "cpu"]


def test_09_no_module_and_no_lab_drops_what_it_moved() -> None:
    sources = [*(ROOT / "dlbook").rglob("*.py"), *(ROOT / "book" / "labs").rglob("*.py")]
    pitfalls = ROOT / "dlbook" / "pitfalls"  # programs that make the mistake on purpose
    sources = [path for path in sources if not path.is_relative_to(pitfalls)]
    dropped = {path.name: list(dropped_moves(path.read_text(encoding="utf-8"))) for path in sources}
    assert {name: lines for name, lines in dropped.items() if lines} == {}
    assert len(sources) > 50


def test_09_the_line_that_was_copied_so_widely_would_be_found() -> None:
    copied = """
    def fit(model, loader, device):
        model.to(device)
        for xb, yb in loader:
            xb.to(device)
            yb = yb.to(device)
            move(xb, device)
    """
    code = "\n".join(line[4:] for line in copied.splitlines())
    assert list(dropped_moves(code)) == ["xb.to(device)", "move(xb, device)"]


def test_12_view_and_reshape_both_exist_and_share_the_memory_of_a_contiguous_tensor() -> None:
    X = torch.arange(6)
    for Y in (X.view(2, 3), X.reshape(2, 3)):
        assert Y.tolist() == [[0, 1, 2], [3, 4, 5]]
        assert Y.data_ptr() == X.data_ptr()
        Y[0, 0] = 7
        assert X[0] == 7
        X[0] = 0


def test_12_where_strides_do_not_fit_view_refuses_and_reshape_copies() -> None:
    X = torch.arange(6).view(2, 3)
    T = X.T
    assert not T.is_contiguous()
    with pytest.raises(RuntimeError, match=r"view size is not compatible .* Use \.reshape"):
        T.view(6)
    Y = T.reshape(6)
    assert Y.tolist() == [0, 3, 1, 4, 2, 5]
    assert Y.data_ptr() != X.data_ptr()
    Y[0] = 7
    assert X[0, 0] == 0, "a change of the copy does not reach the original"
    assert torch.equal(T.contiguous().view(6), T.reshape(6)), "reshape is both in one"


def test_12_view_needs_fitting_strides_and_not_contiguity_itself() -> None:
    part = torch.arange(12).view(3, 4)[:, :2]
    assert not part.is_contiguous()
    assert part.view(3, 2, 1).data_ptr() == part.data_ptr(), "an axis split needs no copy"
    assert part.reshape(3, 2, 1).data_ptr() == part.data_ptr(), "and then reshape makes none"
    with pytest.raises(RuntimeError, match="view size is not compatible"):
        part.view(6)
