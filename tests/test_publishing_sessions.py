"""The sessions of a page: collected all, run in order, compared to the digits shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sybil.example import SybilFailure

from dlbook.publishing.book import Book
from tests import small_book
from tests.sessions import collected, sybil


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return small_book.write(tmp_path)


def run(root: Path) -> None:
    for example in sybil(root, "book/*.md").parse(root / "book/neuron.md").examples():
        example.evaluate()


def test_right_outputs_pass_in_tabs_too(root: Path) -> None:
    run(root)


def wrong_outputs() -> Iterator[tuple[str, str, str]]:
    yield "1.414", "1.515", "a wrong number"
    yield "1.414", "1.415", "a last digit that is wrong by one"
    yield "1.414", "1.413", "a last digit that was cut off and not rounded"
    yield "1.414", "-1.414", "a wrong sign"
    yield ">>> sqrt(2)\n1.414\n", ">>> print(sqrt(2), sqrt(3))\n1.414\n", "a number too many"
    yield ">>> sqrt(2)\n1.414\n", ">>> sqrt(2)\n1.\n", "a number that is not whole, as a whole one"
    yield ">>> sqrt(2)\n1.414\n", ">>> sqrt(-1)\n1.414\n", "an error where a number is shown"
    yield "2.83", "2.82", "a wrong number in a tab"


WRONG = list(wrong_outputs())


@pytest.mark.parametrize(("old", "new", "what"), WRONG, ids=[what for *_, what in WRONG])
def test_wrong_output_fails_and_names_file_line_and_remedy(
    root: Path, old: str, new: str, what: str
) -> None:
    small_book.plant(root, "book/neuron.md", old, new)
    prompt = ">>> sqrt(2) * 2" if old == "2.83" else f"{new.splitlines()[0]}"
    line = small_book.line_of(root, "book/neuron.md", prompt)
    line -= 0 if ">>>" in prompt else 1
    with pytest.raises(SybilFailure, match=rf"neuron\.md, line {line}, column") as failed:
        run(root)
    assert "Mend the page" in str(failed.value) or what.startswith("an error")


def test_more_digits_than_shown_are_no_error(root: Path) -> None:
    small_book.plant(root, "book/neuron.md", "1.414", "1.41421356")
    run(root)


def test_names_of_an_earlier_fence_are_known_in_a_later_one(root: Path) -> None:
    small_book.plant(root, "book/neuron.md", ">>> from math import sqrt\n", "")
    with pytest.raises(SybilFailure, match="'sqrt' is not defined"):
        run(root)


def test_skipped_example_is_refused(root: Path) -> None:
    small_book.plant(root, "book/neuron.md", ">>> sqrt(2)\n", ">>> sqrt(2)  # doctest: +SKIP\n")
    with pytest.raises(ValueError, match="a skipped example proves nothing: run it"):
        run(root)


def test_every_prompt_is_collected_at_its_line(root: Path) -> None:
    lines = (root / "book/neuron.md").read_text().splitlines()
    prompts = [n for n, line in enumerate(lines, start=1) if line.strip().startswith(">>>")]
    assert list(collected(Book(root))) == [("book/neuron.md", n) for n in prompts]
