"""The tensor of the autograd: an array that remembers how it was computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from numbers import Real
from typing import Any

import numpy as np

from dlbook.scratch.checks import Array, check_arrays

__all__ = ["Rule", "Tensor", "check_tensors", "record"]

Rule = Callable[[Array], tuple[Array, ...]]
_numbers = count()


class Tensor:
    """An array that remembers how it was computed.

    Of two tensors, or a tensor and an array or number, +, −, *, / and @ make a new tensor, as do
    ** with a number, indexing, and the functions of this module. Shapes broadcast as in NumPy.

    Parameters
    ----------
    value : ndarray of shape (...)
        Floats; kept itself, not copied, so that an optimizer may change it between passes.
    name : str, default ""
        What a drawing of the graph calls it.
    constant : bool, default False
        Whether gradients stop here.

    Attributes
    ----------
    value : ndarray of shape (...)
        The numbers; read-only if they were computed, since backward rules hold on to them.
    name : str
        What a drawing of the graph calls it.
    constant : bool
        Whether no gradient is taken: for constants, and what is computed of constants alone.
    operation : str
        What made it; empty for a tensor that was given.
    sources : tuple of Tensor
        What it was made of.

    Raises
    ------
    TypeError
        If ``value`` is not an array of floats; the message gives what it is.

    Notes
    -----
    ``x += y`` makes a new tensor under the old name and changes no array; ``x[0] = 1`` is an error.
    Run an optimizer's step after ``backward``: the rules see the parameters as they then are.

    Examples
    --------
    >>> w, x = Tensor(np.array(3.0)), np.array([1.0, 2.0])
    >>> loss = ((w * x - 4.0) ** 2).sum()  # w is used twice, once for each x
    >>> loss.backward([w])
    [array(6.)]
    """

    __array_ufunc__ = None  # array @ tensor and its like are left to this class

    def __init__(self, value: Array, *, name: str = "", constant: bool = False) -> None:
        check_arrays(value=(value, "..."))
        self.value = np.asarray(value)
        self.name = name
        self.constant = constant
        self.operation = ""
        self.sources: tuple[Tensor, ...] = ()
        self._rule: Rule = lambda _: ()
        self._number = next(_numbers)

    def backward(self, wrt: Sequence[Tensor], upstream: Array | None = None) -> list[Array]:
        """Compute the gradients of this tensor by the chain rule.

        G_s = Σ_t (∂t/∂s)ᵀ G_t over all t that were made of s, the last made first

        Parameters
        ----------
        wrt : sequence of Tensor
            With respect to what: parameters, or anything on the way.
        upstream : ndarray of shape (...), optional
            Derivative of the loss with respect to this tensor, of its shape; 1 if left out, which
            only a tensor of one number allows.

        Returns
        -------
        list of ndarray
            For each tensor of ``wrt`` its gradient, an array of its own of the tensor's shape.

        Raises
        ------
        ValueError
            If this tensor is not one number and ``upstream`` is missing or of another shape, or if
            it was not computed from one of ``wrt``; the message gives the shapes.
        TypeError
            If ``upstream`` does not hold floats of this tensor's dtype, or ``wrt`` is not a
            sequence of tensors; the message gives what it is.

        Notes
        -----
        ``torch.autograd.grad`` is the same. PyTorch's ``loss.backward()`` adds to ``.grad``, which
        must be cleared before each pass; here nothing is kept, and a second call returns the same.

        Examples
        --------
        >>> x = Tensor(np.array([1.0, 2.0]))
        >>> (x * x).backward([x], upstream=np.array([10.0, 100.0]))
        [array([ 20., 400.])]
        """
        check_tensors(wrt)
        for i, tensor in enumerate(wrt):
            if tensor.constant:
                raise ValueError(f"expected wrt[{i}] to take a gradient, got a constant")
        gradients = {self: self._upstream(upstream)}
        for tensor in self._last_made_first():
            for source, G in zip(tensor.sources, tensor._rule(gradients[tensor]), strict=True):
                if not source.constant:
                    G = _unbroadcast(G, source.value.shape)
                    gradients[source] = gradients[source] + G if source in gradients else G
            if tensor not in wrt:
                del gradients[tensor]  # no rule needs it any more
        for i, tensor in enumerate(wrt):
            if tensor not in gradients:
                raise ValueError(
                    f"expected a tensor computed from wrt[{i}], of shape {tensor.value.shape}, got "
                    "one that does not depend on it"
                )
        return [np.array(gradients[tensor]) for tensor in wrt]

    def _upstream(self, upstream: Array | None) -> Array:
        if upstream is None:
            if self.value.size != 1:
                raise ValueError(
                    f"expected an upstream gradient of shape {self.value.shape}, since this tensor "
                    "is not one number, got none: sum or average it first, or pass one"
                )
            return np.ones_like(self.value)
        check_arrays(value=(self.value, "..."), upstream=(upstream, "..."))
        return upstream

    def _last_made_first(self) -> list[Tensor]:
        """Order what this was made of: a tensor is always made after its sources."""
        found, waiting = {self}, [self]
        while waiting:
            for source in waiting.pop().sources:
                if source not in found and not source.constant:
                    found.add(source)
                    waiting.append(source)
        return sorted(found, key=lambda tensor: tensor._number, reverse=True)

    def _operand(self, other: Any) -> Tensor:
        """Return the other side of an operation as a tensor, a constant unless it is one."""
        if isinstance(other, Real):
            value = np.asarray(other, dtype=self.value.dtype)
            return Tensor(value, name=f"{other:g}", constant=True)
        tensor = other if isinstance(other, Tensor) else Tensor(other, constant=True)
        if tensor.value.dtype != self.value.dtype:
            raise TypeError(
                f"expected floats of one dtype, got {self.value.dtype} and {tensor.value.dtype}: "
                f"use .astype(np.{self.value.dtype})"
            )
        return tensor

    def __add__(self, other: Any) -> Tensor:
        other = self._operand(other)
        return record("+", self.value + other.value, (self, other), lambda G: (G, G))

    def __sub__(self, other: Any) -> Tensor:
        other = self._operand(other)
        return record("−", self.value - other.value, (self, other), lambda G: (G, -G))

    def __mul__(self, other: Any) -> Tensor:
        other = self._operand(other)
        a, b = self.value, other.value
        return record("*", a * b, (self, other), lambda G: (G * b, G * a))

    def __truediv__(self, other: Any) -> Tensor:
        other = self._operand(other)
        a, b = self.value, other.value
        return record("/", a / b, (self, other), lambda G: (G / b, -G * a / b**2))

    def __pow__(self, exponent: float) -> Tensor:
        if not isinstance(exponent, Real):
            raise TypeError(
                f"expected a number as exponent, got {type(exponent).__name__}: "
                "write exp(exponent * log(x))"
            )
        x, p = self.value, float(exponent)
        slope = p * x ** (p - 1) if p else np.zeros_like(x)
        return record(f"**{p:g}", x**p, (self,), lambda G: (G * slope,))

    def __matmul__(self, other: Any) -> Tensor:
        other = self._operand(other)
        A, B = self.value, other.value
        if A.ndim < 2 or B.ndim < 2:
            raise ValueError(
                f"expected matrices for @, got shapes {A.shape} and {B.shape}: for vectors use "
                "(a * b).sum(), or .reshape"
            )
        return record("@", A @ B, (self, other), lambda G: (G @ B.mT, A.mT @ G))

    def __getitem__(self, index: Any) -> Tensor:
        x = self.value

        def rule(G: Array) -> tuple[Array, ...]:
            D = np.zeros_like(x)
            np.add.at(D, index, G)  # an entry taken twice gets both gradients
            return (D,)

        return record("[ ]", x[index], (self,), rule)

    def __neg__(self) -> Tensor:
        return record("−", -self.value, (self,), lambda G: (-G,))

    def __radd__(self, other: Any) -> Tensor:
        return self.__add__(other)

    def __rmul__(self, other: Any) -> Tensor:
        return self.__mul__(other)

    def __rsub__(self, other: Any) -> Tensor:
        return self._operand(other) - self

    def __rtruediv__(self, other: Any) -> Tensor:
        return self._operand(other) / self

    def __rmatmul__(self, other: Any) -> Tensor:
        return self._operand(other).__matmul__(self)

    def __repr__(self) -> str:
        return f"Tensor({self.value})"

    @property
    def T(self) -> Tensor:  # noqa: N802  # NumPy's own name for it
        """The tensor with its last two axes exchanged: of a matrix, the transpose."""
        if self.value.ndim < 2:
            raise ValueError(f"expected a matrix to transpose, got shape {self.value.shape}")
        return record("T", self.value.mT, (self,), lambda G: (G.mT,))

    def reshape(self, *shape: int) -> Tensor:
        """Arrange the same numbers in another shape.

        Parameters
        ----------
        *shape : int
            The lengths of the axes; one of them may be −1, which is then worked out.

        Returns
        -------
        Tensor
            A tensor of that shape.

        Raises
        ------
        ValueError
            If the numbers do not fill the shape; the message gives both.

        Examples
        --------
        >>> Tensor(np.array([1.0, 2.0])).reshape(2, 1).value.shape
        (2, 1)
        """
        old = self.value.shape
        return record("reshape", self.value.reshape(shape), (self,), lambda G: (G.reshape(old),))

    def sum(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Tensor:
        """Add the numbers up, all of them or along axes.

        ∂s/∂x_i = 1 for every x_i of a sum s

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes; all, if left out.
        keepdims : bool, default False
            Keep these axes, with length 1.

        Returns
        -------
        Tensor
            The sums.

        Raises
        ------
        ValueError
            If there is no such axis; the message gives it.

        Examples
        --------
        >>> Tensor(np.array([[1.0, 2.0], [3.0, 4.0]])).sum(axis=0)
        Tensor([4. 6.])
        """
        x = self.value
        kept: Array = x.sum(axis=axis, keepdims=True)

        def rule(G: Array) -> tuple[Array, ...]:
            return (np.broadcast_to(G.reshape(kept.shape), x.shape),)

        return record("sum", kept if keepdims else kept.squeeze(axis), (self,), rule)

    def mean(self, axis: int | tuple[int, ...] | None = None, *, keepdims: bool = False) -> Tensor:
        """Average the numbers, all of them or along axes.

        mean = s / m, where m numbers have the sum s

        Parameters
        ----------
        axis : int or tuple of int, optional
            Along which axes; all, if left out.
        keepdims : bool, default False
            Keep these axes, with length 1.

        Returns
        -------
        Tensor
            The means.

        Raises
        ------
        ValueError
            If there is no such axis, or no number to average; the message gives the axis or the
            shape.

        Examples
        --------
        >>> Tensor(np.array([[1.0, 2.0], [3.0, 4.0]])).mean(axis=0)
        Tensor([2. 3.])
        """
        if not self.value.size:
            raise ValueError(f"expected at least one number to average, got {self.value.shape}")
        sums = self.sum(axis=axis, keepdims=keepdims)
        return sums / (self.value.size // sums.value.size)


def _unbroadcast(G: Array, shape: tuple[int, ...]) -> Array:
    """Add up what broadcasting had repeated: the backward pass of a copy is a sum."""
    new_axes = tuple(range(G.ndim - len(shape)))
    G = G.sum(axis=new_axes) if new_axes else G
    stretched = tuple(i for i, m in enumerate(shape) if m == 1 != G.shape[i])
    return G.sum(axis=stretched, keepdims=True) if stretched else G


def check_tensors(tensors: Sequence[Tensor]) -> None:
    """Refuse what is not a tensor.

    Parameters
    ----------
    tensors : sequence of Tensor
        What should be tensors.

    Raises
    ------
    TypeError
        If one is not; the message gives what it is.

    Examples
    --------
    >>> check_tensors([3.0])
    Traceback (most recent call last):
    TypeError: expected a Tensor, got float: use Tensor(array)
    """
    for x in tensors:
        if not isinstance(x, Tensor):
            raise TypeError(f"expected a Tensor, got {type(x).__name__}: use Tensor(array)")


def record(operation: str, value: Array, sources: tuple[Tensor, ...], rule: Rule) -> Tensor:
    """Make the tensor that an operation computed, with the rule for its way back.

    Parameters
    ----------
    operation : str
        The name of the operation.
    value : ndarray of shape (...)
        What it computed.
    sources : tuple of Tensor
        What it was computed from.
    rule : callable
        Takes the gradient of the result, returns a gradient for each source; those that were
        broadcast may keep the shape of the result.

    Returns
    -------
    Tensor
        The result; constant if all its sources are.

    Examples
    --------
    >>> x = Tensor(np.array([3.0]))
    >>> record("cube", x.value**3, (x,), lambda G: (G * 3 * x.value**2,)).backward([x])
    [array([27.])]
    """
    value = np.asarray(value).view()
    value.flags.writeable = False
    constant = all(source.constant for source in sources)
    tensor = Tensor(value, constant=constant)
    tensor.operation, tensor.sources, tensor._rule = operation, sources, rule
    return tensor
