"""One term of the loss is a mean over the pixels, the other a sum.

Symptom: all reconstructions are nearly the same image, the mean; the code says nothing.

Cause: a variational autoencoder weighs the error of the reconstruction against the information in
the code. The error is a mean over 64 pixels, 64 times smaller than its formula says, the other
term the sum of its formula. It pays to send nothing.

Cure: sum both over an image and take the mean over the batch.

Met: where the terms of a loss come from two places, each with a reduction of its own.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "terms-out-of-scale"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    train, test = X[:1400], X[1400:]
    encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    decoder = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.003)
    for _ in range(25):
        for batch in train[torch.randperm(1400)].split(50):
            mean, log_var = encoder(batch).chunk(2, dim=1)
            code = mean + torch.randn_like(mean) * (log_var / 2).exp()
            divergence = (mean.square() + log_var.exp() - 1 - log_var).sum(1).mean() / 2
            error = nn.functional.binary_cross_entropy_with_logits(
                decoder(code), batch, reduction="mean"
            )
            optimizer.zero_grad()
            (error + divergence).backward()
            optimizer.step()
    with torch.no_grad():
        images = torch.sigmoid(decoder(encoder(test)[:, :4]))
    unexplained = (images - test).square().mean() / (test - train.mean(0)).square().mean()
    return {"spread": images.std(0).mean().item(), "explained": 1 - unexplained.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    train, test = X[:1400], X[1400:]
    encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    decoder = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.003)
    for _ in range(25):
        for batch in train[torch.randperm(1400)].split(50):
            mean, log_var = encoder(batch).chunk(2, dim=1)
            code = mean + torch.randn_like(mean) * (log_var / 2).exp()
            divergence = (mean.square() + log_var.exp() - 1 - log_var).sum(1).mean() / 2
            error = nn.functional.binary_cross_entropy_with_logits(
                decoder(code), batch, reduction="sum"
            ) / len(batch)
            optimizer.zero_grad()
            (error + divergence).backward()
            optimizer.step()
    with torch.no_grad():
        images = torch.sigmoid(decoder(encoder(test)[:, :4]))
    unexplained = (images - test).square().mean() / (test - train.mean(0)).square().mean()
    return {"spread": images.std(0).mean().item(), "explained": 1 - unexplained.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["spread"] < 0.05 and outcome.measured["explained"] < 0.1
