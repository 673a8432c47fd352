"""The same ideas in PyTorch, on a CPU or a GPU."""

from __future__ import annotations

from dlbook.pytorch.augmentation import (
    Compose,
    random_erase,
    random_flip,
    random_noise,
    random_shift,
)
from dlbook.pytorch.batches import Batches, Rows
from dlbook.pytorch.callbacks import TensorBoard
from dlbook.pytorch.checkpoint_files import CheckpointError, read_checkpoint
from dlbook.pytorch.checkpoints import Checkpoints, load_weights
from dlbook.pytorch.data import ArrayDataset, loader_of, make_loader, sampler_of
from dlbook.pytorch.devices import available_devices, best_device, describe, move
from dlbook.pytorch.distributed import (
    any_process,
    from_first,
    gather_to_first,
    launched,
    parallel,
    process_count,
    process_group,
    rank,
    share_buffers,
    share_out,
    sum_over_processes,
    synchronized,
)
from dlbook.pytorch.evaluation import evaluate, predict
from dlbook.pytorch.exchange import load_arrays, save_arrays
from dlbook.pytorch.models import MLP, ConvNet, ResidualBlock, ResNet
from dlbook.pytorch.precision import Precision
from dlbook.pytorch.randomness import (
    deterministic,
    generators_state,
    seed_all,
    set_generators_state,
)
from dlbook.pytorch.resident import DeviceBatches
from dlbook.pytorch.shard_files import write_shards
from dlbook.pytorch.sharding import shard
from dlbook.pytorch.shards import ShardBatches, ShardDataset, make_shard_loader
from dlbook.pytorch.state import Run
from dlbook.pytorch.summaries import LayerSummary, Summary, count_parameters, summary
from dlbook.pytorch.training import fit

__all__ = [
    "MLP",
    "ArrayDataset",
    "Batches",
    "CheckpointError",
    "Checkpoints",
    "Compose",
    "ConvNet",
    "DeviceBatches",
    "LayerSummary",
    "Precision",
    "ResNet",
    "ResidualBlock",
    "Rows",
    "Run",
    "ShardBatches",
    "ShardDataset",
    "Summary",
    "TensorBoard",
    "any_process",
    "available_devices",
    "best_device",
    "count_parameters",
    "describe",
    "deterministic",
    "evaluate",
    "fit",
    "from_first",
    "gather_to_first",
    "generators_state",
    "launched",
    "load_arrays",
    "load_weights",
    "loader_of",
    "make_loader",
    "make_shard_loader",
    "move",
    "parallel",
    "predict",
    "process_count",
    "process_group",
    "random_erase",
    "random_flip",
    "random_noise",
    "random_shift",
    "rank",
    "read_checkpoint",
    "sampler_of",
    "save_arrays",
    "seed_all",
    "set_generators_state",
    "shard",
    "share_buffers",
    "share_out",
    "sum_over_processes",
    "summary",
    "synchronized",
    "write_shards",
]
