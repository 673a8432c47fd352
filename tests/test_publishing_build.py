"""The site generator stops at a planted error, and the ledger counts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dlbook.publishing.book import ROOT, Book
from dlbook.publishing.count import Count
from dlbook.publishing.counts import counts
from tests import small_book

CONFIG = """
site_name: Small
docs_dir: book
theme: mkdocs
plugins: []
strict: true
markdown_extensions:
  - pymdownx.highlight
  - pymdownx.superfences
  - pymdownx.tabbed: { alternate_style: true }
  - dlbook.publishing: { root: ROOT }
validation: { links: { anchors: warn } }
"""


COPIED = (
    "dlbook/figures/neuron.py",
    "tests/sessions.py",
    "tests/test_parity.py",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    small_book.write(tmp_path)
    (tmp_path / "dlbook/figures").mkdir()
    for file in COPIED:
        shutil.copy(ROOT / file, tmp_path / file)
    shutil.copytree(ROOT / "tests/cases", tmp_path / "tests/cases")
    return tmp_path


def build(root: Path) -> subprocess.CompletedProcess[str]:
    (root / "mkdocs.yml").write_text(CONFIG.replace("ROOT", str(root)), encoding="utf-8")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "-f", "mkdocs.yml"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )


def test_site_is_built_with_links_that_lead_somewhere(root: Path) -> None:
    done = build(root)
    assert (done.returncode, done.stderr) == (0, "")
    page = (root / "site/neuron/index.html").read_text()
    assert 'href="../checks/neuron/#twice"' in page
    assert 'id="twice"' in (root / "site/checks/neuron/index.html").read_text()


def test_strict_build_stops_at_a_planted_error_with_file_line_and_remedy(root: Path) -> None:
    small_book.plant(root, "book/neuron.md", "y = 2 x\n", "y = 2 x^2\n")
    done = build(root)
    assert done.returncode != 0
    assert re.search(r"book/neuron\.md:16: the equation 'twice' is not what", done.stderr)
    assert "make both the same" in done.stderr


def count(root: Path, promise: str) -> Count:
    (found,) = (count for count in counts(Book(root)) if promise in count.promise)
    return found


def test_ledger_counts_what_a_book_holds(root: Path) -> None:
    assert count(root, "listing").counted == "1 listing by name"
    assert count(root, "output").counted == "3 examples"
    assert count(root, "figure").counted == "1 figure, 1 alt text"
    assert count(root, "quiz").counted == "1 question, 2 choices"
    assert count(root, "term").counted == "1 term"
    assert count(root, "work cited").counted == "1 citation of 1 work"
    assert count(root, "measured").counted == "1 number with command, machine and date"
    assert count(root, "equation").counted.startswith(
        "2 equations: 1 proved numerically, 0 symbolically, 1 exempt; "
        "0 proofs evaluate the page's own LaTeX"
    )
    assert count(root, "equation").exempt == ("book/neuron.md:35: true of everything",)


PROMISES = {
    "listing": ("``` references\n", "```python\n"),
    "output": ("By [eq:twice]", ">>> 1\n2\n\nBy [eq:twice]"),
    "figure": ("alt: Circles and arrows.\n", ""),
    "equation": ("y = 2 x\n", "y = 2 x^2\n"),
    "measured": ("numpy.mean", "numpy.average"),
    "quiz": ("      why: This adds.\n", ""),
    "term": ("[[neuron]]", "neuron"),
    "work cited": ("[@rosenblatt1958]", "[@rosenblat1958]"),
}


@pytest.mark.parametrize("promise", PROMISES)
def test_ledger_counts_a_broken_promise(promise: str, root: Path) -> None:
    before = len(count(root, promise).unproved)
    small_book.plant(root, "book/neuron.md", *PROMISES[promise])
    assert len(count(root, promise).unproved) > before


def test_ledger_counts_a_picture_that_no_function_draws(root: Path) -> None:
    small_book.plant(root, "book/neuron.md", "- ok", "![A picture](picture.png)")
    assert "a picture that no function draws" in count(root, "figure").unproved[0]


def test_ledger_counts_too_many_exempt_equations(root: Path) -> None:
    (message,) = count(root, "equation").unproved
    assert message == "1 of 2 equations are exempt, more than one in twenty"


def test_ledger_counts_an_operation_that_nothing_compares(root: Path) -> None:
    operations = root / "dlbook/scratch/operations.py"
    operations.parent.mkdir()
    operations.write_text('def cube_backward(dA, cache):\n    """Return dZ, of shape (n,)."""\n')
    for promise in ("framework", "gradient", "shape"):
        assert count(root, promise).unproved[0].startswith("cube_backward: ")


@pytest.mark.parametrize(
    "case",
    [
        "Case(ops.cube_forward, ops.cube_backward)",
        "Case(with_options(ops.cube_forward, scale=2), ops.cube_backward)",
        "Case(seeded, ops.cube_backward)",
    ],
)
def test_ledger_counts_an_operation_by_its_case_in_whatever_form(case: str, root: Path) -> None:
    operations = root / "dlbook/scratch/powers/operations.py"
    operations.parent.mkdir(parents=True)
    operations.write_text(
        'def cube_forward(Z):\n    """Return A, of shape (n,)."""\n\n'
        'def cube_backward(dA, cache):\n    """Return dZ, of shape (n,)."""\n'
    )
    assert len(count(root, "shape").unproved) == 2
    (root / "tests/cases/powers.py").write_text(
        f"@wraps(ops.cube_forward)\ndef seeded(Z): ...\n\nCASES = [{case}]\n"
    )
    assert count(root, "shape").unproved == ()


def test_ledger_tells_what_is_missing_where_tests_are(tmp_path: Path) -> None:
    small_book.write(tmp_path)
    assert len(count(tmp_path, "output").unproved) == 3
    assert count(tmp_path, "errors").unproved == ("tests/test_field_errors.py is not there",)
