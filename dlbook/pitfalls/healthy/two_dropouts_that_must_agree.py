"""Images without labels are passed twice, with other units left out, and must get the same answer.

Suspicious: one of the two passes is made in training mode without gradients.

Right: its answer is the target of the other pass, and a target needs no gradient. Dropout is what
makes the two differ, and agreement worth learning. Accuracy is measured in evaluation mode.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def evaluate(model: nn.Module, X: Tensor, y: Tensor) -> float:
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        accuracy: float = (model(X).argmax(1) == y).float().mean().item()
    model.train(was_training)
    return accuracy


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    labeled, unlabeled, test = torch.randperm(len(X)).split([100, 1200, 497])
    model = nn.Sequential(
        nn.Linear(64, 96), nn.ReLU(), nn.Dropout(0.4),
        nn.Linear(96, 48), nn.ReLU(), nn.Dropout(0.4), nn.Linear(48, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for step in range(400):
        rows = labeled[torch.randint(100, (25,))]
        more = unlabeled[torch.randint(1200, (50,))]
        with torch.no_grad():
            target = model(X[more]).softmax(1)
        supervised = nn.functional.cross_entropy(model(X[rows]), y[rows])
        agreement = (model(X[more]).softmax(1) - target).square().sum(1).mean()
        loss = supervised + min(step / 100, 1.0) * agreement
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {"accuracy": evaluate(model, X[test], y[test])}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.7
