"""Rules about exceptions where networks are made, called and loaded."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from typing import Any

from torch import nn

from dlbook.doctor.rules.crash import Crash, explains
from dlbook.doctor.rules.rule import Sign

__all__: list[str] = []

GRADIENT = re.compile(r"\.grad\b(?!\()")
CALL = (
    r"(\w+)\.forward\(\) (missing \d+ required positional arguments?: .*|takes .*|got an "
    r"unexpected keyword argument .*)"
)


@explains(
    r"cannot assign (?:module|parameters?|buffer) before Module\.__init__\(\) call",
    r"'(\w+)' object has no attribute '_(?:modules|parameters|buffers|\w+_hooks)'",
    title="super().__init__() is missing in the network",
    fix="  def __init__(self):\n+     super().__init__()",
)
def super_init_missing(crash: Crash) -> Sign | None:
    """Find a network whose ``__init__`` does not call that of ``nn.Module``.

    ``nn.Module.__init__`` makes the tables that layers and parameters are noted in. It must run
    before the first of them is assigned.
    """
    owner = next((f.variables.get("self") for f in crash.readers if "self" in f.variables), None)
    return Sign("" if owner is None else f"in {type(owner).__name__}.__init__")


@explains(
    r"Module \[(\w+)\] is missing the required \"forward\" function",
    title="the network has no forward",
    fix="+ def forward(self, x):\n+     return self.layers(x)",
)
def forward_missing(crash: Crash) -> Sign | None:
    """Find a module that is called and has no ``forward``.

    Calling a module calls its ``forward``: misspelled, or indented into another function, it is
    not crash.found. ``ModuleList`` and ``ModuleDict`` only hold layers; a loop must call them.
    """
    if crash.found[1] in ("ModuleList", "ModuleDict"):
        fix = "- x = self.layers(x)\n+ for layer in self.layers:\n+     x = layer(x)"
        return Sign(f"{crash.found[1]} holds layers and does not call them", fix=fix)
    network: Any = next((f.variables.get("self") for f in reversed(crash.frames)), None)
    near = difflib.get_close_matches("forward", vars(type(network)), 1, 0.6) if network else []
    return Sign(f"{crash.found[1]} has {near[0]!r}" if near else f"in {crash.found[1]}")


@explains(
    r"(\S+) is not a Module subclass",
    title="a container of layers is given something that is no layer",
    fix="- nn.Sequential(nn.Linear(4, 8), F.relu)\n+ nn.Sequential(nn.Linear(4, 8), nn.ReLU())",
)
def not_a_layer(crash: Crash) -> Sign | None:
    """Find a function, a class or a list among the layers of a container.

    ``Sequential`` and ``ModuleList`` hold modules: ``nn.ReLU()``, with parentheses, not ``F.relu``
    or ``nn.ReLU``; a list of layers is given as ``Sequential(*layers)``.
    """
    return Sign(f"it was given {crash.found[1]}")


@explains(
    r"cannot assign '(\S+)' as parameter '(\w+)' \(torch\.nn\.Parameter or None expected\)",
    title="a parameter is replaced by a plain tensor",
    fix="- layer.weight = tensor\n+ with torch.no_grad():\n+     layer.weight.copy_(tensor)",
)
def parameter_replaced_by_a_tensor(_: Crash) -> Sign | None:
    """Find a tensor that is assigned where a parameter stands.

    A parameter is filled in place, or replaced by ``nn.Parameter(tensor)``.
    """
    return Sign("")


@explains(
    r"must be divisible by",
    title="two sizes of a layer do not divide",
    fix="- nn.MultiheadAttention(100, num_heads=8)\n+ nn.MultiheadAttention(96, num_heads=8)",
)
def sizes_do_not_divide(crash: Crash) -> Sign | None:
    """Find a layer whose heads or groups do not divide its width.

    Heads of attention and groups of channels share the width in equal parts.
    """
    for frame in reversed(crash.frames):
        names = ("embed_dim", "num_heads", "num_channels", "num_groups", "in_channels", "groups")
        sizes = [f"{n} {frame.variables[n]}" for n in names if n in frame.variables]
        if sizes and frame.function == "__init__":
            return Sign(", ".join(sizes))
    return None


@explains(
    CALL,
    r"(\w+Loss|\w+)\(\) (missing \d+ required positional arguments?: 'target')",
    title="a network or layer is called with another number of arguments than its forward takes",
    fix="- out = model(x)\n+ out = model(x, state)",
)
def wrong_number_of_arguments(crash: Crash) -> Sign | None:
    """Find a module that is called with arguments that its ``forward`` does not take.

    What is given to ``model(…)`` goes to ``forward``, behind ``self``. ``Sequential`` gives each
    layer what the one before it returned, as one argument.
    """
    for frame in reversed(crash.frames):
        module: Any = frame.variables.get("self")
        if isinstance(module, nn.Module) and frame.function == "_call_impl":
            import inspect

            return Sign(
                f"{type(module).__name__}.forward takes {inspect.signature(module.forward)}"
            )
    return Sign("")


@explains(
    r"argument '\w+' \(position \d+\) must be Tensor, not tuple",
    r"'tuple' object has no attribute '(\w+)'",
    r"tuple indices must be integers or slices, not tuple",
    r"unsupported operand type\(s\) for \S+ 'tuple'",
    title="what a recurrent layer returns is a tuple: outputs and state",
    fix="- x = self.rnn(x)\n+ x, state = self.rnn(x)",
)
def tuple_given_for_a_tensor(crash: Crash) -> Sign | None:
    """Find a tuple where a tensor is meant.

    ``RNN``, ``LSTM`` and ``GRU`` return the outputs of all times and the last state, attention
    returns outputs and weights, and a ``forward`` with two results returns a tuple.
    """
    tuples = (nn.RNNBase, nn.MultiheadAttention)
    kinds = {
        type(m).__name__ for n in crash.modules() for m in n.modules() if isinstance(m, tuples)
    }
    if not kinds:
        return Sign("", fix="- out = model(x)\n+ out, other = model(x)")
    if kinds == {"MultiheadAttention"}:
        return Sign("the network has MultiheadAttention", fix="- x = attention(x, x, x)\n"
                    "+ x, weights = attention(x, x, x)")  # fmt: skip
    return Sign(f"the network has {' and '.join(sorted(kinds))}")


@explains(
    r"'NoneType' object has no attribute '\w+'",
    r"unsupported operand type\(s\) for \S+ '(?:NoneType|\w+)' and '(?:NoneType|\w+)'",
    title="a gradient is None: no backward pass has reached the parameter",
    fix="+ loss.backward()\n  p.grad …\nor\n- p.grad.zero_()\n"
    "+ if p.grad is not None:\n+     p.grad.zero_()",
)
def gradient_is_none(crash: Crash) -> Sign | None:
    """Find a gradient that is used and is None.

    ``grad`` is None until a backward pass reaches the parameter; for frozen and unused parameters
    it stays so, and ``zero_grad`` sets it back to None.
    """
    source = crash.source
    if "NoneType" not in crash.message or not GRADIENT.search(source):
        return None
    return Sign(f"{source!r}, after {crash.record.counts['backward']} backward passes")


@explains(
    r"'NoneType' object has no attribute '\w+'",
    r"argument '\w+' \(position \d+\) must be Tensor, not NoneType",
    r"unsupported operand type\(s\) for \S+ .*'NoneType'",
    r"cannot unpack non-iterable NoneType object",
    title="forward returns nothing (None): the return is missing",
    fix="  def forward(self, x):\n-     self.layers(x)\n+     return self.layers(x)",
)
def forward_returns_nothing(crash: Crash) -> Sign | None:
    """Find None where what a network returned is meant.

    A function without ``return`` gives None, and the next line has no tensor to work on.
    """
    for network in crash.modules():
        for name, module in network.named_modules():
            if _returns_nothing(module):
                return Sign(f"{type(module).__name__}.forward has no return", fix="")
            del name
    return None


@explains(
    r"'(\w+)' object has no attribute '(\w+)'",
    title="the network has no layer of this name",
    fix="+ self.name = nn.Linear(…)  # in __init__",
)
def layer_not_made(crash: Crash) -> Sign | None:
    """Find an attribute of a network that was never made.

    Layers are made in ``__init__`` and used in ``forward`` by the same name.
    """
    frame = crash.frames[-1] if crash.frames else None
    owner = None if frame is None else frame.variables.get("self")
    if not isinstance(owner, nn.Module) or frame is None or frame.function != "__getattr__":
        return None
    names = [*owner._modules, *owner._parameters, *owner._buffers]
    near = difflib.get_close_matches(crash.found[2], names, 1)
    told = f"{crash.found[1]} has {', '.join(names[:8]) or 'no layers'}"
    return Sign(told, fix=f"- self.{crash.found[2]}\n+ self.{near[0]}" if near else "")


@explains(
    r"Error\(s\) in loading state_dict for (\w+):",
    r"Expected state_dict to be dict-like, got",
    title="the weights loaded are those of another network (state_dict does not match)",
    fix="make the network as it was when its weights were saved, then\n"
    "  model.load_state_dict(torch.load(file))",
)
def state_of_another_network(crash: Crash) -> Sign | None:
    """Find weights whose names or shapes are not those of the network.

    Weights are loaded by name. Names begin with ``module.`` where they were saved from
    DataParallel, with ``_orig_mod.`` from ``torch.compile``; a checkpoint that holds more than the
    weights must be opened first; and a head for other classes has other shapes.
    """
    missing = re.search(r"Missing key\(s\) in state_dict: (.*)", crash.message)
    unexpected = re.search(r"Unexpected key\(s\) in state_dict: (.*)", crash.message)
    sizes = re.findall(r"size mismatch for (\S+): .*?Size\(\[(.*?)\]\).*?Size\(\[(.*?)\]\)",
                       crash.message)  # fmt: skip
    surplus = re.findall(r'"([^"]*)"', unexpected[1]) if unexpected else []
    lacking = re.findall(r'"([^"]*)"', missing[1]) if missing else []
    told = [f"{len(lacking)} names are missing, {len(surplus)} are too many"] if surplus else []
    told += [f"{name} is ({a}) in the file and ({b}) in the network" for name, a, b in sizes[:3]]
    for prefix in ("module.", "_orig_mod."):
        if surplus and all(name.startswith(prefix) for name in surplus):
            fix = f"+ state = {{k.removeprefix({prefix!r}): v for k, v in state.items()}}\n"
            return Sign(f"all names in the file begin with {prefix!r}", fix=fix)
    for name in ("model", "state_dict", "model_state_dict", "net"):
        if name in surplus:
            fix = f"- model.load_state_dict(saved)\n+ model.load_state_dict(saved[{name!r}])"
            return Sign(f"the file holds a checkpoint: {', '.join(surplus)}", fix=fix)
    if "dict-like" in crash.message:
        fix = "- model.load_state_dict(other)\n+ model.load_state_dict(other.state_dict())"
        return Sign("a whole network was given, not its weights", fix=fix)
    return Sign("; ".join(told))


@explains(
    r"Weights only load failed",
    title="a file that holds more than weights is loaded as weights alone",
    fix="- torch.save(model, file)\n+ torch.save(model.state_dict(), file)",
)
def file_holds_more_than_weights(_: Crash) -> Sign | None:
    """Find a file that holds Python objects and is opened as safe.

    ``torch.load`` reads tensors and plain values only, since a pickle can run code. Save weights,
    or pass ``weights_only=False`` for a file of your own.
    """
    return Sign("")


@explains(
    r"Attempted to use an uninitialized parameter",
    title="a lazy layer is used before its first forward pass",
    fix="+ model(example)\n  optimizer = Adam(model.parameters())",
)
def lazy_layer_without_a_shape(_: Crash) -> Sign | None:
    """Find lazy layers whose parameters are used before they have a shape.

    They take their width from the first input: pass one through before counting, copying or
    initializing.
    """
    return Sign("")


@explains(
    r"(\w+)\.(\w+)\(\) missing 1 required positional argument: 'self'",
    title="a class is used where an object of it is meant: its parentheses are missing",
    fix="- model = Network\n+ model = Network()",
)
def class_for_an_object(crash: Crash) -> Sign | None:
    """Find a class of networks or optimizers that was never called.

    ``Network`` is the class; ``Network()`` makes a network, with weights of its own.
    """
    return Sign(crash.source)


@explains(
    r"^RecursionError: ",
    title="a function calls itself without end",
    fix="  def forward(self, x):\n-     return self(x)\n+     return self.layers(x)",
)
def calls_without_end(crash: Crash) -> Sign | None:
    """Find a function that leads to itself again and again.

    Calling a module calls its ``forward``; a ``forward`` that calls its own module never ends.
    """
    functions = Counter((f.function, f.where) for f in crash.readers)
    (function, where), count = functions.most_common(1)[0]
    return Sign(f"{function} at {where} stands {count} times among the last calls", where)


def _returns_nothing(module: nn.Module) -> bool:
    """Tell whether a module's own ``forward`` is written without ``return``."""
    import ast
    import inspect
    import textwrap

    if type(module).__module__.startswith("torch."):
        return False
    try:
        code = ast.parse(textwrap.dedent(inspect.getsource(type(module).forward)))
    except (OSError, TypeError, SyntaxError):
        return False
    return not any(isinstance(n, ast.Return) and n.value is not None for n in ast.walk(code))
