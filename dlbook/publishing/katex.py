"""LaTeX to HTML and MathML at build, by KaTeX inside V8: no script on the page."""

from __future__ import annotations

import functools
import html
import re
from typing import Any

from dlbook.publishing.book import ROOT
from dlbook.publishing.errors import UnplacedError

KATEX = ROOT / "build" / "npm" / "node_modules" / "katex" / "dist" / "katex.min.js"
MACROS = {
    r"\R": r"\mathbb{R}",
    r"\E": r"\mathbb{E}",
    r"\argmin": r"\operatorname*{arg\,min}",
}


@functools.lru_cache(maxsize=1)
def _engine() -> Any:
    from py_mini_racer import MiniRacer

    if not KATEX.is_file():
        place = KATEX.relative_to(ROOT)
        raise UnplacedError(
            f"KaTeX is not installed ({place} is missing)", "run `python3 run.py site`"
        )
    engine = MiniRacer()
    engine.eval(KATEX.read_text(encoding="utf-8"))
    return engine


@functools.cache
def render(latex: str, display: bool = False) -> str:
    """Return ``latex`` as HTML for the eye and MathML for screen readers.

    Raises
    ------
    UnplacedError
        KaTeX cannot read it, or is not installed.
    """
    options = {
        "displayMode": display,
        "throwOnError": True,
        "strict": "error",
        "macros": MACROS,
        "output": "htmlAndMathml",
    }
    engine = _engine()
    from py_mini_racer import JSEvalException

    try:
        return str(engine.call("katex.renderToString", latex, options))
    except JSEvalException as error:
        lines = [line for line in str(error).splitlines() if "KaTeX parse error" in line]
        why = re.sub(r"^.*KaTeX parse error: *", "", lines[0]) if lines else str(error)
        raise UnplacedError(f"KaTeX cannot read {latex} ({why})", "mend the LaTeX") from None


def plain(latex: str) -> str:
    """Return what the eye sees of a formula as text: for tables of contents."""
    visible = render(latex).partition('<span class="katex-html"')[2]
    text = html.unescape(re.sub(r"<[^>]*>", "", "<" + visible))
    return text.replace("\u200b", "").strip()


def inline(latex: str) -> str:
    """Return a formula for a line of text."""
    return f'<span class="math" data-search-exclude>{render(latex)}</span>'


def display(latex: str, label: str) -> str:
    """Return a displayed formula that can be scrolled with the keyboard where it is too wide."""
    return (
        f'<div class="math" role="group" aria-label="{html.escape(label)}" tabindex="0"'
        f" data-search-exclude>{render(latex, True)}</div>"
    )
