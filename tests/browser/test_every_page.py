"""What holds for every page, found in the built site and not in a list."""

import html
import re
from pathlib import PurePosixPath
from urllib.parse import unquote, urljoin, urlsplit

import pytest

from tests.browser.site import AXE, OPEN_ALL, SITE, Visit, address, pages

COLOR_RULES = ["color-contrast", "link-in-text-block"]
SET_SCHEME = "scheme => document.body.dataset.mdColorScheme = scheme"
RUN_AXE = "options => axe.run(document, {resultTypes: ['violations'], ...options})"
# What reaches past the right edge, unless it stands in something that scrolls or hides it.
TOO_WIDE = """() => {
  const kept = (element) => element !== document.documentElement
    && (getComputedStyle(element).overflowX !== 'visible' || kept(element.parentElement));
  return [...document.querySelectorAll('.md-container *')]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1)
    .filter((element) => element.checkVisibility() && !kept(element.parentElement))
    .map((element) => element.outerHTML.slice(0, 120));
}"""


@pytest.mark.parametrize("path", pages())
def test_axe_finds_nothing_in_either_scheme(calm: Visit, path: str) -> None:
    page = calm.open(path)
    page.evaluate(OPEN_ALL)
    page.evaluate(AXE.read_text(encoding="utf-8"))
    assert page.evaluate("document.body.dataset.mdColorScheme") == "default"
    found = page.evaluate(RUN_AXE, {})["violations"]
    # Only rules on color can see the scheme, so the rest need not run twice.
    page.evaluate(SET_SCHEME, "slate")
    found += page.evaluate(RUN_AXE, {"runOnly": COLOR_RULES})["violations"]
    assert [(v["id"], v["help"], [n["html"][:200] for n in v["nodes"][:3]]) for v in found] == []


@pytest.mark.parametrize("path", pages())
def test_nothing_scrolls_sideways_on_a_phone(phone: Visit, path: str) -> None:
    page = phone.open(path)
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
    assert page.evaluate(TOO_WIDE) == []


@pytest.mark.parametrize("path", pages())
def test_every_link_leads_somewhere(path: str) -> None:
    text = (SITE / path).read_text(encoding="utf-8")
    text = re.sub(r"<script\b.*?</script>", "", text, flags=re.DOTALL)
    lost = [link for link in re.findall(r'(?:href|src)="([^"]*)"', text) if not leads(path, link)]
    assert lost == []


def leads(path: str, link: str) -> bool:
    url = urlsplit(urljoin(address() + path, html.unescape(link)))
    base = urlsplit(address())
    if (url.scheme, url.netloc) != (base.scheme, base.netloc):
        return url.scheme in ("https", "mailto", "data")
    file = SITE / PurePosixPath(unquote(url.path)).relative_to(base.path)
    file = file / "index.html" if file.is_dir() else file
    if not file.is_file():
        return False
    anchor = unquote(url.fragment)
    return not anchor or f'id="{html.escape(anchor)}"' in file.read_text(encoding="utf-8")
