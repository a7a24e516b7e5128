"""What pulumi prints, read."""

from __future__ import annotations

from typing import Any

import pytest

from infra.rehearsal.pulumi_cli.told import Remaining, changes, diagnostics, remaining, step


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (" +  aws:s3/bucket:Bucket registry-bucket creating (0s) ", "creating registry-bucket"),
        (" +  mainstage:index:Network dev created (3s)", "created dev"),
        (" ~  aws:iam/role:Role role updating (0s) [diff: ~description]", "updating role"),
        (" -  aws:sqs/queue:Queue spool deleting (0s)", "deleting spool"),
        ("    pulumi:pulumi:Stack mainstage-platform-dev running", None),
        ("Updating (platform-dev):", None),
        ("    + 75 created", None),
        ("", None),
    ],
)
def test_a_line_of_a_resource_is_a_step(line: str, shown: str | None) -> None:
    assert step(line) == shown


@pytest.mark.parametrize(
    ("output", "counted"),
    [
        ("Resources:\n    + 78 created\n\nDuration: 9s\n", {"created": 78}),
        ("Resources:\n    78 unchanged\n\nDuration: 9s\n", {"unchanged": 78}),
        (
            "Resources:\n    + 63 created\n    ~ 10 updated\n    +-3 replaced\n    - 2 deleted\n"
            "    78 changes. 53 unchanged\n\nDuration: 9s\n",
            {"created": 63, "updated": 10, "replaced": 3, "deleted": 2, "unchanged": 53},
        ),
        ("    + 5 created\nno heading\n", {}),
        ("", {}),
    ],
)
def test_what_was_counted(output: str, counted: dict[str, int]) -> None:
    assert changes(output) == counted


def test_a_failure_is_told_by_its_diagnostics() -> None:
    output = " +  aws:s3/bucket:Bucket b creating\nDiagnostics:\n  aws:s3/bucket:Bucket (b):\n    error: AccessDenied\n"
    output += "\nOutputs:\n    account_id: 1\n\nResources:\n    + 1 created\n"
    assert diagnostics(output) == "  aws:s3/bucket:Bucket (b):\n    error: AccessDenied"
    assert diagnostics("error: no stack named 'x' found\n") == "error: no stack named 'x' found"


GOES_ON = """Diagnostics:
  pulumi:pulumi:Stack (mainstage-models-dev):
    error: update failed

    printed by the program

  aws:sagemaker:Endpoint (ranker-endpoint):
    warning: ranker version 3: unproven

  aws:sagemaker:Endpoint (churn-endpoint):
    error: before hook "churn" failed: version 8 was taken back

      next: mainstage model retry churn --reason TEXT

Outputs:
    account_id: 1
"""


def test_what_was_refused_is_told_before_what_only_warns() -> None:
    assert diagnostics(GOES_ON).splitlines() == [
        "  aws:sagemaker:Endpoint (churn-endpoint):",
        '    error: before hook "churn" failed: version 8 was taken back',
        "",
        "      next: mainstage model retry churn --reason TEXT",
        "",
        "  aws:sagemaker:Endpoint (ranker-endpoint):",
        "    warning: ranker version 3: unproven",
        "",
        "  pulumi:pulumi:Stack (mainstage-models-dev):",
        "    error: update failed",
        "",
        "    printed by the program",
    ]


POLICIES = """Policies:
    ❌ mainstage@v0.1.0 (local: policies)
        - [{level}]  bucket-versioned  (aws:s3/bucketVersioning:BucketVersioning: b-versioning)
          s3.BucketVersioning b-versioning: status is "Suspended"; allowed: "Enabled"

Diagnostics:
  pulumi:pulumi:Stack (mainstage-platform-dev):
    error: update failed

Resources:
    78 unchanged
"""


def test_what_a_policy_refused_is_told_too() -> None:
    told = diagnostics(POLICIES.format(level="mandatory")).splitlines()
    assert told[2] == '          s3.BucketVersioning b-versioning: status is "Suspended"; allowed: "Enabled"'
    assert told[-1] == "    error: update failed"
    told = diagnostics(POLICIES.format(level="advisory")).splitlines()
    assert told == ["  pulumi:pulumi:Stack (mainstage-platform-dev):", "    error: update failed"]


def _resource(kind: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "type": kind,
        "urn": f"urn:pulumi:platform-prod::mainstage::{kind}::{name}",
        "custom": True,
        "id": name,
        **more,
    }


def test_what_remains_is_what_the_cloud_has_the_protected_first() -> None:
    state = {
        "deployment": {
            "resources": [
                _resource("pulumi:pulumi:Stack", "stack", custom=False),
                _resource("mainstage:index:Network", "network", custom=False),
                _resource("pulumi:providers:aws", "aws"),
                _resource("aws:ec2/subnet:Subnet", "found", external=True),
                _resource("aws:iam/role:Role", "role"),
                _resource("aws:s3/bucket:Bucket", "b", protect=True),
                _resource("aws:kms/key:Key", "k", protect=True),
            ]
        }
    }
    assert remaining("platform-prod", state) == [
        Remaining("platform-prod", "aws:kms/key:Key", "k", "k", True),
        Remaining("platform-prod", "aws:s3/bucket:Bucket", "b", "b", True),
        Remaining("platform-prod", "aws:iam/role:Role", "role", "role", False),
    ]
    assert [each.reason for each in remaining("platform-prod", state)] == [
        "protected",
        "protected",
        "a protected one needs it",
    ]


@pytest.mark.parametrize("state", [{}, {"deployment": None}, {"deployment": {"resources": None}}])
def test_a_stack_that_never_was_up_has_nothing(state: dict[str, Any]) -> None:
    assert remaining("platform-dev", state) == []
