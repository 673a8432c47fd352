"""The equations that docstrings of ``dlbook.scratch`` state, each with its proof.

What a statement is says ``dlbook.publishing.statements``. ``@states(function, text)`` repeats its
text, in one literal so that the ledger finds it, and proves it: it yields pairs, what the code
computes and what the text says, written out in another way than the code does it. The suite
compares the texts, so that neither can change alone; see ``tests/test_statements.py``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from dlbook.publishing.statements import Stated, normalized
from tests.proof import Pairs

__all__ = ["Statement", "proofs", "seeded", "states", "that"]


@dataclass(frozen=True)
class Statement:
    """What a docstring states, and its proof."""

    stated: Stated
    prove: Callable[[Generator], Pairs]


def states(thing: Any, text: str) -> Callable[[Callable[[Generator], Pairs]], Statement]:
    """Make a proof of what the docstring of a function, class, property or module says."""
    thing = thing.fget if isinstance(thing, property) else thing
    name = thing.__name__ if inspect.ismodule(thing) else f"{thing.__module__}.{thing.__qualname__}"
    return lambda prove: Statement(Stated(name, normalized(text)), prove)


def that(condition: Any) -> tuple[float, float]:
    """Make a pair of what must hold."""
    return float(bool(condition)), 1.0


def proofs() -> Iterator[Statement]:
    """Yield every proof in the modules of this package, alone or in a list."""
    for found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{found.name}")
        for thing in vars(module).values():
            listed = thing if isinstance(thing, list) else [thing]
            yield from (proof for proof in listed if isinstance(proof, Statement))


def seeded() -> Generator:
    return np.random.default_rng(20_261_120)
