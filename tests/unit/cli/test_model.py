"""`mainstage model show`: what a person sees of a card."""

from __future__ import annotations

import pytest

from infra.cli import model
from infra.cli.screen import Screen

HOSTILE = "[red]x[/b]\x1b[2J"
SHOWN = r"[red]x[/b]\x1b[2J"


def test_a_card_shows_what_is_personal_data(capsys: pytest.CaptureFixture[str]) -> None:
    card = {
        "model": "churn",
        "version": 3,
        "pushed_at": "2026-01-31",
        "pushed_by": HOSTILE,
        "archive": {"size_bytes": 5, "sha256": "ab"},
        "runtime": {"preset": "sklearn", "python": "3.10", "packages": {"numpy": "1[a]"}},
        "metrics": {HOSTILE: 0.5},
        "data": {},
        "signature": {
            "inputs": [
                {"name": "months", "type": "integer"},
                {"name": "email", "type": "string", "pii": True},
                {"name": "phone", "type": "string", "pii": "drop"},
            ],
            "outputs": [{"name": "churned", "type": "boolean", "pii": False}],
        },
    }
    Screen(width=200).print(model._card_table(card))
    rows = {line.split()[0]: line.split(maxsplit=1)[1].rstrip() for line in capsys.readouterr().out.splitlines()}
    assert rows["inputs"] == (
        "months: integer, email: string (personal data: logged as a hash), phone: string (personal data: not logged)"
    )
    assert rows["outputs"] == "churned: boolean"
    assert rows["pushed"] == f"2026-01-31 by {SHOWN}"
    assert rows["metrics"] == f"{SHOWN} 0.5"
    assert rows["runtime"] == "sklearn (Python 3.10; numpy 1[a])"
