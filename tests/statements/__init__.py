"""The equations that docstrings of ``dlbook.scratch`` state, each with its proof.

A paragraph between a docstring's first line and its first section that holds an equals sign, or
the arrow of an assignment, is a statement. ``@states(function, text)`` repeats the text and proves
it: it yields pairs, what the code computes and what the text says, written out in another way than
the code does it. The suite compares the texts, so that neither can change alone; see
``tests/test_statements.py``.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator

from dlbook import scratch
from tests.proof import Pairs

__all__ = ["Statement", "proofs", "statements", "states"]

SECTION = re.compile(
    r"^\s*(Parameters|Returns|Raises|Notes|References|Examples|Attributes|Yields)$"
)


@dataclass(frozen=True)
class Statement:
    """A text that a docstring states, and its proof."""

    function: Callable[..., Any]
    text: str
    prove: Callable[[Generator], Pairs]

    @property
    def name(self) -> str:
        return f"{self.function.__module__}.{self.function.__qualname__}"


def states(
    function: Callable[..., Any], text: str
) -> Callable[[Callable[[Generator], Pairs]], Statement]:
    """Make a proof of what the docstring of ``function`` says."""
    return lambda prove: Statement(function, normalized(text), prove)


def normalized(text: str) -> str:
    return " ".join(text.split())


def statements() -> Iterator[tuple[Callable[..., Any], str]]:
    """Yield every public function, class and method of ``dlbook.scratch``, and what it states."""
    for function in _public():
        for paragraph in _paragraphs(inspect.getdoc(function) or ""):
            if "=" in paragraph or "←" in paragraph:
                yield function, paragraph


def _public() -> Iterator[Callable[..., Any]]:
    names = sorted(m.name for m in pkgutil.walk_packages(scratch.__path__, "dlbook.scratch."))
    for module in [importlib.import_module(name) for name in names]:
        for name, thing in vars(module).items():
            ours = getattr(thing, "__module__", None) == module.__name__
            if ours and not name.startswith("_") and callable(thing):
                yield thing
                if inspect.isclass(thing):
                    methods = vars(thing).items()
                    yield from (m for n, m in methods if n[0] != "_" and inspect.isfunction(m))


def _paragraphs(doc: str) -> list[str]:
    """Return the paragraphs between a docstring's first line and its first section."""
    lines = inspect.cleandoc(doc).splitlines()[1:]
    end = next((i for i, line in enumerate(lines) if SECTION.match(line)), len(lines))
    text = "\n".join(lines[:end])
    return [normalized(part) for part in re.split(r"\n\s*\n", text) if part.strip()]


def proofs() -> Iterator[Statement]:
    """Yield every proof in the modules of this package, alone or in a list."""
    for found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{found.name}")
        for thing in vars(module).values():
            listed = thing if isinstance(thing, list) else [thing]
            yield from (proof for proof in listed if isinstance(proof, Statement))


def seeded() -> Generator:
    return np.random.default_rng(20_261_120)
