"""Normalization: numbers moved to mean 0 and variance 1, then scaled and shifted as is learned."""

from __future__ import annotations

import numpy as np

from dlbook.scratch.checks import Array, check_arrays, check_number

__all__ = [
    "batch_norm_backward",
    "batch_norm_forward",
    "fixed_norm_backward",
    "fixed_norm_forward",
    "layer_norm_backward",
    "layer_norm_forward",
    "running_statistics",
]

Cache = tuple[Array, Array, Array]


def batch_norm_forward(
    X: Array, gamma: Array, beta: Array, *, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """Normalize every feature over the batch, then scale and shift it.

    X̂_ij = (X_ij − μ_j) / √(σ²_j + ε), with the mean μ and the variance σ² of the batch, and
    Z_ij = γ_j X̂_ij + β_j

    Parameters
    ----------
    X : ndarray of shape (n, d, ...)
        Rows of d features, or images of d channels: then every pixel counts as an example.
    gamma : ndarray of shape (d,)
        Scales γ.
    beta : ndarray of shape (d,)
        Shifts β.
    eps : float, default 1e-5
        Keeps the quotient finite where a feature is constant; above 0.

    Returns
    -------
    Z : ndarray of shape (n, d, ...)
        Features of mean β and standard deviation γ.
    cache : tuple
        X̂, γ itself, and √(σ² + ε), the two last as they are multiplied with X̂.

    Raises
    ------
    ValueError
        If a shape does not fit the others, a feature has fewer than two entries, whose variance
        would say nothing, or ``eps`` is not above 0; the message gives what came.
    TypeError
        If the arrays do not hold floats of one dtype; the message gives what they hold.

    Notes
    -----
    The variance is the mean of squared deviations, divided by the number of entries. Taken as
    E[x²] − E[x]² it could come out negative.

    References
    ----------
    S. Ioffe and C. Szegedy, "Batch Normalization: Accelerating Deep Network Training by Reducing
    Internal Covariate Shift", ICML 2015, algorithm 1.

    Examples
    --------
    >>> X = np.array([[1.0, 500.0], [3.0, 700.0]])
    >>> batch_norm_forward(X, gamma=np.ones(2), beta=np.array([0.0, 5.0]))[0].round(3)
    array([[-1.,  4.],
           [ 1.,  6.]])
    """
    check_number("eps", eps, np.finfo(np.float64).tiny)
    check_arrays(gamma=(gamma, "d"), beta=(beta, "d"), X=(X, _layout(X)))
    _check_entries(X)
    axes = _all_but_features(X)
    _, deviations, variance = _moments(X, axes)
    std = np.sqrt(variance + eps)  # (1, d) or (1, d, 1, 1), as are the next two
    gamma, beta = gamma.reshape(std.shape), beta.reshape(std.shape)
    X_hat = deviations / std  # (n, d, ...)
    return gamma * X_hat + beta, (X_hat, gamma, std)


def batch_norm_backward(dZ: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Carry the gradient of the loss back through the normalization over the batch.

    dX̂ = γ dZ, and dX = (dX̂ − mean(dX̂) − X̂ mean(dX̂ ∘ X̂)) / √(σ² + ε), where the means are those
    of a feature over the batch; dγ_j = Σ_i dZ_ij X̂_ij and dβ_j = Σ_i dZ_ij

    Parameters
    ----------
    dZ : ndarray of shape (n, d, ...)
        Upstream gradient: the derivative of the loss with respect to Z.
    cache : tuple
        What ``batch_norm_forward`` returned.

    Returns
    -------
    dX : ndarray of shape (n, d, ...)
        Derivative of the loss with respect to X.
    dgamma : ndarray of shape (d,)
        Derivative of the loss with respect to γ.
    dbeta : ndarray of shape (d,)
        Derivative of the loss with respect to β.

    Raises
    ------
    ValueError
        If the shape of dZ is not that of Z; the message gives both.
    TypeError
        If dZ does not hold floats of the dtype of X; the message gives what it holds.

    Notes
    -----
    The two means come from μ and σ², on which every example has its share. Z would not notice a
    shift of the batch, nor, but for ε, a scaling: hence Σ_i dX_ij = 0, and
    Σ_i dX_ij X_ij = 0 for ε = 0.

    Examples
    --------
    >>> X, ones = np.array([[1.0], [2.0], [3.0]]), np.ones(1)
    >>> Z, cache = batch_norm_forward(X, gamma=ones, beta=ones)
    >>> dX, dgamma, dbeta = batch_norm_backward(np.array([[6.0], [0.0], [0.0]]), cache)
    >>> dgamma, dbeta
    (array([-7.348]), array([6.]))
    """
    X_hat, gamma, std = cache
    check_arrays(X_hat=(X_hat, "..."), dZ=(dZ, "..."))
    axes = _all_but_features(X_hat)
    dX = _normalize_backward(gamma * dZ, X_hat, std, axes)
    return dX, (dZ * X_hat).sum(axis=axes), dZ.sum(axis=axes)


def fixed_norm_forward(
    X: Array, gamma: Array, beta: Array, mean: Array, variance: Array, *, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """Normalize every feature by statistics that are given, then scale and shift it.

    X̂_ij = (X_ij − μ_j) / √(σ²_j + ε) and Z_ij = γ_j X̂_ij + β_j

    Parameters
    ----------
    X : ndarray of shape (n, d, ...)
        Rows of d features, or images of d channels.
    gamma : ndarray of shape (d,)
        Scales γ.
    beta : ndarray of shape (d,)
        Shifts β.
    mean : ndarray of shape (d,)
        Means μ, such as those that training has kept.
    variance : ndarray of shape (d,)
        Variances σ², likewise; from 0 up.
    eps : float, default 1e-5
        Keeps the quotient finite where a variance is 0; above 0.

    Returns
    -------
    Z : ndarray of shape (n, d, ...)
        Normalized features; each row depends on no other.
    cache : tuple
        X̂, γ itself, and √(σ² + ε), the two last as they are multiplied with X̂.

    Raises
    ------
    ValueError
        If a shape does not fit the others, a variance is below 0, or ``eps`` is not above 0; the
        message gives what came.
    TypeError
        If the arrays do not hold floats of one dtype; the message gives what they hold.

    Notes
    -----
    This is what batch norm does once training is over, when an answer must not depend on which
    other examples stand in the batch.

    Examples
    --------
    >>> half, four = np.array([0.5]), np.array([4.0])
    >>> fixed_norm_forward(np.array([[6.5]]), half, half, mean=half, variance=four)[0]
    array([[2.000]])
    """
    check_number("eps", eps, np.finfo(np.float64).tiny)
    check_arrays(
        gamma=(gamma, "d"),
        beta=(beta, "d"),
        mean=(mean, "d"),
        variance=(variance, "d"),
        X=(X, _layout(X)),
    )
    if (variance < 0).any():
        raise ValueError(f"expected variances from 0 up, got {variance.min()}")
    shape = (1, len(gamma)) + (1,) * (X.ndim - 2)
    gamma, beta, mean = gamma.reshape(shape), beta.reshape(shape), mean.reshape(shape)
    std = np.sqrt(variance + eps).reshape(shape)
    X_hat = (X - mean) / std  # (n, d, ...)
    return gamma * X_hat + beta, (X_hat, gamma, std)


def fixed_norm_backward(dZ: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Carry the gradient of the loss back through a normalization by given statistics.

    dX = γ dZ / √(σ² + ε), dγ_j = Σ_i dZ_ij X̂_ij and dβ_j = Σ_i dZ_ij

    Parameters
    ----------
    dZ : ndarray of shape (n, d, ...)
        Upstream gradient: the derivative of the loss with respect to Z.
    cache : tuple
        What ``fixed_norm_forward`` returned.

    Returns
    -------
    dX : ndarray of shape (n, d, ...)
        Derivative of the loss with respect to X.
    dgamma : ndarray of shape (d,)
        Derivative of the loss with respect to γ.
    dbeta : ndarray of shape (d,)
        Derivative of the loss with respect to β.

    Raises
    ------
    ValueError
        If the shape of dZ is not that of Z; the message gives both.
    TypeError
        If dZ does not hold floats of the dtype of X; the message gives what it holds.

    Notes
    -----
    The given statistics are constants: they have no gradient.

    Examples
    --------
    >>> half, four = np.array([0.5]), np.array([4.0])
    >>> Z, cache = fixed_norm_forward(np.array([[6.5]]), half, half, mean=half, variance=four)
    >>> fixed_norm_backward(np.array([[8.0]]), cache)
    (array([[2.000]]), array([24.000]), array([8.000]))
    """
    X_hat, gamma, std = cache
    check_arrays(X_hat=(X_hat, "..."), dZ=(dZ, "..."))
    axes = _all_but_features(X_hat)
    return gamma * dZ / std, (dZ * X_hat).sum(axis=axes), dZ.sum(axis=axes)


def running_statistics(
    X: Array, mean: Array, variance: Array, *, momentum: float = 0.1
) -> tuple[Array, Array]:
    """Move what is known of mean and variance a little towards what a batch shows.

    m ← (1 − α) m + α μ and v ← (1 − α) v + α s², with the mean μ_j = (1/n) Σ_i X_ij of the batch
    and its unbiased variance s²_j = (1/(n − 1)) Σ_i (X_ij − μ_j)²

    Parameters
    ----------
    X : ndarray of shape (n, d, ...)
        Rows of d features, or images of d channels: then every pixel counts as an example.
    mean : ndarray of shape (d,)
        The mean that is known so far, m.
    variance : ndarray of shape (d,)
        The variance that is known so far, v.
    momentum : float, default 0.1
        The share α of the batch, from 0 up and below 1.

    Returns
    -------
    mean : ndarray of shape (d,)
        The mean that is known now.
    variance : ndarray of shape (d,)
        The variance that is known now.

    Raises
    ------
    ValueError
        If a shape does not fit the others, a feature has fewer than two entries, or ``momentum``
        is out of range; the message gives what came.
    TypeError
        If the arrays do not hold floats of one dtype; the message gives what they hold.

    Notes
    -----
    As in ``torch.nn.BatchNorm1d`` momentum is the share of the new, where an optimizer's is the
    share of the old; and the variance is unbiased, where the batch itself is normalized by the
    biased one.

    Examples
    --------
    >>> running_statistics(np.array([[1.0], [3.0]]), mean=np.zeros(1), variance=np.ones(1))
    (array([0.2]), array([1.1]))
    """
    check_number("momentum", momentum, 0, 1)
    check_arrays(mean=(mean, "d"), variance=(variance, "d"), X=(X, _layout(X)))
    _check_entries(X)
    batch_mean, _, biased = _moments(X, _all_but_features(X))
    n = X.size // X.shape[1]
    batch_variance = biased * (n / (n - 1))
    return (
        (1 - momentum) * mean + momentum * batch_mean.reshape(mean.shape),
        (1 - momentum) * variance + momentum * batch_variance.reshape(variance.shape),
    )


def layer_norm_forward(
    X: Array, gamma: Array, beta: Array, *, eps: float = 1e-5
) -> tuple[Array, Cache]:
    """Normalize every example over its features, then scale and shift these.

    X̂_ij = (X_ij − μ_i) / √(σ²_i + ε), with the mean μ and the variance σ² of the row, and
    Z_ij = γ_j X̂_ij + β_j

    Parameters
    ----------
    X : ndarray of shape (..., d)
        Rows of d features.
    gamma : ndarray of shape (d,)
        Scales γ.
    beta : ndarray of shape (d,)
        Shifts β.
    eps : float, default 1e-5
        Keeps the quotient finite where a row is constant; above 0.

    Returns
    -------
    Z : ndarray of shape (..., d)
        Normalized rows, scaled and shifted; each row depends on no other.
    cache : tuple
        X̂, γ itself, and √(σ² + ε).

    Raises
    ------
    ValueError
        If a shape does not fit the others, there is no feature, or ``eps`` is not above 0; the
        message gives what came.
    TypeError
        If the arrays do not hold floats of one dtype; the message gives what they hold.

    References
    ----------
    J. L. Ba, J. R. Kiros and G. E. Hinton, "Layer Normalization", 2016, section 3.

    Examples
    --------
    >>> X = np.array([[1.0, 3.0], [500.0, 700.0]])
    >>> layer_norm_forward(X, gamma=np.ones(2), beta=np.array([0.0, 5.0]))[0].round(3)
    array([[-1.,  6.],
           [-1.,  6.]])
    """
    check_number("eps", eps, np.finfo(np.float64).tiny)
    check_arrays(gamma=(gamma, "d"), beta=(beta, "d"), X=(X, "..., d"))
    if not len(gamma):
        raise ValueError(f"expected rows of at least one feature, got X of shape {X.shape}")
    _, deviations, variance = _moments(X, -1)
    std = np.sqrt(variance + eps)  # (..., 1)
    X_hat = deviations / std  # (..., d)
    return gamma * X_hat + beta, (X_hat, gamma, std)


def layer_norm_backward(dZ: Array, cache: Cache) -> tuple[Array, Array, Array]:
    """Carry the gradient of the loss back through the normalization over features.

    dX̂ = γ dZ, and dX = (dX̂ − mean(dX̂) − X̂ mean(dX̂ ∘ X̂)) / √(σ² + ε), where the means are those
    of a row; dγ_j = Σ_i dZ_ij X̂_ij and dβ_j = Σ_i dZ_ij

    Parameters
    ----------
    dZ : ndarray of shape (..., d)
        Upstream gradient: the derivative of the loss with respect to Z.
    cache : tuple
        What ``layer_norm_forward`` returned.

    Returns
    -------
    dX : ndarray of shape (..., d)
        Derivative of the loss with respect to X.
    dgamma : ndarray of shape (d,)
        Derivative of the loss with respect to γ.
    dbeta : ndarray of shape (d,)
        Derivative of the loss with respect to β.

    Raises
    ------
    ValueError
        If the shape of dZ is not that of Z; the message gives both.
    TypeError
        If dZ does not hold floats of the dtype of X; the message gives what it holds.

    Examples
    --------
    >>> X, ones = np.array([[1.0, 2.0, 3.0]]), np.ones(3)
    >>> Z, cache = layer_norm_forward(X, gamma=ones, beta=ones)
    >>> dX, dgamma, dbeta = layer_norm_backward(np.array([[6.0, 0.0, 0.0]]), cache)
    >>> dgamma.round(3), dbeta
    (array([-7.348,  0.   ,  0.   ]), array([6., 0., 0.]))
    """
    X_hat, gamma, std = cache
    check_arrays(X_hat=(X_hat, "..."), dZ=(dZ, "..."))
    dX = _normalize_backward(gamma * dZ, X_hat, std, -1)
    rows = tuple(range(X_hat.ndim - 1))
    return dX, (dZ * X_hat).sum(axis=rows), dZ.sum(axis=rows)


def _moments(X: Array, axes: int | tuple[int, ...]) -> tuple[Array, Array, Array]:
    """Return mean, deviations from it and their mean square, summed up in float64."""
    mean = X.mean(axis=axes, keepdims=True, dtype=np.float64).astype(X.dtype)
    deviations = X - mean
    variance = (deviations**2).mean(axis=axes, keepdims=True, dtype=np.float64).astype(X.dtype)
    return mean, deviations, variance


def _normalize_backward(
    dX_hat: Array, X_hat: Array, std: Array, axes: int | tuple[int, ...]
) -> Array:
    """Carry a gradient back through X̂ = (X − μ) / √(σ² + ε)."""
    shift = dX_hat.mean(axis=axes, keepdims=True)
    scale = (dX_hat * X_hat).mean(axis=axes, keepdims=True)
    dX: Array = (dX_hat - shift - X_hat * scale) / std
    return dX


def _layout(X: Array) -> str:
    return "n, d, h, w" if np.ndim(X) == 4 else "n, d"


def _all_but_features(X: Array) -> tuple[int, ...]:
    return (0, *range(2, X.ndim))


def _check_entries(X: Array) -> None:
    if X.size < 2 * X.shape[1]:
        raise ValueError(
            f"expected at least two entries of each feature, got X of shape {X.shape}: a batch of "
            "one has no variance to normalize by"
        )
