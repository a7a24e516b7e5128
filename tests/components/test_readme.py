"""The library's README: every program in it runs, and every component is in its table."""

from __future__ import annotations

import re
from pathlib import Path

import mainstage
import pytest
import yaml

from infra.rehearsal.engine import record

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "components" / "README.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize("number", range(len(PROGRAMS)))
def test_its_programs_run(number: int, preview: bool) -> None:
    def program() -> None:
        exec(compile(PROGRAMS[number], f"README program {number + 1}", "exec"), {"__name__": "__main__"})

    result = record(program, stack="somewhere", preview=preview).check()
    assert [name for name in result.outputs if name] == [["page_topic_arn"], ["url"]][number]
    assert result.resources


def test_its_table_names_every_component() -> None:
    rows = re.findall(r"^\| `([A-Z]\w+)` \|", README, re.MULTILINE)
    assert sorted(rows) == sorted(n for n in mainstage.__all__ if not n.endswith(("Args", "Identity")))


def test_the_plugin_host_finds_the_package() -> None:
    """A `__main__.py` beside the file would win over the package, and an unnamed distribution would not be found."""
    folder = ROOT / "components"
    plugin = yaml.safe_load((folder / "PulumiPlugin.yaml").read_text())
    assert plugin["runtime"]["name"] == "python"
    assert plugin["runtime"]["options"] == {"toolchain": "pip", "virtualenv": "venv"}
    assert not (folder / "__main__.py").exists()
    assert [line for line in (folder / "requirements.txt").read_text().splitlines() if line[0] != "#"] == ["."]
    assert 'name = "mainstage"' in (folder / "pyproject.toml").read_text()
