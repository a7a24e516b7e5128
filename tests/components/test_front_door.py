"""FrontDoor and PseudonymKey: exact inputs, both ways."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from infra.rehearsal.engine import Result

Build = Callable[..., Result]
Refused = Callable[..., list[tuple[str, str, str, str]]]
Inputs = Callable[[Result, str], dict[str, Any]]
Tree = Callable[[Result], list[tuple[str, str, str]]]

KEY_ARN = "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001"
JWT = {"issuer": "https://id.example.com/", "audiences": ["models", "other"]}


def statements(policy: str) -> dict[str, dict[str, Any]]:
    return {statement.pop("Sid"): statement for statement in json.loads(policy)["Statement"]}


class TestFrontDoor:
    def test_children(self, build: Build, tree: Tree) -> None:
        assert tree(build("FrontDoor")) == [
            ("aws:apigatewayv2/api:Api", "thing-api", "thing"),
            ("aws:apigatewayv2/integration:Integration", "thing-not-found-integration", "thing"),
            ("aws:apigatewayv2/route:Route", "thing-not-found-route", "thing"),
            ("aws:apigatewayv2/stage:Stage", "thing-stage", "thing"),
            ("aws:cloudwatch/logGroup:LogGroup", "thing-access-log", "thing"),
            ("aws:cloudwatch/logGroup:LogGroup", "thing-not-found-logs", "thing"),
            ("aws:iam/role:Role", "thing-not-found-role", "thing"),
            ("aws:iam/rolePolicy:RolePolicy", "thing-not-found-policy", "thing"),
            ("aws:lambda/function:Function", "thing-not-found-function", "thing"),
            ("aws:lambda/permission:Permission", "thing-not-found-permission", "thing"),
            ("mainstage:index:FrontDoor", "thing", ""),
        ]

    def test_the_api_and_its_stage(self, build: Build, inputs: Inputs) -> None:
        result = build("FrontDoor")
        assert inputs(result, "thing-api") == {
            "name": "mainstage-prod",
            "protocolType": "HTTP",
            "description": "Clients ask the models of Mainstage for predictions here",
            "disableExecuteApiEndpoint": False,
            "tags": {"team": "ml"},
        }
        stage = inputs(result, "thing-stage")
        settings = stage.pop("accessLogSettings")
        assert stage == {
            "apiId": result.named("thing-api").id,
            "name": "$default",
            "description": "What clients call",
            "autoDeploy": True,
            # Both throttles always: one that is left out is sent as 0, and everything is refused.
            "defaultRouteSettings": {
                "throttlingRateLimit": 500,
                "throttlingBurstLimit": 800,
                "detailedMetricsEnabled": True,
            },
            "tags": {"team": "ml"},
        }
        assert settings["destinationArn"] == result.named("thing-access-log").outputs["arn"]
        assert result.named("thing-api").options.protect
        loose = build("FrontDoor", deletion_protection=False)
        assert not any(resource.options.protect for resource in loose.resources)

    def test_without_a_throttle_there_is_the_default_one(self, build: Build, inputs: Inputs) -> None:
        result = build("FrontDoor", throttle_requests_per_second=None, throttle_burst=None)
        settings = inputs(result, "thing-stage")["defaultRouteSettings"]
        assert (settings["throttlingRateLimit"], settings["throttlingBurstLimit"]) == (1000, 2000)

    def test_the_access_log_has_one_line_a_request_and_no_body(self, build: Build, inputs: Inputs) -> None:
        result = build("FrontDoor")
        line = inputs(result, "thing-stage")["accessLogSettings"]["format"]
        assert "\n" not in line
        assert json.loads(line) == {
            "requestId": "$context.requestId",
            "ip": "$context.identity.sourceIp",
            "requestTime": "$context.requestTime",
            "routeKey": "$context.routeKey",
            "status": "$context.status",
            "responseLength": "$context.responseLength",
            "responseLatencyMs": "$context.responseLatency",
            "integrationLatencyMs": "$context.integrationLatency",
            "integrationError": "$context.integrationErrorMessage",
            "authorizerError": "$context.authorizer.error",
            "gatewayError": "$context.error.message",
        }
        assert inputs(result, "thing-access-log") == {
            "name": "/aws/apigateway/mainstage-prod",
            "retentionInDays": 30,
            "kmsKeyId": KEY_ARN,
            "logGroupClass": "STANDARD",
            "tags": {"team": "ml"},
        }

    def test_signed_requests_are_the_default(self, build: Build, inputs: Inputs) -> None:
        result = build("FrontDoor")
        route = inputs(result, "thing-not-found-route")
        assert route == {
            "apiId": result.named("thing-api").id,
            "routeKey": "$default",
            "target": f"integrations/{result.named('thing-not-found-integration').id}",
            "authorizationType": "AWS_IAM",
            "apiKeyRequired": False,
        }
        assert result.outputs["identity"]["authorization_type"] == "AWS_IAM"
        assert result.outputs["authorizer_id"] == ""

    def test_tokens(self, build: Build, inputs: Inputs) -> None:
        result = build("FrontDoor", auth="jwt", jwt=JWT)
        assert inputs(result, "thing-authorizer") == {
            "apiId": result.named("thing-api").id,
            "name": "mainstage-prod-jwt",
            "authorizerType": "JWT",
            "identitySources": ["$request.header.Authorization"],
            "jwtConfiguration": {"issuer": "https://id.example.com/", "audiences": ["models", "other"]},
        }
        route, authorizer = inputs(result, "thing-not-found-route"), result.named("thing-authorizer").id
        assert (route["authorizationType"], route["authorizerId"]) == ("JWT", authorizer)
        assert result.outputs["identity"]["authorizer_id"] == authorizer

    def test_nobody_in_particular_only_when_it_is_said_twice(self, build: Build, inputs: Inputs) -> None:
        result = build("FrontDoor", auth="none", allow_unauthenticated=True)
        assert inputs(result, "thing-not-found-route")["authorizationType"] == "NONE"

    def test_what_no_model_has_is_answered_by_a_function_of_its_own(self, build: Build, inputs: Inputs) -> None:
        result = build("FrontDoor")
        function = inputs(result, "thing-not-found-function")
        assert sorted(function.pop("code")["assets"]) == [
            "mainstage_runtime/__init__.py",
            "mainstage_runtime/not_found.py",
            "mainstage_runtime/replies.py",
        ]
        assert function == {
            "name": "mainstage-prod-not-found",
            "description": "Answers what asks for a model that is not there",
            "packageType": "Zip",
            "runtime": "python3.13",
            "architectures": ["arm64"],
            "handler": "mainstage_runtime.not_found.handler",
            "role": result.named("thing-not-found-role").outputs["arn"],
            "timeout": 3,
            "memorySize": 128,
            "kmsKeyArn": KEY_ARN,
            "tracingConfig": {"mode": "PassThrough"},
            "loggingConfig": {"logFormat": "Text", "logGroup": "/aws/lambda/mainstage-prod-not-found"},
            "tags": {"team": "ml"},
        }
        assert statements(inputs(result, "thing-not-found-policy")["policy"]) == {
            "WriteOwnLogs": {
                "Effect": "Allow",
                "Action": ["logs:CreateLogStream", "logs:PutLogEvents"],
                "Resource": [
                    "arn:aws:logs:eu-west-1:111111111111:log-group:/aws/lambda/mainstage-prod-not-found:*",
                ],
            }
        }
        permission = inputs(result, "thing-not-found-permission")
        assert permission["sourceArn"] == f"{result.named('thing-api').outputs['executionArn']}/*/*"
        assert inputs(result, "thing-not-found-integration")["timeoutMilliseconds"] == 5000

    @pytest.mark.parametrize(
        ("changes", "field", "words"),
        [
            ({"auth": "none"}, "auth", "everybody on the internet may call every model"),
            ({"auth": "oauth"}, "auth", "one of iam, jwt, none"),
            ({"allow_unauthenticated": True}, "allow_unauthenticated", "nothing with auth iam"),
            ({"auth": "jwt"}, "jwt", "without them no token can be checked"),
            ({"jwt": JWT}, "jwt", "nothing with auth iam"),
            ({"auth": "jwt", "jwt": JWT | {"issuer": "http://x"}}, "jwt.issuer", "starts with https://"),
            ({"auth": "jwt", "jwt": JWT | {"audiences": []}}, "jwt.audiences", "from 1 to 50"),
            ({"auth": "jwt", "jwt": {"issuer": "https://x"}}, "jwt.audiences", "a list"),
            ({"throttle_requests_per_second": 0.0}, "throttle_requests_per_second", "from 1 to 10000"),
            ({"throttle_burst": 5001.0}, "throttle_burst", "from 1 to 5000"),
            ({"log_retention_days": 31.0}, "log_retention_days", "one of 1, 3"),
            ({"api_name": "x" * 55}, "api_name", "at most 54 characters"),
        ],
    )
    def test_refusals(self, refused: Refused, changes: dict[str, Any], field: str, words: str) -> None:
        found = [(name, allowed) for name, _, allowed, _ in refused("FrontDoor", **changes)]
        assert len(found) == 1
        assert found[0][0] == field
        assert words in found[0][1]


class TestPseudonymKey:
    def test_it_makes_codes_and_nothing_else(self, build: Build, inputs: Inputs) -> None:
        result = build("PseudonymKey")
        key = inputs(result, "thing-key")
        policy = statements(key.pop("policy"))
        assert key == {
            "description": "Makes the pseudonyms of personal data in the prediction logs",
            "keyUsage": "GENERATE_VERIFY_MAC",
            "customerMasterKeySpec": "HMAC_256",
            "isEnabled": True,
            "enableKeyRotation": False,
            "multiRegion": False,
            "deletionWindowInDays": 30,
            "bypassPolicyLockoutSafetyCheck": False,
            "tags": {"team": "ml"},
        }
        assert policy["UsedThroughPoliciesOfThisAccount"] == {
            "Effect": "Allow",
            "Principal": {"AWS": ["arn:aws:iam::111111111111:root"]},
            "Action": ["kms:GenerateMac"],
            "Resource": ["*"],
            "Condition": {"StringEquals": {"kms:MacAlgorithm": "HMAC_SHA_256"}},
        }
        administration = policy["AdministeredByThisAccount"]["Action"]
        assert {"kms:PutKeyPolicy", "kms:GetKeyRotationStatus"} < set(administration)
        assert not {"kms:EnableKeyRotation", "kms:RotateKeyOnDemand", "kms:GenerateMac"} & set(administration)
        assert inputs(result, "thing-alias") == {
            "name": "alias/mainstage-pseudonyms",
            "targetKeyId": result.named("thing-key").id,
        }
        options = result.named("thing-key").options
        assert (options.protect, options.retain_on_delete) == (True, True)

    def test_it_can_be_adopted(self, build: Build, tree: Tree, refused: Refused) -> None:
        result = build("PseudonymKey", alias=None, existing_key_arn=KEY_ARN)
        assert tree(result) == [("mainstage:index:PseudonymKey", "thing", "")]
        assert result.outputs == {"key_arn": KEY_ARN}
        assert [field for field, _, _, _ in refused("PseudonymKey", existing_key_arn=KEY_ARN)] == ["alias"]
