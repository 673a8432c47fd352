"""The extension's four places in Python-Markdown."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from markdown import Markdown
from markdown.blockparser import BlockParser
from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension
from markdown.postprocessors import Postprocessor
from markdown.preprocessors import Preprocessor
from markdown.treeprocessors import Treeprocessor

from dlbook.publishing import blocks, inline
from dlbook.publishing.book import ROOT, Book
from dlbook.publishing.conversion import BLOCK, INLINE, Conversion
from dlbook.publishing.errors import BookError
from dlbook.publishing.parts import HIDDEN_CODE, PROMPT, Display, Fence, Part, Prose, split

# After white space is normalized (30), before fences are replaced (25) and HTML is found (20).
READ_PAGE = 29
# Before every block processor that could take the line of a block for something else.
BUILD_BLOCK = 200
# After raw HTML is put back (30), so that math inside it is found.
PUT_INLINE = 5
# The very last: from then on text is the page itself, no longer a heading for a table of contents.
END_OF_TREE = -100

BLOCK_LINE = re.compile(BLOCK.format(r"(\d+)"))
INLINE_TEXT = re.compile(INLINE.format(r"(\d+)"))


class BookExtension(Extension):
    """Listings, figures, equations, math, quizzes, citations, terms and recorded numbers."""

    def __init__(self, **options: Any) -> None:
        self.config = {"root": [str(ROOT), "The repository that holds book/, dlbook/ and tests/"]}
        super().__init__(**options)

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (Python-Markdown's name)
        """Register the four processors."""
        md.registerExtensions(["attr_list"], {})
        state = _State(md, Book(Path(self.getConfig("root"))))
        md.preprocessors.register(_ReadPage(state), "dlbook_read", READ_PAGE)
        md.parser.blockprocessors.register(
            _BuildBlock(md.parser, state), "dlbook_build", BUILD_BLOCK
        )
        md.treeprocessors.register(_EndOfTree(state), "dlbook_end", END_OF_TREE)
        md.postprocessors.register(_PutInline(state), "dlbook_inline", PUT_INLINE)


class _State:
    """What the four processors share; begun anew with each page."""

    def __init__(self, md: Markdown, book: Book) -> None:
        self.md, self.book = md, book
        self.work: Conversion | None = None
        self.in_tree = False


class _ReadPage(Preprocessor):
    def __init__(self, state: _State) -> None:
        super().__init__(state.md)
        self.state = state

    def run(self, lines: list[str]) -> list[str]:
        state = self.state
        book = Book(state.book.root)
        page = book.find(lines)
        state.in_tree = True
        state.work = Conversion(state.md, book, page) if page else None
        if state.work is None:
            return _foreign(lines, state.md)
        return "\n".join(_converted(state.work, part) for part in state.work.page.parts).split("\n")


def _converted(work: Conversion, part: Part) -> str:
    work.line = part.line
    if isinstance(part, Prose):
        return _prose(work, part)
    if isinstance(part, Display):
        return _indented([blocks.display(work, part)], part.indent)
    if part.own:
        return _indented(blocks.own(work, part), part.indent)
    blocks.typed(work, part)
    return "\n".join(part.raw)


def _indented(lines: list[str], indent: str) -> str:
    return "\n".join(["", *(indent + line if line else line for line in lines), ""])


def _prose(work: Conversion, part: Prose) -> str:
    """Convert paragraph by paragraph, since neither code nor math goes on behind an empty line."""
    converted: list[str] = []
    paragraph: list[str] = []
    for number, line in enumerate([*part.lines, ""], start=part.line):
        if PROMPT.match(line):
            raise work.page.error(number, ">>> outside a fence is never run", "put it in ``` pycon")
        if HIDDEN_CODE.search(line):
            problem = "code stands where it is not checked, behind a list's mark, > or <pre>"
            raise work.page.error(number, problem, "begin a line of its own with ```")
        if line.strip():
            paragraph.append(line)
            continue
        if paragraph:
            text = "\n".join(paragraph)
            converted.append(inline.convert(work, text, work.page.file, number - len(paragraph)))
            paragraph = []
        converted.append(line)
    return "\n".join(converted[:-1])


def _foreign(lines: list[str], md: Markdown) -> list[str]:
    """Convert a text that is no page, such as a docstring: only math within a line."""
    converted: list[str] = []
    for part in split("a text that is no page of the book", lines):
        if isinstance(part, Prose):
            text = "\n".join(part.lines)
            converted += inline.math_only(text, md.htmlStash.store).split("\n")
        elif isinstance(part, Fence) and not part.own:
            converted += part.raw
        else:
            what = part.info if isinstance(part, Fence) else "$$"
            raise BookError(
                "a text that is no page of the book",
                part.line,
                f"{what} stands in a text that no file below book/ holds",
                "keep it in a page, and let no plugin change the page's text",
            )
    return converted


class _BuildBlock(BlockProcessor):
    def __init__(self, parser: BlockParser, state: _State) -> None:
        super().__init__(parser)
        self.state = state

    def test(self, _: Element, block: str) -> bool:
        return BLOCK_LINE.fullmatch(block.rstrip()) is not None

    def run(self, parent: Element, blocks: list[str]) -> None:
        line = BLOCK_LINE.fullmatch(blocks.pop(0).rstrip())
        if line and self.state.work:
            self.state.work.builders[int(line[1])][1](parent, self.parser)


class _EndOfTree(Treeprocessor):
    def __init__(self, state: _State) -> None:
        super().__init__(state.md)
        self.state = state

    def run(self, _: Element) -> None:
        self.state.in_tree = False


class _PutInline(Postprocessor):
    """Put HTML in place; as long as the tree is worked on, plain text: that is a heading."""

    def __init__(self, state: _State) -> None:
        super().__init__(state.md)
        self.state = state

    def run(self, text: str) -> str:
        work = self.state.work
        if work is None:
            return text
        left_over = BLOCK_LINE.search(text)
        if left_over and not self.state.in_tree:
            raise work.page.error(
                work.builders[int(left_over[1])][0],
                "a fence or an equation stands inside raw HTML, where Markdown is not read",
                "take it out of the HTML element",
            )
        which = 1 if self.state.in_tree else 0
        return INLINE_TEXT.sub(lambda found: work.inlines[int(found[1])][which], text)
