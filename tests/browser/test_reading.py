"""What a reader does: search, choose colors, copy, choose tabs, turn pages."""

import doctest
import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from dlbook.scratch import linear
from tests.browser.site import OPEN_ALL, Visit, visiting

CHOSEN = """[...document.querySelectorAll('.tabbed-labels label')]
  .filter(label => label.innerText.trim() === 'PyTorch')
  .map(label => document.getElementById(label.htmlFor).checked)"""
MOVING = """[...document.querySelectorAll('*')].map(element => getComputedStyle(element))
  .filter(style => style.transitionDuration !== '0s' || style.animationName !== 'none').length"""
SCHEME = "document.body.dataset.mdColorScheme"
PAPER = "getComputedStyle(document.querySelector('.md-content')).backgroundColor"
LIGHT, DARK = "rgb(255, 254, 251)", "rgb(27, 30, 36)"


def search(page: Page, word: str) -> list[str]:
    """Type a word into the search and return the titles of what it finds."""
    page.locator(".md-search__input").click()
    page.keyboard.type(word)
    page.wait_for_selector(".md-search-result__link mark")
    return page.locator(".md-search-result__item h1").all_inner_texts()


def test_search_finds_a_word_and_leads_to_it(visit: Visit) -> None:
    page = visit.open("index.html")
    assert "The neuron" in search(page, "sigmoid")
    page.locator(f"a[href^='{visit.base}neuron.html?h=sigmoid']").first.click()
    page.wait_for_url(re.compile(r"/neuron\.html\?h=sigmoid"))
    page.wait_for_selector("article mark[data-md-highlight]")


def test_search_finds_nothing_for_a_word_that_the_book_lacks(visit: Visit) -> None:
    page = visit.open("index.html")
    page.locator(".md-search__input").click()
    page.keyboard.type("xyzzyquux")
    page.locator(".md-search-result__meta", has_text="No matching").wait_for()


def test_colors_follow_the_system_until_the_reader_chooses(browser: Browser) -> None:
    with visiting(browser, color_scheme="dark") as visit:
        page = visit.open("index.html")
        assert (page.evaluate(SCHEME), page.evaluate(PAPER)) == ("slate", DARK)
        toggle = page.locator("form[data-md-component=palette] label:visible")
        toggle.click()
        page.wait_for_function(f"{PAPER} === '{LIGHT}'")
        assert page.evaluate(SCHEME) == "default"
        assert visit.open("notation.html").evaluate(PAPER) == LIGHT
        toggle.click()
        page.wait_for_function(f"{PAPER} === '{DARK}'")
        toggle.click()
        page.emulate_media(color_scheme="light")
        page.wait_for_function(f"{PAPER} === '{LIGHT}'")


def test_every_session_copies_what_was_typed_and_nothing_else(browser: Browser) -> None:
    permissions = ["clipboard-read", "clipboard-write"]
    with visiting(browser, permissions=permissions) as visit:
        page = visit.open("neuron.html")
        page.evaluate(OPEN_ALL)
        sessions = [s for s in page.locator(".language-pycon.highlight").all() if s.is_visible()]
        copied = []
        for session in sessions:
            text = session.locator("code").text_content() or ""
            examples = doctest.DocTestParser().get_examples(text)
            session.locator("[data-md-type=copy]").dispatch_event("click")
            copied.append(page.evaluate("navigator.clipboard.readText()"))
            assert lines(copied[-1]) == lines("".join(example.source for example in examples))
    assert len(copied) > 10
    names: dict[str, object] = {}
    for code in copied[:3]:
        exec(code, names)  # what was copied runs as it is
    assert names["z"] == pytest.approx(0.6)


def lines(code: str) -> list[str]:
    return [line.rstrip() for line in code.splitlines() if line.strip()]


def test_a_listing_copies_as_it_stands_without_its_notes(browser: Browser) -> None:
    with visiting(browser, permissions=["clipboard-read", "clipboard-write"]) as visit:
        page = visit.open("neuron.html")
        listing = page.locator(".highlight", has_text="def linear_forward(").first
        listing.locator("[data-md-type=copy]").dispatch_event("click")
        code = page.evaluate("navigator.clipboard.readText()")
    source = lines(Path(linear.__file__).read_text(encoding="utf-8"))
    assert len(lines(code)) > 2
    assert [line for line in lines(code) if line not in source] == []


def test_a_chosen_tab_is_chosen_everywhere_and_stays_chosen(visit: Visit) -> None:
    page = visit.open("neuron.html")
    labels = page.locator(".tabbed-labels label", has_text="PyTorch")
    labels.first.click()
    assert page.evaluate(CHOSEN) == [True] * labels.count()
    visit.open("notation.html")
    visit.open("neuron.html")
    page.wait_for_function(f"{CHOSEN}.every(Boolean)")


def test_pages_turn_without_loading_anew_and_bring_their_live_figures(visit: Visit) -> None:
    page = visit.open("index.html")
    page.evaluate("window.kept = true")
    page.locator(".md-footer__link--next").click()
    page.wait_for_url("**/neuron.html")
    page.wait_for_selector("dl-line svg .model", state="attached")
    page.wait_for_selector(".language-pycon [data-md-type=copy]", state="attached")
    page.locator(".md-footer__link--prev").click()
    page.wait_for_url("**/index.html")
    assert page.evaluate("window.kept")


def test_notes_of_listings_have_names(visit: Visit) -> None:
    page = visit.open("neuron.html")
    page.evaluate(
        """() => document.querySelector('article').insertAdjacentHTML('afterbegin',
        '<a class="md-annotation__index"><span data-md-annotation-id="2"></span></a>')"""
    )
    page.wait_for_selector("a.md-annotation__index[aria-label='Note 2']")


def test_motion_is_spared_to_those_who_ask_for_it(browser: Browser) -> None:
    with visiting(browser, reduced_motion="reduce") as visit:
        page = visit.open("index.html")
        assert page.evaluate(MOVING) == 0


def test_paper_is_white_and_holds_no_menus(browser: Browser) -> None:
    with visiting(browser, color_scheme="dark") as visit:
        page = visit.open("neuron.html")
        page.emulate_media(media="print")
        ink = "getComputedStyle(document.querySelector('article')).color"
        paper = "getComputedStyle(document.body).backgroundColor"
        assert page.evaluate(f"[{ink}, {paper}]") == ["rgb(29, 33, 40)", "rgb(255, 255, 255)"]
        for part in (".md-header", ".md-sidebar", ".md-footer"):
            assert not page.locator(part).first.is_visible()
        assert page.locator(".quiz-choice p").first.is_visible()
