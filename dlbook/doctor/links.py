"""Where the book tells of each fault."""

from __future__ import annotations

__all__ = ["CHAPTER", "link_to"]

CHAPTER = "pitfalls.html"


def link_to(code: str) -> str:
    """Return the section of the book that tells of a fault.

    Parameters
    ----------
    code : str
        The fault.

    Returns
    -------
    str
        The chapter and its anchor, which is the code itself, below the address of the book.

    Examples
    --------
    >>> link_to("gradients-not-cleared")
    'pitfalls.html#gradients-not-cleared'
    """
    return f"{CHAPTER}#{code}"
