"""Model files: what loads, how environments are merged, what is refused and how it is said."""

# ruff: noqa: E501 -- a row of a table is one line, what was written beside what is said

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import botocore
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mainstage._names import LONGEST_RELEASE_SUFFIX
from ruamel.yaml import YAML

from infra.catalog import CatalogError, KeptVersion, Rollout, check_limits, load_catalog
from infra.catalog.names import MAXIMUM_MODEL_NAME, MAXIMUM_VERSION
from infra.catalog.schema import instance_types
from infra.layers.names import endpoint_name
from infra.problems import Problem
from infra.settings import ENVIRONMENTS, ModelsSettings, load_models, stack_config, stack_file

IRIS = """\
model: iris
owner: ml-platform
runtime: sklearn-1.4-2
signature:
  inputs:
    - {name: petal_length, type: double, minimum: 0}
    - {name: colour, type: string, categories: [blue, white]}
    - {name: garden, type: string}
  outputs:
    - {name: species, type: string}
    - {name: confidence, type: double}
  confidence: confidence
  entity_key: garden
stable: 7
keep: [6]
rollout: {strategy: canary, percent: 10, bake_minutes: 30}
capacity:
  instance_type: ml.m5.large
  instance_count: 2
slo: {p95_ms: 200, p99_ms: 500, error_ratio: 0.01}
capture: {percent: 50}
tags: {team: botany}
"""
"""A valid model file with every part but `environments`."""

Complain = Callable[..., list[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    models = tmp_path / "stacks" / "models"
    models.mkdir(parents=True)
    return models


@pytest.fixture
def complain(folder: Path) -> Complain:
    """What is said about the valid file after texts in it were replaced and `added` was put at its end."""

    def after(replaced: dict[str, str], added: str = "") -> list[str]:
        text = IRIS + added
        for old, new in replaced.items():
            assert old in text
            text = text.replace(old, new, 1)
        (folder / "iris.yaml").write_text(text, encoding="utf-8")
        with pytest.raises(CatalogError) as raised:
            load_catalog(folder.parent.parent, "dev")
        return [str(problem).removeprefix("stacks/models/") for problem in raised.value.problems]

    return after


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_committed_files_load_within_their_environment_s_limits(root: Path, environment: str) -> None:
    catalog = load_catalog(root, environment)
    assert list(catalog.models) == ["card-fraud", "iris"]
    stack = f"models-{environment}"
    check_limits(catalog, load_models(stack_config(stack_file(root, stack)), stack, root))


def test_a_file_becomes_a_model(folder: Path) -> None:
    (folder / "iris.yaml").write_text(IRIS)
    model = load_catalog(folder.parent.parent, "dev").models["iris"]
    assert (model.stable, model.awaiting, model.keep_versions, model.backend) == (7, False, (6,), "sagemaker")
    assert model.rollout == Rollout(strategy="canary", percent=10, bake_minutes=30)
    assert [field.name for field in model.signature.inputs] == ["petal_length", "colour", "garden"]
    assert model.signature.inputs[1].categories == ("blue", "white")
    assert (model.slo.p95_ms, model.slo.p99_ms, model.capacity.autoscaling) == (200, 500, None)


def test_what_a_file_leaves_out_has_defaults(folder: Path) -> None:
    (folder / "iris.yaml").write_text(
        "model: iris\nowner: me\nruntime: sklearn-1.4-2\nawaiting: true\ncapacity: {instance_type: ml.m5.large}\n"
        "signature: {inputs: [{name: x, type: double}], outputs: [{name: y, type: double}]}\n"
    )
    model = load_catalog(folder.parent.parent, "prod").models["iris"]
    assert (model.stable, model.awaiting, model.keep, model.capacity.instance_count) == (None, True, (), 1)
    assert model.rollout == Rollout(strategy="all_at_once", percent=None, bake_minutes=10)
    assert (model.slo.p95_ms, model.slo.p99_ms, model.slo.error_ratio, model.capture) == (500, 1000, 0.01, None)
    assert (model.signature.inputs[0].required, model.signature.inputs[0].nullable) == (True, False)


def test_personal_data_is_hashed_or_dropped_and_never_captured(folder: Path) -> None:
    text = IRIS.replace("name: garden, type: string", "name: garden, type: string, pii: drop")
    text = text.replace("capture: {percent: 50}", "capture: {percent: 0}").replace(
        "entity_key: garden", "entity_key: colour"
    )
    (folder / "iris.yaml").write_text(text)
    model = load_catalog(folder.parent.parent, "prod").models["iris"]
    assert ([field.pii for field in model.signature.inputs], model.signature.personal) == (
        [False, False, "drop"],
        ("garden",),
    )
    assert (model.front_door.deadline_ms, model.front_door.maximum_body_kib) == (10_000, 256)


def test_an_environment_has_a_front_door_of_its_own(folder: Path) -> None:
    (folder / "iris.yaml").write_text(
        IRIS + "front_door: {deadline_ms: 2000}\nenvironments:\n  prod: {front_door: {maximum_body_kib: 64}}\n"
    )
    found = {name: load_catalog(folder.parent.parent, name).models["iris"].front_door for name in ENVIRONMENTS}
    assert {name: (each.deadline_ms, each.maximum_body_kib) for name, each in found.items()} == {
        "dev": (2000, 256), "staging": (2000, 256), "prod": (2000, 64),
    }  # fmt: skip


def test_no_model_files_is_an_empty_catalog(tmp_path: Path) -> None:
    assert load_catalog(tmp_path, "dev").models == {}


def test_an_environment_is_named_right(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="environment 'live': allowed are dev, staging, prod"):
        load_catalog(tmp_path, "live")


def test_environments_are_merged_over_the_main_part(folder: Path) -> None:
    (folder / "iris.yaml").write_text(
        IRIS
        + """\
environments:
  dev:
    awaiting: true
    keep: null
    rollout: {strategy: all_at_once}
    capacity: {instance_count: 1}
  prod:
    stable: 5
    keep: [{version: 4, runtime: sklearn-1.2-1}, 3]
    capacity: {autoscaling: {minimum: 2, maximum: 4, invocations_per_instance_per_minute: 600}}
    slo: {p99_ms: 400}
    capture: null
    tags: {data: personal}
"""
    )
    root = folder.parent.parent
    dev, staging, prod = (load_catalog(root, name).models["iris"] for name in ENVIRONMENTS)
    assert (dev.awaiting, dev.stable, dev.keep, dev.capacity.instance_count) == (True, None, (), 1)
    assert dev.rollout == Rollout(strategy="all_at_once", bake_minutes=10)
    assert dev.capacity.instance_type == "ml.m5.large"
    assert (staging.stable, staging.keep_versions, staging.rollout.percent) == (7, (6,), 10)
    assert (prod.stable, prod.awaiting) == (5, False)
    assert prod.keep == (KeptVersion(version=4, runtime="sklearn-1.2-1"), KeptVersion(version=3))
    assert prod.capacity.autoscaling is not None
    assert prod.capacity.autoscaling.scale_in_cooldown_seconds == 300
    assert (prod.slo.p95_ms, prod.slo.p99_ms, prod.capture) == (200, 400, None)
    assert prod.tags == {"team": "botany", "data": "personal"}
    assert dev.signature == staging.signature == prod.signature


def test_a_model_can_be_taken_as_awaiting(root: Path) -> None:
    catalog = load_catalog(root, "dev").with_awaiting("iris")
    assert (catalog.models["iris"].awaiting, catalog.models["iris"].stable) == (True, None)
    assert load_catalog(root, "dev").models["iris"].stable == 1


def test_every_problem_is_told_at_once(complain: Complain) -> None:
    assert complain(
        {
            "owner: ml-platform": "owner: 7",
            "runtime: sklearn-1.4-2": "runtime: sklearn-1.4.2",
            "minimum: 0": "minimum: 3, maximum: 2",
            "type: string, categories": "type: integer, categories",
            "confidence: confidence": "confidence: confidense",
            "entity_key: garden": "entity_key: petal_length",
            "stable: 7": 'stable: "7"',
            "keep: [6]": "keep: [6, 6, 0, two, {version: 3, runtim: x}]",
            "percent: 10, ": "percent: 80, ",
            "instance_type": "instance_typ",
            "p95_ms: 200": "p95_ms: 600",
            "percent: 50": "percent: 101",
            "team: botany": "mainstage:layer: models",
        },
        "environments: {prod: {stabel: 3, owner: me}, production: {}, staging: 4}\n",
    ) == [
        "iris.yaml:2: owner: takes text; got 7; allowed: who answers for the model, a person or team; "
        "fix: put it in quotes: YAML reads it as a number",
        'iris.yaml:3: runtime: no such runtime preset; got "sklearn-1.4.2"; did you mean sklearn-1.4-2?; '
        "allowed: sklearn-1.4-2, sklearn-1.2-1, xgboost-1.7-1, pytorch-2.5-cpu",
        "iris.yaml:6: signature.inputs[0].minimum: is above maximum (2); got 3; allowed: up to 2; fix: exchange the two",
        'iris.yaml:7: signature.inputs[1].categories: have no meaning for the type integer; got ["blue", "white"]; '
        "allowed: only string; fix: remove categories, or make the type string",
        'iris.yaml:12: signature.confidence: is none of the outputs; got "confidense"; did you mean confidence?; '
        "allowed: confidence",
        'iris.yaml:14: stable: takes a whole number; got "7"; allowed: the version that serves all traffic, '
        "a whole number, 1 to 99999; fix: write it without quotes",
        "iris.yaml:15: keep[2].version: must be greater than or equal to 1; got 0; "
        "allowed: the version, a whole number, 1 to 99999",
        'iris.yaml:15: keep[3].version: takes a whole number; got "two"; allowed: the version, a whole number, 1 to 99999',
        'iris.yaml:15: keep[4].runtim: unknown field; got "x"; did you mean runtime?; allowed: runtime, version; '
        "fix: rename it to runtime",
        "iris.yaml:16: rollout.percent: outside what SageMaker takes for canary; got 80; allowed: 1 to 50",
        "iris.yaml:17: capacity.instance_type: missing; allowed: the SageMaker instance type, such as ml.m5.large; "
        "fix: add instance_type",
        'iris.yaml:18: capacity.instance_typ: unknown field; got "ml.m5.large"; did you mean instance_type?; '
        "allowed: autoscaling, instance_count, instance_type; fix: rename it to instance_type",
        "iris.yaml:20: slo.p95_ms: is above p99_ms (500); got 600; allowed: up to 500; fix: lower p95_ms or raise p99_ms",
        "iris.yaml:21: capture.percent: must be less than or equal to 100; got 101; "
        "allowed: the share of requests captured, in percent, 0 to 100",
        'iris.yaml:22: tags.mainstage:layer: the prefix mainstage: is reserved; got "models"; fix: use a key of your own',
        'iris.yaml:23: environments.prod.owner: is the same in every environment; got "me"; '
        "allowed: awaiting, stable, keep, rollout, capacity, slo, alarms, front_door, capture, tags; fix: set it in the main part",
        "iris.yaml:23: environments.prod.stabel: unknown field; got 3; did you mean stable?; "
        "allowed: awaiting, stable, keep, rollout, capacity, slo, alarms, front_door, capture, tags; fix: rename it to stable",
        "iris.yaml:23: environments.production: unknown environment; got {}; did you mean prod?; allowed: dev, staging, prod",
        "iris.yaml:23: environments.staging: takes a mapping (key: value); got 4; "
        "allowed: awaiting, stable, keep, rollout, capacity, slo, alarms, front_door, capture, tags",
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("stable: 7", "stable: 7\nawaiting: true", "iris.yaml:14: stable: stands beside awaiting; got 7"),
        ("stable: 7\nkeep: [6]\n", "", "iris.yaml:1: stable: neither stable nor awaiting stands here"),
        ("stable: 7", "awaiting: true", "iris.yaml:15: keep: has no meaning while awaiting"),
        ("keep: [6]", "keep: [6, 7]", "iris.yaml:15: keep[1]: version 7 is stable already; got 7"),
        ("keep: [6]", "keep: [6, 6]", "iris.yaml:15: keep[1]: version 6 stands twice"),
        ("keep: [6]", "keep: [1, 2, 3, 4, 5, 6]", "iris.yaml:15: keep: must have at most 5 items"),
        ("keep: [6]", "keep: [{version: 6, runtime: sklearn}]", "iris.yaml:15: keep[0].runtime: no such runtime preset"),
        ("stable: 7", "stable: 0", "iris.yaml:14: stable: must be greater than or equal to 1"),
        ("stable: 7", "stable: -1", "iris.yaml:14: stable: must be greater than or equal to 1"),
        ("stable: 7", "stable: 7.0", "iris.yaml:14: stable: takes a whole number; got 7.0"),
        ("stable: 7", "stable: true", "iris.yaml:14: stable: takes a whole number; got true"),
        ("stable: 7", f"stable: {10**300}", "iris.yaml:14: stable: must be less than or equal to 99999"),
        ("stable: 7", "stable: 100000", "iris.yaml:14: stable: must be less than or equal to 99999"),
        ("instance_count: 2", "instance_count: 1", "iris.yaml:16: rollout.strategy: canary needs at least two instances, capacity.instance_count is 1"),
        ("canary, percent: 10", "linear, percent: 5", "iris.yaml:16: rollout.percent: outside what SageMaker takes for linear; got 5; allowed: 10 to 50"),
        ("canary, percent: 10", "rolling, percent: 51", "iris.yaml:16: rollout.percent: outside what SageMaker takes for rolling; got 51; allowed: 5 to 50"),
        ("canary, percent: 10", "all_at_once, percent: 10", "iris.yaml:16: rollout.percent: has no meaning with all_at_once"),
        ("canary, percent: 10", "canary", "iris.yaml:16: rollout.percent: missing, canary needs it"),
        ("bake_minutes: 30", "bake_minutes: 61", "iris.yaml:16: rollout.bake_minutes: must be less than or equal to 60"),
        ("strategy: canary", "strategy: canarry", 'iris.yaml:16: rollout.strategy: not one of the choices; got "canarry"; did you mean canary?'),
        ("ml.m5.large", "ml.m5.lagre", "iris.yaml:18: capacity.instance_type: no instance type that SageMaker hosts; got \"ml.m5.lagre\"; did you mean ml.m5.large?"),
        ("ml.m5.large", "m5.large", "did you mean ml.m5.large?"),
        ("instance_count: 2", "instance_count: 0", "iris.yaml:19: capacity.instance_count: must be greater than or equal to 1"),
        ("instance_count: 2", "instance_count: two", 'iris.yaml:19: capacity.instance_count: takes a whole number; got "two"'),
        ("instance_count: 2", "instance_count: 2\n  autoscaling: {minimum: 3, maximum: 2, invocations_per_instance_per_minute: 9}", "capacity.autoscaling.minimum: is above maximum (2)"),
        ("instance_count: 2", "instance_count: 2\n  autoscaling: {minimum: 3, maximum: 4, invocations_per_instance_per_minute: 9}", "capacity.instance_count: lies outside autoscaling's minimum and maximum; got 2; allowed: 3 to 4"),
        ("error_ratio: 0.01", "error_ratio: 1", "slo.error_ratio: must be less than 1"),
        ("error_ratio: 0.01", "error_ratio: .nan", "slo.error_ratio: must be less than 1; got NaN"),
        ("p99_ms: 500", "p99_ms: 60001", "slo.p99_ms: must be less than or equal to 60000"),
        ("tags: {team: botany}", "front_door: {deadline_ms: 25001}", "front_door.deadline_ms: an HTTP API gives up after 30 seconds, a cold start's 5 among it, though a container may take 60; got 25001; allowed: 100 to 25000"),
        ("tags: {team: botany}", "front_door: {deadline_ms: 99}", "front_door.deadline_ms: must be greater than or equal to 100"),
        ("tags: {team: botany}", "front_door: {deadline_ms: 499}", "front_door.deadline_ms: is below slo.p99_ms (500): answers that keep the promise would be given up; got 499; allowed: 500 to 25000"),
        ("p99_ms: 500", "p99_ms: 40000", "front_door.deadline_ms: is below slo.p99_ms (40000)"),
        ("error_ratio: 0.01", "minimum_requests: 0", "slo.minimum_requests: must be greater than or equal to 1"),
        ("error_ratio: 0.01", "front_door_p99_ms: 499", "slo.front_door_p99_ms: is below p99_ms (500), and the front door waits for the model; got 499; allowed: 500 or more; fix: raise it, or lower p99_ms"),
        ("error_ratio: 0.01", "front_door_p99_ms: 10000", "slo.front_door_p99_ms: is not below front_door.deadline_ms (10000): no answer leaves later, so no alarm rings; got 10000; allowed: below 10000; fix: lower it, or raise front_door.deadline_ms"),
        ("tags: {team: botany}", "alarms: {cpu_percent: 101}", "alarms.cpu_percent: must be less than or equal to 100"),
        ("tags: {team: botany}", "alarms: {requests_per_hour_at_least: 0}", "alarms.requests_per_hour_at_least: must be greater than or equal to 1"),
        ("tags: {team: botany}", "front_door: {maximum_body_kib: 2901}", "front_door.maximum_body_kib: Lambda takes 6 MB, and a quote in the body counts twice; got 2901; allowed: 1 to 2900"),
        ("tags: {team: botany}", "front_door: {maximum_body_kib: 0}", "front_door.maximum_body_kib: must be greater than or equal to 1"),
        ("tags: {team: botany}", "front_door: {timeout: 5}", "front_door.timeout: unknown field"),
        ("name: garden, type: string", "name: garden, type: string, pii: yes", 'signature.inputs[2].pii: not one of the choices; got "yes"; allowed: true, false, hash, drop'),
        ("name: garden, type: string", "name: garden, type: string, pii: hush", "did you mean hash?"),
        ("name: garden, type: string", "name: garden, type: string, pii: true", "capture.percent: requests would be stored as they are, with personal data in them (garden); got 50; allowed: 0; fix: remove capture: the prediction log keeps them without personal data"),
        ("name: species, type: string", "name: species, type: string, pii: drop", "with personal data in them (species)"),
        ("minimum: 0", "minimum: .inf", "signature.inputs[0].minimum: is no finite number"),
        ("type: double, minimum: 0", "type: integer, minimum: 0.5", "signature.inputs[0].minimum: is no whole number"),
        ("categories: [blue, white]", "categories: [blue, blue]", "signature.inputs[1].categories[1]: blue stands twice"),
        ("categories: [blue, white]", "categories: []", "signature.inputs[1].categories: must have at least 1 item"),
        ("categories: [blue, white]", "minimum: 1", "signature.inputs[1].minimum: has no meaning for the type string"),
        ("name: garden", "name: Colour", "signature.inputs[2].name: inputs has colour twice, upper and lower case taken as one"),
        ("name: garden", "name: Bytes", 'signature.inputs[2].name: every record of the log has the column input_bytes already; got "Bytes"; fix: rename the field'),
        ("name: garden", "name: sha256", "signature.inputs[2].name: every record of the log has the column input_sha256 already"),
        ("name: species", "name: bytes", "signature.outputs[0].name: every record of the log has the column output_bytes already"),
        ("type: string, categories: [blue, white]", "type: integer, minimum: 1234568, maximum: 1234567", "is above maximum (1234567)"),
        ("name: garden, type: string", "name: garden, type: string, pii: drop", "signature.entity_key: nothing of garden may be stored (pii: drop), and of the entity key a keyed hash is; got \"garden\"; fix: write pii: hash, or remove entity_key"),
        ("name: garden", "name: garden (m2)", "signature.inputs[2].name: does not have the form"),
        ("type: double, minimum", "type: float, minimum", "signature.inputs[0].type: not one of the choices; got \"float\""),
        ("confidence: confidence", "confidence: species", "signature.confidence: the output species is of type string"),
        ("entity_key: garden", "entity_key: species", "signature.entity_key: is none of the inputs"),
        ("    - {name: species, type: string}\n    - {name: confidence, type: double}\n", "    []\n", "signature.outputs: must have at least 1 item"),
        ("model: iris", "model: Iris", "model: differs from the file's name"),
        ("model: iris", "model: iris--x", "model: does not have the form"),
        ("model: iris", f"model: {'i' * (MAXIMUM_MODEL_NAME + 1)}", "model: must have at most 39 characters"),
        ("model: iris\n", "", "iris.yaml:1: model: missing"),
        ("owner: ml-platform", 'owner: ""', "owner: must have at least 1 character"),
        ("name: garden", "name: null", "signature.inputs[2].name: takes text; got nothing; allowed: the field's name"),
        ("name: garden", "name: null", "fix: write a text; the word null itself takes quotes"),
        ("runtime: sklearn-1.4-2", "runtime: 1.4", "runtime: takes text; got 1.4"),
        ("capture: {percent: 50}", "backend: kubernetes", 'backend: not one of the choices; got "kubernetes"; allowed: sagemaker'),
        ("tags: {team: botany}", 'tags: {"t\\n": x}', "the key is no tag key"),
        ("tags: {team: botany}", "tags: {team: 3}", "tags.team: takes text; got 3"),
        ("tags: {team: botany}", "tags: [a]", "tags: takes a mapping (key: value)"),
        ("stable: 7", "stable: 7\nstable: 8", "iris.yaml:15: stable: this key stands twice; the first is on line 14"),
        ("slo:", "\tslo:", "iris.yaml:20: a tab stands where YAML takes spaces only"),
        ("tags: {team: botany}", "environments: [dev]", "environments: takes a mapping (key: value)"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(complain: Complain, old: str, new: str, expected: str) -> None:
    told = complain({old: new})
    assert any(expected in each for each in told), told
    assert all(each.startswith("iris.yaml:") for each in told)


def test_an_overlay_s_mistake_is_told_at_the_overlay(complain: Complain) -> None:
    assert complain({}, "environments:\n  prod:\n    capacity: {instance_count: two}\n    slo: {p95_ms: 900}\n") == [
        'iris.yaml:25: environments.prod.capacity.instance_count: takes a whole number; got "two"; '
        "allowed: how many instances, 1 to 100",
        "iris.yaml:26: environments.prod.slo.p95_ms: is above p99_ms (500); got 900; allowed: up to 500; "
        "fix: lower p95_ms or raise p99_ms",
    ]


def test_what_an_overlay_makes_wrong_elsewhere_is_told_with_the_environment(complain: Complain) -> None:
    assert complain({}, "environments:\n  staging: {capacity: {instance_count: 1}}\n") == [
        "iris.yaml:16: rollout.strategy: canary needs at least two instances, capacity.instance_count is 1 (in staging); "
        'got "canary"; allowed: all_at_once, with one instance; fix: raise capacity.instance_count to 2, or choose all_at_once'
    ]


def test_a_mistake_in_another_environment_is_found_too(folder: Path) -> None:
    (folder / "iris.yaml").write_text(IRIS + "environments: {prod: {stable: 0}}\n")
    for name in ENVIRONMENTS:
        with pytest.raises(CatalogError, match=r"environments.prod.stable: must be greater"):
            load_catalog(folder.parent.parent, name)


def test_an_overlay_that_takes_a_needed_value_away_is_refused(complain: Complain) -> None:
    assert complain({}, "environments: {dev: {capacity: {instance_type: null}}}\n") == [
        "iris.yaml:23: environments.dev.capacity.instance_type: missing; "
        "allowed: the SageMaker instance type, such as ml.m5.large; fix: add instance_type"
    ]


def test_one_model_in_two_files_is_refused(folder: Path) -> None:
    (folder / "iris.yaml").write_text(IRIS)
    (folder / "lilies.yaml").write_text(IRIS)
    with pytest.raises(CatalogError) as raised:
        load_catalog(folder.parent.parent, "dev")
    assert [str(problem) for problem in raised.value.problems] == [
        'stacks/models/lilies.yaml:1: model: differs from the file\'s name; got "iris"; allowed: lilies; '
        "fix: rename the file to iris.yaml, or write model: lilies",
        'stacks/models/lilies.yaml:1: model: this model stands in stacks/models/iris.yaml:1 already; got "iris"; '
        "fix: give each model one file and one name",
    ]


def test_files_that_would_not_be_read_are_named(folder: Path) -> None:
    (folder / "iris.yml").write_text(IRIS)
    (folder / "team").mkdir()
    (folder / "team" / "roses.yaml").write_text(IRIS)
    (folder / ".iris.yaml.new").write_text("half")
    (folder / "README.md").write_text("x")
    with pytest.raises(CatalogError) as raised:
        load_catalog(folder.parent.parent, "dev")
    message = "a model file lies directly in stacks/models and ends in .yaml; this one would not be read"
    assert [str(problem) for problem in raised.value.problems] == [
        f"stacks/models/iris.yml:1: {message}; fix: move it to stacks/models/iris.yaml",
        f"stacks/models/team/roses.yaml:1: {message}; fix: move it to stacks/models/roses.yaml",
    ]


def test_problems_of_all_files_come_together(folder: Path) -> None:
    (folder / "iris.yaml").write_text(IRIS.replace("stable: 7", "stable: x"))
    (folder / "empty.yaml").write_text("")
    (folder / "list.yaml").write_text("- a\n")
    with pytest.raises(CatalogError) as raised:
        load_catalog(folder.parent.parent, "dev")
    assert [(problem.file, problem.line) for problem in raised.value.problems] == [
        ("stacks/models/empty.yaml", 1),
        ("stacks/models/iris.yaml", 14),
        ("stacks/models/list.yaml", 1),
    ]
    assert str(raised.value).startswith(
        "3 problems in the model catalog:\n  stacks/models/empty.yaml:1: the file is empty"
    )
    assert raised.value.problems[1].as_json()["field"] == "stable"


def limits_of(environment: str, **limits: object) -> ModelsSettings:
    config = {
        "mainstage:release": "0.1.0", "mainstage:account_id": "111111111111", "mainstage:region": "eu-west-1",
        "mainstage:owner": "a", "mainstage:cost_center": "b", "mainstage:log_retention_days": "14",
        "mainstage:runbook_base_url": "https://example.com/runbooks", "mainstage:capture_percent": "10",
        "mainstage:limits": json.dumps({"maximum_instances": 4, "instance_types": ["ml.m5.*"], **limits}),
        "pulumi:disable-default-providers": '["*"]',
    }  # fmt: skip
    return load_models(config, f"models-{environment}", Path("/nowhere"))


def test_an_environment_s_limits_hold(folder: Path) -> None:
    scaling = "autoscaling: {minimum: 2, maximum: 9, invocations_per_instance_per_minute: 9}"
    (folder / "iris.yaml").write_text(IRIS + f"environments:\n  prod:\n    capacity: {{{scaling}}}\n")
    root = folder.parent.parent
    check_limits(load_catalog(root, "dev"), limits_of("dev"))
    with pytest.raises(CatalogError) as raised:
        check_limits(load_catalog(root, "dev"), limits_of("dev", minimum_instances=3, instance_types=["ml.c5.*"]))
    see = "fix: change it, or mainstage:limits in stacks/Pulumi.models-dev.yaml"
    assert [str(problem) for problem in raised.value.problems] == [
        f"stacks/models/iris.yaml:18: capacity.instance_type: not allowed in dev; got ml.m5.large; allowed: ml.c5.*; {see}",
        f"stacks/models/iris.yaml:19: capacity.instance_count: not allowed in dev; got 2; allowed: 3 to 4; {see}",
    ]
    with pytest.raises(CatalogError) as raised:
        check_limits(load_catalog(root, "prod"), limits_of("prod"))
    assert [(problem.line, problem.field, problem.got) for problem in raised.value.problems] == [
        (25, "environments.prod.capacity.autoscaling.maximum", "9")
    ]


def test_a_region_without_the_image_is_refused_with_the_line(folder: Path) -> None:
    (folder / "iris.yaml").write_text(IRIS.replace("sklearn-1.4-2", "pytorch-2.5-cpu"))
    settings = limits_of("dev").model_copy(update={"region": "ap-southeast-7"})
    with pytest.raises(CatalogError) as raised:
        check_limits(load_catalog(folder.parent.parent, "dev"), settings)
    (problem,) = raised.value.problems
    assert (problem.line, problem.field) == (3, "runtime")
    assert "ap-southeast-7" in problem.message


def test_the_longest_name_still_fits_sagemaker() -> None:
    longest = max((endpoint_name(environment, "m" * MAXIMUM_MODEL_NAME) for environment in ENVIRONMENTS), key=len)
    assert len(longest) + LONGEST_RELEASE_SUFFIX == 63
    assert len(f"-v{MAXIMUM_VERSION}-01234567") == LONGEST_RELEASE_SUFFIX


def test_instance_types_are_those_of_botocore() -> None:
    model = Path(botocore.__file__).parent / "data" / "sagemaker" / "2017-07-24" / "service-2.json.gz"
    shapes = json.loads(gzip.decompress(model.read_bytes()))["shapes"]
    assert list(instance_types()) == shapes["ProductionVariantInstanceType"]["enum"]


_SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["canary", "double", "string", "ml.m5.large", "iris", "confidence", 7, 6, 0.5])
)  # fmt: skip
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "type", "stable", "minimum", "prod"]) | st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


def _places(value: object, place: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place] * bool(place) + [found for key, item in inner for found in _places(item, (*place, key))]


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_to_a_valid_file_loads_or_is_refused_with_its_line(folder: Path, data: st.DataObject) -> None:
    overlays = "environments: {dev: {stable: 8}, prod: {capacity: {instance_count: 3}, slo: {p95_ms: 100}}}\n"
    content = YAML(typ="safe", pure=True).load(IRIS + overlays)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(_places(content)))
        holder = content
        for part in place[:-1]:
            holder = holder[part]
        change = data.draw(st.sampled_from(["replace", "remove", "rename"]))
        if change == "replace":
            holder[place[-1]] = data.draw(_VALUES)
        elif change == "remove":
            del holder[place[-1]]
        elif isinstance(holder, dict):
            holder[data.draw(st.text(max_size=10))] = holder.pop(place[-1])
        if not content:
            break
    path = folder / "iris.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe", pure=True).dump(content, file)
    lines = len(path.read_text(encoding="utf-8").splitlines())
    problems: tuple[Problem, ...] = ()
    try:
        assert list(load_catalog(folder.parent.parent, "prod").models) == ["iris"]
    except CatalogError as error:
        problems = error.problems
    assert {problem.file for problem in problems} <= {"stacks/models/iris.yaml"}
    assert all(problem.message and 1 <= problem.line <= lines + 1 for problem in problems)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_to_the_text_loads_or_is_refused_with_its_line(folder: Path, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(IRIS)))
    end = data.draw(st.integers(start, min(len(IRIS), start + 30)))
    text = IRIS[:start] + data.draw(st.text(alphabet=st.characters(codec="utf-8"), max_size=8)) + IRIS[end:]
    (folder / "iris.yaml").write_text(text, encoding="utf-8", newline="")
    problems: tuple[Problem, ...] = ()
    try:
        load_catalog(folder.parent.parent, "prod")
    except CatalogError as error:
        problems = error.problems
    assert all(problem.file == "stacks/models/iris.yaml" and problem.line >= 1 for problem in problems)
