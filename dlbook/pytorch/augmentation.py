"""Changed copies of images that a network should judge alike: shifted, mirrored, with noise, cut.

Each function changes a whole batch at once, each image by its own draw, and leaves its input as it
is. Draws are made where the generator is, and used where the images are: a generator on the CPU
gives the same batch on every device.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import pad

__all__ = ["Compose", "random_erase", "random_flip", "random_noise", "random_shift"]


def random_shift(X: Tensor, generator: torch.Generator, *, pixels: int) -> Tensor:
    """Shift each image up to some pixels down or up and right or left, and fill with zeros.

    Parameters
    ----------
    X : Tensor of shape (n, c, h, w)
        Images.
    generator : torch.Generator
        Draws both shifts of each image, uniformly from -pixels to pixels.
    pixels : int
        The largest shift, at least 0.

    Returns
    -------
    Tensor of shape (n, c, h, w)
        Shifted images, in the dtype of ``X``.

    Raises
    ------
    ValueError
        If ``X`` has another number of axes, or ``pixels`` is below 0; the message gives it.

    Notes
    -----
    The same as to pad with ``pixels`` zeros on all sides and crop (h, w) at a random place, as
    torchvision's ``RandomCrop(size, padding=pixels)`` does one image at a time.

    Examples
    --------
    >>> X = torch.ones(1000, 1, 3, 3)
    >>> shifted = random_shift(X, torch.Generator().manual_seed(0), pixels=1)
    >>> sorted(set(shifted.sum((1, 2, 3)).tolist()))  # a row lost, a column, both or none
    [4.0, 6.0, 9.0]
    """
    n, c, h, w = _checked(X)
    if pixels < 0:
        raise ValueError(f"expected pixels of at least 0, got {pixels}")
    start = _drawn(2 * pixels + 1, (2, n), generator, X)
    padded = pad(X, (pixels, pixels, pixels, pixels))  # (n, c, h + 2 pixels, w + 2 pixels)
    image = _numbers(n, X)[:, None, None, None]
    channel = _numbers(c, X)[:, None, None]
    row = (start[0, :, None] + _numbers(h, X))[:, None, :, None]  # (n, 1, h, 1)
    column = (start[1, :, None] + _numbers(w, X))[:, None, None, :]  # (n, 1, 1, w)
    return padded[image, channel, row, column]


def random_flip(X: Tensor, generator: torch.Generator, *, probability: float = 0.5) -> Tensor:
    """Mirror some of the images, left to right.

    Parameters
    ----------
    X : Tensor of shape (n, c, h, w)
        Images.
    generator : torch.Generator
        Draws which.
    probability : float, default 0.5
        Of being mirrored, in [0, 1].

    Returns
    -------
    Tensor of shape (n, c, h, w)
        Images, mirrored or not, in the dtype of ``X``.

    Raises
    ------
    ValueError
        If ``X`` has another number of axes, or ``probability`` is outside [0, 1]; the message
        gives it.

    Notes
    -----
    Only where a mirrored image means the same: a cat does, a 3 does not.

    Examples
    --------
    >>> X = torch.tensor([[[[1, 2, 3]]]])
    >>> random_flip(X, torch.Generator(), probability=1.0).tolist()
    [[[[3, 2, 1]]]]
    """
    n, *_ = _checked(X)
    if not 0 <= probability <= 1:
        raise ValueError(f"expected a probability in [0, 1], got {probability}")
    flipped = torch.rand(n, generator=generator, device=generator.device) < probability  # (n,)
    return torch.where(flipped.to(X.device)[:, None, None, None], X.flip(3), X)


def random_noise(X: Tensor, generator: torch.Generator, *, std: float) -> Tensor:
    """Add normal noise to each number.

    Parameters
    ----------
    X : Tensor of shape (n, ...)
        Examples of any shape, in floating point.
    generator : torch.Generator
        Draws the noise.
    std : float
        The standard deviation of the noise, in the units of ``X``.

    Returns
    -------
    Tensor of shape (n, ...)
        Examples with noise, in the dtype of ``X``.

    Raises
    ------
    ValueError
        If ``std`` is below 0; the message gives it.
    TypeError
        If ``X`` does not hold floating-point numbers; the message gives its dtype.

    Examples
    --------
    >>> X = torch.zeros(10000, 1)
    >>> print(f"{random_noise(X, torch.Generator(), std=0.1).std():.2f}")
    0.10
    """
    if not X.is_floating_point():
        raise TypeError(f"expected floating-point numbers, got {X.dtype}: use X.float()")
    if std < 0:
        raise ValueError(f"expected a standard deviation of at least 0, got {std}")
    noise = torch.randn(X.shape, generator=generator, device=generator.device, dtype=X.dtype)
    return X + std * noise.to(X.device)


def random_erase(X: Tensor, generator: torch.Generator, *, pixels: int) -> Tensor:
    """Set a square somewhere in each image to zero, in all channels.

    Parameters
    ----------
    X : Tensor of shape (n, c, h, w)
        Images.
    generator : torch.Generator
        Draws where, so that each place for a whole square is as likely as any other.
    pixels : int
        The side of the square, from 0 to the shorter side of the images.

    Returns
    -------
    Tensor of shape (n, c, h, w)
        Images with a square of zeros, in the dtype of ``X``.

    Raises
    ------
    ValueError
        If ``X`` has another number of axes, or the square does not fit; the message gives both
        sizes.

    References
    ----------
    Terrance DeVries and Graham W. Taylor, "Improved Regularization of Convolutional Neural
    Networks with Cutout", 2017. Their square may stand out over the edge; this one is whole.

    Examples
    --------
    >>> X = torch.ones(1, 1, 2, 2)
    >>> random_erase(X, torch.Generator(), pixels=1).sum().item()
    3.0
    """
    n, _, h, w = _checked(X)
    if not 0 <= pixels <= min(h, w):
        raise ValueError(
            f"expected pixels from 0 to {min(h, w)} for {h} × {w} images, got {pixels}"
        )
    top = _drawn(h - pixels + 1, (n, 1), generator, X)
    left = _drawn(w - pixels + 1, (n, 1), generator, X)
    row, column = _numbers(h, X), _numbers(w, X)
    in_rows = (top <= row) & (row < top + pixels)  # (n, h)
    in_columns = (left <= column) & (column < left + pixels)  # (n, w)
    return X.masked_fill(in_rows[:, None, :, None] & in_columns[:, None, None, :], 0)


class Compose:
    """Several augmentations, one after the other.

    Parameters
    ----------
    *steps : callable
        Each takes ``(X, generator)`` and returns a changed batch; ``functools.partial`` sets the
        options.

    Examples
    --------
    >>> from functools import partial
    >>> augment = Compose(partial(random_shift, pixels=2), random_flip)
    >>> augment(torch.zeros(5, 3, 8, 8), torch.Generator()).shape
    torch.Size([5, 3, 8, 8])
    """

    def __init__(self, *steps: Callable[[Tensor, torch.Generator], Tensor]) -> None:
        self.steps = steps

    def __call__(self, X: Tensor, generator: torch.Generator) -> Tensor:
        """Apply the steps to a batch.

        Parameters
        ----------
        X : Tensor of shape (n, ...)
            Examples.
        generator : torch.Generator
            All steps draw from it, in turn.

        Returns
        -------
        Tensor of shape (n, ...)
            Changed examples.
        """
        for step in self.steps:
            X = step(X, generator)
        return X


def _checked(X: Tensor) -> tuple[int, int, int, int]:
    if X.ndim != 4:
        raise ValueError(f"expected images of shape (n, c, h, w), got {tuple(X.shape)}")
    n, c, h, w = X.shape
    return n, c, h, w


def _drawn(count: int, shape: tuple[int, ...], generator: torch.Generator, X: Tensor) -> Tensor:
    """Draw numbers from 0 to count - 1."""
    drawn = torch.randint(count, shape, generator=generator, device=generator.device)
    return drawn.to(X.device)


def _numbers(count: int, X: Tensor) -> Tensor:
    return torch.arange(count, device=X.device)
