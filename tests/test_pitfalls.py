"""How pitfalls are loaded and run."""

from __future__ import annotations

import pytest

from dlbook.pitfalls import load_healthy, load_pitfall, run


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
