"""Figures: drawn by the package at build, as SVG whose colors follow the reader's scheme."""

from __future__ import annotations

import hashlib
import html
import importlib
import io
import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlbook.publishing.book import ROOT
from dlbook.publishing.errors import Mistake

PACKAGE = ROOT / "dlbook"
CACHE = ROOT / ".cache" / "figures"
PIXELS_PER_POINT = 96 / 72

_drawn_with: list[str] = []


def fingerprint() -> str:
    """Return a digest of all code that a figure can depend on."""
    own = Path(__file__).resolve()
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        if own == path or (PACKAGE / "publishing") not in path.parents:
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()


def svg(name: str, arguments: dict[str, Any]) -> str:
    """Return the figure that ``name(**arguments)`` draws, from the cache where nothing changed.

    Raises
    ------
    Mistake
        There is no such function, or it fails, or it does not return a matplotlib Figure.
    """
    code = fingerprint()
    text = f"{name} {json.dumps(arguments, sort_keys=True)} {code}"
    cached = CACHE / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}.svg"
    if not cached.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        draft = cached.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(_draw(name, arguments, code), encoding="utf-8")
        draft.replace(cached)
    return cached.read_text(encoding="utf-8")


def _draw(name: str, arguments: dict[str, Any], code: str) -> str:
    _forget_changed_code(code)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rc = importlib.import_module("dlbook.figures.style").rc()
    function = _function(name)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(rc)
        try:
            figure = function(**arguments)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise Mistake(
                f"{name} cannot be drawn ({reason})", "mend the function or `arguments`"
            ) from error
        if not isinstance(figure, Figure):
            kind = type(figure).__name__
            raise Mistake(f"{name} returned a {kind}", "return the matplotlib Figure")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _forget_changed_code(code: str) -> None:
    """Drop imported modules of an older state, so that a long-lived server never draws with them."""
    if _drawn_with and _drawn_with[-1] != code:
        for module in [m for m in sys.modules if m.startswith("dlbook.")]:
            if not module.startswith("dlbook.publishing"):
                del sys.modules[module]
        importlib.invalidate_caches()
    _drawn_with[:] = [code]


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.rpartition(".")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise Mistake(
            f"no function draws the figure {name!r} ({error})",
            "name a function of dlbook.figures, such as dlbook.figures.neuron.walk_decision",
        ) from error
    if not callable(function):
        raise Mistake(f"{name} is not a function", "name a function of dlbook.figures")
    return function  # type: ignore[no-any-return]  # callable() cannot tell what it returns


def themed(drawing: str, prefix: str, alt: str) -> str:
    """Return a drawing as an element of the page.

    Parameters
    ----------
    drawing : str
        SVG as matplotlib saves it.
    prefix : str
        Put before every id, so that two drawings on a page do not share one.
    alt : str
        What is to be seen.
    """
    drawing = drawing[drawing.index("<svg") :]
    # A style element would hold for the whole page: what it says goes to the svg element below.
    drawing = re.sub(r"<(metadata|style)\b.*?</\1>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r"<!--.*?-->", "", drawing, flags=re.DOTALL)
    drawing = _own_ids(drawing, prefix)
    drawing = re.sub(r"font-family: [^;\"]+;? ?", "", drawing)
    drawing = re.sub(r"\n\s*", "\n", drawing)
    for color, variable in _colors().items():
        drawing = drawing.replace(color, f"var({variable})")
    return _opened(drawing, alt)


def _colors() -> dict[str, str]:
    colors: dict[str, str] = importlib.import_module("dlbook.figures.style").THEMED
    return colors


def _own_ids(drawing: str, prefix: str) -> str:
    used = set(re.findall(r"url\(#([^)]+)\)", drawing))
    used |= set(re.findall(r'href="#([^"]+)"', drawing))

    def renamed(found: re.Match[str]) -> str:
        return f' id="{prefix}-{found[1]}"' if found[1] in used else ""

    drawing = re.sub(r' id="([^"]+)"', renamed, drawing)
    drawing = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", drawing)
    return re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', drawing)


def _opened(drawing: str, alt: str) -> str:
    box = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', drawing)
    if box is None:
        raise Mistake("the drawing has no viewBox", "save it with matplotlib's SVG backend")
    width = round(float(box[1]) * PIXELS_PER_POINT)
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
        f' {box[0]} width="{width}" role="img" aria-label="{html.escape(alt)}"'
        ' style="stroke-linejoin: round; stroke-linecap: butt" data-search-exclude>'
    )
    return re.sub(r"<svg\b[^>]*>", lambda _: opening, drawing, count=1)
