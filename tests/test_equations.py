"""Every displayed equation is proved, and every proof states the equation as the chapter has it."""

from __future__ import annotations

import importlib

import pytest

from dlbook.publishing.book import Book
from dlbook.publishing.equations import checks, equations, idle, modules, verify
from tests.proof import Check

BOOK = Book()
PROVED = [(module, name) for module in modules(BOOK) for name in checks(BOOK, module)]


@pytest.mark.parametrize(("module", "name"), PROVED, ids=[".".join(pair) for pair in PROVED])
def test_equation_is_true(module: str, name: str) -> None:
    check = getattr(importlib.import_module(f"tests.equations.{module}"), name)
    assert isinstance(check, Check)
    page = BOOK.page_of_module(module)
    assert page is not None, f"tests/equations/{module}.py belongs to no page of the book"
    on_page = {equation.id: equation.latex for equation in equations(page).values()}
    check.run(on_page.get(name))


@pytest.mark.parametrize("page", BOOK.pages, ids=[page.file for page in BOOK.pages])
def test_every_equation_of_a_page_has_its_check(page) -> None:  # type: ignore[no-untyped-def]
    known = checks(BOOK, page.module)
    for equation in equations(page).values():
        verify(page, equation, known)


@pytest.mark.parametrize("module", modules(BOOK))
def test_no_check_is_without_its_equation(module: str) -> None:
    page = BOOK.page_of_module(module)
    assert page is not None
    left_over = [
        f"{check.file}:{check.line} {check.id}" for check in idle(page, checks(BOOK, module))
    ]
    assert left_over == [], "checks that no equation of the chapter needs: remove or rename them"
