"""The book on disk: its pages, and which of them a converter is working on."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from dlbook.publishing.errors import BookError
from dlbook.publishing.parts import Fence, Part, split

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
FRONT_MATTER = re.compile(r"\A---[ \t]*\n.*?\n(?:---|\.\.\.)[ \t]*\n", re.DOTALL)


@dataclass(frozen=True)
class Page:
    """One Markdown file of the book.

    Parameters
    ----------
    file : str
        Path from the root of the repository, such as ``book/neuron.md``.
    lines : tuple of str
        The text without front matter.
    first : int
        Line of the file at which ``lines`` begin.
    """

    file: str
    lines: tuple[str, ...]
    first: int = 1

    @cached_property
    def parts(self) -> list[Part]:
        """Fences, displayed equations and prose, in order."""
        return split(self.file, list(self.lines), self.first)

    @property
    def fences(self) -> list[Fence]:
        """The fences of the page, in order."""
        return [part for part in self.parts if isinstance(part, Fence)]

    @property
    def name(self) -> str:
        """Path below ``book/``, such as ``checks/neuron.md``: what links are made of."""
        return self.file.removeprefix("book/")

    @property
    def slug(self) -> str:
        """Name of the chapter, such as ``gradient-descent``."""
        return posixpath.splitext(self.name)[0]

    @property
    def module(self) -> str:
        """The slug as a Python name: of its figures, equations and exercises."""
        return self.slug.replace("-", "_").replace("/", "_")

    def link(self, target: str) -> str:
        """Return the link from here to ``target`` below ``book/``, which may hold ``#anchor``."""
        path, mark, anchor = target.partition("#")
        if path == self.name:
            return mark + anchor
        return posixpath.relpath(path, posixpath.dirname(self.name) or ".") + mark + anchor

    def error(self, line: int, problem: str, remedy: str) -> BookError:
        """Return the error that names this file and ``line``."""
        return BookError(self.file, line, problem, remedy)


@dataclass(frozen=True)
class Book:
    """The repository, seen as a book."""

    root: Path = ROOT

    @cached_property
    def _made(self) -> dict[Callable[[Book], Any], Any]:
        return {}

    def once(self, make: Callable[[Book], T]) -> T:
        """Return ``make(self)``, made once as long as this book lives."""
        if make not in self._made:
            self._made[make] = make(self)
        made: T = self._made[make]
        return made

    def path(self, name: str) -> Path:
        """Return the place of ``name``, given from the root."""
        return self.root / name

    def read(self, path: Path) -> Page:
        """Read one page."""
        text = path.read_text(encoding="utf-8")
        matter = FRONT_MATTER.match(text)
        skipped = matter.end() if matter else 0
        first = 1 + text.count("\n", 0, skipped)
        lines = tuple(line.expandtabs(4) for line in text[skipped:].split("\n"))
        return Page(path.relative_to(self.root).as_posix(), lines, first)

    @cached_property
    def pages(self) -> list[Page]:
        """Every page of the book."""
        return [self.read(path) for path in sorted(self.path("book").rglob("*.md"))]

    def page(self, slug: str) -> Page | None:
        """Return the page of that slug."""
        return next((page for page in self.pages if page.slug == slug), None)

    def page_of_module(self, module: str) -> Page | None:
        """Return the page whose figures, equations and exercises bear the name ``module``."""
        return next((page for page in self.pages if page.module == module), None)

    def find(self, lines: list[str]) -> Page | None:
        """Return the page whose text is ``lines``, with the line numbers of its file.

        Python-Markdown does not say what it converts; the text itself does.
        """
        wanted = _letters(lines)
        for page in self.pages:
            if _letters(page.lines) == wanted:
                first = page.first + _blank(page.lines) - _blank(lines)
                return Page(page.file, tuple(lines), first)
        return None


def _letters(lines: tuple[str, ...] | list[str]) -> str:
    return "".join("".join(lines).split())


def _blank(lines: tuple[str, ...] | list[str]) -> int:
    return next((i for i, line in enumerate(lines) if line.strip()), 0)
