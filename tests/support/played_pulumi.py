"""A played `pulumi` that holds one state, and states for it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provider_driver import ACCOUNT_ID

from infra.recover.checkout import Ran

STACK = "platform-dev"
PROVIDER = f"urn:pulumi:{STACK}::mainstage::pulumi:providers:aws::aws"


def urn(type_token: str, name: str = "it") -> str:
    return f"urn:pulumi:{STACK}::mainstage::{type_token}::{name}"


@dataclass
class Played:
    """A `pulumi` that holds one state. `locked`: what it says of a lock, until `pulumi cancel`."""

    state: dict[str, Any] | None
    locked: str = ""
    backend_url: str = "s3://states"
    refusal: str = ""
    ran: list[str] = field(default_factory=list)

    def environment(self) -> dict[str, str]:
        return {"PULUMI_BACKEND_URL": self.backend_url}

    def try_run(self, *arguments: str) -> Ran:
        self.ran.append(" ".join(arguments[:2]))
        if arguments[0] == "cancel":
            self.locked = ""
            return Ran(0, "", "")
        if arguments[:2] == ("stack", "export"):
            if self.state is None:
                return Ran(255, "", f"error: no stack named '{arguments[-1]}' found")
            return Ran(0, json.dumps(self.state), self.refusal)
        assert arguments[:2] == ("stack", "import")
        if self.locked or self.refusal:
            return Ran(255, "", self.locked or self.refusal)
        self.state = json.loads(Path(arguments[-1]).read_text())
        return Ran(0, "", "")

    @property
    def resources(self) -> list[tuple[str, str]]:
        assert self.state is not None
        return [(each["type"], each.get("id", "")) for each in self.state["deployment"]["resources"][1:]]


def state(tags: dict[str, str], *pending: dict[str, Any], account: str = ACCOUNT_ID) -> dict[str, Any]:
    provider = {
        "urn": PROVIDER,
        "type": "pulumi:providers:aws",
        "custom": True,
        "id": "0a1b",
        "inputs": {"allowedAccountIds": json.dumps([account]), "defaultTags": json.dumps({"tags": tags})},
    }
    entries = [{"resource": {**each, "provider": f"{PROVIDER}::0a1b"}, "type": "creating"} for each in pending]
    return {"version": 3, "deployment": {"resources": [provider], "pending_operations": entries}}


def under_way(type_token: str, name: str = "it", /, **inputs: Any) -> dict[str, Any]:
    return {"urn": urn(type_token, name), "type": type_token, "custom": True, "inputs": inputs}
