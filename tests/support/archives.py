"""The archives of every function of an environment, as a checkout gives them; run as a program in that checkout.

Prints JSON: function's name -> `hash` (what the engine compares), `sha256` (of the bytes that are uploaded, base64, as
Lambda's CodeSha256), `members` (name -> SHA-256), `handler` and `config` (mainstage.json as text, or null).
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import mainstage_runtime

import infra
from infra.program import program_for
from infra.rehearsal.engine import record
from infra.rehearsal.engine.goal import with_hashes
from infra.rehearsal.provider.values import asset_bytes
from infra.settings import stack_config, stack_file


def archives(root: Path, environment: str) -> dict[str, dict[str, Any]]:
    outputs: dict[str, Any] = {}
    found: dict[str, dict[str, Any]] = {}
    for layer in ("platform", "models"):
        stack = f"{layer}-{environment}"
        # A prefix list that looks like one is what the recorder's made-up answers lack.
        answers = {"aws:ec2/vpcEndpoint:VpcEndpoint": {"prefixListId": "pl-6da54004"}}
        config = stack_config(stack_file(root, stack))
        result = record(program_for(stack, root), stack, config, stack_outputs=outputs, answers=answers).check()
        outputs[stack] = result.outputs
        for each in result.resources:
            if each.type == "aws:lambda/function:Function":
                found[each.inputs["name"]] = archive(each.inputs)
    return found


def archive(function: dict[str, Any]) -> dict[str, Any]:
    code = {key: value for key, value in function["code"].items() if key != "hash"}
    members = {name: asset_bytes(asset) for name, asset in code["assets"].items()}
    return {
        "hash": with_hashes(code)["hash"],
        "sha256": base64.b64encode(hashlib.sha256(asset_bytes(code)).digest()).decode(),
        "members": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
        "handler": function["handler"],
        "config": members["mainstage.json"].decode() if "mainstage.json" in members else None,
    }


if __name__ == "__main__":
    here = Path.cwd()
    for module in (infra, mainstage_runtime):
        assert Path(str(module.__file__)).is_relative_to(here), f"{module.__file__} is not of this checkout"
    json.dump(archives(here, sys.argv[1]), sys.stdout)
