"""What the doctor says: findings, and the report that orders them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["DiagnosedError", "Finding", "Report", "Severity"]

Severity = Literal["note", "warning", "error"]
SHOWN = 3  # findings that a report prints; the rest is counted


class DiagnosedError(ValueError):
    """A report holds a finding as grave as asked for."""


@dataclass(frozen=True)
class Finding:
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


@dataclass(frozen=True)
class Report:
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
            "findings": [asdict(finding) for finding in self.findings],
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
        return "\n\n".join([self.verdict, *(self._text(f) for f in self.findings[:SHOWN])])

    def _text(self, finding: Finding) -> str:
        where = f" ({finding.where})" if finding.where else ""
        lines = [f"{finding.severity}: {finding.title}{where} [{finding.code}]"]
        lines += [f"  seen: {finding.evidence}", f"  why: {finding.why}"]
        lines += ["  fix:", *(f"    {line}" for line in finding.fix.splitlines())]
        lines += [f"  follows: {title}" for title in self.folded.get(finding.code, [])]
        return "\n".join(lines)

    def __rich__(self) -> RenderableType:
        """Return the report for Rich, which shows it in terminals and notebooks."""
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        colors = {"error": "red", "warning": "yellow", "note": "blue"}
        panels = [
            Panel(Text(self._text(finding)), border_style=colors[finding.severity])
            for finding in self.findings[:SHOWN]
        ]
        return Group(Text(self.verdict, style="bold"), *panels)
