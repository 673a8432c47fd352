"""The state of a network that ``shard`` distributed: brought together to be kept, divided again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dlbook.pytorch.distributed import rank

__all__ = ["brought_together", "divided", "divided_optimizer"]


def brought_together(state: Any) -> Any:
    """Replace each distributed tensor of a state by the whole, on the CPU of the first process.

    All processes must call it together. In the others the state stays as it is.

    Parameters
    ----------
    state : object
        Tensors and other values in dicts and lists.

    Returns
    -------
    object
        The same, with whole tensors; what was not distributed is neither copied nor moved.

    Examples
    --------
    >>> brought_together({"step": 3})
    {'step': 3}
    """
    if _is_distributed(state):
        whole = state.full_tensor()
        return whole.cpu() if rank() == 0 else state
    if isinstance(state, dict):
        return {name: brought_together(part) for name, part in state.items()}
    if isinstance(state, list):
        return [brought_together(part) for part in state]
    return state


def divided(state: Mapping[str, Any], like: Mapping[str, Any]) -> dict[str, Any]:
    """Distribute whole tensors as those of a network are.

    All processes must call it together.

    Parameters
    ----------
    state : mapping of str to object
        Whole tensors by name, the same in all processes.
    like : mapping of str to object
        The network's ``state_dict()``.

    Returns
    -------
    dict of str to object
        The state, distributed where the network is.

    Examples
    --------
    >>> divided({"step": 3}, {"step": 0})
    {'step': 3}
    """
    return {name: _divided(part, like[name]) for name, part in state.items()}


def divided_optimizer(state: Mapping[str, Any], parameters: list[Tensor]) -> dict[str, Any]:
    """Distribute what an optimizer keeps for each parameter as the parameter is.

    Parameters
    ----------
    state : mapping of str to object
        ``state_dict()`` of the optimizer, with whole tensors.
    parameters : list of Tensor
        Its parameters, in the order of its groups.

    Returns
    -------
    dict of str to object
        The state, distributed where the parameters are. What has another shape than its
        parameter, as a count of steps, stays whole.

    Examples
    --------
    >>> divided_optimizer({"state": {}, "param_groups": [{"lr": 0.1}]}, [])
    {'state': {}, 'param_groups': [{'lr': 0.1}]}
    """
    kept = {
        number: {name: _divided(part, parameters[number]) for name, part in parts.items()}
        for number, parts in state["state"].items()
    }
    return {**state, "state": kept}


def _divided(part: Any, like: Any) -> Any:
    if not (_is_distributed(like) and isinstance(part, Tensor) and part.shape == like.shape):
        return part
    from torch.distributed.tensor import distribute_tensor  # slow to load, and rarely asked for

    return distribute_tensor(part, like.device_mesh, like.placements)


def _is_distributed(value: Any) -> bool:
    """Tell a tensor of which each process has a part, without loading its class."""
    return isinstance(value, Tensor) and hasattr(value, "full_tensor")
