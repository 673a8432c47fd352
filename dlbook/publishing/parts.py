"""A page taken apart: fences, displayed equations and prose, each with its line in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from dlbook.publishing.errors import BookError

OWN = ("source", "figure", "quiz", "checks", "ledger", "references", "glossary", "bibliography")
PYTHON = ("python", "py", "python3", "ipython")

OPENING = re.compile(r"^(?P<indent> *)(?P<mark>`{3,}|~{3,})(?P<info>[^`]*)$")
LANGUAGE = re.compile(r"^(?:\{[^}]*?\.)?([\w+-]+)")
DISPLAY = re.compile(r"^(?P<indent> *)\$\$(?P<rest>.*)$")
DISPLAY_END = re.compile(r"^(?P<latex>.*?)\$\$[ ]*(?P<attributes>\{.*\})?[ ]*$")
PROMPT = re.compile(r"^[ >*+-]*>>>(?: |$)")
HIDDEN_CODE = re.compile(r"^ *(?:[>*+-]|\d+\.)[ >*+-]*(?:`{3}|~{3})|<pre\b")


@dataclass(frozen=True)
class Fence:
    """A fenced block: ``body`` is freed of the fence's own indentation."""

    line: int
    indent: str
    info: str
    body: tuple[str, ...]
    raw: tuple[str, ...]

    @property
    def language(self) -> str:
        """The info string's word: ``pycon`` for `````{ .pycon title="x" }``."""
        found = LANGUAGE.match(self.info.replace("{ ", "{"))
        return found[1] if found else ""

    @property
    def own(self) -> bool:
        """Whether the fence is one of this package's."""
        return self.info in OWN

    def line_of(self, text: str) -> int:
        """Return the file's line where ``text`` begins in the body, or the fence's own line."""
        start = text.strip().splitlines()[0] if text.strip() else ""
        hits = [i for i, line in enumerate(self.body) if start and start in line]
        return self.line + 1 + hits[0] if hits else self.line


@dataclass(frozen=True)
class Display:
    """A displayed equation, between lines of ``$$``."""

    line: int
    indent: str
    latex: str
    attributes: str


@dataclass(frozen=True)
class Prose:
    """Lines of ordinary Markdown."""

    line: int
    lines: tuple[str, ...]


Part = Fence | Display | Prose


def split(file: str, lines: list[str], first: int = 1) -> list[Part]:
    """Take a page apart.

    Parameters
    ----------
    file : str
        Named in errors.
    lines : list of str
        The page, without front matter.
    first : int
        Line of the file at which ``lines`` begin.

    Raises
    ------
    BookError
        A fence or an equation is not closed.
    """
    return list(_split(file, lines, first))


def _split(file: str, lines: list[str], first: int) -> Iterator[Part]:
    prose: list[str] = []
    i = 0
    while i < len(lines):
        fence, display = OPENING.match(lines[i]), DISPLAY.match(lines[i])
        if not fence and not display:
            prose.append(lines[i])
            i += 1
            continue
        if prose:
            yield Prose(first + i - len(prose), tuple(prose))
            prose = []
        part, i = _fence(file, lines, i, first, fence) if fence else _display(file, lines, i, first)
        yield part
    if prose:
        yield Prose(first + i - len(prose), tuple(prose))


def _fence(
    file: str, lines: list[str], start: int, first: int, opening: re.Match[str]
) -> tuple[Fence, int]:
    indent, mark, info = opening["indent"], opening["mark"], opening["info"].strip()
    for end in range(start + 1, len(lines)):
        text = lines[end].rstrip()
        if text.startswith(indent + mark) and not text[len(indent) :].strip(mark[0]):
            inner = lines[start + 1 : end]
            body = tuple(line.removeprefix(indent) for line in inner)
            return Fence(first + start, indent, info, body, tuple(lines[start : end + 1])), end + 1
    raise BookError(
        file,
        first + start,
        f"the fence {mark}{info} is never closed",
        f"end it with a line {indent + mark!r}, indented like its first line",
    )


def _display(file: str, lines: list[str], start: int, first: int) -> tuple[Display, int]:
    opening = DISPLAY.match(lines[start])
    indent, rest = (opening["indent"], opening["rest"]) if opening else ("", "")
    latex: list[str] = []
    for end in range(start, len(lines)):
        text = rest if end == start else lines[end]
        if end > start and not text.strip():
            break
        if closing := DISPLAY_END.match(text):
            latex.append(closing["latex"].strip())
            whole = "\n".join(line for line in latex if line)
            return Display(first + start, indent, whole, closing["attributes"] or ""), end + 1
        latex.append(text.strip())
    raise BookError(
        file,
        first + start,
        "an equation opened with $$ is never closed",
        "end it with $$ {#id}, without an empty line in between",
    )
