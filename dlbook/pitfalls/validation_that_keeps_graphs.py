"""Predictions are collected in validation with the graphs that made them.

Symptom: memory grows with each batch of the validation set: every activation of it is kept until
the end, for a backward pass that never comes. A set that fits in training may not fit here.

Cause: outside ``torch.no_grad()`` each prediction carries its graph, and the graph the activations
that ``backward`` would need. The list holds them all.

Cure: ``with torch.no_grad()`` around validation.

Met: where predictions are gathered for a metric over the whole set; ``model.eval()`` is taken to
stop the graph, and it does not.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loop"
FINDING = "validation-keeps-graphs"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    signals = torch.randn(640, 40, 1).cumsum(1) / 6
    targets = signals[:, :, 0].amax(1, keepdim=True)
    lstm, head = nn.LSTM(1, 16, batch_first=True), nn.Sequential(nn.Dropout(0.1), nn.Linear(16, 1))
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.02)
    for rows in torch.randint(512, (60, 32)):
        loss = nn.functional.mse_loss(head(lstm(signals[rows])[0][:, -1]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    lstm.eval()
    head.eval()
    kept: list[int] = []

    def note(saved: Tensor) -> Tensor:
        kept.append(saved.numel())
        return saved

    predictions = []
    with saved_tensors_hooks(note, lambda saved: saved):
        for batch in signals[512:].split(16):
            predictions.append(head(lstm(batch)[0][:, -1]))
    error = nn.functional.mse_loss(torch.cat(predictions), targets[512:]).item()
    return {
        "error": error,
        "with a graph": sum(prediction.grad_fn is not None for prediction in predictions),
        "numbers kept": sum(kept),
    }


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    signals = torch.randn(640, 40, 1).cumsum(1) / 6
    targets = signals[:, :, 0].amax(1, keepdim=True)
    lstm, head = nn.LSTM(1, 16, batch_first=True), nn.Sequential(nn.Dropout(0.1), nn.Linear(16, 1))
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.02)
    for rows in torch.randint(512, (60, 32)):
        loss = nn.functional.mse_loss(head(lstm(signals[rows])[0][:, -1]), targets[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    lstm.eval()
    head.eval()
    kept: list[int] = []

    def note(saved: Tensor) -> Tensor:
        kept.append(saved.numel())
        return saved

    predictions = []
    with saved_tensors_hooks(note, lambda saved: saved), torch.no_grad():
        for batch in signals[512:].split(16):
            predictions.append(head(lstm(batch)[0][:, -1]))
    error = nn.functional.mse_loss(torch.cat(predictions), targets[512:]).item()
    return {
        "error": error,
        "with a graph": sum(prediction.grad_fn is not None for prediction in predictions),
        "numbers kept": sum(kept),
    }


def shows(outcome: Outcome) -> bool:
    return outcome.measured["with a graph"] == 8 and outcome.measured["numbers kept"] > 10_000
