"""A proof of an equation can fail, and reads what the page says."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import sympy
from numpy.random import Generator

from tests.proof import Check, Page, Pairs, numeric, symbolic

x, y = sympy.symbols("x y")


@numeric(r"y = 2 x")
def true(rng: Generator, page: Page) -> Pairs:
    for x in rng.normal(size=100):
        yield page.right_at(x=x), x + x


@numeric(r"y = 2 x^2")
def false_exponent(rng: Generator, page: Page) -> Pairs:
    for x in rng.normal(size=100):
        yield page.right_at(x=x), x + x


@numeric(r"y = 2 x")
def too_few(rng: Generator) -> Pairs:
    for x in rng.normal(size=99):
        yield 2 * x, x + x


@numeric(r"y = 2 x")
def off_by_a_billionth(rng: Generator) -> Pairs:
    for x in rng.normal(size=100):
        yield 2 * x + 1e-9, x + x


@numeric(r"y = 2 x")
def not_a_number(rng: Generator) -> Pairs:
    for _ in range(100):
        yield np.nan, np.nan


@numeric(r"y = 2 x")
def shapes_that_broadcast(rng: Generator) -> Pairs:
    for x in rng.normal(size=100):
        yield np.array([x]), np.array([[x]])


@numeric(r"y = 2 x")
def array_with_itself(rng: Generator) -> Pairs:
    for _ in range(100):
        X = rng.normal(size=3)
        yield X, X


@symbolic(r"(x + y)^2 = x^2 + y^2")
def false_identity(page: Page) -> Pairs:
    yield page.left, page.right


@symbolic(r"A = B")
def false_matrix() -> Pairs:
    yield sympy.Matrix([[x, y]]), sympy.Matrix([[x, x]])


@symbolic(r"y = y")
def nothing() -> Pairs:
    yield from ()


FALSE = {
    false_exponent: "pair 1: computed",
    too_few: "too_few yields 99 pairs, expected 100 or more",
    off_by_a_billionth: "pair 1: computed",
    not_a_number: "pair 1: computed nan",
    shapes_that_broadcast: "shapes (1,) and (1, 1) differ",
    array_with_itself: "an array is compared with itself",
    false_identity: "they differ by",
    false_matrix: "they differ by",
    nothing: "nothing yields 0 pairs, expected 1 or more",
}


@pytest.mark.parametrize(("check", "message"), FALSE.items(), ids=[c.id for c in FALSE])
def test_false_proof_fails(check: Check, message: str) -> None:
    with pytest.raises(AssertionError, match=re.escape(message)):
        check.run()


def test_true_proof_passes_and_counts_its_pairs() -> None:
    assert true.run() == 100
    assert true.reads_page
    assert not too_few.reads_page


def test_page_of_the_chapter_is_read_and_not_what_the_check_states() -> None:
    with pytest.raises(AssertionError, match="true, pair 1"):
        true.run(r"y = 3 x")


READ: list[tuple[str, dict[str, Any], float]] = [
    (r"z = x_1 w_1 + b", {"x_1": 2.0, "w_1": 3.0, "b": 1.0}, 7.0),
    (r"z = \sum_{j=1}^{d} x_j w_j + b", {"x": [1.0, 2.0], "w": [3.0, 4.0], "b": 0.5, "d": 2}, 11.5),
    (r"z = \sum_{j=1}^{d} W_{jk} x_j", {"W": [[1, 2], [3, 4]], "x": [1, 10], "d": 2, "k": 2}, 42.0),
    (r"L = \frac{1}{n} \sum_{i=1}^{n} (x_i - y_i)^2", {"x": [2.0, 6.0], "y": [1, 5], "n": 2}, 1.0),
    (r"a = \left(1 - \frac{\eta}{2}\right) (w - 3.4)", {"eta": 0.5, "w": 1.4}, -1.5),
    (r"a = \frac{1}{1 + e^{-z}}", {"z": 0.0}, 0.5),
    (r"a = \bigl( z + 1 \bigr) z", {"z": 2.0}, 6.0),
    (r"a = \tanh z", {"z": 0.0}, 0.0),
    (r"a = \log z", {"z": np.e}, 1.0),
    (r"a = f (z + 1)", {"f": 3.0, "z": 1.0}, 6.0),
    (r"a = e_1 + \sqrt{x}", {"e_1": 1.0, "x": 9.0}, 4.0),
]  # fmt: skip


@pytest.mark.parametrize(("latex", "values", "expected"), READ, ids=[latex for latex, *_ in READ])
def test_page_is_read_as_people_read_it(
    latex: str, values: dict[str, Any], expected: float
) -> None:
    assert Page(latex).right_at(**values) == pytest.approx(expected, rel=1e-14)


def test_sum_that_ends_at_a_plus_is_not_the_sum_of_both() -> None:
    both = Page(r"z = \sum_{j=1}^{d} (x_j + b)").right_at(x=[1.0, 2.0], b=10.0, d=2)
    first = Page(r"z = \sum_{j=1}^{d} x_j + b").right_at(x=[1.0, 2.0], b=10.0, d=2)
    assert (both, first) == (23.0, 13.0)


def test_what_cannot_be_read_is_an_error_that_says_so() -> None:
    with pytest.raises(ValueError, match="leave `page` out of this check"):
        Page(r"y = \hat{x}").right  # noqa: B018  # reading is what fails
    with pytest.raises(ValueError, match="expected one equals sign"):
        Page(r"y \leftarrow x").right  # noqa: B018
    with pytest.raises(ValueError, match=r"needs values of \['x'\], got \['z'\]"):
        Page(r"y = 2 x").right_at(z=1.0)


def test_entry_before_the_first_is_an_error_and_not_the_last() -> None:
    with pytest.raises(ValueError, match="expected an index from 1, got 0"):
        Page(r"z = \sum_{j=0}^{d} x_j").right_at(x=[1.0, 2.0], d=1)
