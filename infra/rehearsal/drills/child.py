"""An `up` of the models layer in a process of its own, for drills that kill it. Standard input says what it needs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from infra.program import program_for
from infra.registry.target import Target
from infra.rehearsal.drills.world import MODELS
from infra.rehearsal.engine import Engine
from infra.rehearsal.provider import AwsProvider


def main() -> int:
    """Ends 0 when the `up` ended well."""
    told = json.load(sys.stdin)
    target = Target(**{**told["target"], "state_file": Path(told["target"]["state_file"])})
    engine = Engine(
        provider=AwsProvider(lambda: target.session), state_file=target.state_file, environment=target.variables
    )
    result = engine.up(MODELS, program_for(MODELS, Path(told["root"])), told["config"], continue_on_error=True)
    return 0 if result.error is None else 1


if __name__ == "__main__":
    sys.exit(main())
