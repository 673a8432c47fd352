"""A report and a finding show in terminals and notebooks, and lead into the book."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from IPython.core.formatters import DisplayFormatter
from rich.console import Console

from dlbook.doctor import Finding, Report, catalog
from dlbook.doctor.links import CHAPTER, link_to

SEVERITIES: list[Any] = ["error", "warning", "note"]


def finding(code: str, severity: Any = "error", **options: Any) -> Finding:
    fix = "- loss = f(a < b)\n+ loss = f(a > b)"
    return Finding(code, severity, f"title of {code}", "x < 1 & y > 2", "why", fix, **options)


def report(number: int) -> Report:
    findings = [finding(f"fault-{i}", SEVERITIES[i % 3]) for i in range(number)]
    return Report.of(findings, seen="12 steps")


def shown(value: object) -> dict[str, str]:
    """Return what a notebook gets of the last value of a cell."""
    data, _ = DisplayFormatter().format(value)
    return dict(data)


def words(page: str) -> str:
    """Return the text of a page as it is read: without markup, and without a panel's edges."""
    text = html.unescape(re.sub("<[^>]+>", "", page))
    return " ".join(re.sub("[╭╮╰╯─│]", " ", text).split())


@pytest.mark.parametrize("number", [0, 1, 3, 5])
def test_a_notebook_shows_the_verdict_and_three_findings_at_most(number: int) -> None:
    told = report(number)
    data = shown(told)
    assert data["text/plain"] == str(told), "where there is no HTML"
    assert words(data["text/html"]) == " ".join(str(told).split())
    assert data["text/html"].count("title of") == min(number, 3)
    assert data["text/html"].startswith("<pre ")


def test_a_notebook_shows_a_finding() -> None:
    told = finding("fault", where="train.py:12")
    data = shown(told)
    assert data["text/plain"] == str(told)
    assert words(data["text/html"]) == " ".join(str(told).split())
    assert "error: title of fault (train.py:12) [fault]" in str(told)


def test_what_follows_from_a_finding_is_shown_under_it() -> None:
    cause, effect = finding("cause", causes=("effect",)), finding("effect")
    data = shown(Report.of([effect, cause], seen="12 steps"))
    assert "follows: title of effect" in words(data["text/html"])
    assert "follows: title of effect" in data["text/plain"]


def luminance(color: str) -> float:
    """Relative luminance as WCAG defines it."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip([0.2126, 0.7152, 0.0722], linear, strict=True))


def contrasts(page: str, background: str) -> Iterator[float]:
    for color in re.findall("#[0-9a-f]{6}", page):
        dark, light = sorted([luminance(color), luminance(background)])
        yield (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("background", ["#ffffff", "#111111"], ids=["light", "dark"])
def test_colors_can_be_told_from_light_and_dark_pages(background: str) -> None:
    page = shown(report(3))["text/html"]
    found = list(contrasts(page, background))
    assert len(set(re.findall("#[0-9a-f]{6}", page))) == 3, "one for each severity"
    assert min(found) >= 4
    assert "background" not in page, "text has the page's own color on the page's own ground"


def test_a_terminal_shows_the_same_words() -> None:
    console = Console(file=StringIO(), width=100, force_terminal=True)
    console.print(report(5))
    assert isinstance(console.file, StringIO)
    text = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())
    assert words(html.escape(text)) == " ".join(str(report(5)).split())


def test_a_finding_leads_to_its_section_of_the_book() -> None:
    told = finding("fault")
    assert told.link == link_to("fault") == "pitfalls.html#fault"
    assert told.to_dict()["link"] == told.link
    assert report(1).to_dict()["findings"][0]["link"] == "pitfalls.html#fault-0"
    assert str(told).endswith("\n  book: pitfalls.html#fault")


@pytest.mark.parametrize("code", catalog())
def test_every_code_of_the_catalog_has_an_anchor(code: str) -> None:
    page, _, anchor = link_to(code).partition("#")
    assert page == CHAPTER
    assert re.fullmatch("[a-z][a-z0-9]*(-[a-z0-9]+)*", anchor)
    chapter = Path(__file__).parents[1] / "book" / Path(CHAPTER).with_suffix(".md")
    if chapter.is_file():
        anchors = re.findall(r"""\{[^}]*#([\w-]+)|\bid="([\w-]+)\"""", chapter.read_text())
        assert anchor in {name for pair in anchors for name in pair}
