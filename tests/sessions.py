"""The sessions of the chapters: every ``>>>`` in every pycon fence, run and compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from doctest import ELLIPSIS, SKIP, Example
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from sybil import Document, Region, Sybil
from sybil.evaluators.doctest import NUMBER, DocTestEvaluator, OutputChecker
from sybil.parsers.abstract.doctest import DocTestStringParser

from dlbook.publishing.book import ROOT, Book
from dlbook.publishing.parts import Fence


class DigitsShown(OutputChecker):
    """Compares a number to the digits shown: they must be the ones that rounding gives.

    Sybil's own checker accepts a last digit that is wrong by one.
    """

    def _remove_unwanted_precision(self, want: str, got: str) -> str:
        wanted, found = (list(self._number_re.finditer(text)) for text in (want, got))
        if len(wanted) != len(found):
            return got
        pieces, end = [], 0
        for w, g in zip(wanted, found, strict=True):
            pieces += [got[end : g.start()], w[0] if _rounds_to(g[0], w) else g[0]]
            end = g.end()
        return "".join([*pieces, got[end:]])

    def output_difference(self, example: Example, got: str, optionflags: int) -> str:
        """Show what was expected and what came, and say how to mend it."""
        remedy = "Mend the page if the code is right, the code if the page says what was meant.\n"
        return super().output_difference(example, got, optionflags) + remedy


def _rounds_to(got: str, want: re.Match[str]) -> bool:
    if want["integer2"]:  # NumPy prints 3. for a whole number and for no other
        return float(got) == float(want[0])
    exponent = int(want["exponent1"] or want["exponent2"] or 0)
    last_digit = 10.0 ** (exponent - len(want["fraction"] or ""))
    # A tie may be rounded either way, and rounding errors may blur it.
    return abs(float(got) - float(want[0])) <= last_digit * (0.5 + 1e-6)


def evaluator() -> DocTestEvaluator:
    """Return what runs an example and compares its output."""
    made = DocTestEvaluator(ELLIPSIS | NUMBER)
    made.runner._checker = DigitsShown()  # type: ignore[attr-defined] # Sybil has no other way in
    return made


class Sessions:
    """A Sybil parser that finds what the site shows: the same reading of fences, the same lines."""

    def __init__(self, root: Path = ROOT) -> None:
        self.book = Book(root)
        self.examples = DocTestStringParser(evaluator())

    def __call__(self, document: Document) -> Iterator[Region]:
        page = self.book.read(Path(document.path))
        starts = [0, *accumulate(len(line) for line in document.text.splitlines(keepends=True))]
        for fence in page.fences:
            if fence.language == "pycon":
                yield from self._regions(fence, document.path, starts)

    def _regions(self, fence: Fence, path: str, starts: list[int]) -> Iterator[Region]:
        text = "\n".join(fence.body) + "\n"
        for region in self.examples(text, path):
            first = fence.line + region.parsed.lineno  # counted from 0
            last = first + text.count("\n", region.start, region.end)
            if SKIP in region.parsed.options:
                raise ValueError(f"{path}:{first + 1}: a skipped example proves nothing: run it")
            region.start, region.end = starts[first], starts[last]
            yield region


def collected(book: Book) -> Iterator[tuple[str, int]]:
    """Yield file and line of every example that the suite runs."""
    collector = sybil(book.root, "book/**/*.md")
    for page in book.pages:
        for example in collector.parse(book.path(page.file)).examples():
            yield page.file, example.line


def sybil(root: Path, *patterns: str) -> Sybil:
    """Return the collector of all sessions in the files below ``root`` that fit ``patterns``."""
    return Sybil(
        parsers=[Sessions(root)],
        path=str(root),
        patterns=patterns,
        setup=_set_up,
        teardown=_tear_down,
    )


def _set_up(namespace: dict[str, Any]) -> None:
    namespace["_print_options"] = np.get_printoptions()
    np.set_printoptions(precision=4, suppress=True, linewidth=75)


def _tear_down(namespace: dict[str, Any]) -> None:
    np.set_printoptions(**namespace["_print_options"])
