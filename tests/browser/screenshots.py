"""Pictures of the built site, to be looked at: ``python -m tests.browser.screenshots [page…]``.

Each page is saved whole, 1280 and 360 pixels wide, in light and dark, below ``build/screenshots``.
With ``--weight`` nothing is saved: what a browser loads for each page is counted.
"""

from __future__ import annotations

import argparse
import gzip
import sys

from playwright.sync_api import Browser

from tests.browser.site import DESKTOP, PHONE, ROOT, SITE, Visit, launched, pages

TARGET = ROOT / "build" / "screenshots"
# Scroll through, so that whatever waits to be seen has been seen.
SCROLL = """async () => {
  for (let y = 0; y < document.body.scrollHeight; y += 600) {
    scrollTo(0, y);
    await new Promise(done => setTimeout(done, 40));
  }
  scrollTo(0, 0);
}"""


def save(browser: Browser, wanted: list[str]) -> None:
    """Save four pictures of each page."""
    TARGET.mkdir(parents=True, exist_ok=True)
    for scheme in ("light", "dark"):
        for viewport in (DESKTOP, PHONE):
            visit = Visit(browser, color_scheme=scheme, viewport=viewport)
            for path in wanted:
                page = visit.open(path)
                page.evaluate(SCROLL)
                name = path.removesuffix(".html").replace("/", "-")
                target = TARGET / f"{name}-{viewport['width']}-{scheme}.png"
                page.screenshot(path=target, full_page=True)
                print(target.relative_to(ROOT))  # noqa: T201 (a command that prints)
            visit.close()


def weigh(browser: Browser, wanted: list[str]) -> None:
    """Print what a first visit loads for each page."""
    for path in wanted:
        visit = Visit(browser)
        visit.open(path)
        visit.page.wait_for_timeout(500)
        size = sum(visit.answered.values())
        page = (SITE / path).read_bytes()
        told = f"{size / 1000:.0f} kB in {len(visit.answered)} requests"
        packed = len(gzip.compress(page)) / 1000
        print(f"{path}: {told}; the page itself {len(page) / 1000:.0f} kB, gzipped {packed:.0f} kB")  # noqa: T201 (a command that prints)
        visit.close()


def main(arguments: list[str]) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots")
    parser.add_argument("pages", nargs="*", metavar="page", help="such as neuron or neuron.html")
    parser.add_argument("--weight", action="store_true", help="count what is loaded")
    options = parser.parse_args(arguments)
    wanted = [page.removesuffix(".html") + ".html" for page in options.pages] or pages()
    with launched() as browser:
        (weigh if options.weight else save)(browser, wanted)


if __name__ == "__main__":
    main(sys.argv[1:])
