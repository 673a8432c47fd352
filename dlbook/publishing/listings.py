"""Listings: the package's code as it stands in its file, found by name and never imported."""

from __future__ import annotations

import ast
import difflib
import io
import textwrap
import tokenize
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement

from markdown.blockparser import BlockParser
from markdown.util import AtomicString

from dlbook.publishing.book import Book
from dlbook.publishing.conversion import Block
from dlbook.publishing.errors import UnplacedError
from dlbook.publishing.yamlread import fields

# Where the API reference shows an object: a page for each subpackage, an anchor for each object.
API_PAGE, API_ANCHOR = "api/{subpackage}.md", "{name}"

Definition = ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Listing:
    """Code found by its name."""

    name: str
    file: str
    line: int
    code: str


def find(book: Book, name: str, doc: bool = True) -> Listing:
    """Return the code of ``name``, such as ``dlbook.scratch.linear.linear_forward``.

    Parameters
    ----------
    name : str
        A module of this repository, then a function, class, method or constant in it, or a
        package and what it re-exports; the listing is then that of the module it comes from.
    doc : bool
        Whether to keep the docstring.

    Raises
    ------
    UnplacedError
        There is no such thing; the message names what comes closest.
    """
    path, inside = _module(book, name)
    file = path.relative_to(book.root).as_posix()
    text = path.read_text(encoding="utf-8")
    node = _descend(ast.parse(text, file), inside, name, file)
    if isinstance(node, ast.ImportFrom):
        home = f"{node.module}.{_original(node, inside[0])}"
        return replace(find(book, ".".join([home, *inside[1:]]), doc), name=name)
    lines = text.splitlines()
    decorators = [d.lineno for d in getattr(node, "decorator_list", [])]
    first = min([node.lineno, *decorators])
    kept = lines[first - 1 : node.end_lineno]
    if not doc and isinstance(node, Definition) and ast.get_docstring(node) is not None:
        _drop(kept, node.body[0], first)
    return Listing(name, file, first, textwrap.dedent("\n".join(kept)))


def _module(book: Book, name: str) -> tuple[Path, list[str]]:
    parts = name.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        base = book.root.joinpath(*parts[:cut])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return path, parts[cut:]
    raise UnplacedError(
        f"there is no module for the listing {name!r}",
        "give module and function, such as dlbook.scratch.linear.linear_forward",
    )


def _descend(node: ast.AST, inside: list[str], name: str, file: str) -> ast.stmt:
    for depth, part in enumerate(inside):
        prefix = name.split(".")[: len(name.split(".")) - len(inside) + depth]
        names = _names(node, ".".join(prefix))
        if part not in names:
            near = difflib.get_close_matches(part, names, 3) or sorted(names)
            known = ", ".join(".".join([*prefix, other]) for other in near)
            raise UnplacedError(
                f"{file} has nothing named {'.'.join(inside[: depth + 1])!r}",
                f"use one of {known}" if known else "name something that is defined there",
            )
        node = names[part]
        if isinstance(node, ast.ImportFrom):
            return node
    if not isinstance(node, ast.stmt):
        raise UnplacedError(f"{name!r} is a whole module", "name a function or a class in it")
    return node


def _names(node: ast.AST, path: str) -> dict[str, ast.stmt]:
    """Return what a module or class defines, and what a package takes from its own modules."""
    names: dict[str, ast.stmt] = {}
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Definition):
            names[child.name] = child
        elif isinstance(child, ast.Assign):
            names |= {target.id: child for target in child.targets if isinstance(target, ast.Name)}
        elif isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            names[child.target.id] = child
        elif isinstance(child, ast.ImportFrom) and f"{child.module}".startswith(f"{path}."):
            names |= {alias.asname or alias.name: child for alias in child.names}
    return names


def _original(node: ast.ImportFrom, name: str) -> str:
    return next(alias.name for alias in node.names if name in (alias.asname, alias.name))


def _drop(lines: list[str], docstring: ast.stmt, first: int) -> None:
    start, end = docstring.lineno - first, (docstring.end_lineno or docstring.lineno) - first
    del lines[start : end + 1]
    if start < len(lines) and not lines[start].strip():
        del lines[start]


def annotate(code: str, notes: dict[str, str], name: str) -> str:
    r"""Return ``code`` with a mark for each note on the one line that holds the note's piece.

    Examples
    --------
    >>> annotate("Z = X @ W\nreturn Z", {"X @ W": "One product."}, "f")
    'Z = X @ W  # (1)!\nreturn Z'
    """
    lines = code.splitlines()
    commented = _commented(code)
    marked: set[int] = set()
    for number, piece in enumerate(notes, start=1):
        hits = [i for i, line in enumerate(lines) if piece in line]
        if len(hits) != 1:
            raise UnplacedError(
                f"the note on {piece!r} fits {len(hits)} lines of {name}",
                "quote a piece of code that stands in exactly one line",
            )
        if hits[0] in marked:
            raise UnplacedError(f"two notes stand on one line of {name}", "join them")
        marked.add(hits[0])
        # `!` removes the comment around the mark; a comment that is already there must stay.
        lines[hits[0]] += f" ({number})" if hits[0] in commented else f"  # ({number})!"
    return "\n".join(lines)


def _commented(code: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(code + "\n").readline)
    return {token.start[0] - 1 for token in tokens if token.type == tokenize.COMMENT}


def functions(book: Book, module: str) -> list[str]:
    """Return the names of a module's functions, in their order; none if there is no module."""
    path = book.path(f"{module.replace('.', '/')}.py")
    tree = ast.parse(path.read_text(encoding="utf-8")) if path.is_file() else ast.Module([], [])
    return [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]


def listing(block: Block) -> list[str]:
    """Return the Markdown of a ``source`` fence: the code, its notes, and the way to the API.

    Raises
    ------
    UnplacedError
        There is no such code, or a note fits none of its lines or several.
    """
    entry = fields(block.body, "a listing", text=("name",), optional={"doc": bool, "notes": dict})
    found = find(block.work.book, entry["name"], entry.get("doc", True))
    notes = {str(piece): block.inline(str(text)) for piece, text in entry.get("notes", {}).items()}
    return [*fence(found, notes), *_api_link(block, found.name)]


def fence(listing: Listing, notes: dict[str, str]) -> list[str]:
    """Return the listing as lines of Markdown, with its notes as the list that must follow it."""
    code = annotate(listing.code, notes, listing.name)
    mark = "````" if "```" in code else "```"
    lines = [f'{mark} {{ .python .annotate title="{listing.file}" }}', *code.splitlines(), mark, ""]
    for number, text in enumerate(notes.values(), start=1):
        body = textwrap.indent(text.strip(), "    ").strip()
        lines += [f"{number}.  {body}", ""]
    return lines


def api_target(book: Book, name: str) -> str:
    """Return where the API reference shows ``name``, or nothing if it has no page for it."""
    parts = name.split(".")
    if parts[0] != "dlbook" or any(part.startswith("_") for part in parts):
        return ""
    page = API_PAGE.format(subpackage=parts[1])
    return f"{page}#{API_ANCHOR.format(name=name)}" if book.path(f"book/{page}").is_file() else ""


def _api_link(block: Block, name: str) -> list[str]:
    target = api_target(block.work.book, name)
    if not target:
        return []

    def build(parent: Element, _: BlockParser) -> None:
        paragraph = SubElement(parent, "p", {"class": "listing-link"})
        link = SubElement(paragraph, "a", {"href": block.work.page.link(target)})
        link.text = AtomicString(name)

    return [block.work.block(build), ""]
