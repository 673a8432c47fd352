"""What a run may call at the end of each epoch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dlbook.pytorch.distributed import rank
from dlbook.pytorch.state import Run

__all__ = ["Callback", "TensorBoard"]

Callback = Callable[[Run], bool | None]


class TensorBoard:
    """Write the numbers of each epoch to a folder that TensorBoard shows.

    The names are those of the history, over the number of the epoch; ``lr`` is the rate of the
    optimizer's first group as the epoch leaves it. An epoch stands in the file when the next
    begins, so a run that is interrupted loses none. One that goes on later, in the same folder,
    continues the curves; what the earlier part wrote of epochs that are now made again is hidden.

    Parameters
    ----------
    folder : str or Path
        Where to write; it is made if missing. Give each run its own.

    Raises
    ------
    ModuleNotFoundError
        If the package tensorboard is not installed; the message says how to get it.

    Notes
    -----
    In a group of processes the first one writes.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import torch
    >>> from dlbook.pytorch import MLP, fit
    >>> model, batch = MLP([1, 1]), (torch.ones(2, 1), torch.zeros(2, 1))
    >>> sgd = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> with TemporaryDirectory() as folder:
    ...     board = TensorBoard(folder)
    ...     history = fit(model, torch.nn.MSELoss(), sgd, [batch], epochs=2, callbacks=[board])
    ...     len(list(Path(folder).iterdir()))
    1
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ModuleNotFoundError(
                "TensorBoard(...) needs the package tensorboard, which is not installed: "
                "pip install 'dlbook[tensorboard]'"
            ) from error
        self.folder = folder
        self._open = SummaryWriter
        self._writer: SummaryWriter | None = None

    def __call__(self, run: Run) -> None:
        """Write the last epoch's row.

        Parameters
        ----------
        run : Run
            The run.
        """
        if rank() != 0:
            return
        row = run.history.epochs[-1] | {"lr": run.optimizer.param_groups[0]["lr"]}
        epoch = int(row.pop("epoch"))
        if self._writer is None:
            self._writer = self._open(str(self.folder), purge_step=epoch)
        for name, value in row.items():
            self._writer.add_scalar(name, value, epoch)
        self._writer.flush()
