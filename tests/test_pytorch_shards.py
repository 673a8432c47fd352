from __future__ import annotations

import json
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from dlbook.data import Standardizer
from dlbook.pytorch.augmentation import random_noise
from dlbook.pytorch.batches import Batches, Rows
from dlbook.pytorch.data import make_loader, sampler_of
from dlbook.pytorch.shard_files import write_shards
from dlbook.pytorch.shards import ShardBatches, ShardDataset, make_shard_loader
from tests.loading import same, seeded, table, with_workers

on_disk = settings(max_examples=25, derandomize=True, deadline=None, database=None)
shard_sizes = st.lists(st.integers(1, 12), min_size=1, max_size=6)
seeds = st.none() | st.integers(0, 99)


def shards_of(sizes: list[int], size: int, seed: int | None, **options: Any) -> ShardBatches:
    generator = None if seed is None else seeded(seed)
    return ShardBatches(sizes, size, generator=generator, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Shards of 8, 8 and 4 rows."""
    write_shards(tmp_path / "shards", [table()], rows_per_shard=8)
    return tmp_path / "shards"


# Writing


@on_disk
@given(
    lengths=st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any),
    rows=st.integers(1, 12),
)
def test_pieces_of_any_length_become_shards_of_one_length(lengths: list[int], rows: int) -> None:
    n = sum(lengths)
    X, y = table(n)
    cuts = np.cumsum(lengths)[:-1]
    with TemporaryDirectory() as folder:
        pieces = zip(np.split(X, cuts), np.split(y, cuts), strict=True)
        assert write_shards(folder, pieces, rows_per_shard=rows) == n
        dataset = ShardDataset(folder)
        assert dataset.sizes == [rows] * (n // rows) + [n % rows] * (n % rows > 0)
        X_read, y_read = dataset.batch(range(n))
    assert_array_equal(X_read, X)
    assert_array_equal(y_read, y)
    assert (X_read.dtype, y_read.dtype) == (torch.float32, torch.int64)


def test_a_buffer_that_is_filled_again_for_each_piece_does_no_harm(tmp_path: Path) -> None:
    def pieces() -> Iterator[tuple[Any, Any]]:
        buffer = np.empty((3, 1))
        for i in range(4):
            buffer[:] = i
            yield buffer, buffer[:, 0]

    write_shards(tmp_path, pieces(), rows_per_shard=12)
    assert_array_equal(ShardDataset(tmp_path).batch(range(12))[1], np.repeat(np.arange(4), 3))


def test_a_shard_is_an_ordinary_file_of_numpy(folder: Path) -> None:
    X, y = table()
    assert_array_equal(np.load(folder / "000001.X.npy"), X[8:16])
    assert_array_equal(np.load(folder / "000002.y.npy"), y[16:])


def test_nothing_is_written_over_or_beside_what_is_there(folder: Path, tmp_path: Path) -> None:
    for taken in (folder, folder / "index.json"):
        before = {path: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(ValueError, match="not an empty folder: choose another"):
            write_shards(taken, [table()], rows_per_shard=4)
        assert {path: path.read_bytes() for path in folder.iterdir()} == before


ones = np.ones((2, 3))
BAD_PIECES: dict[str, tuple[list[Any], type[Exception], str]] = {
    "length": ([(ones, ones[:1])], ValueError, r"in piece 0, got \(2, 3\), \(1, 3\)"),
    "one array": ([(ones,)], ValueError, r"expected X and y .* got \(2, 3\)"),
    "numbers": ([(np.float64(1), np.float64(2))], ValueError, r"got \(\), \(\)"),
    "shape": ([(ones, ones), (ones[:, :2], ones)], ValueError, r"in piece 1"),
    "dtype": ([(ones, ones), (ones, ones.astype("f4"))], ValueError, r"'<f4', \(3,\)\)\] in piece"),
    "empty rows": ([(ones[:, :0], ones)], ValueError, "rows that hold numbers in piece 0"),
    "objects": ([(ones.astype(object), ones)], TypeError, "object_"),
    "none": ([], ValueError, "at least one row, got none"),
    "no rows": ([(ones[:0], ones[:0])], ValueError, "at least one row, got none"),
}


@pytest.mark.parametrize(("pieces", "error", "message"), BAD_PIECES.values(), ids=list(BAD_PIECES))
def test_pieces_that_make_no_shards_are_refused_and_nothing_is_left(
    tmp_path: Path, pieces: list[Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        write_shards(tmp_path, pieces, rows_per_shard=1)
    assert list(tmp_path.iterdir()) == []


def test_shards_without_rows_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one row a shard, got 0"):
        write_shards(tmp_path / "new", [table()], rows_per_shard=0)
    assert not (tmp_path / "new").exists()


def test_writing_that_was_interrupted_leaves_nothing_or_what_is_refused(folder: Path) -> None:
    def pieces() -> Iterator[tuple[Any, Any]]:
        yield table()
        raise KeyboardInterrupt

    new = folder.with_name("new")
    with pytest.raises(KeyboardInterrupt):
        write_shards(new, pieces(), rows_per_shard=4)
    assert list(new.iterdir()) == []
    (folder / "index.json").unlink()  # as after SIGKILL: the index is written last
    with pytest.raises(ValueError, match=r"has no index\.json: .* was not finished"):
        ShardDataset(folder)


# Reading


@on_disk
@given(sizes=shard_sizes, rows=st.lists(st.integers(0, 19), max_size=30))
def test_a_batch_is_gathered_from_any_shards_in_its_own_order(
    sizes: list[int], rows: list[int]
) -> None:
    X, y = table()
    with TemporaryDirectory() as folder:
        write_shards(folder, [(X, y)], rows_per_shard=sizes[0])
        dataset = ShardDataset(folder)
        X_batch, y_batch = dataset.batch(rows)
        assert len(dataset._mapped) <= 2
        assert_array_equal(X_batch, X[rows])
        assert_array_equal(y_batch, y[rows])
        assert (X_batch.dtype, y_batch.dtype) == (torch.float32, torch.int64)
        for row in rows[:1]:
            assert_array_equal(dataset[row][0], X[row])
            assert dataset[row][1] == y[row]


def test_what_is_done_to_a_batch_does_not_reach_the_files(folder: Path) -> None:
    dataset = ShardDataset(folder)
    for _ in range(2):
        X, y = dataset.batch([0, 19])
        assert_array_equal(X, table()[0][[0, 19]])
        X.zero_()
        y.zero_()


def test_rows_that_are_not_there_are_refused(folder: Path) -> None:
    dataset = ShardDataset(folder)
    for row in (-1, 20):
        with pytest.raises(IndexError, match=f"from 0 to 19, got {row}"):
            dataset.batch([3, row])
    assert len(list(dataset)) == 20, "an ordinary sequence ends"  # type: ignore[call-overload]


def test_a_worker_maps_shards_of_its_own(folder: Path) -> None:
    dataset = ShardDataset(folder)
    dataset.batch([0])
    assert dataset._mapped
    sent = pickle.loads(pickle.dumps(dataset))
    assert not sent._mapped
    assert len(pickle.dumps(dataset)) < 2000 + 20 * 3 * 4
    assert_array_equal(sent.batch([19])[0], dataset.batch([19])[0])


def changed(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


def edited(old: str, new: str) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        text = content.decode()
        assert old in text
        return text.replace(old, new, 1).encode()

    return edit


AT_ONCE: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "cut": ("000001.X.npy", lambda c: c[:-1], r"000001\.X\.npy is damaged: expected \d+ bytes"),
    "longer": ("000001.y.npy", lambda c: c + b"0", r"000001\.y\.npy is damaged: expected \d+ byt"),
    "index cut": ("index.json", lambda c: c[:-9], r"index\.json is damaged or no index of shards"),
    "index not text": ("index.json", lambda c: b"\xff" + c, "damaged or no index"),
    "foreign": ("index.json", lambda c: b'{"format": "x", "version": 1}', 'expected "format"'),
    "list": ("index.json", lambda c: b"[]", "damaged or no index"),
    "later version": ("index.json", edited('"version": 1', '"version": 2'), '"version": 1'),
    "no shards": (
        "index.json",
        lambda c: json.dumps({**json.loads(c), "shards": []}).encode(),
        "at least one shard",
    ),
    "unknown field": ("index.json", edited('"name"', '"names"'), "names"),
    "count": ("index.json", edited('"bytes": ', '"bytes": -'), "expected names and counts"),
    "elsewhere": ("index.json", edited("000000.X.npy", "../x.npy"), "not like the first"),
    "rows": ("index.json", edited("     8", "     7"), "shard 0 is not like the first"),
    "dtype": ("index.json", edited("<f4", "<f8"), "shard 1 is not like the first"),
}


@pytest.mark.parametrize(("name", "change", "message"), AT_ONCE.values(), ids=list(AT_ONCE))
def test_what_is_damaged_or_foreign_is_refused_at_once(
    folder: Path, name: str, change: Callable[[bytes], bytes], message: str
) -> None:
    changed(folder / name, change)
    with pytest.raises(ValueError, match=message):
        ShardDataset(folder)


def test_a_missing_shard_is_refused_at_once(folder: Path) -> None:
    (folder / "000002.y.npy").unlink()
    with pytest.raises(ValueError, match=r"000002\.y\.npy is missing: index\.json lists it"):
        ShardDataset(folder)
    with pytest.raises(ValueError, match=r"elsewhere has no index\.json: it is no folder of"):
        ShardDataset(folder.with_name("elsewhere"))


@pytest.mark.parametrize("name", ["000001.X.npy", "000001.y.npy"])
def test_a_changed_bit_is_refused_before_a_row_of_its_shard_is_used(
    folder: Path, name: str
) -> None:
    changed(folder / name, flipped)
    dataset = ShardDataset(folder)
    dataset.batch([0, 19])
    with pytest.raises(ValueError, match=f"{name} is damaged: its content"):
        dataset.batch([0, 8])
    with pytest.raises(ValueError, match=f"{name} is damaged: its content"):
        ShardDataset(folder).check()


@pytest.mark.parametrize(
    ("name", "form", "message"),
    [
        (1, {"dtype": "<u8"}, r"expected <u8 of shape \[8\], got <i8 of shape \[8\]"),
        (0, {"shape": [8, 4]}, r"expected <f4 of shape \[8, 4\], got <f4 of shape \[8, 3\]"),
    ],
)
def test_a_shard_of_another_form_than_the_index_says_is_refused(
    folder: Path, name: int, form: dict[str, Any], message: str
) -> None:
    index = folder / "index.json"
    content = json.loads(index.read_text())
    content["shards"] = content["shards"][:1]
    content["shards"][0][name] |= form
    index.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=rf"not the one of index\.json: {message}"):
        ShardDataset(folder).batch([0])


@pytest.mark.parametrize("read_first", [ShardDataset.check, lambda data: data.batch(range(20))])
def test_the_content_of_a_sound_shard_is_checked_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, read_first: Callable[[ShardDataset], Any]
) -> None:
    dataset = ShardDataset(folder)
    read_first(dataset)
    monkeypatch.setattr("hashlib.file_digest", None)
    assert dataset.batch(range(20))[1].tolist() == list(range(20))


# The order


@given(sizes=shard_sizes, size=st.integers(1, 20), seed=seeds)
def test_an_epoch_shows_every_row_once_and_shard_after_shard(
    sizes: list[int], size: int, seed: int | None
) -> None:
    batches = shards_of(sizes, size, seed)
    shard_of = np.repeat(np.arange(len(sizes)), sizes)
    for epoch in range(2):
        read = list(batches)
        assert all(len(batch) == size for batch in read[:-1])
        assert len(read) == len(batches)
        order = list(chain(*read))
        assert sorted(order) == list(range(sum(sizes)))
        assert order == batches.order(epoch).tolist()
        changes = np.count_nonzero(np.diff(shard_of[order]))
        assert changes == len(sizes) - 1, "each shard is read in one go"
        if seed is None:
            assert order == sorted(order)


@given(sizes=shard_sizes, size=st.integers(1, 20), seed=seeds, data=st.data())
def test_a_start_in_the_middle_goes_on_exactly(
    sizes: list[int], size: int, seed: int | None, data: st.DataObject
) -> None:
    drop_last = data.draw(st.booleans()) and sum(sizes) >= size
    batches, late = (shards_of(sizes, size, seed, drop_last=drop_last) for _ in range(2))
    position = data.draw(st.integers(0, len(batches)))
    batches.start(5)
    late.start(5, position)
    whole, rest = list(batches), list(late)
    assert len(whole) == len(batches)
    assert rest == whole[position:]
    assert [rows.seed for rows in rest] == [rows.seed for rows in whole[position:]]


@given(sizes=shard_sizes, size=st.integers(1, 20), seed=seeds, world=st.integers(1, 4))
def test_shares_make_up_the_batch_of_one_process(
    sizes: list[int], size: int, seed: int | None, world: int
) -> None:
    shares = []
    for rank in range(world):
        batches = shards_of(sizes, size, seed)
        batches.share(rank, world)
        shares.append(list(batches))
    for number, batch in enumerate(shards_of(sizes, size, seed)):
        assert [share[number] for share in shares] == [batch[rank::world] for rank in range(world)]


def test_shards_and_the_rows_within_are_shuffled_anew_each_epoch() -> None:
    batches = shards_of([20] * 5, 10, 0)
    epochs = [list(chain(*batches)) for _ in range(3)]
    shards = [tuple(row // 20 for row in order) for order in epochs]
    assert len(set(shards)) == 3
    within = [tuple(row for row in order if row < 20) for order in epochs]
    assert len({*within, tuple(range(20))}) == 4
    assert list(chain(*shards_of([20] * 5, 10, 0))) == epochs[0]
    assert list(chain(*shards_of([20] * 5, 10, 1))) != epochs[0]


def test_the_state_of_other_shards_is_refused() -> None:
    batches, other = shards_of([8, 8, 4], 3, 0), shards_of([8, 8, 4], 3, 1)
    other.load_state_dict(batches.state_dict())
    assert list(other) == list(batches)
    with pytest.raises(ValueError, match=r"with sizes = \[8, 8, 4\], here it is \[10, 10\]"):
        shards_of([10, 10], 3, 0).load_state_dict(batches.state_dict())
    with pytest.raises(ValueError, match="expected a sampler's seed, n, batch_size, drop_last"):
        Batches(20, 3).load_state_dict(batches.state_dict())


# The loader


@with_workers
def test_batches_are_those_of_the_rows_in_memory_for_any_number_of_workers(folder: Path) -> None:
    X, y = table()
    fitted = Standardizer().fit(X)
    augment = partial(random_noise, std=0.1)
    options: dict[str, Any] = {"batch_size": 3, "standardizer": fitted, "augment": augment}
    loaders = [
        make_shard_loader(folder, **options, generator=seeded(), workers=workers)
        for workers in (0, 2)
    ]
    by_hand = []
    for rows in shards_of([8, 8, 4], 3, 0):
        generator = Rows(rows, key=rows.key).generator()
        assert generator is not None
        by_hand.append((augment(torch.tensor(fitted.transform(X[rows])), generator), y[rows]))
    for loader in loaders:
        for batch, (X_hand, y_hand) in zip(loader, by_hand, strict=True):
            assert torch.equal(batch[0], X_hand)
            assert_array_equal(batch[1], y_hand)
        batches = sampler_of(loader)
        assert batches is not None
        batches.start(0, position=6)
        assert len(list(loader)) == 1


def test_in_order_the_loader_is_that_of_arrays(folder: Path) -> None:
    in_memory = make_loader(*table(), batch_size=3)
    assert same(make_shard_loader(folder, batch_size=3), in_memory)


def test_an_empty_share_is_a_batch_of_no_rows(folder: Path) -> None:
    loader = make_shard_loader(folder, batch_size=19, generator=seeded())
    batches = sampler_of(loader)
    assert batches is not None
    batches.share(1, 2)
    *_, (X, y) = loader
    assert (X.shape, X.dtype, y.shape, y.dtype) == ((0, 3), torch.float32, (0,), torch.int64)


def test_what_a_loader_refuses_is_refused_here(folder: Path) -> None:
    with pytest.raises(ValueError, match="augment draws at random"):
        make_shard_loader(folder, batch_size=2, augment=partial(random_noise, std=0.1))
    with pytest.raises(ValueError, match="workers of at least 0, got -1"):
        make_shard_loader(folder, batch_size=2, workers=-1)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        make_shard_loader(folder, batch_size=0)


# Memory

SHARD = 1000  # rows of 1 KiB
MEASURE = f"""
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
import numpy as np, torch
from dlbook.pytorch import make_shard_loader, write_shards

def peak():  # KiB, of this program alone: getrusage's would begin with that of its parent
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

def pieces(rows):
    rng = np.random.default_rng(0)
    for _ in range(rows // 500):
        yield rng.random((500, 256), "float32"), np.zeros(500, "int64")

with TemporaryDirectory() as folder:
    for rows in (10 * {SHARD}, 100 * {SHARD}):
        path = Path(folder, str(rows))
        write_shards(path, pieces(rows), rows_per_shard={SHARD})
        print(peak())
        loader = make_shard_loader(path, batch_size=250, generator=torch.Generator())
        assert sum(len(X) for X, y in loader) == rows
        print(peak())
        del loader  # and the shards that it has mapped
    everything = [np.load(file) for file in path.glob("*.X.npy")]
    print(peak())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux")
def test_memory_stays_flat_while_the_data_grow_tenfold() -> None:
    """Written and read: 10 MB, then 100 MB. The last number shows that the test can fail."""
    run = subprocess.run(
        [sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True, timeout=120
    )
    _, small, written, large, everything = (int(line) for line in run.stdout.split())  # KiB
    shard = SHARD * 256 * 4 / 1024
    assert max(written, large) - small < 8 * shard, "KiB more, where the data are 90 shards more"
    assert everything - small > 50 * shard, "all at once, the data are in memory"
