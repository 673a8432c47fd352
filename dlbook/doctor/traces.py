"""A pass of the run made again on copies, with all that is called on the way, inside networks too.

A tape notes what stands outside the networks. A trace plays it and notes the functions that the
networks call as well, with their values: what the loss was given, which operation made it, in which
layer, and which targets it was compared with.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten

from dlbook.doctor.experiments import copied, own_draws
from dlbook.doctor.record import Record
from dlbook.doctor.tape import Entry, Tape

__all__ = ["PLAIN", "SHAPING", "Call", "Trace", "copies_of", "trace_of", "traces_of"]

SECONDS = 3.0  # for all traces of a run
SHAPING = frozenset(
    {
        *("T", "mT", "alias", "atleast_1d", "clone", "contiguous", "double", "expand", "flatten"),
        *("float", "half", "movedim", "permute", "ravel", "reshape", "squeeze", "swapaxes", "t"),
        *("swapdims", "to", "transpose", "type", "unflatten", "unsqueeze", "view", "view_as"),
    }
)
# What passes numbers on one by one, or adds them up: no layer of a network.
PLAIN = SHAPING | {
    *("__add__", "__getitem__", "__iadd__", "__imul__", "__isub__", "__itruediv__", "__mul__"),
    *("__neg__", "__pow__", "__radd__", "__rdiv__", "__rmul__", "__rpow__", "__rsub__"),
    *("__rtruediv__", "__sub__", "__truediv__", "abs", "add", "add_", "cat", "clamp", "clamp_min"),
    *("clamp_max", "clip", "cosh", "diag", "diagonal", "div", "exp", "float_power", "gather"),
    *("index_select", "log", "log10", "log1p", "log2", "logaddexp", "masked_fill"),
    *("masked_select", "maximum", "mean", "minimum", "mul", "multiply", "nanmean", "nansum"),
    *("narrow", "neg", "negative", "norm", "pow", "rsub", "select", "split", "sqrt", "square"),
    *("stack", "std", "sub", "subtract", "sum", "take_along_dim", "tensor_split", "true_divide"),
    *("unbind", "var", "vector_norm", "where", "xlogy", "chunk", "logcosh", "trace", "median"),
}


@dataclass
class Call:
    """One function that was called in a trace.

    Parameters
    ----------
    name : str
        Its name, such as ``"linear"``; ``"T"`` for an attribute.
    args, kwargs : tuple, dict
        What it was given.
    results : list of Tensor
        The tensors that came out.
    where : str
        The line of the reader's code; empty within a network.
    module : str
        The layer that called it, by its name in the network; empty outside.
    number : int
        Its place in the order of calls.
    entry : int
        The place on the tape of the call that it was made by.
    """

    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[Tensor]
    where: str
    module: str
    number: int
    entry: int

    @property
    def tensors(self) -> list[Tensor]:
        """The tensors that it was given."""
        return [leaf for leaf in tree_flatten((self.args, self.kwargs))[0] if _is_tensor(leaf)]

    def argument(self, number: int, name: str, default: Any = None) -> Any:
        """Return an argument by its place or its name."""
        return self.args[number] if number < len(self.args) else self.kwargs.get(name, default)


@dataclass
class Trace:
    """All calls that led to one loss.

    Parameters
    ----------
    calls : list of Call
        In order.
    loss : Tensor
        What came out, with its graph.
    values : dict of int to Tensor
        What stands at each place of the tape.
    tape : Tape
        What was played.
    models : dict of str to nn.Module
        The copies that it was played on.
    """

    calls: list[Call]
    loss: Tensor
    values: dict[int, Tensor]
    tape: Tape
    models: dict[str, nn.Module]
    _made: dict[int, list[Call]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for call in self.calls:
            for tensor in call.results:
                self._made.setdefault(id(tensor), []).append(call)

    def maker(self, tensor: Tensor, before: int | None = None) -> Call | None:
        """Return the call that a tensor came out of; the last one before a place in the order."""
        calls = self._made.get(id(tensor), [])
        earlier = [c for c in calls if before is None or c.number < before]
        return earlier[-1] if earlier else None

    def source(
        self, tensor: Tensor, before: int | None = None, through: frozenset[str] = SHAPING
    ) -> Call | None:
        """Return the call that made a tensor, looking through changes of shape.

        Parameters
        ----------
        tensor : Tensor
            Any tensor of the trace.
        before : int, optional
            Only calls before this place in the order count.
        through : frozenset of str
            Functions that are looked through.

        Returns
        -------
        Call or None
            None where no function that was seen made it.
        """
        call = self.maker(tensor, before)
        while call is not None and call.name in through and call.tensors:
            call = self.maker(call.tensors[0], call.number)
        return call

    def near_the_loss(self) -> Iterator[tuple[Call, tuple[str, ...]]]:
        """Yield the calls between network and loss, the last first.

        Yields
        ------
        tuple of Call and tuple of str
            The call, and the names of those on the way from it to the loss. Beyond a loss of
            PyTorch, and beyond a call that is neither a loss nor plain arithmetic, nothing is
            yielded; that call itself is.
        """
        waiting: list[tuple[Tensor, int | None, tuple[str, ...]]] = [(self.loss, None, ())]
        seen: set[int] = set()
        while waiting:
            tensor, before, path = waiting.pop(0)
            call = self.maker(tensor, before)
            if call is None or call.number in seen:
                continue
            seen.add(call.number)
            yield call, path
            if call.name in PLAIN:
                further = (*path, call.name)
                waiting += [(t, call.number, further) for t in call.tensors if t.requires_grad]


class _Noting(TorchFunctionMode):
    """Notes every function that is called."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[Call] = []
        self.where, self.entry = "", -1
        self.inside: list[str] = []

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        results = [leaf for leaf in tree_flatten(result)[0] if isinstance(leaf, Tensor)]
        if results:
            name = getattr(func, "__name__", "")
            name = getattr(func.__self__, "__name__", name) if name == "__get__" else name
            module = self.inside[-1] if self.inside else ""
            where = "" if self.inside else self.where
            number = len(self.calls)
            self.calls.append(Call(name, args, kwargs, results, where, module, number, self.entry))
        return result


def traces_of(record: Record, *, final: bool = False) -> list[Trace]:
    """Play the passes of a run again, and note all that is called.

    Parameters
    ----------
    record : Record
        What was seen.
    final : bool, default False
        Whether to play them on the networks as they were at the end instead of at the beginning.

    Returns
    -------
    list of Trace
        One for each pass that can be played, as far as time allows.
    """
    key = f"traces, final {final}"
    if key not in record.cache:
        record.cache[key] = list(_traces(record, final))
    found: list[Trace] = record.cache[key]
    return found


def _traces(record: Record, final: bool) -> Iterator[Trace]:
    began = monotonic()
    for tape in record.tapes:
        if not tape.whole or monotonic() - began > SECONDS:
            continue
        copies = copies_of(record, final=final)
        if copies is None:
            return
        trace = trace_of(tape, *copies)
        if trace is not None:
            yield trace


def copies_of(
    record: Record, *, final: bool = False
) -> tuple[dict[str, nn.Module], dict[int, Tensor]] | None:
    """Copy the networks, in the modes in which they were trained.

    Parameters
    ----------
    record : Record
        What was seen.
    final : bool, default False
        As for ``traces_of``.

    Returns
    -------
    tuple of dict and dict, or None
        The copies by name, and those of the parameters by the id of the original; None where
        something cannot be copied.
    """
    memo: dict[int, Any] = {}
    try:
        models = copied(record.models, memo)
    except Exception:  # whatever keeps a network from being copied, nothing can be played
        return None
    for name, model in models.items():
        modes, state = record.modes.get(name, {}), record.initial.get(name, {})
        for part, module in model.named_modules():
            module.training = modes.get(part, module.training)
        own = model.state_dict(keep_vars=True)
        if not final:
            with torch.no_grad():
                for key, tensor in own.items():
                    if key in state and state[key].shape == getattr(tensor, "shape", None):
                        tensor.copy_(state[key])
    return models, {key: memo[key] for key in record.parameters if key in memo}


def trace_of(
    tape: Tape, models: dict[str, nn.Module], parameters: Mapping[int, Tensor]
) -> Trace | None:
    """Play one pass on copies of the networks, and note all that is called.

    Parameters
    ----------
    tape : Tape
        The pass.
    models, parameters : dict
        As ``copies_of`` gives them.

    Returns
    -------
    Trace or None
        None where it cannot be played again.
    """
    noting, handles = _Noting(), []

    def enter(name: str) -> Callable[..., None]:
        return lambda *_: noting.inside.append(name)

    def leave(*_: object) -> None:
        noting.inside.pop()

    def before(entry: Entry) -> None:
        noting.where, noting.entry = entry.where, noting.entry + 1

    for name, model in models.items():
        for part, module in model.named_modules():
            shown = ".".join(filter(None, (name, part))) or type(module).__name__
            handles.append(module.register_forward_pre_hook(enter(shown), prepend=True))
            handles.append(module.register_forward_hook(leave, always_call=True))
    try:
        with warnings.catch_warnings(), own_draws(0), torch.enable_grad(), noting:
            warnings.simplefilter("ignore")  # they were given when the program ran
            values = tape.values(models, parameters, before=before)
    except (RuntimeError, TypeError, ValueError, KeyError, IndexError):
        return None  # it cannot be played again
    finally:
        for handle in handles:
            handle.remove()
    loss = values[tape.loss] if tape.loss is not None else torch.tensor(0.0)
    return Trace(noting.calls, loss, values, tape, models)


def _is_tensor(leaf: object) -> bool:
    return isinstance(leaf, Tensor)
