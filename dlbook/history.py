"""The record of a training run: its settings and one row of numbers for each epoch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dlbook.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["History", "Setting"]

JSON_KINDS = "a string, a number, true, false, null or a list of these"
Scalar = str | int | float | bool | None
Setting = Scalar | list[Scalar]
FORMAT = "dlbook.history"
VERSION = 1


@dataclass
class History:
    """The record of a training run, which knows no framework.

    Parameters
    ----------
    settings : dict of str to JSON scalar or list
        What the run was given: task, rate, seed.
    epochs : list of dict of str to float
        One row for each epoch, in order; every row has the same names. ``fit`` writes ``epoch``
        (counted from 1), ``train_loss`` and ``seconds``, and where they have a meaning
        ``train_accuracy``, ``validation_loss`` and ``validation_accuracy``. Losses are in the
        loss's own unit, accuracies in [0, 1], ``seconds`` is the time that this epoch took.

    Examples
    --------
    >>> history = History(settings={"lr": 0.1})
    >>> history.record(train_loss=0.7)
    >>> history.record(train_loss=0.5)
    >>> history["train_loss"], len(history)
    ([0.7, 0.5], 2)
    """

    settings: dict[str, Setting] = field(default_factory=dict)
    epochs: list[dict[str, float]] = field(default_factory=list)

    def record(self, **values: float) -> None:
        """Append the row of one epoch; ``epoch`` is filled in, counted from 1.

        Parameters
        ----------
        **values : float
            The numbers of the epoch by name. Infinity and NaN are kept: a run that diverged
            is a run.

        Raises
        ------
        ValueError
            If the names differ from those of the earlier rows, or include ``epoch``; the
            message gives both sets of names.
        TypeError
            If a value is not a number; the message names it.
        """
        if "epoch" in values:
            raise ValueError("record() counts the epochs itself: leave out 'epoch'")
        row = {"epoch": len(self.epochs) + 1} | {k: _number(k, v) for k, v in values.items()}
        if self.epochs and row.keys() != self.epochs[0].keys():
            raise ValueError(
                f"every epoch records the same names: expected {_names(self.epochs[0])}, "
                f"got {_names(row)}"
            )
        self.epochs.append(row)

    def __getitem__(self, name: str) -> list[float]:
        """Return the values recorded under ``name``, one for each epoch.

        Raises
        ------
        ValueError
            If nothing was recorded under that name; the message lists the names there are.
        """
        if not self.epochs:
            raise ValueError(f"no {name!r}: the history has no epochs yet")
        if name not in self.epochs[0]:
            raise ValueError(f"no {name!r} in this history: it has {_names(self.epochs[0])}")
        return [row[name] for row in self.epochs]

    def __contains__(self, name: object) -> bool:
        """Tell whether values were recorded under ``name``."""
        return bool(self.epochs) and name in self.epochs[0]

    def __len__(self) -> int:
        """Return the number of epochs recorded."""
        return len(self.epochs)

    def save(self, path: str | Path) -> None:
        """Write the record as JSON, in one piece or not at all.

        Infinity and NaN, for which JSON has no number, become the strings ``"inf"``, ``"-inf"``
        and ``"nan"``.

        Parameters
        ----------
        path : str or Path
            The file to write; its folder must exist.

        Raises
        ------
        TypeError
            If JSON cannot hold a setting; the message names it.
        """
        import json  # here, so that importing the package does not wait for it

        for name, value in self.settings.items():
            if not _is_setting(value):
                raise TypeError(
                    f"setting {name!r} must be {JSON_KINDS}, got {value!r} ({type(value).__name__})"
                )
        content = {
            "format": FORMAT,
            "version": VERSION,
            "settings": self.settings,
            "epochs": [{k: _to_json(v) for k, v in row.items()} for row in self.epochs],
        }
        write_atomically(path, json.dumps(content, indent=1, allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> History:
        """Read a record that ``save`` wrote.

        Parameters
        ----------
        path : str or Path
            The file to read.

        Returns
        -------
        History
            The record, equal to the one saved.

        Raises
        ------
        ValueError
            If the file is damaged, or is not a history; the message says what is wrong.
        """
        import json  # as above
        from pathlib import Path

        try:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
        except ValueError as error:  # not UTF-8, or not JSON
            raise ValueError(f"{path} is damaged or not JSON: {error}") from error
        try:
            return cls._from_json(content)
        except ValueError as error:
            raise ValueError(f"{path} is not a dlbook history: {error}") from error

    @classmethod
    def _from_json(cls, content: Any) -> History:
        if not isinstance(content, dict) or content.get("format") != FORMAT:
            raise ValueError(f'expected an object with "format": "{FORMAT}"')
        if content.get("version") != VERSION:
            raise ValueError(
                f"expected version {VERSION} of the format, got {content.get('version')!r}"
            )
        settings, rows = content.get("settings"), content.get("epochs")
        if not isinstance(settings, dict) or not all(map(_is_setting, settings.values())):
            raise ValueError(f"expected every value in settings to be {JSON_KINDS}")
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise ValueError("expected epochs to be a list of objects")
        history = cls(settings)
        for number, row in enumerate(rows, start=1):
            if row.get("epoch") != number:
                raise ValueError(f"expected epoch {number} in row {number}, got {row.get('epoch')}")
            try:
                history.record(**{k: _from_json(v) for k, v in row.items() if k != "epoch"})
            except TypeError as error:
                raise ValueError(f"epoch {number}: {error}") from error
        return history


def _names(row: Mapping[str, float]) -> str:
    return ", ".join(row)


def _number(name: str, value: Any) -> float:
    if isinstance(value, str):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} must be a number, got {value!r}") from error


def _to_json(value: float) -> float | str:
    return value if math.isfinite(value) else str(value)


def _from_json(value: Any) -> Any:
    return float(value) if value in ("inf", "-inf", "nan") else value


def _is_setting(value: object) -> bool:
    if isinstance(value, list):
        return all(not isinstance(item, list) and _is_setting(item) for item in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)
