"""What every operation promises, held for each entry of ``tests/cases``."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial, wraps
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import dlbook.data
import dlbook.metrics
import dlbook.scratch
from dlbook.scratch.gradcheck import GradientError, gradcheck
from tests.cases import CALLS, CASES, WITHOUT_CALL, Case, Draw, Sizes, on_random_shapes
from tests.shapes import ShapeError, Stated, hold_shapes, location

each_case = pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
each_call = pytest.mark.parametrize(
    ("function", "draw"), CALLS.items(), ids=[function.__qualname__ for function in CALLS]
)
SIZES = Sizes(4, 3, 2)


def named(function: Callable[..., Any], *arguments: Any, **options: Any) -> dict[str, Any]:
    return inspect.signature(function).bind_partial(*arguments, **options).arguments


def hold_gradient(case: Case, sizes: Sizes, seed: int) -> None:
    rng = np.random.default_rng(seed)
    try:
        gradcheck(case.forward, case.backward, *case.draw(rng, sizes), rng=rng)
    except GradientError as error:
        where = f"{location(case.backward)}: {case.backward.__name__}"
        raise AssertionError(
            f"{where}: {error}. Derive it again, or mend {case.forward.__name__}."
        ) from None


def hold_case_shapes(case: Case, sizes: Sizes, seed: int) -> None:
    rng = np.random.default_rng(seed)
    arguments = case.draw(rng, sizes)
    output, cache = case.forward(*arguments)
    hold_shapes(case.forward, named(case.forward, *arguments), (output, cache))
    upstream = case.upstream(rng, output)
    given = (cache,) if np.ndim(output) == 0 else (upstream, cache)
    hold_shapes(case.backward, named(case.backward, *given), case.backward(*given))
    if case.value:
        hold_shapes(case.value, named(case.value, *arguments), case.value(*arguments))
    for gradient, argument in zip(case.gradients(upstream, cache), arguments, strict=False):
        assert gradient.shape == argument.shape, "a gradient has the shape of its argument"


@each_case
@on_random_shapes
def test_backward_is_the_derivative_of_forward(case: Case, sizes: Sizes, seed: int) -> None:
    hold_gradient(case, sizes, seed)


@each_case
@on_random_shapes
def test_shapes_are_those_of_the_docstring(case: Case, sizes: Sizes, seed: int) -> None:
    hold_case_shapes(case, sizes, seed)


@each_call
@on_random_shapes
def test_shapes_of_other_functions_are_those_of_the_docstring(
    function: Callable[..., Any], draw: Draw, sizes: Sizes, seed: int
) -> None:
    call = draw(np.random.default_rng(seed), sizes)
    assert call.func is function, "tests/cases: this call is of another function"
    hold_shapes(function, named(function, *call.args, **call.keywords), call())


@each_case
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_dtype_is_kept(case: Case, dtype: type) -> None:
    rng = np.random.default_rng(0)
    arguments = [a.astype(dtype) if a.dtype.kind == "f" else a for a in case.draw(rng, SIZES)]
    output, cache = case.forward(*arguments)
    results = [*case.gradients(case.upstream(rng, output), cache)]
    if not isinstance(output, float):
        results += [output, *([case.value(*arguments)] if case.value else [])]
    assert {result.dtype for result in results} == {np.dtype(dtype)}


@each_case
def test_inputs_and_cache_are_left_as_they_are(case: Case) -> None:
    rng = np.random.default_rng(0)
    arguments = case.draw(rng, SIZES)
    kept = [argument.copy() for argument in arguments]
    output, cache = case.forward(*arguments)
    upstream = case.upstream(rng, output)
    kept_upstream = np.copy(upstream)
    first = case.gradients(upstream, cache)
    for gradient, again in zip(first, case.gradients(upstream, cache), strict=True):
        assert_array_equal(again, gradient, err_msg="the backward pass changed its cache")
    assert_array_equal(upstream, kept_upstream)
    for argument, copy in zip(arguments, kept, strict=True):
        assert_array_equal(argument, copy)


@each_case
def test_value_form_computes_what_forward_computes(case: Case) -> None:
    if case.value:
        arguments = case.draw(np.random.default_rng(0), SIZES)
        assert_array_equal(case.value(*arguments), case.forward(*arguments)[0])


@each_case
def test_a_batch_of_none_is_taken_by_maps_and_refused_by_losses(case: Case) -> None:
    rng = np.random.default_rng(0)
    arguments = case.draw(rng, Sizes(0, 3, 2))
    if not case.takes_none or isinstance(case.forward(*case.draw(rng, SIZES))[0], float):
        with pytest.raises(ValueError, match=r"expected at least (one|two) entr"):
            case.forward(*arguments)
        return
    output, cache = case.forward(*arguments)
    gradients = case.gradients(case.upstream(rng, output), cache)
    assert [g.shape for g in gradients] == [a.shape for a in arguments[: len(gradients)]]


@each_case
def test_bad_arguments_are_refused(case: Case) -> None:
    rng = np.random.default_rng(0)
    arguments = case.draw(rng, SIZES)
    for what, bad, error in spoiled(case.forward, arguments):
        refuses(case.forward, bad, error, what)
    for refusal in case.refusals:
        with pytest.raises(ValueError, match=refusal.message):
            case.forward(*refusal.spoil(*arguments))
    output, cache = case.forward(*arguments)
    if isinstance(output, np.ndarray):
        upstream = case.upstream(rng, output)
        for what, bad, error in spoiled_upstream(upstream):
            refuses(case.backward, (bad, cache), error, f"{what} as upstream gradient")


def refuses(function: Any, arguments: Any, error: type[Exception], what: str) -> None:
    try:
        function(*arguments)
    except error as refusal:
        message = str(refusal)
        assert "expected" in message, f"{function.__name__}, {what}: {message}"
        assert "got" in message, f"{function.__name__}, {what}: {message}"
    else:
        pytest.fail(f"{function.__name__} takes {what}")


Spoiled = Iterator[tuple[str, Any, type[Exception]]]


def spoiled(function: Callable[..., Any], arguments: tuple[np.ndarray, ...]) -> Spoiled:
    """Spoil one argument at a time, in every way that the stated shapes let show."""
    names = list(inspect.signature(function).parameters)[: len(arguments)]
    stated = [Stated(function).shape("parameters", name) for name in names]
    symbols = [re.findall(r"\w+|\.\.\.", shape[1]) if shape else [] for shape in stated]
    for i, (name, array) in enumerate(zip(names, arguments, strict=True)):
        others = {symbol for j, given in enumerate(symbols) if j != i for symbol in given}
        alone = sum(argument.dtype.kind == "f" for argument in arguments) == 1
        for what, bad, error in spoiled_array(array, symbols[i], others, alone=alone):
            yield f"{what} as {name}", (*arguments[:i], bad, *arguments[i + 1 :]), error


def spoiled_array(
    array: np.ndarray, symbols: list[str], others: set[str], *, alone: bool
) -> Spoiled:
    yield "a list", array.tolist(), TypeError
    floats = array.dtype.kind == "f"
    yield "a wrong kind", array.astype(np.int64 if floats else np.float64), TypeError
    if floats and not alone:
        yield "another dtype", array.astype(np.float32), TypeError
    for axis in range(array.ndim):
        symbol = "..." if "..." in symbols else symbols[axis]
        if symbol in others:
            yield f"one more along axis {axis}", grown(array, axis), ValueError
    if "..." not in symbols or "..." in others:
        yield "another axis", array[..., np.newaxis], ValueError


def spoiled_upstream(upstream: np.ndarray) -> Spoiled:
    yield from spoiled_array(upstream, ["..."], {"..."}, alone=False)


def grown(array: np.ndarray, axis: int) -> np.ndarray:
    return np.concatenate([array, array.take([0], axis)], axis)


def public_functions() -> Iterator[Callable[..., Any]]:
    """Yield every public function and method of the hand-written half and what it rests on."""
    for module in [dlbook.metrics, *submodules(dlbook.scratch), *submodules(dlbook.data)]:
        for thing in vars(module).values():
            if getattr(thing, "__module__", "") == module.__name__:
                members = vars(thing).values() if inspect.isclass(thing) else [thing]
                yield from (m for m in members if inspect.isfunction(m) and m.__name__[0] != "_")


def submodules(package: ModuleType) -> list[ModuleType]:
    found = pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    return [importlib.import_module(module.name) for module in found]


def has_arrays(function: Callable[..., Any]) -> bool:
    doc = Stated(function)
    items = doc.section("parameters") + doc.section("returns")
    annotations = " ".join(map(str, function.__annotations__.values()))
    return any("ndarray" in f"{item.annotation}{item.description}" for item in items) or bool(
        re.search(r"Array|Labels|ndarray|Classes", annotations)
    )


def test_no_public_function_of_arrays_is_without_a_case() -> None:
    known = {*CALLS, *WITHOUT_CALL}
    known |= {
        inspect.unwrap(f) for case in CASES for f in (case.forward, case.backward, case.value) if f
    }
    without = [
        f"{f.__module__}.{f.__qualname__}"
        for f in public_functions()
        if has_arrays(f) and f not in known
    ]
    assert without == [], "give these a Case (a pair of functions) or a call in tests/cases"


def test_no_backward_pass_is_without_a_case() -> None:
    checked = {inspect.unwrap(case.backward) for case in CASES}
    without = [
        f.__name__
        for f in public_functions()
        if f.__qualname__.endswith("_backward") and f not in checked
    ]
    assert without == [], "give these a Case in tests/cases: it checks their gradients"


def transposed(X: np.ndarray) -> np.ndarray:
    """Return X, says this docstring.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Any matrix.

    Returns
    -------
    ndarray of shape (n, d)
        Not X.
    """
    return X.T


def test_a_false_shape_in_a_docstring_is_told_with_file_line_and_remedy() -> None:
    X = np.zeros((4, 3))
    with pytest.raises(ShapeError) as told:
        hold_shapes(transposed, {"X": X}, transposed(X))
    lines, first = inspect.getsourcelines(transposed)
    line = first + lines.index("    ndarray of shape (n, d)\n")
    assert str(told.value) == (
        f"tests/test_contract.py:{line}: transposed states that the result has shape (n, d) with "
        "n = 4, d = 3, but the array has shape (3, 4). Mend the docstring, or the code if the "
        "docstring says what was meant."
    )


def test_a_docstring_without_a_shape_is_told() -> None:
    def silent(X: np.ndarray) -> np.ndarray:
        """Return X.

        Parameters
        ----------
        X : ndarray
            Any matrix.
        """
        return X

    X = np.zeros((4, 3))
    with pytest.raises(ShapeError, match=r"test_contract.py:\d+: .*silent states no shape for X"):
        hold_shapes(silent, {"X": X}, X)
    with pytest.raises(ShapeError, match="silent needs a section Returns"):
        hold_shapes(silent, {}, X)


def calls() -> Iterator[tuple[Callable[..., Any], dict[str, Any], Any]]:
    """Yield each function of this suite with the arguments and the result of one call."""
    for function, draw in CALLS.items():
        call = draw(np.random.default_rng(0), SIZES)
        yield function, named(function, *call.args, **call.keywords), call()
    for case in CASES:
        rng = np.random.default_rng(0)
        arguments = case.draw(rng, SIZES)
        output, cache = case.forward(*arguments)
        upstream = case.upstream(rng, output)
        given = (cache,) if np.ndim(output) == 0 else (upstream, cache)
        yield case.forward, named(case.forward, *arguments), (output, cache)
        yield case.backward, named(case.backward, *given), case.backward(*given)
        if case.value:
            yield case.value, named(case.value, *arguments), case.value(*arguments)


def test_no_shape_of_a_docstring_can_be_falsified_unnoticed() -> None:
    unnoticed, falsified = [], 0
    for function, arguments, result in calls():
        text = inspect.getdoc(function) or ""
        for line in re.findall(r"^.*ndarray of shape \(.*\)$", text, re.MULTILINE):
            false = wraps(function)(partial(function))
            false.__doc__ = text.replace(line, line.replace("of shape (", "of shape (97, "))
            falsified += 1
            try:
                results = iter([np.zeros(3)]) if isinstance(result, Iterator) else result
                hold_shapes(false, arguments, results)
            except ShapeError:
                continue
            unnoticed.append(f"{function.__qualname__}: {line}")
    assert unnoticed == []
    assert falsified > 60


def test_a_wrong_gradient_turns_the_suite_red_and_is_told() -> None:
    linear = next(case for case in CASES if case.name == "linear")

    def without_batch_sum(dZ: np.ndarray, cache: Any) -> tuple[np.ndarray, ...]:
        dX, dW, db = linear.backward(dZ, cache)
        return dX, dW, db / len(dZ)

    with pytest.raises(AssertionError) as told:
        hold_gradient(replace(linear, backward=without_batch_sum), SIZES, seed=0)
    line = inspect.getsourcelines(without_batch_sum)[1]
    assert str(told.value).startswith(
        f"tests/test_contract.py:{line}: without_batch_sum: the gradient with respect to b is wrong"
    )
    assert "Their quotient is 0.25" in str(told.value)
    assert str(told.value).endswith("Derive it again, or mend linear_forward.")
