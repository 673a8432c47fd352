"""What a loop computed outside its networks, noted so that it can be computed again.

A ``Tape`` holds one pass from the inputs of the networks to the loss: the calls of the networks and
the functions of PyTorch that were called on what came out. Played on copies of the networks it
gives the loss that they would have had, which is how the doctor tries a cure out.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.parameter import is_lazy
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_flatten, tree_map

from dlbook.doctor.habits import Dropped, conversion_dropped
from dlbook.doctor.lines import line_of_reader

__all__ = ["Entry", "Recorder", "Ref", "Tape", "is_transformed"]

LARGEST = 20_000_000  # numbers in one tensor that is kept
LONGEST = 2_000  # entries of one tape
PLAIN = frozenset({int, float, bool, str, slice, type(None), type(...)})  # hold no tensors
SILENT = frozenset(
    {"backward", "detach_", "grad", "register_hook", "requires_grad_", "retain_grad"}
)


class Ref(NamedTuple):
    """Stands in an entry for a tensor: its place on the tape."""

    slot: int


@dataclass
class Entry:
    """One call: of a network, or of a function on what came out of one.

    Parameters
    ----------
    name : str
        The network's name, or the function's: ``"cross_entropy"``.
    function : callable or None
        The function; None where a network was called.
    args, kwargs : tuple, dict
        What it was given, a ``Ref`` in place of each tensor.
    results : list of int
        The places of the tensors that came out.
    where : str
        The line of the reader's code.
    """

    name: str
    function: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    results: list[int]
    where: str

    @property
    def made(self) -> list[int]:
        """The places of the tensors that came out, or that were changed in place."""
        changes = self.name == "__setitem__"
        return self.results + [ref.slot for ref in self.args[:1] if changes and _is_ref(ref)]

    @property
    def refs(self) -> list[int]:
        """The places of the tensors that went in."""
        leaves, _ = tree_flatten((self.args, self.kwargs), is_leaf=_is_ref)
        return [leaf.slot for leaf in leaves if isinstance(leaf, Ref)]


@dataclass
class Tape:
    """One pass from the inputs of the networks to a loss.

    Parameters
    ----------
    entries : list of Entry
        The calls in order.
    given : dict of int to Tensor
        Copies of the tensors that came from elsewhere, such as inputs and targets.
    parameters : dict of int to Tensor
        Parameters that functions were called on directly.
    loss : int or None
        The place of what ``backward`` was called on.
    value : float
        Its value; nan where it is not known.
    whole : bool
        Whether all that the loss was made by is there, so that the tape can be played.
    stepped : bool
        Whether an optimizer's step followed.
    shapes : dict of int to tuple of int
        The shape of the tensor at each place.
    aside : list of Entry
        Calls on what came out of networks that the loss does not need, such as an accuracy.
    """

    entries: list[Entry] = field(default_factory=list)
    given: dict[int, Tensor] = field(default_factory=dict)
    parameters: dict[int, Tensor] = field(default_factory=dict)
    loss: int | None = None
    value: float = float("nan")
    whole: bool = True
    stepped: bool = False
    shapes: dict[int, tuple[int, ...]] = field(default_factory=dict)
    aside: list[Entry] = field(default_factory=list)

    @property
    def networks(self) -> list[Entry]:
        """The calls of networks."""
        return [entry for entry in self.entries if entry.function is None]

    def tensors(self, entry: Entry) -> list[Tensor]:
        """Return the tensors from elsewhere that an entry was given, in order."""
        return [self.given[slot] for slot in entry.refs if slot in self.given]

    def with_given(self, given: dict[int, Tensor]) -> Tape:
        """Return the same pass with other tensors from elsewhere."""
        return replace(self, given=given)

    def play(
        self,
        networks: Mapping[str, Callable[..., Any]],
        parameters: Mapping[int, Tensor] | None = None,
        given: Mapping[int, Tensor] | None = None,
    ) -> Tensor:
        """Compute the loss again.

        Parameters
        ----------
        networks : mapping of str to callable
            What stands in for each network.
        parameters : mapping of int to Tensor, optional
            What stands in for each parameter, by the id of the original.
        given : mapping of int to Tensor, optional
            What stands in for tensors from elsewhere, by their place.

        Returns
        -------
        Tensor
            The loss, a scalar.

        Raises
        ------
        ValueError
            If the tape does not lead to a loss.
        """
        if self.loss is None or not self.whole:
            raise ValueError("expected a tape that leads to a loss, got one with gaps")
        return self.values(networks, parameters, given)[self.loss]

    def values(
        self,
        networks: Mapping[str, Callable[..., Any]],
        parameters: Mapping[int, Tensor] | None = None,
        given: Mapping[int, Tensor] | None = None,
        *,
        entries: Sequence[Entry] | None = None,
        before: Callable[[Entry], None] | None = None,
    ) -> dict[int, Tensor]:
        """Make the calls again.

        Parameters
        ----------
        networks, parameters, given : mapping
            As for ``play``.
        entries : sequence of Entry, optional
            Which calls; by default all that lead to the loss.
        before : callable, optional
            Told of each call before it is made.

        Returns
        -------
        dict of int to Tensor
            What was given and what came out, by place.
        """
        values = {slot: tensor.clone() for slot, tensor in self.given.items()} | dict(given or {})
        for slot, original in self.parameters.items():
            values[slot] = (parameters or {}).get(id(original), original)

        def filled(spec: Any) -> Any:
            return tree_map(
                lambda leaf: values[leaf.slot] if isinstance(leaf, Ref) else leaf,
                spec,
                is_leaf=_is_ref,
            )

        for entry in self.entries if entries is None else entries:
            if before is not None:
                before(entry)
            function = networks[entry.name] if entry.function is None else entry.function
            result = function(*filled(entry.args), **filled(entry.kwargs))
            values.update(zip(entry.results, _tensors(result), strict=True))
        return values


class Recorder(TorchFunctionMode):
    """Notes the functions of PyTorch that are called on what networks give out.

    Attributes
    ----------
    tape : Tape
        The pass that is being noted.
    calls : int
        How many functions have been called.
    depth : int
        Above zero while a network computes, and nothing is noted.
    finished : bool
        Whether the tape has led to a loss already; what comes now stands aside.

    Notes
    -----
    Some layers of PyTorch's compute in a faster way, with other last bits, only where no mode is on
    the stack. So the recorder does not stay there while it rests.
    """

    _away: ClassVar[list[Recorder]] = []  # those that left the stack to rest, in order

    def __init__(self, dropped: list[Dropped] | None = None) -> None:
        super().__init__()
        self.dropped = [] if dropped is None else dropped
        self.taught: set[str] = set()
        self.tape = Tape()
        self._slots: dict[int, tuple[weakref.ref[Tensor], int]] = {}
        self._past: list[tuple[weakref.ref[Tensor], str]] = []
        self.calls = 0
        self.depth = 0
        self._rests = False  # off the stack until it comes back
        self.begin()

    @property
    def on_top(self) -> bool:
        """Whether no other mode was entered since this one."""
        return torch.overrides._get_current_function_mode() is self  # type: ignore[no-untyped-call]

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Note nothing within, and leave the stack of modes if nothing stands on top."""
        left = self.leave()
        try:
            yield
        finally:
            self.come_back(left)

    def leave(self) -> bool:
        """Note nothing from here on; return whether it left the stack of modes."""
        self.depth += 1
        left = self.on_top
        if left:
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            self._rests = True
            self._away.append(self)
        return left

    def come_back(self, left: bool) -> None:
        """Note again what is called, at the old place: one that left later goes below."""
        self.depth -= 1
        if left:
            self._rests = False
            while self._away and not self._away[-1]._rests:
                self._away.pop().__enter__()  # type: ignore[no-untyped-call]

    def stop(self) -> bool:
        """Leave the stack of modes for good; return whether nothing was on top of it."""
        if self in self._away:
            self._away.remove(self)
        elif self.on_top:
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        else:
            return False
        return True

    def begin(self) -> None:
        """Begin a new tape."""
        owners = {
            slot: called.name
            for called in self.tape.networks[:1]
            for entry in self.tape.entries
            for slot in entry.results
        }
        self._past = [(ref, owners[slot]) for ref, slot in self._slots.values() if slot in owners]
        self.tape = Tape()
        self.finished = False
        self._made: set[int] = set()
        self._missing: set[int] = set()
        self._teaching: dict[int, str] = {}
        self._slots = {}

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call the function, and note it if what it was given came out of a network."""
        kwargs = kwargs or {}
        if torch.compiler.is_compiling() or self.depth or is_transformed():
            return func(*args, **kwargs)
        name = _name_of(func)
        noted = self._before(name, args, kwargs)
        result = func(*args, **kwargs)
        dropped = conversion_dropped(name, args[0] if args else None, result)
        if dropped is not None and dropped not in self.dropped:
            self.dropped.append(dropped)
        if noted is not None:
            self._note(func, noted, result)
        return result

    def network(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any, where: str
    ) -> None:
        """Note the call of a network.

        Parameters
        ----------
        name : str
            The network's name.
        args, kwargs : tuple, dict
            What it was given; ``Ref`` stands for tensors already.
        result : object
            What it gave out.
        where : str
            The line of the reader's code.
        """
        slots = [self._slot(tensor) for tensor in _tensors(result)]
        self._made.update(slots)
        self.tape.entries.append(Entry(name, None, args, kwargs, slots, where))

    def follows(self, args: Any) -> bool:
        """Tell whether any of these tensors came out of a call on the tape."""
        return any(self._known(tensor) in self._made for tensor in _tensors(args))

    def finish(self, loss: Tensor) -> Tape:
        """Give out the tape that leads to a loss; a second loss has none of its own.

        Parameters
        ----------
        loss : Tensor
            What ``backward`` is called on.

        Returns
        -------
        Tape
            The pass that made it.
        """
        if self.finished:
            return Tape(whole=False)
        tape, kept = self.tape, list[Entry]()
        tape.loss = self._known(loss)
        tape.whole = tape.loss is not None and loss.numel() == 1
        needed = {tape.loss}
        for entry in reversed(tape.entries):
            if needed.isdisjoint(entry.made):
                tape.aside.insert(0, entry)
                continue
            needed.update(entry.refs)
            kept.append(entry)
        tape.entries = kept[::-1]
        tape.whole = tape.whole and self._missing.isdisjoint(needed)
        self.taught.update(name for slot, name in self._teaching.items() if slot in needed)
        self.finished = True
        return tape

    def spec(self, value: Any) -> Any:
        """Put a ``Ref`` in place of each tensor, and keep a copy of those from elsewhere."""

        def kept(leaf: Any) -> Any:
            if isinstance(leaf, PackedSequence):  # made anew only from tensors
                self._missing.add(self._slot(leaf.data))
                return Ref(self._slot(leaf.data))
            return self._ref(leaf) if isinstance(leaf, Tensor) else leaf

        return tree_map(kept, value, is_leaf=lambda leaf: isinstance(leaf, PackedSequence))

    def _before(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[str, tuple[Any, ...], dict[str, Any], str] | None:
        """Note what a function is given, if any of it came out of a network."""
        self.calls += 1
        if name in SILENT:
            return None
        given = _tensors((args, kwargs))
        if any(is_lazy(tensor) for tensor in given):
            return None
        if not self.follows(given) and (
            self.finished
            or not any(tensor.requires_grad or self._known(tensor) is not None for tensor in given)
        ):
            return None
        if len(self.tape.entries) + len(self.tape.aside) >= LONGEST:
            return None
        return name, self.spec(args), self.spec(kwargs), line_of_reader()

    def _note(self, func: Any, noted: tuple[str, Any, Any, str], result: Any) -> None:
        name, args, kwargs, where = noted
        slots = [self._slot(tensor) for tensor in _tensors(result)]
        if slots or name == "__setitem__":
            self._made.update(slots)
            entries = self.tape.aside if self.finished else self.tape.entries
            entries.append(Entry(name, func, args, kwargs, slots, where))

    def _known(self, tensor: Tensor) -> int | None:
        alive, slot = self._slots.get(id(tensor), (None, -1))
        return slot if alive is not None and alive() is tensor else None

    def _slot(self, tensor: Tensor) -> int:
        known = self._known(tensor)
        if known is None:
            known = len(self.tape.shapes)
            self.tape.shapes[known] = tuple(tensor.shape)
            self._slots[id(tensor)] = weakref.ref(tensor), known
        return known

    def _ref(self, tensor: Tensor) -> Ref:
        known = self._known(tensor)
        if known is not None:
            return Ref(known)
        slot = self._slot(tensor)
        for past, name in self._past:
            if past() is tensor:
                self._teaching[slot] = name
        if tensor.requires_grad and tensor.is_leaf:
            self.tape.parameters[slot] = tensor
        elif tensor.grad_fn is not None or tensor.numel() > LARGEST or self.finished:
            self._missing.add(slot)  # made by something that was not seen, or not to be kept
        else:
            self.tape.given[slot] = tensor.detach().clone()
        return Ref(slot)


def is_transformed() -> bool:
    """Tell whether tensors stand for others: within ``vmap`` or ``grad``, or while traced.

    Returns
    -------
    bool
        True where nothing may be copied or read, since it would end up in the result.
    """
    return torch._C._get_tracing_state() is not None or torch._C._are_functorch_transforms_active()


def _tensors(tree: Any) -> list[Tensor]:
    """Return all tensors, also those that distributions and data classes hold."""
    if isinstance(tree, Tensor):
        return [tree]
    if type(tree) in PLAIN:
        return []
    if type(tree) in (tuple, list):  # by far the most, and faster than by tree_flatten
        parts = list(tree)
    elif type(tree) is dict:
        parts = list(tree.values())
    else:
        parts = tree_flatten(tree)[0]
        if len(parts) == 1 and parts[0] is tree:
            known = isinstance(tree, Distribution) or is_dataclass(tree)
            parts = list(vars(tree).values()) if known and not isinstance(tree, type) else []
    return [tensor for part in parts for tensor in _tensors(part)]


def _is_ref(leaf: Any) -> bool:
    return isinstance(leaf, Ref)


def _name_of(function: Any) -> str:
    """Name a function, and the attribute that is read where ``__get__`` is called."""
    name = getattr(function, "__name__", "")
    return str(getattr(function.__self__, "__name__", name)) if name == "__get__" else str(name)
