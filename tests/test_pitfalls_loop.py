"""Every pitfall of the loop is real, and the doctor finds it."""

from __future__ import annotations

import pytest

from tests.pairs import check_broken, check_mended, of_kinds

NAMES = of_kinds("loop")


@pytest.mark.parametrize("name", NAMES)
def test_the_broken_program_shows_its_symptom_and_its_cause_is_named_first(name: str) -> None:
    check_broken(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_mended_program_shows_nothing_and_gets_no_warning(name: str) -> None:
    check_mended(name)
