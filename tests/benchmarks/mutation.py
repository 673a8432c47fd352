"""Mutants of a module: its source with one small mistake each.

What is left out because no test can or should notice it: docstrings, annotations, texts, the inside
of ``raise``, imports and ``__all__``.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple, TypeVar

SWAPPED: dict[type[ast.AST], list[type[ast.AST]]] = {
    ast.Add: [ast.Sub],
    ast.Sub: [ast.Add],
    ast.Mult: [ast.Div],
    ast.Div: [ast.Mult],
    ast.FloorDiv: [ast.Mult],
    ast.Mod: [ast.FloorDiv],
    ast.Pow: [ast.Mult],
    ast.BitAnd: [ast.BitOr],
    ast.BitOr: [ast.BitAnd],
    ast.And: [ast.Or],
    ast.Or: [ast.And],
    ast.Lt: [ast.LtE, ast.GtE],
    ast.LtE: [ast.Lt, ast.Gt],
    ast.Gt: [ast.GtE, ast.LtE],
    ast.GtE: [ast.Gt, ast.Lt],
    ast.Eq: [ast.NotEq],
    ast.NotEq: [ast.Eq],
    ast.Is: [ast.IsNot],
    ast.IsNot: [ast.Is],
    ast.In: [ast.NotIn],
    ast.NotIn: [ast.In],
}
PAIRS = [
    ("max", "min"),
    ("maximum", "minimum"),
    ("argmax", "argmin"),
    ("any", "all"),
    ("sum", "mean"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("floor", "ceil"),
]
COMMUTE = {"max", "min", "maximum", "minimum"}
RENAMED = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}


class Mutant(NamedTuple):
    """One mistake: a name that stays when lines move, where it stands, and all of the source."""

    name: str
    line: int
    source: str


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module, in the order of its lines."""
    whole, seen = source.encode(), Counter[str]()
    starts = [0]
    for row in whole.splitlines(keepends=True):
        starts.append(starts[-1] + len(row))
    for node, function in places(ast.parse(source), "module"):
        first = starts[node.lineno - 1] + node.col_offset
        last = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        for mistake in mistakes(node):
            text = ast.unparse(mistake)
            if text == ast.unparse(node):
                continue
            text = f"({text})" if isinstance(mistake, ast.expr) else text
            name = f"{function}: {ast.unparse(node)} → {text}"
            seen[name] += 1
            name += f" ({seen[name]})" if seen[name] > 1 else ""
            yield Mutant(name, node.lineno, (whole[:first] + text.encode() + whole[last:]).decode())


Place = ast.expr | ast.stmt
N = TypeVar("N", bound=ast.AST)


def places(node: ast.AST, function: str) -> Iterator[tuple[Place, str]]:
    """Yield the statements and expressions in which mistakes can be made, with their function."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        function = node.name if function == "module" else f"{function}.{node.name}"
    if isinstance(node, ast.stmt | ast.expr):
        yield node, function
    if isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom):
        return
    for name, child in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "bases"):
            continue
        for item in child if isinstance(child, list) else [child]:
            if isinstance(item, ast.AST) and not only_states(item):
                yield from places(item, function)


def only_states(node: ast.AST) -> bool:
    """Whether a statement is ``__all__``, an alias of a type, or under ``if TYPE_CHECKING``."""
    if isinstance(node, ast.Assign):
        return "Callable[" in ast.unparse(node) or ast.unparse(node.targets[0]) == "__all__"
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def mistakes(node: Place) -> Iterator[Place]:
    """Yield a node with each mistake that can be made in it."""
    if isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        for operator in SWAPPED.get(type(node.op), []):
            yield changed(node, op=operator())
    match node:
        case ast.BinOp(op=ast.MatMult()):
            yield changed(node, left=node.right, right=node.left)
        case ast.Compare(ops=[compared, *others]):
            for other in SWAPPED[type(compared)]:
                yield changed(node, ops=[other(), *others])
        case ast.UnaryOp(op=ast.USub() | ast.Not()):
            yield node.operand
        case ast.Constant(value=bool() as value):
            yield ast.Constant(not value)
        case ast.Constant(value=int() | float() as value):
            yield ast.Constant(value + 1)
        case ast.IfExp(test=test):
            yield changed(node, test=ast.UnaryOp(ast.Not(), test))
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Break():
            yield ast.Continue()
        case ast.Continue():
            yield ast.Break()
        case ast.Return(value=ast.Tuple(elts=[first, second, *rest])):
            yield ast.Return(ast.Tuple([second, first, *rest], ast.Load()))
        case ast.Return(value=ast.expr()):
            yield ast.Return(ast.Constant(None))
        case ast.Call():
            yield from mistaken_calls(node)


def mistaken_calls(node: ast.Call) -> Iterator[ast.Call]:
    """Yield a call with two arguments swapped, an option left out, or a like function called."""
    match node.args:
        case [first, second, *rest] if ast.unparse(node.func).split(".")[-1] not in COMMUTE:
            yield changed(node, args=[second, first, *rest])
    for i, option in enumerate(node.keywords):
        if option.arg:
            yield changed(node, keywords=node.keywords[:i] + node.keywords[i + 1 :])
    match node.func:
        case ast.Name(id=name) if name in RENAMED:
            yield changed(node, func=ast.Name(RENAMED[name], ast.Load()))
        case ast.Attribute(value=value, attr=name) if name in RENAMED:
            yield changed(node, func=ast.Attribute(value, RENAMED[name], ast.Load()))


def changed(node: N, **fields: object) -> N:
    """Return a copy of a node with other fields."""
    other = copy.copy(node)
    for name, value in fields.items():
        setattr(other, name, value)
    return other
