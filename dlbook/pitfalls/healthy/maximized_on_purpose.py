"""What the loop calls backward on rises from step to step.

Suspicious: the loss goes up, and ends above where it was.

Right: it is the logarithm of the likelihood, which is to be large, and the optimizer is told to
maximize.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

from dlbook.pitfalls.programs import Measured, Outcome


def program(seed: int) -> Measured:
    class Mixture(nn.Module):
        def __init__(self, parts: int) -> None:
            super().__init__()
            self.means = nn.Parameter(torch.linspace(-2, 2, parts))
            self.log_widths = nn.Parameter(torch.zeros(parts))
            self.logits = nn.Parameter(torch.zeros(parts))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            normals = Normal(self.means, self.log_widths.exp())
            mixture = MixtureSameFamily(Categorical(logits=self.logits), normals)
            log_density: torch.Tensor = mixture.log_prob(x)
            return log_density

    torch.manual_seed(seed)
    middles = torch.tensor([-3.0, 0.5, 4.0])
    x = middles[torch.randint(3, (1500,))] + 0.5 * torch.randn(1500)
    train, test = x.split([1000, 500])
    model = Mixture(parts=3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03, maximize=True)
    likelihoods = []
    for _ in range(300):
        likelihood = model(train).mean()
        optimizer.zero_grad()
        likelihood.backward()
        optimizer.step()
        likelihoods.append(likelihood.item())
    with torch.no_grad():
        one_normal = Normal(train.mean(), train.std()).log_prob(test).mean().item()
        gain = model(test).mean().item() - one_normal
    found = (model.means.detach().sort().values - middles).abs().max().item()
    return {
        "rise": likelihoods[-1] - likelihoods[0],
        "gain over one normal": gain,
        "farthest mean": found,
    }


def fine(outcome: Outcome) -> bool:
    measured = outcome.measured
    return measured["gain over one normal"] > 0.4 and measured["farthest mean"] < 0.3
