"""The loss is a sum over the batch and all pixels.

Suspicious: the loss is in the hundreds, and the gradients are as large as the batch makes them.

Right: the sum of squares over an image is what the logarithm of a Gaussian density asks for, and
the rate is chosen for a sum. The last batch, which is smaller, makes a smaller step: each image
counts the same.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images = torch.tensor(load_digits().data, dtype=torch.float32) / 16
    images = images[torch.randperm(len(images))]
    train, test = images[:1500], images[1500:]
    encoder = nn.Sequential(nn.Linear(64, 32), nn.ELU(), nn.Linear(32, 8))
    decoder = nn.Sequential(nn.Linear(8, 32), nn.ELU(), nn.Linear(32, 64))
    model = nn.Sequential(encoder, decoder)
    criterion = nn.MSELoss(reduction="sum")
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4, momentum=0.9)
    loader = DataLoader(TensorDataset(train), batch_size=64, shuffle=True)
    for _ in range(12):
        for (batch,) in loader:
            optimizer.zero_grad()
            loss = criterion(model(batch), batch)
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        error = criterion(model(test), test) / len(test)
        of_the_mean = criterion(train.mean(0).expand_as(test), test) / len(test)
    return {"error per image": error.item(), "error of the mean image": of_the_mean.item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["error per image"] < 0.7 * outcome.measured["error of the mean image"]
