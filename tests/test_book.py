"""The book as a whole: every chapter has its siblings, and nothing in it is unproved."""

from __future__ import annotations

import re

import pytest
import yaml

from dlbook.publishing import counts, glossary, quiz
from dlbook.publishing.book import ROOT, Book, Page
from dlbook.publishing.count import Count
from dlbook.publishing.equations import equations
from dlbook.publishing.inline import TOKEN
from dlbook.publishing.parts import Prose
from tests import small_book

BOOK = Book()
# What a chapter will have, and why it is not there yet: to be deleted when the first one comes.
LATER = {"dlbook/exercises/{module}": "graded exercises need the grader, which comes after this"}
QUESTIONS = 8
HTML_BOX = re.compile(r"^<div.*?^</div>", re.MULTILINE | re.DOTALL)


class Nav(yaml.SafeLoader):
    """Reads mkdocs.yml without what only MkDocs understands."""


Nav.add_multi_constructor("!", lambda loader, suffix, node: None)


def chapters() -> list[Page]:
    """Return the chapters in their order, which stands once: in the parts of the navigation."""
    config = yaml.load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"), Nav)
    parts = [part for entry in config["nav"] for name, part in entry.items() if "Part" in name]
    return [BOOK.read(ROOT / "book" / name) for part in parts for name in part]


CHAPTERS = chapters()
each_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=[page.slug for page in CHAPTERS])
each_page = pytest.mark.parametrize("page", BOOK.pages, ids=[page.file for page in BOOK.pages])


def test_there_are_chapters() -> None:
    assert CHAPTERS


@each_chapter
@pytest.mark.parametrize(
    "sibling",
    [
        "dlbook/figures/{module}.py",
        "book/labs/{module}.py",
        "tests/equations/{module}.py",
        "book/checks/{slug}.md",
    ],
)
def test_chapter_has_its_sibling(chapter: Page, sibling: str) -> None:
    path = ROOT / sibling.format(module=chapter.module, slug=chapter.slug)
    assert path.is_file(), f"{chapter.file} lacks {path.relative_to(ROOT)}: write it"


@each_chapter
@pytest.mark.parametrize("sibling", LATER)
def test_what_comes_later_is_not_there_yet(chapter: Page, sibling: str) -> None:
    path = ROOT / sibling.format(module=chapter.module)
    assert not path.exists(), f"{sibling} has come: require it above, and delete it from LATER"


@each_chapter
def test_chapter_is_whole(chapter: Page) -> None:
    kinds = [fence.language for fence in chapter.fences]
    for kind in ("source", "figure", "pycon", "references"):
        assert kind in kinds, f"{chapter.file} has no {kind} fence"
    assert equations(chapter), f"{chapter.file} has no displayed equation"
    text = "\n".join(chapter.lines)
    for heading in ("Quiz", "Key points", "References"):
        assert f"\n## {heading}\n" in text, f"{chapter.file} has no section {heading!r}"
    assert f"labs/{chapter.module}.py" in text, f"{chapter.file} does not link to its lab"


@each_chapter
def test_quiz_is_long_enough(chapter: Page) -> None:
    bodies = counts.bodies([chapter], "quiz")
    asked = [question for body in bodies for question in quiz.questions(body)]
    assert len(asked) >= QUESTIONS, f"{chapter.file} asks {len(asked)} questions"


@each_page
def test_page_converts(page: Page) -> None:
    """What the site shows is made here too: every fence resolves, every figure is drawn."""
    assert small_book.html(ROOT, page.file)


@each_page
def test_no_output_is_left_open(page: Page) -> None:
    """An output of dots alone would accept anything."""
    for fence in page.fences:
        if fence.language == "pycon":
            after = re.findall(
                r"^>>> [^\n]*\n(?:\.\.\. [^\n]*\n)*\.\.\.$", "\n".join(fence.body), re.M
            )
            assert after == [], f"{page.file}:{fence.line}: an output of … proves nothing: show it"


@pytest.mark.parametrize("count", counts.counts(BOOK), ids=lambda count: count.promise)
def test_nothing_is_unproved(count: Count) -> None:
    assert count.unproved == ()


def test_term_is_marked_where_its_chapter_first_uses_it() -> None:
    early = []
    for term, entry in glossary.terms(BOOK).items():
        page = BOOK.page(entry["chapter"])
        assert page is not None
        early += [f"{page.file}:{line}: {term!r}" for line in uses_before_mark(page, term)]
    assert early == [], "mark these terms with [[…]] where they first stand, or reword the sentence"


def uses_before_mark(page: Page, term: str) -> list[int]:
    """Return the lines of running text that use a term before the mark that defines it."""
    longer = [other for other in glossary.terms(BOOK) if term in other and term != other]
    lines: list[int] = []
    for number, text in running_text(page):
        if re.search(rf"\[\[{re.escape(term)}(\|[^\]]*)?\]\]", text):
            return lines
        for other in longer:
            text = re.sub(rf"\b{re.escape(other)}\b", "", text, flags=re.I)
        if re.search(rf"\b{re.escape(term)}\b", text, re.I):
            lines.append(number)
    return lines


def running_text(page: Page) -> list[tuple[int, str]]:
    """Return the sentences, marks apart from other words: no headings, code, math, HTML boxes."""
    found = []
    for part in page.parts:
        if isinstance(part, Prose):
            text = HTML_BOX.sub(lambda box: "\n" * box[0].count("\n"), "\n".join(part.lines))
            for number, line in enumerate(text.splitlines(), start=part.line):
                if not line.startswith("#"):
                    found += [(number, piece) for piece in pieces(line)]
    return found


def pieces(line: str) -> list[str]:
    """Split a line at its marks, and leave out code and math."""
    text = TOKEN.sub(lambda token: token[0] if token["term"] else " ", line)
    return re.split(r"(\[\[[^\]]*\]\])", text)
