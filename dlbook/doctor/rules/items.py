"""Rules about what a dataset gives, and what of it the loss counts."""

from __future__ import annotations

import torch
from torch import Tensor

from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.samples import samples_of

__all__ = ["dataset_changes_its_items", "items_repeated", "labels_ignored", "only_the_first_batch"]

MANY = 20  # rows from which on a coincidence is none
SHARES = (0.02, 0.98)  # of the labels are ignored: fewer may be marks, more leave nothing


@rule(
    severity="error",
    title="the dataset gives the same item again and again",
    fix="  def __getitem__(self, index):\n-     return self.X[self.index], self.y[self.index]\n"
    "+     return self.X[index], self.y[index]",
    born="buffer_filled_through_a_copy",
    causes=("same-draws-each-epoch", "labels-constant", "inputs-constant", "overfitting"),
)
def items_repeated(record: Record) -> Sign | None:
    """Find loaders whose items are all the same.

    A dataset that does not look at the index it is asked for gives one and the same item: the
    network sees a single example, however many there are.
    """
    samples = samples_of(record)
    loaders = [facts for facts in record.around.loaders.values() if facts.steps]
    if samples is None or not loaders or (loaders[0].examples or 0) < MANY:
        return None
    rows = torch.cat([samples.X, samples.Y], 1)
    counts = torch.bincount(samples.batches)
    if len(rows) < MANY or int(counts.max()) < 2:
        return None
    parts = [rows[samples.batches == number] for number in range(len(counts))]
    same = all(bool((part == part[0]).all()) for part in parts if len(part))
    if not same:
        return None
    distinct = len(torch.unique(rows, dim=0))
    if distinct > len(rows) / 10:
        return None
    evidence = (
        f"the first {len(rows)} items, of {loaders[0].examples} in the dataset, are {distinct} "
        f"different one{'s' * (distinct > 1)}"
    )
    return Sign(evidence)


@rule(
    severity="error",
    title="the data are changed in place: fetching an item changes the dataset",
    fix="  def __getitem__(self, index):\n-     x = self.X[index]\n-     x += noise\n"
    "+     x = self.X[index] + noise",
    born="batch_changed_in_place",
    causes=("data-changed-in-place",),
)
def dataset_changes_its_items(record: Record) -> Sign | None:
    """Find datasets that are changed by being read.

    What ``__getitem__`` does in place to an item stays in the dataset: each epoch adds to what
    the one before has left.
    """
    for name, count in record.stores.changed.most_common(1):
        if count >= 2:
            evidence = f"in {count} passes after the first, fetching a batch changed its {name}"
            return Sign(evidence)
    return None


@rule(
    severity="error",
    title="every step sees the first batch: the loader is begun anew for each",
    fix="- X, y = next(iter(loader))\n+ for X, y in loader:",
    born="no_batch_at_all",
    causes=("overfitting", "same-draws-each-epoch"),
)
def only_the_first_batch(record: Record) -> Sign | None:
    """Find loaders that are begun anew for every batch.

    ``next(iter(loader))`` begins at the front each time. Where the order is fixed this is always
    the same batch, and all others are never seen.
    """
    for facts in record.around.loaders.values():
        anew = facts.given >= MANY and facts.passes == facts.given
        if anew and facts.shuffles is False and (facts.batches or 0) > 1 and facts.steps >= MANY:
            evidence = (
                f"{facts.steps} steps on the first of {facts.batches} batches; the loader, which "
                f"does not shuffle, was begun {facts.passes} times"
            )
            return Sign(evidence, record.step_line)
    return None


@rule(
    severity="error",
    title="labels are ignored: ignore_index is one of the classes",
    fix="- nn.CrossEntropyLoss(ignore_index=0)\n+ nn.CrossEntropyLoss()",
    born="padding_counted_in_the_loss",
)
def labels_ignored(record: Record) -> Sign | None:
    """Find a class that the loss leaves out.

    ``ignore_index`` is meant for places that hold no label, such as padding at the ends of rows.
    Where it is the number of a class, that class is never learned.
    """
    for backward in record.backwards:
        for node in backward.graph.of_kind("NllLoss"):
            ignored, target = node.saved.get("ignore_index", -1), node.saved.get("target")
            made = node.saved.get("self")
            if target is None or made is None or not 0 <= ignored < made.shape[-1]:
                continue
            gone = target == ignored
            low, high = SHARES
            share = float(gone.double().mean())
            if low < share < high and not _fills_up(gone, record):
                evidence = f"{share:.0%} of the labels are {ignored}, which the loss ignores"
                return Sign(evidence, backward.where)
    return None


def _fills_up(gone: Tensor, record: Record) -> bool:
    """Tell whether what is ignored stands at the ends of rows, as padding does."""
    for tape in record.tapes[:1]:
        for entry in tape.networks[:1]:
            shape = next((tape.shapes[slot] for slot in entry.refs if slot in tape.given), ())
            if len(shape) >= 2 and shape[0] * shape[1] == gone.numel():
                rows = gone.reshape(shape[:2]).int()
                ends = (rows.diff(dim=1) >= 0).all(1) | (rows.diff(dim=1) <= 0).all(1)
                return float(ends.double().mean()) > 0.5
    return False
