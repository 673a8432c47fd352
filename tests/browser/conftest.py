"""One browser for all tests, and a window for each."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.site import PHONE, Visit, launched, visiting


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with launched() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    with visiting(browser) as visit:
        yield visit


@pytest.fixture
def calm(browser: Browser) -> Iterator[Visit]:
    """A window in which colors change at once and do not fade."""
    with visiting(browser, reduced_motion="reduce") as visit:
        yield visit


@pytest.fixture
def phone(browser: Browser) -> Iterator[Visit]:
    with visiting(browser, viewport=PHONE, has_touch=True) as visit:
        yield visit
