"""ModelRoute, its archive and its signature: exact inputs, both ways."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
from mainstage._lambda_function import (
    _imports,
    _module_path,
    archive_modules,
    function_archive,
    function_role_name,
)

from infra.rehearsal.engine import Result

Build = Callable[..., Result]
Refused = Callable[..., list[tuple[str, str, str, str]]]
Inputs = Callable[[Result, str], dict[str, Any]]
Tree = Callable[[Result], list[tuple[str, str, str]]]

KEY_ARN = "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001"
PSEUDONYM_KEY_ARN = "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000002"
RUNTIME = Path(__file__).resolve().parents[2] / "components" / "mainstage_runtime"
PERSONAL = {
    "inputs": [{"name": "card", "type": "string", "pii": "hash"}, {"name": "note", "type": "string", "pii": "drop"}],
    "outputs": [{"name": "fraud", "type": "boolean"}],
    "entity_key": "card",
}
PLAIN = {"inputs": [{"name": "x", "type": "double"}], "outputs": [{"name": "y", "type": "double"}]}


def statements(policy: str) -> dict[str, dict[str, Any]]:
    return {statement.pop("Sid"): statement for statement in json.loads(policy)["Statement"]}


def variables(result: Result) -> dict[str, str]:
    return result.named("thing-function").inputs["environment"]["variables"]


class TestModelRoute:
    def test_children(self, build: Build, tree: Tree) -> None:
        assert tree(build("ModelRoute")) == [
            ("aws:apigatewayv2/integration:Integration", "thing-integration", "thing"),
            ("aws:apigatewayv2/route:Route", "thing-route", "thing"),
            ("aws:cloudwatch/logGroup:LogGroup", "thing-logs", "thing"),
            ("aws:iam/role:Role", "thing-role", "thing"),
            ("aws:iam/rolePolicy:RolePolicy", "thing-policy", "thing"),
            ("aws:lambda/function:Function", "thing-function", "thing"),
            ("aws:lambda/permission:Permission", "thing-permission", "thing"),
            ("mainstage:index:ModelRoute", "thing", ""),
        ]

    def test_the_route_its_integration_and_who_may_call(self, build: Build, inputs: Inputs) -> None:
        result = build("ModelRoute")
        function = result.named("thing-function").outputs
        assert inputs(result, "thing-integration") == {
            "apiId": "a1b2c3d4e5",
            "integrationType": "AWS_PROXY",
            "integrationMethod": "POST",
            "integrationUri": function["invokeArn"],
            "connectionType": "INTERNET",
            "payloadFormatVersion": "2.0",
            # A second more than the deadline, or the function's own error would never be read.
            "timeoutMilliseconds": 15_000,
        }
        assert inputs(result, "thing-route") == {
            "apiId": "a1b2c3d4e5",
            "routeKey": "POST /v1/models/iris/predictions",
            "target": f"integrations/{result.named('thing-integration').id}",
            "authorizationType": "AWS_IAM",
            "apiKeyRequired": False,
        }
        assert inputs(result, "thing-permission") == {
            "action": "lambda:InvokeFunction",
            "function": "prod-iris-front-door",
            "principal": "apigateway.amazonaws.com",
            "sourceArn": "arn:aws:execute-api:eu-west-1:111111111111:a1b2c3d4e5/*/POST/v1/models/iris/predictions",
        }
        # Nobody finds the route before the function may be called.
        assert result.named("thing-permission").urn in result.named("thing-route").options.depends_on
        assert result.outputs["url"] == (
            "https://a1b2c3d4e5.execute-api.eu-west-1.amazonaws.com/v1/models/iris/predictions"
        )

    def test_the_function(self, build: Build, inputs: Inputs) -> None:
        result = build("ModelRoute", signature=PERSONAL)
        function = inputs(result, "thing-function")
        archive = function.pop("code")["assets"]
        assert json.loads(archive["mainstage.json"]["text"]) == {"signature": PERSONAL}
        assert archive["mainstage_runtime/front_door.py"]["path"] == str(RUNTIME / "front_door.py")
        assert function == {
            "name": "prod-iris-front-door",
            "description": "Answers requests for predictions of iris",
            "packageType": "Zip",
            "runtime": "python3.13",
            "architectures": ["arm64"],
            "handler": "mainstage_runtime.front_door.handler",
            "role": result.named("thing-role").outputs["arn"],
            # The deadline, and as long as handing over the record may take.
            "timeout": 19,
            "memorySize": 512,
            "environment": {
                "variables": {
                    "MAINSTAGE_ENVIRONMENT": "prod",
                    "MAINSTAGE_MODEL": "iris",
                    "MAINSTAGE_ENDPOINT_NAME": "prod-iris",
                    "MAINSTAGE_LOG_NAME": "prod-iris",
                    "MAINSTAGE_STREAM_NAME": "prod-iris-predictions",
                    "MAINSTAGE_SPOOL_URL": "https://sqs.eu-west-1.amazonaws.com/111111111111/prod-iris-spool",
                    "MAINSTAGE_PSEUDONYM_KEY_ARN": PSEUDONYM_KEY_ARN,
                    "MAINSTAGE_DEADLINE_MS": "10000",
                    "MAINSTAGE_MAXIMUM_BODY_BYTES": "262144",
                    "MAINSTAGE_CONFIGURATIONS": '{"6":"prod-iris-v6-4567cdef","7":"prod-iris-v7-0123abcd"}',
                }
            },
            "kmsKeyArn": KEY_ARN,
            "tracingConfig": {"mode": "PassThrough"},
            "loggingConfig": {"logFormat": "Text", "logGroup": "/aws/lambda/prod-iris-front-door"},
            "tags": {"team": "ml"},
        }
        assert set(result.named("thing-function").options.depends_on) >= {
            result.named("thing-logs").urn,
            result.named("thing-policy").urn,
        }
        assert inputs(result, "thing-logs") == {
            "name": "/aws/lambda/prod-iris-front-door",
            "retentionInDays": 30,
            "kmsKeyId": KEY_ARN,
            "logGroupClass": "STANDARD",
            "tags": {"team": "ml"},
        }

    def test_its_role_may_do_five_things(self, build: Build, inputs: Inputs) -> None:
        result = build("ModelRoute", signature=PERSONAL)
        assert inputs(result, "thing-role")["name"] == "prod-iris-front-door-eu-west-1"
        trust = json.loads(inputs(result, "thing-role")["assumeRolePolicy"])["Statement"][0]
        assert trust["Principal"] == {"Service": "lambda.amazonaws.com"}
        assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": "111111111111"}}

        def allow(actions: list[str], resource: str, **conditions: Any) -> dict[str, Any]:
            block = {"Effect": "Allow", "Action": actions, "Resource": [resource]}
            return block | ({"Condition": {"StringEquals": conditions["equals"]}} if conditions else {})

        here = "eu-west-1:111111111111"
        assert statements(inputs(result, "thing-policy")["policy"]) == {
            "InvokeEndpoint": allow(["sagemaker:InvokeEndpoint"], f"arn:aws:sagemaker:{here}:endpoint/prod-iris"),
            "PutRecords": allow(
                ["firehose:PutRecord"], f"arn:aws:firehose:{here}:deliverystream/prod-iris-predictions"
            ),
            "SpoolRecords": allow(["sqs:SendMessage"], f"arn:aws:sqs:{here}:prod-iris-spool"),
            "EncryptSpooledRecords": allow(
                ["kms:Decrypt", "kms:GenerateDataKey"],
                KEY_ARN,
                equals={"kms:ViaService": "sqs.eu-west-1.amazonaws.com"},
            ),
            "DerivePseudonyms": allow(
                ["kms:GenerateMac"], PSEUDONYM_KEY_ARN, equals={"kms:MacAlgorithm": "HMAC_SHA_256"}
            ),
            "WriteOwnLogs": allow(
                ["logs:CreateLogStream", "logs:PutLogEvents"],
                f"arn:aws:logs:{here}:log-group:/aws/lambda/prod-iris-front-door:*",
            ),
        }

    def test_a_key_that_nothing_needs_is_left_alone(self, build: Build, inputs: Inputs) -> None:
        result = build("ModelRoute", signature=PLAIN)
        assert "MAINSTAGE_PSEUDONYM_KEY_ARN" not in variables(result)
        assert "DerivePseudonyms" not in inputs(result, "thing-policy")["policy"]
        build("ModelRoute", signature=PLAIN, pseudonym_key_arn=None)

    def test_tokens_have_subjects_to_hash(self, build: Build, refused: Refused, args: Callable[..., Any]) -> None:
        door = args("ModelRoute")["front_door"] | {"authorization_type": "JWT", "authorizer_id": "abc123"}
        result = build("ModelRoute", signature=PLAIN, front_door=door)
        route = result.named("thing-route").inputs
        assert (route["authorizationType"], route["authorizerId"]) == ("JWT", "abc123")
        assert variables(result)["MAINSTAGE_PSEUDONYM_KEY_ARN"] == PSEUDONYM_KEY_ARN
        ((field, _, allowed, _),) = refused("ModelRoute", signature=PLAIN, front_door=door, pseudonym_key_arn=None)
        assert (field, "a token's subject" in allowed) == ("pseudonym_key_arn", True)

    def test_awaiting(self, build: Build, inputs: Inputs) -> None:
        result = build("ModelRoute", endpoint=None, configurations=None)
        assert variables(result)["MAINSTAGE_ENDPOINT_NAME"] == ""
        assert variables(result)["MAINSTAGE_CONFIGURATIONS"] == "{}"
        assert "sagemaker" not in inputs(result, "thing-policy")["policy"]

    @pytest.mark.parametrize(
        ("deadline_ms", "function_seconds", "integration_ms"),
        [(100.0, 10, 5100), (1000.0, 10, 6000), (1001.0, 11, 6001), (25_000.0, 34, 30_000)],
    )
    def test_each_waits_longer_than_what_it_calls(
        self, build: Build, deadline_ms: float, function_seconds: int, integration_ms: int
    ) -> None:
        result = build("ModelRoute", deadline_ms=deadline_ms)
        assert result.named("thing-function").inputs["timeout"] == function_seconds
        assert result.named("thing-integration").inputs["timeoutMilliseconds"] == integration_ms

    @pytest.mark.parametrize(
        ("changes", "field", "words"),
        [
            ({"route_name": "iris"}, "route_name", "prod-iris"),
            ({"log": None}, "log", "a set of named arguments"),
            ({"front_door": None}, "front_door", "a set of named arguments"),
            ({"signature": None}, "signature", "a set of named arguments"),
            ({"deadline_ms": 25_001.0}, "deadline_ms", "gives up after 30 s, a cold start's 5 s among it"),
            ({"deadline_ms": 99.0}, "deadline_ms", "at least 100"),
            (
                {"maximum_body_kib": 2901.0},
                "maximum_body_kib",
                "Lambda takes 6 MB, and a quote in the body counts twice",
            ),
            ({"memory_mib": 64.0}, "memory_mib", "from 128 to 10240"),
            ({"configurations": {"seven": "x"}}, "configurations", "a version, 1 to 99999"),
            ({"configurations": {"7": "x_y"}}, "configurations.7", "a-z, 0-9 and hyphen"),
            ({"endpoint": None}, "configurations", "nothing without endpoint"),
            ({"pseudonym_key_arn": None, "signature": PERSONAL}, "pseudonym_key_arn", "stored as keyed hashes"),
        ],
    )
    def test_refusals(self, refused: Refused, changes: dict[str, Any], field: str, words: str) -> None:
        found = [(name, allowed) for name, _, allowed, _ in refused("ModelRoute", **changes)]
        assert any(name == field and words in allowed for name, allowed in found), found

    def test_a_door_without_its_authorizer_is_refused(self, refused: Refused, args: Callable[..., Any]) -> None:
        door = args("ModelRoute")["front_door"] | {"authorization_type": "JWT"}
        assert [field for field, *_ in refused("ModelRoute", front_door=door)] == ["front_door.authorizer_id"]


class TestSignature:
    @pytest.mark.parametrize(
        ("field", "path", "words"),
        [
            ({"name": "1x"}, "name", "not beginning with a digit"),
            ({"type": "float"}, "type", "one of double"),
            ({"type": "string", "minimum": 1.0}, "minimum", "only with the types double and integer"),
            ({"minimum": 3.0, "maximum": 2.0}, "minimum", "up to maximum (2)"),
            ({"categories": ["a"]}, "categories", "only with the type string"),
            ({"type": "string", "categories": ["a", "a"]}, "categories[1]", "each value once"),
            ({"pii": "hide"}, "pii", "one of hash, drop"),
            ({"name": "bytes"}, "name", "every record has the column input_bytes"),
            ({"name": "SHA256"}, "name", "every record has the column input_sha256"),
            ({"minimum": 1234568.0, "maximum": 1234567.0}, "minimum", "up to maximum (1234567)"),
            ({"piy": "hash"}, "piy", "pii"),
        ],
    )
    def test_a_field_s_refusals(self, refused: Refused, field: dict[str, Any], path: str, words: str) -> None:
        signature = PLAIN | {"inputs": [{"name": "x", "type": "double"} | field]}
        ((name, _, allowed, _),) = refused("ModelRoute", signature=signature)
        assert (name, words in allowed) == (f"signature.inputs[0].{path}", True), allowed

    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"inputs": []}, "inputs"),
            ({"inputs": [*PLAIN["inputs"], {"name": "X", "type": "double"}]}, "inputs[1].name"),
            ({"confidence": "x"}, "confidence"),
            ({"entity_key": "x"}, "entity_key"),
            ({"outputs": [{"name": "Bytes", "type": "double"}]}, "outputs[0].name"),
            (
                {"inputs": [{"name": "who", "type": "string", "pii": "drop"}], "entity_key": "who"},
                "entity_key",
            ),
        ],
    )
    def test_refusals(self, refused: Refused, changes: dict[str, Any], path: str) -> None:
        assert [field for field, *_ in refused("ModelRoute", signature=PLAIN | changes)] == [f"signature.{path}"]

    def test_equal_signatures_give_equal_archives_whoever_sends_them(self, build: Build) -> None:
        def text(**limits: Any) -> str:
            field = {"name": "x", "type": "double", **limits}
            result = build("ModelRoute", signature=PLAIN | {"inputs": [field]})
            return result.named("thing-function").inputs["code"]["assets"]["mainstage.json"]["text"]

        spelt_out = {"required": True, "nullable": False, "description": ""}
        assert text(minimum=0) == text(minimum=0.0, **spelt_out)
        assert text(minimum=0) == (
            '{"signature":{"inputs":[{"minimum":0,"name":"x","type":"double"}],'
            '"outputs":[{"name":"y","type":"double"}]}}'
        )
        assert text(minimum=0.5) != text(minimum=0)


class TestArchive:
    @pytest.mark.parametrize("handler", ["front_door", "transform", "replay", "not_found"])
    def test_it_holds_all_that_the_handler_imports(self, handler: str, tmp_path: Path) -> None:
        """The modules alone, in a folder of their own, are a package that can be imported."""
        (tmp_path / "mainstage_runtime").mkdir()
        for name, asset in function_archive([handler]).assets.items():
            assert isinstance(asset, pulumi.FileAsset)
            (tmp_path / name).write_bytes(Path(asset.path).read_bytes())
        code = f"import mainstage_runtime.{handler} as m; print(callable(m.handler), m.__file__)"
        done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["True", str(tmp_path / "mainstage_runtime" / f"{handler}.py")]

    def test_it_holds_no_more(self) -> None:
        assert archive_modules(["not_found"]) == ["__init__", "not_found", "replies"]
        assert not {"transform", "record_check", "entrypoint"} & set(archive_modules(["front_door"]))

    def test_imports_are_found_as_python_finds_them(self) -> None:
        package = Path(_module_path("__init__")).parent
        for path in package.glob("*.py"):
            found = set()
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module == "mainstage_runtime":
                    found |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mainstage_runtime."):
                    found.add((node.module or "").partition(".")[2])
            assert set(_imports(path.stem)) == found, path.name

    def test_a_module_that_is_not_there_is_named(self) -> None:
        with pytest.raises(ValueError, match="mainstage_runtime has no module back_door"):
            function_archive(["back_door"])

    def test_role_names_fit_and_stay_apart(self) -> None:
        long = f"staging-{'m' * 40}"
        names = [function_role_name(f"{long}-{part}", "ap-southeast-1") for part in ("front-door", "transform")]
        assert all(len(name) <= 64 and name.endswith("-ap-southeast-1") for name in names)
        assert len(set(names)) == 2
        assert function_role_name("dev-iris-replay", "eu-west-1") == "dev-iris-replay-eu-west-1"
