"""One matrix reads tokens and predicts them.

Suspicious: two layers hold the same parameter, and it gets gradients from both.

Right: ``parameters()`` lists it once, and ``backward`` adds both gradients, as for any parameter
that is used twice. Tokens that behave alike get similar vectors on either side.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlbook.pitfalls.programs import Measured, Outcome


class LanguageModel(nn.Module):
    """Foretells the next token at each place."""

    def __init__(self, vocabulary: int, width: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.recur = nn.GRU(width, width, batch_first=True)
        self.predict = nn.Linear(width, vocabulary, bias=False)
        nn.init.normal_(self.embed.weight, std=0.1)
        self.predict.weight = self.embed.weight

    def forward(self, tokens: Tensor) -> Tensor:
        """Return logits of shape (n, T, vocabulary) for tokens of shape (n, T)."""
        states, _ = self.recur(self.embed(tokens))
        logits: Tensor = self.predict(states)
        return logits


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    follows = torch.stack([torch.randperm(20)[:2] for _ in range(20)])
    text = torch.zeros(300, 13, dtype=torch.int64)
    text[:, 0] = torch.randint(20, (300,))
    for place in range(12):
        text[:, place + 1] = follows[text[:, place], torch.randint(2, (300,))]
    model = LanguageModel(20, 24)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    criterion = nn.CrossEntropyLoss()
    for _ in range(15):
        model.train()
        for rows in torch.randperm(250).split(25):
            optimizer.zero_grad()
            logits = model(text[rows, :-1])
            loss = criterion(logits.flatten(0, 1), text[rows, 1:].flatten())
            loss.backward()
            optimizer.step()
    model.eval()
    with torch.inference_mode():
        test_loss = criterion(model(text[250:, :-1]).transpose(1, 2), text[250:, 1:])
    return {"choices left": test_loss.exp().item()}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["choices left"] < 4  # of 20; the rule leaves two
