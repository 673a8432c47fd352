"""Two classes are told apart by one output.

Suspicious: the network has one output where there are two classes, the targets are floating-point
numbers, and nothing bounds the output.

Right: one logit is enough for two classes, the loss applies the sigmoid itself, and the threshold
for a probability of one half is a logit of 0.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    inputs, labels = load_breast_cancer(return_X_y=True)
    train, test, y_train, y_test = train_test_split(
        inputs, labels, test_size=0.25, stratify=labels, random_state=seed
    )
    scaler = StandardScaler().fit(train)
    train_set = TensorDataset(
        torch.tensor(scaler.transform(train), dtype=torch.float32),
        torch.tensor(y_train, dtype=torch.float32).unsqueeze(1),
    )
    loader = DataLoader(train_set, batch_size=32, shuffle=True)
    model = nn.Sequential(nn.Linear(30, 16), nn.ReLU(), nn.Linear(16, 1))
    criterion = nn.BCEWithLogitsLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    for _epoch in range(12):
        for X, Y in loader:
            optimizer.zero_grad()
            loss = criterion(model(X), Y)
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        logits = model(torch.tensor(scaler.transform(test), dtype=torch.float32)).squeeze(1)
    accuracy = ((logits > 0) == torch.tensor(y_test == 1)).float().mean().item()
    return {"accuracy": accuracy, "part of the larger class": float(y_test.mean())}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] > 0.9
