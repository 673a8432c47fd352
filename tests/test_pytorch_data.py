from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from dlbook.data import Standardizer
from dlbook.pytorch.batches import Batches, Rows
from dlbook.pytorch.data import ArrayDataset, loader_of, make_loader, sampler_of
from tests.loading import same, seeded, table, with_workers

sizes = st.integers(1, 60)
seeds = st.none() | st.integers(0, 2**63 - 1)


def batches_of(n: int, batch_size: int, seed: int | None = 0, **options: Any) -> Batches:
    generator = None if seed is None else seeded(seed)
    return Batches(n, batch_size, generator=generator, **options)


def noisy(X: Tensor, generator: torch.Generator) -> Tensor:
    return X + torch.randn(X.shape, generator=generator, dtype=X.dtype)


# Batches


@given(n=sizes, size=sizes, seed=seeds)
def test_an_epoch_shows_every_row_exactly_once(n: int, size: int, seed: int | None) -> None:
    batches = batches_of(n, size, seed)
    for _ in range(2):
        epoch = list(batches)
        assert len(epoch) == len(batches) == np.ceil(n / size)
        assert all(len(batch) == size for batch in epoch[:-1])
        assert sorted(chain(*epoch)) == list(range(n))


@given(n=sizes, size=sizes, seed=seeds)
def test_with_drop_last_every_batch_is_full_and_the_rest_is_left_out(
    n: int, size: int, seed: int | None
) -> None:
    if n < size:
        with pytest.raises(ValueError, match=f"{n} rows for batches of {size}"):
            batches_of(n, size, seed, drop_last=True)
        return
    epoch = list(batches_of(n, size, seed, drop_last=True))
    assert [len(batch) for batch in epoch] == [size] * (n // size)
    assert epoch == list(batches_of(n, size, seed))[: n // size]


def test_the_order_is_known_from_seed_and_epoch_alone() -> None:
    one, other = batches_of(50, 8), batches_of(50, 8)
    epochs = [list(one) for _ in range(4)]
    other.start(3)
    assert list(other) == epochs[3]
    assert list(chain(*epochs[2])) == one.order(2).tolist()
    assert len({tuple(chain(*epoch)) for epoch in epochs}) == 4, "each epoch is shuffled anew"
    assert list(batches_of(50, 8, seed=1)) != epochs[0]


def test_the_order_is_pytorchs_permutation_of_a_seed_mixed_by_numpy() -> None:
    """Stated in the words of both libraries, so that a saved run goes on in a later version."""
    seed = int(torch.randint(2**63 - 1, (), generator=seeded(7)))
    mixed = np.random.SeedSequence(seed, spawn_key=(2,)).generate_state(1, np.uint64)[0]
    order = torch.randperm(30, generator=seeded(int(mixed)))
    assert batches_of(30, 4, seed=7).order(2).tolist() == order.tolist()


def test_the_generator_is_drawn_from_once_when_the_sampler_is_made() -> None:
    generator, counted = seeded(), seeded()
    batches = Batches(10, 3, generator=generator)
    torch.randint(2**63 - 1, (), generator=counted)
    list(batches), list(batches)
    assert torch.equal(generator.get_state(), counted.get_state())


def test_without_a_generator_rows_come_in_order_in_every_epoch() -> None:
    batches = Batches(5, 2)
    assert [list(batches), list(batches)] == [[[0, 1], [2, 3], [4]]] * 2
    assert all(rows.seed is None and rows.generator() is None for rows in batches)


@given(n=sizes, size=sizes, seed=seeds, epoch=st.integers(0, 9), data=st.data())
def test_a_start_in_the_middle_goes_on_exactly(
    n: int, size: int, seed: int | None, epoch: int, data: st.DataObject
) -> None:
    batches, late = batches_of(n, size, seed), batches_of(n, size, seed)
    position = data.draw(st.integers(0, len(batches)))
    batches.start(epoch)
    late.start(epoch, position)
    whole, rest = list(batches), list(late)
    assert rest == whole[position:]
    assert [rows.seed for rows in rest] == [rows.seed for rows in whole[position:]]
    assert list(late) == list(batches), "the epoch after it is whole"


def test_an_epoch_that_ends_moves_on_and_one_given_up_moves_nothing() -> None:
    batches = batches_of(10, 3)
    first = next(iter(batches))
    assert (batches.epoch, batches.position) == (0, 0)
    assert next(iter(batches)) == first
    list(batches)
    assert (batches.epoch, batches.position) == (1, 0)


@given(n=sizes, size=sizes, seed=seeds, world=st.integers(1, 4))
def test_the_shares_of_all_processes_make_up_the_batch_of_one(
    n: int, size: int, seed: int | None, world: int
) -> None:
    shares = []
    for rank in range(world):
        batches = batches_of(n, size, seed)
        batches.share(rank, world)
        shares.append(list(batches))
    whole = list(batches_of(n, size, seed))
    assert {len(share) for share in shares} == {len(whole)}, "the same number of steps"
    for number, batch in enumerate(whole):
        for rank, share in enumerate(shares):
            assert share[number] == batch[rank::world]
        assert sorted(chain(*(share[number] for share in shares))) == sorted(batch)


def test_each_batch_has_a_seed_of_its_own() -> None:
    batches = batches_of(12, 2)
    drawn: list[int | None] = []
    for rank in range(3):
        batches.share(rank, 3)
        for epoch in range(3):
            batches.start(epoch)
            drawn += [rows.seed for rows in batches]
    assert len(set(drawn)) == 3 * 3 * 6
    assert None not in drawn


@given(rows=st.lists(st.integers(0, 99)), key=st.none() | st.just((1, 2, 3, 0)))
def test_rows_reach_a_worker_with_their_seed(rows: list[int], key: Any) -> None:
    sent = pickle.loads(pickle.dumps(Rows(rows, key=key)))
    assert type(sent) is Rows
    assert sent == rows
    assert sent.seed == Rows(rows, key=key).seed


def test_a_saved_sampler_gives_its_order_to_another() -> None:
    saved, other = batches_of(20, 3, seed=1), batches_of(20, 3, seed=2)
    state = saved.state_dict()
    assert state == {"seed": saved.seed, "n": 20, "batch_size": 3, "drop_last": False}
    assert list(other) != list(saved)
    other.load_state_dict(state)
    assert list(other) == list(saved)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"n": 21}, "with n = 21, here it is 20"),
        ({"batch_size": 4}, "with batch_size = 4, here it is 3"),
        ({"drop_last": True}, "with drop_last = True, here it is False"),
        ({"seed": -1}, "at least 0 or None, got -1"),
        ({"seed": "7"}, "at least 0 or None, got '7'"),
        ({"more": 1}, "expected a sampler's seed, n, batch_size, drop_last, got seed, n"),
    ],
)
def test_the_state_of_another_sampler_is_refused_and_nothing_changed(
    changed: dict[str, Any], message: str
) -> None:
    batches = batches_of(20, 3)
    before = batches.state_dict()
    with pytest.raises(ValueError, match=message):
        batches.load_state_dict(batches_of(20, 3, seed=1).state_dict() | changed)
    assert batches.state_dict() == before


def test_what_no_sampler_can_do_is_refused() -> None:
    with pytest.raises(ValueError, match="got n = 0"):
        Batches(0, 1)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Batches(1, 0)
    batches = Batches(10, 3)
    with pytest.raises(ValueError, match="at least 0, got -1"):
        batches.start(-1)
    for position in (-1, 5):
        with pytest.raises(ValueError, match=f"from 0 to 4, got {position}"):
            batches.start(0, position)
    for rank, world in ((2, 2), (-1, 2), (0, 0)):
        with pytest.raises(ValueError, match=f"of {world}, got {rank}"):
            batches.share(rank, world)
    assert list(batches) == list(Batches(10, 3)), "nothing was changed"


# Loaders of arrays


@given(n=sizes, size=sizes, seed=seeds)
def test_a_loader_reads_the_rows_of_its_sampler(n: int, size: int, seed: int | None) -> None:
    X, y = table(n)
    generator = None if seed is None else seeded(seed)
    loader = make_loader(X, y, batch_size=size, generator=generator)
    for rows, (X_batch, y_batch) in zip(batches_of(n, size, seed), loader, strict=True):
        assert_array_equal(X_batch, X[rows])
        assert_array_equal(y_batch, y[rows])
        assert (X_batch.dtype, y_batch.dtype) == (torch.float32, torch.int64)


@with_workers
def test_batches_are_the_same_for_any_number_of_workers_augmentation_included() -> None:
    X, y = table()
    loaders = [
        make_loader(X, y, batch_size=3, generator=seeded(), augment=noisy, workers=workers)
        for workers in (0, 2)
    ]
    epochs = [[list(loader) for _ in range(2)] for loader in loaders]
    for alone, together in zip(*epochs, strict=True):
        assert same(alone, together)
    assert not same(epochs[0][0], epochs[0][1])
    for loader in loaders:
        batches = sampler_of(loader)
        assert batches is not None
        batches.start(1, position=4)
        assert same(loader, epochs[0][1][4:]), "going on in the middle, augmentation included"


def test_workers_that_are_not_forked_can_be_sent_what_they_need() -> None:
    """As on Windows and macOS, and on Linux from Python 3.14 on."""
    X, y = table()
    loaders: list[DataLoader[Any]] = [
        make_loader(X, y, batch_size=3, generator=seeded(), augment=noisy),
        loader_of(ArrayDataset(X, y), batch_size=3, generator=seeded()),
    ]
    for loader in loaders:
        needed: Any = (loader.dataset, loader.collate_fn, Rows([4, 2], key=(1, 0, 0, 0)))
        here, there = (
            collate(dataset.__getitems__(rows))
            for dataset, collate, rows in (needed, pickle.loads(pickle.dumps(needed)))
        )
        assert same([here], [there])


def test_augmentation_changes_shuffled_batches_and_leaves_rows_read_alone() -> None:
    X, y = table()
    dataset = ArrayDataset(X, y, augment=noisy)
    rows = Rows([3, 1], key=(5, 0, 0, 0))
    expected = torch.tensor(X[[3, 1]]) + torch.randn(2, 3, generator=rows.generator())
    assert torch.equal(dataset.batch(rows)[0], expected)
    assert_array_equal(dataset.batch([3, 1])[0], X[[3, 1]])
    assert_array_equal(dataset[3][0], X[3])
    assert_array_equal(dataset.X, X, err_msg="the data themselves stay as they are")
    with pytest.raises(ValueError, match=r"pass generator=torch\.Generator\(\)"):
        make_loader(X, y, batch_size=2, augment=noisy)


def test_a_standardizer_is_applied_as_by_hand() -> None:
    X, y = table()
    fitted = Standardizer().fit(X[:10])
    prepared = make_loader(fitted.transform(X), y, batch_size=3)
    assert same(make_loader(X, y, batch_size=3, standardizer=fitted), prepared)
    assert same(make_loader(torch.tensor(X), y, batch_size=3, standardizer=fitted), prepared)
    with pytest.raises(ValueError, match="call fit"):
        make_loader(X, y, batch_size=3, standardizer=Standardizer())
    with pytest.raises(ValueError, match=r"of shape \(n, 3\), as in fit, got \(20, 2\)"):
        make_loader(X[:, :2], y, batch_size=3, standardizer=fitted)


@pytest.mark.parametrize("kind", [np.asarray, torch.tensor])
def test_what_is_done_to_the_arrays_later_does_not_reach_the_loader(kind: Any) -> None:
    (X, y), (kept_X, kept_y) = map(kind, table()), table()
    loader = make_loader(X, y, batch_size=20)
    X[:] = 0
    y[:] = 0
    for X_batch, y_batch in (next(iter(loader)) for _ in range(2)):
        assert_array_equal(X_batch, kept_X)
        assert_array_equal(y_batch, kept_y)
        X_batch[:] = 0  # nor does what is done to a batch


def test_arrays_of_any_layout_are_taken() -> None:
    X, y = table()
    read_only = X[::-1, ::2]
    read_only.flags.writeable = False
    (X_batch, _), *_ = make_loader(read_only, y, batch_size=4)
    assert_array_equal(X_batch, X[::-1, ::2][:4])


def test_an_empty_share_is_a_batch_of_no_rows() -> None:
    X, y = np.zeros((4, 1, 2, 2), "float32"), np.arange(4)
    loader = make_loader(X, y, batch_size=3, generator=seeded(), augment=noisy)
    batches = sampler_of(loader)
    assert batches is not None
    batches.share(1, 2)
    *_, (X_batch, y_batch) = loader
    assert (X_batch.shape, X_batch.dtype) == ((0, 1, 2, 2), torch.float32)
    assert (y_batch.shape, y_batch.dtype) == ((0,), torch.int64)


@with_workers
def test_reading_draws_nothing_from_the_global_generator() -> None:
    X, y = table()
    for workers in (0, 1):
        loader = make_loader(X, y, batch_size=7, generator=seeded(), workers=workers)
        before = torch.get_rng_state()
        list(loader)
        assert torch.equal(torch.get_rng_state(), before)
    list(DataLoader(TensorDataset(torch.tensor(X))))
    assert not torch.equal(torch.get_rng_state(), before), "PyTorch's own loader draws a number"


def test_pinned_memory_is_asked_for_only_where_a_gpu_is() -> None:
    loader = make_loader(*table(), batch_size=7, pin_memory=True)
    assert loader.pin_memory == torch.accelerator.is_available()


def test_loaders_that_cannot_be_made_say_why() -> None:
    X, y = table()
    with pytest.raises(ValueError, match="got 20 and 19"):
        make_loader(X, y[1:], batch_size=1)
    with pytest.raises(ValueError, match="workers of at least 0, got -1"):
        make_loader(X, y, batch_size=1, workers=-1)
    with pytest.raises(ValueError, match="20 rows for batches of 21"):
        make_loader(X, y, batch_size=21, drop_last=True)


# Loaders of other datasets


class Dice(Dataset[Any]):
    """Draws from each of the global generators, as the datasets of others do."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, i: int) -> dict[str, Any]:
        drawn = [random.random(), np.random.rand(), torch.rand(()).item()]  # noqa: NPY002
        return {"row": i, "drawn": torch.tensor([float(i), *drawn])}


@with_workers
def test_what_a_dataset_draws_is_the_same_for_any_number_of_workers_and_after_going_on() -> None:
    def epoch(workers: int, position: int = 0) -> list[list[Tensor]]:
        loader = loader_of(Dice(), batch_size=2, generator=seeded(), workers=workers)
        batches = sampler_of(loader)
        assert batches is not None
        batches.start(0, position)
        return [list(batch.values()) for batch in loader]

    random.seed(1)
    alone = epoch(0)
    random.seed(2)
    assert same(alone, epoch(0))
    assert same(alone, epoch(2))
    assert same(alone[3:], epoch(0, position=3))
    drawn = torch.cat([batch[1][:, 1:] for batch in alone])
    assert len(set(drawn.flatten().tolist())) == 9 * 3, "no two draws are alike"


def test_the_global_generators_are_left_as_they_were() -> None:
    def states() -> tuple[Any, ...]:
        return random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # type: ignore[index]  # noqa: NPY002

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002
    torch.manual_seed(1)
    before = states()
    list(loader_of(Dice(), batch_size=2, generator=seeded()))
    assert states() == before
    list(loader_of(Dice(), batch_size=2))
    assert states() != before, "in order, a dataset draws as it would by itself"


class Point(NamedTuple):
    x: Tensor
    rest: tuple[dict[str, Any], str]


def test_an_empty_share_of_a_dataset_keeps_the_form_of_a_batch() -> None:
    points = [Point(torch.zeros(2), ({"label": i}, "name")) for i in range(3)]
    loader = loader_of(points, batch_size=2)
    batches = sampler_of(loader)
    assert batches is not None
    batches.share(1, 2)
    full, empty = loader
    assert type(empty) is type(full) is Point
    assert empty.x.shape == (0, 2)
    assert empty.rest[0]["label"].shape == (0,)
    assert empty.rest[0]["label"].dtype == full.rest[0]["label"].dtype
    assert [len(part) for part in empty.rest[1:]] == [0]


def test_a_dataset_is_collated_as_asked() -> None:
    words = ["a", "to", "the"]
    loader = loader_of(words, batch_size=2, collate="|".join)
    assert list(loader) == ["a|to", "the"]


def test_an_array_dataset_is_an_ordinary_dataset_too() -> None:
    X, _ = table(6)
    ours = ArrayDataset(X, X[:, :1])
    theirs = TensorDataset(torch.tensor(X), torch.tensor(X[:, :1]))
    assert same(DataLoader(ours, batch_size=2), DataLoader(theirs, batch_size=2))
    assert same(loader_of(ours, batch_size=4), make_loader(X, X[:, :1], batch_size=4))


def test_a_stream_is_refused() -> None:
    class Stream(IterableDataset[int]):
        def __iter__(self) -> Iterator[int]:
            return iter(range(3))

    with pytest.raises(TypeError, match="got Stream: an iterable has no order"):
        loader_of(Stream(), batch_size=1)  # type: ignore[arg-type]  # the mistake under test


def test_of_a_loader_with_another_order_nothing_is_said() -> None:
    assert sampler_of(DataLoader(TensorDataset(torch.zeros(3)), batch_size=2)) is None
    assert sampler_of([1, 2]) is None
