"""The doctor knows what networks can give out, and what is made small, however it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Categorical, Normal
from torch.nn import functional
from torch.nn.functional import cross_entropy, mse_loss

from dlbook.doctor.rules import objectives, outputs
from tests.judged import batches, descend, judged, mlp

CODES = [name.replace("_", "-") for name in (*outputs.__all__, *objectives.__all__)]
Program = Callable[[], object]
Loss = Callable[[Any, Tensor], Tensor]
End = Callable[[Tensor], Tensor]


def numbers(shift: float = 0.0, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    X = torch.randn(320, 5)
    y = X @ torch.linspace(-0.5, 0.5, 5) + 0.1 * torch.randn(320)
    return X, (scale * y + shift)[:, None]


class Ends(nn.Module):
    """A network that ends with a function."""

    def __init__(self, end: End, outputs: int = 1, bias: bool = True) -> None:
        super().__init__()
        self.hidden, self.last = nn.Linear(5, 24), nn.Linear(24, outputs, bias=bias)
        self.end = end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.last(self.hidden(x).relu()))


def fit(
    model: nn.Module,
    data: tuple[Tensor, Tensor],
    loss_of: Loss = mse_loss,
    *,
    rate: float = 0.01,
    epochs: int = 15,
    plain: bool = False,
) -> None:
    kind = torch.optim.SGD if plain else torch.optim.Adam
    optimizer = kind(model.parameters(), lr=rate)
    for inputs, targets in batches(*data, epochs=epochs):
        descend(optimizer, loss_of(model(inputs), targets))


def same(z: Tensor) -> Tensor:
    return z


def classes(count: int = 4) -> tuple[Tensor, Tensor]:
    y = torch.arange(320) % count
    return 3 * torch.randn(count, 5)[y] + torch.randn(320, 5), y


def two() -> tuple[Tensor, Tensor]:
    X, y = classes(2)
    return X, y.float()[:, None]


def autoencoder(end: End, data: Tensor) -> None:
    encoder, decoder = mlp(5, 8, 3), mlp(3, 8, 5)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.01)
    for (batch,) in batches(data):
        restored = end(decoder(encoder(batch)))
        descend(optimizer, ((restored - batch) ** 2).mean())


def repeated_block() -> nn.Sequential:
    layers: list[nn.Module] = []
    for d_in, d_out in [(5, 32), (32, 32), (32, 4)]:
        layers += [nn.Linear(d_in, d_out), nn.Dropout(0.3)]
    return nn.Sequential(*layers)


def mean_pooled() -> nn.Sequential:
    return nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, 4))


def similar_under_dropout() -> None:
    X = torch.randn(320, 5)
    encoder = nn.Sequential(nn.Linear(5, 16), nn.Dropout(0.2))
    optimizer = torch.optim.Adam(encoder.parameters())
    for (batch,) in batches(X):
        a, b = encoder(batch), encoder(batch)  # two views, by dropout alone
        descend(optimizer, cross_entropy(a @ b.T, torch.arange(len(a))))


class NoBias(nn.Module):
    """A linear model with a weight of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(5, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


def before_normalization() -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(5, 16, bias=False), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 1)
    )


def by_hand(p: Tensor, y: Tensor) -> Tensor:
    p = p.clamp(1e-4, 1 - 1e-4)
    return (y * p.log() + (1 - y) * (1 - p).log()).mean()


def density(sign: float) -> None:
    x = torch.rand(640, 1) * 4 - 2
    y = x.sin() + 0.05 * torch.randn(640, 1)
    model = mlp(1, 32, 2)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for inputs, targets in batches(x, y, epochs=20):
        mean, log_std = model(inputs).chunk(2, 1)
        likelihood = Normal(mean, log_std.clamp(-4, 2).exp()).log_prob(targets).mean()
        descend(optimizer, -sign * likelihood)


def scattered(sign: float) -> None:
    X, y = numbers(1.0)
    model, log_std = mlp(5, 24, 1), nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.Adam([*model.parameters(), log_std], lr=0.001)
    for _ in range(150):
        likelihood = Normal(model(X), log_std.exp()).log_prob(y).mean()
        descend(optimizer, -sign * likelihood)


class Policy(nn.Module):
    """Gives out a distribution."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp(5, 24, 2)

    def forward(self, x: Tensor) -> Normal:
        mean, scale = self.body(x).chunk(2, 1)
        return Normal(mean, functional.softplus(scale) + 0.01)


def rewarded(baseline: float = 0.33) -> None:
    X, best = classes(3)
    policy = mlp(5, 16, 3)
    optimizer = torch.optim.Adam(policy.parameters(), lr=0.01)
    for states, wanted in batches(X, best, epochs=8):
        chosen = Categorical(logits=policy(states))
        actions = chosen.sample()
        reward = (actions == wanted).float() - baseline
        descend(optimizer, -(chosen.log_prob(actions) * reward).mean())


def critic() -> None:
    here, there = torch.randn(640, 2), torch.randn(640, 2) + 2
    model = mlp(2, 16, 1)
    optimizer = torch.optim.RMSprop(model.parameters(), lr=0.001)
    for a, b in batches(here, there):
        descend(optimizer, model(a).mean() - model(b).mean())
        with torch.no_grad():
            for p in model.parameters():
                p.clamp_(-0.05, 0.05)


def aligned(sign: float, apart: bool = False) -> None:
    X = torch.randn(320, 5)
    first, second = mlp(5, 16, 4), mlp(5, 16, 4)
    optimizer = torch.optim.Adam([*first.parameters(), *second.parameters()])
    for (batch,) in batches(X):
        a, b = first(batch), second(batch)
        loss = -sign * functional.cosine_similarity(a, b).mean()
        if apart:
            loss = loss + functional.cosine_similarity(a, b.roll(1, 0)).mean()
        descend(optimizer, loss)


def summed_by_hand(z: Tensor, y: Tensor) -> Tensor:
    return ((z - y) ** 2).sum()


def wide(count: int = 640) -> tuple[Tensor, Tensor]:
    X = torch.randn(count, 5)
    return X, (X @ torch.randn(5, 8)).tanh()


def per_record(z: Tensor, y: Tensor) -> Tensor:
    return (z - y).square().sum(1).mean()


class TwoHeads(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(5, 12), nn.Tanh())
        self.name, self.size = nn.Linear(12, 4), nn.Linear(12, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = self.body(x)
        return self.name(z), self.size(z)


def two_tasks(scale: float, weight: float = 1.0) -> None:
    X, y = classes()
    sizes = scale * (X[:, :1] * X[:, 1:2])
    model = TwoHeads()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05 / scale**2, momentum=0.9)
    for inputs, labels, size in batches(X, y, sizes, epochs=15):
        logits, guess = model(inputs)
        loss = cross_entropy(logits, labels) + weight * mse_loss(guess, size)
        descend(optimizer, loss)


def variational(weight: float, sign: float = 1.0) -> None:
    X = torch.randn(640, 2) @ torch.randn(2, 24)
    X = X / X.std()
    encoder, decoder = mlp(24, 32, 4), mlp(2, 32, 24)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.005)
    for (batch,) in batches(X, epochs=15):
        mu, log_var = encoder(batch).chunk(2, 1)
        code = mu + torch.randn_like(mu) * (log_var / 2).exp()
        divergence = -0.5 * (1 + log_var - mu.pow(2) - log_var.exp()).sum(1).mean()
        descend(optimizer, mse_loss(decoder(code), batch) + sign * (weight * divergence))


BROKEN: dict[str, tuple[str, Program]] = {
    "ReLU in forward, targets below 0": (
        "outputs-cannot-reach-targets",
        lambda: fit(Ends(torch.relu), numbers()),
    ),
    "sigmoid, targets up to 5": (
        "outputs-cannot-reach-targets",
        lambda: fit(Ends(torch.sigmoid), numbers(3.0), functional.l1_loss),
    ),
    "tanh outside the network, standardized data": (
        "outputs-cannot-reach-targets",
        lambda: autoencoder(torch.tanh, 2 * torch.randn(320, 5)),
    ),
    "softplus, targets below 0": (
        "outputs-cannot-reach-targets",
        lambda: fit(Ends(functional.softplus), numbers(-1.0), functional.huber_loss),
    ),
    "tanh before cross-entropy": (
        "outputs-cannot-reach-targets",
        lambda: fit(Ends(torch.tanh, 4), classes(), cross_entropy),
    ),
    "ReLU before binary cross-entropy on logits": (
        "outputs-cannot-reach-targets",
        lambda: fit(Ends(torch.relu), two(), functional.binary_cross_entropy_with_logits),
    ),
    "dropout after each layer": (
        "dropout-on-the-outputs",
        lambda: fit(repeated_block(), classes(), cross_entropy),
    ),
    "dropout in the return": (
        "dropout-on-the-outputs",
        lambda: fit(Ends(functional.dropout), numbers(3.0), lambda z, y: (z - y).abs().mean()),
    ),
    "dropout below a sigmoid": (
        "dropout-on-the-outputs",
        lambda: fit(
            Ends(lambda z: functional.dropout(z, 0.4).sigmoid()),
            two(),
            functional.binary_cross_entropy,
        ),
    ),
    "a weight alone": ("bias-left-out", lambda: fit(NoBias(), numbers(3.0), rate=0.05)),
    "no bias anywhere": (
        "bias-left-out",
        lambda: fit(
            nn.Sequential(nn.Linear(5, 8, bias=False), nn.Tanh(), nn.Linear(8, 1, bias=False)),
            numbers(3.0),
            lambda z, y: ((y - z) ** 2).mean(),
            rate=0.05,
        ),
    ),
    "logits clamped for BCELoss": (
        "binary-loss-on-logits",
        lambda: fit(Ends(lambda z: z.clamp(0, 1)), two(), nn.BCELoss()),
    ),
    "logits cut off by hardtanh for BCELoss": (
        "binary-loss-on-logits",
        lambda: fit(
            Ends(lambda z: functional.hardtanh(z, 0.0, 1.0)), two(), functional.binary_cross_entropy
        ),
    ),
    "cross-entropy made large": (
        "loss-of-the-wrong-sign",
        lambda: fit(mlp(5, 24, 4), classes(), lambda z, y: -cross_entropy(z, y)),
    ),
    "a squared error made large": (
        "loss-of-the-wrong-sign",
        lambda: fit(mlp(5, 24, 1), numbers(), lambda z, y: -((z - y) ** 2).mean()),
    ),
    "the logarithm of what was chosen": (
        "loss-of-the-wrong-sign",
        lambda: fit(
            mlp(5, 24, 4),
            classes(),
            lambda z, y: z.log_softmax(1).gather(1, y[:, None]).mean(),
        ),
    ),
    "a likelihood made small, slowly, with a scatter of its own": (
        "loss-of-the-wrong-sign",
        lambda: scattered(-1.0),
    ),
    "a likelihood of a policy that gives out a distribution": (
        "loss-of-the-wrong-sign",
        lambda: fit(Policy(), numbers(), lambda chosen, y: chosen.log_prob(y).mean()),
    ),
    "a divergence that is subtracted": (
        "loss-of-the-wrong-sign",
        lambda: variational(0.05, sign=-1.0),
    ),
    "a similarity made small": ("loss-of-the-wrong-sign", lambda: aligned(-1.0)),
    "a sum by hand": (
        "loss-summed-not-averaged",
        lambda: fit(mlp(5, 24, 8), wide(), summed_by_hand, rate=0.1, plain=True),
    ),
    "cross-entropy with a sum": (
        "loss-summed-not-averaged",
        lambda: fit(
            mlp(5, 24, 4),
            classes(),
            nn.CrossEntropyLoss(reduction="sum"),
            rate=0.7,
            plain=True,
        ),
    ),
    "sizes in other units beside names": ("terms-out-of-scale", lambda: two_tasks(30.0)),
    "a divergence with too much weight": ("terms-out-of-scale", lambda: variational(3.0)),
}
SOUND: dict[str, Program] = {
    "ReLU, targets above 0": lambda: fit(Ends(torch.relu), numbers(6.0)),
    "sigmoid, targets between 0 and 1": lambda: fit(Ends(torch.sigmoid), numbers(0.5, 0.2)),
    "tanh, a few targets beyond 1": lambda: fit(Ends(torch.tanh), numbers(0.0, 0.6)),
    "tanh times a scale before cross-entropy": lambda: fit(
        Ends(lambda z: 10 * z.tanh(), 4), classes(), cross_entropy
    ),
    "sigmoid with BCELoss": lambda: fit(Ends(torch.sigmoid), two(), nn.BCELoss()),
    "ReLU, then a linear layer": lambda: fit(mlp(5, 16, 1), numbers()),
    "a bounded sigmoid with BCELoss": lambda: fit(
        Ends(lambda z: z.sigmoid().clamp(1e-6, 1 - 1e-6)), two(), nn.BCELoss()
    ),
    "dropout before the last layer": lambda: fit(mean_pooled(), classes(), cross_entropy),
    "dropout with p = 0 at the end": lambda: fit(
        nn.Sequential(mlp(5, 16, 1), nn.Dropout(0.0)), numbers()
    ),
    "two views by dropout": similar_under_dropout,
    "no bias, targets around 0": lambda: fit(NoBias(), numbers(), rate=0.05),
    "no bias before normalization": lambda: fit(before_normalization(), numbers(2.0), rate=0.05),
    "no bias behind ReLU units that make one": lambda: fit(
        Ends(same, bias=False), numbers(2.0), epochs=30
    ),
    "a density": lambda: density(1.0),
    "a likelihood of a distribution": lambda: fit(
        Policy(), numbers(), lambda chosen, y: -chosen.log_prob(y).mean()
    ),
    "a likelihood with a scatter of its own": lambda: scattered(1.0),
    "actions that cost": lambda: rewarded(1.0),
    "a policy gradient with a baseline": lambda: rewarded(),
    "a similarity made large": lambda: aligned(1.0),
    "a similarity made large, that of others small": lambda: aligned(1.0, apart=True),
    "a critic with bounded weights": critic,
    "a likelihood by hand with its minus": lambda: fit(
        Ends(torch.sigmoid), two(), lambda p, y: -by_hand(p, y)
    ),
    "a sum at a rate for a sum": lambda: fit(
        mlp(5, 24, 8), wide(), summed_by_hand, rate=0.001, plain=True
    ),
    "a sum that Adam does not mind": lambda: fit(mlp(5, 24, 8), wide(), summed_by_hand),
    "a sum over outputs, a mean over records": lambda: fit(
        mlp(5, 24, 8), wide(), per_record, rate=0.02, plain=True
    ),
    "two tasks of one scale": lambda: two_tasks(1.0),
    "two tasks brought to one scale": lambda: two_tasks(1.0, weight=0.3),
    "a divergence with little weight": lambda: variational(0.002),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_fault_written_otherwise_is_named_first(name: str) -> None:
    code, program = BROKEN[name]
    assert judged(program, CODES)[:1] == [code]


@pytest.mark.parametrize("name", SOUND)
def test_what_only_looks_like_a_fault_is_not_accused(name: str) -> None:
    assert judged(SOUND[name], CODES) == []


def test_each_rule_is_tried_on_two_programs_other_than_its_own() -> None:
    tried = [code for code, _ in BROKEN.values()]
    assert all(tried.count(code) >= 2 for code in CODES)
