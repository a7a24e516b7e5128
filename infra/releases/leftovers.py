"""What releases left in AWS that nobody asks for any more: endpoints that never came into service, endpoints of models
that are gone, configurations and models of versions that are neither asked for nor kept.

Told by our names and the environment's tag. Configurations and models are kept on purpose when they leave the program
(a live endpoint may still use them), so somebody has to say when they may go.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError
from mainstage_runtime.release_history import HistoryError

from infra.catalog import Model
from infra.layers.names import endpoint_name
from infra.recover.orphans import OWN_TAGS
from infra.registry.registry import RegistryError
from infra.registry.target import Target
from infra.releases.live import FAILED, Live, live, live_of
from infra.releases.past import has_served, history_of
from infra.releases.words import version_of

ENDPOINT, CONFIGURATION, MODEL = "endpoint", "endpoint configuration", "model"
_ORDER = (ENDPOINT, CONFIGURATION, MODEL)
"""What uses the next one comes first."""


@dataclass(frozen=True)
class Leftover:
    """One thing that nobody asks for."""

    kind: str
    name: str
    model: str
    """Whose it is, from its name."""
    why: str
    removable: bool
    """Whether `mainstage model clean` deletes it: it serves nobody."""

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.why}"


def leftovers(target: Target, models: Iterable[Model], *, everything: bool = False) -> list[Leftover]:
    """What is left of these models' releases. everything: also endpoints of models that no catalog file names, where
    `models` are the whole catalog. Raises ClientError."""
    known = list(models)
    found = [each for model in known for each in of_model(target, model)]
    if everything:
        found += _of_nobody(target, {endpoint_name(target.environment, each.model) for each in known})
    return sorted(found, key=lambda each: (_ORDER.index(each.kind), each.name))


def of_model(target: Target, model: Model) -> Iterator[Leftover]:
    """What is left of one model's releases."""
    found = live(target, model.model)
    endpoint = endpoint_name(target.environment, model.model)
    if found is not None and found.status == FAILED:
        yield _failed(target, found)
    wanted = {model.stable, *model.keep_versions}
    in_use, models_in_use = _in_use(target, found)
    for name in _names(target, "list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", f"{endpoint}-v"):
        number = version_of(endpoint, name)
        if number is not None and number not in wanted and name not in in_use:
            yield Leftover(CONFIGURATION, name, model.model, _unasked(number), removable=True)
    for name in _names(target, "list_models", "Models", "ModelName", f"{endpoint}-v"):
        number = version_of(endpoint, name)
        if number is not None and number not in wanted and name not in models_in_use:
            yield Leftover(MODEL, name, model.model, _unasked(number), removable=True)


def clean(target: Target, found: Collection[Leftover], say: Callable[[str], None]) -> list[Leftover]:
    """Deletes what may be deleted, after a last look at endpoints; returns what is gone. Raises ClientError."""
    sagemaker = target.client("sagemaker")
    deletes: Mapping[str, Callable[[str], Any]] = {
        ENDPOINT: lambda name: sagemaker.delete_endpoint(EndpointName=name),
        CONFIGURATION: lambda name: sagemaker.delete_endpoint_config(EndpointConfigName=name),
        MODEL: lambda name: sagemaker.delete_model(ModelName=name),
    }
    done = []
    for each in found:
        if not each.removable:
            continue
        try:
            if each.kind == ENDPOINT and _status(sagemaker, each.name) != FAILED:
                continue  # it has come up since
            deletes[each.kind](each.name)
            say(f"deleted {each.kind} {each.name}")
        except ClientError as error:
            if "Could not find" not in str(error):
                raise
            say(f"{each.kind} {each.name} is gone already")  # somebody else cleans up too
        done.append(each)
    return done


def _status(sagemaker: Any, endpoint: str) -> str:
    return sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"]


def _may_have_served(target: Target, model: str) -> bool:
    try:
        return has_served(history_of(target, model).events())
    except (ClientError, RegistryError, HistoryError):
        return True  # nobody can tell: a person looks


def _failed(target: Target, found: Live) -> Leftover:
    if _may_have_served(target, found.model):
        why = "it is Failed and may have served: look at the runbook release-stuck before it is deleted"
        return Leftover(ENDPOINT, found.endpoint, found.model, why, removable=False)
    reason = f" ({found.failure_reason})" if found.failure_reason else ""
    why = f"its first release never came into service{reason}"
    return Leftover(ENDPOINT, found.endpoint, found.model, why, removable=True)


def _unasked(number: int) -> str:
    return f"version {number} is neither asked for nor kept, and does not serve"


def _in_use(target: Target, found: Live | None) -> tuple[set[str], set[str]]:
    """Configurations that the endpoint uses or is about to, and their models."""
    if found is None:
        return set(), set()
    configurations = {found.configuration, *([found.pending.configuration] if found.pending else [])}
    models = set()
    for name in configurations:
        try:
            told = target.client("sagemaker").describe_endpoint_config(EndpointConfigName=name)
        except ClientError as error:
            if "Could not find" not in str(error):
                raise
            continue
        models |= {each.get("ModelName", "") for each in told["ProductionVariants"]}
    return configurations, models


def _of_nobody(target: Target, known: Collection[str]) -> Iterator[Leftover]:
    """Endpoints that carry the environment's tag and belong to no model of the catalog."""
    sagemaker = target.client("sagemaker")
    for page in sagemaker.get_paginator("list_endpoints").paginate(NameContains=f"{target.environment}-"):
        for each in page["Endpoints"]:
            name = each["EndpointName"]
            if name in known or not name.startswith(f"{target.environment}-"):
                continue
            tags = {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=each["EndpointArn"])["Tags"]}
            if tags.get(OWN_TAGS[0]) != target.environment:
                continue
            found = live_of(name.removeprefix(f"{target.environment}-"), name, each)
            if found.status == FAILED:
                yield _failed(target, found)
            else:
                why = f"it is {found.status}, and no file in stacks/models names its model; look at it before it goes"
                yield Leftover(ENDPOINT, name, found.model, why, removable=False)


def _names(target: Target, operation: str, member: str, name: str, contains: str) -> list[str]:
    pages = target.client("sagemaker").get_paginator(operation).paginate(NameContains=contains)
    return sorted(each[name] for page in pages for each in page[member])
