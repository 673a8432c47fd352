"""The PyTorch side of a run: one process or many, kept in checkpoints and gone on with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlbook.history import History
from dlbook.runs.training import sizes, targets, validation
from dlbook.tasks import Backend, Options, PyTorchOptions, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dlbook.data import Splits
    from dlbook.runs.training import Predict

__all__ = ["RunError", "newest_checkpoint", "processes", "train_pytorch"]

COMPILERS = ("torch._dynamo", "torch._inductor")


class RunError(Exception):
    """What keeps a run from going on, and its user can mend; the message is one line."""


@contextmanager
def processes(backend: Backend, pytorch: PyTorchOptions) -> Iterator[PyTorchOptions]:
    """Join the processes that ``torchrun`` started, if it did.

    Parameters
    ----------
    backend : {"numpy", "pytorch"}
        NumPy trains in one process; there is nothing to join.
    pytorch : PyTorchOptions
        As asked for.

    Yields
    ------
    PyTorchOptions
        The same with this process's device.

    Raises
    ------
    ValueError
        If the device is not there, or ``torchrun`` did not start the processes as it should.

    Examples
    --------
    >>> with processes("pytorch", PyTorchOptions(device="cpu")) as pytorch:
    ...     print(pytorch.device)
    cpu
    """
    if backend == "numpy":
        yield pytorch
        return
    from dlbook.pytorch.distributed import launched, process_group

    try:
        with process_group(pytorch.device) as device:
            yield replace(pytorch, device=str(device))
    except (RunError, OSError) as error:
        if launched():  # the group has said it, once for all processes
            raise SystemExit(1) from error
        raise


def newest_checkpoint(pytorch: PyTorchOptions) -> Path | None:
    """Return the checkpoint with the most steps, if the run was kept.

    Parameters
    ----------
    pytorch : PyTorchOptions
        Says where.

    Returns
    -------
    Path or None
        Its file.

    Examples
    --------
    >>> print(newest_checkpoint(PyTorchOptions()))
    None
    """
    if pytorch.checkpoint is None:
        return None
    from dlbook.pytorch.checkpoints import Checkpoints

    return next(iter(Checkpoints(pytorch.checkpoint).files()), None)


def train_pytorch(
    task: Task,
    options: Options,
    data: Splits,
    history: History,
    progress: bool,
    pytorch: PyTorchOptions,
) -> Predict:
    """Train a network; return what computes its outputs."""
    import torch
    from torch import nn

    from dlbook.pytorch import (
        MLP,
        CheckpointError,
        Checkpoints,
        best_device,
        fit,
        make_loader,
        predict,
    )
    from dlbook.pytorch.distributed import process_count

    device = best_device(pytorch.device)
    history.settings |= {
        "device": str(device),
        "compile": pytorch.compile,
        "processes": process_count(),
    }
    generator = torch.Generator().manual_seed(options.seed)
    model = MLP(sizes(task, options, data), generator=generator)
    losses = {
        "mse": nn.MSELoss,
        "binary_cross_entropy_with_logits": nn.BCEWithLogitsLoss,
        "cross_entropy": nn.CrossEntropyLoss,
    }
    make_optimizer: Any = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[options.optimizer]
    held_out = validation(task, data)
    checkpoints = None
    if pytorch.checkpoint is not None:
        checkpoints = Checkpoints(pytorch.checkpoint, every=pytorch.every, resume=pytorch.resume)
    try:
        fit(
            model,
            losses[task.loss](),
            make_optimizer(model.to(device).parameters(), lr=options.lr),
            make_loader(
                data.train.X,
                targets(task, data.train.y),
                batch_size=options.batch_size,
                generator=generator,
            ),
            epochs=options.epochs,
            device=device,
            validation=held_out and make_loader(*held_out, batch_size=len(held_out[0])),
            amp=pytorch.amp,
            compile=pytorch.compile,
            checkpoints=checkpoints,
            progress=progress,
            history=history,
        )
    except CheckpointError as error:
        raise RunError(str(error)) from error
    except RuntimeError as error:
        if not type(error).__module__.startswith(COMPILERS):
            raise
        reason = str(error).partition("\n")[0]
        raise RunError(f"{reason}: without --compile the run needs no compiler") from error

    def outputs(X: NDArray[np.floating]) -> NDArray[np.floating]:
        Z: NDArray[np.floating] = predict(model, torch.tensor(X), device=device).numpy()
        return Z

    return outputs
