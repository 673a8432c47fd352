"""Images are mixed in pairs, and so are their labels.

Suspicious: the training loss stays high, training accuracy is not even defined, and validation
looks better than training.

Right: a mixture of two digits has no certain label, so that the loss of a perfect answer is not
zero. Validation is on whole images.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    train, val = torch.randperm(len(X)).split(1300)
    one_hot = nn.functional.one_hot(y, 10).float()
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    shares = torch.distributions.Beta(1.0, 1.0)
    for _ in range(10):
        model.train()
        total = 0.0
        for rows in train[torch.randperm(1300)].split(50):
            partners, share = rows[torch.randperm(len(rows))], shares.sample((len(rows), 1))
            mixed = share * X[rows] + (1 - share) * X[partners]
            loss = criterion(model(mixed), share * one_hot[rows] + (1 - share) * one_hot[partners])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        model.eval()
        with torch.no_grad():
            logits = model(X[val])
            val_loss = criterion(logits, y[val]).item()
            val_accuracy = (logits.argmax(1) == y[val]).float().mean().item()
    return {"training": total / 1300, "validation": val_loss, "accuracy": val_accuracy}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
