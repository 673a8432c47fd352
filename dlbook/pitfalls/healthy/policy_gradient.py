"""Actions are drawn, and those that earned more than usual are made more probable.

Suspicious: the loss is negative or positive by chance, does not go down, and goes through a sample,
which has no gradient.

Right: the loss is only a means to a gradient, that of the logarithm of the probability, weighted by
what the action earned above the mean. What is to rise is the reward.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Categorical

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    torch.manual_seed(seed)
    best = torch.randn(4, 5)  # which of five actions is best depends on what is observed
    policy = nn.Sequential(nn.Linear(4, 32), nn.Tanh(), nn.Linear(32, 5))
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.01)
    rewards = []
    for _ in range(300):
        observed = torch.randn(64, 4)
        choice = Categorical(logits=policy(observed))
        action = choice.sample()
        reward = ((observed @ best).argmax(1) == action).float()
        advantage = reward - reward.mean()
        loss = -(choice.log_prob(action) * advantage).mean() - 0.01 * choice.entropy().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rewards.append(reward.mean().item())
    return {"first rewards": sum(rewards[:10]) / 10, "last rewards": sum(rewards[-10:]) / 10}


def fine(outcome: Outcome) -> bool:
    return outcome.measured["last rewards"] > 0.5  # 0.2 by chance
