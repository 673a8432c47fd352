"""The tool that plants mistakes: a weak test lets a known one live, a strong one lets none."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import mutants as runner
from tests.benchmarks.mutants import broken_promises, measure, modules, summary
from tests.benchmarks.mutation import mutants

SOURCE = '''"""1 + 1."""

__all__ = ["half"]


def half(x: int | None = 4) -> float:
    """Return 0.5 · x, not 1 + x."""
    if x is None:
        raise ValueError(f"expected a number, got {1 + 1}")
    return x / 2
'''
WEAK = """from dlbook.scratch.planted import half

def test_half_is_a_float():
    assert half(3) == 1.5
"""
STRONG = """import pytest
from dlbook.scratch.planted import half

def test_half():
    assert (half(), half(3)) == (2, 1.5)
    with pytest.raises(ValueError, match="expected"):
        half(None)
"""
LIVING = ["half: 4 → (5)", "half: raise ValueError(f'expected a number, got {1 + 1}') → pass"]


def test_mistakes_are_made_in_code_and_not_in_its_texts_and_types() -> None:
    assert [(mutant.name, mutant.line) for mutant in mutants(SOURCE)] == [
        ("half: 4 → (5)", 6),
        ("half: x is None → (x is not None)", 8),
        ("half: raise ValueError(f'expected a number, got {1 + 1}') → pass", 9),
        ("half: return x / 2 → return None", 10),
        ("half: x / 2 → (x * 2)", 10),
        ("half: 2 → (3)", 10),
    ]


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("a < b", ["a <= b", "a >= b"]),
        ("A @ B", ["B @ A"]),
        ("not a", ["a"]),
        ("-a", ["a"]),
        ("a and b", ["a or b"]),
        ("True", ["False"]),
        ("b if a else c", ["b if not a else c"]),
        ("Z.sum(axis=a)", ["Z.sum()", "Z.mean(axis=a)"]),
        ("f(a, b)", ["f(b, a)"]),
    ],
)
def test_each_kind_of_mistake_is_made(was: str, becomes: list[str]) -> None:
    found = [mutant.source.removeprefix("é = ") for mutant in mutants(f"é = {was}")]
    assert [ast.unparse(ast.parse(source)) for source in found] == becomes


def test_the_same_mistake_in_two_places_has_two_names() -> None:
    assert [mutant.name for mutant in mutants("a = b + 1\nc = b + 1\n")] == [
        "module: b + 1 → (b - 1)",
        "module: 1 → (2)",
        "module: b + 1 → (b - 1) (2)",
        "module: 1 → (2) (2)",
    ]


@pytest.mark.parametrize(("test", "living"), [(WEAK, LIVING), (STRONG, [])], ids=["weak", "strong"])
def test_a_weak_test_lets_known_mutants_live_and_a_strong_one_none(
    test: str, living: list[str], tmp_path: Path
) -> None:
    tree = runner.ROOT
    for package in ("dlbook", "dlbook/scratch", "tests", "tests/benchmarks"):
        put(tmp_path / package / "__init__.py", "")
    for name in ("benchmarks/mutants.py", "benchmarks/mutation.py", "benchmarks/recording.py"):
        put(tmp_path / "tests" / name, (tree / "tests" / name).read_text(encoding="utf-8"))
    put(tmp_path / "tests/benchmarks/survivors.py", "REASONS = {'planted': {}}\n")
    put(tmp_path / "dlbook/files.py", (tree / "dlbook/files.py").read_text(encoding="utf-8"))
    put(tmp_path / "dlbook/scratch/planted.py", SOURCE)
    put(tmp_path / "tests/test_planted.py", test)
    for empty in (*runner.CASES, *runner.WIDER):
        put(tmp_path / empty, "def test_nothing():\n    pass\n")
    put(tmp_path / "pyproject.toml", "[tool.pytest.ini_options]\n")
    found = measure("planted", tmp_path)
    assert [survivor["mutant"] for survivor in found["survivors"]] == living
    assert (found["mutants"], found["killed"]) == (6, 6 - len(living))
    assert (tmp_path / "dlbook/scratch/planted.py").read_text(encoding="utf-8") == SOURCE


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def outcome(killed: int, *reasons: str) -> dict[str, Any]:
    survivors = [{"line": 1, "mutant": "f: a → b", "reason": reason} for reason in reasons]
    return {"mutants": 20, "killed": killed, "timeouts": 0, "survivors": survivors}


def test_too_few_killed_and_a_survivor_without_a_reason_break_the_promise() -> None:
    assert broken_promises(summary({"linear": outcome(18, "the same", "the same")})) == []
    assert broken_promises(summary({"linear": outcome(17, "a", "", "c")})) == [
        "linear: 17 of 20 mutants killed, not 90%",
        "1 survivors without a reason",
    ]


def test_the_summary_says_which_modules_were_not_covered() -> None:
    found = summary({"linear": outcome(18)})
    assert found["share_killed"] == 0.9
    assert found["modules_not_covered"] == [m for m in modules() if m != "linear"]
