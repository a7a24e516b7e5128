"""The inference.py that `mainstage model new` writes, run with the Python and packages of the serving image."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from infra.registry.infer import Field
from infra.registry.scaffold import render_inference
from infra.rehearsal.cloud.model_host import PresetEnvironments

ASK = """
import json, sys
import inference
rows = inference.input_fn(sys.stdin.read(), "application/json")
print(json.dumps({"type": str(rows["when"].dtype), "when": [None if t != t else t.isoformat() for t in rows["when"]]}))
"""


def timestamps(environments: PresetEnvironments, folder: Path, *rows: dict[str, str | None]) -> dict[str, object]:
    inputs = (Field("when", "timestamp"), Field("n", "integer"))
    (folder / "inference.py").write_text(render_inference("demo", inputs, (Field("value", "double"),)))
    done = subprocess.run(
        [environments.ensure("sklearn-1.4-2").python, "-c", ASK],
        input=json.dumps({"instances": list(rows)}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_one_request_may_write_timestamps_in_every_way(environments: PresetEnvironments, tmp_path: Path) -> None:
    """Each as the API's guide allows, in one column of one type."""
    told = timestamps(
        environments,
        tmp_path,
        {"when": "2026-11-21T10:00:00+01:00"},
        {"when": "2026-11-20"},
        {"when": "2026-11-21 10:00:00.125Z"},
        {"when": "2026-11-21T10:00"},
        {"when": None},
        {},
    )
    assert told == {
        "type": "datetime64[ns, UTC]",
        "when": [
            "2026-11-21T09:00:00+00:00",
            "2026-11-20T00:00:00+00:00",
            "2026-11-21T10:00:00.125000+00:00",
            "2026-11-21T10:00:00+00:00",
            None,
            None,
        ],
    }


def test_a_request_of_nulls_has_the_type_too(environments: PresetEnvironments, tmp_path: Path) -> None:
    assert timestamps(environments, tmp_path, {"when": None}) == {"type": "datetime64[ns, UTC]", "when": [None]}
