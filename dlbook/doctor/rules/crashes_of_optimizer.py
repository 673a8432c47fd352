"""Rules about exceptions where optimizers, schedules and scalers are made, stepped and loaded."""

from __future__ import annotations

from types import GeneratorType

from torch import nn

from dlbook.doctor.rules.crash import Crash, explains
from dlbook.doctor.rules.rule import Sign

__all__: list[str] = []

EMPTY = r"optimizer got an empty parameter list"


@explains(
    EMPTY,
    title="the parameters are used up: parameters() is a generator, and was gone through before",
    fix="- params = model.parameters()\n+ params = list(model.parameters())",
    born="parameters_counted_away",
)
def parameters_used_up(crash: Crash) -> Sign | None:
    """Find a generator of parameters that was gone through before the optimizer got it.

    ``model.parameters()`` gives each parameter once. A count, a print or another optimizer has
    taken them all.
    """
    frame = crash.called("__init__")
    given = None if frame is None else frame.variables.get("params")
    networks = list(crash.modules())
    empty = networks and all(next(n.parameters(), None) is None for n in networks)
    if empty or not isinstance(given, GeneratorType):
        return None
    for reader in crash.readers:
        if any(value is given for value in reader.variables.values()):
            name = next(name for name, value in reader.variables.items() if value is given)
            return Sign(f"the generator {name!r} has nothing left")
    return None


@explains(
    EMPTY,
    title="the optimizer is given a network without parameters",
    fix="- self.layers = [nn.Linear(4, 4), nn.Linear(4, 1)]\n"
    "+ self.layers = nn.ModuleList([nn.Linear(4, 4), nn.Linear(4, 1)])",
)
def no_parameters(crash: Crash) -> Sign | None:
    """Find an optimizer of nothing.

    Layers in a plain list or dictionary are not seen by ``parameters()``, nor are tensors that are
    no ``nn.Parameter``; and a filter on ``requires_grad`` leaves nothing where all is frozen.
    """
    for network in crash.modules():
        for name, value in vars(network).items():
            parts = list(value.values()) if isinstance(value, dict) else value
            if name.startswith("_") or not isinstance(parts, list | tuple):
                continue
            if any(isinstance(part, nn.Module) for part in parts):
                kind = type(value).__name__
                return Sign(f"{type(network).__name__}.{name} is a {kind} of {len(parts)} layers")
        if (
            all(not p.requires_grad for p in network.parameters())
            and next(network.parameters(), None) is not None
        ):
            fix = "+ for p in model.head.parameters():\n+     p.requires_grad = True"
            return Sign(f"all parameters of {type(network).__name__} are frozen", fix=fix)
    return Sign("")


@explains(
    r"optimizer can only optimize Tensors, but one of the params is (\S+)",
    r"params argument given to the optimizer should be an iterable of Tensors or dicts",
    r"'(\w+)' object is not iterable",
    title="the optimizer is not given parameters",
    fix="- SGD(model, lr=0.1)\n+ SGD(model.parameters(), lr=0.1)",
)
def optimizer_not_given_parameters(crash: Crash) -> Sign | None:
    """Find an optimizer, or clipping, that is given a network, a method or a list of generators.

    It takes the tensors themselves: ``model.parameters()``, with parentheses; those of two networks
    as ``[*a.parameters(), *b.parameters()]``.
    """
    inside = crash.frames[-1].file if crash.frames else ""
    if "iterable" in crash.message and "/torch/" not in inside.replace("\\", "/"):
        return None
    if crash.found.re.groups and crash.found[1] == "Module.parameters":
        fix = "- Adam([a.parameters(), b.parameters()])\n+ Adam([*a.parameters(), *b.parameters()])"
        return Sign("it was given a list of generators", fix=fix)
    return Sign(crash.source)


@explains(
    r"some parameters appear in more than one parameter group",
    title="a parameter is given to the optimizer twice",
    fix="+ head = set(model.head.parameters())\n"
    "+ rest = [p for p in model.parameters() if p not in head]",
)
def parameter_given_twice(_: Crash) -> Sign | None:
    """Find a parameter in two groups of an optimizer.

    ``model.parameters()`` holds those of the head, too. A step for each group would move them
    twice.
    """
    return Sign("")


@explains(
    r"Invalid learning rate: (\S+)",
    title="the learning rate is below zero",
    fix="- SGD(model.parameters(), lr=-0.1)\n+ SGD(model.parameters(), lr=0.1)",
)
def rate_below_zero(_: Crash) -> Sign | None:
    """Find a learning rate below zero.

    The step goes against the gradient by itself. To climb, give ``maximize=True``.
    """
    return Sign("")


@explains(
    r"Invalid (?:beta parameter|\w+ value|\w+ parameter|epsilon)",
    r"dropout (?:probability has to be between 0 and 1|should be a number in range \[0, 1\])",
    r"Nesterov momentum requires a momentum and zero dampening",
    r"'<=' not supported between instances of 'float' and '\w+'",
    title="a setting is outside of what it may be",
    fix="- nn.Dropout(50)\n+ nn.Dropout(0.5)",
)
def setting_out_of_range(crash: Crash) -> Sign | None:
    """Find a setting of a layer or an optimizer that it cannot have.

    Shares are between 0 and 1, rates and decays are numbers not below 0.
    """
    inside = crash.frames[-1].file if crash.frames else ""
    if "'<='" in crash.message and "/torch/" not in inside.replace("\\", "/"):
        return None
    return Sign(crash.source)


@explains(
    r"LBFGS\.step\(\) missing 1 required positional argument: 'closure'",
    r"'Tensor' object is not callable",
    title="step needs a closure that computes the loss",
    fix="- loss.backward()\n- optimizer.step()\n+ def closure():\n+     optimizer.zero_grad()\n"
    "+     loss = loss_fn(model(x), y)\n+     loss.backward()\n+     return loss\n"
    "+ optimizer.step(closure)",
)
def closure_missing(crash: Crash) -> Sign | None:
    """Find LBFGS without a closure.

    LBFGS computes the loss several times in a step, and must be given a function that does so. What
    is given to ``step`` is such a function, never the loss.
    """
    if "callable" in crash.message and crash.called("step") is None:
        return None
    return Sign("")


@explains(
    r"ReduceLROnPlateau\.step\(\) missing 1 required positional argument: 'metrics'",
    title="a schedule that watches a measure is not given one",
    fix="- scheduler.step()\n+ scheduler.step(validation_loss)",
)
def plateau_without_a_measure(_: Crash) -> Sign | None:
    """Find ReduceLROnPlateau that is stepped without a measure.

    It lowers the rate when a measure no longer improves, and must be told that measure.
    """
    return Sign("")


@explains(
    r"Tried to step (\d+) times\. The specified number of total steps is (\d+)",
    title="the schedule is stepped more often than it was made for",
    fix="- OneCycleLR(optimizer, rate, total_steps=epochs)\n"
    "+ OneCycleLR(optimizer, rate, total_steps=epochs * len(loader))",
)
def schedule_too_short(crash: Crash) -> Sign | None:
    """Find a schedule of too few steps.

    ``OneCycleLR`` plans all its steps ahead. Stepped after each batch, it needs as many as there
    are batches in all epochs.
    """
    return Sign(f"made for {crash.found[2]} steps")


@explains(
    r"loaded state dict contains a parameter group that doesn't match",
    r"loaded state dict has a different number of parameter groups",
    title="the optimizer's state that is loaded is of other parameters",
    fix="make the optimizer with the parameters and groups that it had when it was saved",
)
def optimizer_state_of_another_network(_: Crash) -> Sign | None:
    """Find an optimizer that is loaded with a state of other parameters.

    The state is kept by the place of each parameter in its group: number and order must be alike.
    """
    return Sign("")


@explains(
    r"No inf checks were recorded",
    r"_scale is None\.  This may indicate your script did not use scaler\.scale",
    title="the scaler steps without a scaled backward pass of these parameters",
    fix="- loss.backward()\n+ scaler.scale(loss).backward()\n  scaler.step(optimizer)\n"
    "  scaler.update()",
)
def scaler_without_gradients(_: Crash) -> Sign | None:
    """Find a gradient scaler that finds no gradients.

    ``scaler.step`` looks at the gradients that ``scaler.scale(loss).backward()`` left. There are
    none where that was left out, where they were cleared, or where the optimizer holds other
    parameters.
    """
    return Sign("")


@explains(
    r"unscale_\(\) has already been called on this optimizer since the last update",
    r"step\(\) has already been called since the last update",
    r"unscale_\(\) is being called after step\(\)",
    title="the scaler is not updated between two steps",
    fix="  scaler.step(optimizer)\n+ scaler.update()",
)
def scaler_not_updated(_: Crash) -> Sign | None:
    """Find a gradient scaler that is used twice without an update.

    For each step: ``unscale_`` once at most, then ``step``, then ``update``. In accumulation all
    three come only where the step is made.
    """
    return Sign("")


@explains(
    r"Attempting to unscale FP16 gradients",
    title="the scaler is given a network in half precision",
    fix="- model = model.half()\n+ with torch.autocast(device):\n      loss = loss_fn(model(x), y)",
)
def scaler_on_half_precision(_: Crash) -> Sign | None:
    """Find a gradient scaler on weights of half precision.

    Mixed precision keeps the weights in float32 and computes in half precision under ``autocast``.
    """
    return Sign("")
