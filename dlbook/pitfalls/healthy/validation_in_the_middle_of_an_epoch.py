"""The network is validated after each ten batches, in the middle of an epoch.

Suspicious: evaluation mode is set between two batches of training, and the rate is lowered by what
validation says.

Right: each validation sets evaluation mode, takes no gradient, and sets training mode again. The
best weights are copied, and these are measured at the end on records that took no part.
"""

from __future__ import annotations

import copy

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.utils.data import DataLoader, TensorDataset, random_split

from dlbook.pitfalls.programs import Measured, Outcome


def evaluate(model: nn.Module, loader: DataLoader[tuple[torch.Tensor, ...]]) -> tuple[float, float]:
    model.eval()
    loss, right, count = 0.0, 0, 0
    with torch.no_grad():
        for X, y in loader:
            logits = model(X)
            loss += nn.functional.cross_entropy(logits, y, reduction="sum").item()
            right += int((logits.argmax(1) == y).sum())
            count += len(y)
    model.train()
    return loss / count, right / count


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    digits = TensorDataset(torch.tensor(images / 16).float(), torch.tensor(labels))
    train, validation, test = random_split(digits, [1200, 297, 300])
    loader = DataLoader(train, batch_size=40, shuffle=True)
    model = nn.Sequential(
        nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, 10)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    schedule = ReduceLROnPlateau(optimizer, factor=0.5, patience=3)
    least, best = float("inf"), model.state_dict()
    for _epoch in range(6):
        for number, (X, y) in enumerate(loader):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X), y).backward()
            optimizer.step()
            if number % 10 == 9:
                loss, _ = evaluate(model, DataLoader(validation, batch_size=100))
                schedule.step(loss)
                if loss < least:
                    least, best = loss, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    _, accuracy = evaluate(model, DataLoader(test, batch_size=100))
    return {"validation loss": least, "accuracy": accuracy}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.9
