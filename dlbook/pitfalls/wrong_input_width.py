"""A layer expects another width than it gets.

Symptom: the first batch ends with ``mat1 and mat2 shapes cannot be multiplied``.

Cause: each convolution without padding takes two rows and two columns off the image, so that 16
maps of 3 by 3 reach the linear layer, which was made for 16 maps of 4 by 4.

Cure: pad the convolution, so that it keeps height and width, or give the layer the width that
arrives.

Met: where a network made for one size of image is used for another, and where the width after
convolutions was worked out by hand.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "wrong-input-width"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    loader = DataLoader(TensorDataset(X_train, y_train), batch_size=32, shuffle=True)
    model = nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(5):
        for images, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = (model(X_test).argmax(1) == y_test).float().mean()
    return {"accuracy": accuracy.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, labels = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32).reshape(-1, 1, 8, 8)
    y = torch.tensor(labels)
    X_train, X_test, y_train, y_test = train_test_split(X, y, random_state=seed)
    loader = DataLoader(TensorDataset(X_train, y_train), batch_size=32, shuffle=True)
    model = nn.Sequential(
        nn.Conv2d(1, 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(16 * 4 * 4, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)
    for _ in range(5):
        for images, labels in loader:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        accuracy = (model(X_test).argmax(1) == y_test).float().mean()
    return {"accuracy": accuracy.item()}


def shows(outcome: Outcome) -> bool:
    return "shapes cannot be multiplied" in outcome.error
