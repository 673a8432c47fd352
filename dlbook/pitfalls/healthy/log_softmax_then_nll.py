"""A network ends in the logarithm of softmax.

Suspicious: a softmax stands before the loss, and the outputs are all negative.

Right: this loss takes logarithms of probabilities and applies no softmax of its own; both together
are cross-entropy.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 12, 3, padding=1)
            self.fc = nn.Linear(12 * 4 * 4, 10)

        def forward(self, x: Tensor) -> Tensor:
            x = F.max_pool2d(F.relu(self.conv(x)), 2)
            return F.log_softmax(self.fc(torch.flatten(x, 1)), dim=1)

    torch.manual_seed(seed)
    digits = load_digits()
    images = torch.tensor(digits.images / 16, dtype=torch.float32).unsqueeze(1)
    targets = torch.tensor(digits.target)
    train = DataLoader(TensorDataset(images[:1400], targets[:1400]), batch_size=64, shuffle=True)
    test = DataLoader(TensorDataset(images[1400:], targets[1400:]), batch_size=200)
    model = Net()
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0)
    for _epoch in range(6):
        model.train()
        for data, target in train:
            optimizer.zero_grad()
            loss = F.nll_loss(model(data), target)
            loss.backward()
            optimizer.step()

        model.eval()
        test_loss, correct = 0.0, 0
        with torch.no_grad():
            for data, target in test:
                output = model(data)
                test_loss += F.nll_loss(output, target, reduction="sum").item()
                correct += int((output.argmax(dim=1) == target).sum())
    return {"loss": test_loss / 397, "accuracy": correct / 397}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.8
