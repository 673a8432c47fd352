"""The built site, and Chromium to read it with: no server, and no request that leaves the site.

Every request below the site's address is answered from disk. All others are refused and recorded.
"""

from __future__ import annotations

import mimetypes
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, Route, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "site"
AXE = ROOT / "build" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
ARGUMENTS = [
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}
OPEN_ALL = "document.querySelectorAll('details').forEach(details => details.open = true)"
# Fonts are there, the book's script has named the search, the theme has taken up every listing.
READY = """document.fonts.status === 'loaded' && document.querySelector('.md-search').ariaLabel
  && [...document.querySelectorAll('pre > code')].every(code => code.closest('pre').id)"""


def chromium() -> str:
    """Return the path of Chromium: the variable CHROMIUM, or what is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if not found or not Path(found).exists():
        raise FileNotFoundError(
            f"Chromium is not at {found or 'any usual place'}: install it (apt install chromium)"
            " or set the variable CHROMIUM to its path"
        )
    return found


def pages() -> list[str]:
    """Return every page of the site, as a path below its root."""
    found = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))
    if "index.html" not in found:
        raise FileNotFoundError(f"there is no site in {SITE}: build it by `python3 run.py site`")
    return found


def address() -> str:
    """Return the address that the site was built for, as its first page states it."""
    home = (SITE / "index.html").read_text(encoding="utf-8")
    canonical = re.search(r'<link rel="canonical" href="(.*?)index\.html"', home)
    if canonical is None:
        raise ValueError("build/site/index.html states no address: set site_url in mkdocs.yml")
    return canonical[1]


@contextmanager
def launched() -> Iterator[Browser]:
    """Run Chromium; without its sandbox only where the user is root, who cannot have one."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium(), chromium_sandbox=os.geteuid() != 0, args=ARGUMENTS
        )
        yield browser
        browser.close()


class Visit:
    """A reader's window on the site, which records what must not happen."""

    def __init__(self, browser: Browser, *, base: str | None = None, **options: Any) -> None:
        self.base = base or address()
        self.outside: list[str] = []
        self.errors: list[str] = []
        self.answered: dict[str, int] = {}
        options = {"viewport": DESKTOP, "color_scheme": "light"} | options
        self.context: BrowserContext = browser.new_context(**options)
        self.context.set_default_timeout(10_000)
        self.context.route("**/*", self._answer)
        self.page: Page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._hear)

    def _hear(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _answer(self, route: Route) -> None:
        url = re.split(r"[?#]", route.request.url)[0]
        if not url.startswith(self.base):
            self.outside.append(url)
            route.abort()
            return
        file = SITE / (url.removeprefix(self.base) or "index.html")
        if not file.is_file():
            self.errors.append(f"the site has no {file.relative_to(SITE)}")
            route.fulfill(status=404, body="")
            return
        self.answered[file.relative_to(SITE).as_posix()] = file.stat().st_size
        kind = "text/javascript" if file.suffix == ".js" else mimetypes.guess_type(file.name)[0]
        route.fulfill(path=file, content_type=kind or "application/octet-stream")

    def open(self, path: str) -> Page:
        """Open a page and wait until scripts and fonts are there."""
        self.page.goto(self.base + path)
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until the theme has taken up the page."""
        self.page.wait_for_function(READY)

    def close(self) -> None:
        """End the visit."""
        self.context.close()

    def complaints(self) -> list[str]:
        """Return what must not happen and did."""
        return [f"asked outside: {url}" for url in self.outside] + self.errors


@contextmanager
def visiting(browser: Browser, **options: Any) -> Iterator[Visit]:
    """Visit the site; at the end nothing may have been asked outside, and no error shown."""
    visit = Visit(browser, **options)
    try:
        yield visit
        if visit.complaints():
            raise AssertionError("\n".join(visit.complaints()))
    finally:
        visit.close()
