"""Each link from a client's request to the model and back, changed with boto3: what AWS would answer is seen, with the
change and after it was undone.

Changes of routes, integrations and stages hold at once here; AWS deploys them within seconds.
"""

from __future__ import annotations

import base64
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from links import FUNCTION, ROLE, changed, policy_changed, trust_broken, variables, without_statement
from moto.awslambda.utils import get_backend
from rehearsed import GOOD, MODEL, Rehearsed, kill_9, until

from infra.front_door import Reply
from infra.rehearsal.cloud import functions

ROUTE_KEY = f"POST /v1/models/{MODEL}/predictions"
MISSING = "arn:aws:lambda:eu-west-1:111111111111:function:nowhere"
SERVER_ERROR = (500, {"message": "Internal Server Error"})
FORBIDDEN = (403, {"message": "Forbidden"})
ACCESS_LOG = "/aws/apigateway/mainstage-dev"


def answered(reply: Reply) -> tuple[int, Any]:
    return reply.status, json.loads(reply.body)


def error_of(reply: Reply) -> tuple[int, str, str]:
    """Status, code and message of the documented error."""
    error = json.loads(reply.body)["error"]
    assert error["request_id"] == reply.request_id
    return reply.status, error["code"], error["message"]


def api_of(rehearsed: Rehearsed) -> dict[str, str]:
    [api] = rehearsed.client("apigatewayv2").get_apis()["Items"]
    return {"ApiId": api["ApiId"]}


def route_of(rehearsed: Rehearsed, key: str = ROUTE_KEY) -> dict[str, Any]:
    routes = rehearsed.client("apigatewayv2").get_routes(**api_of(rehearsed))["Items"]
    [found] = [route for route in routes if route["RouteKey"] == key]
    return found


def integration_of(rehearsed: Rehearsed, key: str = ROUTE_KEY) -> dict[str, Any]:
    found = route_of(rehearsed, key)["Target"].removeprefix("integrations/")
    return rehearsed.client("apigatewayv2").get_integration(**api_of(rehearsed), IntegrationId=found)


@contextmanager
def route_changed(rehearsed: Rehearsed, **values: Any) -> Iterator[None]:
    route = route_of(rehearsed)
    update = rehearsed.client("apigatewayv2").update_route
    mine = {**api_of(rehearsed), "RouteId": route["RouteId"]}
    with changed(lambda: update(**mine, **values), lambda: update(**mine, **{name: route[name] for name in values})):
        yield


@contextmanager
def integration_changed(rehearsed: Rehearsed, **values: Any) -> Iterator[None]:
    found = integration_of(rehearsed)
    update = rehearsed.client("apigatewayv2").update_integration
    mine = {**api_of(rehearsed), "IntegrationId": found["IntegrationId"]}
    with changed(lambda: update(**mine, **values), lambda: update(**mine, **{name: found[name] for name in values})):
        yield


def access_line(rehearsed: Rehearsed, reply: Reply) -> dict[str, Any]:
    """The stage's access log of one request."""
    logs, wanted = rehearsed.client("logs"), reply.headers["apigw-requestid"]

    def line() -> dict[str, Any] | None:
        events = logs.filter_log_events(logGroupName=ACCESS_LOG, filterPattern=f'"{wanted}"')["events"]
        return json.loads(events[0]["message"]) if events else None

    return until(line, f"the access log of {wanted}")


# -- the HTTP API ---------------------------------------------------------------------------------------------


def test_a_route_that_was_deleted_falls_to_the_default_one(rehearsed: Rehearsed) -> None:
    gateway, api, route = rehearsed.client("apigatewayv2"), api_of(rehearsed), route_of(rehearsed)
    kept = {name: route[name] for name in ("RouteKey", "Target", "AuthorizationType")}
    with changed(
        lambda: gateway.delete_route(**api, RouteId=route["RouteId"]), lambda: gateway.create_route(**api, **kept)
    ):
        assert error_of(rehearsed.ask())[:2] == (404, "model_not_found")
        assert answered(rehearsed.ask(signed=False)) == FORBIDDEN
    assert rehearsed.ask().status == 200


def test_without_a_default_route_the_gateway_says_not_found(rehearsed: Rehearsed) -> None:
    gateway, api, route = rehearsed.client("apigatewayv2"), api_of(rehearsed), route_of(rehearsed, "$default")
    kept = {name: route[name] for name in ("RouteKey", "Target", "AuthorizationType")}
    path = "/v1/models/nobody/predictions"
    with changed(
        lambda: gateway.delete_route(**api, RouteId=route["RouteId"]), lambda: gateway.create_route(**api, **kept)
    ):
        assert answered(rehearsed.door.post(path, GOOD)) == (404, {"message": "Not Found"})
        assert rehearsed.ask().status == 200
    assert error_of(rehearsed.door.post(path, GOOD))[:2] == (404, "model_not_found")


def test_a_route_to_another_models_function(rehearsed: Rehearsed) -> None:
    """Its policy admits its own route alone; where it admits this one too, that model answers."""
    other = integration_of(rehearsed, "POST /v1/models/card-fraud/predictions")
    functions_client, api = rehearsed.client("lambda"), api_of(rehearsed)["ApiId"]
    mine = {"FunctionName": "dev-card-fraud-front-door", "StatementId": "iris-too"}
    permission = {
        **mine,
        "Action": "lambda:InvokeFunction",
        "Principal": "apigateway.amazonaws.com",
        "SourceArn": f"arn:aws:execute-api:eu-west-1:111111111111:{api}/*/POST/v1/models/iris/predictions",
    }
    with route_changed(rehearsed, Target=f"integrations/{other['IntegrationId']}"):
        assert answered(rehearsed.ask()) == SERVER_ERROR
        with changed(
            lambda: functions_client.add_permission(**permission), lambda: functions_client.remove_permission(**mine)
        ):
            error = json.loads(rehearsed.ask().body)["error"]
            assert error["code"] == "invalid_payload"
            assert error["problems"][0]["message"].endswith(
                "the model takes card_token, amount_eur, merchant_category,"
                " requested_at, seconds_since_last_payment, card_present, shipping_country"
            )
        assert answered(rehearsed.ask()) == SERVER_ERROR
    assert rehearsed.ask().status == 200


def test_a_route_without_authorization_takes_everybody(rehearsed: Rehearsed) -> None:
    assert answered(rehearsed.ask(signed=False)) == FORBIDDEN
    with route_changed(rehearsed, AuthorizationType="NONE"):
        reply = rehearsed.ask(signed=False)
        assert reply.status == 200
    assert answered(rehearsed.ask(signed=False)) == FORBIDDEN
    assert rehearsed.record(reply.request_id)["caller"] is None


def test_a_lower_throttle_answers_429(rehearsed: Rehearsed) -> None:
    gateway, stage = rehearsed.client("apigatewayv2"), {**api_of(rehearsed), "StageName": "$default"}
    before = gateway.get_stage(**stage)["DefaultRouteSettings"]
    low = {**before, "ThrottlingRateLimit": 0.01, "ThrottlingBurstLimit": 2}
    with changed(
        lambda: gateway.update_stage(**stage, DefaultRouteSettings=low),
        lambda: gateway.update_stage(**stage, DefaultRouteSettings=before),
    ):
        replies = [rehearsed.ask() for _ in range(3)]
        assert [reply.status for reply in replies] == [200, 200, 429]
        assert answered(replies[2]) == (429, {"message": "Too Many Requests"})
    assert rehearsed.ask().status == 200


def test_an_integration_that_may_not_take_long(rehearsed: Rehearsed) -> None:
    """The client gets the gateway's own 503; the function goes on to its end, and logs what it answered."""
    rehearsed.served()
    with integration_changed(rehearsed, TimeoutInMillis=100):
        rehearsed.cloud.faults.add("sagemaker-runtime", "InvokeEndpoint", delay_seconds=0.5, times=1)
        reply = rehearsed.ask()
        assert answered(reply) == (503, {"message": "Service Unavailable"})
    assert "took longer than 0.1 s" in access_line(rehearsed, reply)["integrationError"]
    row = rehearsed.record(reply.headers["apigw-requestid"])
    assert (row["status"], row["version"]) == (200, "1")
    assert rehearsed.ask().status == 200


def test_an_integration_with_a_function_that_is_not_there(rehearsed: Rehearsed) -> None:
    with integration_changed(rehearsed, IntegrationUri=MISSING):
        reply = rehearsed.ask()
        assert answered(reply) == SERVER_ERROR
    # Nothing that is not there admits the gateway (unconfirmed; the status is AWS's).
    assert "doesn't have permissions to call the integration" in access_line(rehearsed, reply)["integrationError"]
    assert rehearsed.ask().status == 200


def test_a_function_that_does_not_admit_the_gateway(rehearsed: Rehearsed) -> None:
    functions_client = rehearsed.client("lambda")
    [statement] = json.loads(functions_client.get_policy(FunctionName=FUNCTION)["Policy"])["Statement"]
    mine = {"FunctionName": FUNCTION, "StatementId": statement["Sid"]}
    permission = {
        **mine,
        "Action": statement["Action"],
        "Principal": statement["Principal"]["Service"],
        "SourceArn": statement["Condition"]["ArnLike"]["AWS:SourceArn"],
    }
    with changed(
        lambda: functions_client.remove_permission(**mine), lambda: functions_client.add_permission(**permission)
    ):
        reply = rehearsed.ask()
        assert answered(reply) == SERVER_ERROR
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-troubleshooting-lambda.html
    assert "doesn't have permissions to call the integration" in access_line(rehearsed, reply)["integrationError"]
    assert rehearsed.ask().status == 200


# -- the function ---------------------------------------------------------------------------------------------


def test_a_function_that_names_no_endpoint_awaits_its_model(rehearsed: Rehearsed) -> None:
    with variables(rehearsed, MAINSTAGE_ENDPOINT_NAME=""):
        reply = rehearsed.ask()
        assert error_of(reply) == (503, "model_awaiting", "iris awaits its first version in dev")
    row = rehearsed.record(reply.request_id)
    assert (row["status"], row["error_code"], row["endpoint_name"], row["version"]) == (
        503, "model_awaiting", "", "unknown",
    )  # fmt: skip
    assert rehearsed.ask().status == 200


def test_a_function_that_names_an_endpoint_that_is_not_there(rehearsed: Rehearsed) -> None:
    """Its role may ask its own endpoint alone; where it may ask every one, SageMaker says that there is none."""

    def every_endpoint(statements: list[dict[str, Any]]) -> Any:
        return [{**each, "Resource": "*"} if each["Sid"] == "InvokeEndpoint" else each for each in statements]

    with variables(rehearsed, MAINSTAGE_ENDPOINT_NAME="nowhere"):
        refused = rehearsed.ask()
        assert error_of(refused) == (500, "internal_error", "the front door could not ask the model")
        with policy_changed(rehearsed, ROLE, every_endpoint):
            missing = rehearsed.ask()
            assert error_of(missing) == (503, "model_unavailable", "the model takes no requests now; try again")
    assert rehearsed.record(missing.request_id)["endpoint_name"] == "nowhere"
    assert rehearsed.ask().status == 200


def test_a_role_that_may_not_ask_the_model_answers_500_and_logs_it(rehearsed: Rehearsed) -> None:
    with without_statement(rehearsed, ROLE, "InvokeEndpoint"):
        reply = rehearsed.ask()
        assert error_of(reply) == (500, "internal_error", "the front door could not ask the model")
    row = rehearsed.record(reply.request_id)
    assert (row["status"], row["error_code"], row["rows"], row["version"]) == (500, "internal_error", 1, "unknown")
    assert row["input_petal_width"] == "[0.2]"
    assert row["output_species"] is None
    assert rehearsed.ask().status == 200


def test_a_role_that_does_not_trust_lambda_stops_new_environments_alone(rehearsed: Rehearsed) -> None:
    """One that runs has its credentials already."""
    rehearsed.served()
    with trust_broken(rehearsed, ROLE):
        assert rehearsed.ask().status == 200
        kill_9(functions.pids(rehearsed.cloud, FUNCTION))
        until(lambda: not functions.pids(rehearsed.cloud, FUNCTION) or None, "the environment is gone")
        reply = rehearsed.ask()
        assert answered(reply) == SERVER_ERROR
    assert rehearsed.ask().status == 200


def test_a_function_without_room_to_run_is_503(rehearsed: Rehearsed) -> None:
    """Lambda throttles; that the gateway answers 503 then is unconfirmed."""
    functions_client = rehearsed.client("lambda")
    with changed(
        lambda: functions_client.put_function_concurrency(FunctionName=FUNCTION, ReservedConcurrentExecutions=0),
        lambda: functions_client.delete_function_concurrency(FunctionName=FUNCTION),
    ):
        assert answered(rehearsed.ask()) == (503, {"message": "Service Unavailable"})
    assert rehearsed.ask().status == 200


def test_an_endpoint_that_was_deleted_is_503_and_logged(rehearsed: Rehearsed) -> None:
    sagemaker = rehearsed.client("sagemaker")
    config = sagemaker.describe_endpoint(EndpointName="dev-iris")["EndpointConfigName"]

    def made() -> None:
        sagemaker.create_endpoint(EndpointName="dev-iris", EndpointConfigName=config)
        sagemaker.get_waiter("endpoint_in_service").wait(
            EndpointName="dev-iris", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    def gone() -> None:
        sagemaker.delete_endpoint(EndpointName="dev-iris")
        sagemaker.get_waiter("endpoint_deleted").wait(
            EndpointName="dev-iris", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
        )

    with changed(gone, made):
        reply = rehearsed.ask()
        assert error_of(reply) == (503, "model_unavailable", "the model takes no requests now; try again")
    assert rehearsed.record(reply.request_id)["error_code"] == "model_unavailable"
    assert rehearsed.ask().status == 200


def package_of(**files: str) -> bytes:
    """A deployment package with these modules of mainstage_runtime."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        for name, text in {"__init__": "", **files}.items():
            package.writestr(f"mainstage_runtime/{name}.py", text)
    return buffer.getvalue()


def deployed_package() -> bytes:
    code = get_backend("111111111111", "eu-west-1").get_function(FUNCTION).code["ZipFile"]
    return base64.b64decode(code) if isinstance(code, str) else code


def test_what_answers_is_the_package_that_is_deployed(rehearsed: Rehearsed) -> None:
    update, before = rehearsed.client("lambda").update_function_code, deployed_package()
    hello = 'def handler(event, context):\n    return {"statusCode": 202, "body": event["routeKey"]}\n'
    with changed(
        lambda: update(FunctionName=FUNCTION, ZipFile=package_of(front_door=hello)),
        lambda: update(FunctionName=FUNCTION, ZipFile=before),
    ):
        reply = rehearsed.ask()
        assert (reply.status, reply.body.decode()) == (202, ROUTE_KEY)
    assert rehearsed.ask().status == 200


def test_a_handler_that_is_not_in_the_package_is_500(rehearsed: Rehearsed) -> None:
    update = rehearsed.client("lambda").update_function_configuration
    with changed(
        lambda: update(FunctionName=FUNCTION, Handler="mainstage_runtime.nowhere.handler"),
        lambda: update(FunctionName=FUNCTION, Handler="mainstage_runtime.front_door.handler"),
    ):
        reply = rehearsed.ask()
        assert answered(reply) == SERVER_ERROR
    assert "No module named 'mainstage_runtime.nowhere'" in access_line(rehearsed, reply)["integrationError"]
    assert rehearsed.ask().status == 200


def test_a_function_that_was_deleted_is_500_and_another_of_its_name_needs_its_permission(rehearsed: Rehearsed) -> None:
    """The function's policy goes with the function."""
    functions_client = rehearsed.client("lambda")
    described = functions_client.get_function_configuration(FunctionName=FUNCTION)
    [statement] = json.loads(functions_client.get_policy(FunctionName=FUNCTION)["Policy"])["Statement"]
    package = deployed_package()
    taken = ("FunctionName", "Role", "Handler", "Runtime", "Timeout", "MemorySize", "KMSKeyArn", "Architectures")
    kept = {name: described[name] for name in taken}
    kept["Environment"] = {"Variables": described["Environment"]["Variables"]}

    def restore() -> None:
        functions_client.add_permission(
            FunctionName=FUNCTION,
            StatementId=statement["Sid"],
            Action=statement["Action"],
            Principal=statement["Principal"]["Service"],
            SourceArn=statement["Condition"]["ArnLike"]["AWS:SourceArn"],
        )

    functions_client.delete_function(FunctionName=FUNCTION)
    assert answered(rehearsed.ask()) == SERVER_ERROR
    functions_client.create_function(**kept, Code={"ZipFile": package})
    assert answered(rehearsed.ask()) == SERVER_ERROR
    restore()
    assert rehearsed.ask().status == 200
