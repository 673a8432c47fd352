"""All that the doctor can find."""

from __future__ import annotations

from dlbook.doctor.rules import RULES

__all__ = ["catalog", "explain"]


def catalog() -> dict[str, str]:
    """List what the doctor can find.

    Returns
    -------
    dict of str to str
        Code and title of every rule.

    Examples
    --------
    >>> catalog()["gradients-not-cleared"]
    'gradients are never cleared'
    """
    return {code: rule.title for code, rule in RULES.items()}


def explain(code: str) -> str:
    """Tell a fault in a paragraph.

    Parameters
    ----------
    code : str
        A key of ``catalog()``.

    Returns
    -------
    str
        What it is, and why it does harm.

    Raises
    ------
    ValueError
        If there is no such code; the message lists those there are.

    Examples
    --------
    >>> print(explain("backward-never-called"))
    Without a backward pass no parameter has a gradient, and the optimizer leaves all as it is.
    """
    if code not in RULES:
        raise ValueError(f"no code {code!r}: there are {', '.join(RULES)}")
    return RULES[code].why
