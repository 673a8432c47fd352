"""Accuracy is counted in training mode, and lies below that in validation.

Suspicious: the network with dropout is measured in training mode, and it does worse on the records
that it learns from than on new ones.

Right: the training figures are counted from the outputs that are trained on anyway, as a sign that
the loop works. They are a mean over an epoch with units left out; the figures that count are those
in validation, taken in evaluation mode.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    digits = TensorDataset(torch.tensor(images / 16).float(), torch.tensor(labels))
    train, validation = random_split(digits, [1400, 397])
    loaders = {
        "training": DataLoader(train, batch_size=40, shuffle=True),
        "validation": DataLoader(validation, batch_size=100),
    }
    model = nn.Sequential(
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Linear(64, 10),
    )
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    accuracy = {}
    for _epoch in range(8):
        for phase, loader in loaders.items():
            model.train(phase == "training")
            correct = seen = 0
            for X, y in loader:
                with torch.set_grad_enabled(phase == "training"):
                    logits = model(X)
                    loss = criterion(logits, y)
                    if phase == "training":
                        optimizer.zero_grad()
                        loss.backward()
                        optimizer.step()
                correct += int((logits.argmax(1) == y).sum())
                seen += len(y)
            accuracy[f"accuracy in {phase}"] = correct / seen
    return accuracy


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy in validation"] > 0.9
