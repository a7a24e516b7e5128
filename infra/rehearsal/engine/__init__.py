"""The in-process engine: runs the Pulumi program with no CLI, the way the real engine would.

    engine = Engine(provider=AwsProvider(...), state_file=Path("state.json"))
    result = engine.up("platform-dev", program, config).check()

`record` runs a program with no cloud at all, for tests of components.
"""

from infra.rehearsal.engine.deployment import Policy
from infra.rehearsal.engine.engine import Engine, Providers
from infra.rehearsal.engine.program import Program
from infra.rehearsal.engine.record import record, recording_engine
from infra.rehearsal.engine.resource_state import ResourceState
from infra.rehearsal.engine.results import (
    Event,
    Failure,
    Log,
    Options,
    Progress,
    Registered,
    Result,
    RunFailed,
    StateError,
    Step,
)
from infra.rehearsal.engine.state import State
from infra.rehearsal.engine.values import UNKNOWN, ResourceReference, Secret

__all__ = [
    "UNKNOWN",
    "Engine",
    "Event",
    "Failure",
    "Log",
    "Options",
    "Policy",
    "Program",
    "Progress",
    "Providers",
    "Registered",
    "ResourceReference",
    "ResourceState",
    "Result",
    "RunFailed",
    "Secret",
    "State",
    "StateError",
    "Step",
    "record",
    "recording_engine",
]
