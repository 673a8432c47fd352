"""Sound programs of many kinds, each to be run alone and with the doctor watching.

A program takes what makes a context of its networks and optimizers, trains within it, and returns
all that it ends with: ``ended`` gathers weights, buffers, gradients, the optimizers' state, losses
and the state of every generator.
"""

from __future__ import annotations

import copy
import io
import pickle
import random
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_padded_sequence
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

Watching = Callable[[Any, Any], AbstractContextManager[Any]]
Program = Callable[[Watching], list[Any]]

PROGRAMS: dict[str, Program] = {}
STEPS = 40
CPU = "cpu"


def program(function: Program) -> Program:
    """Add a program to those that are run."""
    PROGRAMS[function.__name__] = function
    return function


def seed() -> None:
    """Set every generator."""
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002  # the doctor must not touch this one either
    torch.manual_seed(0)


def ended(models: Any, optimizers: Any, losses: list[float]) -> list[Any]:
    """Gather all that a program ends with; the losses first."""
    models = models if isinstance(models, list) else [models]
    optimizers = optimizers if isinstance(optimizers, list) else [optimizers]
    return [
        losses,
        [dict(model.state_dict()) for model in models],
        [[p.grad for p in model.parameters()] for model in models],
        [optimizer.state_dict() for optimizer in optimizers],
        [type(hook).__name__ for model in models for hook in model._forward_hooks.values()],
        [torch.get_rng_state(), np.random.get_state(), random.getstate()],  # noqa: NPY002
    ]


def points(n: int = 64) -> tuple[Tensor, Tensor]:
    """Return points of two classes that can be told apart."""
    X = torch.randn(n, 6, generator=torch.Generator().manual_seed(1))
    return X, (X[:, 0] + X[:, 1] > X[:, 2]).long()


def perceptron() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.1), nn.Linear(16, 2))


def batches(n: int = STEPS) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield shuffled batches for a number of steps."""
    loader = DataLoader(TensorDataset(*points()), batch_size=16, shuffle=True)
    while n > 0:
        for X, y in loader:
            yield X, y
            n -= 1


def step(optimizer: Optimizer, loss: Tensor) -> float:
    """Make a step the usual way."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()


def sgd(model: nn.Module, lr: float = 0.3) -> torch.optim.SGD:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.5)


@program
def plain(watching: Watching) -> list[Any]:
    model = perceptron()
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
    return ended(model, optimizer, losses)


@program
def evaluated_every_epoch(watching: Watching) -> list[Any]:
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.05, total_steps=64)
    losses, (X_val, y_val) = [], points(96)
    with watching(model, optimizer):
        for _ in range(8):
            model.train()
            for X, y in batches(8):
                losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
                schedule.step()
            model.eval()
            with torch.inference_mode():
                model(X_val).argmax(1).eq(y_val).sum()
    return ended(model, optimizer, losses)


class Items(Dataset[dict[str, Tensor]]):
    """Items as dictionaries."""

    def __init__(self) -> None:
        self.X, self.y = points()

    def __len__(self) -> int:
        return len(self.X)

    def __getitem__(self, i: int) -> dict[str, Tensor]:
        noise = 0.01 * torch.randn(3)  # drawn from the worker's or the process's own generator
        return {"left": self.X[i, :3] + noise, "right": self.X[i, 3:], "label": self.y[i]}


class Reader(nn.Module):
    """Takes a dictionary, or its parts by their names; gives one, as Transformers' models do."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Linear(6, 16)
        self.head = nn.Linear(16, 2)

    def forward(
        self, left: Tensor, right: Tensor, label: Tensor | None = None
    ) -> dict[str, Tensor]:
        logits = self.head(self.body(torch.cat([left, right], dim=1)).relu())
        loss = logits.new_zeros(()) if label is None else functional.cross_entropy(logits, label)
        return {"loss": loss, "logits": logits}


@program
def dictionaries_as_batches(watching: Watching) -> list[Any]:
    model = Reader()
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for _ in range(10):
            for batch in DataLoader(Items(), batch_size=16, shuffle=True):
                losses.append(step(optimizer, model(**batch)["loss"]))
    return ended(model, optimizer, losses)


class Wrapped(nn.Module):
    """Takes and gives nested tuples."""

    def __init__(self) -> None:
        super().__init__()
        self.body = perceptron()

    def forward(self, batch: tuple[tuple[Tensor, Tensor], Tensor]) -> tuple[Tensor, list[Tensor]]:
        (left, right), _ = batch
        Z = self.body(torch.cat([left, right], dim=1))
        return Z, [Z.softmax(dim=1)]


@program
def tuples_as_batches(watching: Watching) -> list[Any]:
    model = Wrapped()
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            Z, _ = model(((X[:, :3], X[:, 3:]), y))
            losses.append(step(optimizer, nn.CrossEntropyLoss()(Z, y)))
    return ended(model, optimizer, losses)


class Recurrent(nn.Module):
    """Reads sequences, padded or packed."""

    def __init__(self, kind: Any, packed: bool) -> None:
        super().__init__()
        self.cells = kind(2, 12, batch_first=True)
        self.head = nn.Linear(12, 2)
        self.packed = packed

    def forward(self, X: Tensor, lengths: Tensor) -> Tensor:
        if not self.packed:
            states, _ = self.cells(X)
            return cast("Tensor", self.head(states[:, -1]))
        sequences = pack_padded_sequence(X, lengths, batch_first=True, enforce_sorted=False)
        _, last = self.cells(sequences)
        return cast("Tensor", self.head((last[0] if isinstance(last, tuple) else last)[-1]))


def sequences(watching: Watching, kind: type[nn.RNNBase], packed: bool) -> list[Any]:
    X = torch.randn(64, 5, 2, generator=torch.Generator().manual_seed(1))
    lengths = torch.arange(64) % 4 + 2 if packed else torch.full((64,), 5)
    inside = torch.arange(5) < lengths[:, None]
    y = ((X[..., 0] * inside).sum(dim=1) > 0).long()
    model = Recurrent(kind, packed)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    loader = DataLoader(TensorDataset(X, lengths, y), batch_size=16, shuffle=True)
    losses = []
    with watching(model, optimizer):
        for _ in range(12):
            for X_batch, n, y_batch in loader:
                loss = functional.cross_entropy(model(X_batch, n), y_batch)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 5.0)
                optimizer.step()
                losses.append(loss.item())
    return ended(model, optimizer, losses)


@program
def rnn(watching: Watching) -> list[Any]:
    return sequences(watching, nn.RNN, packed=False)


@program
def gru_packed(watching: Watching) -> list[Any]:
    return sequences(watching, nn.GRU, packed=True)


@program
def lstm(watching: Watching) -> list[Any]:
    return sequences(watching, nn.LSTM, packed=False)


@program
def lstm_packed(watching: Watching) -> list[Any]:
    return sequences(watching, nn.LSTM, packed=True)


def images() -> tuple[Tensor, Tensor]:
    """Return images with a bright upper or lower half."""
    y = torch.arange(64) % 2
    X = torch.randn(64, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    X[y == 0, :, :4] += 1
    X[y == 1, :, 4:] += 1
    return X, y


@program
def convolutions_with_batch_norm(watching: Watching) -> list[Any]:
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Dropout2d(0.1),
        nn.Flatten(),
        nn.Linear(64, 2),
    )
    optimizer = sgd(model, 0.05)
    losses = []
    with watching(model, optimizer):
        for _ in range(6):
            model.train()
            for X, y in DataLoader(TensorDataset(*images()), batch_size=16, shuffle=True):
                losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
            model.eval()
            with torch.no_grad():
                model(images()[0])
    return ended(model, optimizer, losses)


class Attention(nn.Module):
    """A transformer encoder over tokens, some of them padding."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(8, 16, padding_idx=0)
        self.places = nn.Parameter(0.02 * torch.randn(6, 16))
        layer = nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, batch_first=True)
        self.body = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.head = nn.Linear(16, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        padding = tokens == 0
        states = self.body(self.tokens(tokens) + self.places, src_key_padding_mask=padding)
        kept = (~padding).unsqueeze(-1)
        return cast("Tensor", self.head((states * kept).sum(dim=1) / kept.sum(dim=1)))


@program
def transformer_encoder(watching: Watching) -> list[Any]:
    tokens = torch.randint(1, 8, (64, 6), generator=torch.Generator().manual_seed(1))
    y = (tokens > 4).sum(dim=1).gt(2).long()
    tokens[::3, -2:] = 0
    y = ((tokens > 4).sum(dim=1) >= 2).long()
    model = Attention()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.005)
    losses = []
    with watching(model, optimizer):
        for _ in range(10):
            for X, labels in DataLoader(TensorDataset(tokens, y), batch_size=16, shuffle=True):
                losses.append(step(optimizer, functional.cross_entropy(model(X), labels)))
    return ended(model, optimizer, losses)


class Stream(IterableDataset[tuple[Tensor, Tensor]]):
    """Items one after another, without a length."""

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        for i in torch.randperm(64).tolist():
            X, y = points()
            yield X[i], y[i]


@program
def iterable_dataset(watching: Watching) -> list[Any]:
    model = perceptron()
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for _ in range(10):
            for X, y in DataLoader(Stream(), batch_size=16):
                losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
    return ended(model, optimizer, losses)


@program
def loader_with_workers(watching: Watching) -> list[Any]:
    model = Reader()
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        loader = DataLoader(
            Items(),
            batch_size=16,
            shuffle=True,
            num_workers=2,
            persistent_workers=True,
            multiprocessing_context="fork",
        )
        for _ in range(10):
            for batch in loader:
                losses.append(step(optimizer, model(**batch)["loss"]))
    return ended(model, optimizer, losses)


@program
def autocast_to_bfloat16(watching: Watching) -> list[Any]:
    model = perceptron()
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            with torch.autocast(CPU, dtype=torch.bfloat16):
                loss = functional.cross_entropy(model(X), y)
            losses.append(step(optimizer, loss))
    return ended(model, optimizer, losses)


@program
def float16_with_a_scaler(watching: Watching) -> list[Any]:
    model = perceptron()
    optimizer = sgd(model)
    scaler = torch.amp.GradScaler(CPU, init_scale=2.0**22, growth_interval=15)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            optimizer.zero_grad()
            with torch.autocast(CPU, dtype=torch.float16):
                Z = model(X)
            loss = functional.cross_entropy(Z.float(), y)
            scaler.scale(loss).backward()
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            scaler.step(optimizer)
            scaler.update()
            losses.append(loss.item())
    assert scaler.get_scale() != 2.0**22
    return [*ended(model, optimizer, losses), scaler.state_dict()]


@program
def gradients_accumulated(watching: Watching) -> list[Any]:
    model = perceptron()
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for number, (X, y) in enumerate(batches(120)):
            loss = functional.cross_entropy(model(X), y)
            (loss / 4).backward()
            losses.append(loss.item())
            if number % 4 == 3:
                optimizer.step()
                optimizer.zero_grad()
    return ended(model, optimizer, losses)


@program
def two_optimizers(watching: Watching) -> list[Any]:
    body, head = nn.Sequential(nn.Linear(6, 16), nn.Tanh()), nn.Linear(16, 2)
    optimizers = [torch.optim.Adam(body.parameters(), lr=0.02), sgd(head)]
    losses = []
    with watching({"body": body, "head": head}, optimizers):
        for X, y in batches():
            loss = functional.cross_entropy(head(body(X)), y)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()
            for optimizer in optimizers:
                optimizer.step()
            losses.append(loss.item())
    return ended([body, head], optimizers, losses)


@program
def lbfgs(watching: Watching) -> list[Any]:
    model = nn.Linear(6, 2)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=4, line_search_fn="strong_wolfe")
    losses, (X, y) = [], points()

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(X), y) + 0.01 * model.weight.square().sum()
        loss.backward()
        return loss

    with watching(model, optimizer):
        for _ in range(8):
            losses.append(optimizer.step(closure).item())
    return ended(model, optimizer, losses)


class Checkpointed(nn.Module):
    """Computes its first half again on the way back."""

    def __init__(self, use_reentrant: bool) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Dropout(0.1))
        self.second = nn.Linear(16, 2)
        self.use_reentrant = use_reentrant

    def forward(self, X: Tensor) -> Tensor:
        X = X.requires_grad_() if self.use_reentrant else X
        hidden = checkpoint(self.first, X, use_reentrant=self.use_reentrant)
        return cast("Tensor", self.second(hidden))


def checkpointed(watching: Watching, use_reentrant: bool) -> list[Any]:
    model = Checkpointed(use_reentrant)
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
    return ended(model, optimizer, losses)


@program
def computed_again(watching: Watching) -> list[Any]:
    return checkpointed(watching, use_reentrant=False)


@program
def computed_again_in_a_backward_of_its_own(watching: Watching) -> list[Any]:
    return checkpointed(watching, use_reentrant=True)


def whole_checkpointed(watching: Watching, use_reentrant: bool) -> list[Any]:
    model = perceptron()
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            Z = checkpoint(model, X.requires_grad_(use_reentrant), use_reentrant=use_reentrant)
            losses.append(step(optimizer, functional.cross_entropy(Z, y)))
    return ended(model, optimizer, losses)


@program
def whole_network_computed_again(watching: Watching) -> list[Any]:
    return whole_checkpointed(watching, use_reentrant=False)


@program
def whole_network_computed_again_in_a_backward_of_its_own(watching: Watching) -> list[Any]:
    return whole_checkpointed(watching, use_reentrant=True)


class Tied(nn.Module):
    """Reads and writes tokens with the same weights."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = nn.Embedding(8, 12)
        self.hidden = nn.Linear(12, 12)
        self.writes = nn.Linear(12, 8, bias=False)
        self.writes.weight = self.reads.weight

    def forward(self, tokens: Tensor) -> Tensor:
        return cast("Tensor", self.writes(self.hidden(self.reads(tokens)).tanh()))


@program
def tied_weights(watching: Watching) -> list[Any]:
    model = Tied()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    tokens = torch.randint(0, 8, (64,), generator=torch.Generator().manual_seed(1))
    losses = []
    with watching(model, optimizer):
        for _ in range(10):
            for (batch,) in DataLoader(TensorDataset(tokens), batch_size=16, shuffle=True):
                loss = functional.cross_entropy(model(batch), (batch + 3) % 8)
                losses.append(step(optimizer, loss))
    return ended(model, optimizer, losses)


@program
def gradients_of_each_example(watching: Watching) -> list[Any]:
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 2))
    optimizer = sgd(model)
    losses = []

    def loss_of_one(parameters: dict[str, Tensor], x: Tensor, label: Tensor) -> Tensor:
        z = functional_call(model, parameters, (x.unsqueeze(0),))
        return functional.cross_entropy(z, label.unsqueeze(0))

    with watching(model, optimizer):
        for X, y in batches():
            parameters = {name: p.detach() for name, p in model.named_parameters()}
            gradients = vmap(grad(loss_of_one), in_dims=(None, 0, 0))(parameters, X, y)
            for name, p in model.named_parameters():
                p.grad = gradients[name].mean(dim=0)
            optimizer.step()
            with torch.no_grad():
                losses.append(functional.cross_entropy(model(X), y).item())
    return ended(model, optimizer, losses)


@program
def functional_calls(watching: Watching) -> list[Any]:
    model = perceptron()
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            Z = functional_call(model, dict(model.named_parameters()), (X,))
            losses.append(step(optimizer, functional.cross_entropy(Z, y)))
    return ended(model, optimizer, losses)


@program
def steps_within_the_loss(watching: Watching) -> list[Any]:
    """Learns a start from which one step of descent does well, as MAML does."""
    model = nn.Linear(6, 2)
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            loss = functional.cross_entropy(model(X[:4]), y[:4])
            gradients = torch.autograd.grad(loss, list(model.parameters()), create_graph=True)
            names = zip(model.named_parameters(), gradients, strict=True)
            stepped = {name: p - 0.1 * gradient for (name, p), gradient in names}
            Z = functional_call(model, stepped, (X[4:],))
            losses.append(step(optimizer, functional.cross_entropy(Z, y[4:])))
    return ended(model, optimizer, losses)


class Softsign(torch.autograd.Function):
    """A function with a backward pass of its own."""

    @staticmethod
    def forward(ctx: Any, Z: Tensor) -> Tensor:
        ctx.save_for_backward(Z)
        return Z / (1 + Z.abs())

    @staticmethod
    def backward(ctx: Any, dA: Tensor) -> Tensor:
        (Z,) = ctx.saved_tensors
        return cast("Tensor", dA / (1 + Z.abs()) ** 2)


class Custom(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(6, 16), nn.Linear(16, 2)

    def forward(self, X: Tensor) -> Tensor:
        return cast("Tensor", self.second(Softsign.apply(self.first(X))))


@program
def own_autograd_function(watching: Watching) -> list[Any]:
    model = Custom()
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
    return ended(model, optimizer, losses)


@program
def own_hooks(watching: Watching) -> list[Any]:
    model = perceptron()
    optimizer = sgd(model)
    seen: list[Any] = []
    first = cast("nn.Linear", model[0])

    def before(_model: nn.Module, args: Any, kwargs: Any) -> tuple[Any, Any]:
        seen.append(("before", float(args[0].sum())))
        return (args[0] * 1.5,), kwargs

    def after(_model: nn.Module, _args: Any, Z: Tensor) -> Tensor:
        seen.append(("after", Z.sum().item()))
        return Z * 0.75

    def back(_model: nn.Module, _dX: Any, dZ: Any) -> None:
        seen.append(("back", float(dZ[0].abs().sum())))

    model.register_forward_pre_hook(before, with_kwargs=True)
    model.register_forward_hook(after)
    model[3].register_full_backward_hook(back)
    first.weight.register_hook(lambda gradient: gradient * 0.5)
    first.bias.register_post_accumulate_grad_hook(lambda p: seen.append(float(p.grad.sum())))
    optimizer.register_step_pre_hook(lambda *_: seen.append("step"))
    losses = []
    with watching(model, optimizer):
        last = model.register_forward_hook(lambda _m, _a, Z: Z + 0.01)
        for X, y in batches():
            losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
        last.remove()
    return [*ended(model, optimizer, losses), seen]


@program
def optimizer_in_the_backward_pass(watching: Watching) -> list[Any]:
    model = perceptron()
    optimizers = {id(p): torch.optim.SGD([p], lr=0.3) for p in model.parameters()}

    def update(p: Tensor) -> None:
        optimizers[id(p)].step()
        optimizers[id(p)].zero_grad()

    for p in model.parameters():
        p.register_post_accumulate_grad_hook(update)
    losses = []
    with watching(model, list(optimizers.values())):
        for X, y in batches():
            loss = functional.cross_entropy(model(X), y)
            loss.backward()
            losses.append(loss.item())
    return ended(model, list(optimizers.values()), losses)


@program
def exceptions_within(watching: Watching) -> list[Any]:
    model = perceptron()
    optimizer = sgd(model)
    losses, caught = [], 0
    with watching(model, optimizer):
        for number, (X, y) in enumerate(batches()):
            try:
                losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
                if number % 5 == 2:
                    model(X[:, :4])  # of a wrong width
            except RuntimeError:
                caught += 1
    assert caught == STEPS // 5
    return ended(model, optimizer, losses)


@program
def copies_and_files_within(watching: Watching) -> list[Any]:
    model = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2))
    optimizer = sgd(model, 0.1)
    averaged = AveragedModel(model)
    losses, best = [], copy.deepcopy(model)
    with watching(model, optimizer):
        for number, (X, y) in enumerate(batches()):
            losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
            averaged.update_parameters(model)
            if number % 10 == 9:
                best = copy.deepcopy(model)
                file = io.BytesIO()
                kept = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
                torch.save(kept, file)
                file.seek(0)
                kept = torch.load(file)
                model.load_state_dict(kept["model"])
                optimizer.load_state_dict(kept["optimizer"])
    return [*ended([model, best], optimizer, losses), dict(averaged.state_dict())]


@program
def gradient_penalty(watching: Watching) -> list[Any]:
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 2))
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            X = X.clone().requires_grad_()
            loss = functional.cross_entropy(model(X), y)
            (dX,) = torch.autograd.grad(loss, X, create_graph=True)
            losses.append(step(optimizer, loss + 0.1 * dX.square().sum()))
    return ended(model, optimizer, losses)


@program
def losses_backward_by_themselves(watching: Watching) -> list[Any]:
    model = perceptron()
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            each = functional.cross_entropy(model(X), y, reduction="none")
            optimizer.zero_grad(set_to_none=False)
            each.backward(torch.full_like(each, 1 / len(each)), retain_graph=True)
            torch.autograd.backward([0.1 * each.mean()])
            optimizer.step()
            losses.append(each.mean().item())
    return ended(model, optimizer, losses)


@program
def sparse_gradients(watching: Watching) -> list[Any]:
    model = nn.Sequential(nn.Embedding(50, 8, sparse=True), nn.Flatten(), nn.Linear(24, 2))
    table, *rest = model.parameters()
    optimizers = [torch.optim.SparseAdam([table], lr=0.05), torch.optim.Adam(rest, lr=0.05)]
    tokens = torch.randint(0, 50, (64, 3), generator=torch.Generator().manual_seed(1))
    loader = DataLoader(TensorDataset(tokens, tokens[:, 0] % 2), batch_size=16, shuffle=True)
    losses = []
    with watching(model, optimizers):
        for _ in range(10):
            for X, y in loader:
                for optimizer in optimizers:
                    optimizer.zero_grad()
                loss = functional.cross_entropy(model(X), y)
                loss.backward()
                for optimizer in optimizers:
                    optimizer.step()
                losses.append(loss.item())
    state = ended(model, optimizers, losses)
    state[2] = [[g.to_dense() for g in gradients] for gradients in state[2]]
    return state


class Mixed(nn.Module):
    """Parameters that are computed from others, complex, empty, frozen, and of two widths."""

    def __init__(self) -> None:
        super().__init__()
        self.body = parametrizations.weight_norm(nn.Linear(6, 16))
        self.norm = parametrizations.spectral_norm(nn.Linear(16, 16))
        self.turn = nn.Parameter(torch.randn(16, dtype=torch.complex64))
        self.none = nn.Parameter(torch.empty(0))
        self.frozen = nn.Parameter(torch.ones(16), requires_grad=False)
        self.scale = nn.Parameter(torch.ones((), dtype=torch.float64))
        self.head = nn.Linear(16, 2)

    def forward(self, X: Tensor) -> Tensor:
        hidden = (self.norm(self.body(X).tanh()) * self.turn).abs() * self.frozen
        return cast("Tensor", self.head(hidden * self.scale.float() + self.none.sum()))


@program
def weights_of_many_kinds(watching: Watching) -> list[Any]:
    model = Mixed()
    rate = torch.tensor(0.02)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, capturable=False, foreach=False)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
    return ended(model, optimizer, losses)


@program
def layers_frozen_and_freed_on_the_way(watching: Watching) -> list[Any]:
    model = perceptron()
    first = cast("nn.Linear", model[0])
    first.requires_grad_(False)
    optimizer = torch.optim.SGD(cast("nn.Linear", model[3]).parameters(), lr=0.3)
    losses = []
    with watching(model, optimizer):
        for number, (X, y) in enumerate(batches()):
            if number == 20:
                first.requires_grad_(True)
                optimizer.add_param_group({"params": list(first.parameters()), "lr": 0.1})
            losses.append(step(optimizer, functional.cross_entropy(model(X), y)))
    return ended(model, optimizer, losses)


@program
def network_called_twice_a_step(watching: Watching) -> list[Any]:
    model = nn.Sequential(OrderedDict(body=nn.Linear(6, 16), act=nn.Tanh(), head=nn.Linear(16, 2)))
    optimizer = sgd(model)
    losses = []
    with watching(model, optimizer):
        for X, y in batches():
            Z = torch.stack([model(X), model(X + 0.01 * torch.randn_like(X))])
            consistent = functional.mse_loss(Z[0], Z[1])
            loss = functional.cross_entropy(Z.mean(dim=0), y) + consistent
            losses.append(step(optimizer, loss))
    return ended(model, optimizer, losses)


@program
def last_batch_of_one(watching: Watching) -> list[Any]:
    model = perceptron()
    optimizer = sgd(model)
    losses, (X, y) = [], points(49)
    with watching(model, optimizer):
        for _ in range(12):
            for X_batch, labels in DataLoader(TensorDataset(X, y), 16, shuffle=True):
                loss = functional.cross_entropy(model(X_batch), labels)
                losses.append(step(optimizer, loss))
    return ended(model, optimizer, losses)


def pickled(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def through_a_file(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES: dict[str, Callable[[Any], Any]] = {
    "deepcopy": copy.deepcopy,
    "pickle": pickled,
    "torch.save": through_a_file,
}
