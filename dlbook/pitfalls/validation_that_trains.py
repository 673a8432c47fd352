"""One function runs both sets, and takes optimizer steps on both.

Symptom: the accuracy in validation is close to 1, far above that on records kept aside.

Cause: the steps taken on the validation set fit the network to it, wrong labels included. It has
become training data.

Cure: take steps only when training.

Met: where training and validation share a function with a flag, and the flag switches the mode of
the network but not the steps.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_moons
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "validation-trains"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, labels = make_moons(1200, noise=0.35, random_state=seed)
    X, y = torch.tensor(points, dtype=torch.float32), torch.tensor(labels)
    X = torch.cat([X, torch.randn(1200, 18)], 1)
    model = nn.Sequential(nn.Linear(20, 64), nn.GELU(), nn.Linear(64, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

    def epoch(X: Tensor, y: Tensor, training: bool) -> float:
        model.train(training)
        right = 0
        for rows in torch.randperm(len(X)).split(20):
            logits = model(X[rows])
            right += int((logits.argmax(1) == y[rows]).sum())
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, y[rows]).backward()
            optimizer.step()
        return right / len(X)

    for _ in range(30):
        epoch(X[:200], y[:200], training=True)
        validation = epoch(X[200:400], y[200:400], training=False)
    with torch.no_grad():
        aside = (model(X[400:]).argmax(1) == y[400:]).float().mean().item()
    return {"validation": validation, "kept aside": aside}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    points, labels = make_moons(1200, noise=0.35, random_state=seed)
    X, y = torch.tensor(points, dtype=torch.float32), torch.tensor(labels)
    X = torch.cat([X, torch.randn(1200, 18)], 1)
    model = nn.Sequential(nn.Linear(20, 64), nn.GELU(), nn.Linear(64, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)

    def epoch(X: Tensor, y: Tensor, training: bool) -> float:
        model.train(training)
        right = 0
        for rows in torch.randperm(len(X)).split(20):
            logits = model(X[rows])
            right += int((logits.argmax(1) == y[rows]).sum())
            if not training:
                continue
            optimizer.zero_grad()
            nn.functional.cross_entropy(logits, y[rows]).backward()
            optimizer.step()
        return right / len(X)

    for _ in range(30):
        epoch(X[:200], y[:200], training=True)
        validation = epoch(X[200:400], y[200:400], training=False)
    with torch.no_grad():
        aside = (model(X[400:]).argmax(1) == y[400:]).float().mean().item()
    return {"validation": validation, "kept aside": aside}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["validation"] - outcome.measured["kept aside"] > 0.14
