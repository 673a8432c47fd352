"""Turns chapters and package into the site: one Markdown extension, ``dlbook.publishing``.

Everything a chapter shows comes by name from tested code, and everything that does not resolve
stops the build with file, line and remedy. All of it happens in Python-Markdown, so that no
generator of sites is needed to prove a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlbook.publishing.extension import BookExtension


def makeExtension(**options: Any) -> BookExtension:  # noqa: N802 (the name Python-Markdown looks for)
    """Return the extension; Python-Markdown calls this."""
    from dlbook.publishing.extension import BookExtension

    return BookExtension(**options)
