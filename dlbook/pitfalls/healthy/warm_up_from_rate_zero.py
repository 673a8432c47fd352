"""The rate rises from zero in the first steps.

Suspicious: the first step is made with a rate of zero and changes nothing.

Right: that is one step out of more than a hundred. The rate then grows in even steps to its height,
while Adam's estimates settle, and falls back to zero.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


class RowsAsTokens(nn.Module):
    """Reads an image row by row, as a sentence of eight words."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 24)
        self.places = nn.Parameter(0.02 * torch.randn(8, 24))
        layer = nn.TransformerEncoderLayer(24, 4, 48, dropout=0.0, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(24, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits of shape (n, 10) for images of shape (n, 8, 8)."""
        logits: Tensor = self.head(self.blocks(self.embed(images) + self.places).mean(1))
        return logits


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    digits = load_digits()
    X, y = torch.tensor(digits.images, dtype=torch.float32) / 16, torch.tensor(digits.target)
    order = torch.randperm(len(X))
    train, test = order[:1400], order[1400:]
    model = RowsAsTokens()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    steps, warm_up = 6 * 28, 20

    def factor(step: int) -> float:
        return min(step / warm_up, (steps - step) / (steps - warm_up))

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
    for _ in range(6):
        for rows in train[torch.randperm(1400)].split(50):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(X[rows]), y[rows]).backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        return {"accuracy": (model(X[test]).argmax(1) == y[test]).float().mean().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.8
