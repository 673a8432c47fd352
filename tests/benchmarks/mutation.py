"""Mutants of a module: its source with one small mistake each.

The mistakes of any code are cosmic-ray's. ``mistakes`` adds those of numerical code that it does
not make: factors of ``@`` swapped, arguments swapped, an option left out, a sum for a mean.

Of cosmic-ray's are left out: shifts and bit operations in place of arithmetic, which raise a
TypeError on floats, so that any test notices them; comparisons other than the neighbor and the
opposite; ``not`` before a lone comparison, which is its opposite. What no test can or should notice
gets no mistake: docstrings, annotations, the inside of ``raise``, imports and ``__all__``.
"""

from __future__ import annotations

import ast
import copy
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from typing import NamedTuple, TypeVar

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

STANDARD = [
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul")),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("FloorDiv_Mul", "Mod_FloorDiv", "Pow_Mul")),
    *(f"ReplaceBinaryOperator_{pair}" for pair in ("BitAnd_BitOr", "BitOr_BitAnd")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Eq_NotEq", "NotEq_Eq")),
    *(f"ReplaceComparisonOperator_{pair}" for pair in ("Is_IsNot", "IsNot_Is")),
    *(f"ReplaceUnaryOperator_Delete_{name}" for name in ("Not", "USub", "Invert")),
    *("ReplaceTrueWithFalse", "ReplaceFalseWithTrue", "ReplaceAndWithOr", "ReplaceOrWithAnd"),
    *("ReplaceBreakWithContinue", "ReplaceContinueWithBreak"),
    *("AddNot", "NumberReplacer", "ZeroIterationForLoop"),
]
AUGMENTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
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
STARS_AND_TYPES = (ast.FunctionDef, ast.ClassDef, ast.AnnAssign, ast.Dict)  # of their own
TEXTS = (ast.Raise, ast.JoinedStr, ast.Import, ast.ImportFrom)
TELLING = (ast.BinOp, ast.Call, ast.Compare, ast.IfExp, ast.Subscript, ast.UnaryOp)
Place = ast.expr | ast.stmt
N = TypeVar("N", bound=ast.AST)


class Mutant(NamedTuple):
    """One mistake: a name that stays when lines move, where it stands, and all of the source."""

    name: str
    line: int
    source: str


class Spot(NamedTuple):
    """A statement or expression, the function it is in, and where in the source it stands."""

    node: Place
    function: str
    first: int
    last: int


def mutants(source: str) -> Iterator[Mutant]:
    """Yield every mutant of a module, in the order of its lines."""
    lines = source.splitlines(keepends=True)
    starts = [0, *accumulate(map(len, lines))]

    def offset(line: int, column: int) -> int:
        """Count characters to a place that ast gives: columns are bytes there."""
        return starts[line - 1] + len(lines[line - 1].encode()[:column].decode())

    spots = [
        Spot(
            node,
            function,
            offset(node.lineno, node.col_offset),
            offset(node.end_lineno or 0, node.end_col_offset or 0),
        )
        for node, function in places(ast.parse(source), "module")
    ]
    made = [*by_cosmic_ray(source, spots, starts), *by_us(source, spots)]
    seen = Counter[str]()
    for spot, mutated in sorted(made, key=lambda pair: (pair[0].first, -pair[0].last)):
        same = source[: spot.first]  # but for the space before a number
        first = spot.first if mutated.startswith(same) else len(same.rstrip())
        texts = (
            source[spot.first : spot.last],
            mutated[first : len(mutated) - len(source) + spot.last],
        )
        name = f"{spot.function}: {' → '.join(tidy(text, spot.node) for text in texts)}"
        seen[name] += 1
        name += f" ({seen[name]})" if seen[name] > 1 else ""
        yield Mutant(name, spot.node.lineno, mutated)


def tidy(text: str, node: Place) -> str:
    """Write a part of a source in one way, on one line."""
    statement = isinstance(node, ast.stmt) and not hasattr(node, "body")
    return ast.unparse(
        ast.parse(text) if statement else ast.parse(f"({text.strip()})", mode="eval")
    )


def by_cosmic_ray(source: str, spots: list[Spot], starts: list[int]) -> Iterator[tuple[Spot, str]]:
    """Yield what cosmic-ray makes of a module, with the place of each mistake."""
    nodes = list(ast_nodes(get_ast(source)))
    for name in STANDARD:
        operator = get_operator(f"core/{name}")()
        positions = [place for node in nodes for place in operator.mutation_positions(node)]
        for occurrence, ends in enumerate(positions):
            first, last = (starts[line - 1] + column for line, column in ends)
            around = [spot for spot in spots if spot.first <= first and last <= spot.last]
            if not around or isinstance(around[-1].node, STARS_AND_TYPES + TEXTS):
                continue
            spot = around[-1]
            if name == "AddNot" and is_one_comparison(spot.node):
                continue
            if isinstance(spot.node, ast.Constant):  # a number alone says too little
                spot = [spot, *(s for s in around if isinstance(s.node, TELLING))][-1]
            elif isinstance(spot.node, ast.If | ast.While):  # ast has no place for parentheses
                spot = spot._replace(first=first, last=last)
            yield spot, mutate_code(source, operator, occurrence)


def by_us(source: str, spots: list[Spot]) -> Iterator[tuple[Spot, str]]:
    """Yield a module with each mistake that cosmic-ray does not make."""
    for spot in spots:
        for mistake in mistakes(spot.node):
            text = ast.unparse(mistake)
            if text != ast.unparse(spot.node):
                text = f"({text})" if isinstance(mistake, ast.expr) else text
                yield spot, source[: spot.first] + text + source[spot.last :]


def places(node: ast.AST, function: str) -> Iterator[tuple[Place, str]]:
    """Yield the statements and expressions in which mistakes can be made, with their function."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        function = node.name if function == "module" else f"{function}.{node.name}"
    if isinstance(node, ast.stmt | ast.expr):
        yield node, function
    if isinstance(node, TEXTS):
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


def is_one_comparison(node: Place) -> bool:
    """Whether another mistake already makes a condition its opposite."""
    return (isinstance(node, ast.Compare) and len(node.ops) == 1) or (
        isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not)
    )


def mistakes(node: Place) -> Iterator[Place]:
    """Yield a node with each mistake that can be made in it."""
    match node:
        case ast.BinOp(op=ast.MatMult()):
            yield changed(node, left=node.right, right=node.left)
        case ast.AugAssign(op=operator) if type(operator) in AUGMENTED:
            yield changed(node, op=AUGMENTED[type(operator)]())
        case ast.Compare(ops=[ast.In()]):
            yield changed(node, ops=[ast.NotIn()])
        case ast.Compare(ops=[ast.NotIn()]):
            yield changed(node, ops=[ast.In()])
        case ast.Raise() | ast.Expr(value=ast.Call()):
            yield ast.Pass()
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
