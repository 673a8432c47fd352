"""After the first evaluation the network stays in evaluation mode.

Symptom: the network learns its training records by heart, wrong labels included, as if it had no
dropout. The loss in training falls to almost nothing, that in validation climbs above the 0.69 of a
constant answer.

Cause: ``model.eval()`` holds until ``model.train()`` is called. From the second epoch on dropout
does nothing.

Cure: ``model.train()`` at the head of each epoch, not once before the first.

Met: where the evaluation is a function of its own, which leaves the mode behind as a side effect.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_classification
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "training-in-evaluation-mode"


@torch.no_grad()
def validate(model: nn.Module, X: Tensor, y: Tensor) -> float:
    """Return the mean loss in evaluation mode."""
    model.eval()
    return nn.functional.cross_entropy(model(X), y).item()


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_classification(700, 20, flip_y=0.2, class_sep=1.5, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(
        nn.Dropout(0.3), nn.Linear(20, 128), nn.ReLU(), nn.Dropout(0.7), nn.Linear(128, 2)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    model.train()
    for _ in range(60):
        for rows in torch.randperm(200).split(40):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        validation = validate(model, X[200:], y[200:])
    return {"training": validate(model, X[:200], y[:200]), "validation": validation}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_classification(700, 20, flip_y=0.2, class_sep=1.5, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    model = nn.Sequential(
        nn.Dropout(0.3), nn.Linear(20, 128), nn.ReLU(), nn.Dropout(0.7), nn.Linear(128, 2)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        model.train()
        for rows in torch.randperm(200).split(40):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        validation = validate(model, X[200:], y[200:])
    return {"training": validate(model, X[:200], y[:200]), "validation": validation}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["training"] < 0.02 and outcome.measured["validation"] > 0.69
