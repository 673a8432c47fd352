"""The equations that docstrings of ``dlbook.scratch`` state, each with its proof.

A sentence of a docstring that holds a sign of mathematics is a statement, wherever it stands but
in Examples, which are run, and References: see ``found``. ``@states(function, text)`` repeats the
text and proves it: it yields pairs, what the code computes and what the text says, written out in
another way than the code does it. The suite compares the texts, so that neither can change alone;
see ``tests/test_statements.py``.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator

from dlbook import scratch
from tests.proof import Pairs

__all__ = ["NO_EQUATIONS", "Statement", "found", "proofs", "statements", "states", "that"]

HEADING = re.compile(r"^(\w+)\n-{3,}\n", re.MULTILINE)
NOT_READ = ("Examples", "References")
SIGN = re.compile(
    r"[=≤≥<>←→≈≠≡∝∈~]"  # relations
    r"|[√ΣΠ∫∂∇∘·×½^|‖±−\\@]|[⁺⁻ᵗᵀ]"  # operators
    r"|(?<!\b\w)[²³]"  # powers, of more than a name: g² is the square of g and states nothing
    r"|\S [-+*/] \S|\w/\w"
    r"|(?<!['\w])[A-Za-zͰ-Ͽ] [Ͱ-Ͽ]\b|[Ͱ-Ͽ] [A-Za-zͰ-Ͽ]\b"  # products, one factor a Greek letter
)
IN_CODE = re.compile(r"``[^`]+``")
ARGUMENT = re.compile(r"(?<=[`( ])\w+=[^=\s]")  # that is a value: ``reduction="sum"``
SHAPE = re.compile(r"of shape \([^)]*\)")  # which tests/test_contract.py holds against arrays

NO_EQUATIONS: dict[tuple[str, str], str] = {
    (
        "dlbook.scratch.schedules",
        "schedule = functools.partial(cosine, lr=0.1, T_max=1000)",
    ): "a line of Python, which the examples of the module run in other words",
    (
        "dlbook.scratch.autograd.tensor.Tensor",
        "Of two tensors, or a tensor and an array or number, +, −, *, / and @ make a new tensor, "
        "as do ** with a number, indexing, and the functions of this module.",
    ): "a list of operators",
    (
        "dlbook.scratch.schedules.linear_warmup",
        "start_factor : float, default 1/3",
    ): "a default",
}


@dataclass(frozen=True)
class Statement:
    """A text that a docstring states, and its proof."""

    name: str
    text: str
    prove: Callable[[Generator], Pairs]


def states(thing: Any, text: str) -> Callable[[Callable[[Generator], Pairs]], Statement]:
    """Make a proof of what the docstring of a function, class, property or module says."""
    thing = thing.fget if isinstance(thing, property) else thing
    name = thing.__name__ if inspect.ismodule(thing) else f"{thing.__module__}.{thing.__qualname__}"
    return lambda prove: Statement(name, normalized(text), prove)


def normalized(text: str) -> str:
    return " ".join(text.split())


def that(condition: Any) -> tuple[float, float]:
    """Make a pair of what must hold."""
    return float(bool(condition)), 1.0


def statements(*, all_of_them: bool = False) -> Iterator[tuple[str, str]]:
    """Yield what docstrings of ``dlbook.scratch`` state, of whom and the text.

    All of them are also those that are no equations.
    """
    folder = Path(scratch.__path__[0])
    for file in sorted(folder.rglob("*.py")):
        parts = file.relative_to(folder).with_suffix("").parts
        module = ".".join((scratch.__name__, *(part for part in parts if part != "__init__")))
        for stated in found(file.read_text(encoding="utf-8"), module):
            if all_of_them or stated not in NO_EQUATIONS:
                yield stated


def found(source: str, module: str) -> Iterator[tuple[str, str]]:
    """Yield what docstrings of a module state, of private things too: of whom, and the text."""
    for name, documentation in _documented(ast.parse(source), module):
        for text in _sentences(documentation):
            if SIGN.search(_without_values(text)):
                yield name, text


def _without_values(text: str) -> str:
    """Leave out the equals signs of arguments, and shapes."""
    return SHAPE.sub("", IN_CODE.sub(lambda code: ARGUMENT.sub("", code[0]), text))


def _documented(node: ast.AST, name: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
        yield name, ast.get_docstring(node) or ""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef):
            yield from _documented(child, f"{name}.{child.name}")
        else:
            yield from _documented(child, name)


def _sentences(documentation: str) -> Iterator[str]:
    """Yield the sentences of all sections that are read; one ends with its paragraph, too."""
    first, *others = HEADING.split(documentation)
    for section, text in [("", first), *zip(others[::2], others[1::2], strict=True)]:
        if section not in NOT_READ:
            for paragraph in _paragraphs(text):
                yield from re.split(r"(?<=\.) ", paragraph)


def _paragraphs(text: str) -> Iterator[str]:
    """Yield lines that follow each other with one indentation, as one line."""
    gathered: list[str] = []
    before = 0
    for line in [*text.splitlines(), ""]:
        indentation = len(line) - len(line.lstrip())
        if gathered and (not line.strip() or indentation != before):
            yield normalized(" ".join(gathered))
            gathered = []
        if line.strip():
            gathered.append(line)
            before = indentation


def proofs() -> Iterator[Statement]:
    """Yield every proof in the modules of this package, alone or in a list."""
    for module_found in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{module_found.name}")
        for thing in vars(module).values():
            listed = thing if isinstance(thing, list) else [thing]
            yield from (proof for proof in listed if isinstance(proof, Statement))


def seeded() -> Generator:
    return np.random.default_rng(20_261_120)
