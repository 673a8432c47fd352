"""The network that is used is a running mean of the one that is trained.

Suspicious: the network that is measured is in no optimizer, and no gradient ever reaches it.

Right: after each step it moves a little toward the one that is trained. What the steps shake about
is averaged away, and the mean does better than the networks it is the mean of do on average.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_moons
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_moons(1200, noise=0.25, random_state=seed)
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    train, test = torch.arange(1200).split([400, 800])
    model = nn.Sequential(
        nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.98))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)

    def accuracy(network: nn.Module) -> float:
        network.eval()
        with torch.no_grad():
            return float((network(X[test]).argmax(1) == y[test]).float().mean())

    trained, averaged = [], []
    for _ in range(30):
        model.train()
        for rows in train[torch.randperm(len(train))].split(20):
            loss = nn.functional.cross_entropy(model(X[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            average.update_parameters(model)
        trained.append(accuracy(model))
        averaged.append(accuracy(average))
    gain = sum(averaged[-20:]) / 20 - sum(trained[-20:]) / 20
    return {"accuracy": averaged[-1], "mean gain over the trained": gain}


def fine(outcome: Outcome) -> bool:
    return (
        outcome.measured["accuracy"] > 0.85 and outcome.measured["mean gain over the trained"] > 0
    )
