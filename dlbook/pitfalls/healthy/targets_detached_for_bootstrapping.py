"""A network learns from targets that it makes itself.

Suspicious: the targets come from a copy of the network, no gradient goes through them, and the copy
is in no optimizer.

Right: what a move is worth is its reward and what the next place is worth. The copy holds that
still for a while, and a gradient through it would move the target toward the guess.
"""

from __future__ import annotations

import copy

import torch
from torch import nn

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    places, discount = 8, 0.8  # a corridor with a reward of 1 at its right end
    at, action = torch.randint(places, (2000,)), torch.randint(2, (2000,))
    after = (at + 2 * action - 1).clamp(0, places - 1)
    done = after == places - 1
    seen, seen_after = torch.eye(places)[at], torch.eye(places)[after]
    values = nn.Sequential(nn.Linear(places, 32), nn.ReLU(), nn.Linear(32, 2))
    target_values = copy.deepcopy(values)
    optimizer = torch.optim.Adam(values.parameters(), lr=0.005)
    for step in range(600):
        if step % 20 == 0:
            target_values.load_state_dict(values.state_dict())
        rows = torch.randint(len(at), (64,))
        with torch.no_grad():
            best = target_values(seen_after[rows]).max(1).values
        targets = done[rows] + discount * best * ~done[rows]
        predicted = values(seen[rows]).gather(1, action[rows][:, None]).squeeze(1)
        loss = nn.functional.smooth_l1_loss(predicted, targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    learned = values(torch.eye(places)[:-1])
    exact = discount ** torch.arange(places - 2, -1, -1)
    return {
        "moves to the right": learned.argmax(1).float().mean().item(),
        "error": (learned[:, 1] - exact).abs().max().item(),
    }


def fine(outcome: Outcome) -> bool:
    return outcome.measured["moves to the right"] == 1 and outcome.measured["error"] < 0.15
