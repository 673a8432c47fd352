"""Counts of the ledger that rest on what a long session recorded."""

from __future__ import annotations

from typing import Any

from dlbook.publishing import results
from dlbook.publishing.book import Book
from dlbook.publishing.count import Count, module_of, number

NAMED_FIRST = 0.95  # of the broken programs
NOTHING = {
    **{"programs": [], "alarms": {}, "missed": {}},
    **{"named_first": 0.0, "seeds": 0, "accused": 0, "sound": 0},
}


def count_mutants(book: Book) -> Count:
    """Count the mistakes planted in the hand-written half, and the modules changed since."""
    survivors = module_of(book, "tests/benchmarks/survivors.py")
    known = survivors.recorded() if survivors else {}
    found = survivors.summary(known) if survivors else {"mutants": 0, "killed": 0}
    unproved = (
        [*survivors.broken_promises(found), *map(_changed, survivors.changed_since(known))]
        if survivors
        else ["tests/benchmarks/survivors.py is not there"]
    )
    return Count(
        "A mistake planted in the hand-written half is noticed",
        f"{found['killed']} of {number(found['mutants'], 'planted mistake')}",
        tuple(unproved),
        "`run.py thorough`: nine in ten in every module, the reason for each other",
    )


def _changed(module: str) -> str:
    return f"{module}: changed since mistakes were planted; run `run.py thorough -- mutants`"


def count_pitfalls(book: Book) -> Count:
    """Count the pairs of programs, and the sound ones beside them."""
    place = "tests/pairs.py"
    pairs, sound = _programs(book)
    return Count(
        "Every pitfall is real",
        f"{number(len(pairs), 'pair')} of programs, {len(sound)} sound ones that look suspicious",
        () if book.path(place).is_file() else (f"{place} is not there",),
        "the tests: the broken program shows its symptom, the mended one does not",
    )


def count_diagnoses(book: Book) -> Count:
    """Count what the doctor was recorded to say of these programs, over five seeds."""
    found = _recorded(book)
    pairs, sound = _programs(book)
    wanted = [f"{part} {name}" for name in pairs for part in ("broken", "mended")]
    wanted += [f"healthy {name}" for name in sound]
    never = [f"{one}: not recorded" for one in wanted if one not in found["programs"]]
    accused = [f"{one}: accused of {', '.join(codes)}" for one, codes in found["alarms"].items()]
    few = found["named_first"] < NAMED_FIRST
    return Count(
        "The doctor names the cause, and accuses nobody else",
        f"{found['named_first']:.1%} of the broken programs named first over {found['seeds']} "
        f"seeds, {found['accused']} of {found['sound']} runs of sound ones accused",
        (*never, *accused, *([f"fewer than {NAMED_FIRST:.0%} named first"] if few else [])),
        "`run.py thorough -- pitfalls`, and one seed in the tests",
        tuple(f"not named first: {name}" for name in found["missed"]),
    )


def _programs(book: Book) -> tuple[list[str], list[str]]:
    """Return the names of the pitfalls, and of the sound programs."""
    folder = book.path("dlbook/pitfalls")
    tools = ("__init__", "programs")
    pairs, sound = (
        sorted(file.stem for file in place.glob("*.py") if file.stem not in tools)
        for place in (folder, folder / "healthy")
    )
    return pairs, sound


def _recorded(book: Book) -> dict[str, Any]:
    there = book.path(f"{results.FOLDER}/pitfalls.json").is_file()
    return results.recording(book, "pitfalls").values if there else NOTHING
