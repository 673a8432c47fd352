r"""What stands inside a line: math, citations, terms, recorded numbers, links to equations.

Code spans are left alone: ``\(`` inside them stays as it is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from dlbook.publishing import citations, glossary, katex, results
from dlbook.publishing.conversion import Conversion
from dlbook.publishing.errors import UnplacedError

TOKEN = re.compile(
    r"""
    (?P<escaped> \\\\ | \\` )
  | (?P<code> (?P<ticks>(?<!`)`+(?!`)) .+? (?<!`)(?P=ticks)(?!`) )
  | (?P<math> \\\( (?P<latex>.*?) \\\) )
  | (?P<result> \{\{ (?P<number>.*?) \}\} )
  | (?P<term> \[\[ (?P<words>[^\[\]]+) \]\] )
  | (?P<cited> \[ (?P<keys>@[^\[\]]+) \] )
  | (?P<reference> \[ (?P<sort>eq|fig): (?P<id>[^\[\]]*) \] )
  | (?P<stray> \\\( | \\\) | \\\[ | \\\] | \$\$ )
    """,
    re.VERBOSE | re.DOTALL,
)


def math_only(text: str, keep: Callable[[str], str]) -> str:
    """Return text with its math as HTML: for texts that are not pages of the book.

    Parameters
    ----------
    text : str
        Markdown.
    keep : callable
        Puts HTML where Python-Markdown leaves it alone, and returns what stands for it.
    """

    def replaced(found: re.Match[str]) -> str:
        return keep(katex.inline(found["latex"].strip())) if found["math"] else found[0]

    return TOKEN.sub(replaced, text)


def convert(work: Conversion, text: str, file: str, line: int) -> str:
    """Return ``text``, which begins at ``line``, as Markdown that Python-Markdown understands.

    Raises
    ------
    BookError
        Something is unknown, or math is not closed.
    """

    def replaced(found: re.Match[str]) -> str:
        try:
            return _replaced(work, found)
        except UnplacedError as error:
            raise error.at(file, line + text.count("\n", 0, found.start())) from None

    return TOKEN.sub(replaced, text)


def _replaced(work: Conversion, found: re.Match[str]) -> str:
    if found["math"]:
        latex = found["latex"].strip()
        return work.inline(katex.inline(latex), html.escape(katex.plain(latex)))
    if found["result"]:
        return results.insert(work, found["number"])
    if found["term"]:
        return glossary.mark(work, found["words"])
    if found["cited"]:
        return citations.cite(work, found["keys"])
    if found["reference"]:
        return _reference(work, found["sort"], found["id"].strip())
    if found["stray"]:
        raise UnplacedError(
            f"{found['stray']} stands alone in a line of text",
            r"write \(…\) within a paragraph, or $$ on lines of their own with an id",
        )
    return found[0]


def _reference(work: Conversion, sort: str, name: str) -> str:
    if sort == "eq":
        numbers = {e.id: (e.number, e.anchor) for e in work.equations.values() if e.id}
        shown = "({})"
    else:
        numbers = {of: (n, f"fig-{of}") for of, n in work.figure_numbers.items()}
        shown = "Figure {}"
    if name not in numbers:
        known = ", ".join(numbers) or "none"
        what = "equation" if sort == "eq" else "figure"
        raise UnplacedError(f"this page has no {what} {name!r}", f"those it has: {known}")
    number, anchor = numbers[name]
    return f"[{shown.format(number)}](#{anchor})"
