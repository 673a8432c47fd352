"""A frozen layer that was never trained is found where it does harm, and nowhere else."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tests.judged import batches, descend, judged, reported


def rings() -> tuple[Tensor, Tensor]:
    y = torch.randint(2, (400,))
    angle = 6.3 * torch.rand(400)
    radius = 1 + 1.5 * y + 0.15 * torch.randn(400)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], 1), y


def classifier(width: int) -> nn.Sequential:
    layers = [nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, width), nn.ReLU(), nn.Linear(width, 2)]
    return nn.Sequential(*layers)


def fresh_layer_frozen() -> None:
    X, y = rings()
    model = classifier(1)
    for p in (*model[0].parameters(), *model[2].parameters()):
        p.requires_grad = False
    held = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(held, 0.02)
    for xb, yb in batches(X, y, epochs=12):
        descend(optimizer, cross_entropy(model(xb), yb))


def wide_random_features() -> None:
    X, y = rings()
    model = classifier(256)
    for p in (*model[0].parameters(), *model[2].parameters()):
        p.requires_grad = False
    optimizer = torch.optim.Adam(model[4].parameters(), 0.02)
    for xb, yb in batches(X, y, epochs=12):
        descend(optimizer, cross_entropy(model(xb), yb))


def test_a_fresh_layer_that_is_frozen_is_found() -> None:
    assert judged(fresh_layer_frozen, ["layers-frozen-at-random"]) == ["layers-frozen-at-random"]


def test_random_features_that_suffice_are_not_accused() -> None:
    assert not reported(wide_random_features)
