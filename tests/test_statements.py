"""What docstrings of the hand-written half state is proved, in the words in which it stands."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from dlbook.publishing.book import ROOT, Book
from dlbook.publishing.counts import count_statements
from dlbook.publishing.statements import NO_EQUATIONS, found, statements
from dlbook.scratch.activations import tanh
from tests.proof import Check, Pairs
from tests.statements import Statement, proofs, seeded, states

FOUND = set(statements(Book(ROOT)))
STATED = FOUND - set(NO_EQUATIONS)
PROOFS = list(proofs())
PROVED = {proof.stated for proof in PROOFS}


def test_every_statement_of_a_docstring_is_proved() -> None:
    missing = sorted(STATED - PROVED)
    assert missing == [], "write a proof with @states in tests/statements, in the docstring's words"


def test_every_proof_is_of_a_statement_that_stands() -> None:
    stale = sorted(PROVED - STATED)
    assert stale == [], (
        "the docstring says something else now: make both the same, then see it pass"
    )


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.stated.name)
def test_statement_holds(proof: Statement) -> None:
    Check("numeric", proof.stated.text, lambda: proof.prove(seeded())).run()


def test_what_is_called_no_equation_stands_in_a_docstring_and_is_little() -> None:
    assert set(NO_EQUATIONS) <= FOUND
    assert len(NO_EQUATIONS) <= 5


def in_module(body: str) -> list[tuple[str, str]]:
    return list(found(textwrap.dedent(body), "m"))


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("m", '"""Modules.\n\n{0}\n"""'),
        ("m.f", 'def f():\n    """{0}"""'),
        ("m.f", 'def f():\n    """Do it.\n\n    Some words. {0} Other words.\n    """'),
        ("m._f", 'def _f():\n    """Do it.\n\n    {0}\n    """'),
        ("m.f", 'def f():\n    """Do it.\n\n    Notes\n    -----\n    It is so: {0}\n    """'),
        (
            "m.f",
            'def f():\n    """Do it.\n\n    Returns\n    -------\n    a : b\n        {0}\n    """',
        ),
        (
            "m.f",
            'def f():\n    """Do it.\n\n    Raises\n    ------\n    E\n        If {0}\n    """',
        ),
        (
            "m.C",
            'class C:\n    """Be.\n\n    Attributes\n    ----------\n    a\n        {0}\n    """',
        ),
        ("m.C.p", 'class C:\n    @property\n    def p(self):\n        """{0}"""'),
        ("m.C._m", 'class C:\n    def _m(self):\n        """{0}"""'),
        ("m.f.inner", 'def f():\n    def inner():\n        """{0}"""'),
        ("m.f", 'if True:\n    @cache\n    def f():\n        """{0}"""'),
    ],
)
@pytest.mark.parametrize(
    "equation",
    [
        "tanh(z) = 2 σ(2z) − 1.", "z ≤ 0.", "w ← w − v.", "``x += y``.", "s ∝ n.", "h → 0.",
        "√(1/3).", "η λ.", "a / b.", "``X.T @ dZ``.", "dot(x, w) + b.", "‖g‖.", "(a + b)².", "1/n.",
        "Each row sums to 1.", "σ(z).", "It is divided by δ.", "It is half of it.",
    ],
)  # fmt: skip
def test_an_equation_is_found_wherever_it_stands(place: str, body: str, equation: str) -> None:
    ((where, text),) = in_module(body.format(equation))
    assert where == place
    assert text.endswith(equation)


@pytest.mark.parametrize(
    "words",
    [
        'With ``reduction="mean"`` it is the mean.',
        "As ``Z.sum(axis=1, keepdims=True)`` does.",
        "Learning rate η, per step.",
        "The running mean of g², 0 before the first step.",
        "Rows of shape (n - 1, d + 1).",
        "Half-open and well-known.",
    ],
)
def test_an_option_a_shape_and_a_name_are_no_equations(words: str) -> None:
    assert in_module(f'def f():\n    """{words.replace(chr(34), chr(39))}"""') == []


@pytest.mark.parametrize("section", ["Examples", "References"])
def test_examples_and_references_are_not_read(section: str) -> None:
    heading = f"{section}\n    {'-' * len(section)}"
    assert in_module(f'def f():\n    """Do it.\n\n    {heading}\n    a = b\n    """') == []


def wrong_factor(rng: Generator) -> Pairs:
    for z in rng.normal(size=(100, 1)):
        yield tanh(z), 2 / (1 + np.exp(-z)) - 1


def too_few(rng: Generator) -> Pairs:
    yield tanh(rng.normal(size=1)) * 0, [0.0]


@pytest.mark.parametrize(
    ("prove", "message"), [(wrong_factor, "computed"), (too_few, "yields 1 pairs")]
)
def test_a_proof_of_another_equation_or_of_too_few_numbers_fails(prove: Any, message: str) -> None:
    proof = states(tanh, "tanh(z) = 2 σ(2z) − 1")(prove)
    with pytest.raises(AssertionError, match=message):
        Check("numeric", proof.stated.text, proof.prove).run()


def test_the_ledger_counts_statements_and_tells_those_that_no_proof_repeats(tmp_path: Path) -> None:
    count = count_statements(Book(ROOT))
    assert count.counted == f"{len(STATED)} statements in docstrings"
    assert count.unproved == ()
    assert len(count.exempt) == len(NO_EQUATIONS)
    for file, text in [
        ("dlbook/scratch/maps.py", 'def f():\n    """Do it.\n\n    z = 2 x\n\n    y = z²\n    """'),
        ("tests/statements/maps.py", 'states(maps.f, "z = 2  x")'),
    ]:
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    count = count_statements(Book(tmp_path))
    assert count.counted == "2 statements in docstrings"
    assert count.unproved == ("dlbook.scratch.maps.f: y = z²",)
