"""Displayed equations: each has an id, a number, and a function that proves it.

The function of the same name in ``tests/equations/<chapter>.py`` states the LaTeX that it proves.
It is read here without being run; ``tests/test_equations.py`` runs it.
"""

from __future__ import annotations

import ast
import difflib
import re
from dataclasses import dataclass

from dlbook.publishing.book import Book, Page
from dlbook.publishing.errors import BookError
from dlbook.publishing.parts import Display

ATTRIBUTES = re.compile(r"""^\{ *(?:\#(?P<id>[^\s"=}]+))? *(?:exempt="(?P<exempt>[^"]*)")? *\}$""")
KINDS = ("numeric", "symbolic")


@dataclass(frozen=True)
class Equation:
    """A displayed equation of a page; exempt ones may lack an id."""

    id: str
    latex: str
    line: int
    number: int
    exempt: str

    @property
    def anchor(self) -> str:
        """The id of its element on the page."""
        return f"eq-{self.id}" if self.id else f"equation-{self.number}"


@dataclass(frozen=True)
class EquationCheck:
    """A function that proves an equation, as it stands in its file."""

    id: str
    kind: str
    latex: str
    reads_page: bool
    documentation: str
    module: str
    file: str
    line: int


def normalized(latex: str) -> str:
    r"""Return LaTeX without differences of white space that KaTeX does not see.

    Examples
    --------
    >>> normalized("z  =\n x_1 w_1")
    'z = x_1 w_1'
    """
    return " ".join(latex.split())


def equations(page: Page) -> dict[int, Equation]:
    """Return the displayed equations of a page by the line at which they begin.

    Raises
    ------
    BookError
        An equation has neither id nor reason to be exempt, or an id stands twice.
    """
    found: dict[int, Equation] = {}
    for part in page.parts:
        if isinstance(part, Display):
            equation = _equation(page, part, len(found) + 1)
            if equation.id and equation.id in {other.id for other in found.values()}:
                raise page.error(
                    part.line, f"the equation id {equation.id!r} stands twice", "rename one"
                )
            found[part.line] = equation
    return found


def _equation(page: Page, part: Display, number: int) -> Equation:
    attributes = ATTRIBUTES.match(part.attributes or "{}")
    if attributes is None:
        raise page.error(
            part.line,
            f"cannot read {part.attributes!r} behind an equation",
            'write $$ {#id} or $$ {#id exempt="reason"}',
        )
    name, exempt = attributes["id"] or "", (attributes["exempt"] or "").strip()
    if not name and not exempt:
        raise page.error(
            part.line,
            f"the equation {normalized(part.latex)!r} has no id, so nothing proves it",
            f"end it with $$ {{#id}} and write a function of that name in {_file(page)},"
            ' or end it with $$ {#id exempt="reason"}',
        )
    if name and not name.isidentifier():
        raise page.error(
            part.line,
            f"the equation id {name!r} is not a Python name",
            "use letters, digits and underscores, since a function bears this name",
        )
    if not part.latex.strip():
        raise page.error(part.line, "an equation is empty", "write it, or take it out")
    return Equation(name, part.latex, part.line, number, exempt)


def _file(page: Page) -> str:
    return f"tests/equations/{page.module}.py"


def checks(book: Book, module: str) -> dict[str, EquationCheck]:
    """Return the checks of a chapter's equations by id, read without running them.

    Raises
    ------
    BookError
        A check states no LaTeX, or does not say in words what it does.
    """
    path = book.path(f"tests/equations/{module}.py")
    if not path.is_file():
        return {}
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(book.root).as_posix()
    tree = ast.parse(text, name)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    found = [_check(name, node, call) for node in functions for call in _calls(node)]
    return {check.id: check for check in found}


def _calls(node: ast.FunctionDef) -> list[ast.Call]:
    return [
        decorator
        for decorator in node.decorator_list
        if isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Name)
        and decorator.func.id in KINDS
    ]


def _check(file: str, node: ast.FunctionDef, call: ast.Call) -> EquationCheck:
    kind = call.func.id if isinstance(call.func, ast.Name) else ""
    stated = call.args[0] if len(call.args) == 1 else None
    if not isinstance(stated, ast.Constant) or not isinstance(stated.value, str):
        raise BookError(
            file,
            call.lineno,
            f"the check {node.name} does not state its LaTeX as one literal string",
            f'write @{kind}(r"…") with the equation of the chapter',
        )
    documentation = ast.get_docstring(node)
    if not documentation:
        raise BookError(
            file,
            node.lineno,
            f"the check {node.name} has no docstring",
            "say in one sentence what is compared with what",
        )
    return EquationCheck(
        id=node.name,
        kind=kind,
        latex=stated.value,
        reads_page="page" in {argument.arg for argument in node.args.args},
        documentation=documentation,
        module=file.removesuffix(".py").replace("/", "."),
        file=file,
        line=node.lineno,
    )


def verify(page: Page, equation: Equation, known: dict[str, EquationCheck]) -> EquationCheck | None:
    """Return the check of ``equation``, or None if it is exempt.

    Raises
    ------
    BookError
        There is no check of that name, or it states other LaTeX than the chapter.
    """
    check = known.get(equation.id)
    if check is None and equation.exempt:
        return None
    if check is None:
        near = difflib.get_close_matches(equation.id, known, 1)
        hint = f" (there is {near[0]!r})" if near else ""
        raise page.error(
            equation.line,
            f"nothing proves the equation {equation.id!r}{hint}",
            f"write a function {equation.id} in {_file(page)}, decorated with @numeric or"
            " @symbolic and the LaTeX of the equation",
        )
    if normalized(check.latex) != normalized(equation.latex):
        raise page.error(
            equation.line,
            f"the equation {equation.id!r} is not what {check.file}:{check.line} proves:"
            f"\n  the chapter says   {normalized(equation.latex)}"
            f"\n  the check states   {normalized(check.latex)}\n",
            "make both the same, then see that the check still passes",
        )
    return check


def idle(page: Page, known: dict[str, EquationCheck]) -> list[EquationCheck]:
    """Return the checks that no equation of the page needs."""
    needed = {equation.id for equation in equations(page).values() if not equation.exempt}
    return [check for name, check in known.items() if name not in needed]


def modules(book: Book) -> list[str]:
    """Return the chapters, as module names, that have a file of checks."""
    files = book.path("tests/equations").glob("*.py")
    return sorted(path.stem for path in files if path.name != "__init__.py")
