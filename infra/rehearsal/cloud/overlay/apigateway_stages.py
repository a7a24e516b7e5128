"""Stages and deployments of HTTP APIs, and their tags. moto has no UpdateStage, no deployments, and drops their ids.

Source: developer guide, "Manage stages for HTTP APIs"
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-stages.html); API reference v2. Codes and words
of refusals are unconfirmed where nothing else is said.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from moto.apigatewayv2.models import apigatewayv2_backends

from infra.rehearsal.cloud.api import AwsError, Call
from infra.rehearsal.cloud.gateway.deployment import LiveStage, Snapshot
from infra.rehearsal.cloud.gateway.http_api import HttpApi
from infra.rehearsal.cloud.overlay import after, before, handler
from infra.rehearsal.cloud.overlay.answers import stable_uuid
from infra.rehearsal.cloud.overlay.apigateway_apis import api_of, not_carried, not_found, serving

MOST_STAGES = 10
"""Of one API ("Quotas for HTTP APIs")."""
_STAGE_ARN = re.compile(r"arn:[\w-]+:apigateway:[a-z0-9-]+::/apis/([^/]+)/stages/(.+)")
_SETTINGS = {
    "DataTraceEnabled": "dataTraceEnabled",
    "DetailedMetricsEnabled": "detailedMetricsEnabled",
    "LoggingLevel": "loggingLevel",
    "ThrottlingBurstLimit": "throttlingBurstLimit",
    "ThrottlingRateLimit": "throttlingRateLimit",
}


def deploy_changes(call: Call) -> None:
    """Stages with automatic deployment serve the API as it is now."""
    api, live = api_of(call), serving(call)
    with live.changing:
        if any(stage.auto_deploy for stage in list(api.stages.values())):
            snapshot = _deployed(call, api, live, "Automatic deployment triggered by changes to the Api configuration")
            for stage in list(api.stages.values()):
                if stage.auto_deploy:
                    live.stage_deployments[stage.name] = snapshot.deployment_id
        _refresh(api, live)


def _deployed(call: Call, api: Any, live: HttpApi, description: str, *, by_hand: bool = False) -> Snapshot:
    deployment_id = stable_uuid(live.api_id, len(live.deployments))[:6]
    snapshot = Snapshot.of(
        api,
        deployment_id,
        description=description,
        created=call.cloud.clock.now(),
        auto_deployed=not by_hand,
    )
    live.deployments[deployment_id] = snapshot
    return snapshot


def _refresh(api: Any, live: HttpApi) -> None:
    for name in set(live.stage_deployments) - set(api.stages):
        del live.stage_deployments[name]
    live.stages = {
        name: LiveStage(stage, live.deployments.get(live.stage_deployments.get(name, "")), live.stages.get(name))
        for name, stage in list(api.stages.items())
    }


# -- stages -------------------------------------------------------------------------------------------------------


@before("apigatewayv2", "CreateStage")
def stage_is_new(call: Call) -> None:
    api, name = api_of(call), call.params["StageName"]
    if name in api.stages:
        raise AwsError("ConflictException", "Stage already exists", 409)
    if len(api.stages) >= MOST_STAGES:
        raise AwsError("BadRequestException", f"An API has at most {MOST_STAGES} stages", 400)
    _check_stage(call, serving(call), bool(call.params.get("AutoDeploy")))


def _check_stage(call: Call, live: HttpApi, auto_deploy: bool) -> None:
    if call.params.get("ClientCertificateId"):
        raise not_carried(call, "ClientCertificateId")
    deployment_id = call.params.get("DeploymentId")
    if not deployment_id:
        return
    if auto_deploy:
        raise AwsError("BadRequestException", "Deployment ID cannot be set on a stage with AutoDeploy enabled", 400)
    if deployment_id not in live.deployments:
        raise not_found("Deployment", deployment_id)


@after("apigatewayv2", "CreateStage")
def serve_stage(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    api, live = api_of(call), serving(call)
    name = call.params["StageName"]
    with live.changing:
        if call.params.get("DeploymentId"):
            live.stage_deployments[name] = call.params["DeploymentId"]
        if call.params.get("AutoDeploy"):
            live.stage_deployments[name] = _deployed(call, api, live, "Automatic deployment").deployment_id
        _refresh(api, live)
    return _shown(live, output)


@handler("apigatewayv2", "UpdateStage")
def update_stage(call: Call) -> dict[str, Any]:
    api, live, params = api_of(call), serving(call), call.params
    stage = _stage(call, api)
    auto_deploy = params.get("AutoDeploy", bool(stage.auto_deploy))
    _check_stage(call, live, auto_deploy)
    with live.changing:
        if "AccessLogSettings" in params:
            logged = params["AccessLogSettings"]
            # Empty settings take the log away (the provider's way to remove the block).
            stage.access_log_settings = {
                "destinationArn": logged.get("DestinationArn"),
                "format": logged.get("Format"),
            } if logged.get("DestinationArn") else None  # fmt: skip
        if "DefaultRouteSettings" in params:
            stage.default_route_settings = {
                **stage.default_route_settings,
                **_settings(params["DefaultRouteSettings"]),
            }
        for key, settings in (params.get("RouteSettings") or {}).items():
            stage.route_settings[key] = {**stage.route_settings.get(key, {}), **_settings(settings)}
        for key, value in (params.get("StageVariables") or {}).items():
            # Set to "" is removed.
            stage.stage_variables.pop(key, None)
            if value:
                stage.stage_variables[key] = value
        if "Description" in params:
            stage.description = params["Description"]
        if params.get("DeploymentId"):
            live.stage_deployments[stage.name] = params["DeploymentId"]
        if auto_deploy and not stage.auto_deploy:
            live.stage_deployments[stage.name] = _deployed(call, api, live, "Automatic deployment").deployment_id
        stage.auto_deploy = auto_deploy
        stage.updated = datetime.now()
        _refresh(api, live)
    shown = call.cloud.client("apigatewayv2", call.region).get_stage(ApiId=live.api_id, StageName=stage.name)
    return {name: value for name, value in shown.items() if name != "ResponseMetadata"}


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    return {_SETTINGS[name]: value for name, value in given.items() if value is not None}


def _stage(call: Call, api: Any) -> Any:
    stage = api.stages.get(call.params["StageName"])
    if stage is None:
        raise AwsError("NotFoundException", "Invalid stage identifier specified", 404)
    return stage


@after("apigatewayv2", "GetStage")
def show_stage(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    return _shown(serving(call), output)


@after("apigatewayv2", "GetStages")
def show_stages(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    live = serving(call)
    return {**output, "Items": [_shown(live, stage) for stage in output.get("Items", ())]}


def _shown(live: HttpApi, output: dict[str, Any]) -> dict[str, Any]:
    deployment_id = live.stage_deployments.get(output["StageName"])
    return output | ({"DeploymentId": deployment_id} if deployment_id else {})


@before("apigatewayv2", "DeleteStage")
def stage_is_there(call: Call) -> None:
    _stage(call, api_of(call))


@after("apigatewayv2", "DeleteStage")
def stage_is_gone(call: Call, output: dict[str, Any]) -> dict[str, Any]:
    api, live = api_of(call), serving(call)
    with live.changing:
        _refresh(api, live)
    return output


@handler("apigatewayv2", "DeleteAccessLogSettings")
def delete_access_log_settings(call: Call) -> dict[str, Any]:
    api, live = api_of(call), serving(call)
    with live.changing:
        _stage(call, api).access_log_settings = None
        _refresh(api, live)
    return {}


@handler("apigatewayv2", "DeleteRouteSettings")
def delete_route_settings(call: Call) -> dict[str, Any]:
    api, live = api_of(call), serving(call)
    with live.changing:
        if _stage(call, api).route_settings.pop(call.params["RouteKey"], None) is None:
            raise not_found("Route", call.params["RouteKey"])
        _refresh(api, live)
    return {}


# -- deployments --------------------------------------------------------------------------------------------------


@handler("apigatewayv2", "CreateDeployment")
def create_deployment(call: Call) -> dict[str, Any]:
    api, live = api_of(call), serving(call)
    name = call.params.get("StageName")
    stage = _stage(call, api) if name else None
    if stage is not None and stage.auto_deploy:
        raise AwsError("BadRequestException", f"Stage {name} has AutoDeploy enabled: it is not deployed by hand", 400)
    if not api.routes:
        # As API Gateway says of REST APIs ("The REST API doesn't contain any methods").
        raise AwsError("BadRequestException", "At least one route is required before deploying the Api.", 400)
    with live.changing:
        snapshot = _deployed(call, api, live, call.params.get("Description", ""), by_hand=True)
        if name:
            live.stage_deployments[name] = snapshot.deployment_id
        _refresh(api, live)
    return _deployment(snapshot)


@handler("apigatewayv2", "GetDeployment")
def get_deployment(call: Call) -> dict[str, Any]:
    return _deployment(_found(call, serving(call)))


@handler("apigatewayv2", "GetDeployments")
def get_deployments(call: Call) -> dict[str, Any]:
    if call.params.get("NextToken"):
        raise AwsError("BadRequestException", "Invalid NextToken", 400)
    # All on one page, the newest first.
    return {"Items": [_deployment(snapshot) for snapshot in reversed(list(serving(call).deployments.values()))]}


@handler("apigatewayv2", "DeleteDeployment")
def delete_deployment(call: Call) -> dict[str, Any]:
    live = serving(call)
    with live.changing:
        snapshot = _found(call, live)
        if snapshot.deployment_id in live.stage_deployments.values():
            raise AwsError(
                "BadRequestException", "Active stages pointing to this deployment must be moved or deleted", 400
            )
        del live.deployments[snapshot.deployment_id]
    return {}


def _found(call: Call, live: HttpApi) -> Snapshot:
    snapshot = live.deployments.get(call.params["DeploymentId"])
    if snapshot is None:
        raise not_found("Deployment", call.params["DeploymentId"])
    return snapshot


def _deployment(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "AutoDeployed": snapshot.auto_deployed,
        "CreatedDate": snapshot.created,
        "DeploymentId": snapshot.deployment_id,
        "DeploymentStatus": "DEPLOYED",
        **({"Description": snapshot.description} if snapshot.description else {}),
    }


# -- tags of stages: moto keeps those of APIs only ----------------------------------------------------------------


@handler("apigatewayv2", "TagResource")
def tag_resource(call: Call) -> dict[str, Any]:
    tags = _stage_tags(call)
    if tags is None:
        return call.cloud.to_moto(call)
    tags.update(call.params.get("Tags") or {})
    return {}


@handler("apigatewayv2", "UntagResource")
def untag_resource(call: Call) -> dict[str, Any]:
    tags = _stage_tags(call)
    if tags is None:
        return call.cloud.to_moto(call)
    for key in call.params["TagKeys"]:
        tags.pop(key, None)
    return {}


@handler("apigatewayv2", "GetTags")
def get_tags(call: Call) -> dict[str, Any]:
    tags = _stage_tags(call)
    return call.cloud.to_moto(call) if tags is None else {"Tags": dict(tags)}


def _stage_tags(call: Call) -> dict[str, str] | None:
    found = _STAGE_ARN.fullmatch(unquote(call.params["ResourceArn"]))
    if found is None:
        return None
    api = apigatewayv2_backends[call.account_id][call.region].apis.get(found[1])
    stage = api.stages.get(found[2]) if api is not None else None
    if stage is None:
        raise AwsError("NotFoundException", f"Invalid resource identifier specified {call.params['ResourceArn']}", 404)
    return stage.tags
