"""Rules about exceptions in data: datasets, loaders, their workers, and indices into tables."""

from __future__ import annotations

from torch import nn

from dlbook.doctor.rules.crash import Crash, explains, span_of
from dlbook.doctor.rules.rule import Sign

__all__: list[str] = []


@explains(
    r"IndexError: index out of range in self",
    r"Index \d+ of input takes value (-?\d+) which is not in the valid range \[0, (\d+)\)",
    r"Assertion `srcIndex < srcSelectDimSize` failed",
    title="the embedding has too few rows: an index is out of range",
    fix="- nn.Embedding(n, width)\n+ nn.Embedding(ids.max() + 1, width)",
    born="embedding_one_row_too_few",
)
def embedding_too_small(crash: Crash) -> Sign | None:
    """Find an index beyond the rows of an embedding.

    An embedding of n rows takes 0 to n - 1. Padding, unknown words and counting from 1 each need a
    row more.
    """
    layer, ids = crash.layer, crash.tensor("input")
    span = span_of(ids)
    if not isinstance(layer, nn.Embedding | nn.EmbeddingBag) or span is None:
        return Sign("")
    rows, width = layer.num_embeddings, layer.embedding_dim
    low, high = (int(i) for i in span)
    told = f"indices run from {low} to {high}, and the embedding has {rows} rows: 0 to {rows - 1}"
    if low < 0:
        return Sign(told, fix="number the entries from 0: ids - ids.min()")
    fix = f"- nn.Embedding({rows}, {width})\n+ nn.Embedding({high + 1}, {width})"
    return Sign(told, fix=fix)


@explains(
    r"Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, "
    r"Int; but got (\S+)",
    r"tensors used as indices must be long, int, byte or bool tensors",
    r"Expected dtype int32/int64 for index|expects? (?:its )?index to be",
    title="indices are no whole numbers",
    fix="- embedding(ids)\n+ embedding(ids.long())",
)
def indices_of_wrong_type(crash: Crash) -> Sign | None:
    """Find numbers with a fraction that are used as indices.

    An index is a place in a table. Ids read together with other columns, or kept in a tensor of
    floats, must be made whole numbers again.
    """
    ids = crash.tensor("input")
    return Sign("" if ids is None else f"the indices have dtype {ids.dtype}")


@explains(
    r"stack expects each tensor to be equal size, but got \[([\d, ]*)\] at entry 0 and "
    r"\[([\d, ]*)\] at entry (\d+)",
    r"each element in list of batch should be of equal size",
    r"Trying to resize storage that is not resizable",
    r"expected sequence of length (\d+) at dim \d+ \(got (\d+)\)",
    title="records of different shapes are put into one batch",
    fix="  from torch.nn.utils.rnn import pad_sequence\n"
    "+ def collate(records):\n"
    "+     xs, ys = zip(*records)\n"
    "+     return pad_sequence(xs, batch_first=True), torch.stack(ys)\n"
    "- DataLoader(data, batch_size=32)\n"
    "+ DataLoader(data, batch_size=32, collate_fn=collate)",
    born="sequences_of_different_lengths",
)
def records_of_different_shapes(crash: Crash) -> Sign | None:
    """Find a batch that is to be made of records of different shapes.

    A batch is one tensor, and all its rows have one shape: sequences must be padded, images brought
    to one size, before they are stacked.
    """
    if crash.found.re.groups != 3:
        return Sign("")
    first, other, number = crash.found.groups()
    return Sign(f"record 0 has shape ({first}), record {number} has shape ({other})")


@explains(
    r"default_collate: batch must contain .*; found (.*)",
    title="the dataset gives records that cannot be put into a batch",
    fix="  def __getitem__(self, i):\n-     return image, label\n"
    "+     return to_tensor(image), label",
)
def records_of_a_wrong_kind(crash: Crash) -> Sign | None:
    """Find records that are no tensors, arrays or numbers.

    A loader stacks what the dataset gives. Images must be made tensors by a transform, text
    numbers; None is what a ``__getitem__`` without ``return`` gives.
    """
    if "NoneType" in crash.found[1]:
        fix = "  def __getitem__(self, i):\n-     self.x[i], self.y[i]\n+     return self.x[i], "
        return Sign("the dataset gives None", fix=fix + "self.y[i]")
    return Sign("")


@explains(
    r"Can't pickle (.*)|cannot pickle '(.*)' object",
    title="a worker of the loader cannot be given the dataset (pickle)",
    fix="- transform=lambda x: x / 255\n+ def scale(x):\n+     return x / 255\n+ transform=scale",
)
def dataset_not_for_workers(crash: Crash) -> Sign | None:
    """Find a dataset that cannot be sent to another process.

    Workers that are started anew get the dataset by pickle, which knows no lambda, no function or
    class inside a function, and no open file.
    """
    return Sign("") if any(f.function == "__iter__" for f in crash.frames) else None


@explains(
    r"current process has\s+finished its bootstrapping phase",
    title="the program starts workers while it is imported: the main guard is missing",
    fix="+ if __name__ == '__main__':\n+     main()",
)
def main_guard_missing(_: Crash) -> Sign | None:
    """Find a program without ``if __name__ == "__main__"`` that starts processes.

    Where processes are started anew (Windows, macOS), each imports the program, and without the
    guard starts further ones.
    """
    return Sign("")


@explains(
    r"DataLoader worker \(pid(?:\(s\))? [\d, ]+\) (is killed by signal: .*|exited unexpectedly)",
    title="a worker of the loader died",
    fix="- DataLoader(data, num_workers=4)\n+ DataLoader(data, num_workers=0)\nto see its own "
    "exception; where it was killed, memory ran out: fewer workers, smaller batches",
)
def worker_died(_: Crash) -> Sign | None:
    """Find a worker that ended without an exception that could be passed on.

    The system kills processes where memory runs out, also the shared memory of containers. On
    Windows and macOS it may be a missing ``if __name__ == "__main__"``.
    """
    return Sign("")


@explains(
    r"num_samples should be a positive integer value, but got num_samples=0",
    title="the dataset is empty",
    fix="+ print(len(data), folder)",
)
def dataset_empty(_: Crash) -> Sign | None:
    """Find a dataset without records.

    Nothing was found: a wrong folder or pattern, or a filter that leaves nothing.
    """
    return Sign("")


@explains(
    r"Size mismatch between tensors",
    title="inputs and labels of the dataset are not as many",
    fix="+ print(X.shape, y.shape)\n  TensorDataset(X, y)",
)
def tensors_of_different_lengths(crash: Crash) -> Sign | None:
    """Find a dataset of tensors with different numbers of rows.

    Row i of each tensor belongs to record i.
    """
    frame = crash.called("__init__")
    tensors = () if frame is None else frame.variables.get("tensors", ())
    return Sign(", ".join(str(tuple(tensor.shape)) for tensor in tensors))


@explains(
    r"Sum of input lengths does not equal the length of the input dataset",
    title="the parts of a split do not add up to the dataset",
    fix="+ n = int(0.8 * len(data))\n- random_split(data, [800, 200])\n"
    "+ random_split(data, [n, len(data) - n])",
)
def parts_do_not_add_up(crash: Crash) -> Sign | None:
    """Find a split into parts that are together more or fewer than the dataset.

    Rounded shares need not add up: give the rest to the last part, or give shares that sum to 1.
    """
    frame = crash.called("random_split")
    if frame is None:
        return Sign("")
    lengths, data = frame.variables.get("lengths"), frame.variables.get("dataset", ())
    return Sign(f"the parts {lengths} of {len(data)} records")


@explains(
    r"object of type '(\w+)' has no len\(\)",
    r"Subclasses of Dataset should implement __getitem__",
    r"'(\w+)' object is not subscriptable",
    title="the dataset lacks __len__ or __getitem__",
    fix="+ def __len__(self):\n+     return len(self.x)\n+ def __getitem__(self, i):\n"
    "+     return self.x[i], self.y[i]",
)
def dataset_incomplete(crash: Crash) -> Sign | None:
    """Find a dataset without its two methods.

    A loader asks a dataset for its length and for record i.
    """
    if "subscriptable" not in crash.message:
        inside = crash.frames[-1].file.replace("\\", "/") if crash.frames else ""
        return Sign("") if "/torch/utils/data/" in inside else None
    if crash.found[1] == "DataLoader":
        fix = "- loader[0]\n+ next(iter(loader))"
        return Sign("a loader is gone through, and has no record i", fix=fix)
    return None


@explains(
    r"(not enough|too many) values to unpack \(expected (\d+)(?:, got (\d+))?\)",
    title="a batch holds another number of things than names to unpack it",
    fix="- for x, y, z in loader:\n+ for x, y in loader:",
)
def batch_unpacked_wrongly(crash: Crash) -> Sign | None:
    """Find a batch, or what a network returned, that is unpacked into too few or too many names.

    A batch has what the dataset gives for one record, in that order. A tensor that is unpacked is
    cut along its first axis.
    """
    return Sign(crash.source)


@explains(
    r"^(KeyError|IndexError): ",
    title="the dataset fails for one of its indices",
    fix="  def __len__(self):\n-     return 1000\n+     return len(self.x)",
)
def record_not_found(crash: Crash) -> Sign | None:
    """Find a dataset that has no record for an index below its length.

    The loader asks for 0 to ``len(data) - 1``. Lists shorter than that, tables whose rows keep
    their numbers after a filter or a split (use ``iloc``), and dictionaries with other keys fail.
    """
    inner = next((f for f in crash.readers if f.function == "__getitem__"), None)
    if inner is None:
        return None
    told = ", ".join(f"{k} = {v}" for k, v in inner.variables.items() if isinstance(v, int))
    return Sign(f"{inner.source}" + (f" with {told}" if told else ""), inner.where)


@explains(
    r"`lengths` array must be sorted in decreasing order",
    r"Length of all samples has to be greater than 0",
    title="the lengths of sequences to be packed are not sorted, or one is 0",
    fix="- pack_padded_sequence(x, lengths)\n"
    "+ pack_padded_sequence(x, lengths.cpu(), enforce_sorted=False)",
)
def lengths_not_for_packing(crash: Crash) -> Sign | None:
    """Find sequences that are packed with lengths in another order than packing wants.

    Packing wants the longest first, unless ``enforce_sorted=False`` lets it sort; and an empty
    sequence has no state.
    """
    span = span_of(crash.tensor("lengths"))
    return Sign("" if span is None else f"lengths from {span[0]} to {span[1]}")


@explains(
    r"expected a non-empty list of Tensors|stack expects a non-empty TensorList",
    r"Expected reduction dim (?:to be specified for input\.numel\(\) == 0|\d+ to have non-zero)",
    r"Boolean value of Tensor with no values is ambiguous",
    title="nothing was collected: a list or tensor is empty",
    fix="+ print(len(loader), len(data))",
    after=("no-step-taken",),
)
def nothing_collected(crash: Crash) -> Sign | None:
    """Find an empty list that is joined, or an empty tensor whose greatest number is asked for.

    A loop over a loader may have had no batch: an empty part of the data, ``drop_last=True`` with
    fewer records than a batch, or an iterator that was gone through before.
    """
    return Sign(crash.source)
