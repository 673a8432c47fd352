"""What a right page becomes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dlbook.publishing.book import Book
from dlbook.publishing.errors import BookError, UnplacedError
from dlbook.publishing.listings import find
from tests import small_book


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_book.write(tmp_path_factory.mktemp("small"))


@pytest.fixture(scope="module")
def chapter(root: Path) -> str:
    return small_book.html(root, "book/neuron.md")


def without_math(html: str) -> str:
    """Cut out what KaTeX makes."""
    return re.sub(r'<(span|div) class="math".*?</math>.*?(?=<p|</p|</h|</li|</s)', "MATH", html)


def test_listing_of_what_a_package_re_exports_is_that_of_its_module(tmp_path: Path) -> None:
    root = small_book.write(tmp_path)
    package = root / "dlbook/parts"
    package.mkdir()
    (root / "dlbook/small.py").rename(package / "small.py")
    (package / "__init__.py").write_text("from dlbook.parts.small import double as twice\n")
    found = find(Book(root), "dlbook.parts.twice")
    assert (found.name, found.file, found.line) == (
        "dlbook.parts.twice",
        "dlbook/parts/small.py",
        4,
    )
    assert found.code.startswith("def double(x):")
    with pytest.raises(UnplacedError) as told:
        find(Book(root), "dlbook.parts.twise")
    assert told.value.remedy == "use one of dlbook.parts.twice"


def test_listing_is_the_source_as_it_stands(chapter: str, root: Path) -> None:
    block = re.search(r'<div class="annotate highlight">.*?</div>', chapter, re.DOTALL)
    assert block
    shown = re.sub(r"<[^>]+>", "", block[0])
    source = (root / "dlbook/small.py").read_text().split("\n\n\n")[1].rstrip()
    assert shown.removeprefix("dlbook/small.py").rstrip() == f"{source} (1)"
    assert "<ol>\n<li>Twice " in chapter


def test_code_is_left_alone(chapter: str) -> None:
    assert r"<code>\(x\)</code>" in chapter
    assert "1.414" in chapter


def test_equation_has_its_number_and_the_mark_that_leads_to_its_check(chapter: str) -> None:
    assert 'id="eq-twice"' in chapter
    assert re.search(r'<a [^>]*href="checks/neuron.md#twice"[^>]*>✓ checked</a>', chapter)
    assert '<a href="#eq-twice">(1)</a>' in chapter
    assert '<span title="true of everything">not checked</span>' in chapter
    assert '<div class="math" role="group" aria-label="Equation 1" tabindex="0"' in chapter


def test_math_carries_mathml_for_screen_readers(chapter: str) -> None:
    assert chapter.count('<math xmlns="http://www.w3.org/1998/Math/MathML"') == chapter.count(
        'class="katex-html" aria-hidden="true"'
    )


def test_heading_with_math_is_plain_text_in_the_table_of_contents(root: Path) -> None:
    html, md = small_book.converted(root, "book/neuron.md")
    (heading,) = md.toc_tokens  # type: ignore[attr-defined]  # the toc extension sets it
    assert heading["name"] == "One σ neuron"
    assert '<h1 id="one-neuron">One <span class="math"' in html


def test_figure_has_number_description_and_caption(chapter: str) -> None:
    figure = re.search(r'<figure class="figure" id="fig-anatomy">.*?</figure>', chapter, re.DOTALL)
    assert figure
    assert 'role="img" aria-label="Circles and arrows."' in figure[0]
    assert "<strong>Figure 1.</strong> What <span" in figure[0]
    assert '<a href="#fig-anatomy">Figure 1</a>' in chapter


def test_quiz_opens_without_a_script(chapter: str) -> None:
    details = re.findall(r"<details.*?</details>", chapter, re.DOTALL)
    assert [("Right." in d, "Not right." in d) for d in details] == [(True, False), (False, True)]
    assert all("<summary>" in d for d in details)


def test_citation_names_author_and_year_and_leads_to_the_bibliography(
    chapter: str, root: Path
) -> None:
    assert '(<a href="bibliography.md#ref-rosenblatt1958">Rosenblatt, 1958</a>)' in chapter
    assert "<em>The Perceptron</em>" in chapter.partition('class="references"')[2]
    whole = small_book.html(root, "book/bibliography.md")
    assert 'id="ref-rosenblatt1958"' in whole
    assert "Verified: First page of the article." in whole


def test_term_and_glossary_lead_to_each_other(chapter: str, root: Path) -> None:
    assert '<dfn id="term-neuron"><a href="glossary.md#neuron">neuron</a></dfn>' in chapter
    whole = small_book.html(root, "book/glossary.md")
    assert '<dt id="neuron">neuron</dt>' in whole
    assert 'href="neuron.md#term-neuron"' in whole


def test_recorded_number_tells_how_it_was_measured(chapter: str) -> None:
    told = "recorded by nox -s bench on two cores, 2026-11-20"
    assert f'<span class="result" title="{told}">97.9%</span>' in chapter


def test_checks_page_shows_proof_and_what_it_rests_on(root: Path) -> None:
    html = small_book.html(root, "book/checks/neuron.md")
    assert 'id="twice"' in html
    assert "The function doubles." in html
    assert "Exempt: true of everything" in html
    assert re.search(r"What these proofs share.*helper", html, re.DOTALL)
    assert 'href="../neuron.md#eq-twice"' in html


def test_page_is_found_by_its_text_with_the_lines_of_its_file(root: Path) -> None:
    book = Book(root)
    text = small_book.CHAPTER.split("---\n", 2)[2].strip("\n").split("\n")
    page = book.find(text)
    assert page
    assert (page.file, page.first) == ("book/neuron.md", 5)
    assert book.find(["# Another page"]) is None


def test_text_that_is_no_page_gets_math_and_nothing_else(root: Path) -> None:
    md = small_book.converted(root, "book/glossary.md")[1]
    assert 'class="math"' in md.convert(r"A docstring with \(x\), [[1, 2]] and {{ braces }}.")
    assert "[[1, 2]] and {{ braces }}" in md.convert("[[1, 2]] and {{ braces }}")
    with pytest.raises(BookError, match="no file below book/ holds"):
        md.convert("``` source\nname: dlbook.small.double\n```")


def test_converter_can_be_used_again(root: Path) -> None:
    md = small_book.converted(root, "book/glossary.md")[1]
    text = (root / "book/bibliography.md").read_text()
    assert md.reset().convert(text) == small_book.html(root, "book/bibliography.md")
