"""Where the tests of the PyTorch half compute: on the CPU, or on the device that is asked for.

``DLBOOK_TEST_DEVICE=cuda pytest …`` asks for one. These tests name no device themselves: they say
``DEVICE``, to the package as to the loops written in line that they hold it against
(``tests/test_on_device.py`` sees to that). ``python3 -m tests.on_device`` runs them all on a GPU,
or says in one line that there is none. (MPS has no float64, in which most of them compute.)

What a test compares, and how far apart that may be:

===================================  =============  ==============================================
what is compared                     allowed        why the same number holds on a GPU
===================================  =============  ==============================================
a run and the same run, kept and     none: the      the order of every sum is fixed: ``same_bits``
gone on with; ``fit`` and a loop     same bits      allows only operations that are deterministic,
written in line                                     and cuBLAS has its workspace from the start
sums in another order, float64       1e-12 to 1e-8  a sum of n products is off by about √n · 1e-16;
                                                    cuBLAS adds up in another order than the CPU,
                                                    as one batch does than two: the order was
                                                    never part of what these tests allow
sums in another order, float32       1e-6 to 1e-5   √n · 6e-8, as above; TF32, which would keep 10
                                                    bits of a factor, is off (``all_bits``)
bfloat16 and fp16 against float32    10 parts in    8 and 11 bits, on every device; sums are kept
                                     2⁸ and 2¹¹     in float32 by cuBLAS as by the CPU
draws of the CPU's generators        none           made on the CPU, and carried to the device
===================================  =============  ==============================================

So no test has a tolerance of its own for a GPU. A GPU held against the CPU, and not against itself
or NumPy, is in ``tests/test_cuda.py``, which argues its tolerances there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "DLBOOK_TEST_DEVICE"
DEVICE = os.environ.get(VARIABLE) or "cpu"
ROOT = Path(__file__).parents[1]
WORKSPACE = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8"}  # read once, when CUDA starts
PROCESSES = 4  # each takes half a gigabyte of the GPU's memory before it has computed anything

FILES = (
    "test_callbacks.py",
    "test_checkpoints.py",
    "test_cli_pytorch.py",
    "test_compile.py",
    "test_cuda.py",
    "test_exchange.py",
    "test_models.py",
    "test_parity_halves.py",
    "test_precision.py",
    "test_pytorch_augmentation.py",
    "test_pytorch_checks.py",
    "test_pytorch_data_resident.py",
    "test_pytorch_evaluation.py",
    "test_pytorch_training.py",
    "test_run_state.py",
    "test_runs.py",
    "test_summaries.py",
)
ELSEWHERE = {
    "test_cli.py": "what a command says and writes, by NumPy's half",
    "test_devices.py": "pretends to have devices, and moves batches to one that holds no numbers",
    "test_distributed.py": "processes that speak through gloo, on CPUs: NCCL takes a GPU for each",
    "test_field_errors_pytorch.py": "views and moves of tensors, told by a device without memory",
    "test_imports.py": "which module loads which",
    "test_on_device.py": "this selection itself",
    "test_pytorch_benchmarks.py": "loops that are measured on a CPU; a GPU's are in test_cuda.py",
    "test_pytorch_data.py": "loaders, whose batches are on the CPU on every machine",
    "test_pytorch_shards.py": "the same, from files",
    "test_randomness.py": "pretends to have GPUs; the real generators are in test_cuda.py",
}


def refusal() -> str | None:
    """Say why the device asked for cannot be had."""
    from dlbook.pytorch.devices import available_devices

    there = available_devices()
    if DEVICE in there:
        return None
    return f"{VARIABLE} asks for {DEVICE!r}, and this machine has {', '.join(there)}"


@contextmanager
def all_bits() -> Iterator[None]:
    """Keep float32's 24 bits; cuDNN would use TF32 for convolutions unasked."""
    import torch

    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = False
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


def main() -> int:
    """Run the selection on a GPU, with pytest's options as given; or say that there is none."""
    import torch

    if not torch.cuda.is_available():
        sys.stdout.write("no CUDA device: the tests of the PyTorch half were not run on a GPU\n")
        return 0
    sys.stdout.write(f"the tests of the PyTorch half, on {torch.cuda.get_device_name()}:\n")
    sys.stdout.flush()
    options = ["--numprocesses", str(PROCESSES), "--dist", "loadfile", *sys.argv[1:]]
    files = [f"tests/{name}" for name in FILES]
    command = [sys.executable, "-m", "pytest", *options, *files]
    environment = WORKSPACE | os.environ | {VARIABLE: "cuda"}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
