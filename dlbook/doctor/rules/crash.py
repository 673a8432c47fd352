"""What an exception tells: its message, the reader's line, the layer it arose in."""

from __future__ import annotations

import linecache
import re
import sysconfig
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from dlbook.doctor.record import Record
from dlbook.doctor.rules.rule import RULES, Rule, Sign, rule

__all__ = ["AFTER", "CRASHES", "NOT_FINITE", "Crash", "Frame", "explains", "span_of"]

DOCTOR, TORCH = str(Path(__file__).parents[1]), str(Path(torch.__file__).parent)
OURS = (DOCTOR, TORCH, "<frozen", "<string>", "<eval_with_key>")
LIBRARIES = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
ELSEWHERE = "Original Traceback (most recent call last):"  # in a worker, or on another device
COMPILED = re.compile(  # what torch.compile makes of an exception
    r"failed to run FX node .*?<built-in (?:function|method) (?P<operation>\w+).*"
    r"got (?P<kind>\w+)\((?P<quote>['\"])(?P<told>.*?)(?P=quote)\)",
    re.DOTALL,
)
# What makes numbers that are none.
NOT_FINITE = (
    *("inputs-not-finite", "targets-not-finite", "logarithm-of-zero", "nan-gradient"),
    *("betas-swapped", "clipped-after-the-step", "gradients-not-cleared", "weights-too-large"),
    *("exploding-gradients", "rate-too-high", "inputs-unscaled", "targets-unscaled"),
)
# What a loop that was cut short looks like: it never came to a step, or to the next batch.
UNFINISHED = ("no-step-taken", "step-never-called", "backward-never-called", "graph-cut")
DEEP = 100  # calls that are read at either end
LONG = 300  # characters of a message that are shown


class Frame(NamedTuple):
    """One call on the way to where the exception arose."""

    file: str
    line: int
    function: str
    variables: Mapping[str, Any]

    @property
    def source(self) -> str:
        """The line of code."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def where(self) -> str:
        """File and line, as ``"train.py:12"``."""
        return f"{Path(self.file).name}:{self.line}"

    def statements(self, pattern: re.Pattern[str]) -> Iterator[tuple[str, str, str]]:
        """Yield what a pattern finds in the lines up to the running one, the last first.

        Parameters
        ----------
        pattern : re.Pattern
            Its first group is given out.

        Yields
        ------
        tuple of str
            The group, the line of code, and file and line.
        """
        lines = linecache.getlines(self.file)[: self.line]
        for number, line in reversed(list(enumerate(lines, start=1))):
            if found := pattern.search(line.rstrip()):
                yield found[1], line.strip(), f"{Path(self.file).name}:{number}"


@dataclass(frozen=True)
class Crash:
    """The exception that ended a loop.

    Parameters
    ----------
    kind, message : str
        Its type's name and what it says; of an exception that a worker of a loader passed on, those
        of the original.
    frames : tuple of Frame
        The calls on the way to it, the outermost first.
    record : Record
        What was seen until then.
    found : re.Match
        What the pattern of the rule that is asked found in type and message.
    """

    kind: str
    message: str
    frames: tuple[Frame, ...]
    record: Record
    found: re.Match[str]

    @classmethod
    def all_of(cls, record: Record) -> Iterator[Crash]:
        """Read what ended a loop, and what that was raised from.

        Parameters
        ----------
        record : Record
            What was seen.

        Yields
        ------
        Crash
            None where the loop was interrupted, or the program ended itself.
        """
        error = record.error
        if isinstance(error, KeyboardInterrupt | GeneratorExit | SystemExit):
            return
        seen: list[BaseException] = []
        while error is not None and error not in seen:
            seen.append(error)
            yield cls._of(error, record)
            error = error.__cause__

    @classmethod
    def _of(cls, error: BaseException, record: Record) -> Crash:
        calls = list(traceback.walk_tb(error.__traceback__))
        frames = [
            Frame(f.f_code.co_filename, line, f.f_code.co_name, f.f_locals)
            for f, line in calls[:DEEP] + calls[DEEP:][-DEEP:]
        ]
        kind, message = type(error).__name__, str(error)
        if ELSEWHERE in message:
            kind, message, inside = _original(message)
            frames += inside
        elif compiled := COMPILED.search(message):
            kind, message = compiled["kind"], f"{compiled['told']} (in {compiled['operation']})"
            frames += _places(str(error))
        found = cast("re.Match[str]", re.match("", ""))
        return cls(kind, message, tuple(frames), record, found)

    @property
    def said(self) -> str:
        """Type and message, in a line and cut where too long."""
        told = " ".join(self.message.split())
        told = told if len(told) <= LONG else told[:LONG].rstrip() + " …"
        return f"{self.kind}: {told}".rstrip(". ") if told else self.kind

    @property
    def readers(self) -> tuple[Frame, ...]:
        """The calls in code that belongs to no library, the innermost first."""
        inner = [f for f in reversed(self.frames) if not f.file.startswith(OURS)]
        return tuple([f for f in inner if not f.file.startswith(LIBRARIES)] or inner)

    @property
    def layer(self) -> nn.Module | None:
        """The innermost layer of PyTorch that was running; None where a line of the reader's was.

        Losses are no layers.
        """
        for frame in reversed(self.frames):
            module = frame.variables.get("self")
            if isinstance(module, nn.Module) and frame.file.startswith(TORCH):
                if isinstance(module, nn.modules.loss._Loss | nn.Sequential):
                    return None
                return None if frame.function.endswith("_call_impl") else module
            if not frame.file.startswith((TORCH, DOCTOR)):
                return None
        return None

    @property
    def where(self) -> str:
        """The reader's line, and the module by its name in the network."""
        line = self.readers[0].where if self.readers else ""
        name = self._name()
        return f"{line}, module {name}" if name else line

    @property
    def source(self) -> str:
        """The reader's line; empty where there is none."""
        return self.readers[0].source if self.readers else ""

    def describe(self, module: nn.Module) -> str:
        """Name a layer with its sizes, as ``Linear(in_features=4, out_features=2, bias=True)``."""
        return f"{type(module).__name__}({module.extra_repr()})"

    def tensor(self, *names: str) -> Tensor | None:
        """Return the tensor that the innermost function of PyTorch has under one of these names."""
        for frame in self._inside():
            for name in names:
                if isinstance(value := frame.variables.get(name), Tensor):
                    return value
        return None

    def called(self, *functions: str) -> Frame | None:
        """Return the innermost call of one of these functions of PyTorch."""
        return next((f for f in self._inside() if f.function in functions), None)

    def modules(self) -> Iterator[nn.Module]:
        """Yield the networks: those watched, then those in the reader's variables."""
        yield from self.record.models.values()
        for frame in self.readers:
            for value in frame.variables.values():
                if isinstance(value, nn.Module):
                    yield value

    def _inside(self) -> Iterator[Frame]:
        """Yield the calls within PyTorch that the reader's innermost line made, innermost first."""
        for frame in reversed(self.frames):
            if frame.file.startswith(TORCH):
                yield frame
            elif not frame.file.startswith(OURS):
                return

    def _name(self) -> str:
        inside = [f.variables.get("self") for f in self.frames]
        running = [module for module in inside if isinstance(module, nn.Module)]
        roots: dict[str, nn.Module] = {**self.record.models}
        roots |= {f"{type(m).__name__}": m for m in running[:1] if m not in roots.values()}
        for module in reversed(running):
            for root_name, root in roots.items():
                if "_modules" not in vars(root):
                    continue
                for name, part in root.named_modules():
                    if part is module and name:
                        return f"{root_name}.{name}" if root_name.isdigit() else name
        return ""


def span_of(tensor: Tensor | None) -> tuple[float, float] | None:
    """Return the least and the greatest number of a tensor, where they can be read.

    Parameters
    ----------
    tensor : Tensor or None
        Any tensor; one on a device that may have failed is not read.

    Returns
    -------
    tuple of float or None
        None where there is nothing to read.
    """
    if tensor is None or tensor.device.type != "cpu" or not tensor.numel():
        return None
    low, high = tensor.detach().aminmax()
    return low.item(), high.item()


Explanation = Callable[[Crash], Sign | None]
Codes = tuple[str, ...]
AFTER: dict[str, Codes] = {}  # for the code of a crash, the findings that it follows from
CRASHES: dict[str, Rule] = {}  # the rules that explain exceptions: the first that can, does


def explains(
    *patterns: str, title: str, fix: str, born: str = "", causes: Codes = (), after: Codes = ()
) -> Callable[[Explanation], Explanation]:
    """Make a rule of a function that explains an exception; its name is the code.

    Parameters
    ----------
    *patterns : str
        Regular expressions; the function is asked where one is found in ``"Type: message"``.
    title, fix : str
        As in ``Finding``.
    born : str, optional
        The pitfall that it was born from; by default that of ``tests/crashing.py``.
    causes : tuple of str, optional
        Codes of the findings that follow from this one.
    after : tuple of str, optional
        Codes of the findings that this one follows from.

    Returns
    -------
    callable
        The decorator, which gives the function back as it is. Of several that explain an exception
        the one defined first is heard.
    """

    def register(explain: Explanation) -> Explanation:
        code = explain.__name__.replace("_", "-")

        @wraps(explain)
        def judge(record: Record) -> Sign | None:
            for crash in Crash.all_of(record):
                text = f"{crash.kind}: {crash.message}"
                for found in (re.search(pattern, text) for pattern in patterns):
                    sign = _asked(explain, crash, found)
                    if sign is not None:
                        detail = f"; {sign.evidence}" if sign.evidence else ""
                        return sign._replace(
                            evidence=f"{crash.said}{detail}", where=sign.where or crash.where
                        )
            return None

        told = RULES.get(code)  # by a rule that sees the same fault where nothing raises
        rule(
            severity="error",
            title=title,
            fix=fix,
            born=born or explain.__name__,
            causes=(*(c for c in UNFINISHED if c not in after), *causes),
        )(judge)
        CRASHES[code], AFTER[code] = RULES[code], after
        RULES[code] = told or RULES[code]
        return explain

    return register


def _asked(explain: Explanation, crash: Crash, found: re.Match[str] | None) -> Sign | None:
    if found is None:
        return None
    try:
        return explain(replace(crash, found=found))
    except Exception:  # what is looked at is the reader's, and may raise anything
        return None


def _original(message: str) -> tuple[str, str, list[Frame]]:
    """Read an exception that arose in another process or thread out of the text it sent."""
    lines = message.rstrip().splitlines()
    last = max(i for i, line in enumerate(lines) if line.startswith("  "))
    kind, _, told = "\n".join(lines[last + 1 :]).partition(": ")
    return kind.rpartition(".")[2], told, _places(message)


def _places(text: str) -> list[Frame]:
    """Read the calls out of a traceback that is text."""
    places = re.findall(r'^ +File "(.*)", line (\d+), in (\S+)', text, re.MULTILINE)
    return [Frame(file, int(line), function, {}) for file, line, function in places]
