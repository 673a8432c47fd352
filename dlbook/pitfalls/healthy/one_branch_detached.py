"""Two views of an image are drawn together, and one of them is held still.

Suspicious: half of what the loss compares is detached, there are no labels, and the loss is
negative.

Right: if both views moved, the easiest way to agree would be one answer for all images. The loss
is a cosine with its sign turned, which is -1 at best. What was learned shows in how well one linear
layer tells the digits from it, with few labels: much better than before training.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    encoder = nn.Sequential(
        nn.Linear(64, 64),
        nn.BatchNorm1d(64),
        nn.ReLU(),
        nn.Linear(64, 32),
        nn.BatchNorm1d(32, affine=False),
    )
    predictor = nn.Sequential(nn.Linear(32, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 32))
    optimizer = torch.optim.SGD(
        [*encoder.parameters(), *predictor.parameters()], lr=0.1, momentum=0.9, weight_decay=1e-4
    )

    def view(batch: Tensor) -> Tensor:
        return batch * (torch.rand_like(batch) < 0.7) + 0.1 * torch.randn_like(batch)

    def accuracy_of_a_probe() -> float:
        encoder.eval()
        with torch.no_grad():
            Z = encoder(X).numpy()
        encoder.train()
        probe = LogisticRegression(max_iter=2000).fit(Z[:200], labels[:200])
        return float(probe.score(Z[1400:], labels[1400:]))

    losses, before = [], accuracy_of_a_probe()
    for _ in range(20):
        for batch in X[torch.randperm(1400)].split(100):
            Z1, Z2 = encoder(view(batch)), encoder(view(batch))
            same = nn.functional.cosine_similarity(predictor(Z1), Z2.detach(), dim=1).mean()
            same = same + nn.functional.cosine_similarity(predictor(Z2), Z1.detach(), dim=1).mean()
            loss = -same / 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    return {"last loss": losses[-1], "before": before, "accuracy": accuracy_of_a_probe()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > outcome.measured["before"] + 0.05
