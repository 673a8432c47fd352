"""What the sources of package and tests say, read without running them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from dlbook.publishing.book import Book


def public_functions(book: Book, place: str) -> Iterator[tuple[str, str]]:
    """Yield name and docstring of all public functions and methods in a file or folder."""
    path = book.path(place)
    for file in [path] if path.suffix else sorted(path.rglob("*.py")):
        if file.is_file():
            yield from _documented(ast.parse(file.read_text(encoding="utf-8")), "")


def _documented(tree: ast.Module | ast.ClassDef, prefix: str) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield prefix + node.name, ast.get_docstring(node) or ""
        elif isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _documented(node, f"{node.name}.")


def cases(book: Book) -> tuple[set[str], set[str], dict[str, str]]:
    """Return the functions in CASES and CALLS of ``tests/cases``, and why others have none."""
    named: set[str] = set()
    calls: set[str] = set()
    without: dict[str, str] = {}
    for path in sorted(book.path("tests/cases").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found, wrapped = _assigned(tree), _wrapped(tree)
        for case in _elements(found.get("CASES")):
            if isinstance(case, ast.Call):
                named |= {_path(_bare(node, wrapped)) for node in _arguments(case)}
        calls |= set(_entries(found.get("CALLS")))
        without |= _entries(found.get("WITHOUT_CALL"))
    return named, calls, without


def _assigned(tree: ast.Module) -> dict[str, ast.expr]:
    """Return what is assigned to each name of a module."""
    found = {}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            target = node.targets[0] if isinstance(node, ast.Assign) else node.target
            if isinstance(target, ast.Name):
                found[target.id] = node.value
    return found


def _elements(node: ast.expr | None) -> list[ast.expr]:
    return list(node.elts) if isinstance(node, ast.List | ast.Tuple) else []


def _wrapped(tree: ast.Module) -> dict[str, ast.expr]:
    """Return the function that each of a module's functions stands for by ``@wraps``."""
    return {
        node.name: decorator.args[0]
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "wraps"
    }


def _bare(node: ast.expr, wrapped: dict[str, ast.expr]) -> ast.expr:
    """Return the package's function that is meant, without options and wrapping."""
    if isinstance(node, ast.Call) and node.args:
        return _bare(node.args[0], wrapped)
    return wrapped.get(ast.unparse(node), node)


def _arguments(case: ast.Call) -> list[ast.expr]:
    """Return the functions of a case: its first two arguments, and ``value``."""
    values = [keyword.value for keyword in case.keywords if keyword.arg == "value"]
    return [*case.args[:2], *values]


def _entries(node: ast.expr | None) -> dict[str, str]:
    """Return the functions that are keys of a mapping, each with its value if that is text."""
    if not isinstance(node, ast.Dict):
        return {}
    pairs = zip(node.keys, node.values, strict=True)
    return {_path(k): str(v.value) if isinstance(v, ast.Constant) else "" for k, v in pairs if k}


def _path(node: ast.expr) -> str:
    """Return ``Linear.forward`` for ``layers.Linear.forward``: the name inside its module."""
    name = ast.unparse(node)
    return name if name[0].isupper() else name.partition(".")[2]
