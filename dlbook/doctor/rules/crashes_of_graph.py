"""Rules about exceptions in the backward pass: graphs that are cut, used up or changed."""

from __future__ import annotations

import ast
import inspect
import linecache
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from dlbook.doctor.rules.crash import NOT_FINITE, Crash, Frame, explains
from dlbook.doctor.rules.rule import Sign

__all__: list[str] = []

NO_GRAPH = r"element 0 of tensors does not require grad and does not have a grad_fn"
IN_PLACE = (
    r"modified by an inplace operation: \[(\S+) \[([\d, ]*)\]\], which is output \d+ of (\w+), "
    r"is at version (\d+); expected version (\d+)"
)
CUTS = re.compile(
    r"\.item\(|\.detach\(|\.data\b|torch\.(?:as_)?tensor\(|from_numpy\(|\.numpy\(|\.tolist\("
)
SWITCHED_OFF = re.compile(r"no_grad\b|inference_mode\b|set_grad_enabled\(False")
CHOICES = re.compile(r"argmax\(|argmin\(|\.max\([^)]*\)\[1\]|topk\(|[<>]=?|\.round\(|sign\(")


@explains(
    NO_GRAPH,
    title="all parameters are frozen: none requires a gradient",
    fix="+ for p in model.head.parameters():\n+     p.requires_grad = True",
    causes=("loss-detached",),
)
def all_parameters_frozen(crash: Crash) -> Sign | None:
    """Find a network none of whose parameters requires a gradient.

    ``requires_grad_(False)`` leaves nothing that a gradient could be computed for. For fine-tuning
    the part that shall learn must require gradients, and be in the optimizer.
    """
    networks = list(crash.record.models.values())
    parameters = [p for network in networks for p in network.parameters()]
    if not parameters or any(p.requires_grad for p in parameters):
        return None
    return Sign(f"none of the network's {len(parameters)} parameters requires a gradient")


@explains(
    NO_GRAPH,
    r"Inference tensors cannot be saved for backward",
    title="the forward pass runs without gradients (no_grad)",
    fix="- with torch.no_grad():\n-     loss = loss_fn(model(x), y)\n"
    "+ loss = loss_fn(model(x), y)\n  loss.backward()",
    causes=("loss-detached",),
)
def forward_without_gradients(crash: Crash) -> Sign | None:
    """Find a forward pass under ``no_grad`` that ``backward`` is called for.

    Under ``no_grad``, ``inference_mode`` or after ``set_grad_enabled(False)`` no graph is made, and
    there is nothing that a backward pass could go back through.
    """
    if "Inference" in crash.message:
        return Sign("")
    forwards = crash.record.forwards
    for source, where in _made_by(crash):
        if SWITCHED_OFF.search(source):
            return Sign(f"the loss is made under {source!r}", where)
    if forwards and not any(with_gradients for _, _, with_gradients in forwards):
        count = sum(call.count for call in forwards.values())
        first = next(iter(forwards.values()))
        return Sign(f"{count} forward passes at {first.where}, all of them without gradients")
    if not torch.is_grad_enabled():
        return Sign("gradients are switched off: set_grad_enabled(False) was left so")
    return None


@explains(
    NO_GRAPH,
    title="the loss is made of argmax or of comparisons, which have no gradient",
    fix="- loss = loss_fn(model(x).argmax(1).float(), y)\n+ loss = cross_entropy(model(x), y)",
    causes=("loss-detached",),
)
def no_gradient_through_argmax(crash: Crash) -> Sign | None:
    """Find a loss that is made of decisions.

    The class with the greatest score is a whole number: a small change of the weights does not
    change it, and it has no gradient. Losses are made of the scores themselves.
    """
    made = list(_made_by(crash))
    if any(CUTS.search(source) for source, _ in made):
        return None
    for source, where in made:
        if CHOICES.search(source):
            return Sign(f"the loss is made of {source!r}", where)
    return None


@explains(
    NO_GRAPH,
    title="the loss is cut off from its graph (detached)",
    fix="- loss = torch.tensor(loss_fn(model(x), y).item())\n+ loss = loss_fn(model(x), y)",
)
def loss_detached(crash: Crash) -> Sign | None:
    """Find a loss that knows nothing of the network.

    ``item``, ``detach``, ``data``, NumPy and ``torch.tensor`` give the number without the graph
    that made it; no gradient finds its way back to a parameter.
    """
    for source, where in _made_by(crash):
        if CUTS.search(source):
            return Sign(f"the graph ends at {source!r}", where)
    return Sign("none of the numbers that made the loss requires a gradient")


@explains(
    IN_PLACE,
    title="an optimizer changes weights between a forward pass and its backward pass",
    fix="- first.step()\n  second_loss.backward()\n+ first.step()\n  second.step()",
)
def step_between_forward_and_backward(crash: Crash) -> Sign | None:
    """Find weights that a step changed while a graph still needed them.

    The backward pass computes with the weights of the forward pass. A step in between, of one of
    two optimizers or with ``retain_graph=True``, has changed them.
    """
    shape = [int(size) for size in crash.found[2].split(",") if size.strip()]
    events = crash.record.order
    if "step" not in events or crash.found[3] not in (
        "AsStrided",
        "T",
        "Transpose",
        "Permute",
        "TBackward",
    ):
        return None
    for name, p in ((f.name, f.parameter) for f in crash.record.parameters.values()):
        if list(p.shape) in (shape, shape[::-1]):
            return Sign(f"{name}, of shape {tuple(p.shape)}, has been changed since by a step")
    return None


@explains(
    IN_PLACE,
    r"modified by an inplace operation",
    r"is a view and (?:is being|its base or another view of its base has been) modified inplace",
    r"a (?:view of a )?leaf Variable that requires grad is being used in an in-place operation",
    title="a tensor that gradients need is changed in place",
    fix="- x += y\n+ x = x + y",
    born="changed_in_place",
)
def changed_in_place(crash: Crash) -> Sign | None:
    """Find a tensor that is changed in place though the backward pass needs it.

    ``+=``, assignment to a part, and functions whose names end in ``_`` overwrite numbers. Where an
    operation kept them for its gradient, or where they are weights, PyTorch refuses.
    """
    if "leaf" in crash.message:
        return Sign(
            crash.source,
            fix="+ with torch.no_grad():\n      weight -= rate * weight.grad",
        )
    if crash.found.re.groups != 5:
        return Sign("")
    return Sign(
        f"the result of {crash.found[3].lower()}, of shape ({crash.found[2]}), has been overwritten"
    )


@explains(
    r"Trying to backward through the graph a second time",
    title="backward goes through the same graph a second time",
    fix="- states, state = rnn(x, state)\n+ states, state = rnn(x, state.detach())",
    born="recurrent_state_kept_with_graph",
)
def graph_used_twice(crash: Crash) -> Sign | None:
    """Find a graph that is used for a second backward pass.

    ``backward`` frees what the graph kept. A state, a running sum or an embedding that was computed
    before the loop leads the next backward pass back into it: ``detach`` it, or compute it anew.
    """
    told = f"in backward pass {crash.record.counts['backward']}"
    variables = crash.readers[0].variables if crash.readers else {}
    carry = [
        name
        for name, value in variables.items()
        if any(isinstance(t, Tensor) and t.grad_fn is not None for t in tree_leaves(value))
    ]
    told += f", {', '.join(carry)} carrying a graph" if carry else ""
    layers = [m for network in crash.modules() for m in network.modules()]
    if any(isinstance(m, nn.RNNBase | nn.RNNCellBase) for m in layers):
        return Sign(told)
    return Sign(
        told,
        fix="- kept = model(x)  # before the loop, or for another loss\n"
        "+ kept = model(x).detach()\nor one backward pass: (first_loss + second_loss).backward()",
    )


@explains(
    r"can't optimize a non-leaf Tensor",
    title="the optimizer is given a tensor that was computed, not a parameter",
    fix="- w = torch.randn(3, requires_grad=True) * 0.1\n"
    "+ w = (torch.randn(3) * 0.1).requires_grad_()",
)
def optimizer_given_a_result(_: Crash) -> Sign | None:
    """Find an optimizer of a tensor that is the result of an operation.

    Gradients are kept for leaves, tensors that no operation made. ``* 0.1`` or ``.to(device)``
    after ``requires_grad=True`` make another tensor.
    """
    return Sign("")


@explains(
    r"One of the differentiated Tensors (?:does not require grad|appears to not have been used)",
    r"The differentiated Tensor at index \d+ appears to not have been used in the graph",
    title="a gradient is asked for by something that the loss does not depend on",
    fix="+ x.requires_grad_(True)\n  y = model(x)\n  torch.autograd.grad(y.sum(), x)",
)
def gradient_of_what_was_not_used(_: Crash) -> Sign | None:
    """Find ``autograd.grad`` for a tensor that the result was not made of.

    The tensor must require gradients before the result is computed from it, and from this very
    tensor, not from a copy.
    """
    return Sign("")


@explains(
    r"Only Tensors of floating point and complex dtype can require gradients",
    title="whole numbers are to have gradients",
    fix="- w = torch.tensor([1, 2], requires_grad=True)\n"
    "+ w = torch.tensor([1.0, 2.0], requires_grad=True)",
)
def gradient_of_whole_numbers(_: Crash) -> Sign | None:
    """Find integers that shall require gradients.

    A gradient is a rate of change, and whole numbers do not change by a little.
    """
    return Sign("")


@explains(
    r"Only Tensors created explicitly by the user \(graph leaves\) support the deepcopy protocol",
    title="a tensor is copied together with its graph",
    fix="- copy.deepcopy(output)\n+ output.detach().clone()",
)
def graph_copied(_: Crash) -> Sign | None:
    """Find a deep copy of a result.

    Graphs are not copied. A network that keeps a result as an attribute, such as its last state,
    cannot be copied either.
    """
    return Sign("")


@explains(
    r"Function '(\w+)' returned nan values in its \d+th output",
    r"The total norm of order .* is non-finite, so it cannot be clipped",
    title="gradients are NaN or infinite",
    fix="- torch.sqrt(x)\n+ torch.sqrt(x + 1e-8)",
    after=NOT_FINITE,
)
def gradients_not_finite(crash: Crash) -> Sign | None:
    """Find gradients that are no finite numbers.

    Roots and logarithms have no finite derivative at 0, and 0 times infinity is NaN; a rate that is
    too high makes all numbers grow.
    """
    if crash.found.re.groups:
        return Sign(f"NaN arose in the backward pass of {crash.found[1].removesuffix('Backward0')}")
    return Sign("")


@explains(
    r"Expected to have finished reduction in the prior iteration before starting a new one",
    title="not all parameters take part in the loss of each process",
    fix="- DistributedDataParallel(model)\n"
    "+ DistributedDataParallel(model, find_unused_parameters=True)",
)
def parameters_unused_in_parallel(_: Crash) -> Sign | None:
    """Find parameters without a gradient under DistributedDataParallel.

    It waits for the gradients of all parameters, and those that the loss does not depend on never
    come.
    """
    return Sign("")


def _made_by(crash: Crash) -> Iterator[tuple[str, str]]:
    """Yield the lines that made the loss, and where they stand: the last one first.

    From the variable that ``backward`` is called on, back through assignments in that function;
    then the lines of the networks' forward passes.
    """
    for frame in crash.readers[:1]:
        yield from _assignments(frame)
    for network in crash.record.models.values():
        try:
            lines, first = inspect.getsourcelines(type(network).forward)
            file = inspect.getsourcefile(type(network).forward) or ""
        except (OSError, TypeError):
            continue
        if file.startswith(str(torch.__path__[0])):
            continue
        for number, line in enumerate(lines):
            if CUTS.search(line) or SWITCHED_OFF.search(line):
                yield line.strip(), f"{file.rpartition('/')[2]}:{first + number}"


def _assignments(frame: Frame) -> Iterator[tuple[str, str]]:
    """Yield the lines that made what the running line uses of a network, backwards."""
    code, here = _source(frame), frame.line
    if code is None:
        return
    made = [n for n in ast.walk(code) if isinstance(n, ast.Assign | ast.AugAssign | ast.AnnAssign)]
    blocks = [n for n in ast.walk(code) if isinstance(n, ast.With)]
    file = Path(frame.file).name
    made = sorted((n for n in made if n.lineno <= here), key=lambda n: n.lineno)
    networks = {name for name, value in frame.variables.items() if _holds_network(value)}
    for statement in made:
        if _read(statement) & networks:
            networks |= _written(statement)
    yield frame.source, frame.where
    wanted = networks & set(re.findall(r"\w+", frame.source))
    for statement in reversed(made):
        if _written(statement) & wanted and _read(statement) & networks:
            wanted |= _read(statement)
            told = " ".join(ast.unparse(statement).split())
            yield told, f"{file}:{statement.lineno}"
            for block in blocks:
                if block.lineno <= statement.lineno <= (block.end_lineno or 0):
                    told = ", ".join(ast.unparse(item) for item in block.items)
                    yield f"with {told}:", f"{file}:{block.lineno}"


def _holds_network(value: object) -> bool:
    if isinstance(value, nn.Module):
        return True
    return any(isinstance(held, nn.Module) for held in getattr(value, "__dict__", {}).values())


def _written(statement: ast.Assign | ast.AugAssign | ast.AnnAssign) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    return {name for target in targets for name in _names(target)}


def _read(statement: ast.Assign | ast.AugAssign | ast.AnnAssign) -> set[str]:
    return set() if statement.value is None else _names(statement.value)


def _names(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}


def _source(frame: Frame) -> ast.AST | None:
    """Parse the function that was running; the whole file where it was none."""
    try:
        tree = ast.parse("".join(linecache.getlines(frame.file)))
    except SyntaxError:
        return None
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    around = [f for f in functions if f.lineno <= frame.line <= (f.end_lineno or 0)]
    return around[-1] if around else tree
