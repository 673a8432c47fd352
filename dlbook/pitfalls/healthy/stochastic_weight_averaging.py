"""The weights of the last epochs are averaged, and the statistics are gathered anew for them.

Suspicious: the averaged network makes a whole pass over the data in training mode, without
gradients, and no optimizer holds its parameters.

Right: an average of weights has no use for the averages of means and variances that belong to other
weights. ``update_bn`` clears these and gathers them again, which batch normalization does in
training mode only.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.optim.swa_utils import SWALR, AveragedModel, update_bn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    train, test = torch.randperm(len(X)).split(1200)
    loader = DataLoader(TensorDataset(X[train], y[train]), batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(64, 48), nn.BatchNorm1d(48), nn.ReLU(), nn.Linear(48, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    averaged = AveragedModel(model)
    schedule = SWALR(optimizer, swa_lr=0.05, anneal_epochs=2)
    for epoch in range(10):
        model.train()
        for inputs, targets in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        if epoch >= 5:
            averaged.update_parameters(model)
            schedule.step()
    update_bn(loader, averaged)
    averaged.eval()
    with torch.no_grad():
        accuracy = (averaged(X[test]).argmax(1) == y[test]).float().mean().item()
    return {"accuracy of the average": accuracy}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy of the average"] > 0.9
