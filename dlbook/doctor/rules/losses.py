"""Rules about losses: what goes into them."""

from __future__ import annotations

from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule

__all__ = ["sigmoid_before_loss_on_logits", "softmax_before_cross_entropy", "targets_broadcast"]

ELEMENTWISE = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


@rule(
    severity="error",
    title="softmax is applied twice",
    fix="- loss = cross_entropy(softmax(model(X)), y)\n+ loss = cross_entropy(model(X), y)",
    born="softmax_before_cross_entropy",
)
def softmax_before_cross_entropy(record: Record) -> Sign | None:
    """Find softmax before cross-entropy.

    Cross-entropy takes logits and applies softmax itself. Applied to probabilities, which lie
    between 0 and 1, it can tell the classes apart by a factor of e at most, and its gradients are
    small.
    """
    for backward in record.backwards:
        for node in backward.graph.of_kind("LogSoftmax"):
            made_by = node.source()
            if made_by is not None and made_by.kind == "Softmax":
                return Sign("cross_entropy was given what softmax returned", backward.where)
    return None


@rule(
    severity="error",
    title="sigmoid is applied twice",
    fix="- loss = bce_with_logits(sigmoid(model(X)), y)\n+ loss = bce_with_logits(model(X), y)",
    born="sigmoid_before_loss_on_logits",
)
def sigmoid_before_loss_on_logits(record: Record) -> Sign | None:
    """Find a sigmoid before a loss that takes logits.

    The loss takes logits and applies the sigmoid itself. Applied to probabilities, none of which
    is below 0, it can give no example a probability below one half.
    """
    for backward in record.backwards:
        for node in backward.graph.of_kind("BinaryCrossEntropyWithLogits"):
            made_by = node.source()
            if made_by is not None and made_by.kind == "Sigmoid":
                evidence = "binary_cross_entropy_with_logits was given what sigmoid returned"
                return Sign(evidence, backward.where)
    return None


@rule(
    severity="error",
    title="predictions and targets of different shapes are compared pair by pair",
    fix="- loss = mse_loss(model(X), y)\n+ loss = mse_loss(model(X), y[:, None])",
    born="targets_broadcast",
)
def targets_broadcast(record: Record) -> Sign | None:
    """Find targets that broadcast against the predictions.

    Shapes (n, 1) and (n,) broadcast to (n, n): each prediction is compared with every target, and
    the best that a network can do is to predict the mean of all targets.
    """
    for tape in record.tapes:
        for entry in tape.entries:
            if entry.name not in ELEMENTWISE or len(entry.refs) < 2:
                continue
            predictions, targets = (tape.shapes[slot] for slot in entry.refs[:2])
            if predictions != targets:
                evidence = (
                    f"{entry.name} was given predictions of shape {predictions} and targets of "
                    f"shape {targets}"
                )
                return Sign(evidence, entry.where)
    return None
