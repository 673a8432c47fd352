"""In what the states of two runs or networks differ: asked before one takes the other's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dlbook.pytorch.randomness import generators_state, set_generators_state

__all__ = ["differences", "differences_of_models", "usable_generators"]

State = Mapping[str, Any]


def differences(own: State, other: State) -> list[str]:
    """Name all that keeps a run from going on at the state of another.

    Parameters
    ----------
    own : mapping of str to object
        ``Run.state_dict()`` of the run that is to go on.
    other : mapping of str to object
        The state at which it is to go on.

    Returns
    -------
    list of str
        One phrase a difference; empty where the states fit.

    Examples
    --------
    >>> differences({"model": {}, "finished": False}, {"model": {}})
    ['finished is missing']
    """
    wrong_names = _differences_of_names(own, other)
    if wrong_names:
        return wrong_names
    try:
        return [
            *differences_of_models(own["model"], other["model"]),
            *_differences_of_optimizers(own["optimizer"], other["optimizer"]),
            *_differences_of_classes("schedule", own["schedule"], other["schedule"]),
            *_differences_of_scalers(own["scaler"], other["scaler"]),
            *_differences_of_samplers(own["sampler"], other["sampler"]),
            *_differences_of_kept(own["model"], other["best"]["kept"]),
            *_differences_of_names(own["position"], other["position"], "position "),
            *_differences_of_processes(own["processes"], other["processes"]),
        ]
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        return [f"it is not the state of a run: {error!r}"]


def differences_of_models(own: State, other: State) -> list[str]:
    """Name all in which the parameters and buffers of two networks differ, apart from values.

    Parameters
    ----------
    own : mapping of str to Tensor
        ``state_dict()`` of the network that is to take over the other's.
    other : mapping of str to Tensor
        The other's.

    Returns
    -------
    list of str
        One phrase a difference.

    Examples
    --------
    >>> from torch import nn
    >>> differences_of_models(nn.Linear(2, 4).state_dict(), nn.Linear(3, 4).state_dict())
    ['expected weight of shape (4, 2), got (4, 3)']
    """
    found = _differences_of_names(own, other)
    for name in (name for name in own if name in other):
        mine, theirs = own[name], other[name]
        if not (isinstance(mine, Tensor) and isinstance(theirs, Tensor)):
            if type(mine) is not type(theirs):
                found.append(
                    f"expected {name} to be of type {type(mine).__name__}, "
                    f"got {type(theirs).__name__}"
                )
        elif mine.shape != theirs.shape:
            found.append(f"expected {name} of shape {tuple(mine.shape)}, got {tuple(theirs.shape)}")
        elif mine.dtype != theirs.dtype:
            found.append(f"expected {name} in {mine.dtype}, got {theirs.dtype}")
    return found


def usable_generators(state: State) -> dict[str, Any]:
    """Leave out the states of generators on devices that this machine does not have.

    Parameters
    ----------
    state : mapping of str to object
        From ``generators_state``.

    Returns
    -------
    dict of str to object
        The states that ``set_generators_state`` takes here.
    """
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return {
        **state,
        "cuda": state["cuda"] if len(state["cuda"]) <= there else [],
        "mps": state["mps"] if torch.backends.mps.is_available() else None,
    }


def _differences_of_names(own: State, other: State, what: str = "") -> list[str]:
    return [f"{what}{name} is missing" for name in own if name not in other] + [
        f"{what}{name} is not of this run" for name in other if name not in own
    ]


def _differences_of_classes(what: str, own: State | None, other: State | None) -> list[str]:
    mine, theirs = ("none" if state is None else state["class"] for state in (own, other))
    return [] if mine == theirs else [f"expected {what} {mine}, got {theirs}"]


def _differences_of_optimizers(own: State, other: State) -> list[str]:
    found = _differences_of_classes("optimizer", own, other)
    if own["parameters"] != other["parameters"]:
        found.append(
            f"expected an optimizer of {_listed(own['parameters'])}, "
            f"got one of {_listed(other['parameters'])}"
        )
    return found


def _listed(groups: list[list[str]]) -> str:
    return " | ".join(", ".join(group) for group in groups)


def _differences_of_scalers(own: State, other: State) -> list[str]:
    """Compare the states of scalers; a scaler that does nothing has an empty one."""
    if bool(own) == bool(other):
        return []
    mine, theirs = ("fp16" if state else "no fp16" for state in (own, other))
    return [f"expected a run with {mine}, got one with {theirs}"]


def _differences_of_samplers(own: State | None, other: State | None) -> list[str]:
    if own is None or other is None:
        mine, theirs = ("another" if s is None else "make_loader's" for s in (own, other))
        return [] if mine == theirs else [f"expected {mine} loader, got {theirs}"]
    found = [
        f"expected batches with {name} = {own[name]}, got {other[name]}"
        for name in own
        if name != "seed" and own[name] != other[name]
    ]
    if (own["seed"] is None) != (other["seed"] is None):
        mine, theirs = ("in order" if s["seed"] is None else "shuffled" for s in (own, other))
        found.append(f"expected rows {mine}, got {theirs}")
    return found


def _differences_of_kept(own: State, kept: State | None) -> list[str]:
    return [] if kept is None else [f"best: {d}" for d in differences_of_models(own, kept)]


def _differences_of_processes(own: list[State], other: list[State]) -> list[str]:
    found = []
    before = generators_state()
    for number, process in enumerate(other):
        problems = _differences_of_names(own[0], process)
        mine, theirs = len(own[0]["loader"]), len(process["loader"])
        if mine != theirs:
            problems.append(f"generators of the loader: expected {mine}, got {theirs}")
        try:
            set_generators_state(usable_generators(process["generators"]))
        except ValueError as error:
            problems.append(str(error))
        finally:
            set_generators_state(before)
        found += [f"process {number}: {problem}" for problem in problems]
    return found
