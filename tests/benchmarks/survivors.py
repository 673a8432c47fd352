"""What was recorded of mutants, and why some live: by module, the mutant's name and the reason."""

from __future__ import annotations

import ast
import hashlib
import json
from pathlib import Path
from typing import Any

from tests.benchmarks.recording import RESULTS

ROOT = Path(__file__).parents[2]
PACKAGE = "dlbook/scratch"
KILLED = 0.90
Outcome = dict[str, Any]
DEFAULT = "what is left out is what Python does by default"
LENGTHS = "nothing that is documented gives two lengths: strict only says so"
NEXT = "what is called next refuses the same in the same words"
BOUND = "the bound only keeps exp from overflowing where its value is not taken"
COPY = "copied or not, the numbers are the same"
COMMUTES = "sums and products ask for no order"
FLOATED = "the targets are made floats next"
COLUMN = "column_or_1d, called next, does and tells the same"
DTYPE = "all parameters have one dtype"
SEED = "a seed may come from any range"
TRAINING = "linear layers and activations do the same in training"
REASONS: dict[str, dict[str, str]] = {
    "activations/bounded": {
        "sigmoid: Z >= 0 → Z > 0": "equivalent: both forms give exactly 1/2 at 0",
    },
    "activations/rectifiers": {
        "elu: np.minimum(Z, 0) → np.minimum(Z, 1)": BOUND,
        "elu: Z > 0 → Z >= 0": "equivalent: both forms give 0 at 0",
        "elu_backward: np.minimum(Z, 0) → np.minimum(Z, 1)": BOUND,
        "leaky_relu: Z > 0 → Z >= 0": "equivalent: both forms give 0 at 0",
    },
    "autograd/functions": {
        "operation.apply: sources[0] → sources[-1]": "an operation takes arrays of one dtype",
    },
    "blocks": {
        "Block.gather: found[0] → found[-1]": "there is one entry",
        "cut: -1 → -0": "no group is empty once it has been begun",
        "cut: groups[-1][0] → groups[-1][-1]": "a group has one dtype",
        "cut: group[0] → group[-1]": "a group has one dtype",
        "_rows: w.size <= capacity → w.size < capacity": (
            "an array as large as a block is cut into one part, all its rows"
        ),
        "_rows: w.ndim == 0 → w.ndim == -1": (
            "an array without axes holds one number, which fits any block"
        ),
    },
    "checks": {
        "_fits: cut < 0 → cut < -1": "too few axes give too few lengths, which is seen next",
        "_fits: return False → return None": "only whether it fits is asked",
        "_fits: zip(symbols, found, strict=True) → zip(symbols, found, strict=False)": LENGTHS,
        "_fits: zip(symbols, found, strict=True) → zip(symbols, found)": LENGTHS,
        "check_gradients: zip(gradients, parameters, strict=True) → zip(gradients, "
        "parameters, strict=False)": LENGTHS,
        "check_gradients: zip(gradients, parameters, strict=True) → zip(gradients, "
        "parameters)": LENGTHS,
    },
    "convolution": {
        "add_patches: 2 * padding → 3 * padding": "more room, which is cut off again",
        "add_patches: 2 * padding → 3 * padding (2)": "more room, which is cut off again",
        "_count_places: zip(('kernel height', 'kernel width'), kernel, strict=True) → "
        "zip(('kernel height', 'kernel width'), kernel, strict=False)": LENGTHS,
        "_count_places: zip(('kernel height', 'kernel width'), kernel, strict=True) → "
        "zip(('kernel height', 'kernel width'), kernel)": LENGTHS,
        "_count_places: zip(image, kernel, strict=True) → zip(image, kernel, strict=False)": (
            "the lengths cannot differ: strict only says so"
        ),
        "_count_places: zip(image, kernel, strict=True) → zip(image, kernel)": LENGTHS,
    },
    "dropout": {
        "dropout_forward: rng.random(X.shape) >= p → rng.random(X.shape) > p": (
            "differs only where a draw of 53 random bits equals p"
        ),
    },
    "estimators": {
        "_MLP._start: 2 ** 31 → 2 ** 30": SEED,
        "_MLP._train: 0 → 1": "the first epoch improves on infinity and sets it to 0",
        "_MLP._train: 0 → -1": "the first epoch improves on infinity and sets it to 0",
        "_MLP._train: zip(self.model_.parameters, kept, strict=True) → "
        "zip(self.model_.parameters, kept, strict=False)": LENGTHS,
        "_MLP._train: zip(self.model_.parameters, kept, strict=True) → "
        "zip(self.model_.parameters, kept)": LENGTHS,
        "_MLP._epoch: zip(self.model_.parameters, self.model_.gradients, strict=True) → "
        "zip(self.model_.parameters, self.model_.gradients, strict=False)": LENGTHS,
        "_MLP._epoch: zip(self.model_.parameters, self.model_.gradients, strict=True) → "
        "zip(self.model_.parameters, self.model_.gradients)": LENGTHS,
        "_MLP._epoch: self.model_.forward(X[batch], training=True) → "
        "self.model_.forward(X[batch], training=False)": TRAINING,
        "_MLP._epoch: self.model_.forward(X[batch], training=True) → "
        "self.model_.forward(X[batch])": TRAINING,
        "_MLP._epoch: w.sum() → w.mean()": "the mean is finite where the sum is",
        "_MLP._new_outputs: X.astype(self.model_.parameters[0].dtype, copy=False) → "
        "X.astype(self.model_.parameters[0].dtype, copy=True)": COPY,
        "_MLP._new_outputs: X.astype(self.model_.parameters[0].dtype, copy=False) → "
        "X.astype(self.model_.parameters[0].dtype)": COPY,
        "_MLP._new_outputs: self.model_.parameters[0] → self.model_.parameters[1]": DTYPE,
        "_MLP._new_outputs: self.model_.parameters[0] → self.model_.parameters[-1]": DTYPE,
        "MLPClassifier.partial_fit: self.model_.parameters[0] → self.model_.parameters[1]": DTYPE,
        "MLPClassifier.partial_fit: self.model_.parameters[0] → self.model_.parameters[-1]": DTYPE,
        "MLPRegressor.partial_fit: self.model_.parameters[0] → self.model_.parameters[1]": DTYPE,
        "MLPRegressor.partial_fit: self.model_.parameters[0] → self.model_.parameters[-1]": DTYPE,
        "_MLP._keep_aside: 2 ** 31 → 2 * 31": SEED,
        "_MLP._keep_aside: 2 ** 31 → 2 ** 32": SEED,
        "_MLP._keep_aside: 2 ** 31 → 2 ** 30": SEED,
        "MLPClassifier.partial_fit: np.array_equal(known, self.classes_) → "
        "np.array_equal(self.classes_, known)": "equality asks for no order",
        "MLPClassifier._score: accuracy(Z.argmax(axis=1), T) → accuracy(T, Z.argmax(axis=1))": (
            "the share of equal entries asks for no order"
        ),
        "MLPRegressor.predict: Z[:, 0] → Z[:, -1]": "there is one column",
        "_MLP._new_outputs: validate_data(self, X, dtype=FLOATS, reset=False) → "
        "validate_data(self, X, reset=False)": "the numbers get the dtype of the parameters next",
        "MLPRegressor._examples: validate_data(self, X, y, dtype=FLOATS, "
        "multi_output=True, y_numeric=True, reset=first) → validate_data(self, X, y, "
        "dtype=FLOATS, multi_output=True, y_numeric=False, reset=first)": FLOATED,
        "MLPClassifier._examples: validate_data(self, X, y, dtype=FLOATS, "
        "multi_output=True, reset=first) → validate_data(self, X, y, dtype=FLOATS, "
        "multi_output=False, reset=first)": COLUMN,
        "MLPClassifier._examples: validate_data(self, X, y, dtype=FLOATS, "
        "multi_output=True, reset=first) → validate_data(self, X, y, dtype=FLOATS, "
        "reset=first)": COLUMN,
        "MLPRegressor._examples: validate_data(self, X, y, dtype=FLOATS, "
        "multi_output=True, y_numeric=True, reset=first) → validate_data(self, X, y, "
        "dtype=FLOATS, multi_output=True, reset=first)": FLOATED,
        "MLPRegressor._examples: -1 → -2": "NumPy works out any negative length",
    },
    "gradcheck": {
        "directional_derivative: range(1, 7) → range(0, 7)": (
            "one more step to choose from; the steadiest is still taken"
        ),
        "directional_derivative: range(1, 7) → range(1, 8)": (
            "one more step to choose from; the steadiest is still taken"
        ),
        "gradcheck: zip(names, arguments, strict=True) → zip(names, arguments, strict=False)": (
            "nothing that is documented gives two lengths: strict only says so"
        ),
        "gradcheck: zip(names, arguments, strict=True) → zip(names, arguments)": LENGTHS,
        "gradcheck.slope.along: forward(*moved)[0] - output → forward(*moved)[0] + output": (
            "a constant cancels in the differences; it only costs digits"
        ),
        "gradcheck: error <= tolerance → error < tolerance": (
            "differs only where both are equal to the last bit"
        ),
        "gradcheck: entries.error > tolerance → entries.error >= tolerance": (
            "differs only where both are equal to the last bit"
        ),
        "_Entries.__init__: self.errors.max(initial=0.0) → self.errors.max(initial=-1.0)": (
            "where no entry is, the error along the direction is 0 already"
        ),
        "_Entries.told: self.errors > tolerance → self.errors >= tolerance": (
            "differs only where both are equal to the last bit"
        ),
    },
    "layers/activations": {
        "Activation.forward: False → True": "an activation is the same in training",
    },
    "layers/base": {
        "Layer.forward: False → True": "the function only says that each kind computes for itself",
    },
    "layers/linear": {
        "Linear.forward: False → True": "a linear layer is the same in training",
    },
    "neuron": {
        "descend: W[:, 0] → W[:, -1]": "W has one column",
        "descend: b[0] → b[-1]": "b has one entry",
        "descend: zip(*visited, strict=True) → zip(*visited, strict=False)": LENGTHS,
        "descend: zip(*visited, strict=True) → zip(*visited)": LENGTHS,
    },
    "normalization": {
        "_all_but_features: return (0, *range(2, X.ndim)) → return (*range(2, X.ndim), 0)": (
            "axes of a mean have no order"
        ),
    },
    "optimizers": {
        "Optimizer._decayed: np.multiply(w, float(self.weight_decay), out=room) → "
        "np.multiply(float(self.weight_decay), w, out=room)": COMMUTES,
        "Optimizer._decayed: np.add(g, decay, out=room) → np.add(decay, g, out=room)": COMMUTES,
        "SGD._change: np.multiply(v, float(self.momentum), out=room) → "
        "np.multiply(float(self.momentum), v, out=room)": COMMUTES,
        "SGD._change: np.add(g, room, out=room) → np.add(room, g, out=room)": COMMUTES,
        "SGD._change: np.multiply(g, float(self.lr), out=room) → "
        "np.multiply(float(self.lr), g, out=room)": COMMUTES,
        "RMSprop._change: np.multiply(g, float(self.lr), out=room) → "
        "np.multiply(float(self.lr), g, out=room)": COMMUTES,
        "SGD.__init__: 1 if momentum else 0 → 1 if momentum else -1": (
            "no state is made of -1, as of 0"
        ),
    },
    "pooling": {
        "_check_upstream: X.dtype.type(0) → X.dtype.type(1)": (
            "only its shape and dtype are looked at"
        ),
        "_check_upstream: X.dtype.type(0) → X.dtype.type(-1)": (
            "only its shape and dtype are looked at"
        ),
    },
    "rates": {
        "lr_range_test: zip(rates, shuffled, strict=False) → zip(rates, shuffled)": DEFAULT,
    },
    "schedules": {
        "one_cycle: t <= top → t < top": "equivalent: both halves of the wave are max_lr there",
    },
    "training": {
        "_Best.restore: zip(self._arrays(), self.kept, strict=True) → "
        "zip(self._arrays(), self.kept, strict=False)": LENGTHS,
        "_Best.restore: zip(self._arrays(), self.kept, strict=True) → "
        "zip(self._arrays(), self.kept)": LENGTHS,
    },
    "updates": {
        "adamw_update: check_arrays(w=(w, '...'), g=(g, '...'), m=(m, '...'), v=(v, "
        "'...')) → check_arrays(w=(w, '...'), m=(m, '...'), v=(v, '...'))": NEXT,
        "adamw_update: check_arrays(w=(w, '...'), g=(g, '...'), m=(m, '...'), v=(v, "
        "'...')) → check_arrays(w=(w, '...'), g=(g, '...'), v=(v, '...'))": NEXT,
        "adamw_update: check_arrays(w=(w, '...'), g=(g, '...'), m=(m, '...'), v=(v, "
        "'...')) → check_arrays(w=(w, '...'), g=(g, '...'), m=(m, '...'))": NEXT,
    },
}


def modules() -> list[str]:
    """List the modules that hold code, as ``losses/pairs``."""
    files = sorted((ROOT / PACKAGE).rglob("*.py"))
    names = [file.relative_to(ROOT / PACKAGE).with_suffix("").as_posix() for file in files]
    return [name for name in names if not name.endswith("__init__")]


def digest(module: str) -> str:
    """Tell one state of a module's code from another, whatever its docstrings say."""
    source = (ROOT / PACKAGE / f"{module}.py").read_text(encoding="utf-8")
    documentation = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        for line in range(node.lineno, (node.end_lineno or 0) + 1)
    }
    lines = enumerate(source.splitlines(), start=1)
    code = "\n".join(line for number, line in lines if line and number not in documentation)
    return hashlib.sha256(code.encode()).hexdigest()[:12]


def recorded(folder: Path = RESULTS) -> dict[str, Outcome]:
    """Return what was recorded of the modules that there are."""
    path = folder / "mutants.json"
    if not path.is_file():
        return {}
    known = json.loads(path.read_text(encoding="utf-8"))["values"]["modules"]
    return {module: found for module, found in known.items() if module in modules()}


def changed_since(known: dict[str, Outcome]) -> list[str]:
    """List the modules whose code is not the one that was tried."""
    return [m for m in modules() if m not in known or known[m]["digest"] != digest(m)]


def summary(known: dict[str, Outcome]) -> Outcome:
    """Add the modules up, with the reason why each mutant lives."""
    for module, found in known.items():
        for survivor in found["survivors"]:
            survivor["reason"] = REASONS.get(module, {}).get(survivor["mutant"], "")
    total, killed = (sum(found[key] for found in known.values()) for key in ("mutants", "killed"))
    return {
        "mutants": total,
        "killed": killed,
        "share_killed": round(killed / total, 4) if total else 0.0,
        "without_reason": sum(not s["reason"] for o in known.values() for s in o["survivors"]),
        "modules_not_covered": [module for module in modules() if module not in known],
        "modules": dict(sorted(known.items())),
    }


def broken_promises(values: Outcome) -> list[str]:
    """Say which promises about mutants do not hold."""
    broken = [
        f"{module}: {found['killed']} of {found['mutants']} mutants killed, not {KILLED:.0%}"
        for module, found in values["modules"].items()
        if found["killed"] < KILLED * found["mutants"]
    ]
    broken += [
        f"{module}: no reason why this lives: {survivor['mutant']}"
        for module, found in values["modules"].items()
        for survivor in found["survivors"]
        if not survivor["reason"]
    ]
    return broken
