"""The training loop, once, for every network of the book."""

from __future__ import annotations

from time import perf_counter

import torch
from torch import Tensor, nn

from dlbook.history import History
from dlbook.progress import epoch_bar
from dlbook.pytorch.data import Loader
from dlbook.pytorch.devices import best_device

__all__ = ["evaluate", "fit"]


def fit(
    model: nn.Module,
    loss: nn.Module,
    optimizer: torch.optim.Optimizer,
    loader: Loader,
    *,
    epochs: int,
    device: str | torch.device | None = None,
    validation: Loader | None = None,
    progress: bool = True,
    history: History | None = None,
) -> History:
    """Train a network and record each epoch.

    ``train_loss`` and ``train_accuracy`` are means over the examples of the epoch, each example
    judged just before the step that learns from it; the validation's are measured at the end of
    the epoch.

    Parameters
    ----------
    model : nn.Module
        The network; it is moved to the device and its parameters change.
    loss : nn.Module
        Takes predictions and targets, returns their mean loss.
    optimizer : torch.optim.Optimizer
        Holds the model's parameters.
    loader : DataLoader
        Yields the batches (X, y) of an epoch.
    epochs : int
        How often all examples are shown.
    device : str or torch.device, optional
        As in ``best_device``.
    validation : DataLoader, optional
        Examples to measure on after each epoch, and never to learn from.
    progress : bool, default True
        Show a progress bar.
    history : History, optional
        Where to record. Pass one to keep what was recorded when Ctrl-C ends the run.

    Returns
    -------
    History
        One row an epoch: ``epoch``, ``train_loss``, ``train_accuracy`` where targets are classes,
        the same two for ``validation`` where it is given, and ``seconds``.

    Raises
    ------
    ValueError
        If ``epochs`` is below 1, the device is not there, the loss does not take the mean, or
        predictions and targets differ in shape; the message gives both.

    Examples
    --------
    >>> from dlbook.data import load_delivery
    >>> from dlbook.pytorch import MLP, make_loader
    >>> X, Y = load_delivery("float32")
    >>> model = MLP([1, 1])
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    >>> loader = make_loader(X - X.mean(), Y, batch_size=2)
    >>> history = fit(model, nn.MSELoss(), optimizer, loader, epochs=200)
    >>> slope, mean_time = (p.item() for p in model.parameters())
    >>> print(f"{slope:.2f} minutes a mile")
    3.40 minutes a mile
    """
    _check_mean(loss)
    device = best_device(device)
    model.to(device)
    history = History() if history is None else history
    with epoch_bar(epochs, shown=progress) as advance:
        for _ in range(epochs):
            start = perf_counter()
            row = _named("train", _train_epoch(model, loss, optimizer, loader, device))
            if validation is not None:
                row |= _named("validation", evaluate(model, loss, validation, device=device))
            history.record(**row, seconds=perf_counter() - start)
            advance(row["train_loss"], optimizer.param_groups[0]["lr"])
    return history


def evaluate(
    model: nn.Module,
    loss: nn.Module,
    loader: Loader,
    *,
    device: str | torch.device | None = None,
) -> dict[str, float]:
    """Measure a network on examples, learning nothing from them.

    Parameters
    ----------
    model : nn.Module
        The network; it is moved to the device, runs in evaluation mode, and is then put back into
        the mode it was in.
    loss : nn.Module
        Takes predictions and targets, returns their mean loss.
    loader : DataLoader
        Yields the batches (X, y).
    device : str or torch.device, optional
        As in ``best_device``.

    Returns
    -------
    dict of str to float
        ``loss``, the mean over all examples, and, where targets are classes, ``accuracy`` in
        [0, 1].

    Raises
    ------
    ValueError
        If the device is not there, the loss does not take the mean, or predictions and targets
        differ in shape; the message gives both.

    Examples
    --------
    >>> import numpy as np
    >>> from dlbook.pytorch import MLP, make_loader
    >>> loader = make_loader(np.zeros((3, 2), "float32"), np.array([0, 0, 1]), batch_size=2)
    >>> measured = evaluate(MLP([2, 4]), nn.CrossEntropyLoss(), loader)
    >>> print(f"{measured['loss']:.4f} nats, {measured['accuracy']:.0%} right")
    1.3863 nats, 67% right
    """
    _check_mean(loss)
    device = best_device(device)
    model.to(device)
    sums = _Sums(loss)
    was_training = model.training
    model.eval()
    with torch.no_grad():
        for X, y in loader:
            X, y = X.to(device), y.to(device)
            Z = model(X)
            _check_shapes(Z, y)
            sums.add(loss(Z, y), Z, y)
    model.train(was_training)
    return sums.means()


def _train_epoch(
    model: nn.Module,
    loss: nn.Module,
    optimizer: torch.optim.Optimizer,
    loader: Loader,
    device: torch.device,
) -> dict[str, float]:
    """Show every example once; return the means over them."""
    sums = _Sums(loss)
    model.train()
    for X, y in loader:
        X, y = X.to(device), y.to(device)
        optimizer.zero_grad()
        Z = model(X)
        _check_shapes(Z, y)
        batch_loss = loss(Z, y)
        batch_loss.backward()
        optimizer.step()
        sums.add(batch_loss, Z, y)
    return sums.means()


class _Sums:
    """Sums over examples, from the means of batches that may differ in size.

    They stay on the device until the end: reading a number from a GPU waits for all its work.
    """

    def __init__(self, loss: nn.Module) -> None:
        self.binary = isinstance(loss, nn.BCEWithLogitsLoss)
        self.examples = 0
        self.sums: dict[str, Tensor] = {}

    def add(self, batch_loss: Tensor, Z: Tensor, y: Tensor) -> None:
        means = {"loss": batch_loss.detach()}
        if self.binary:
            means["accuracy"] = ((Z > 0) == (y > 0.5)).float().mean()
        elif not y.is_floating_point():
            means["accuracy"] = (Z.argmax(dim=1) == y).float().mean()
        self.examples += len(y)
        for name, mean in means.items():
            self.sums[name] = self.sums.get(name, torch.zeros_like(mean)) + len(y) * mean

    def means(self) -> dict[str, float]:
        return {name: total.item() / self.examples for name, total in self.sums.items()}


def _named(part: str, measured: dict[str, float]) -> dict[str, float]:
    return {f"{part}_{name}": value for name, value in measured.items()}


def _check_mean(loss: nn.Module) -> None:
    if getattr(loss, "reduction", "mean") != "mean":
        raise ValueError(f'expected a loss with reduction="mean", got {loss.reduction!r}')


def _check_shapes(Z: Tensor, y: Tensor) -> None:
    """Refuse targets that would broadcast: (n,) against (n, 1) makes an n × n loss."""
    if y.is_floating_point() and Z.shape != y.shape:
        raise ValueError(
            f"expected targets of the predictions' shape {tuple(Z.shape)}, got {tuple(y.shape)}"
        )
