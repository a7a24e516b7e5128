"""An HTTP API with a function behind it, and clients that speak real HTTP to it."""

from __future__ import annotations

import base64
import http.client
import io
import json
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from infra.rehearsal.cloud.gateway import base_url

if TYPE_CHECKING:
    from infra.rehearsal.cloud.api import Call
    from infra.rehearsal.cloud.cloud import Cloud

ACCOUNT_ID = "111111111111"
REGION = "eu-west-1"
FUNCTION = "front-door"
FUNCTION_ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{FUNCTION}"
PATH = "/v1/models/iris/predictions"
ROUTE_KEY = f"POST {PATH}"
BODY = b'{"sepal_length": 5.1}'
JSON = {"content-type": "application/json"}
NOT_FOUND = b'{"message":"Not Found"}'
FORBIDDEN = b'{"message":"Forbidden"}'
SERVER_ERROR = b'{"message":"Internal Server Error"}'


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes
    cookies: list[str] = field(default_factory=list)


@dataclass
class Function:
    """What stands in for the function's process: the events it got, and what it does with one."""

    events: list[dict[str, Any]] = field(default_factory=list)
    callers: list[Any] = field(default_factory=list)
    answer: Callable[[dict[str, Any]], Any] = lambda event: {"statusCode": 200, "body": "ok"}
    error: str = ""
    """FunctionError of the invocation."""

    def invoke(self, call: Call) -> dict[str, Any]:
        event = json.loads(call.params["Payload"])
        self.events.append(event)
        self.callers.append(call.principal)
        payload = self.answer(event)
        failed = {"FunctionError": self.error} if self.error else {}
        return {
            "StatusCode": 200,
            "Payload": payload if isinstance(payload, bytes) else json.dumps(payload).encode(),
        } | failed


@dataclass
class World:
    cloud: Cloud
    function: Function
    api_id: str = ""

    @property
    def gateway(self) -> Any:
        return self.cloud.client("apigatewayv2")

    @property
    def url(self) -> str:
        return base_url(self.cloud, self.api_id)

    def open_api(self, name: str = "mainstage-dev", **more: Any) -> str:
        self.api_id = self.gateway.create_api(Name=name, ProtocolType="HTTP", **more)["ApiId"]
        return self.api_id

    def integration(self, uri: str = FUNCTION_ARN, **more: Any) -> str:
        made = self.gateway.create_integration(
            ApiId=self.api_id,
            IntegrationType="AWS_PROXY",
            IntegrationUri=uri,
            PayloadFormatVersion="2.0",
            **more,
        )
        return made["IntegrationId"]

    def route(self, key: str = ROUTE_KEY, integration: str = "", **more: Any) -> str:
        target = f"integrations/{integration or self.integration()}"
        return self.gateway.create_route(ApiId=self.api_id, RouteKey=key, Target=target, **more)["RouteId"]

    def stage(self, name: str = "$default", *, auto_deploy: bool = True, **more: Any) -> None:
        self.gateway.create_stage(ApiId=self.api_id, StageName=name, AutoDeploy=auto_deploy, **more)

    def allow_gateway(self, source: str = "*/*", statement_id: str = "gateway") -> None:
        self.cloud.client("lambda").add_permission(
            FunctionName=FUNCTION,
            StatementId=statement_id,
            Action="lambda:InvokeFunction",
            Principal="apigateway.amazonaws.com",
            SourceArn=f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{self.api_id}/{source}",
        )

    def send(
        self,
        method: str = "POST",
        path: str = PATH,
        body: bytes = BODY,
        headers: Mapping[str, str] = JSON,
        *,
        url: str = "",
    ) -> Reply:
        parts = urlsplit(url or self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        try:
            connection.request(method, path, body=body or None, headers=dict(headers))
            response = connection.getresponse()
            pairs = response.getheaders()
            cookies = [value for name, value in pairs if name.lower() == "set-cookie"]
            return Reply(response.status, {k.lower(): v for k, v in pairs}, response.read(), cookies)
        finally:
            connection.close()

    def user(self, *statements: Mapping[str, Any], name: str = "caller") -> Credentials:
        """Keys of an IAM user with these statements."""
        iam = self.cloud.client("iam")
        iam.create_user(UserName=name)
        if statements:
            document = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        return Credentials(key["AccessKeyId"], key["SecretAccessKey"])

    def may_invoke(self, resource: str = "*/POST/v1/models/iris/predictions") -> dict[str, Any]:
        arn = f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{self.api_id}/{resource}"
        return {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": arn}

    def signed(
        self,
        credentials: Credentials,
        *,
        method: str = "POST",
        path: str = PATH,
        body: bytes = BODY,
        headers: Mapping[str, str] = JSON,
        region: str = REGION,
        service: str = "execute-api",
    ) -> dict[str, str]:
        """Headers of a request that was signed."""
        request = AWSRequest(method, self.url + path, data=body, headers=dict(headers))
        SigV4Auth(credentials, service, region).add_auth(request)
        return dict(request.headers.items())

    def presigned(self, credentials: Credentials, expires: int = 60, path: str = PATH) -> str:
        """Path and query of a request without a body that is signed in its query."""
        request = AWSRequest("POST", self.url + path)
        SigV4QueryAuth(credentials, "execute-api", REGION, expires=expires).add_auth(request)
        parts = urlsplit(str(request.url))
        return f"{parts.path}?{parts.query}"


def make_function(cloud: Cloud) -> None:
    """The function's record and role; what runs is the stand-in."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    cloud.client("iam").create_role(RoleName=FUNCTION, AssumeRolePolicyDocument=json.dumps(trust))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("index.py", "def handler(event, context):\n    return {'statusCode': 200, 'body': 'real'}\n")
    cloud.client("lambda").create_function(
        FunctionName=FUNCTION,
        Runtime="python3.13",
        Role=f"arn:aws:iam::{ACCOUNT_ID}:role/{FUNCTION}",
        Handler="index.handler",
        Code={"ZipFile": buffer.getvalue()},
    )


def token(key: Any, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
    """A JSON web token, signed with the RSA key."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15

    parts = [_part(header or {"alg": "RS256", "kid": "dummy"}), _part(claims)]
    signature = key.sign(".".join(parts).encode(), PKCS1v15(), hashes.SHA256())
    return ".".join([*parts, base64.urlsafe_b64encode(signature).rstrip(b"=").decode()])


def _part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def wait_until(condition: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
