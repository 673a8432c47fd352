"""One part of the network gets its gradient with the sign turned round.

Suspicious: the first layers are driven toward a larger loss, and one of the two losses stays far
above what it could be.

Right: that is wanted of it. The second head tries to tell where a record comes from, and the first
layers learn to leave out what would tell, so that what they learn holds for both sources.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Reversed(torch.autograd.Function):
        @staticmethod
        def forward(_context: object, Z: Tensor) -> Tensor:
            return Z.view_as(Z)

        @staticmethod
        def backward(_context: object, gradient: Tensor) -> Tensor:
            return -gradient

    torch.manual_seed(seed)
    source, y = torch.randint(2, (2000,)), torch.randint(2, (2000,))
    signal, mark = torch.randn(2000, 6), torch.randn(2000, 6)
    signal[:, 0] += 4 * y - 2
    mark[:, 0] += 6 * source - 3
    # In the first source the mark tells the label, too, and better than the signal does.
    mark[:, 1] += torch.where(source == 0, 8 * y - 4, 0)
    X = torch.cat([signal, mark], dim=1)
    body = nn.Sequential(nn.Linear(12, 16), nn.ReLU())
    names, tells = nn.Linear(16, 2), nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 2))
    model = nn.ModuleList([body, names, tells])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    train, test = torch.arange(2000).split([1500, 500])
    for _ in range(20):
        for rows in train[torch.randperm(1500)].split(50):
            Z, first = body(X[rows]), source[rows] == 0
            named = nn.functional.cross_entropy(names(Z)[first], y[rows][first])
            told = nn.functional.cross_entropy(tells(Reversed.apply(Z)), source[rows])
            optimizer.zero_grad()
            (named + told).backward()
            optimizer.step()
    with torch.no_grad():
        Z, second = body(X[test]), source[test] == 1
        right = (names(Z).argmax(1) == y[test])[second]
        told = (tells(Z).argmax(1) == source[test]).float().mean()
    return {"accuracy in the other source": right.float().mean().item(), "source told": told.item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy in the other source"] > 0.88
