"""How networks are built: each fault is found in other forms, its look-alikes are not."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn import functional
from torch.nn.functional import cross_entropy, mse_loss

from dlbook.doctor import Finding, watch
from dlbook.doctor.discovery import watch_everything
from dlbook.doctor.rules import RULES

Program = Callable[[], object]


def told(program: Program) -> list[Finding]:
    with watch_everything() as w, torch.random.fork_rng(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch may say so too
        torch.manual_seed(0)
        program()
    report = w.report()
    assert not w.record.trouble
    return list(report.findings)


def rings(n: int = 300) -> tuple[Tensor, Tensor]:
    y = torch.arange(n) % 2
    angle = 6.3 * torch.rand(n)
    radius = (1 + y + 0.1 * torch.randn(n))[:, None]
    return radius * torch.stack([angle.cos(), angle.sin()], 1), y


def clusters(n: int = 240) -> tuple[Tensor, Tensor]:
    y = torch.arange(n) % 3
    return torch.randn(n, 6) + 2.5 * functional.one_hot(y, 6), y


def images(n: int = 200) -> Tensor:
    return torch.randn(n, 3) @ torch.randn(3, 20) + 0.1 * torch.randn(n, 20)


def fit(
    model: nn.Module,
    X: Tensor,
    y: Tensor,
    *,
    steps: int = 60,
    optimizer: torch.optim.Optimizer | None = None,
) -> None:
    optimizer = optimizer or torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(steps):
        rows = torch.randperm(len(X))[:60]
        Z = model(X[rows])
        loss = mse_loss(Z, y[rows]) if y.is_floating_point() else cross_entropy(Z, y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


# -- no-nonlinearity


class ByHand(nn.Module):
    """Two products with matrices of its own, scaled and shifted in between."""

    def __init__(self, bend: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.W = nn.Parameter(0.5 * torch.randn(2, 32))
        self.b = nn.Parameter(0.1 * torch.randn(32))
        self.V = nn.Parameter(0.2 * torch.randn(32, 2))
        self.bend = bend

    def forward(self, X: Tensor) -> Tensor:
        return self.bend(2 * (X @ self.W + self.b)) @ self.V


def straight_by_hand() -> None:
    fit(ByHand(lambda Z: Z), *rings(), steps=120)


def straight_with_dropout_and_batch_norm() -> None:
    layers = [nn.Linear(2, 32), nn.BatchNorm1d(32), nn.Dropout(0.1), nn.Linear(32, 2)]
    fit(nn.Sequential(*layers), *rings(), steps=120)


def straight_convolutions() -> None:
    y = torch.arange(200) % 2
    X = torch.randn(200, 1, 24) * (1 + 2 * y[:, None, None])
    layers = [nn.Conv1d(1, 8, 3), nn.Conv1d(8, 8, 3), nn.AdaptiveAvgPool1d(1), nn.Flatten()]
    fit(nn.Sequential(*layers, nn.Linear(8, 2)), X, y, steps=120)


def bent_by_hand() -> None:
    fit(ByHand(torch.relu), *rings(), steps=120)


def bottleneck() -> None:
    X = images()
    fit(nn.Sequential(nn.Linear(20, 3), nn.Linear(3, 20)), X, X, steps=120)


def low_rank_regression() -> None:
    X = torch.randn(200, 8)
    Y = X @ torch.randn(8, 2) @ torch.randn(2, 5)
    fit(nn.Sequential(nn.Linear(8, 2), nn.Dropout(0.0), nn.Linear(2, 5)), X, Y, steps=150)


# -- layers-not-registered, layer-made-in-forward


class Listed(nn.Module):
    """Keeps its layers in a way that the test decides."""

    def __init__(self, keep: Callable[[list[nn.Module]], Any]) -> None:
        super().__init__()
        self.layers = keep([nn.Linear(6, 24), nn.Linear(24, 24)])
        self.head = nn.Linear(24, 3)

    def forward(self, X: Tensor) -> Tensor:
        layers = self.layers.values() if isinstance(self.layers, dict) else self.layers
        for layer in layers:
            X = torch.relu(layer(X))
        return self.head(X)


def layers_in_a_dictionary() -> None:
    fit(Listed(lambda layers: {"a": layers[0], "b": layers[1]}), *clusters())


def weights_that_are_plain_tensors() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.W = torch.randn(6, 24).requires_grad_()
            self.head = nn.Linear(24, 3)

        def forward(self, X: Tensor) -> Tensor:
            return self.head(torch.relu(X @ self.W))

    fit(Network(), *clusters())


def layers_in_a_list_given_to_the_optimizer() -> None:
    model = Listed(list)
    parameters = [*model.parameters(), *(p for layer in model.layers for p in layer.parameters())]
    fit(model, *clusters(), optimizer=torch.optim.Adam(parameters, 0.01))


def inputs_that_need_gradients() -> None:
    model, X = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1)), torch.rand(60, 2)
    X.requires_grad_()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(60):
        u = model(X)
        (slope,) = torch.autograd.grad(u.sum(), X, create_graph=True)
        loss = mse_loss(slope[:, :1], torch.ones(60, 1)) + u[:1].square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


class Made(nn.Module):
    """Makes its hidden layer when it is called: each time, or once."""

    def __init__(self, once: bool) -> None:
        super().__init__()
        self.once = once
        self.first, self.hidden, self.head = nn.Linear(6, 12), nn.Linear(12, 12), nn.Linear(12, 3)

    def forward(self, X: Tensor) -> Tensor:
        if not self.once:
            self.hidden = nn.Linear(12, 12)  # an attribute, and yet another one each time
        return self.head(torch.relu(self.hidden(torch.relu(self.first(X)))))


def layer_made_as_an_attribute() -> None:
    fit(Made(once=False), *clusters())


def convolution_made_by_a_function() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(8, 3)

        def forward(self, X: Tensor) -> Tensor:
            return self.head(self.features(X).flatten(1))

        def features(self, X: Tensor) -> Tensor:
            weight = nn.Parameter(0.5 * torch.randn(2, 1, 3))
            return torch.relu(functional.conv1d(X[:, None], weight))

    fit(Network(), *clusters())


def layer_made_once() -> None:
    fit(Made(once=True), *clusters())


def network_for_each_fold() -> None:
    X, y = clusters()
    for _ in range(5):
        fit(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)), X, y)


# -- graph-cut


class Coded(nn.Module):
    """An autoencoder whose code passes through what the test gives."""

    def __init__(self, between: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(20, 12), nn.Tanh(), nn.Linear(12, 3))
        self.decoder = nn.Linear(3, 20)
        self.between = between

    def forward(self, X: Tensor) -> Tensor:
        return self.decoder(self.between(self.encoder(X)))


def cut_by_data() -> None:
    X = images()
    fit(Coded(lambda code: code.data), X, X)


def cut_by_numpy() -> None:
    X = images()
    fit(Coded(lambda code: torch.from_numpy(code.detach().numpy())), X, X)


def cut_by_a_tensor_made_anew() -> None:
    X, encoder, decoder = images(), nn.Linear(20, 3), nn.Linear(3, 20)
    optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], 0.01)
    for _ in range(60):
        loss = mse_loss(decoder(torch.tensor(encoder(X).tolist())), X)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def drawn_within_a_network() -> None:
    class Variational(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.encoder, self.decoder = nn.Linear(20, 6), nn.Linear(3, 20)

        def forward(self, X: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            mean, log_std = self.encoder(X).chunk(2, 1)
            return self.decoder(Normal(mean, log_std.exp()).sample()), mean, log_std

    X, model = images(), Variational()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(150):
        copies, mean, log_std = model(X / X.std())
        penalty = (mean.square() + (2 * log_std).exp() - 2 * log_std - 1).sum(1).mean() / 2
        loss = (copies - X / X.std()).square().sum(1).mean() + 0.1 * penalty
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def frozen_on_purpose() -> None:
    X, y = clusters()
    body, head = nn.Sequential(nn.Linear(6, 24), nn.ReLU()), nn.Linear(24, 3)
    optimizer = torch.optim.Adam(head.parameters(), 0.02)
    for _ in range(60):
        loss = cross_entropy(head(body(X).detach()), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def pooler_that_nobody_uses() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden, self.head, self.pooler = (
                nn.Linear(6, 24),
                nn.Linear(24, 3),
                nn.Linear(24, 2),
            )

        def forward(self, X: Tensor) -> Tensor:
            hidden = torch.relu(self.hidden(X))
            self.pooler(hidden)
            return self.head(hidden)

    fit(Network(), *clusters())


def straight_through() -> None:
    X = images()
    fit(Coded(lambda code: code + (code.sign() - code).detach()), X, X, steps=120)


def target_network() -> None:
    X, network = torch.randn(100, 4), nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 1))
    target = copy.deepcopy(network)
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for step in range(60):
        loss = mse_loss(network(X), X[:, :1] + 0.5 * target(X.roll(1, 0)).detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 10 == 9:
            target.load_state_dict(network.state_dict())


def teacher_inside_that_follows_slowly() -> None:
    class Student(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = member()
            self.teacher = copy.deepcopy(self.body)

        def forward(self, X: Tensor) -> tuple[Tensor, Tensor]:
            return self.body(X), self.teacher(X + 0.1 * torch.randn_like(X)).detach()

    (X, y), model = clusters(), Student()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(60):
        Z, wanted = model(X)
        loss = cross_entropy(Z, y) + 0.1 * mse_loss(Z, wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            pairs = zip(model.teacher.parameters(), model.body.parameters(), strict=True)
            for slow, fast in pairs:
                slow.lerp_(fast, 0.1)


# -- layers-frozen-by-a-slip


def slip(set_it: Callable[[nn.Module], object], *, frozen: bool) -> Program:
    def program() -> None:
        X, y = clusters()
        body, head = nn.Sequential(nn.Linear(6, 24), nn.ReLU()), nn.Linear(24, 3)
        if frozen:
            body.requires_grad_(False)
        set_it(body)
        fit(nn.Sequential(body, head), X, y)

    return program


def misspelled(body: nn.Module) -> None:
    for p in body.parameters():
        p.require_grad = True  # type: ignore[attr-defined]


def on_the_layer(body: nn.Module) -> None:
    body[0].requires_grad = True  # type: ignore[index]


def frozen_by_attribute(body: nn.Module) -> None:
    body.requires_grad = False  # type: ignore[assignment]


# -- one-network-several-names


class Ensemble(nn.Module):
    """The mean of several members."""

    def __init__(self, members: list[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, X: Tensor) -> Tensor:
        return torch.stack([member(X) for member in self.members]).mean(0)


def member() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3))


def ensemble_in_one_module() -> None:
    fit(Ensemble([member()] * 3), *clusters())


def ensemble_trained_side_by_side() -> None:
    X, y = clusters()
    members = [member()] * 3
    optimizers = [torch.optim.Adam(m.parameters(), 0.01) for m in members]
    for _ in range(20):
        for model, optimizer in zip(members, optimizers, strict=True):
            fit(model, X, y, steps=1, optimizer=optimizer)


def true_ensemble() -> None:
    fit(Ensemble([member() for _ in range(3)]), *clusters())


def true_members_in_turn() -> None:
    X, y = clusters()
    members = [member() for _ in range(3)]
    for model in members:
        fit(model, X, y)
        model.eval()
    with torch.no_grad():
        torch.stack([model(X).softmax(1) for model in members]).mean(0)


def one_activation_used_twice() -> None:
    relu = nn.ReLU()
    layers = [nn.Linear(6, 24), relu, nn.Linear(24, 24), relu, nn.Linear(24, 3)]
    fit(nn.Sequential(*layers), *clusters())


def two_inputs_one_network() -> None:
    class Siamese(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left = nn.Linear(6, 12)
            self.right = self.left
            self.head = nn.Linear(12, 3)

        def forward(self, X: Tensor) -> Tensor:
            return self.head(torch.relu(self.left(X)) + torch.relu(self.right(X.flip(1))))

    fit(Siamese(), *clusters())


def trained_again_after_a_phase() -> None:
    X, y = clusters()
    model = member()
    for rate in (0.02, 0.002):
        fit(model, X, y, optimizer=torch.optim.Adam(model.parameters(), rate))
        model.eval()
        with torch.no_grad():
            model(X)
        model.train()


def reset_for_each_fold() -> None:
    X, y = clusters()
    model = member()
    first = copy.deepcopy(model.state_dict())
    for fold in range(3):
        model.load_state_dict(first)
        inside = torch.arange(len(X)) % 3 != fold
        fit(model, X[inside], y[inside], optimizer=torch.optim.Adam(model.parameters(), 0.01))
        with torch.no_grad():
            model(X[:30])


# -- dropout-without-effect, normalization-over-one-number


class Reader(nn.Module):
    """Reads six numbers one after the other."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.rnn = nn.GRU(1, 12, batch_first=True, **options)
        self.head = nn.Linear(12, 3)

    def forward(self, X: Tensor) -> Tensor:
        return self.head(self.rnn(X[:, :, None])[0].mean(1))


def gru_of_one_layer_with_dropout() -> None:
    fit(Reader(dropout=0.2), *clusters(), steps=20)


def both_directions_of_one_layer_with_dropout() -> None:
    model = Reader(dropout=0.2, bidirectional=True)
    model.head = nn.Linear(24, 3)
    fit(model, *clusters(), steps=20)


def gru_of_two_layers_with_dropout() -> None:
    fit(Reader(dropout=0.2, num_layers=2), *clusters(), steps=100)


def layer_norm_of_a_column() -> None:
    X, y = clusters()
    Y = y[:, None].float() - 1
    fit(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 1), nn.LayerNorm([1])), X, Y)


def group_norm_of_single_channels() -> None:
    fit(
        nn.Sequential(nn.Linear(6, 12), nn.GroupNorm(12, 12), nn.ReLU(), nn.Linear(12, 3)),
        *clusters(),
    )


def group_norm_of_single_maps() -> None:
    layers = [nn.Unflatten(1, (1, 6)), nn.Conv1d(1, 8, 3), nn.GroupNorm(8, 8), nn.ReLU()]
    fit(nn.Sequential(*layers, nn.Flatten(), nn.Linear(32, 3)), *clusters())


def layer_norm_of_two_numbers() -> None:
    layers = [nn.Linear(6, 12), nn.LayerNorm(12), nn.ReLU(), nn.Linear(12, 3)]
    fit(nn.Sequential(*layers), *clusters())


FAULTS: dict[str, list[Program]] = {
    "no-nonlinearity": [
        straight_by_hand,
        straight_with_dropout_and_batch_norm,
        straight_convolutions,
    ],
    "layers-not-registered": [layers_in_a_dictionary, weights_that_are_plain_tensors],
    "layer-made-in-forward": [layer_made_as_an_attribute, convolution_made_by_a_function],
    "graph-cut": [cut_by_data, cut_by_numpy, cut_by_a_tensor_made_anew, drawn_within_a_network],
    "layers-frozen-by-a-slip": [
        slip(misspelled, frozen=True),
        slip(on_the_layer, frozen=True),
        slip(frozen_by_attribute, frozen=False),
    ],
    "one-network-several-names": [ensemble_in_one_module, ensemble_trained_side_by_side],
    "dropout-without-effect": [
        gru_of_one_layer_with_dropout,
        both_directions_of_one_layer_with_dropout,
    ],
    "normalization-over-one-number": [layer_norm_of_a_column, group_norm_of_single_channels],
}
SOUND: list[Program] = [
    bent_by_hand,
    bottleneck,
    low_rank_regression,
    layers_in_a_list_given_to_the_optimizer,
    inputs_that_need_gradients,
    layer_made_once,
    network_for_each_fold,
    frozen_on_purpose,
    pooler_that_nobody_uses,
    straight_through,
    target_network,
    teacher_inside_that_follows_slowly,
    slip(lambda body: body.requires_grad_(True), frozen=True),
    slip(lambda body: body.requires_grad_(False), frozen=False),
    true_ensemble,
    true_members_in_turn,
    one_activation_used_twice,
    two_inputs_one_network,
    trained_again_after_a_phase,
    reset_for_each_fold,
    gru_of_two_layers_with_dropout,
    group_norm_of_single_maps,
    layer_norm_of_two_numbers,
]
FOUND = [(code, program) for code, programs in FAULTS.items() for program in programs]


def name_of(value: object) -> str:
    return value if isinstance(value, str) else getattr(value, "__name__", "")


@pytest.mark.parametrize(("code", "program"), FOUND, ids=name_of)
def test_the_fault_is_named_first(code: str, program: Program) -> None:
    findings = told(program)
    assert [f.code for f in findings][:1] == [code], findings


@pytest.mark.parametrize("program", SOUND, ids=name_of)
def test_a_program_that_only_looks_like_it_is_let_be(program: Program) -> None:
    assert [f for f in told(program) if f.severity != "note"] == []


def test_the_layer_that_is_not_registered_is_told_by_its_place() -> None:
    (finding,) = told(layers_in_a_dictionary)
    assert finding.where.startswith("Listed.layers['")


def test_the_fix_of_a_cut_graph_names_what_cut_it() -> None:
    assert ".data" in told(cut_by_data)[0].fix
    assert "rsample" in told(drawn_within_a_network)[0].fix


def test_weights_of_a_network_that_is_not_watched_are_not_called_unregistered() -> None:
    torch.manual_seed(0)
    X, generator, judge = torch.randn(60, 4), nn.Linear(4, 4), nn.Linear(4, 1)
    ours, theirs = (torch.optim.SGD(m.parameters(), 0.01) for m in (generator, judge))
    with watch(generator, ours) as w:
        for _ in range(10):
            judge(generator(X)).mean().backward()
            ours.step()
            theirs.step()
            ours.zero_grad()
            theirs.zero_grad()
    assert RULES["layers-not-registered"].apply(w.record) is None
