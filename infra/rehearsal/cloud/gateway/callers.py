"""Who may call a route: by IAM, with a verified signature, or by a token.

Source: API Gateway developer guide, "Control access to HTTP APIs with IAM authorization in API Gateway"
(https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-access-control-iam.html): the caller needs
execute-api:Invoke on the route; nothing says more than {"message": "Forbidden"} to one who lacks it. Why stands in the
log.
"""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from infra.rehearsal.cloud.api import AwsError, Principal
from infra.rehearsal.cloud.gateway import signature, tokens
from infra.rehearsal.cloud.gateway.answer import Refused, forbidden, unauthorized
from infra.rehearsal.cloud.gateway.deployment import Route
from infra.rehearsal.cloud.gateway.request import Request
from infra.rehearsal.cloud.iam.conditions import user_id
from infra.rehearsal.cloud.iam.decide import decide, refusal_text
from infra.rehearsal.cloud.iam.evaluate import Question

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

log = logging.getLogger(__name__)


def authorise(cloud: Cloud, route: Route, request: Request, *, resource: str, region: str, account_id: str) -> None:
    """Fills the request's authorizer, or raises Refused. resource: the ARN that execute-api:Invoke is asked about."""
    if route.authorization == "AWS_IAM":
        request.authorizer = _by_iam(cloud, request, resource, region, account_id)
    elif route.authorization == "JWT":
        if route.jwt is None:
            raise unauthorized()
        request.authorizer = tokens.authorise(cloud, route.jwt, request, route.scopes, time.time())


def _by_iam(cloud: Cloud, request: Request, resource: str, region: str, account_id: str) -> dict[str, Any]:
    try:
        signed = signature.read(request)
        credentials = cloud.principals.credentials_of(signed.access_key_id)
        if credentials is None:
            raise signature.BadSignature(f"the access key {signed.access_key_id} is not known")
        signature.verify(request, signed, credentials, region=region, now=datetime.now(UTC))
        principal = cloud.principals.of(signed.access_key_id)
        _may_invoke(cloud, principal, request, resource, region, account_id)
    except (signature.BadSignature, AwsError) as why:
        log.info("%s %s: refused: %s", request.method, request.path, why)
        raise _refused(request, str(why)) from None
    caller = user_id(principal)
    return {
        "iam": {
            "accessKey": signed.access_key_id,
            "accountId": principal.account_id,
            "callerId": caller,
            "cognitoIdentity": None,
            "principalOrgId": None,
            "userArn": principal.arn,
            "userId": caller,
        }
    }


def _may_invoke(
    cloud: Cloud, principal: Principal, request: Request, resource: str, region: str, account_id: str
) -> None:
    if principal.kind == "operator":
        return
    context = {"aws:requestedregion": (region,)}
    agent = request.headers.get("user-agent")
    if agent:
        context["aws:useragent"] = (agent,)
    question = Question(principal, "execute-api:Invoke", resource, context)
    # An HTTP API has no resource policy (developer guide, "Choose between REST APIs and HTTP APIs").
    decision = decide(cloud, question, resource_account=account_id)
    if not decision.allowed:
        raise AwsError("AccessDeniedException", refusal_text(principal, question, decision), 403)


def _refused(request: Request, why: str) -> Refused:
    request.notes["authorizer.error"] = why
    return forbidden()
