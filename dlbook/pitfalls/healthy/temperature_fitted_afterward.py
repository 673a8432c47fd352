"""One number is fitted to the finished network's logits.

Suspicious: the only parameter in the optimizer is a single number, the network does not learn, and
the validation set is trained on.

Right: the number divides all logits alike and changes no decision, only how sure the network says
it is. It is fitted on examples that the network has not seen, and judged on a third set.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    X = torch.randn(1600, 10)
    y = (X[:, :3].sum(1) + 1.5 * torch.randn(1600) > 0).long()
    train, val, test = slice(0, 200), slice(200, 600), slice(600, 1600)
    model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(X[train]), y[train]).backward()
        optimizer.step()

    model.eval()
    with torch.no_grad():
        logits = model(X)
    temperature = nn.Parameter(torch.ones(()))
    fitter = torch.optim.LBFGS([temperature], lr=0.1, max_iter=50)

    def closure() -> Tensor:
        fitter.zero_grad()
        loss = nn.functional.cross_entropy(logits[val] / temperature, y[val])
        loss.backward()
        return loss

    fitter.step(closure)
    with torch.no_grad():
        return {
            "loss before": nn.functional.cross_entropy(logits[test], y[test]).item(),
            "loss after": nn.functional.cross_entropy(logits[test] / temperature, y[test]).item(),
            "temperature": temperature.item(),
        }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["loss after"] < min(0.69, outcome.measured["loss before"])
