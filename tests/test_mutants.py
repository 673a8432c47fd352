"""The tool that plants mistakes: a weak test lets a known one live, a strong one lets none."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import survivors
from tests.benchmarks.mutants import CASES, added, measure
from tests.benchmarks.mutation import mutants
from tests.benchmarks.survivors import (
    REASONS,
    broken_promises,
    digest,
    modules,
    recorded,
    summary,
)

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
DROPPED = "half: raise ValueError(f'expected a number, got {1 + 1}') → pass"


MISTAKES = [
    ("half: 4 → 5", 6),
    ("half: 4 → 3", 6),
    ("half: x is None → x is not None", 8),
    (DROPPED, 9),
    ("half: return x / 2 → return None", 10),
    ("half: x / 2 → x * 2", 10),
    ("half: x / 2 → x / 3", 10),
    ("half: x / 2 → x / 1", 10),
]


def test_mistakes_are_made_in_code_and_not_in_its_texts_and_types() -> None:
    assert [(mutant.name, mutant.line) for mutant in mutants(SOURCE)] == MISTAKES


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("a < b", ["a <= b", "a >= b"]),
        ("a in b", ["a not in b"]),
        ("A @ B", ["B @ A"]),
        ("not a", ["a"]),
        ("-a", ["a"]),
        ("a and b", ["a or b"]),
        ("True", ["False"]),
        ("1e-8", ["1.00000001", "-0.99999999"]),
        ("b if a else c", ["b if not a else c"]),
        ("b if a > c else c", ["b if a >= c else c", "b if a <= c else c"]),
        ("Z.sum(axis=a)", ["Z.sum()", "Z.mean(axis=a)"]),
        ("f(a, b)", ["f(b, a)"]),
    ],
)
def test_each_kind_of_mistake_is_made(was: str, becomes: list[str]) -> None:
    found = [mutant.source.removeprefix("é = ").strip() for mutant in mutants(f"é = {was}")]
    assert [ast.unparse(ast.parse(source)) for source in found] == becomes


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("a += b", "a -= b"),
        ("f(a)", "pass"),
        ("for i in a:\n    pass", "for i in []:\n    pass"),
        ("while a:\n    break", "while a:\n    continue"),
        ("if (a and\n        b):\n    pass", "if not (a and b):\n    pass"),
        ("def f():\n    return (a, b)", "def f():\n    return (b, a)"),
    ],
)
def test_mistakes_are_made_in_statements(was: str, becomes: str) -> None:
    assert becomes in [ast.unparse(ast.parse(mutant.source)) for mutant in mutants(f"{was}\n")]


@pytest.mark.parametrize(
    "source",
    [
        "def f(a, *, b): pass",
        "f(**a)",
        "a = {**b}",
        "a: int | None",
        "def f(a: int | None) -> int | None: pass",
        "A = Callable[[int | None], None]",
        "if TYPE_CHECKING:\n    from a import b",
        'f"{a + 1}"',
    ],
)
def test_signs_that_are_no_operators_of_the_code_are_left_alone(source: str) -> None:
    assert [m.name for m in mutants(f"{source}\n") if "→ pass" not in m.name] == []


def test_the_same_mistake_in_two_places_has_two_names() -> None:
    assert [mutant.name for mutant in mutants("a = b - c\nd = b - c\n")] == [
        "module: b - c → b + c",
        "module: b - c → b + c (2)",
    ]


def test_a_docstring_is_no_code_and_all_else_is(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(survivors, "ROOT", tmp_path)
    states = []
    for source in (
        SOURCE,
        SOURCE.replace("Return 0.5 · x", "Halve x"),
        SOURCE.replace("/ 2", "/ 3"),
    ):
        put(tmp_path / "dlbook/scratch/planted.py", source)
        states.append(digest("planted"))
    assert states[0] == states[1] != states[2]


@pytest.mark.parametrize(
    ("test", "living"),
    [(WEAK, ["half: 4 → 5", "half: 4 → 3", DROPPED]), (STRONG, [])],
    ids=["weak", "strong"],
)
def test_a_weak_test_lets_known_mutants_live_and_a_strong_one_none(
    test: str, living: list[str], tmp_path: Path
) -> None:
    plant(tmp_path, test)
    found = measure("planted", [], tmp_path)
    assert [survivor["mutant"] for survivor in found["survivors"]] == living
    assert (found["mutants"], found["killed"]) == (len(MISTAKES), len(MISTAKES) - len(living))
    assert (tmp_path / "dlbook/scratch/planted.py").read_text(encoding="utf-8") == SOURCE


def test_a_second_try_takes_only_what_lived_and_adds_what_it_kills(tmp_path: Path) -> None:
    plant(tmp_path, STRONG)
    before = {"mutants": 8, "killed": 6, "timeouts": 1, "survivors": [{}, {}]}
    found = measure("planted", [DROPPED, "half: 4 → 5"], tmp_path)
    assert (found["mutants"], found["killed"]) == (2, 2)
    assert added(before, found) == {"mutants": 8, "killed": 8, "timeouts": 1, "survivors": []}


def test_a_mutant_with_a_reason_to_live_counts_as_alive_and_is_not_tried(tmp_path: Path) -> None:
    plant(tmp_path, STRONG)
    with (tmp_path / "tests/benchmarks/survivors.py").open("a", encoding="utf-8") as file:
        file.write(f"REASONS['planted'] = {{{DROPPED!r}: 'planted'}}\n")
    found = measure("planted", [DROPPED, "half: 4 → 5"], tmp_path)
    assert [survivor["mutant"] for survivor in found["survivors"]] == [DROPPED]


def plant(root: Path, test: str) -> None:
    """Make a small tree: the runner, one module, one test."""
    for package in ("dlbook", "dlbook/scratch", "tests", "tests/benchmarks"):
        put(root / package / "__init__.py", "")
    for name in ("mutants", "mutation", "recording", "survivors"):
        path = f"tests/benchmarks/{name}.py"
        put(root / path, (survivors.ROOT / path).read_text(encoding="utf-8"))
    files = (survivors.ROOT / "dlbook/files.py").read_text(encoding="utf-8")
    put(root / "dlbook/files.py", files)
    put(root / "dlbook/scratch/planted.py", SOURCE)
    put(root / "tests/test_planted.py", test)
    for empty in CASES:
        put(root / empty, "def test_nothing():\n    pass\n")
    put(root / "pyproject.toml", "[tool.pytest.ini_options]\n")


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def outcome(module: str, mutants: int, killed: int) -> dict[str, Any]:
    """Make a record in which the mutants live whose reasons are known."""
    living = [{"line": 1, "mutant": name} for name in REASONS[module]]
    return {"mutants": mutants, "killed": killed, "timeouts": 0, "survivors": living}


def test_too_few_killed_and_a_survivor_without_a_reason_break_the_promise() -> None:
    assert broken_promises(summary({"dropout": outcome("dropout", 20, 18)})) == []
    weak = outcome("dropout", 20, 17)
    weak["survivors"].append({"line": 1, "mutant": "f: a → b"})
    assert broken_promises(summary({"dropout": weak})) == [
        "dropout: 17 of 20 mutants killed, not 90%",
        "dropout: no reason why this lives: f: a → b",
    ]


def test_the_summary_says_which_modules_were_not_covered() -> None:
    found = summary({"dropout": outcome("dropout", 20, 18)})
    assert found["share_killed"] == 0.9
    assert found["modules_not_covered"] == [m for m in modules() if m != "dropout"]


def test_every_module_was_tried_and_nine_of_ten_mutants_of_each_were_killed() -> None:
    known = recorded()
    assert list(known) == modules(), "run `python3 run.py thorough -- mutants`"
    assert broken_promises(summary(known)) == []


def test_each_reason_is_of_a_mutant_that_was_recorded_as_living() -> None:
    known = recorded()
    for module, reasons in REASONS.items():
        assert set(reasons) == {survivor["mutant"] for survivor in known[module]["survivors"]}
