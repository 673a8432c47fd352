"""Two heads on one trunk, and one loss of two terms.

Suspicious: losses of different units are added, and one of them counts half.

Right: the trunk learns what both heads need. The weight says which of them is the aim and which a
help; each is measured by itself.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


class TwoHeads(nn.Module):
    """Tells which digit is drawn, and how much ink there is."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(64, 48), nn.ReLU(), nn.Dropout(0.1))
        self.digit = nn.Linear(48, 10)
        self.ink = nn.Linear(48, 1)

    def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
        """Return logits of shape (n, 10) and amounts of shape (n,)."""
        features = self.trunk(X)
        return self.digit(features), self.ink(features).squeeze(1)


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X, y = torch.tensor(images / 16, dtype=torch.float32), torch.tensor(labels)
    order = torch.randperm(len(X))
    train, val = order[:1400], order[1400:]
    X = X + 0.1 * torch.randn_like(X)
    ink = torch.tensor(images.mean(1), dtype=torch.float32)
    ink = (ink - ink[train].mean()) / ink[train].std()
    model = TwoHeads()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(15):
        model.train()
        for rows in train[torch.randperm(1400)].split(40):
            logits, amount = model(X[rows])
            loss_digit = nn.functional.cross_entropy(logits, y[rows])
            loss_ink = nn.functional.mse_loss(amount, ink[rows])
            loss = loss_digit + 0.5 * loss_ink
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            logits, amount = model(X[val])
            accuracy = (logits.argmax(1) == y[val]).float().mean().item()
            error = nn.functional.mse_loss(amount, ink[val]).item()
    return {"accuracy": accuracy, "error of the ink": error}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.85 and outcome.measured["error of the ink"] < 0.7
