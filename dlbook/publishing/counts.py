"""What the ledger counts: one function for each promise, each reading the sources anew."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from dlbook.publishing import (
    citations,
    equations,
    figures,
    glossary,
    inline,
    listings,
    quiz,
    recorded,
    results,
    sources,
    statements,
)
from dlbook.publishing.book import Book, Page
from dlbook.publishing.count import Count, module_of, number
from dlbook.publishing.errors import BookError, UnplacedError
from dlbook.publishing.parts import PROMPT, PYTHON, Fence, Prose
from dlbook.publishing.yamlread import load

PICTURE = re.compile(r"!\[[^\]]*\]\(|<(?:img|svg|picture)\b")
EXEMPT_SHARE = 0.05


def counts(book: Book) -> list[Count]:
    """Count all promises."""
    made = (
        count_listings,
        count_sessions,
        count_figures,
        count_equations,
        count_statements,
        count_parity,
        count_gradients,
        count_shapes,
        count_recorded,
        count_quizzes,
        count_terms,
        count_works,
        count_field_errors,
        count_planted,
        recorded.count_mutants,
        recorded.count_pitfalls,
    )
    return [count(book) for count in made]


def failures(prove: Callable[[Any], object], items: Iterable[Any]) -> tuple[str, ...]:
    """Return what goes wrong when ``prove`` is called with each of ``items``."""
    messages = []
    for item in items:
        try:
            prove(item)
        except (BookError, UnplacedError) as error:
            messages.append(str(error))
    return tuple(messages)


def bodies(pages: Iterable[Page], kind: str) -> Iterator[Any]:
    """Yield the content of every fence of a kind."""
    for page in pages:
        for fence in page.fences:
            if fence.info == kind:
                yield load("\n".join(fence.body), page.file, fence.line + 1)


def tokens(book: Book, group: str) -> Iterator[str]:
    """Yield every piece of text of a kind, such as ``cited``, in prose and in fences."""
    for page in book.pages:
        for part in page.parts:
            if isinstance(part, Prose) or (isinstance(part, Fence) and part.own):
                text = "\n".join(part.lines if isinstance(part, Prose) else part.body)
                yield from (found[0] for found in inline.TOKEN.finditer(text) if found[group])


def count_listings(book: Book) -> Count:
    """Count listings by name, and Python typed by hand."""
    named = list(bodies(book.pages, "source"))
    unproved = failures(lambda body: listings.find(book, body["name"]), named)
    by_hand = [
        f"{page.file}:{fence.line}: Python typed by hand"
        for page in book.pages
        for fence in page.fences
        if fence.language in PYTHON
    ]
    return Count(
        "Every listing is the package's code",
        number(len(named), "listing") + " by name",
        (*unproved, *by_hand),
        "the build: an unknown name, or Python typed by hand, stops it",
    )


def count_sessions(book: Book) -> Count:
    """Count prompts in the pages, and those that the test suite does not collect."""
    prompts = {
        (page.file, number)
        for page in book.pages
        for number, line in enumerate(page.lines, start=page.first)
        if PROMPT.match(line)
    }
    sessions = module_of(book, "tests/sessions.py")
    run = set(sessions.collected(book)) if sessions else set()
    return Count(
        "Every output is true",
        number(len(prompts), "example"),
        tuple(f"{file}:{line}: never run" for file, line in sorted(prompts - run)),
        "the tests: each is run, its output compared to the digits shown",
    )


def count_figures(book: Book) -> Count:
    """Count figures with their alt texts, and pictures that no function draws."""
    drawn = list(bodies(book.pages, "figure"))
    unproved = failures(lambda body: listings.find(book, figures.read(body).name), drawn)
    typed = [
        f"{page.file}:{part.line + number}: a picture that no function draws"
        for page in book.pages
        for part in page.parts
        if isinstance(part, Prose)
        for number, line in enumerate(part.lines)
        if PICTURE.search(line)
    ]
    return Count(
        "Every figure is drawn by the package and described in words",
        f"{number(len(drawn), 'figure')}, {number(len(drawn) - len(unproved), 'alt text')}",
        (*unproved, *typed),
        "the build: a missing function, argument or alt text stops it",
    )


def count_equations(book: Book) -> Count:
    """Count equations by the way in which they are proved."""
    shown = [(page, e) for page in book.pages for e in equations.equations(page).values()]
    unproved = failures(lambda pair: _verified(book, *pair), shown)
    proofs = [check for page in book.pages for check in _proofs(book, page)]
    kinds = [check.kind for check in proofs]
    exempt = [f"{page.file}:{e.line}: {e.exempt}" for page, e in shown if e.exempt]
    if len(exempt) > EXEMPT_SHARE * len(shown):
        share = f"{len(exempt)} of {len(shown)} equations are exempt, more than one in twenty"
        unproved = (*unproved, share)
    return Count(
        "Every displayed equation is proved",
        f"{number(len(shown), 'equation')}: {kinds.count('numeric')} proved numerically, "
        f"{kinds.count('symbolic')} symbolically, {len(exempt)} exempt; "
        f"{sum(check.reads_page for check in proofs)} proofs evaluate the page's own LaTeX",
        unproved,
        "the build, if page and proof differ; the tests, if the proof fails",
        tuple(exempt),
    )


def _verified(book: Book, page: Page, equation: equations.Equation) -> None:
    equations.verify(page, equation, equations.checks(book, page.module))


def _proofs(book: Book, page: Page) -> list[equations.EquationCheck]:
    known = equations.checks(book, page.module)
    shown = equations.equations(page).values()
    return [known[e.id] for e in shown if e.id in known and not e.exempt]


def count_statements(book: Book) -> Count:
    """Count what docstrings of the hand-written half state, and what of it no proof repeats."""
    found = set(statements.statements(book))
    stated = sorted(found - set(statements.NO_EQUATIONS))
    repeated = statements.repeated(book)
    return Count(
        "Every formula of a docstring is proved",
        number(len(stated), "statement") + " in docstrings",
        tuple(f"{name}: {text}" for name, text in stated if text not in repeated),
        "the tests: the proof repeats the words, and compares 100 numbers or more",
        tuple(
            f"{one.name}: {one.text} ({reason})"
            for one, reason in statements.NO_EQUATIONS.items()
            if one in found
        ),
    )


def count_parity(book: Book) -> Count:
    """Count operations that are compared with PyTorch."""
    return _operations(
        book,
        "By hand equals the framework",
        "tests/test_parity.py",
        "the tests: forward and backward within 1e-10 of PyTorch, in float64",
    )


def count_gradients(book: Book) -> Count:
    """Count operations whose gradient is checked."""
    return _operations(
        book,
        "Every gradient is right",
        "tests/test_contract.py",
        "the tests: finite differences on random shapes, relative error under 1e-7",
    )


def _operations(book: Book, promise: str, test: str, mechanism: str) -> Count:
    """Count the backward passes of the package, and those that ``test`` does not run over."""
    operations = {
        name for name, _ in sources.public_functions(book, "dlbook/scratch") if "_backward" in name
    }
    run_over, _, _ = sources.cases(book)
    covered = run_over if _iterates_over_cases(book, test) else set()
    return Count(
        promise,
        f"{number(len(operations), 'operation')}, forward and backward",
        tuple(f"{name}: not compared in {test}" for name in sorted(operations - covered)),
        mechanism,
    )


def count_shapes(book: Book) -> Count:
    """Count functions that state shapes, and those whose shapes no call holds."""
    folders = ("dlbook/scratch", "dlbook/data", "dlbook/metrics.py")
    stating = {
        name
        for folder in folders
        for name, documentation in sources.public_functions(book, folder)
        if "of shape" in documentation
    }
    cases, calls, without = sources.cases(book)
    return Count(
        "Every shape in a docstring is true",
        f"{len(stating)} functions and methods that state shapes",
        tuple(
            f"{name}: no call in tests/cases"
            for name in sorted(stating - cases - calls - set(without))
        ),
        "the tests: the words “of shape (…)” are held against real arrays",
        tuple(f"{name}: {reason}" for name, reason in without.items() if name in stating),
    )


def count_recorded(book: Book) -> Count:
    """Count numbers inserted from recorded files."""
    found = list(tokens(book, "result"))
    unproved = failures(lambda text: results.look_up(book, text), found)
    return Count(
        "Every measured number is recorded",
        f"{number(len(found), 'number')} with command, machine and date",
        unproved,
        "the build: a number that is not recorded stops it",
    )


def count_quizzes(book: Book) -> Count:
    """Count questions and choices, all of which explain themselves."""
    asked: list[quiz.Question] = []
    unproved = failures(lambda body: asked.extend(quiz.questions(body)), bodies(book.pages, "quiz"))
    choices = sum(len(question.choices) for question in asked)
    return Count(
        "Every answer of a quiz is explained",
        f"{number(len(asked), 'question')}, {number(choices, 'choice')}",
        unproved,
        "the build: a choice without its reason stops it",
    )


def count_terms(book: Book) -> Count:
    """Count the terms of the glossary, each marked once."""
    marks = [text.strip("[]").partition("|")[0].strip() for text in tokens(book, "term")]
    known = glossary.terms(book)
    wrong = [term for term in known if marks.count(term) != 1]
    return Count(
        "Every term is defined where it first stands",
        number(len(known), "term"),
        tuple(f"{term}: marked {marks.count(term)} times" for term in wrong),
        "the build and the tests: each is marked once, in the chapter that defines it",
    )


def count_works(book: Book) -> Count:
    """Count the works cited."""
    keys = [key for text in tokens(book, "cited") for key in re.findall(r"@([\w-]+)", text)]
    known = citations.works(book)
    return Count(
        "Every work cited is described and was verified",
        f"{number(len(keys), 'citation')} of {number(len(known), 'work')}",
        tuple(f"@{key}: unknown" for key in sorted(set(keys) - set(known)))
        + tuple(f"@{key}: never cited" for key in sorted(set(known) - set(keys))),
        "the build: an unknown work, or one that lacks a field, stops it",
    )


def count_field_errors(book: Book) -> Count:
    """Count the tests that keep known errors of the field out; each names its entry's number."""
    place = "tests/test_field_errors.py"
    files = sorted(book.path("tests").glob("test_field_errors*.py"))
    names = [
        name for file in files for name, _ in sources.public_functions(book, f"tests/{file.name}")
    ]
    entries = [number[1] for number in (re.match(r"test_(\d+)_", n) for n in names) if number]
    return Count(
        "Known errors of the field stay out",
        f"{number(len(entries), 'test')} for {len(set(entries))} entries of the list",
        () if book.path(place).is_file() else (f"{place} is not there",),
        "the tests: each would fail with the error that readers reported",
    )


def count_planted(book: Book) -> Count:
    """Count the errors that the suite plants into a small book, to see the build stop."""
    place = "tests/test_publishing_planted.py"
    path = book.path(place)
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    planted = len(re.findall(r"^    Planted\($", text, re.MULTILINE))
    return Count(
        "Every mechanism of the build can fail",
        f"{number(planted, 'planted error')}, each stops a build",
        () if planted else (f"{place} is not there",),
        "the tests: the message must name file, line and remedy",
    )


def _iterates_over_cases(book: Book, test: str) -> bool:
    path = book.path(test)
    return path.is_file() and bool(re.search(r"\bCASES\b", path.read_text(encoding="utf-8")))
