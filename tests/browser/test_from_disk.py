"""The site opened from disk, without any server."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.site import SITE, Visit, visiting
from tests.browser.test_reading import DARK, LIGHT, PAPER, search


@pytest.fixture
def disk(browser: Browser) -> Iterator[Visit]:
    with visiting(browser, base=SITE.as_uri() + "/") as visit:
        yield visit


def test_pages_turn(disk: Visit) -> None:
    page = disk.open("index.html")
    page.locator(".md-footer__link--next").click()
    page.wait_for_url("**/neuron.html")
    disk.settle()
    page.locator(".md-nav--primary a", has_text="Notation").click()
    page.wait_for_url("**/notation.html")
    page.locator(".md-logo").first.click()
    page.wait_for_url("**/index.html")


def test_search_finds_a_word_and_leads_to_it(disk: Visit) -> None:
    page = disk.open("checks/neuron.html")
    assert "The neuron" in search(page, "sigmoid")
    page.locator(f"a[href^='{disk.base}neuron.html?h=sigmoid']").first.click()
    page.wait_for_url(re.compile(r"/neuron\.html\?h=sigmoid"))


def test_colors_change_and_stay_changed(disk: Visit) -> None:
    page = disk.open("index.html")
    toggle = page.locator("form[data-md-component=palette] label:visible")
    assert page.evaluate(PAPER) == LIGHT
    toggle.click()
    toggle.click()
    page.wait_for_function(f"{PAPER} === '{DARK}'")
    assert disk.open("neuron.html").evaluate(PAPER) == DARK


def test_listings_and_live_figures_work(disk: Visit) -> None:
    page = disk.open("neuron.html")
    page.wait_for_selector("dl-line svg .model", state="attached")
    page.wait_for_selector(".language-pycon [data-md-type=copy]", state="attached")
    page.locator("dl-line input").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("dl-line output").first.inner_text() == "0.1"
