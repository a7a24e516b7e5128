"""examples/other-stack: its program, recorded. tests/engine/test_other_stack.py runs it from the wheel by `pulumi`."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from infra.rehearsal.engine import record

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "other-stack"


@pytest.mark.parametrize("preview", [True, False])
def test_its_program_runs_and_its_alarm_takes_the_endpoint_s_identity(preview: bool) -> None:
    file = YAML(typ="safe", pure=True).load(EXAMPLE / "Pulumi.prod.yaml")
    config = {key: value for key, value in file["config"].items() if key.startswith("orders:")}

    def program() -> None:
        runpy.run_path(str(EXAMPLE / "__main__.py"), run_name="__main__")

    # The project's own name is `orders`; the recorder runs everything as `mainstage`.
    renamed = {key.replace("orders:", "mainstage:"): value for key, value in config.items()}
    result = record(program, "prod", renamed, preview=preview).check()
    (unused,) = [each for each in result.of_type("aws:cloudwatch/metricAlarm:MetricAlarm") if "unused" in each.name]
    assert unused.inputs["dimensions"] == {"EndpointName": "late-orders", "VariantName": "stable"}
    assert result.one("aws:sagemaker/endpoint:Endpoint").inputs["name"] == "late-orders"
    assert {each.options.provider.rpartition("::")[0] for each in result.resources if each.type.startswith("aws:")} == {
        "urn:pulumi:prod::mainstage::pulumi:providers:aws::aws"
    }


def test_it_asks_for_the_library_as_it_is_versioned_here() -> None:
    version = tomllib.loads((ROOT / "components" / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    lines = (EXAMPLE / "requirements.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#")] == ["--find-links dist", f"mainstage=={version}"]
