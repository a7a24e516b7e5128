"""What others wrote is shown as it is: no markup of ours in it, nothing in it that a terminal obeys."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from infra.cli import output
from infra.cli.screen import Screen, as_text, visible

HOSTILE = "a\x1b]52;c;ZXZpbA==\x07b\x9b2Jc\u202egnp.exe\u2066d\x7fe\rf\ud800g"
SHOWN = r"a\x1b]52;c;ZXZpbA==\x07b\x9b2Jc\u202egnp.exe\u2066d\x7fe\x0df\ud800g"
MARKED = "[red]x[/b] [/] [true] :bug: \\[dim] [link=http://x]"


def screen(width: int = 200) -> tuple[Screen, io.StringIO]:
    written = io.StringIO()
    return Screen(file=written, width=width, force_terminal=False), written


def test_controls_and_turns_of_direction_are_spelled() -> None:
    assert visible(HOSTILE) == SHOWN
    assert visible(SHOWN) == SHOWN
    assert visible("größe 尺寸 مرحبا 🐛 [x]\n\ttwo") == "größe 尺寸 مرحبا 🐛 [x]\n\ttwo"
    for code in (*range(0x20), *range(0x7F, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A)):
        kept = chr(code) in "\n\t"
        assert (visible(chr(code)) == chr(code)) == kept


def test_text_of_a_value_carries_a_style_and_no_markup() -> None:
    made = as_text(MARKED, "dim")
    assert (made.plain, str(made.style), made.spans) == (MARKED, "dim", [])
    assert as_text(HOSTILE).plain == SHOWN
    assert as_text(None).plain == "None"
    assert as_text(3).plain == "3"


@pytest.mark.parametrize("value", [MARKED, HOSTILE])
def test_a_screen_shows_values_as_they_are_wherever_they_stand(value: str) -> None:
    shown = visible(value)
    table = Table(value, box=None, title=value)
    table.add_row(value)
    tree = Tree(value)
    tree.add(value)
    for renderable in (value, Text(value), table, tree, Padding(value, (0, 0, 0, 2))):
        console, written = screen()
        console.print(renderable)
        expected = Text(value).plain if isinstance(renderable, Text) else value  # rich drops five of them itself
        assert visible(expected) in written.getvalue()
        assert set(written.getvalue()) <= set(shown) | set(" \n└─━")


def test_what_rich_itself_sends_to_a_terminal_stays() -> None:
    written = io.StringIO()
    console = Screen(file=written, force_terminal=True, color_system="standard", width=80)
    console.print("x\x1b[2J", style="bold")
    assert written.getvalue() == "\x1b[1mx\\x1b[2J\x1b[0m\n"


def test_a_pictures_console_shows_the_same() -> None:
    written = io.StringIO()
    Console(file=written, width=200, highlight=False).print(as_text(MARKED))
    assert written.getvalue() == MARKED + "\n"


def test_json_spells_what_a_terminal_obeys_and_leaves_letters() -> None:
    value = {"größe": HOSTILE, "尺寸": [1, None, "🐛"]}
    text = output.to_json(value)
    assert json.loads(text) == value
    assert set(visible(text)) == set(text)
    assert "größe" in text
    assert "尺寸" in text
    assert "🐛" in text
    assert r"\u009b2J" in text


def test_json_has_no_words_that_json_does_not_know() -> None:
    value = {"a": float("nan"), "b": [float("inf"), (float("-inf"), 1.5)]}
    assert json.loads(output.to_json(value), parse_constant=pytest.fail) == {
        "a": "NaN",
        "b": ["Infinity", ["-Infinity", 1.5]],
    }


def test_an_error_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    output.fail(f"{MARKED}\n{HOSTILE}")
    assert capsys.readouterr().err == f"error: {MARKED}\n{SHOWN}\n"


def test_a_spinner_shows_its_text_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.StringIO()
    monkeypatch.setattr(output, "errors", Screen(file=written, force_terminal=True, width=200))
    with output.working(f"{MARKED}{HOSTILE}") as working:
        pass
    assert MARKED + SHOWN in written.getvalue()
    written.truncate(0)
    with output.working("pushing") as working:
        working.update(f"{MARKED}: training")
    assert f"{MARKED}: training" in written.getvalue()
