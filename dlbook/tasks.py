"""The tasks that ``dlbook train`` knows, and how each is trained unless told otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from dlbook.data import Splits

__all__ = [
    "TASKS",
    "AmpName",
    "Backend",
    "OptimizerName",
    "Options",
    "PyTorchOptions",
    "Task",
    "TaskName",
]

TaskName = Literal["delivery", "blobs", "moons", "digits"]
Backend = Literal["numpy", "pytorch"]
OptimizerName = Literal["sgd", "adam"]
AmpName = Literal["bf16", "fp16"]
LossName = Literal["mse", "binary_cross_entropy_with_logits", "cross_entropy"]
WIDEST = 10_000  # the weights between two such layers take 400 MB


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to train.

    Parameters
    ----------
    hidden : tuple of int
        Widths of the hidden layers; none means one linear layer.
    epochs, batch_size : int
        How often all examples are shown, and how many in a step; from 1.
    lr : float
        Learning rate, above 0.
    optimizer : {"sgd", "adam"}
        What makes the steps.
    seed : int, default 0
        Decides the split, the first weights and the order of examples; from 0.

    Raises
    ------
    ValueError
        If an option is out of range; the message names it and gives the range.

    Examples
    --------
    >>> Options(hidden=(64, 64), epochs=0, batch_size=32, lr=0.001, optimizer="adam")
    Traceback (most recent call last):
    ValueError: epochs must be 1 or more, got 0
    """

    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    lr: float
    optimizer: OptimizerName
    seed: int = 0

    def __post_init__(self) -> None:
        for width in self.hidden:
            if not 1 <= width <= WIDEST:
                raise ValueError(f"hidden widths must be from 1 to {WIDEST}, got {width}")
        for name, value in (("epochs", self.epochs), ("batch-size", self.batch_size)):
            if value < 1:
                raise ValueError(f"{name} must be 1 or more, got {value}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr, the rate, must be above 0 and finite, got {self.lr:g}")
        if not 0 <= self.seed < 2**63:
            raise ValueError(f"seed must be from 0 up and below 2**63, got {self.seed}")


@dataclass(frozen=True, kw_only=True)
class PyTorchOptions:
    """How PyTorch computes, and where it keeps the run.

    Parameters
    ----------
    device : str, default "auto"
        As in ``dlbook.pytorch.best_device``.
    amp : {"bf16", "fp16"}, optional
        Compute the products in 16 bits.
    compile : bool, default False
        Compile the network.
    checkpoint : Path, optional
        Folder that keeps the run at the end of each epoch.
    every : int, optional
        Keep it after so many steps too; from 1.
    resume : bool, default False
        Go on where the folder's newest checkpoint stands.

    Raises
    ------
    ValueError
        If an option is out of range, or needs another; the message names it.

    Examples
    --------
    >>> PyTorchOptions(resume=True)
    Traceback (most recent call last):
    ValueError: --resume needs --checkpoint DIR, the folder that keeps the run
    """

    device: str = "auto"
    amp: AmpName | None = None
    compile: bool = False
    checkpoint: Path | None = None
    every: int | None = None
    resume: bool = False

    def __post_init__(self) -> None:
        if self.every is not None and self.every < 1:
            raise ValueError(f"checkpoint-every must be 1 or more, got {self.every}")
        if self.checkpoint is None and (self.resume or self.every is not None):
            option = "--resume" if self.resume else "--checkpoint-every"
            raise ValueError(f"{option} needs --checkpoint DIR, the folder that keeps the run")

    def refuse(self) -> None:
        """Refuse what NumPy cannot do.

        Raises
        ------
        ValueError
            If anything but the CPU and the defaults was asked for; the message names it.

        Examples
        --------
        >>> PyTorchOptions(amp="bf16").refuse()
        Traceback (most recent call last):
        ValueError: --amp bf16 needs --backend pytorch
        """
        asked = {
            f"--device {self.device}": self.device not in ("auto", "cpu"),
            f"--amp {self.amp}": self.amp is not None,
            "--compile": self.compile,
            "--checkpoint": self.checkpoint is not None,
        }
        if unusable := [option for option, given in asked.items() if given]:
            raise ValueError(f"{unusable[0]} needs --backend pytorch")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What there is to learn, and how it is trained where nothing else is asked for.

    Parameters
    ----------
    load : callable
        Makes the three parts from a Generator; their X is ready for a network.
    loss : {"mse", "binary_cross_entropy_with_logits", "cross_entropy"}
        What is made small.
    outputs : int
        Width of the last layer.
    hidden : tuple of int
        Widths of the hidden layers.
    epochs, batch_size : int
        How often all examples are shown, and how many in a step.
    rates : dict of str to float
        A learning rate for each optimizer; the first is the one to use.
    """

    load: Callable[[np.random.Generator], Splits]
    loss: LossName
    outputs: int
    hidden: tuple[int, ...]
    epochs: int
    batch_size: int
    rates: dict[OptimizerName, float]

    def options(
        self,
        *,
        hidden: tuple[int, ...] | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        lr: float | None = None,
        optimizer: OptimizerName | None = None,
        seed: int = 0,
    ) -> Options:
        """Fill in what is left out.

        Parameters
        ----------
        hidden, epochs, batch_size, lr, optimizer, seed
            As in ``Options``; None means the task's own choice.

        Returns
        -------
        Options
            How to train.

        Raises
        ------
        ValueError
            If an option is out of range; the message names it and gives the range.

        Examples
        --------
        >>> TASKS["digits"].options(epochs=3, optimizer="sgd").lr
        0.1
        """
        chosen = next(iter(self.rates)) if optimizer is None else optimizer
        return Options(
            hidden=self.hidden if hidden is None else hidden,
            epochs=self.epochs if epochs is None else epochs,
            batch_size=self.batch_size if batch_size is None else batch_size,
            lr=self.rates[chosen] if lr is None else lr,
            optimizer=chosen,
            seed=seed,
        )


def _load_delivery(rng: np.random.Generator) -> Splits:
    """Load the two deliveries, distances centered; there is nothing to hold out."""
    from dlbook.data import Part, Splits, load_delivery

    del rng  # every task takes one; here nothing is left to chance
    X, Y = load_delivery("float32")
    empty = Part(X[:0], Y[:0])
    return Splits(Part(X - X.mean(), Y), empty, empty)


def _load_blobs(rng: np.random.Generator) -> Splits:
    from dlbook.data import make_blobs, split

    return split(*make_blobs(500, rng=rng), rng=rng)


def _load_moons(rng: np.random.Generator) -> Splits:
    from dlbook.data import make_moons, split

    return split(*make_moons(500, noise=0.15, rng=rng), rng=rng)


def _load_digits(rng: np.random.Generator) -> Splits:
    from dlbook.data import load_digits

    return load_digits(rng=rng)


TASKS: dict[TaskName, Task] = {
    "delivery": Task(
        load=_load_delivery,
        loss="mse",
        outputs=1,
        hidden=(),
        epochs=60,
        batch_size=2,
        rates={"sgd": 0.8, "adam": 0.8},
    ),
    "blobs": Task(  # a straight line does as well as any network, so one neuron it is
        load=_load_blobs,
        loss="binary_cross_entropy_with_logits",
        outputs=1,
        hidden=(),
        epochs=50,
        batch_size=32,
        rates={"adam": 0.05, "sgd": 0.5},
    ),
    "moons": Task(
        load=_load_moons,
        loss="binary_cross_entropy_with_logits",
        outputs=1,
        hidden=(32, 32),
        epochs=100,
        batch_size=32,
        rates={"adam": 0.01, "sgd": 0.2},
    ),
    "digits": Task(
        load=_load_digits,
        loss="cross_entropy",
        outputs=10,
        hidden=(128,),
        epochs=100,
        batch_size=32,
        rates={"adam": 0.001, "sgd": 0.1},
    ),
}
