"""``nll_loss`` is given probabilities instead of their logarithms.

Symptom: the loss is negative, between -1 and 0, and falls; and yet the model gives to what follows
in new text less probability than one that knows nothing.

Cause: ``nll_loss`` takes no logarithm, it only picks out the entry of the true class and turns its
sign. Of probabilities that makes a loss of -p, which is least if all goes to the most frequent
symbol, whatever the others' share: nothing is paid for calling impossible what does happen.

Cure: give it what ``log_softmax`` returns.

Met: where softmax is the last layer of a network and the loss is named after the negative
logarithm of the likelihood, as if it took it.
"""

from __future__ import annotations

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome

KIND = "loss"
FINDING = "log-left-out"


def broken(seed: int) -> Measured:
    torch.manual_seed(seed)
    follows = 0.5 * torch.eye(20).roll(1, 1) + 0.3 * torch.eye(20).roll(7, 1) + 0.2 / 20
    symbols = [0]
    for _ in range(4000):
        symbols.append(int(torch.multinomial(follows[symbols[-1]], 1)))
    text = torch.tensor(symbols)
    model = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 20))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(15):
        for places in torch.randperm(3000).split(100):
            predicted = torch.softmax(model(text[places]), dim=1)
            loss = nn.functional.nll_loss(predicted, text[places + 1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        log_p = torch.log_softmax(model(text[3000:-1]), dim=1)
    perplexity = nn.functional.nll_loss(log_p, text[3001:]).exp()
    return {"loss": loss.item(), "perplexity": perplexity.item()}


def mended(seed: int) -> Measured:
    torch.manual_seed(seed)
    follows = 0.5 * torch.eye(20).roll(1, 1) + 0.3 * torch.eye(20).roll(7, 1) + 0.2 / 20
    symbols = [0]
    for _ in range(4000):
        symbols.append(int(torch.multinomial(follows[symbols[-1]], 1)))
    text = torch.tensor(symbols)
    model = nn.Sequential(nn.Embedding(20, 16), nn.Linear(16, 20))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(15):
        for places in torch.randperm(3000).split(100):
            predicted = torch.log_softmax(model(text[places]), dim=1)
            loss = nn.functional.nll_loss(predicted, text[places + 1])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        log_p = torch.log_softmax(model(text[3000:-1]), dim=1)
    perplexity = nn.functional.nll_loss(log_p, text[3001:]).exp()
    return {"loss": loss.item(), "perplexity": perplexity.item()}


def shows(outcome: Outcome) -> bool:
    return outcome.measured["loss"] < 0 and outcome.measured["perplexity"] > 20
