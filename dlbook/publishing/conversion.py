"""One page on its way through Python-Markdown, and what the modules of this package share."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.blockparser import BlockParser
from markdown.util import ETX, STX

from dlbook.publishing.book import Book, Page
from dlbook.publishing.equations import Equation, EquationCheck, checks, equations, verify
from dlbook.publishing.parts import Fence

Builder = Callable[[Element, BlockParser], None]

# Python-Markdown leaves alone what stands between STX and ETX.
BLOCK, INLINE = STX + "dlblock{}" + ETX, STX + "dlinline{}" + ETX


@dataclass
class Conversion:
    """What is known of a page while it is converted.

    ``line`` is where the part under way begins. Blocks are built when Python-Markdown reaches their
    place, after the whole page has been read: so a list of references knows the citations that come
    after it.
    """

    md: Markdown
    book: Book
    page: Page
    line: int = 1
    builders: list[tuple[int, Builder]] = field(default_factory=list)
    inlines: list[tuple[str, str]] = field(default_factory=list)
    figures: int = 0
    questions: int = 0
    cited: list[str] = field(default_factory=list)
    marked: set[str] = field(default_factory=set)

    def block(self, builder: Builder) -> str:
        """Return the line that stands for the elements which ``builder`` makes."""
        self.builders.append((self.line, builder))
        return BLOCK.format(len(self.builders) - 1)

    def inline(self, html: str, plain: str) -> str:
        """Return the text that stands for ``html``, and for ``plain`` in a table of contents."""
        self.inlines.append((html, plain))
        return INLINE.format(len(self.inlines) - 1)

    def raw(self, html: str) -> str:
        """Return the text that stands for HTML inside an element."""
        return self.md.htmlStash.store(html)

    @cached_property
    def checks(self) -> dict[str, EquationCheck]:
        """The checks of this chapter's equations, by id."""
        return checks(self.book, self.page.module)

    @cached_property
    def equations(self) -> dict[int, Equation]:
        """The displayed equations by line, each held against its check."""
        found = equations(self.page)
        for equation in found.values():
            verify(self.page, equation, self.checks)
        return found

    @cached_property
    def figure_numbers(self) -> dict[str, int]:
        """The number of each figure by the name of its function; the first of equal names."""
        fences = [fence for fence in self.page.fences if fence.info == "figure"]
        names = [re.search(r"^name: *[\w.]*?(\w+) *$", "\n".join(f.body), re.M) for f in fences]
        numbered = [(name[1], number) for number, name in enumerate(names, start=1) if name]
        return dict(reversed(numbered))


@dataclass(frozen=True)
class Block:
    """A fence of this package, about to be converted.

    Parameters
    ----------
    work : Conversion
    fence : Fence
    body : object
        What its YAML says.
    inline : callable
        Converts text inside it; takes the text, and its file and line if it stands elsewhere.
    """

    work: Conversion
    fence: Fence
    body: Any
    inline: Callable[..., str]
