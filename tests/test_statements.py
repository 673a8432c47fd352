"""What docstrings of the hand-written half state is proved, in the words in which it stands."""

from __future__ import annotations

import pytest

from tests.proof import Check
from tests.statements import Statement, proofs, seeded, statements

STATED = {(f"{f.__module__}.{f.__qualname__}", text) for f, text in statements()}
PROOFS = list(proofs())
PROVED = {(proof.name, proof.text) for proof in PROOFS}


def test_every_statement_of_a_docstring_is_proved() -> None:
    missing = sorted(STATED - PROVED)
    assert missing == [], "write a proof with @states in tests/statements, in the docstring's words"


def test_every_proof_is_of_a_statement_that_stands() -> None:
    stale = sorted(PROVED - STATED)
    assert stale == [], (
        "the docstring says something else now: make both the same, then see it pass"
    )


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_statement_holds(proof: Statement) -> None:
    Check("numeric", proof.text, lambda: proof.prove(seeded())).run()
