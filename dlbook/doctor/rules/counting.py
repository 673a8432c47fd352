"""Rules about what a loop counts in plain Python, read from the lines that were at work.

Numbers that are added up outside PyTorch leave no trace in a graph. Where the source of the
reader's functions can be had, and only in those in which networks were called, it is read.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, TypeGuard

from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import Sign, rule
from dlbook.doctor.surroundings import LoaderFacts

__all__ = [
    "batch_averages_unweighted",
    "batches_used_up",
    "counter_reset_in_each_batch",
    "mean_losses_divided_by_examples",
]

TOO_MUCH = 0.05  # of the whole, by which a batch may count more than its examples
Loop = ast.For | ast.While


class Source(NamedTuple):
    """A function that was at work: its tree, its file, and what was seen of it at work."""

    tree: ast.AST
    file: str
    calls: set[int]
    iterators: frozenset[str]


@rule(
    severity="error",
    title="the counter starts anew in each batch: the accuracy is that of the last batch only",
    fix="+ right = 0\n  for X, y in loader:\n-     right = 0\n"
    "      right += (model(X).argmax(1) == y).sum().item()",
    born="accuracy_of_the_last_batch_only",
)
def counter_reset_in_each_batch(record: Record) -> Sign | None:
    """Find counters that are set to zero within the loop over the batches.

    What is added up over the batches must be set to zero before the loop. Set to zero within it,
    only the last batch is left at the end.
    """
    for source in _sources(record):
        for loop in _loops_of_batches(source):
            for name, line in _zeroed(loop):
                added = [n for n in _added(loop) if n == name]
                if added and _read_after(source.tree, loop, name):
                    evidence = f"{name} is set to 0 in each turn of the loop that adds it up"
                    return Sign(evidence, f"{source.file}:{line}")
    return None


@rule(
    severity="error",
    title="mean losses of batches are averaged wrongly: divided by the number of examples",
    fix="- total += loss.item()\n+ total += loss.item() * len(X)\n  total / len(loader.dataset)",
    born="averages_of_uneven_batches",
)
def mean_losses_divided_by_examples(record: Record) -> Sign | None:
    """Find sums of mean losses that are divided by the number of examples.

    The loss of a batch is the mean over its examples already. Divided by the number of all
    examples again, the sum is too small by the size of a batch.
    """
    mean = {
        int(entry.where.rpartition(":")[2])
        for tape in (*record.tapes, *record.evaluations)
        for entry in tape.entries
        if entry.kwargs.get("reduction") == "mean" and entry.where
    }
    sizes = [
        tape.shapes[slot][0] for tape in record.tapes for slot in tape.given if tape.shapes[slot]
    ]
    if not mean or not sizes or max(sizes) < 2:
        return None
    for source in _sources(record):
        for loop in _loops_of_batches(source):
            for one in loop.body:
                if _adds_item_of(one, loop, mean) and isinstance(one, ast.AugAssign):
                    name = ast.unparse(one.target)
                    if _divided_by_examples(source.tree, name):
                        evidence = f"{name} adds up mean losses and is divided by len(….dataset)"
                        return Sign(evidence, f"{source.file}:{one.lineno}")
    return None


@rule(
    severity="error",
    title="averages of batches are averaged as if the batches were of one size",
    fix="- accuracy += right.float().mean().item() / len(loader)\n"
    "+ accuracy += right.sum().item() / len(loader.dataset)",
    born="averages_of_uneven_batches",
)
def batch_averages_unweighted(record: Record) -> Sign | None:
    """Find means of batches that are averaged although one batch is far smaller.

    Each batch counts as much as any other in such a mean. An example of a small last batch counts
    as much as many of the others.
    """
    evaluated = [one for one in record.around.loaders.values() if not one.steps]
    uneven = [(share, one) for one in evaluated if (share := _too_much(one)) > TOO_MUCH]
    if not uneven:
        return None
    share, facts = max(uneven, key=lambda pair: pair[0])
    last = (facts.examples or 0) % (facts.batch_size or 1)
    for source in _sources(record):
        for loop in _loops_of_batches(source):
            for one in _statements(loop):
                if isinstance(one, ast.AugAssign) and _adds_mean(one):
                    evidence = (
                        f"the last of {facts.batches} batches holds {last} of {facts.examples} "
                        f"examples, and counts for {share:.0%} more of the mean than they should"
                    )
                    return Sign(evidence, f"{source.file}:{one.lineno}")
    return None


def _too_much(facts: LoaderFacts) -> float:
    """Return by how much of the whole the last batch counts too much in a mean of means."""
    if facts.drop_last or not facts.examples or not facts.batch_size or not facts.batches:
        return 0.0
    last = facts.examples % facts.batch_size
    return 1 / facts.batches - last / facts.examples if last else 0.0


def _adds_mean(one: ast.AugAssign) -> bool:
    """Tell whether a statement adds ``.mean().item()`` of something, whatever it is divided by."""
    value = one.value
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Div):
        value = value.left
    if not isinstance(value, ast.Call) or not isinstance(value.func, ast.Attribute):
        return False
    if value.func.attr != "item":
        return False
    inner = value.func.value
    return (
        isinstance(inner, ast.Call)
        and isinstance(inner.func, ast.Attribute)
        and inner.func.attr == "mean"
        and not (inner.args or inner.keywords)
    )


@rule(
    severity="error",
    title="the batches are used up after the first epoch: a generator gives them only once",
    fix="- batches = make_batches(X, y)\n  for epoch in range(epochs):\n"
    "+     batches = make_batches(X, y)\n      for X, y in batches:",
    born="no_batch_at_all",
    causes=("rate-too-low", "stopped-while-falling"),
)
def batches_used_up(record: Record) -> Sign | None:
    """Find loops over a generator that stands outside the loop over the epochs.

    A generator, like every iterator, can be gone through once. From the second epoch on the inner
    loop has nothing to do, and the network learns no more.
    """
    for source in _sources(record):
        loops = [node for node in ast.walk(source.tree) if isinstance(node, Loop)]
        for loop in _loops_of_batches(source):
            around = [one for one in loops if _within(loop, one)]
            names = (
                {n.id for n in ast.walk(loop.iter) if isinstance(n, ast.Name)}
                if isinstance(loop, ast.For)
                else set()
            )
            made = {n.id for one in around for n in ast.walk(one) if _stores(n)}
            left = any(isinstance(n, ast.Break | ast.Return) for n in ast.walk(loop))
            once = sorted((names & source.iterators) - made)
            if around and once and not left:
                evidence = f"{once[0]} is an iterator, and made before the loop around this one"
                return Sign(evidence, f"{source.file}:{loop.lineno}")
    return None


def _within(loop: Loop, other: Loop) -> bool:
    return loop is not other and other.lineno < loop.lineno <= (other.end_lineno or 0)


def _stores(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _sources(record: Record) -> Iterator[Source]:
    """Yield the functions at work whose source can be had, with the lines of their file."""
    for code, lines in record.at_work.items():
        whole = code.co_name == "<module>"
        try:
            text = Path(code.co_filename).read_text() if whole else inspect.getsource(code)
            tree = ast.parse(textwrap.dedent(text))
        except (OSError, SyntaxError, TypeError, UnicodeDecodeError):
            continue
        ast.increment_lineno(tree, 0 if whole else code.co_firstlineno - 1)
        held = frozenset[str]().union(*(at_work.iterators for at_work in lines))
        yield Source(tree, Path(code.co_filename).name, {one.line for one in lines}, held)


def _loops_of_batches(source: Source) -> Iterator[Loop]:
    """Yield the innermost loops in which a network was called."""
    loops = [node for node in ast.walk(source.tree) if isinstance(node, Loop)]
    for loop in loops:
        within = {line for line in source.calls if loop.lineno < line <= (loop.end_lineno or 0)}
        deeper = {
            line
            for other in loops
            if other is not loop and loop.lineno < other.lineno <= (loop.end_lineno or 0)
            for line in within
            if other.lineno < line <= (other.end_lineno or 0)
        }
        if within - deeper:
            yield loop


def _statements(loop: Loop) -> Iterator[ast.stmt]:
    """Yield a loop's own statements, and those of ``with`` and ``if`` in it, not of loops in it."""
    waiting: list[ast.stmt] = list(loop.body)
    while waiting:
        one = waiting.pop(0)
        yield one
        if isinstance(one, ast.With | ast.If):
            waiting.extend(one.body)


def _zeroed(loop: Loop) -> Iterator[tuple[str, int]]:
    for one in loop.body:
        if isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant):
            for target in one.targets:
                if isinstance(target, ast.Name) and one.value.value in (0, 0.0):
                    yield target.id, one.lineno


def _added(loop: Loop) -> Iterator[str]:
    for one in _statements(loop):
        if isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Name):
            yield one.target.id


def _read_after(tree: ast.AST, loop: Loop, name: str) -> bool:
    """Tell whether a name is read behind a loop, and not within but to add to it."""
    reads = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load)
    ]
    last = loop.end_lineno or loop.lineno
    return any(line > last for line in reads) and not any(
        loop.lineno < line <= last for line in reads
    )


def _adds_item_of(one: ast.stmt, loop: Loop, mean: set[int]) -> bool:
    """Tell whether a statement adds ``.item()`` of a mean loss, and nothing else."""
    if not isinstance(one, ast.AugAssign) or not isinstance(one.op, ast.Add):
        return False
    value = one.value
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        if value.func.attr != "item":
            return False
        inner = value.func.value
        if isinstance(inner, ast.Call):
            return inner.lineno in mean and not _sums(inner)
        if isinstance(inner, ast.Name):
            return any(
                isinstance(other, ast.Assign)
                and other.lineno in mean
                and isinstance(other.value, ast.Call)
                and not _sums(other.value)
                and [ast.unparse(target) for target in other.targets] == [inner.id]
                for other in _statements(loop)
            )
    return False


def _sums(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr in ("sum", "mean")


def _divided_by_examples(tree: ast.AST, name: str) -> bool:
    """Tell whether a name is divided by the length of something's ``dataset``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            left, right = node.left, node.right
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Div):
            left, right = node.target, node.value
        else:
            continue
        by = ast.unparse(right)
        if ast.unparse(left) == name and by.startswith("len(") and by.endswith(".dataset)"):
            return True
    return False
