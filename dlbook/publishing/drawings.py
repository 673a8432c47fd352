"""Figures: drawn by the package at build, as SVG whose colors follow the reader's scheme."""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from dlbook.publishing.book import ROOT
from dlbook.publishing.errors import UnplacedError

PACKAGE = ROOT / "dlbook"
RESULTS = ROOT / "book" / "results"
CACHE = ROOT / ".cache" / "figures"
PIXELS_PER_POINT = 96 / 72
SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
LONG_NUMBER = re.compile(r"-?\d+\.\d{3,}(?:e-?\d+)?")

_drawn_with: list[str] = []


def fingerprint() -> str:
    """Return a digest of all code and recorded numbers that a figure can depend on."""
    own = Path(__file__).resolve()
    digest = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        if own == path or (PACKAGE / "publishing") not in path.parents:
            digest.update(path.relative_to(PACKAGE).as_posix().encode() + path.read_bytes())
    for path in sorted(RESULTS.glob("*.json")):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


def svg(name: str, arguments: dict[str, Any]) -> str:
    """Return the figure that ``name(**arguments)`` draws, from the cache where nothing changed.

    Raises
    ------
    UnplacedError
        There is no such function, or it fails, or it does not return a matplotlib Figure.
    """
    code = fingerprint()
    called = hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()[:8]
    cached = CACHE / f"{name}-{called}-{code[:16]}.svg"
    if not cached.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        draft = cached.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(_draw(name, arguments, code), encoding="utf-8")
        draft.replace(cached)
        for older in set(CACHE.glob(f"{name}-{called}-*.svg")) - {cached}:
            older.unlink(missing_ok=True)
    return cached.read_text(encoding="utf-8")


def _draw(name: str, arguments: dict[str, Any], code: str) -> str:
    _forget_changed_code(code)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    rc = _function("dlbook.figures.style.rc")()
    function = _function(name)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(rc)
        try:
            figure = function(**arguments)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise UnplacedError(
                f"{name} cannot be drawn ({reason})", "mend the function or `arguments`"
            ) from error
        if not isinstance(figure, Figure):
            kind = type(figure).__name__
            raise UnplacedError(f"{name} returned a {kind}", "return the matplotlib Figure")
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue()


def _forget_changed_code(code: str) -> None:
    """Drop modules of an older state, so that a long-lived server never draws with them."""
    if _drawn_with and _drawn_with[-1] != code:
        for module in [m for m in sys.modules if m.startswith("dlbook.")]:
            if not module.startswith("dlbook.publishing"):
                del sys.modules[module]
        importlib.invalidate_caches()
    _drawn_with[:] = [code]


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.rpartition(".")
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True  # a .pyc knows whole seconds
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise UnplacedError(
            f"no function draws the figure {name!r} ({error})",
            "name a function of dlbook.figures, such as dlbook.figures.neuron.anatomy",
        ) from error
    finally:
        sys.dont_write_bytecode = writes
    if not callable(function):
        raise UnplacedError(f"{name} is not a function", "name a function of dlbook.figures")
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
    root = ElementTree.fromstring(drawing)
    _drop(root, ("metadata", "style"))
    _unwrap(root)
    colors: dict[str, str] = importlib.import_module("dlbook.figures.style").THEMED
    used = set(re.findall(r"#([\w-]+)", " ".join(_references(root))))
    for element in root.iter():
        element.tag = element.tag.removeprefix(SVG)
        element.attrib = {
            # With the prefix: the theme's script would stumble over a plain href inside a drawing.
            name.replace(XLINK, "xlink:"): _attribute(name, value, prefix, colors)
            for name, value in element.attrib.items()
            if (name != "id" or value in used) and not value.startswith("rotate(-0 ")
        }
        element.text = (element.text or "").strip() or None
        element.tail = None
    root.attrib = _opening(root, alt)
    return ElementTree.tostring(root, encoding="unicode")


def _drop(root: Element, tags: tuple[str, ...]) -> None:
    """Remove elements, and paths that draw nothing.

    A style element would hold for the whole page.
    """
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag.removeprefix(SVG) in tags or child.get("style") == "fill: none":
                parent.remove(child)


def _unwrap(parent: Element) -> None:
    """Replace groups that say nothing by what they hold."""
    children: list[Element] = []
    for child in parent:
        _unwrap(child)
        empty = not child.attrib.keys() - {"id"}
        children += list(child) if empty and child.tag == f"{SVG}g" else [child]
    parent[:] = [child for child in children if child.tag != f"{SVG}defs" or len(child)]


def _references(root: Element) -> Iterator[str]:
    for element in root.iter():
        yield from (value for name, value in element.attrib.items() if name != "id")


def _attribute(name: str, value: str, prefix: str, colors: dict[str, str]) -> str:
    if name == "id":
        return f"{prefix}-{value}"
    if name in ("d", "x", "y"):
        return " ".join(LONG_NUMBER.sub(lambda n: f"{float(n[0]):.2f}", value).split())
    value = re.sub(r"url\(#", f"url(#{prefix}-", value)
    if name.removeprefix(XLINK) == "href":
        return re.sub(r"^#", f"#{prefix}-", value)
    if name == "style":
        value = re.sub(r"font-family: [^;]+;? ?", "", value)
    for color, variable in colors.items():
        value = value.replace(color, f"var({variable})")
    return value


def _opening(root: Element, alt: str) -> dict[str, str]:
    box = root.attrib.get("viewBox", "")
    size = re.match(r"0 0 ([\d.]+) [\d.]+$", box)
    if size is None:
        raise UnplacedError(f"the drawing's viewBox is {box!r}", "save it with matplotlib")
    width = round(float(size[1]) * PIXELS_PER_POINT)
    return {
        "viewBox": box,
        "width": str(width),
        "role": "img",
        "aria-label": alt,
        "style": f"--width: {width}px; stroke-linejoin: round; stroke-linecap: butt",
        "data-search-exclude": "",
    }
