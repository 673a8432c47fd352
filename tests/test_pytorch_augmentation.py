from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from dlbook.pytorch.augmentation import (
    Compose,
    random_erase,
    random_flip,
    random_noise,
    random_shift,
)
from tests.on_device import DEVICE

IMAGES: dict[str, Callable[..., Tensor]] = {
    "shift": partial(random_shift, pixels=2),
    "flip": random_flip,
    "noise": partial(random_noise, std=0.1),
    "erase": partial(random_erase, pixels=2),
}
shapes = st.tuples(
    st.integers(0, 6), st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)
)  # (n, c, h, w)
seeds = st.integers(0, 99)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    X = torch.randn(shape, generator=seeded(seed + 100)) + 9  # no zeros, which would hide errors
    return X.to(DEVICE)


@given(shape=shapes, pixels=st.integers(0, 7), seed=seeds)
def test_each_image_is_padded_and_cropped_by_its_own_draw(
    shape: tuple[int, ...], pixels: int, seed: int
) -> None:
    X = images(shape, seed)
    n, c, h, w = shape
    starts = torch.randint(2 * pixels + 1, (2, n), generator=seeded(seed))
    expected = torch.zeros(shape, device=DEVICE)
    for i in range(n):
        padded = torch.zeros(c, h + 2 * pixels, w + 2 * pixels, device=DEVICE)
        padded[:, pixels : pixels + h, pixels : pixels + w] = X[i]
        top, left = starts[:, i].tolist()
        expected[i] = padded[:, top : top + h, left : left + w]
    assert torch.equal(random_shift(X, seeded(seed), pixels=pixels), expected)


@given(shape=shapes, probability=st.floats(0, 1), seed=seeds)
def test_each_image_is_mirrored_by_its_own_draw(
    shape: tuple[int, ...], probability: float, seed: int
) -> None:
    X = images(shape, seed)
    mirrored = torch.rand(shape[0], generator=seeded(seed)) < probability
    expected = X.clone()
    for i, yes in enumerate(mirrored.tolist()):
        if yes:
            for column in range(shape[3]):
                expected[i, :, :, column] = X[i, :, :, shape[3] - 1 - column]
    assert torch.equal(random_flip(X, seeded(seed), probability=probability), expected)


@given(shape=shapes, seed=seeds, data=st.data())
def test_each_image_loses_one_whole_square_by_its_own_draw(
    shape: tuple[int, ...], seed: int, data: st.DataObject
) -> None:
    X = images(shape, seed)
    n, _, h, w = shape
    pixels = data.draw(st.integers(0, min(h, w)))
    generator = seeded(seed)
    top = torch.randint(h - pixels + 1, (n,), generator=generator)
    left = torch.randint(w - pixels + 1, (n,), generator=generator)
    expected = X.clone()
    for i in range(n):
        expected[i, :, top[i] : top[i] + pixels, left[i] : left[i] + pixels] = 0
    assert torch.equal(random_erase(X, seeded(seed), pixels=pixels), expected)


def test_noise_has_the_deviation_asked_for_and_no_mean() -> None:
    X = images((50, 2, 20, 20))
    noise = random_noise(X, seeded(), std=0.3) - X
    assert noise.std().item() == pytest.approx(0.3, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=0.01)
    table = torch.zeros(3, 2, device=DEVICE)
    assert random_noise(table, seeded(), std=1.0).shape == (3, 2), "tables too"


def test_every_shift_and_every_place_of_the_square_occurs() -> None:
    point = torch.zeros(4000, 1, 5, 5, device=DEVICE)
    point[:, :, 2, 2] = 1
    shifted = random_shift(point, seeded(), pixels=2)
    counts = shifted.sum(0).flatten()
    assert torch.all((counts - 4000 / 25).abs() < 5 * (4000 / 25) ** 0.5)
    erased = random_erase(torch.ones(4000, 1, 4, 4, device=DEVICE), seeded(), pixels=3)
    corners = [(1 - erased)[:, 0, r, c].sum().item() for r in (0, 3) for c in (0, 3)]
    assert all(abs(count - 1000) < 5 * 1000**0.5 for count in corners)


@pytest.mark.parametrize("augment", IMAGES.values(), ids=list(IMAGES))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_the_input_stays_as_it_is_and_the_dtype_is_kept(
    augment: Callable[..., Tensor], dtype: torch.dtype
) -> None:
    X = images((8, 2, 5, 4)).to(dtype)
    before = X.clone()
    changed = augment(X, seeded())
    assert torch.equal(X, before)
    assert (changed.dtype, changed.shape, changed.device) == (X.dtype, X.shape, X.device)
    assert not torch.equal(changed, X)
    assert changed.data_ptr() != X.data_ptr()
    assert torch.equal(changed, augment(X, seeded())), "the same draws, the same batch"
    assert not torch.equal(changed, augment(X, seeded(1)))


@pytest.mark.parametrize("name", ["shift", "flip", "erase"])
def test_whole_numbers_stay_whole(name: str) -> None:
    X = torch.randint(1, 256, (6, 1, 4, 4), generator=seeded(), dtype=torch.uint8)
    assert IMAGES[name](X.to(DEVICE), seeded()).dtype == torch.uint8


def test_augmentations_compose_in_order_from_one_generator() -> None:
    X, generator = images((5, 1, 4, 4)), seeded()
    by_hand = random_shift(random_flip(X, generator), generator, pixels=1)
    composed = Compose(random_flip, partial(random_shift, pixels=1))
    assert torch.equal(composed(X, seeded()), by_hand)
    assert not torch.equal(Compose(*reversed(composed.steps))(X, seeded()), by_hand)


@pytest.mark.parametrize(
    ("augment", "options", "message"),
    [
        (random_shift, {"pixels": -1}, "pixels of at least 0, got -1"),
        (random_flip, {"probability": 1.5}, r"in \[0, 1\], got 1.5"),
        (random_flip, {"probability": float("nan")}, r"in \[0, 1\], got nan"),
        (random_noise, {"std": -0.1}, "at least 0, got -0.1"),
        (random_erase, {"pixels": 4}, "from 0 to 3 for 3 × 5 images, got 4"),
        (random_erase, {"pixels": -1}, "got -1"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    augment: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        augment(images((2, 1, 3, 5)), seeded(), **options)


def test_what_is_no_batch_of_images_is_refused() -> None:
    for name in ("shift", "flip", "erase"):
        with pytest.raises(ValueError, match=r"of shape \(n, c, h, w\), got \(3, 8, 8\)"):
            IMAGES[name](torch.zeros(3, 8, 8), seeded())
    with pytest.raises(TypeError, match=r"got torch\.uint8: use X\.float\(\)"):
        random_noise(torch.zeros(1, 1, 2, 2, dtype=torch.uint8), seeded(), std=1.0)
