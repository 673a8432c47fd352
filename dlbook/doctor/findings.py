"""What the doctor says: findings, and the report that orders them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from dlbook.doctor.links import link_to

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["DiagnosedError", "Finding", "Report", "Severity"]

Severity = Literal["note", "warning", "error"]
SHOWN = 3  # findings that a report prints; the rest is counted
COLORS = {"error": "red", "warning": "yellow", "note": "blue"}
# The same where the page may be light or dark: each far enough from white and from black.
RED, YELLOW, BLUE = (222, 60, 60), (160, 112, 0), (58, 125, 210)
PAGE = """\
<pre style="white-space:pre;overflow-x:auto;line-height:normal;\
font-family:Menlo,'DejaVu Sans Mono',Consolas,'Courier New',monospace">{code}</pre>
"""


class DiagnosedError(ValueError):
    """A report holds a finding as grave as asked for."""


class _ShownInNotebooks:
    """Shows in a notebook what Rich shows in a terminal, and as text where there is no HTML."""

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        from io import StringIO

        from rich.console import Console
        from rich.terminal_theme import TerminalTheme

        black, white = (0, 0, 0), (255, 255, 255)  # neither is used: text has the page's own color
        colors = [black, RED, black, YELLOW, BLUE, black, black, white]
        console = Console(file=StringIO(), record=True, width=100)
        console.print(self)
        html = console.export_html(
            theme=TerminalTheme(white, black, colors), code_format=PAGE, inline_styles=True
        )
        return {"text/plain": str(self), "text/html": html}


@dataclass(frozen=True)
class Finding(_ShownInNotebooks):
    """One fault, and how it is known.

    Parameters
    ----------
    code : str
        Name of the fault, which never changes: ``"gradients-not-cleared"``.
    severity : {"note", "warning", "error"}
        ``error``: proven from what happened. ``warning``: confirmed by an experiment. ``note``:
        worth knowing, and no fault in itself.
    title : str
        What is wrong, in a line.
    evidence : str
        What was measured or seen.
    why : str
        How the one leads to the other.
    fix : str
        What to change, as a diff where possible.
    where : str
        The module, parameter or line of code; empty where none can be named.
    causes : tuple of str
        Codes of the findings that follow from this one.
    """

    code: str
    severity: Severity
    title: str
    evidence: str
    why: str
    fix: str
    where: str = ""
    causes: tuple[str, ...] = ()

    @property
    def link(self) -> str:
        """The section of the book that tells of it, below the address of the book."""
        return link_to(self.code)

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values.

        Returns
        -------
        dict
            The fields by their names, and ``link``.
        """
        return asdict(self) | {"link": self.link}

    def told(self, follows: Iterable[str] = ()) -> str:
        """Return it as plain text.

        Parameters
        ----------
        follows : iterable of str, optional
            Titles of what follows from it.

        Returns
        -------
        str
            Several lines.
        """
        where = f" ({self.where})" if self.where else ""
        lines = [f"{self.severity}: {self.title}{where} [{self.code}]"]
        lines += [f"  seen: {self.evidence}", f"  why: {self.why}"]
        lines += ["  fix:", *(f"    {line}" for line in self.fix.splitlines())]
        lines += [f"  follows: {title}" for title in follows]
        return "\n".join([*lines, f"  book: {self.link}"])

    def __str__(self) -> str:
        """Return it as plain text."""
        return self.told()

    def __rich__(self) -> RenderableType:
        """Return it for Rich, which shows it in terminals and notebooks."""
        return self._panel()

    def _panel(self, follows: Iterable[str] = ()) -> RenderableType:
        from rich.panel import Panel
        from rich.text import Text

        text = Text(self.told(follows))
        text.highlight_regex(r"\A[^\n]*", "bold")
        return Panel(text, border_style=COLORS[self.severity])


@dataclass(frozen=True)
class Report(_ShownInNotebooks):
    """All findings: the gravest first, causes before what follows from them.

    Parameters
    ----------
    findings : tuple of Finding
        In the order in which they are to be read.
    folded : dict of str to list of str
        For the code of a cause, the titles of the findings that follow from it.
    seen : str
        What was watched or examined, in a line.

    Examples
    --------
    >>> report = Report.of([], seen="20 steps")
    >>> print(report)
    No fault found in 20 steps.
    """

    findings: tuple[Finding, ...]
    folded: dict[str, list[str]]
    seen: str

    @classmethod
    def of(cls, findings: Iterable[Finding], *, seen: str) -> Report:
        """Order findings, and fold those that follow from another one under it.

        Parameters
        ----------
        findings : iterable of Finding
            Any number, in any order.
        seen : str
            What was watched or examined, in a line.

        Returns
        -------
        Report
            The findings in order.
        """
        order = get_args(Severity)[::-1]
        found = sorted(findings, key=lambda finding: order.index(finding.severity))
        folded: dict[str, list[str]] = {}
        hidden = set()
        for cause in found:
            for effect in found:
                if effect.code in cause.causes and effect.code not in hidden:
                    folded.setdefault(cause.code, []).append(effect.title)
                    hidden.add(effect.code)
        shown = tuple(finding for finding in found if finding.code not in hidden)
        return cls(shown, folded, seen)

    def __bool__(self) -> bool:
        """Whether there is anything but notes."""
        return any(finding.severity != "note" for finding in self.findings)

    @property
    def verdict(self) -> str:
        """What there is, in a line."""
        counts = {s: sum(f.severity == s for f in self.findings) for s in get_args(Severity)[::-1]}
        told = [f"{n} {s}{'s' * (n > 1)}" for s, n in counts.items() if n]
        return f"{', '.join(told) or 'No fault found'} in {self.seen}."

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as plain values.

        Returns
        -------
        dict
            ``verdict``, ``seen``, ``findings`` as dictionaries, and ``folded``.
        """
        return {
            "verdict": self.verdict,
            "seen": self.seen,
            "findings": [finding.to_dict() for finding in self.findings],
            "folded": self.folded,
        }

    def raise_on(self, severity: Severity) -> None:
        """Raise if there is a finding of this severity or a graver one.

        Parameters
        ----------
        severity : {"note", "warning", "error"}
            The least grave finding to raise for.

        Raises
        ------
        DiagnosedError
            If there is one; the message is the report.
        ValueError
            If there is no such severity; the message lists those there are.
        """
        order = get_args(Severity)
        if severity not in order:
            raise ValueError(f"expected one of {', '.join(order)}, got {severity!r}")
        if any(order.index(f.severity) >= order.index(severity) for f in self.findings):
            raise DiagnosedError(str(self))

    def __str__(self) -> str:
        """Return the report as plain text."""
        shown = (f.told(self.folded.get(f.code, ())) for f in self.findings[:SHOWN])
        return "\n\n".join([self.verdict, *shown])

    def __rich__(self) -> RenderableType:
        """Return the report for Rich, which shows it in terminals and notebooks."""
        from rich.console import Group
        from rich.text import Text

        panels = [f._panel(self.folded.get(f.code, ())) for f in self.findings[:SHOWN]]
        return Group(Text(self.verdict, style="bold"), *panels)
