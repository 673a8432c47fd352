"""Numbers that name things go in as if they measured something.

Symptom: the loss hardly falls below that of always answering with the mean, although the
category decides nearly everything.

Cause: a shop's number is a name: shop 7 is not between shops 6 and 8 in any respect. A linear
layer has one weight for the number and can only let the sales rise or fall along with it.

Cure: make of each number a row with a single 1 in it, or give it an embedding, so that each
shop has weights of its own.

Met: with numbers of shops, products, days of the week and postal codes, which stand in a table
like quantities.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "data"
FINDING = "categories-as-numbers"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    shops = torch.randint(20, (1000, 1))
    usual = torch.randn(20)
    sales = usual[shops] + 0.3 * torch.randn(1000, 1)
    X = shops / 20
    model = nn.Sequential(nn.LazyLinear(1))
    model(X[:1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(10):
        for rows in torch.randperm(800).split(40):
            loss = nn.functional.mse_loss(model(X[rows]), sales[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(X[800:]), sales[800:])
    return {"R²": 1 - (error / sales[800:].var()).item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    shops = torch.randint(20, (1000, 1))
    usual = torch.randn(20)
    sales = usual[shops] + 0.3 * torch.randn(1000, 1)
    X = nn.functional.one_hot(shops.squeeze(1), 20).float()
    model = nn.Sequential(nn.LazyLinear(1))
    model(X[:1])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
    for _ in range(10):
        for rows in torch.randperm(800).split(40):
            loss = nn.functional.mse_loss(model(X[rows]), sales[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(X[800:]), sales[800:])
    return {"R²": 1 - (error / sales[800:].var()).item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["R²"] < 0.5
