"""Pitfalls as programs: each broken, each mended by a small change, and what shows the difference.

A pitfall is a file of this package. Its docstring says what shows, why, what mends it and where
people meet it; ``KIND`` says where in a program it stands, ``FINDING`` what the doctor calls it;
its functions ``broken`` and ``mended`` are small whole programs in plain PyTorch, alike but for the
cure; ``shows`` tells from what happened whether the symptom is there.

A healthy program, in ``dlbook.pitfalls.healthy``, looks like a fault and is none: its docstring
says what looks suspicious and why it is right, ``program`` is the program, and ``fine`` tells from
what happened that it works.
"""

from __future__ import annotations

import difflib
import inspect
import pkgutil
import textwrap
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

import torch

__all__ = [
    "Healthy",
    "Kind",
    "Measured",
    "Outcome",
    "Pitfall",
    "healthy_names",
    "load_healthy",
    "load_pitfall",
    "pitfall_names",
    "run",
]

Kind = Literal["data", "model", "loss", "optimizer", "loop", "fit"]
Measured = dict[str, float]
Program = Callable[[int], Measured]
FOLDER = Path(__file__).parent
TOOLS = ("programs",)  # modules of this package that are no pitfalls


@dataclass(frozen=True)
class Outcome:
    """What happened when a program ran.

    Parameters
    ----------
    measured : dict of str to float
        What the program returned; empty if it raised.
    error : str
        What it raised, as ``"ValueError: …"``; empty if it did not.
    warnings : tuple of str
        The warnings it gave.
    """

    measured: Measured = field(default_factory=dict)
    error: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Pitfall:
    """A fault that people make, as a pair of programs.

    Parameters
    ----------
    name : str
        Name of its file.
    kind : {"data", "model", "loss", "optimizer", "loop", "fit"}
        Where in a program it stands.
    finding : str
        The code of the doctor's finding that names it.
    title : str
        What is wrong, in a line.
    symptom, cause, cure, met : str
        What shows, why, what mends it, and where people meet it.
    broken, mended : callable
        The programs; each takes a seed and returns what it measured.
    shows : callable
        Takes the ``Outcome`` of a run and tells whether the symptom is there.
    """

    name: str
    kind: Kind
    finding: str
    title: str
    symptom: str
    cause: str
    cure: str
    met: str
    broken: Program
    mended: Program
    shows: Callable[[Outcome], bool]

    @property
    def diff(self) -> str:
        """The change that mends the program, as a unified diff without file names."""
        before, after = (_body(program) for program in (self.broken, self.mended))
        lines = list(difflib.unified_diff(before, after, n=1, lineterm=""))[2:]
        return "\n".join(line for line in lines if not line.startswith("@@"))


@dataclass(frozen=True)
class Healthy:
    """A program that looks like a fault and is none.

    Parameters
    ----------
    name : str
        Name of its file.
    title : str
        What it does, in a line.
    suspicious, right : str
        What looks wrong, and why it is right.
    program : callable
        Takes a seed and returns what it measured.
    fine : callable
        Takes the ``Outcome`` of a run and tells whether it worked.
    """

    name: str
    title: str
    suspicious: str
    right: str
    program: Program
    fine: Callable[[Outcome], bool]


def pitfall_names() -> list[str]:
    """List all pitfalls by name.

    Returns
    -------
    list of str
        Names in alphabetical order.

    Examples
    --------
    >>> "gradients_never_cleared" in pitfall_names()
    True
    """
    return _modules(FOLDER)


def healthy_names() -> list[str]:
    """List all healthy programs by name.

    Returns
    -------
    list of str
        Names in alphabetical order.

    Examples
    --------
    >>> "accumulation" in healthy_names()
    True
    """
    return _modules(FOLDER / "healthy")


def load_healthy(name: str) -> Healthy:
    """Load one healthy program.

    Parameters
    ----------
    name : str
        One of ``healthy_names()``.

    Returns
    -------
    Healthy
        The program and what is told of it.

    Raises
    ------
    ValueError
        If there is no such program, or its file lacks a part; the message says which.

    Examples
    --------
    >>> load_healthy("accumulation").title
    'Gradients of several batches make one step.'
    """
    if name not in healthy_names():
        raise ValueError(f"no healthy program {name!r}: there are {', '.join(healthy_names())}")
    module = import_module(f"dlbook.pitfalls.healthy.{name}")
    title, told = _told(module, "Suspicious", "Right")
    return Healthy(name, title, told["Suspicious"], told["Right"], module.program, module.fine)


def load_pitfall(name: str) -> Pitfall:
    """Load one pitfall.

    Parameters
    ----------
    name : str
        One of ``pitfall_names()``.

    Returns
    -------
    Pitfall
        Its programs and what is told of them.

    Raises
    ------
    ValueError
        If there is no such pitfall, or its file lacks a part; the message says which.

    Examples
    --------
    >>> load_pitfall("gradients_never_cleared").kind
    'loop'
    """
    if name not in pitfall_names():
        raise ValueError(f"no pitfall {name!r}: there are {', '.join(pitfall_names())}")
    module = import_module(f"dlbook.pitfalls.{name}")
    title, told = _told(module, "Symptom", "Cause", "Cure", "Met")
    if module.KIND not in get_args(Kind):
        raise ValueError(f"{name}: expected a kind of {', '.join(get_args(Kind))}")
    return Pitfall(
        name=name,
        kind=module.KIND,
        finding=module.FINDING,
        title=title,
        symptom=told["Symptom"],
        cause=told["Cause"],
        cure=told["Cure"],
        met=told["Met"],
        broken=module.broken,
        mended=module.mended,
        shows=module.shows,
    )


def run(program: Program, seed: int = 0) -> Outcome:
    """Run a program and note what happened, whatever happens.

    Parameters
    ----------
    program : callable
        Takes a seed and returns what it measured.
    seed : int, default 0
        Decides data, first weights and order.

    Returns
    -------
    Outcome
        What it measured or raised, and the warnings it gave. PyTorch's generator on the CPU and
        its default dtype are then what they were before.

    Examples
    --------
    >>> run(lambda seed: {"seed": seed}, seed=3).measured
    {'seed': 3}
    >>> run(lambda seed: {"share": 1 / seed}).error
    'ZeroDivisionError: division by zero'
    """
    with warnings.catch_warnings(record=True) as caught, torch.random.fork_rng(devices=[]):
        warnings.simplefilter("always")
        measured, error = {}, ""
        try:
            measured = program(seed)
        except Exception as raised:  # a crash is a symptom like any other
            error = f"{type(raised).__name__}: {raised}"
    return Outcome(measured, error, tuple(str(warning.message) for warning in caught))


def _body(program: Program) -> list[str]:
    """Return the lines of a function below its signature and docstring."""
    source = textwrap.dedent(inspect.getsource(program))
    head, _, body = source.partition(":\n")
    del head
    return textwrap.dedent(body).splitlines()


def _modules(folder: Path) -> list[str]:
    found = pkgutil.iter_modules([str(folder)])
    return sorted(m.name for m in found if not m.ispkg and m.name not in TOOLS)


def _told(module: ModuleType, *parts: str) -> tuple[str, dict[str, str]]:
    """Read a module's docstring: a title, then a paragraph for each part, in order."""
    title, *paragraphs = (inspect.getdoc(module) or "").split("\n\n")
    told = {}
    for paragraph in paragraphs:
        part, _, what = " ".join(paragraph.split()).partition(": ")
        told[part] = what
    if tuple(told) != parts or not all(told.values()):
        raise ValueError(
            f"{module.__name__}: expected a docstring with the paragraphs {', '.join(parts)}, "
            f"got {', '.join(told)}"
        )
    return title, told
