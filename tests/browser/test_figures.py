"""Figures: their colors in both schemes, and the live ones against the package."""

import re

import numpy as np
import pytest
from playwright.sync_api import Browser

from dlbook.data import load_delivery
from dlbook.figures import style
from dlbook.scratch.linear import linear_forward
from dlbook.scratch.losses import mse_forward
from tests.browser.site import Visit, visiting

COLOR = "name => getComputedStyle(document.body).getPropertyValue(name).trim()"
COMPUTE = """([points, w, b]) => {
  const { predict, mse } = customElements.get('dl-line');
  return [points.map(([x]) => predict(x, w, b)), mse(points, w, b)];
}"""
WRITTEN_IN = (
    "--fig-ink",
    "--fig-muted",
    "--fig-blue",
    "--fig-orange",
    "--fig-green",
    "--fig-purple",
)


def luminance(color: str) -> float:
    channels = [int(part, 16) / 255 for part in re.findall("..", color.removeprefix("#"))]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one: str, other: str) -> float:
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


def test_the_light_colors_are_those_of_the_package(visit: Visit) -> None:
    page = visit.open("index.html")
    assert {page.evaluate(COLOR, name): name for name in style.THEMED.values()} == style.THEMED


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_written_in_a_figure_stands_out(browser: Browser, scheme: str) -> None:
    with visiting(browser, color_scheme=scheme) as visit:
        page = visit.open("index.html")
        colors = {name: page.evaluate(COLOR, name) for name in style.THEMED.values()}
    paper, ink = colors["--fig-paper"], colors["--fig-ink"]
    weak = {n: contrast(colors[n], paper) for n in WRITTEN_IN if contrast(colors[n], paper) < 4.5}
    assert weak == {}
    assert min(contrast(ink, colors[f"--fig-{soft}-soft"]) for soft in ("blue", "orange")) >= 4.5


def test_no_letter_of_a_figure_keeps_a_color_of_its_own(visit: Visit) -> None:
    page = visit.open("neuron.html")
    letters = page.locator("figure svg text").evaluate_all("all => all.map(text => text.outerHTML)")
    assert len(letters) > 50
    assert [text for text in letters if re.search(r"(?:fill|stroke): ?#", text)] == []


def test_the_live_line_computes_what_the_package_computes(visit: Visit) -> None:
    page = visit.open("neuron.html")
    page.wait_for_selector("dl-line svg .model", state="attached")
    X, Y = load_delivery()
    X = X - X.mean()
    points = np.hstack([X, Y])
    shown = page.locator("dl-line").get_attribute("points") or ""
    assert [[float(v) for v in p.split(":")] for p in shown.split()] == pytest.approx(points)
    rng = np.random.default_rng(0)
    for w, b in rng.uniform([0, 0], [6, 30], size=(20, 2)):
        Z, _ = linear_forward(X, np.array([[w]]), np.array([b]))
        loss, _ = mse_forward(Z, Y)
        predicted, error = page.evaluate(COMPUTE, [points.tolist(), w, b])
        assert predicted == pytest.approx(Z[:, 0].tolist(), abs=1e-12)
        assert error == pytest.approx(float(loss), abs=1e-10)


def test_the_live_line_is_moved_by_keyboard_and_says_what_it_shows(visit: Visit) -> None:
    page = visit.open("neuron.html")
    page.locator("dl-line").get_by_label("weight w").focus()
    for _ in range(34):
        page.keyboard.press("ArrowRight")
    page.locator("dl-line").get_by_label("bias b").fill("23.9")
    assert page.locator("dl-line .loss").inner_text() == "0.00"
    name = page.locator("dl-line svg").get_attribute("aria-label")
    assert name == "The line 3.4 x + 23.9; mean squared error 0.00"


def test_without_scripts_the_live_line_says_what_it_would_show(browser: Browser) -> None:
    with visiting(browser, java_script_enabled=False) as visit:
        visit.page.goto(visit.base + "neuron.html")
        assert "sliders set the weight" in visit.page.locator("dl-line").inner_text()
