"""What a trained network answers, and how right it is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from torch import Tensor, nn

from dlbook.arguments import check_whole
from dlbook.pytorch.checks import check_batch, check_loss, check_targets
from dlbook.pytorch.data import Batch
from dlbook.pytorch.devices import best_device, move
from dlbook.pytorch.distributed import share_out
from dlbook.pytorch.precision import Amp, Precision
from dlbook.pytorch.state import Sums

__all__ = ["evaluate", "predict"]


def evaluate(
    model: nn.Module,
    loss: nn.Module,
    loader: Iterable[Batch],
    *,
    device: str | torch.device | None = None,
    amp: Amp | None = None,
) -> dict[str, float]:
    """Measure a network on examples, learning nothing from them.

    Parameters
    ----------
    model : nn.Module
        The network; it is moved to the device, runs in evaluation mode, and is then put back into
        the mode it was in, layer by layer.
    loss : nn.Module
        Takes predictions and targets, returns their mean loss; it is moved to the device.
    loader : iterable of tuple of Tensor
        Yields the batches (X, y).
    device : str or torch.device, optional
        As in ``best_device``.
    amp : {"bf16", "fp16"}, optional
        Compute the products in 16 bits; see ``Precision``.

    Returns
    -------
    dict of str to float
        ``loss``, the mean over all examples, and, where targets are classes, ``accuracy`` in
        [0, 1].

    Raises
    ------
    ValueError
        If the device is not there, the loss does not take the mean, there is no batch, or
        predictions and targets do not go together; the message gives both.
    TypeError
        If targets, inputs or batches are of another kind than loss, network or loop take; the
        message gives what came.

    Notes
    -----
    Targets are classes if they are integers of shape (n,), of which the largest logit is held
    against the class, and with ``BCEWithLogitsLoss``, where a logit above 0 is held against a
    target above one half.

    Batches are weighted by their numbers of examples. With class weights or ignored targets the
    loss of a batch is another mean, over weights; the mean over batches then differs a little from
    that over one batch of all examples.

    Examples
    --------
    >>> import numpy as np
    >>> from dlbook.pytorch import MLP, make_loader
    >>> loader = make_loader(np.zeros((3, 2), "float32"), np.array([0, 0, 1]), batch_size=2)
    >>> measured = evaluate(MLP([2, 4]), nn.CrossEntropyLoss(), loader)
    >>> print(f"{measured['loss']:.4f} nats, {measured['accuracy']:.0%} right")
    1.3863 nats, 67% right
    """
    check_loss(loss)
    precision = Precision(amp, best_device(device))
    model.to(precision.device)
    loss.to(precision.device)
    share_out(loader)
    sums = Sums()
    with _evaluating(model):
        for batch in loader:
            batch_loss(model, loss, precision, batch, sums)
    return sums.means()


def predict(
    model: nn.Module,
    X: Tensor,
    *,
    batch_size: int = 1024,
    device: str | torch.device | None = None,
    amp: Amp | None = None,
) -> Tensor:
    """Compute a network's outputs, a batch at a time, so that memory does not grow with X.

    Parameters
    ----------
    model : nn.Module
        The network; it is moved to the device, runs in evaluation mode, and is then put back into
        the mode it was in, layer by layer.
    X : Tensor of shape (n, ...)
        Inputs, one example a row.
    batch_size : int, default 1024
        Examples at a time; it changes what memory is needed, not the outputs.
    device : str or torch.device, optional
        As in ``best_device``.
    amp : {"bf16", "fp16"}, optional
        Compute the products in 16 bits.

    Returns
    -------
    Tensor of shape (n, ...)
        The outputs, on the CPU, in the order of the inputs; none for no inputs. What was computed
        in 16 bits comes in float32.

    Raises
    ------
    ValueError
        If the device is not there or ``batch_size`` is below 1; the message gives it.
    TypeError
        If X is of another dtype than the network, or ``batch_size`` is not a whole number; the
        message gives what came.

    Examples
    --------
    >>> from dlbook.pytorch import MLP
    >>> predict(MLP([2, 4]), torch.zeros(5, 2), batch_size=2).shape
    torch.Size([5, 4])
    """
    check_whole("batch_size", batch_size)
    precision = Precision(amp, best_device(device))
    model.to(precision.device)
    with _evaluating(model):
        outputs = [_outputs(model, rows, precision).cpu() for rows in torch.split(X, batch_size)]
    Z = torch.cat(outputs)
    return Z if amp is None else Z.float()


def batch_loss(
    network: nn.Module, loss: nn.Module, precision: Precision, batch: Batch, sums: Sums
) -> Tensor:
    """Compute the mean loss of a batch, and add what is measured on it to the sums.

    Parameters
    ----------
    network : nn.Module
        The network, on its device.
    loss : nn.Module
        Takes predictions and targets, returns their mean loss.
    precision : Precision
        How to compute, and on which device.
    batch : tuple of Tensor
        X and y; without rows where this process has no share of the batch.
    sums : Sums
        Takes the sums over the batch's examples: ``loss`` and, where targets are classes,
        ``accuracy``.

    Returns
    -------
    Tensor of shape ()
        The loss, from which backward can start; 0 for no rows.

    Raises
    ------
    ValueError, TypeError
        As ``evaluate``.

    Examples
    --------
    >>> sums, precision = Sums(), Precision(None, torch.device("cpu"))
    >>> batch = torch.ones(2, 3), torch.zeros(2, 3)
    >>> batch_loss(nn.Identity(), nn.MSELoss(), precision, batch, sums)
    tensor(1.)
    >>> sums.examples, sums.means()
    (2, {'loss': 1.0})
    """
    check_batch(batch)
    X, y = batch
    Z = _outputs(network, X, precision)
    check_targets(loss, Z, y)
    y = _moved(y, precision.device)
    with precision.autocast():
        mean: Tensor = loss(Z, y) if len(y) else 0 * Z.sum()
    wide = torch.float32 if Z.device.type == "mps" else torch.float64  # MPS has no float64
    totals = {"loss": len(y) * mean.detach().to(wide)}
    right = _right(loss, Z, y)
    if right is not None:
        totals["accuracy"] = right.sum(dtype=wide) * (len(y) / max(1, right.numel()))
    sums.add(len(y), totals)
    return mean


def try_out(
    model: nn.Module, loss: nn.Module, precision: Precision, loader: Iterable[Batch]
) -> None:
    """Measure a network on a loader's first batch, for the errors that this may raise.

    A loader of another make may draw from the global generator, which is put back: a run is the
    same whether it was tried or not.

    Parameters
    ----------
    model : nn.Module
        The network, on its device.
    loss : nn.Module
        Takes predictions and targets, returns their mean loss.
    precision : Precision
        How to compute, and on which device.
    loader : iterable of tuple of Tensor
        Yields the batches (X, y).

    Raises
    ------
    ValueError, TypeError
        As ``evaluate``.

    Examples
    --------
    >>> try_out(nn.Identity(), nn.MSELoss(), Precision(None, torch.device("cpu")), [])
    Traceback (most recent call last):
    ValueError: expected at least one batch to take means over, got none
    """
    share_out(loader)
    sums = Sums()
    with torch.random.fork_rng(devices=[]), _evaluating(model):
        for batch in islice(loader, 1):
            batch_loss(model, loss, precision, batch, sums)
    sums.means()


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Turn a network to evaluation, without a graph, and put each layer back into its mode."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training


def _outputs(network: nn.Module, X: Tensor, precision: Precision) -> Tensor:
    """Compute the outputs for inputs that come from anywhere."""
    X = _moved(X, precision.device)
    try:
        with precision.autocast():
            Z: Tensor = network(X)
    except RuntimeError as error:
        found, wanted = (
            getattr(X, "dtype", None),
            next((p.dtype for p in network.parameters()), None),
        )
        if found == wanted or "type" not in str(error):
            raise
        raise TypeError(
            f"expected X in {wanted}, as the network's parameters are, got {found}"
        ) from error
    return Z


def _moved(part: Tensor, device: torch.device) -> Tensor:
    """Bring a part of a batch to the device, without waiting where a GPU keeps the order."""
    return move(part, device, non_blocking=device.type == "cuda")


def _right(loss: nn.Module, Z: Tensor, y: Tensor) -> Tensor | None:
    """Tell which predictions are right; None where targets are not classes."""
    if isinstance(loss, nn.BCEWithLogitsLoss):
        return (Z > 0) == (y > 0.5)
    if not y.is_floating_point() and Z.ndim > 1 and y.shape == Z.shape[:1] + Z.shape[2:]:
        return Z.argmax(dim=1) == y
    return None
