"""What of an upgrade is a loss: the judge alone, on made-up graphs and steps."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from infra.rehearsal.engine import ResourceState, Step
from infra.rehearsal.engine.urns import STACK_TYPE, make
from infra.upgrade import Run, judge
from infra.upgrade.judge import CONFIGURATION, ENDPOINT, MODEL, REPLACEABLE, SERVES_OR_STORES

BUCKET = "aws:s3/bucket:Bucket"
POLICY = "aws:s3/bucketPolicy:BucketPolicy"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
SECURE = "mainstage:index:SecureBucket"
STACK = make("platform-prod", "mainstage", "", STACK_TYPE, "mainstage-platform-prod")


def resource(type_: str, name: str, parent: str = STACK, **more: object) -> ResourceState:
    custom = not type_.startswith("mainstage:")
    urn = make("platform-prod", "mainstage", parent, type_, name)
    return ResourceState(urn, type_, custom, id=name, parent=parent, **more)  # type: ignore[arg-type]


ROOT = ResourceState(STACK, STACK_TYPE, custom=False)
COMPONENT = resource(SECURE, "predictions")
DATA = resource(BUCKET, "predictions-bucket", COMPONENT.urn, protect=True, retain_on_delete=True)
RULE = resource(POLICY, "predictions-policy", COMPONENT.urn)
BEFORE = [ROOT, COMPONENT, DATA, RULE]


def told(before: list[ResourceState], *steps: Step, **more: object) -> tuple[list[str], tuple[str, ...]]:
    verdict = judge(before, Run(steps=steps, **more))  # type: ignore[arg-type]
    return [str(loss) for loss in verdict.lost], verdict.changes


def renamed(item: ResourceState, name: str, parent: str = "") -> str:
    return make("platform-prod", "mainstage", parent or item.parent, item.type, name)


def test_nothing_to_do_is_no_loss() -> None:
    assert told(BEFORE, *(Step("same", item.urn) for item in BEFORE)) == ([], ())


def test_updates_creations_and_settings_made_anew_are_listed_and_lost_is_nothing() -> None:
    lost, changes = told(
        BEFORE,
        Step("update", DATA.urn, ("tags", "tagsAll")),
        Step("create-replacement", RULE.urn, ("bucket",), ("bucket",)),
        Step("delete-replaced", RULE.urn),
        Step("create", renamed(RULE, "another-topic").replace(POLICY, "aws:sns/topic:Topic")),
    )
    assert lost == []
    assert changes == (
        "update aws:s3/bucket:Bucket predictions-bucket (tags, tagsAll)",
        "create-replacement aws:s3/bucketPolicy:BucketPolicy predictions-policy (bucket)",
        "create aws:sns/topic:Topic another-topic",
    )


@pytest.mark.parametrize(("type_", "reason"), SERVES_OR_STORES.items())
def test_a_replacement_of_what_serves_or_stores_is_a_loss(type_: str, reason: str) -> None:
    item = resource(type_, "thing")
    steps = [Step("delete-replaced", item.urn), Step("create-replacement", item.urn, ("name", "tags"), ("name",))]
    for order in (steps, steps[::-1]):
        assert told([ROOT, item], *order) == ([f"{type_} thing: would be replaced (name), but {reason}"], ())


@pytest.mark.parametrize("type_", sorted(SERVES_OR_STORES.keys() - {MODEL, CONFIGURATION}))
@pytest.mark.parametrize("op", ["delete", "forget"])
def test_so_is_its_deletion(type_: str, op: str) -> None:
    item = resource(type_, "thing")
    assert told([ROOT, item], Step(op, item.urn)) == (
        [f"{type_} thing: would be deleted, but {SERVES_OR_STORES[type_]}"],
        (),
    )


@pytest.mark.parametrize("type_", REPLACEABLE)
def test_of_other_types_both_are_only_listed(type_: str) -> None:
    one, two = resource(type_, "one"), resource(type_, "two")
    lost, changes = told([ROOT, one, two], Step("delete", one.urn), Step("create-replacement", two.urn, ("a",), ("a",)))
    assert lost == []
    assert changes == (f"delete {type_} one", f"create-replacement {type_} two (a)")


def test_no_type_is_in_both_lists() -> None:
    assert not SERVES_OR_STORES.keys() & REPLACEABLE.keys()
    assert all([*SERVES_OR_STORES.values(), *REPLACEABLE.values()])


def test_a_renamed_component_is_told_once_and_its_bucket_besides() -> None:
    parent = renamed(COMPONENT, "records")
    lost, changes = told(
        BEFORE,
        Step("create", parent),
        Step("create", renamed(DATA, "records-bucket", parent)),
        Step("create", renamed(RULE, "records-policy", parent)),
        Step("delete", RULE.urn),
        Step("delete", DATA.urn),
        Step("delete", COMPONENT.urn),
    )
    assert lost == [
        "aws:s3/bucket:Bucket predictions-bucket: would be deleted, but its objects go with it",
        "mainstage:index:SecureBucket predictions: would be deleted (and 2 below it) and mainstage:index:SecureBucket "
        "records created: renamed without an alias? Give the new one aliases=[pulumi.Alias(name='predictions')]",
    ]
    assert "create aws:s3/bucket:Bucket records-bucket" in changes


def test_a_rename_without_alias_is_a_loss_whatever_the_type() -> None:
    alarm = resource(ALARM, "log-loss")
    lost, _ = told([ROOT, alarm], Step("create", renamed(alarm, "loss")), Step("delete", alarm.urn))
    assert lost == [
        f"{ALARM} log-loss: would be deleted and {ALARM} loss created: renamed without an alias? "
        "Give the new one aliases=[pulumi.Alias(name='log-loss')]"
    ]


def test_of_several_the_likeliest_are_paired() -> None:
    old = [resource(ALARM, name) for name in ("log-loss", "guard-p95")]
    new = [renamed(old[0], name) for name in ("guard-p95-latency", "log-losses")]
    lost, _ = told([ROOT, *old], *(Step("create", urn) for urn in new), *(Step("delete", item.urn) for item in old))
    assert [line.partition(": would")[0].rpartition(" ")[2] for line in lost] == ["log-loss", "guard-p95"]
    assert f"{ALARM} log-losses created" in lost[0]
    assert f"{ALARM} guard-p95-latency created" in lost[1]


def test_a_moved_resource_is_told_that_its_parent_changed() -> None:
    other = resource(SECURE, "other")
    lost, _ = told(
        [*BEFORE, other],
        Step("create", renamed(RULE, RULE.name, STACK)),
        Step("delete", RULE.urn),
        Step("same", DATA.urn),
    )
    assert lost == [
        "aws:s3/bucketPolicy:BucketPolicy predictions-policy: would be deleted and "
        "aws:s3/bucketPolicy:BucketPolicy predictions-policy created: renamed without an alias? "
        "Give the new one aliases=[pulumi.Alias(parent=ITS FORMER PARENT)]"
    ]


def test_a_rename_with_an_alias_is_none() -> None:
    """The engine then plans the resource as it is, under its new URN."""
    new = renamed(DATA, "records-bucket")
    flags = {new: {"protect": True, "retain_on_delete": True}}
    assert told(BEFORE, Step("same", new), flags=flags, moved={DATA.urn: new}) == ([], ())


@pytest.mark.parametrize(
    ("flags", "lines"),
    [
        ({"protect": True, "retain_on_delete": True}, []),
        (
            {"protect": False, "retain_on_delete": True},
            ["aws:s3/bucket:Bucket predictions-bucket: would no longer be protected, but its objects go with it"],
        ),
        (
            {"protect": True, "retain_on_delete": False},
            [
                "aws:s3/bucket:Bucket predictions-bucket: would no longer be kept in AWS when the program drops it, "
                "but its objects go with it"
            ],
        ),
    ],
)
def test_protection_that_is_taken_away_is_a_loss(flags: Mapping[str, bool], lines: list[str]) -> None:
    assert told(BEFORE, Step("same", DATA.urn), flags={DATA.urn: flags}) == (lines, ())


def test_a_plan_that_fails_is_a_loss() -> None:
    assert told(BEFORE, failures=[(DATA.urn, "no such argument"), ("", "it does not start")])[0] == [
        "aws:s3/bucket:Bucket predictions-bucket: the plan fails: no such argument",
        "pulumi:pulumi:Stack mainstage-platform-prod: it does not start",
    ]


def test_a_default_provider_is_the_engine_s_own_matter() -> None:
    default = ResourceState(make("platform-prod", "mainstage", "", "pulumi:providers:aws", "default_7_51_1"), "", True)
    assert told([ROOT, default], Step("delete", default.urn)) == ([], ())


# -- models and configurations: new ones for each release ------------------------------------------------------


def release(version: int, fingerprint: str) -> list[ResourceState]:
    name = f"prod-iris-v{version}-{fingerprint}"
    variant = {"modelName": name, "variantName": "stable"}
    return [
        resource(MODEL, f"iris-model-v{version}-{fingerprint}", outputs={"name": name}),
        resource(
            CONFIGURATION,
            f"iris-config-v{version}-{fingerprint}",
            outputs={"name": name, "productionVariants": [variant]},
        ),
    ]


OLD = release(1, "aaaaaaaa")
NEW = [Step("create", item.urn) for item in release(2, "bbbbbbbb")]
LIVE = resource(ENDPOINT, "iris-endpoint", outputs={"endpointConfigName": "prod-iris-v1-aaaaaaaa"})
GONE = [Step("delete", item.urn) for item in OLD]


def test_a_release_drops_what_it_has_moved_away_from() -> None:
    lost, changes = told([ROOT, *OLD, LIVE], *NEW, Step("update", LIVE.urn, ("endpointConfigName",)), *GONE)
    assert lost == []
    assert changes == (
        f"create {MODEL} iris-model-v2-bbbbbbbb",
        f"create {CONFIGURATION} iris-config-v2-bbbbbbbb",
        f"update {ENDPOINT} iris-endpoint (endpointConfigName)",
        f"delete {MODEL} iris-model-v1-aaaaaaaa",
        f"delete {CONFIGURATION} iris-config-v1-aaaaaaaa",
    )


def test_what_a_version_that_is_not_live_was_served_from_may_go() -> None:
    kept = release(0, "cccccccc")
    lost, changes = told(
        [ROOT, *kept, *OLD, LIVE], Step("same", LIVE.urn), *(Step("delete", item.urn) for item in kept)
    )
    assert (lost, len(changes)) == ([], 2)


@pytest.mark.parametrize("endpoint", [Step("same", LIVE.urn), Step("update", LIVE.urn, ("tags",))])
def test_what_a_live_endpoint_uses_may_not(endpoint: Step) -> None:
    assert told([ROOT, *OLD, LIVE], endpoint, *GONE)[0] == [
        f"{MODEL} iris-model-v1-aaaaaaaa: would be deleted, but a live endpoint uses it",
        f"{CONFIGURATION} iris-config-v1-aaaaaaaa: would be deleted, but a live endpoint uses it",
    ]


def test_a_model_may_not_go_from_under_a_configuration_that_stays() -> None:
    lost, _ = told([ROOT, *OLD, LIVE], Step("same", LIVE.urn), Step("same", OLD[1].urn), GONE[0])
    assert lost == [f"{MODEL} iris-model-v1-aaaaaaaa: would be deleted, but a live endpoint uses it"]


# -- what is accepted ------------------------------------------------------------------------------------------


def test_a_loss_can_be_accepted_by_a_pattern_and_a_pattern_that_covers_nothing_is_told() -> None:
    verdict = judge(BEFORE, Run([Step("delete", DATA.urn), Step("delete", COMPONENT.urn)]))
    assert [loss.urn for loss in verdict.lost] == [DATA.urn]
    assert verdict.without({}) == (list(verdict.lost), [])
    assert verdict.without({"*::predictions-bucket": "docs/UPGRADE-1.md"}) == ([], [])
    assert verdict.without({"*::captures-bucket": "nothing"}) == (list(verdict.lost), ["*::captures-bucket"])
