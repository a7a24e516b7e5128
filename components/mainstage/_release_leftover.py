"""Makes room for a Model or an EndpointConfiguration whose name is taken by what an earlier release left in AWS.

With deletion protection what leaves the program stays in SageMaker, and names follow from content: going back to it
would end in "Cannot create already existing …". What nobody uses is deleted, for what is made next is the same; what an
endpoint runs, or is being deployed to, is never touched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from mainstage_runtime.release_history import error_code
from mainstage_runtime.release_live import read_live

from ._release_access import Session, Unknown, said
from ._release_kinds import CONFIGURATION, Kind
from ._release_verdict import ReleaseError


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What is about to be made."""

    kind: Kind
    account_id: str
    region: str
    endpoint: str
    """Name of the endpoint that it is made for, the only one that may use it."""
    urn: str
    owner_urn: str
    """Of the SageMakerEndpoint that it is a child of."""
    inputs: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.inputs["name"])

    @property
    def delete_command(self) -> str:
        option = self.kind.delete.removeprefix("delete_").replace("_", "-")
        return f"aws sagemaker delete-{option} --{option}-name {self.name} --region {self.region}"

    @property
    def import_command(self) -> str:
        logical = self.urn.rpartition("::")[2]
        options = f"--parent 'owner={self.owner_urn}' --protect=false --generate-code=false"
        return f"pulumi import {self.kind.type} {logical} {self.name} {options}"


def make_room(wanted: Wanted, session: Session) -> Optional[str]:
    """Deletes what has the name of what is about to be made and serves nobody. One call when there is none.

    Returns what a person is told; None when there was nothing to do. Raises ReleaseError where the name stays taken.
    """
    try:
        sagemaker = session().client("sagemaker")
        there = _described(sagemaker, wanted.kind, wanted.name)
    except Exception as error:
        # Nothing is lost by going on: SageMaker makes nothing twice.
        return f"whether {wanted.name} is left over from an earlier release is not known: {said(error)}"
    if there is None:
        return None
    try:
        account = there[wanted.kind.arn].split(":")[4]
        if account != wanted.account_id:
            raise Unknown(f"the credentials are of account {account}, the endpoint is in {wanted.account_id}")
        used = _used_by(sagemaker, wanted)
        differs = differences(wanted.kind, wanted.inputs, there)
        if used is None and not differs:
            getattr(sagemaker, wanted.kind.delete)(**{wanted.kind.argument: wanted.name})
    except Exception as error:
        raise ReleaseError(
            f"the {wanted.kind.word} {wanted.name} is there already, and could not be cleared away: {said(error)}\n"
            f"next: {wanted.delete_command} when nothing uses it, then up again"
        ) from error
    if used is not None:
        raise ReleaseError(
            f"the {wanted.kind.word} {wanted.name} is there already and not in this state: {used}, so it is neither "
            "deleted nor made again\n"
            f"next: take it into the state, then up again: {wanted.import_command}"
        )
    if differs:
        raise ReleaseError(
            f"another {wanted.kind.word} has the name {wanted.name}: {'; '.join(differs)}\n"
            f"next: look at it; when nothing uses it: {wanted.delete_command}, then up again"
        )
    return f"{wanted.name}, left by an earlier release and used by nothing, was deleted: it is made again"


def differences(kind: Kind, inputs: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """Where what is there is not what is asked for, beyond what the name tells. Pure."""
    found = []
    for asked, shown in kind.same.items():
        wanted, live = _at(inputs, asked), _at(there, shown)
        if _plain(wanted) == _plain(live):
            continue
        if isinstance(live, Mapping) or isinstance(wanted, Mapping):  # values of an environment may be secrets
            mine, theirs = wanted or {}, live or {}
            names = sorted(name for name in {*mine, *theirs} if mine.get(name) != theirs.get(name))
            found.append(f"{shown} differs in {', '.join(names)}")
        else:
            found.append(f"{shown} is {live!r} and not {wanted!r}")
    return found


def _used_by(sagemaker: Any, wanted: Wanted) -> Optional[str]:
    """What the endpoint does with it, in words; None: nothing."""
    live = read_live(sagemaker, wanted.endpoint)
    if live is None:
        return None
    for configuration, what in ((live.configuration, "runs"), (live.pending_configuration, "is being deployed to")):
        if not configuration:
            continue
        if wanted.kind is CONFIGURATION:
            names = {configuration}
        else:
            described = _described(sagemaker, CONFIGURATION, configuration)
            if described is None:
                raise Unknown(f"the configuration {configuration} that {wanted.endpoint} {what} is gone")
            variants = [*described.get("ProductionVariants", ()), *described.get("ShadowProductionVariants", ())]
            names = {variant.get("ModelName") for variant in variants}
        if wanted.name in names:
            return f"the endpoint {wanted.endpoint} {what} it"
    return None


def _described(sagemaker: Any, kind: Kind, name: str) -> Optional[Mapping[str, Any]]:
    """What SageMaker has of this name; None when it has none."""
    try:
        return getattr(sagemaker, kind.describe)(**{kind.argument: name})
    except Exception as error:
        if error_code(error) == "ResourceNotFound" or "Could not find" in str(error):
            return None
        raise


def _at(value: Any, path: str) -> Any:
    for step in path.split("."):
        if step == "[]":
            value = value[0] if value else None
        else:
            value = value.get(step) if isinstance(value, Mapping) else None
    return value


def _plain(value: Any) -> Any:
    """Comparable: empty as none, and a list in any order."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        value = sorted(map(str, value))
    return value or None
