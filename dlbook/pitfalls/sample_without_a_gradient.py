"""A random draw cuts the encoder off from the loss.

Symptom: the variational autoencoder returns the mean image for every image.

Cause: ``sample`` draws without a graph. What the decoder makes of the draw says nothing to the
encoder, which then follows the other term of the loss alone and makes all codes alike.

Cure: ``rsample``, which computes the draw from mean and standard deviation.

Met: in variational autoencoders and policies written with ``torch.distributions``.
"""

from __future__ import annotations

import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.distributions import Normal, kl_divergence

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "graph-cut"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
    decoder = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.005)
    prior = Normal(0.0, 1.0)
    for _ in range(20):
        for batch in X[torch.randperm(len(X))].split(64):
            mean, log_std = encoder(batch).chunk(2, dim=1)
            code = Normal(mean, log_std.exp())
            copies = decoder(code.sample())
            error = (copies - batch).square().sum(1).mean()
            loss = error + 0.1 * kl_divergence(code, prior).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        copies = decoder(encoder(X)[:, :8])
        unexplained = (copies - X).square().mean() / (X - X.mean(0)).square().mean()
    return {"unexplained": unexplained.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    images, _ = load_digits(return_X_y=True)
    X = torch.tensor(images / 16, dtype=torch.float32)
    encoder = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 16))
    decoder = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64))
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.005)
    prior = Normal(0.0, 1.0)
    for _ in range(20):
        for batch in X[torch.randperm(len(X))].split(64):
            mean, log_std = encoder(batch).chunk(2, dim=1)
            code = Normal(mean, log_std.exp())
            copies = decoder(code.rsample())
            error = (copies - batch).square().sum(1).mean()
            loss = error + 0.1 * kl_divergence(code, prior).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        copies = decoder(encoder(X)[:, :8])
        unexplained = (copies - X).square().mean() / (X - X.mean(0)).square().mean()
    return {"unexplained": unexplained.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["unexplained"] > 0.9
