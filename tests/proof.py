"""What an equation's check is made of: ``@numeric`` and ``@symbolic``, and reading the page.

A check states the LaTeX that it proves and yields pairs that must agree. It may take ``rng``, a
seeded generator, and ``page``, the equation itself, read by SymPy as it stands in the chapter.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy

Pairs = Iterator[tuple[Any, Any]]

TOLERANCE = 1e-10
NUMERIC_PAIRS = 100
SEED = 20_261_120


@dataclass(frozen=True)
class Check:
    """A check of one equation."""

    kind: str
    latex: str
    prove: Callable[..., Pairs]

    @property
    def id(self) -> str:
        """The id of the equation: the function's name."""
        return self.prove.__name__

    @property
    def reads_page(self) -> bool:
        """Whether the equation itself is evaluated."""
        return "page" in inspect.signature(self.prove).parameters

    def run(self, latex: str | None = None) -> int:
        """Prove ``latex``, by default what the check states; return the number of pairs.

        Raises
        ------
        AssertionError
            A pair differs, or there are too few.
        """
        given = {"rng": np.random.default_rng(SEED), "page": Page(latex or self.latex)}
        wanted = inspect.signature(self.prove).parameters
        agree = _agree_in_numbers if self.kind == "numeric" else _agree_in_symbols
        count = 0
        for count, (left, right) in enumerate(
            self.prove(**{name: given[name] for name in wanted}), start=1
        ):
            agree(f"{self.id}, pair {count}", left, right)
        least = NUMERIC_PAIRS if self.kind == "numeric" else 1
        if count < least:
            raise AssertionError(f"{self.id} yields {count} pairs, expected {least} or more")
        return count


def numeric(latex: str) -> Callable[[Callable[..., Pairs]], Check]:
    """Make a check of numbers or arrays: 100 pairs or more, equal within 1e-10."""
    return lambda prove: Check("numeric", latex, prove)


def symbolic(latex: str) -> Callable[[Callable[..., Pairs]], Check]:
    """Make a check of SymPy expressions whose difference simplifies to zero."""
    return lambda prove: Check("symbolic", latex, prove)


def _agree_in_numbers(where: str, computed: Any, expected: Any) -> None:
    left, right = np.asarray(computed), np.asarray(expected)
    if left.shape != right.shape:
        raise AssertionError(f"{where}: shapes {left.shape} and {right.shape} differ")
    if left.ndim and np.shares_memory(left, right):
        raise AssertionError(f"{where}: an array is compared with itself")
    scale = np.maximum(1.0, np.abs(right))
    if not np.all(np.abs(left - right) <= TOLERANCE * scale):  # so that NaN fails
        raise AssertionError(f"{where}: computed {computed}, expected {expected}")


def _agree_in_symbols(where: str, left: Any, right: Any) -> None:
    matrices = isinstance(left, sympy.MatrixBase) and isinstance(right, sympy.MatrixBase)
    if matrices and left.shape != right.shape:
        raise AssertionError(f"{where}: shapes {left.shape} and {right.shape} differ")
    difference = sympy.sympify(left) - sympy.sympify(right)
    for entry in difference if matrices else [difference]:
        if sympy.simplify(entry.doit()) != 0:
            raise AssertionError(f"{where}: {left} is not {right}, they differ by {entry}")


class Page:
    r"""An equation as it stands on the page, read by SymPy.

    Reads sums, products, fractions, powers, roots, exponentials, logarithms and Greek letters.
    Where ``j`` counts a sum, ``x_j`` is an entry of ``x``, counted from 1; elsewhere ``x_1`` is a
    symbol of its own. ``e`` as the base of a power is Euler's number.

    Examples
    --------
    >>> Page(r"z = \sum_{j=1}^{d} x_j w_j + b").right_at(x=[2.0, 3.0], w=[1.0, 10.0], b=0.5, d=2)
    32.5
    """

    def __init__(self, latex: str) -> None:
        self.latex = latex

    @property
    def left(self) -> sympy.Expr:
        """The left side."""
        return read(_sides(self.latex)[0])

    @property
    def right(self) -> sympy.Expr:
        """The right side."""
        return read(_sides(self.latex)[1])

    def left_at(self, **values: Any) -> float:
        """Evaluate the left side; sequences stand for indexed symbols."""
        return evaluate(self.left, values)

    def right_at(self, **values: Any) -> float:
        """Evaluate the right side; sequences stand for indexed symbols."""
        return evaluate(self.right, values)


def _sides(latex: str) -> list[str]:
    """Split at the one equals sign that stands in no braces."""
    sides, depth = [""], 0
    for letter in latex:
        depth += (letter == "{") - (letter == "}")
        if letter == "=" and depth == 0:
            sides.append("")
        else:
            sides[-1] += letter
    if len(sides) != 2:
        raise ValueError(f"expected one equals sign in {latex!r}, got {len(sides) - 1}")
    return sides


@functools.cache
def read(latex: str) -> sympy.Expr:
    """Read one side of an equation.

    Raises
    ------
    ValueError
        SymPy cannot read it; a check of it must do without ``page``.
    """
    from lark import Tree
    from lark.exceptions import LarkError
    from sympy.parsing.latex import parse_latex

    # SymPy takes \left( for "less or equal, f, t".
    bare = re.sub(r"\\(?:left|right|[bB]igg?[lr]?)(?![a-zA-Z])\s*", "", latex).strip()
    try:
        found = parse_latex(bare, backend="lark")
    except LarkError as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"SymPy cannot read {latex!r} ({reason}): leave `page` out of this check"
        ) from None
    readings = found.children if isinstance(found, Tree) else [found]
    expressions = [reading for reading in readings if isinstance(reading, sympy.Expr)]
    if not expressions:
        raise ValueError(f"SymPy reads {latex!r} as no expression: leave `page` out of this check")
    return _named(min(expressions, key=_strangeness))


def _strangeness(reading: sympy.Expr) -> tuple[int, int, int]:
    """Order the readings of an ambiguous text as people do.

    A name before parentheses is a factor (``a (b + c)``), a function's name is not a product of
    letters (``tanh``), and a sum ends at the next plus or minus.
    """
    calls = len(reading.atoms(sympy.core.function.AppliedUndef))
    letters = len(reading.free_symbols)
    return calls, letters, sum(_size(total.function) for total in reading.atoms(sympy.Sum))


def _size(expression: sympy.Expr) -> int:
    return sum(1 for _ in sympy.preorder_traversal(expression))


def _named(expression: sympy.Expr) -> sympy.Expr:
    """Give symbols their plain names, entries of sums an index, and ``e`` its value."""
    counters = {limit[0].name for total in expression.atoms(sympy.Sum) for limit in total.limits}
    names = {}
    for symbol in expression.atoms(sympy.Symbol):
        base, _, index = str(symbol.name).replace("{", "").replace("}", "").partition("_")
        if index and set(index) & counters:
            names[symbol] = sympy.IndexedBase(base)[tuple(sympy.Symbol(i) for i in index)]
        else:
            names[symbol] = sympy.Symbol(f"{base}_{index}" if index else base)
    named = expression.xreplace(names)
    return named.replace(
        lambda part: part.is_Pow and part.base == sympy.Symbol("e"),
        lambda part: sympy.exp(part.exp),
    )


def evaluate(expression: sympy.Expr, values: dict[str, Any]) -> float:
    """Evaluate an expression at numbers and sequences, given by name.

    Raises
    ------
    ValueError
        A symbol has no value, or a value no symbol.
    """
    wanted = sorted(_free(expression))
    if wanted != sorted(values):
        raise ValueError(f"{expression} needs values of {wanted}, got {sorted(values)}")
    given = [Entries(values[name]) if np.ndim(values[name]) else values[name] for name in wanted]
    return float(_compiled(expression)(*given))


class Entries:
    """A sequence or array whose entries are counted from 1, as equations do."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values, dtype=float)

    def __getitem__(self, place: int | tuple[int, ...]) -> float:
        """Return the entry at ``place``, which must exist: 0 would be the last one to NumPy."""
        places = place if isinstance(place, tuple) else (place,)
        if min(places) < 1:
            raise ValueError(f"expected an index from 1, got {place}: entries are counted from 1")
        return float(self.values[tuple(index - 1 for index in places)])


@functools.cache
def _compiled(expression: sympy.Expr) -> Callable[..., Any]:
    """Make a Python function of an expression; its arguments are the sorted free names."""
    names = [sympy.Symbol(name) for name in sorted(_free(expression))]
    compiled: Callable[..., Any] = sympy.lambdify(names, expression, "math")
    return compiled


def _free(expression: sympy.Expr) -> set[str]:
    """Return the names that need a value: not those that count a sum."""
    indexed = expression.atoms(sympy.Indexed)
    bases = {str(entry.base) for entry in indexed}
    counters = {limit[0] for total in expression.atoms(sympy.Sum) for limit in total.limits}
    symbols = expression.free_symbols - counters - indexed
    return bases | {str(symbol.name) for symbol in symbols if isinstance(symbol, sympy.Symbol)}
