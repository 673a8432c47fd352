"""An LSTM of one layer is asked for dropout.

Symptom: a warning that ``dropout option adds dropout after all but last recurrent layer``, and two
passes in training mode over the same sequences agree in every digit.

Cause: the argument is for what passes from one recurrent layer to the next. One layer has no next,
and nothing is dropped.

Cure: a second layer, or ``nn.Dropout`` on what goes in or comes out.

Met: where the number of layers is set to one and the other settings stay.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "dropout-without-effect"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 8, 8)
    y = torch.tensor(labels)
    loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
    lstm = nn.LSTM(8, 24, num_layers=1, dropout=0.3, batch_first=True)
    head = nn.Linear(24, 10)
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.01)
    for _ in range(6):
        lstm.train()
        for sequences, labels in loader:
            loss = nn.functional.cross_entropy(head(lstm(sequences)[0][:, -1]), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    first, second = lstm(X[:64])[0], lstm(X[:64])[0]
    lstm.eval()
    with torch.no_grad():
        accuracy = (head(lstm(X)[0][:, -1]).argmax(1) == y).float().mean()
    return {"accuracy": accuracy.item(), "between_passes": (first - second).abs().max().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 8, 8)
    y = torch.tensor(labels)
    loader = DataLoader(TensorDataset(X, y), batch_size=64, shuffle=True)
    lstm = nn.LSTM(8, 24, num_layers=2, dropout=0.3, batch_first=True)
    head = nn.Linear(24, 10)
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.01)
    for _ in range(6):
        lstm.train()
        for sequences, labels in loader:
            loss = nn.functional.cross_entropy(head(lstm(sequences)[0][:, -1]), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    first, second = lstm(X[:64])[0], lstm(X[:64])[0]
    lstm.eval()
    with torch.no_grad():
        accuracy = (head(lstm(X)[0][:, -1]).argmax(1) == y).float().mean()
    return {"accuracy": accuracy.item(), "between_passes": (first - second).abs().max().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["between_passes"] == 0 and any("dropout" in w for w in outcome.warnings)
