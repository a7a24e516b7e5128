"""Progress on a person's screen: what is printed after it stands below it, and nothing is drawn over it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from infra.cli import rehearse
from infra.rehearsal.progress import Progress


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=60, highlight=False)
    monkeypatch.setattr(rehearse, "errors", console)
    return written


def test_nothing_is_drawn_after_the_block(screen: io.StringIO) -> None:
    with rehearse.showing() as tell:
        tell(Progress("platform", "create a-bucket-with-a-very-long-name-that-does-not-fit-on-this-screen"))
        tell(Progress("predictions", "iris", 412, 1000))
    drawn = screen.getvalue()
    *_, platform, predictions, end = drawn.split("\n")
    assert "✓" in platform
    assert "platform layer" in platform
    assert "✓" in predictions
    assert "predictions" in predictions
    # Hidden while it is live, shown again at the end: the cursor is the last thing that progress touches.
    assert end == "\x1b[?25h"


def fails_in_the_middle() -> None:
    with rehearse.showing() as tell:
        tell(Progress("platform"))
        raise ValueError("no")


def test_an_error_in_the_block_ends_the_display_too(screen: io.StringIO) -> None:
    with pytest.raises(ValueError, match="no"):
        fails_in_the_middle()
    assert screen.getvalue().endswith("\x1b[?25h")


def test_where_no_person_looks_a_step_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(rehearse, "errors", Console(file=written, force_terminal=False, width=60))
    with rehearse.showing() as tell:
        for step in (Progress("platform"), Progress("platform", "create x"), Progress("models")):
            tell(step)
    assert written.getvalue() == "- platform layer\n- models layer\n"
