"""L-BFGS evaluates the loss many times in each step.

Suspicious: the gradients are cleared and computed inside the step, up to twenty times, and the loop
around it has only a few rounds.

Right: the optimizer calls the closure wherever its line search wants to know the loss. With all
data in each evaluation it converges in a few steps.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_wine
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    table, kinds = load_wine(return_X_y=True)
    a, b, c, d = train_test_split(table, kinds, test_size=0.4, random_state=seed, stratify=kinds)
    scaler = StandardScaler().fit(a)
    X = torch.tensor(scaler.transform(a), dtype=torch.float32)
    X_test = torch.tensor(scaler.transform(b), dtype=torch.float32)
    y, y_test = torch.tensor(c), torch.tensor(d)

    model = nn.Sequential(nn.Linear(13, 8), nn.Tanh(), nn.Linear(8, 3))
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        penalty = sum(p.square().sum() for p in model.parameters())
        loss: Tensor = nn.functional.cross_entropy(model(X), y) + 0.01 * penalty
        loss.backward()
        return loss

    for _ in range(8):
        optimizer.step(closure)
    return {"test accuracy": (model(X_test).argmax(1) == y_test).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["test accuracy"] > 0.85
