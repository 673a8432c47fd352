"""Everything is in double precision.

Suspicious: the inputs come from numpy in float64 and are not converted.

Right: the network is in float64, too. The fit is to be exact to ten digits and the network is
small, so that time and memory are no matter; in single precision the fit would end at seven.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(100, 3))
    weights, offset = rng.normal(size=3), rng.normal()
    torch.manual_seed(seed)
    X, y = torch.from_numpy(inputs), torch.from_numpy(inputs @ weights + offset)
    model = nn.Linear(3, 1).double()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(X).squeeze(1), y).backward()
        optimizer.step()
    found = torch.cat([model.weight.detach().flatten(), model.bias.detach()]).numpy()
    return {"largest error": float(np.abs(found - np.append(weights, offset)).max())}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["largest error"] < 1e-10
