"""The bar that both halves show."""

from __future__ import annotations

import io

import pytest
import rich.console

from dlbook.progress import epoch_bar


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """Stand in for a terminal."""
    text = io.StringIO()
    console = rich.console.Console(file=text, force_terminal=True, width=120)
    monkeypatch.setattr(rich.console, "Console", lambda **options: console)
    return text


def test_a_run_that_goes_on_shows_the_epochs_made_before(screen: io.StringIO) -> None:
    with epoch_bar(5, done=3) as advance:
        assert "epoch 3/5" in screen.getvalue()
        advance(0.25, 0.1)
    assert "epoch 4/5" in screen.getvalue()
    assert "loss 0.2500  rate 0.1" in screen.getvalue()
    assert "epoch 0/5" not in screen.getvalue()


def test_a_run_from_the_start_shows_none(screen: io.StringIO) -> None:
    with epoch_bar(5):
        pass
    assert "epoch 0/5" in screen.getvalue()


def test_nothing_is_shown_if_not_asked(screen: io.StringIO) -> None:
    with epoch_bar(2, done=1, shown=False) as advance:
        advance(0.5, 0.1)
    assert screen.getvalue() == ""


def test_a_run_without_epochs_is_told() -> None:
    with pytest.raises(ValueError, match="expected at least one epoch, got 0"), epoch_bar(0):
        pass
