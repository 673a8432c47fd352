"""The forward pass runs in bfloat16, the parameters stay in float32.

Suspicious: logits have three significant digits, and tensors of two precisions meet in one program.

Right: autocast computes the layers in bfloat16 and the loss in float32. The parameters stay in
float32 as well, since steps much smaller than they are would be lost in rounding.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(X))
    train, test = order[:1400], order[1400:]
    loader = DataLoader(TensorDataset(X[train], y[train]), batch_size=64, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.GELU(), nn.Linear(64, 10))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.003)
    for _ in range(6):
        for inputs, targets in loader:
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16):
                logits = model(inputs)
                loss = nn.functional.cross_entropy(logits, targets)
            loss.backward()
            optimizer.step()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        predicted = model(X[test]).argmax(1)
    return {"accuracy": (predicted == y[test]).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85
