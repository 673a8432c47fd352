"""What docstrings of the hand-written half state, read from the sources and never imported.

A sentence that holds a sign of mathematics is a statement, wherever in a docstring it stands, but
in Examples, which are run, and in References.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from dlbook.publishing.book import Book

HEADING = re.compile(r"^(\w+)\n-{3,}\n", re.MULTILINE)
NOT_READ = ("Examples", "References")
SIGN = re.compile(
    r"[=≤≥<>←→≈≠≡∝∈~]"  # relations
    r"|[√ΣΠ∫∂∇∘·×½^|‖±−\\@]|[⁺⁻ᵗᵀ]"  # operators
    r"|(?<!\b\w)[²³]"  # powers, of more than a name: g² is the square of g and states nothing
    r"|\S [-+*/] \S|\w/\w"
    r"|(?<!['\w])[A-Za-zͰ-Ͽ] [Ͱ-Ͽ]\b|[Ͱ-Ͽ] [A-Za-zͰ-Ͽ]\b"  # products with a Greek letter
    r"|[Ͱ-Ͽ]\(|\b(?:sums? to|divided by|half of)\b"  # functions, and equations in words
)
IN_CODE = re.compile(r"``[^`]+``")
ARGUMENT = re.compile(r"(?<=[`( ])\w+=[^=\s]")  # that is a value: ``reduction="sum"``
SHAPE = re.compile(r"of shape \([^)]*\)")  # which tests/test_contract.py holds against arrays


class Stated(NamedTuple):
    """A sentence of a docstring, and whose it is."""

    name: str
    text: str


NO_EQUATIONS: dict[Stated, str] = {
    Stated(
        "dlbook.scratch.schedules",
        "schedule = functools.partial(cosine, lr=0.1, T_max=1000)",
    ): "a line of Python, which the examples of the module run in other words",
    Stated(
        "dlbook.scratch.autograd.tensor.Tensor",
        "Of two tensors, or a tensor and an array or number, +, −, *, / and @ make a new tensor, "
        "as do ** with a number, indexing, and the functions of this module.",
    ): "a list of operators",
    Stated(
        "dlbook.scratch.schedules.linear_warmup",
        "start_factor : float, default 1/3",
    ): "a default",
}


def statements(book: Book) -> Iterator[Stated]:
    """Yield all that docstrings of ``dlbook.scratch`` state, and what is no equation."""
    for file in sorted(book.path("dlbook/scratch").rglob("*.py")):
        parts = file.relative_to(book.root).with_suffix("").parts
        module = ".".join(part for part in parts if part != "__init__")
        yield from found(file.read_text(encoding="utf-8"), module)


def found(source: str, module: str) -> Iterator[Stated]:
    """Yield what docstrings of a module state, those of private things too."""
    for name, documentation in _documented(ast.parse(source), module):
        for text in _sentences(documentation):
            if SIGN.search(_without_values(text)):
                yield Stated(name, text)


def repeated(book: Book) -> set[str]:
    """Return the texts in the proofs, among them those that are proved."""
    return {
        normalized(node.value)
        for file in book.path("tests/statements").glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }


def normalized(text: str) -> str:
    """Return a text with one space wherever there is some."""
    return " ".join(text.split())


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
