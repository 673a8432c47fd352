"""What a run is held against before it starts, and a batch before anything is learned from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from dlbook.pytorch.data import Batch

__all__ = ["check_batch", "check_loss", "check_run", "check_targets"]

# The losses whose targets are known: of the predictions' shape, or class ids.
ELEMENTWISE = (
    nn.MSELoss,
    nn.L1Loss,
    nn.SmoothL1Loss,
    nn.HuberLoss,
    nn.BCELoss,
    nn.BCEWithLogitsLoss,
)
CLASSES = (nn.CrossEntropyLoss, nn.NLLLoss)


def check_run(
    model: nn.Module,
    loss: nn.Module,
    optimizer: torch.optim.Optimizer,
    schedule: LRScheduler | None,
    loader: Iterable[Batch],
    validation: Iterable[Batch] | None,
) -> None:
    """Refuse parts that cannot train together.

    Parameters
    ----------
    model : nn.Module
        The network.
    loss : nn.Module
        Takes predictions and targets, returns their mean loss.
    optimizer : torch.optim.Optimizer
        Should hold the model's parameters.
    schedule : LRScheduler or None
        Should change this optimizer's rate.
    loader, validation : iterable of tuple of Tensor or None
        Should yield the batches of an epoch whenever they are asked.

    Raises
    ------
    TypeError
        If the loss is not a module, or a loader can be read only once; the message gives what came.
    ValueError
        If the loss does not take the mean, optimizer or schedule would change other things, or
        there are no validation examples for ``ReduceLROnPlateau``.

    Examples
    --------
    >>> model, other = nn.Linear(2, 1), nn.Linear(2, 1)
    >>> sgd = torch.optim.SGD(other.parameters())
    >>> check_run(model, nn.MSELoss(), sgd, None, [], None)
    Traceback (most recent call last):
    ValueError: the optimizer would change other parameters than the model's: ...
    """
    check_loss(loss)
    own = {id(parameter) for parameter in model.parameters()}
    if own.isdisjoint(id(p) for group in optimizer.param_groups for p in group["params"]):
        raise ValueError(
            "the optimizer would change other parameters than the model's: expected one made with "
            "model.parameters(), got one that holds none of them"
        )
    if getattr(schedule, "optimizer", optimizer) is not optimizer:
        raise ValueError(
            "the schedule would change another optimizer's rate: expected one made with the "
            "optimizer of this run, got one of another"
        )
    if isinstance(schedule, ReduceLROnPlateau) and validation is None:
        raise ValueError("expected validation examples to go with ReduceLROnPlateau, got none")
    for name, batches in (("loader", loader), ("validation", validation)):
        if isinstance(batches, Iterator):
            raise TypeError(
                f"expected {name} to be read anew in each epoch, got {type(batches).__name__}, "
                "which can be read once: pass a loader or a list of batches"
            )


def check_loss(loss: nn.Module) -> None:
    """Refuse anything but a loss that takes the mean over a batch.

    Parameters
    ----------
    loss : nn.Module
        The loss.

    Raises
    ------
    TypeError
        If it is not a module, such as the class of one; the message gives what it is.
    ValueError
        If it has another reduction; the message gives it.

    Examples
    --------
    >>> check_loss(nn.MSELoss(reduction="sum"))
    Traceback (most recent call last):
    ValueError: expected a loss with reduction="mean", got 'sum'
    """
    if not isinstance(loss, nn.Module):
        raise TypeError(f"expected a loss such as nn.MSELoss(), got {loss!r}")
    reduction = getattr(loss, "reduction", "mean")
    if reduction != "mean":
        raise ValueError(f'expected a loss with reduction="mean", got {reduction!r}')


def check_batch(batch: object) -> None:
    """Refuse anything but a pair (X, y).

    Parameters
    ----------
    batch : object
        What a loader yields.

    Raises
    ------
    TypeError
        If it is something else; the message gives what it is.

    Examples
    --------
    >>> check_batch({"X": torch.zeros(2, 3), "y": torch.zeros(2)})
    Traceback (most recent call last):
    TypeError: expected batches (X, y), got dict
    """
    if not isinstance(batch, tuple | list):
        raise TypeError(f"expected batches (X, y), got {type(batch).__name__}")
    if len(batch) != 2:
        raise TypeError(f"expected batches (X, y), got {type(batch).__name__} of {len(batch)}")


def check_targets(loss: nn.Module, Z: Tensor, y: Tensor) -> None:
    """Refuse targets that a loss of PyTorch would take for something else.

    Targets of shape (n,) against predictions of shape (n, 1) broadcast: n × n differences, whose
    mean is least where the network always answers the mean. A class id outside 0 … k - 1 ends
    the use of a GPU for the whole process.

    Parameters
    ----------
    loss : nn.Module
        The loss; of one that is not PyTorch's own nothing is known, and nothing refused.
    Z : Tensor of shape (n, ...)
        Predictions.
    y : Tensor of shape (n, ...)
        Targets. The range of class ids is looked at on the CPU only: to wait for a GPU in each
        step would cost more than the step.

    Raises
    ------
    TypeError
        If the targets are integers where numbers are asked for, or the reverse; the message gives
        the dtype.
    ValueError
        If their shape is another than the loss asks for, or an id is out of range; the message
        gives both.

    Examples
    --------
    >>> check_targets(nn.MSELoss(), torch.zeros(4, 1), torch.zeros(4))
    Traceback (most recent call last):
    ValueError: expected targets of the predictions' shape (4, 1), got (4,)
    >>> check_targets(nn.CrossEntropyLoss(), torch.zeros(2, 3), torch.tensor([0, 3]))
    Traceback (most recent call last):
    ValueError: expected class ids from 0 to 2, got 3
    """
    if isinstance(loss, ELEMENTWISE):
        if not y.is_floating_point():
            raise TypeError(f"expected targets in {Z.dtype}, got {y.dtype}: y.float() converts")
        _check_shape(y, Z.shape, "targets of the predictions' shape")
    elif isinstance(loss, nn.CrossEntropyLoss) and y.is_floating_point() and y.ndim == Z.ndim > 1:
        _check_shape(y, Z.shape, "class probabilities of the predictions' shape")
    elif isinstance(loss, CLASSES):
        if Z.ndim < 2:
            raise ValueError(f"expected logits of shape (n, k), got {tuple(Z.shape)}")
        if y.dtype not in (torch.int64, torch.uint8):
            raise TypeError(f"expected class ids in torch.int64, got {y.dtype}: y.long() converts")
        _check_shape(y, Z.shape[:1] + Z.shape[2:], "class ids of shape")
        if y.device.type == "cpu" and y.numel():
            _check_ids(y, Z.shape[1], loss.ignore_index)


def _check_shape(y: Tensor, wanted: torch.Size, what: str) -> None:
    if y.shape != wanted:
        raise ValueError(f"expected {what} {tuple(wanted)}, got {tuple(y.shape)}")


def _check_ids(y: Tensor, k: int, ignored: int) -> None:
    low, high = y.aminmax()
    if low < 0 or high >= k:
        wrong = y[((y < 0) | (y >= k)) & (y != ignored)]
        if len(wrong):
            raise ValueError(f"expected class ids from 0 to {k - 1}, got {int(wrong[0])}")
