from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlbook.data import Standardizer
from dlbook.pytorch import resident
from dlbook.pytorch.augmentation import Compose, random_flip, random_noise, random_shift
from dlbook.pytorch.data import make_loader, sampler_of
from dlbook.pytorch.devices import available_devices
from dlbook.pytorch.resident import DeviceBatches
from tests.loading import same, seeded, table
from tests.on_device import DEVICE

sizes = st.integers(1, 40)


@given(
    n=sizes,
    size=sizes,
    seed=st.none() | st.integers(0, 99),
    world=st.integers(1, 3),
    drop_last=st.booleans(),
    data=st.data(),
)
def test_the_batches_are_those_of_a_loader_bit_for_bit(
    n: int, size: int, seed: int | None, world: int, drop_last: bool, data: st.DataObject
) -> None:
    X, y = table(n)
    options: dict[str, Any] = {
        "batch_size": size,
        "standardizer": Standardizer().fit(X),
        "drop_last": drop_last and n >= size,
    }
    if seed is not None:
        options["augment"] = partial(random_noise, std=0.1)
    pair = [
        make(X, y, **options, generator=None if seed is None else seeded(seed))
        for make in (make_loader, partial(DeviceBatches, device=DEVICE))
    ]
    position = data.draw(st.integers(0, len(pair[0])))
    for loader in pair:
        batches = sampler_of(loader)
        assert batches is not None
        batches.share(world - 1, world)
        batches.start(3, position)
    for _ in range(2):
        assert same(*pair)
    assert len(pair[0]) == len(pair[1])


@pytest.mark.parametrize("device", available_devices())
def test_augmented_images_are_those_of_a_loader_on_every_device_of_this_machine(
    device: str,
) -> None:
    X, y = torch.rand(10, 2, 6, 6, generator=seeded()), torch.arange(10)
    augment = Compose(random_flip, partial(random_shift, pixels=2))
    loader = make_loader(X, y, batch_size=4, generator=seeded(), augment=augment)
    there = DeviceBatches(X, y, 4, device=device, generator=seeded(), augment=augment)
    images, rows = next(iter(there))
    assert not torch.equal(images.cpu(), X[rows.cpu()]), "they are augmented"
    assert same(loader, there)


def test_data_row_numbers_and_batches_are_on_the_device(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The meta device computes nothing, but refuses to mix with the CPU as a GPU does."""
    monkeypatch.setattr(resident, "best_device", lambda device: torch.device("meta"))
    batches = DeviceBatches(np.zeros((5, 2)), np.arange(5), 2, device=DEVICE, generator=seeded())
    assert (batches.X.device.type, batches.y.device.type) == ("meta", "meta")
    asked: list[str] = []
    shares = batches.batch_sampler.shares

    def spied(device: torch.device) -> Any:
        asked.append(device.type)
        return shares(device)

    monkeypatch.setattr(batches.batch_sampler, "shares", spied)
    shapes = [(X.shape, y.shape, X.device.type, y.device.type) for X, y in batches]
    assert asked == ["meta"], "the order of an epoch goes to the device in one piece"
    assert shapes == [((m, 2), (m,), "meta", "meta") for m in (2, 2, 1)]


def test_what_is_done_to_the_arrays_or_a_batch_later_does_not_reach_the_data() -> None:
    for X, y in ((np.ones((4, 2)), np.ones(4)), (torch.ones(4, 2), torch.ones(4))):
        batches = DeviceBatches(X, y, 4, device=DEVICE)
        X[:] = 0
        y[:] = 0
        for X_batch, y_batch in (next(iter(batches)) for _ in range(2)):
            assert X_batch.all()
            assert y_batch.all()
            X_batch.zero_()
            y_batch.zero_()


def test_what_a_loader_refuses_is_refused_here() -> None:
    X, y = np.zeros((4, 2)), np.zeros(4)
    make = partial(DeviceBatches, device=DEVICE)
    with pytest.raises(ValueError, match="got 4 and 3"):
        make(X, y[1:], 2)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        make(X, y, 0)
    with pytest.raises(ValueError, match="device 'tpu'"):
        make(X, y, 2, device="tpu")
    with pytest.raises(ValueError, match="augment draws at random"):
        make(X, y, 2, augment=random_flip)
