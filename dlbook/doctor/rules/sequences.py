"""Rules about sequences: what a place may see, where tokens stand, what only fills up."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dlbook.doctor.experiments import Cure, Trial
from dlbook.doctor.meetings import meetings_of
from dlbook.doctor.probing import ends_of, inputs_at, moved, play_evaluating, playable
from dlbook.doctor.races import race, well_learned
from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.tape import Tape
from dlbook.doctor.traces import Call, Trace, traces_of

__all__ = [
    "future_seen_by_attention",
    "mask_of_the_wrong_sense",
    "padding_read_as_data",
    "positions_left_out",
]

RECURRENT = ("gru", "lstm", "rnn_relu", "rnn_tanh")
ATTENTION = (
    *("multi_head_attention_forward", "scaled_dot_product_attention", "softmax"),
    *("_transformer_encoder_layer_fwd", "_native_multi_head_attention"),
)
NEARLY_ALL = 0.9  # of the targets: some places may be filled up or left out
SYMPTOMS = (
    *("rate-too-low", "rate-too-high", "too-little-capacity", "stopped-while-falling"),
    *("labels-unrelated-to-inputs", "overfitting", "vanishing-gradients", "inputs-ignored"),
    *("labels-shuffled-against-rows", "exploding-gradients", "dead-units"),
)


@rule(
    severity="error",
    title="the mask has the wrong sense: it hides the tokens and shows the padding",
    fix="- mask = tokens != 0\n+ mask = tokens == 0  # True hides",
    born="mask_of_the_wrong_sense",
    causes=("future-seen-by-attention", "padding-read-as-data", "positions-left-out", *SYMPTOMS),
)
def mask_of_the_wrong_sense(record: Record) -> Sign | None:
    """Find networks that tokens do not move, while what stands beside them does.

    In PyTorch's ``key_padding_mask`` and ``attn_mask`` True means that a place is left out. A mask
    that is True where there are tokens leaves the padding alone, which is the same everywhere.
    """
    for trace in traces_of(record)[:1]:
        for slot in inputs_at(trace.tape):
            sign = _turned_round(trace, slot)
            if sign is not None:
                return sign
    for tape in playable(record, most=1):
        base = play_evaluating(record, tape)
        for slot in inputs_at(tape) if base is not None else ():
            sign = _hides_tokens(record, tape, base, slot) or _hides_past(record, tape, base, slot)
            if sign is not None:
                return sign
    return None


def _turned_round(trace: Trace, slot: int) -> Sign | None:
    """Find a mask of keys that hides exactly the places that do not only fill up."""
    ends = ends_of(trace.tape.given[slot])
    for call in trace.calls if ends is not None else ():
        mask = call.kwargs.get("key_padding_mask")
        if not isinstance(mask, Tensor) or ends is None or mask.shape != ends.shape:
            continue
        hidden = mask if mask.dtype == torch.bool else mask < 0
        if torch.equal(hidden, ~ends):
            evidence = (
                f"key_padding_mask hides the {int((~ends).sum())} places of the batch that hold "
                f"tokens and none of the {int(ends.sum())} that only fill up"
            )
            return Sign(evidence, call.module or call.where)
    return None


def _hides_tokens(record: Record, tape: Tape, base: Trace | None, slot: int) -> Sign | None:
    """Find outputs that all tokens together do not move, and that the padding does."""
    x = tape.given[slot]
    ends = ends_of(x)
    if ends is None or base is None:
        return None
    rows = ends.any(1) & ~ends.all(1)
    tokens = _tokens_exchanged(x, ~ends)
    by_tokens = _rows_moved(base, play_evaluating(record, tape, {slot: tokens}))
    if by_tokens is None or len(by_tokens) != len(rows) or bool(by_tokens[rows].any()):
        return None
    if not _attention_in(base) or any(call.name in RECURRENT for call in base.calls):
        return None  # a recurrent network may have forgotten them
    padding = _tokens_exchanged(x, ends)
    by_padding = _rows_moved(base, play_evaluating(record, tape, {slot: padding}))
    if by_padding is None or not bool(by_padding[rows].any()):
        return None
    evidence = (
        f"exchanging all tokens of {int(rows.sum())} padded sequences for others changes no "
        "output; exchanging the padding does"
    )
    return Sign(evidence, _attention_in(base))


def _hides_past(record: Record, tape: Tape, base: Trace | None, slot: int) -> Sign | None:
    """Find outputs that what came before does not move, and what comes after does."""
    found = _next_token(tape, base, slot)
    if found is None or base is None or found.length < 4:
        return None
    middle = found.length // 2
    places = torch.arange(found.length)
    before = found.answers_moved(record, places < middle - 1)
    after = found.answers_moved(record, places > middle)
    if before is None or after is None or bool(before[middle]) or not bool(after[middle]):
        return None
    evidence = (
        f"the output at place {middle} of {found.length} is to predict the next token; it changes "
        "with those that come after, and not with those before"
    )
    title = "the causal mask is the wrong way round: it hides the past and shows the future"
    fix = "- torch.ones(n, n, dtype=torch.bool).tril()\n"
    fix += "+ torch.ones(n, n, dtype=torch.bool).triu(1)  # True hides"
    return Sign(evidence, _attention_in(base), fix, title)


@rule(
    severity="error",
    title="the network sees the future: the token it is to predict (no causal mask)",
    fix="+ mask = nn.Transformer.generate_square_subsequent_mask(length)\n"
    "- attention(x, x, x)\n+ attention(x, x, x, attn_mask=mask)",
    born="future_seen_by_attention",
    causes=("overfitting", "validation-overlaps-training"),
)
def future_seen_by_attention(record: Record) -> Sign | None:
    """Find networks that predict the next token and are shown it.

    The target of each place is the token at the next one. Where a place sees the next one, copying
    is all there is to learn; in use, where the next token does not exist yet, the network has
    nothing to copy.
    """
    for tape in playable(record, most=1):
        base = play_evaluating(record, tape)
        for slot in inputs_at(tape) if base is not None else ():
            found = _next_token(tape, base, slot)
            if found is None or base is None:
                continue
            middle = found.length // 2
            changed = found.answers_moved(record, torch.arange(found.length) > middle)
            if changed is None or not bool(changed[: middle + 1].any()):
                continue
            evidence = (
                f"the targets are the inputs of the next place; exchanging the inputs behind place "
                f"{middle} of {found.length} changes the outputs up to there"
            )
            recurrent = [
                name
                for model in record.models.values()
                for name, part in model.named_modules()
                if isinstance(part, nn.RNNBase) and part.bidirectional
            ]
            if recurrent and not _attention_in(base):
                fix = "- nn.LSTM(d, hidden, bidirectional=True)\n+ nn.LSTM(d, hidden)"
                title = "the network sees the future: a layer that reads in both directions is to "
                return Sign(evidence, recurrent[0], fix, title + "predict the next token")
            return Sign(evidence, _attention_in(base))
    return None


class _NextToken:
    """A pass whose targets are the inputs of the next place.

    Parameters
    ----------
    tape, base : Tape, Trace
        The pass, and how it was played in evaluation mode.
    slot : int
        The place of the inputs.
    axis : int
        The axis along which they follow each other: 1, or 0 where time comes first.
    """

    def __init__(self, tape: Tape, base: Trace, slot: int, axis: int) -> None:
        self.tape, self.base, self.slot, self.axis = tape, base, slot, axis
        self.length = tape.given[slot].shape[axis]

    def answers_moved(self, record: Record, places: Tensor) -> Tensor | None:
        """Exchange the inputs at some places; tell at which ones outputs move."""
        x = self.tape.given[self.slot]
        turned = x.movedim(self.axis, 1)
        where = places.expand(turned.shape[:2])
        other = _tokens_exchanged(turned, where).movedim(1, self.axis)
        trace = play_evaluating(record, self.tape, {self.slot: other})
        if trace is None:
            return None
        before, after = (self._answers(t) for t in (self.base, trace))
        if before is None or after is None:
            return None
        return moved(before, after, 1)

    def _answers(self, trace: Trace) -> Tensor | None:
        """Return the predictions as (n, length, …)."""
        meeting = next(meetings_of(trace), None)
        if meeting is None:
            return None
        P, x = meeting.predictions, self.tape.given[self.slot]
        if P.dim() == 2 and len(P) == x.shape[0] * x.shape[1]:
            P = P.reshape(*x.shape[:2], -1)
        elif P.dim() == 3 and meeting.kind in ("cross_entropy", "nll_loss"):
            P = P.transpose(1, 2)  # the classes stand on axis 1
        return P.movedim(self.axis, 1) if P.shape[:2] == x.shape[:2] else None


def _next_token(tape: Tape, base: Trace | None, slot: int) -> _NextToken | None:
    """Tell whether the targets of a pass are its inputs, moved by one place."""
    x = tape.given[slot]
    meeting = next(meetings_of(base), None) if base is not None else None
    if meeting is None or base is None or x.dim() < 2 or x.dtype == torch.bool:
        return None
    y = meeting.targets
    if y.numel() != x.numel():
        return None
    y = y.reshape(x.shape)
    for axis in (1, 0):
        if x.shape[axis] < 3:
            continue
        shifted, wanted = x.movedim(axis, 0)[1:], y.movedim(axis, 0)[:-1]
        known = shifted != x.movedim(axis, 0)[:-1]  # where the next one is another
        if not wanted.is_floating_point():
            known = known & (wanted >= 0)
        if bool(known.any()) and float((shifted == wanted)[known].float().mean()) >= NEARLY_ALL:
            return _NextToken(tape, base, slot, axis)
    return None


def _tokens_exchanged(x: Tensor, where: Tensor) -> Tensor:
    """Put other values that occur in a tensor at some of its places (n, length)."""
    real = x[~where] if bool((~where).any()) else x[where]
    values = real if x.is_floating_point() else torch.unique(x)
    generator = torch.Generator().manual_seed(0)
    out = x.clone()
    count = int(where.sum())
    draws = torch.randint(len(values), (count,), generator=generator).to(x.device)
    chosen = values[draws]
    if x.is_floating_point():
        out[where] = chosen + 1 + x.abs().max()
        return out
    same = chosen == x[where]
    chosen[same] = values[(draws[same] + 1) % len(values)]
    out[where] = chosen
    return out


def _rows_moved(base: Trace, after: Trace | None) -> Tensor | None:
    """Tell which examples' outputs differ between two passes."""
    slots = base.tape.networks[-1].results
    if after is None or not slots or base.values[slots[0]].shape != after.values[slots[0]].shape:
        return None
    return moved(base.values[slots[0]], after.values[slots[0]])


def _attention_in(trace: Trace) -> str:
    """Name the layer of a pass that attends, or the line."""
    call = next((call for call in trace.calls if call.name in ATTENTION), None)
    return "" if call is None else call.module or call.where


@rule(
    severity="warning",
    title="attention is not told the positions: sequences in another order get the same answer",
    fix="+ self.places = nn.Parameter(torch.randn(length, d))\n- x = embed(tokens)\n"
    "+ x = embed(tokens) + self.places",
    born="positions_left_out",
    causes=SYMPTOMS,
)
def positions_left_out(record: Record) -> Sign | None:
    """Find networks that do not see the order of a sequence, and learn far better if they do.

    Attention is a weighted mean, and a mean does not depend on the order. What stands where
    reaches the network only as part of the vectors.
    """
    if well_learned(record):
        return None
    for tape in playable(record, most=1):
        base = play_evaluating(record, tape)
        for slot in inputs_at(tape) if base is not None else ():
            x = tape.given[slot]
            if base is None or x.dim() not in (2, 3) or x.shape[1] < 3 or x.dtype == torch.bool:
                continue
            first = _first_vectors(base, x)
            if first is None or not _blind_to_order(record, tape, base, slot):
                continue
            found = race(record, "with positions", _with_positions(first, tuple(x.shape[:2])))
            if found is not None and found.wins:
                evidence = (
                    f"with the {x.shape[1]} places of its inputs in another order the network "
                    f"gives the same; {found.told('with a vector added for each place')}"
                )
                return Sign(evidence, first.module)
    return None


def _blind_to_order(record: Record, tape: Tape, base: Trace, slot: int) -> bool:
    """Tell whether the last output is the same for all orders of what came before."""
    x, last = tape.given[slot], tape.networks[-1].results
    order = torch.randperm(x.shape[1] - 1, generator=torch.Generator().manual_seed(0))
    order = torch.cat([order, torch.tensor([x.shape[1] - 1])])
    other = x[:, order]
    trace = play_evaluating(record, tape, {slot: other})
    if trace is None or not last or bool((other == x).all()):
        return False
    before, after = base.values[last[0]], trace.values[last[0]]
    if before.shape != after.shape or not before.is_floating_point():
        return False
    if before.shape[:2] == x.shape[:2]:
        before, after = before[:, -1], after[:, -1]
    other_rows = moved(before[:1].expand_as(before), before).any()  # else it gives the same anyway
    return not bool(moved(before, after).any()) and bool(other_rows)


def _first_vectors(base: Trace, x: Tensor) -> Call | None:
    """Return the first call within a layer that gives a vector for each place."""
    for call in base.calls:
        for result in call.results:
            if result.dim() == 3 and result.shape[:2] == x.shape[:2] and result.shape[2] > 2:
                return call if call.module and result.is_floating_point() else None
    return None


def _with_positions(call: Call, shape: tuple[int, ...]) -> Cure:
    """Let the layer add a vector to what it gives for each place."""

    def added(_module: nn.Module, _args: Any, out: Tensor) -> Tensor:
        if out.dim() != 3 or out.shape[1] != shape[1]:
            return out
        length, d = out.shape[1:]
        generator = torch.Generator().manual_seed(0)
        places = torch.randn(length, d, generator=generator).to(out)
        return out + places

    def cure(trial: Trial) -> None:
        for name, model in trial.models.items():
            for part, module in model.named_modules():
                if (".".join(filter(None, (name, part))) or type(module).__name__) == call.module:
                    module.register_forward_hook(added)

    return cure


@rule(
    severity="warning",
    title="padding is read as data: what only fills up a sequence changes the answer",
    fix="- last = states[:, -1]\n+ last = states[torch.arange(n), lengths - 1]",
    born="last_state_after_padding",
    causes=("padding-counted", *SYMPTOMS),
)
def padding_read_as_data(record: Record) -> Sign | None:
    """Find answers that depend on the padding of a sequence, and are better without it.

    A recurrent network that reads on over the padding forgets what it has read, and a mean that
    counts padding is diluted: the shorter a sequence, the more.
    """
    if well_learned(record):
        return None
    for tape in playable(record, most=1):
        base = play_evaluating(record, tape)
        for place, slot in enumerate(inputs_at(tape)) if base is not None else ():
            ends = ends_of(tape.given[slot])
            if base is None or ends is None or not bool(ends[:, -1].any()):
                continue
            if not _reads_on(record, tape, base, place):
                continue
            found = race(record, "without padding", _without_padding(place))
            if found is None or not found.wins:
                continue
            lengths = (~ends).sum(1)
            evidence = (
                f"sequences of {int(lengths.min())} to {int(lengths.max())} places are padded to "
                f"{ends.shape[1]}, and without this padding answers are others; "
                f"{found.told('on sequences cut to their own lengths')}"
            )
            return Sign(evidence, next((e.where for e in tape.networks), ""))
    return None


def _reads_on(record: Record, tape: Tape, base: Trace, place: int) -> bool:
    """Tell whether the answers to the shortest sequences are others without their padding."""
    parts, last = _by_length(tape, place), tape.networks[-1].results
    if not parts or not last:
        return False
    rows, _, shortest = parts[0]
    trace = play_evaluating(record, shortest)
    before = base.values[last[0]]
    if trace is None or len(before) != len(rows):
        return False
    before, after = before[rows], trace.values[last[0]]
    return before.shape == after.shape and bool(moved(before, after).any())


def _without_padding(place: int) -> Cure:
    """Let a trial learn from each sequence at its own length."""

    def cure(trial: Trial) -> None:
        groups = {id(tape): _by_length(tape, place) for tape in trial.tapes}

        def loss(tape: Tape) -> Tensor:
            parts = groups.get(id(tape))
            if not parts:
                return Trial.loss(trial, tape)
            return torch.stack([share * Trial.loss(trial, part) for _, share, part in parts]).sum()

        trial.loss = loss  # type: ignore[method-assign]

    return cure


def _by_length(tape: Tape, place: int) -> list[tuple[Tensor, float, Tape]]:
    """Part a pass into those of its sequences that are equally long, cut to their length.

    Returns
    -------
    list of tuple of Tensor, float and Tape
        For each length, the shortest first: which rows these are, their share, and the pass.
    """
    slot = inputs_at(tape)[place]
    ends = ends_of(tape.given[slot])
    if ends is None:
        return []
    n, width = ends.shape
    lengths = (~ends).sum(1).clamp(min=1)
    parts = []
    for length in torch.unique(lengths).tolist():
        rows = lengths == length
        given = {
            s: _cut(t[rows], width, length) if t.dim() and len(t) == n else t
            for s, t in tape.given.items()
        }
        parts.append((rows, float(rows.sum()) / n, tape.with_given(given)))
    return parts


def _cut(rows: Tensor, width: int, length: int) -> Tensor:
    return rows[:, :length] if rows.dim() > 1 and rows.shape[1] == width else rows
