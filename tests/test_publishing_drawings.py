"""Drawings: one for both color schemes, reproducible, never from stale code."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from dlbook.figures import style
from dlbook.publishing import drawings
from dlbook.publishing.book import ROOT
from dlbook.publishing.errors import UnplacedError

NAME = "dlbook.figures.neuron.delivery_line"
STALE = """
from pathlib import Path
from dlbook.publishing import drawings
file = Path("dlbook/figures/square.py")
code = "from dlbook.figures import style\\ndef draw():\\n    return style.canvas({}, 2)\\n"
for width in (3, 4):
    file.write_text(code.format(width))
    print(drawings.themed(drawings.svg("dlbook.figures.square.draw", {}), "a", "A square."))
print(len(list(drawings.CACHE.glob("*.svg"))))
"""


@pytest.fixture(scope="module")
def drawn() -> str:
    return drawings.svg(NAME, {})


def test_every_color_follows_the_scheme(drawn: str) -> None:
    themed = drawings.themed(drawn, "a", "Two dots.")
    assert "var(--fig-ink)" in themed
    assert re.findall(r"#[0-9a-f]{6}\b", themed) == []


def test_drawing_is_described_and_has_a_width_in_pixels(drawn: str) -> None:
    themed = drawings.themed(drawn, "a", 'Two "dots" & a line.')
    (root,) = ElementTree.fromstring(f'<p xmlns:xlink="of SVG">{themed}</p>')
    assert root.get("role") == "img"
    assert root.get("aria-label") == 'Two "dots" & a line.'
    assert root.get("width") == str(round(style.WIDE * 96))


def test_two_drawings_on_a_page_share_no_id(drawn: str) -> None:
    first, second = (drawings.themed(drawn, prefix, "Dots.") for prefix in ("a", "b"))
    ids = [re.findall(r' id="([^"]+)"', themed) for themed in (first, second)]
    assert ids[0]
    assert not set(ids[0]) & set(ids[1])
    wanted = re.findall(r'(?:url\(|href=")#([^")]+)', first)
    assert set(wanted) == set(ids[0])


def test_drawing_changes_nothing_outside_itself(drawn: str) -> None:
    themed = drawings.themed(drawn, "a", "Dots.")
    assert "<style" not in themed
    assert "font-family" not in themed


def test_drawing_twice_gives_the_same(
    drawn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(drawings, "CACHE", tmp_path)
    assert drawings.svg(NAME, {}) == drawn


def test_cache_is_read_only_for_the_same_arguments(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(drawings, "CACHE", tmp_path)
    drawings.svg(NAME, {})
    (cached,) = tmp_path.glob("*.svg")
    cached.write_text("kept")
    assert drawings.svg(NAME, {}) == "kept"
    with pytest.raises(UnplacedError, match="unexpected keyword argument 'seed'"):
        drawings.svg(NAME, {"seed": 1})


def test_readers_own_matplotlib_settings_do_not_show(
    drawn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    import matplotlib as mpl

    monkeypatch.setattr(drawings, "CACHE", tmp_path)
    with mpl.rc_context({"lines.linewidth": 9, "axes.grid": True}):
        assert drawings.svg(NAME, {}) == drawn
        assert mpl.rcParams["lines.linewidth"] == 9


def test_what_is_no_figure_is_refused() -> None:
    with pytest.raises(UnplacedError, match=r"rc returned a dict: return the matplotlib Figure"):
        drawings.svg("dlbook.figures.style.rc", {})
    with pytest.raises(UnplacedError, match="LINE is not a function"):
        drawings.svg("dlbook.figures.style.LINE", {})


def test_a_new_record_draws_anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(drawings, "RESULTS", tmp_path)
    seen = [drawings.fingerprint()]
    for content in ("1", "2"):
        (tmp_path / "speed.json").write_text(content)
        seen.append(drawings.fingerprint())
    assert len(set(seen)) == 3


def test_server_that_runs_on_draws_with_changed_code(tmp_path: Path) -> None:
    for part in ("dlbook/__init__.py", "dlbook/figures", "dlbook/publishing"):
        source, copy = ROOT / part, tmp_path / part
        copy.parent.mkdir(exist_ok=True)
        shutil.copytree(source, copy) if source.is_dir() else shutil.copy(source, copy)
    command = [sys.executable, "-c", STALE]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert re.findall(r'width="(\d+)"', done.stdout) == ["288", "384"]
    assert done.stdout.split()[-1] == "1", "the drawing of the older code is kept in the cache"
