"""An upgrade from each recorded release to this checkout loses nothing, in any of the six stacks.

A new release is recorded by `python tools/record_release.py`; every folder beside v0.1.0 is then tested like it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pulumi
import pytest
from mainstage import SecureBucket
from mainstage.guard_alarms import guard_alarm_names

from infra.catalog import Catalog, load_catalog
from infra.catalog.schema import KeptVersion
from infra.layers import platform
from infra.program import program_for
from infra.rehearsal.engine import urns
from infra.upgrade import STACKS, Release, Run, Verdict, judge, plan, read_stack, releases
from infra.upgrade import __main__ as command
from infra.upgrade.judge import CONFIGURATION, ENDPOINT, MODEL, REPLACEABLE, SERVES_OR_STORES
from infra.version import RELEASE

ROOT = Path(__file__).resolve().parents[2]
RECORDED = releases(ROOT)
BUCKET = "aws:s3/bucket:Bucket"

ACCEPTED: Mapping[tuple[str, str], Mapping[str, str]] = {}
"""Losses that are wanted: (release, stack) -> {pattern of URNs: the page of docs/ that tells people what to do}."""


@cache
def runs(release: Release) -> Mapping[str, Run]:
    return plan(release)


def verdict(release: Release, stack: str) -> Verdict:
    return judge(read_stack(release, stack), runs(release)[stack])


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("release", RECORDED, ids=lambda release: f"from-{release.version}")
def test_nothing_is_lost(release: Release, stack: str) -> None:
    found = verdict(release, stack)
    print("\n".join([f"{stack}, from {release.version} to {RELEASE}:", *(found.changes or ["nothing changes"])]))
    left, unused = found.without(ACCEPTED.get((release.version, stack), {}))
    assert [str(loss) for loss in left] == []
    assert unused == [], "ACCEPTED covers nothing any more"


@pytest.mark.parametrize(("option", "code"), [("--help", 0), ("--stack", 2), ("dev", 2)])
def test_the_command_takes_no_arguments_and_runs_nothing_with_any(
    option: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "plan", lambda _: pytest.fail("it ran"))
    with pytest.raises(SystemExit) as ended:
        command.main([option])
    assert ended.value.code == code
    told = capsys.readouterr()
    assert "usage: python -m infra.upgrade [-h]" in told.out + told.err


def test_this_release_is_recorded_and_none_that_is_still_to_come() -> None:
    assert RECORDED[-1].version == RELEASE, "python tools/record_release.py, and commit what it writes"


def test_what_is_accepted_has_a_page() -> None:
    pages = {page for patterns in ACCEPTED.values() for page in patterns.values()}
    assert [page for page in pages if not (ROOT / page).is_file()] == []


@pytest.mark.parametrize("release", RECORDED, ids=lambda release: release.version)
def test_each_recorded_type_is_decided(release: Release) -> None:
    """A type that nobody has thought about would be replaced in silence. Components hold nothing themselves."""
    types = {urns.type_of(urn) for run in runs(release).values() for urn in run.flags}
    types |= {item.type for stack in STACKS for item in read_stack(release, stack) if item.custom and not item.external}
    undecided = {each for each in types if not each.startswith("mainstage:")} - {*SERVES_OR_STORES, *REPLACEABLE}
    assert undecided - {"pulumi:pulumi:StackReference"} == set(), "name it in infra/upgrade/judge.py"


@pytest.mark.parametrize("release", RECORDED, ids=lambda release: release.version)
@pytest.mark.parametrize("environment", ["staging", "prod"])
def test_what_holds_data_is_recorded_as_protected(release: Release, environment: str) -> None:
    buckets = [item for item in read_stack(release, f"platform-{environment}") if item.type == BUCKET]
    assert len(buckets) == 3
    assert all(item.protect and item.retain_on_delete for item in buckets)


@pytest.mark.parametrize("release", RECORDED, ids=lambda release: release.version)
def test_a_recorded_graph_says_nothing_of_the_machine_it_was_made_on(release: Release) -> None:
    for stack in STACKS:
        text = release.graph(stack).read_text(encoding="utf-8")
        assert json.loads(text)["stack"] == stack
        assert [word for word in ("127.0.0.1", str(ROOT), str(Path.home()), "/tmp/") if f'"{word}' in text] == []


# -- planted: the test can fail --------------------------------------------------------------------------------

LAST = RECORDED[-1]


def planted(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[str, dict[str, Any], pulumi.ResourceOptions], Any]
) -> Verdict:
    """The plan of platform-prod when its predictions bucket is made by `change` from (name, arguments, options)."""

    def make(name: str, args: Any, opts: Any) -> SecureBucket:
        changed: Any = change(name, dict(args), opts) if name == "predictions" else (name, args, opts)
        return SecureBucket(*changed)

    monkeypatch.setattr(platform, "SecureBucket", make)
    return judge(read_stack(LAST, "platform-prod"), plan(LAST, ["platform-prod"])["platform-prod"])


def lines(found: Verdict) -> list[str]:
    return [str(loss) for loss in found.lost]


def test_a_renamed_component_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = lines(planted(monkeypatch, lambda _, args, opts: ("records", args, opts)))
    assert f"{BUCKET} predictions-bucket: would be deleted, but its objects go with it" in found
    (rename,) = [line for line in found if "renamed" in line]
    assert rename == (
        "mainstage:index:SecureBucket predictions: would be deleted (and 7 below it) and mainstage:index:SecureBucket "
        "records created: renamed without an alias? Give the new one aliases=[pulumi.Alias(name='predictions')]"
    )


def test_a_rename_with_an_alias_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    def renamed(name: str, args: dict[str, Any], opts: pulumi.ResourceOptions) -> Any:
        alias = pulumi.ResourceOptions(aliases=[pulumi.Alias(name=name)])
        return "records", args, pulumi.ResourceOptions.merge(opts, alias)

    found = planted(monkeypatch, renamed)
    assert (lines(found), found.changes) == ([], verdict(LAST, "platform-prod").changes)


def test_a_changed_immutable_property_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = planted(
        monkeypatch, lambda name, args, opts: (name, {**args, "bucket_name": f"{args['bucket_name']}-v2"}, opts)
    )
    assert lines(found) == [f"{BUCKET} predictions-bucket: would be replaced (bucket), but its objects go with it"]
    assert any(line.startswith("create-replacement aws:s3/bucketPolicy:BucketPolicy") for line in found.changes)


def test_protection_that_goes_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    found = planted(monkeypatch, lambda name, args, opts: (name, {**args, "deletion_protection": False}, opts))
    assert lines(found) == [
        f"{BUCKET} predictions-bucket: would no longer be {words}, but its objects go with it"
        for words in ("protected", "kept in AWS when the program drops it")
    ]


def test_a_changed_setting_in_place_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    found = planted(monkeypatch, lambda name, args, opts: (name, {**args, "expire_days": 30}, opts))
    assert lines(found) == []
    changed = set(found.changes) - set(verdict(LAST, "platform-prod").changes)
    assert changed == {
        "update aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration predictions-lifecycle (rules)"
    }


def test_an_export_that_goes_is_found_in_the_layer_above(monkeypatch: pytest.MonkeyPatch) -> None:
    compose = platform.compose
    monkeypatch.setattr(platform, "compose", lambda *given: {k: v for k, v in compose(*given).items() if k != "vpc_id"})
    found = plan(LAST, ["platform-prod", "models-prod"])["models-prod"]
    assert lines(judge(read_stack(LAST, "models-prod"), found)) == [
        "pulumi:pulumi:Stack mainstage-models-prod: models-prod stands on platform-prod, but it has no vpc_id. "
        "Bring the platform up first: pulumi up -s platform-prod"
    ]


def test_the_settings_of_the_release_are_pinned_to_the_checkout_s(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the person who upgrades does it: mainstage:release is set anew, and nothing else of the stack file."""
    monkeypatch.setattr("infra.version.RELEASE", "9.8.7")
    monkeypatch.setattr("infra.upgrade.planning.RELEASE", "9.8.7")
    run = plan(LAST, ["platform-prod"])["platform-prod"]
    assert run.outputs["release"] == "9.8.7"
    assert judge(read_stack(LAST, "platform-prod"), run) == verdict(LAST, "platform-prod")


# -- within one release: a version of a model takes over -----------------------------------------------------------


def with_catalog(change: Callable[[Catalog], Catalog]) -> Verdict:
    """The plan of models-prod with another catalog."""
    catalog = change(load_catalog(LAST.folder, "prod"))
    found = plan(LAST, ["models-prod"], programs=lambda stack, root: program_for(stack, root, catalog=catalog))
    return judge(read_stack(LAST, "models-prod"), found["models-prod"])


def serving(catalog: Catalog, **fields: Any) -> Catalog:
    return replace(catalog, models={**catalog.models, "iris": catalog.models["iris"].model_copy(update=fields)})


def of(found: Verdict, type_: str) -> list[str]:
    """What becomes of the resources of a type, by operation and version."""
    return sorted(line.partition(" ")[0] for line in found.changes if f" {type_} " in line)


def test_a_release_that_keeps_its_predecessor_deletes_and_replaces_nothing() -> None:
    found = with_catalog(lambda catalog: serving(catalog, stable=2, keep=(KeptVersion(version=1),)))
    assert lines(found) == []
    assert (of(found, MODEL), of(found, CONFIGURATION)) == (["create"], ["create"])
    (endpoint,) = [line for line in found.changes if ENDPOINT in line]
    assert endpoint.startswith("update ")
    assert "endpointConfigName" in endpoint
    assert [line for line in found.changes if line.startswith(("delete", "create-replacement", "forget"))] == []


def test_a_release_that_drops_its_predecessor_deletes_only_what_it_has_moved_away_from() -> None:
    found = with_catalog(lambda catalog: serving(catalog, stable=2))
    assert lines(found) == []
    assert (of(found, MODEL), of(found, CONFIGURATION)) == (["create", "delete"], ["create", "delete"])


def test_a_release_that_aws_would_refuse_fails_with_the_rule_named() -> None:
    def beyond(catalog: Catalog) -> Catalog:
        rollout = catalog.models["iris"].rollout
        return serving(catalog, stable=2, rollout=rollout.model_copy(update={"percent": 60}))

    assert lines(with_catalog(beyond)) == [
        'pulumi:pulumi:Stack mainstage-models-prod: ModelService "iris": 1 problem in its arguments\n'
        "  - rollout.percent: got 60; allowed: a whole number from 1 to 50. Fix: give 50 or less"
    ]


def test_another_set_of_rollback_alarms_does_not_replace_the_live_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be a replacement, and is ignored; a release without the whole set is refused by the hook before it."""
    monkeypatch.setattr(
        "mainstage.sagemaker_endpoint.guard_alarm_names",
        lambda name: {guard: alarm for guard, alarm in guard_alarm_names(name).items() if guard != "stop"},
    )
    found = with_catalog(lambda catalog: catalog)
    assert lines(found) == []
    assert of(found, ENDPOINT) == []


def test_a_model_that_leaves_the_catalog_is_found() -> None:
    found = lines(
        with_catalog(lambda catalog: replace(catalog, models={k: v for k, v in catalog.models.items() if k != "iris"}))
    )
    assert f"{ENDPOINT} iris-endpoint-endpoint: would be deleted, but it serves the model" in found
    assert any(line.startswith("aws:glue/catalogDatabase:CatalogDatabase iris-log-database: ") for line in found)
