"""The linear map: a weighted sum of the inputs and a bias, for a whole batch at once."""

from __future__ import annotations

from dlbook.scratch.checks import Array, check_arrays
from dlbook.scratch.reductions import column_sum

__all__ = [
    "linear_backward",
    "linear_forward",
    "linear_input_gradient",
    "linear_parameter_gradients",
]

Cache = tuple[Array, Array]


def linear_forward(X: Array, W: Array, b: Array) -> tuple[Array, Cache]:
    """Map every example to d_out weighted sums of its d_in inputs, each with its bias.

    Z = X W + b, that is Z_ij = Σ_l X_il W_lj + b_j

    Parameters
    ----------
    X : ndarray of shape (n, d_in)
        Inputs, one example a row.
    W : ndarray of shape (d_in, d_out)
        Weights, one column for each output.
    b : ndarray of shape (d_out,)
        Biases.

    Returns
    -------
    Z : ndarray of shape (n, d_out)
        Pre-activations.
    cache : tuple
        X and W themselves, not copies, which the backward pass needs.

    Raises
    ------
    ValueError
        If a shape does not fit the others; the message gives the one expected and the one that
        came.
    TypeError
        If the arrays do not hold floats of one dtype; the message gives what they hold.

    Notes
    -----
    ``torch.nn.functional.linear`` takes W transposed, of shape (d_out, d_in).

    Examples
    --------
    >>> import numpy as np
    >>> X, W, b = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([5.0])
    >>> linear_forward(X, W, b)[0]
    array([[16.]])
    """
    check_arrays(W=(W, "d_in, d_out"), b=(b, "d_out"), X=(X, "n, d_in"))
    Z = X @ W + b  # (n, d_out)
    return Z, (X, W)


def linear_backward(dZ: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Carry the gradient of the loss from the weighted sums back to X, W and b.

    dX = dZ Wᵀ, dW = Xᵀ dZ, and db_j = Σ_i dZ_ij

    Parameters
    ----------
    dZ : ndarray of shape (n, d_out)
        Upstream gradient: the derivative of the loss with respect to Z.
    cache : tuple
        What ``linear_forward`` returned: X of shape (n, d_in) and W of shape (d_in, d_out).

    Returns
    -------
    dX : ndarray of shape (n, d_in)
        Derivative of the loss with respect to X.
    dW : ndarray of shape (d_in, d_out)
        Derivative of the loss with respect to W.
    db : ndarray of shape (d_out,)
        Derivative of the loss with respect to b.

    Raises
    ------
    ValueError
        If the shape of dZ is not that of Z; the message gives both.
    TypeError
        If dZ does not hold floats of the dtype of X; the message gives what it holds.

    Notes
    -----
    There is no 1/n here: where the loss is a mean, dZ already holds it. Sums over the batch are
    therefore plain sums.

    Examples
    --------
    >>> import numpy as np
    >>> X, W, b = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([5.0])
    >>> dX, dW, db = linear_backward(np.array([[10.0]]), linear_forward(X, W, b)[1])
    >>> dX, dW.ravel(), db
    (array([[30., 40.]]), array([10., 20.]), array([10.]))
    """
    X, W = cache
    check_arrays(X=(X, "n, d_in"), W=(W, "d_in, d_out"), dZ=(dZ, "n, d_out"))
    dX = dZ @ W.T  # (n, d_in)
    dW = X.T @ dZ  # (d_in, d_out)
    db = dZ.sum(axis=0)  # (d_out,)
    return dX, dW, db


def linear_input_gradient(dZ: Array, cache: Cache) -> Array:
    """Carry the gradient of the loss back to X alone.

    dX = dZ Wᵀ

    Parameters
    ----------
    dZ : ndarray of shape (n, d_out)
        Upstream gradient: the derivative of the loss with respect to Z.
    cache : tuple
        What ``linear_forward`` returned: X of shape (n, d_in) and W of shape (d_in, d_out).

    Returns
    -------
    ndarray of shape (n, d_in)
        Derivative of the loss with respect to X.

    Raises
    ------
    ValueError, TypeError
        As ``linear_backward``.

    Examples
    --------
    >>> import numpy as np
    >>> X, W, b = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([5.0])
    >>> linear_input_gradient(np.array([[10.0]]), linear_forward(X, W, b)[1])
    array([[30., 40.]])
    """
    X, W = cache
    check_arrays(X=(X, "n, d_in"), W=(W, "d_in, d_out"), dZ=(dZ, "n, d_out"))
    return dZ @ W.T


def linear_parameter_gradients(dZ: Array, cache: Cache) -> tuple[Array, Array]:
    """Carry the gradient of the loss back to W and b alone: a third of the products less.

    dW = Xᵀ dZ, and db_j = Σ_i dZ_ij

    Parameters
    ----------
    dZ : ndarray of shape (n, d_out)
        Upstream gradient: the derivative of the loss with respect to Z.
    cache : tuple
        What ``linear_forward`` returned: X of shape (n, d_in) and W of shape (d_in, d_out).

    Returns
    -------
    dW : ndarray of shape (d_in, d_out)
        Derivative of the loss with respect to W.
    db : ndarray of shape (d_out,)
        Derivative of the loss with respect to b.

    Raises
    ------
    ValueError, TypeError
        As ``linear_backward``.

    Notes
    -----
    For the first layer of a network, whose inputs are data.

    Examples
    --------
    >>> import numpy as np
    >>> X, W, b = np.array([[1.0, 2.0]]), np.array([[3.0], [4.0]]), np.array([5.0])
    >>> dW, db = linear_parameter_gradients(np.array([[10.0]]), linear_forward(X, W, b)[1])
    >>> dW.ravel(), db
    (array([10., 20.]), array([10.]))
    """
    X, W = cache
    check_arrays(X=(X, "n, d_in"), W=(W, "d_in, d_out"), dZ=(dZ, "n, d_out"))
    return X.T @ dZ, column_sum(dZ)
