"""What a rule is made of."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from dlbook.doctor.findings import Finding, Severity
from dlbook.doctor.record import Record

__all__ = ["RULES", "Rule", "Sign", "rule"]


class Sign(NamedTuple):
    """What a rule found: evidence, where, and fix and title where they can be told more exactly."""

    evidence: str
    where: str = ""
    fix: str = ""
    title: str = ""


Judge = Callable[[Record], Sign | None]


@dataclass(frozen=True)
class Rule:
    """A rule: the function that judges, and what is said where it finds something.

    Parameters
    ----------
    code : str
        Name of the fault, which never changes.
    severity : {"note", "warning", "error"}
        As in ``Finding``.
    title, why, fix : str
        As in ``Finding``.
    born : str
        The pitfall that it was born from.
    causes : tuple of str
        Codes of the findings that follow from this one.
    judge : callable
        Takes the record; returns what it found, or None.
    """

    code: str
    severity: Severity
    title: str
    why: str
    fix: str
    born: str
    causes: tuple[str, ...]
    judge: Judge

    def apply(self, record: Record) -> Finding | None:
        """Judge what was seen.

        Parameters
        ----------
        record : Record
            What was seen.

        Returns
        -------
        Finding or None
            What is wrong; None where this rule has nothing to say.
        """
        sign = self.judge(record)
        if sign is None:
            return None
        return Finding(
            code=self.code,
            severity=self.severity,
            title=sign.title or self.title,
            evidence=sign.evidence,
            why=self.why,
            fix=sign.fix or self.fix,
            where=sign.where,
            causes=self.causes,
        )


RULES: dict[str, Rule] = {}


def rule(
    *,
    severity: Severity,
    title: str,
    fix: str,
    born: str,
    causes: tuple[str, ...] = (),
) -> Callable[[Judge], Judge]:
    """Make a rule of a function; its name is the code.

    The function's docstring says in its first line what it finds, and in the rest why it matters.

    Parameters
    ----------
    severity : {"note", "warning", "error"}
        How sure the rule can be.
    title : str
        What is wrong, in a line.
    fix : str
        What to change.
    born : str
        The pitfall that it was born from.
    causes : tuple of str, optional
        Codes of the findings that follow from this one.

    Returns
    -------
    callable
        The decorator, which gives the function back as it is.
    """

    def register(judge: Judge) -> Judge:
        code = judge.__name__.replace("_", "-")
        _, _, told = (inspect.getdoc(judge) or "").partition("\n\n")
        why = " ".join(told.split())
        RULES[code] = Rule(code, severity, title, why, fix, born, causes, judge)
        return judge

    return register
