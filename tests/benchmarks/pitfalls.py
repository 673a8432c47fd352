"""Every pitfall over five seeds: does it show, and does the doctor name it first, and no other?"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean
from typing import Any, get_args

from rich.progress import track

from dlbook.pitfalls import Kind, healthy_names, load_pitfall, pitfall_names
from tests.benchmarks.recording import record
from tests.watched import Part, watched

COMMAND = "python3 run.py thorough -- pitfalls"
SEEDS = range(5)
FIRST = 0.95  # of the broken programs are to be named first

Run = dict[str, Any]


def runs(seeds: Iterable[int] = SEEDS) -> list[Run]:
    """Run every program under the doctor with each seed."""
    programs: list[tuple[Part, str]] = [("healthy", name) for name in healthy_names()]
    for name in pitfall_names():
        programs += [("broken", name), ("mended", name)]
    work = [(part, name, seed) for part, name in programs for seed in seeds]
    return [one(*each) for each in track(work, description="pitfalls")]


def one(part: Part, name: str, seed: int) -> Run:
    """Run one program under the doctor."""
    outcome, report = watched(part, name, seed)
    watched.cache_clear()
    pitfall = None if part == "healthy" else load_pitfall(name)
    return {
        "part": part,
        "name": name,
        "seed": seed,
        "kind": pitfall.kind if pitfall else "healthy",
        "shows": pitfall.shows(outcome) if pitfall else None,
        "wanted": pitfall.finding if pitfall else "",
        "found": [finding.code for finding in report.findings],
        "alarms": [f.code for f in report.findings if f.severity != "note"],
    }


def counted(found: list[Run]) -> dict[str, Any]:
    """Count what was named first, by kind, and list what was not and what was accused wrongly."""
    broken = [run for run in found if run["part"] == "broken"]
    sound = [run for run in found if run["part"] != "broken"]
    missed: dict[str, dict[str, int]] = {}
    for run in broken:
        if not _first(run):
            told = run["found"][0] if run["found"] else "nothing"
            counts = missed.setdefault(run["name"], {})
            counts[told] = counts.get(told, 0) + 1
    kinds = {kind: [run for run in broken if run["kind"] == kind] for kind in get_args(Kind)}
    return {
        "seeds": len({run["seed"] for run in found}),
        "pitfalls": len({run["name"] for run in broken}),
        "healthy": len({run["name"] for run in found if run["part"] == "healthy"}),
        "named_first": fmean(map(_first, broken)),
        "symptoms": fmean(run["shows"] for run in broken),
        "accused": sum(bool(run["alarms"]) for run in sound),
        "sound": len(sound),
        "kinds": {
            kind: {
                "pitfalls": len({run["name"] for run in runs}),
                "named_first": fmean(map(_first, runs)),
            }
            for kind, runs in kinds.items()
            if runs
        },
        "missed": missed,
        "alarms": {
            f"{run['part']} {run['name']}, seed {run['seed']}": run["alarms"]
            for run in sound
            if run["alarms"]
        },
        "mended_and_shown": sorted({run["name"] for run in sound if run["shows"]}),
        "programs": sorted({f"{run['part']} {run['name']}" for run in found}),
    }


def broken_promises(values: dict[str, Any]) -> list[str]:
    """Say which promises about pitfalls do not hold."""
    broken = [f"{program}: accused of {codes}" for program, codes in values["alarms"].items()]
    broken += [f"mended {name}: still shows its symptom" for name in values["mended_and_shown"]]
    if values["named_first"] < FIRST:
        broken.append(f"{values['named_first']:.1%} named first, not {FIRST:.0%}")
    if values["symptoms"] < 1:
        broken.append(f"{1 - values['symptoms']:.1%} of the broken programs show no symptom")
    return broken


def main() -> list[str]:
    """Measure and record; return the promises that do not hold."""
    values = counted(runs())
    record("pitfalls", COMMAND, values)
    return broken_promises(values)


def _first(run: Run) -> bool:
    return bool(run["found"]) and run["found"][0] == run["wanted"]
