"""Every pitfall is real: the broken program shows its symptom, the mended one does not."""

from __future__ import annotations

import pytest

from dlbook.pitfalls import healthy_names, load_healthy, load_pitfall, pitfall_names, run
from tests.watched import watched

LINES = 6  # a cure takes away or adds no more lines than this


@pytest.mark.parametrize("name", pitfall_names())
def test_the_broken_program_shows_its_symptom_and_the_mended_one_does_not(name: str) -> None:
    pitfall = load_pitfall(name)
    broken, mended = watched("broken", name).outcome, watched("mended", name).outcome
    assert pitfall.shows(broken), broken
    assert not pitfall.shows(mended), mended
    assert not mended.error
    assert not mended.warnings


@pytest.mark.parametrize("name", pitfall_names())
def test_the_cure_is_a_small_change(name: str) -> None:
    changed = [line for line in load_pitfall(name).diff.splitlines() if line[0] in "+-"]
    assert 1 <= len(changed) <= LINES


@pytest.mark.parametrize("name", healthy_names())
def test_a_program_that_looks_suspicious_works(name: str) -> None:
    healthy = load_healthy(name)
    outcome = watched("healthy", name).outcome
    assert not outcome.error
    assert not outcome.warnings
    assert healthy.fine(outcome), outcome


def test_the_same_seed_gives_the_same_run() -> None:
    program = load_healthy("accumulation").program
    assert run(program, 3) == run(program, 3) != run(program, 4)


def test_a_crash_and_a_warning_are_part_of_what_happened() -> None:
    import warnings

    def program(seed: int) -> dict[str, float]:
        warnings.warn("careful", stacklevel=1)
        raise RuntimeError(f"seed {seed}")

    outcome = run(program, 7)
    assert (outcome.error, outcome.warnings) == ("RuntimeError: seed 7", ("careful",))


@pytest.mark.parametrize("load", [load_pitfall, load_healthy])
def test_an_unknown_name_is_refused_with_the_names_there_are(load: object) -> None:
    with pytest.raises(ValueError, match=r"no .*'no_such'.*: there are "):
        load("no_such")  # type: ignore[operator]
