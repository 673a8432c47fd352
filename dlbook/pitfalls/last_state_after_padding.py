"""The last state of a recurrent network is taken after the padding.

Symptom: accuracy stays at that of a guess, though the same network learns the same sequences
without their padding.

Cause: ``states[:, -1]`` is the state after the last column, for most sequences many steps of
padding after their last token. The state has by then forgotten what it read, and the gradient has
faded on its way back over the padding.

Cure: take the state at each sequence's own last step, or pack the sequences.

Met: where all sequences are padded to one fixed length, and in programs written for sequences that
were all equally long.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "model"
FINDING = "padding-read-as-data"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    lengths = torch.randint(3, 13, (1200,))
    present = torch.arange(60) < lengths[:, None]
    values = torch.randn(1200, 60) * present
    y = (values.sum(1) > 0).long()
    rnn = nn.RNN(1, 16, batch_first=True)
    head = nn.Linear(16, 2)
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=0.01)

    def predict(rows: torch.Tensor) -> torch.Tensor:
        states, _ = rnn(values[rows, :, None])
        last = states[:, -1]
        logits: torch.Tensor = head(last)
        return logits

    for _ in range(8):
        for rows in torch.randperm(900).split(30):
            loss = nn.functional.cross_entropy(predict(rows), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = (predict(torch.arange(900, 1200)).argmax(1) == y[900:]).float()
    return {"accuracy": right.mean().item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    lengths = torch.randint(3, 13, (1200,))
    present = torch.arange(60) < lengths[:, None]
    values = torch.randn(1200, 60) * present
    y = (values.sum(1) > 0).long()
    rnn = nn.RNN(1, 16, batch_first=True)
    head = nn.Linear(16, 2)
    optimizer = torch.optim.Adam([*rnn.parameters(), *head.parameters()], lr=0.01)

    def predict(rows: torch.Tensor) -> torch.Tensor:
        states, _ = rnn(values[rows, :, None])
        last = states[torch.arange(len(rows)), lengths[rows] - 1]
        logits: torch.Tensor = head(last)
        return logits

    for _ in range(8):
        for rows in torch.randperm(900).split(30):
            loss = nn.functional.cross_entropy(predict(rows), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        right = (predict(torch.arange(900, 1200)).argmax(1) == y[900:]).float()
    return {"accuracy": right.mean().item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["accuracy"] < 0.7
