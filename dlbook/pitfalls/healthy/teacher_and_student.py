"""A small network learns what a large one answers.

Suspicious: one of two networks runs in evaluation mode and without gradients while the other is
trained, the loss gets two softmaxes, and no label is used.

Right: the large network is done learning and only gives targets: probabilities, softened by a
temperature, that tell more of an image than its label does.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    digits = TensorDataset(torch.tensor(images / 16).float(), torch.tensor(labels))
    train, test = random_split(digits, [1400, 397])
    loader = DataLoader(train, batch_size=50, shuffle=True)
    teacher = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Dropout(0.2), nn.Linear(128, 10))
    optimizer = torch.optim.Adam(teacher.parameters(), lr=0.005)
    for _ in range(6):
        for X, y in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(teacher(X), y).backward()
            optimizer.step()

    teacher.eval()
    student, temperature = nn.Sequential(nn.Linear(64, 12), nn.Tanh(), nn.Linear(12, 10)), 3.0
    optimizer = torch.optim.Adam(student.parameters(), lr=0.02)
    for _ in range(6):
        for X, _y in loader:
            with torch.no_grad():
                soft = torch.softmax(teacher(X) / temperature, dim=1)
            log_guess = torch.log_softmax(student(X) / temperature, dim=1)
            loss = nn.functional.kl_div(log_guess, soft, reduction="batchmean") * temperature**2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    X_test, y_test = next(iter(DataLoader(test, batch_size=len(test))))
    with torch.no_grad():
        return {
            name: (network(X_test).argmax(1) == y_test).float().mean().item()
            for name, network in (("teacher", teacher), ("student", student.eval()))
        }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["teacher"] > 0.9 and outcome.measured["student"] > 0.85
