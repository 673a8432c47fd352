"""Batches are drawn with replacement, the rare class more often.

Suspicious: within an epoch some records come several times and others never, and the classes are
not as frequent as in the data.

Right: the rare class is drawn as often as the other on purpose, so that the network cannot ignore
it. Validation leaves the records as they are and counts each class by itself.
"""

from __future__ import annotations

import torch
from sklearn.datasets import make_classification
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, WeightedRandomSampler

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = make_classification(
        3000, n_features=8, n_informative=4, weights=[0.95], class_sep=1.5, random_state=seed
    )
    X, y = torch.tensor(inputs, dtype=torch.float32), torch.tensor(labels)
    dataset = TensorDataset(X[:2000], y[:2000])
    weights = (1 / y[:2000].bincount())[y[:2000]]
    sampler = WeightedRandomSampler(weights.tolist(), num_samples=2000, replacement=True)
    loader = DataLoader(dataset, batch_size=50, sampler=sampler)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _epoch in range(8):
        model.train()
        for X_batch, y_batch in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(X_batch), y_batch)
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            right = model(X[2000:]).argmax(1) == y[2000:]
        found = [right[y[2000:] == label].float().mean().item() for label in (0, 1)]
    return {"frequent class found": found[0], "rare class found": found[1]}


def fine(outcome: Outcome) -> bool:
    return all(found > 0.65 for found in outcome.measured.values())
