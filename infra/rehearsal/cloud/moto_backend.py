"""moto behind the door: requests are handed to it in process, and it is never asked for what it lacks."""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from botocore.awsrequest import AWSPreparedRequest, create_request_object, prepare_request_dict
from botocore.compat import HTTPHeaders
from botocore.serialize import create_serializer
from moto import settings
from moto.core import responses as core_responses
from moto.core.base_backend import BackendDict, BaseBackend
from moto.core.botocore_stubber import BotocoreStubber
from moto.core.config import default_user_config
from moto.core.model_instances import reset_model_data
from moto.core.responses import BaseResponse
from moto.core.routing import ServiceOperationRouter
from moto.core.utils import camelcase_to_underscores, method_names_from_class
from moto.iam.access_control import PermissionResult
from moto.iam.aws_managed_policies import aws_managed_policies_data
from moto.iam.models import AWSManagedPolicy, IAMBackend, ManagedPolicy
from moto.kms import responses as kms_responses
from moto.moto_api._internal import mock_random
from moto.s3.models import FakeBucket

from infra.rehearsal.cloud.api import AwsError, Call, HttpRequest, HttpResponse
from infra.rehearsal.cloud.wire import Operation

_S3_OPERATIONS = """
AbortMultipartUpload CompleteMultipartUpload CopyObject CreateBucket CreateMultipartUpload DeleteBucket
DeleteBucketCors DeleteBucketEncryption DeleteBucketLifecycle DeleteBucketOwnershipControls DeleteBucketPolicy
DeleteBucketReplication DeleteBucketTagging DeleteBucketWebsite DeleteObject DeleteObjectTagging DeleteObjects
DeletePublicAccessBlock GetBucketAccelerateConfiguration GetBucketAcl GetBucketCors GetBucketEncryption
GetBucketInventoryConfiguration GetBucketLifecycleConfiguration GetBucketLocation GetBucketLogging
GetBucketNotificationConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus
GetBucketReplication GetBucketTagging GetBucketVersioning GetBucketWebsite GetObject GetObjectAcl
GetObjectAttributes GetObjectLegalHold GetObjectLockConfiguration GetObjectTagging GetPublicAccessBlock HeadBucket
HeadObject ListBucketInventoryConfigurations ListBuckets ListMultipartUploads ListObjectVersions ListObjects
ListObjectsV2 ListParts PutBucketAccelerateConfiguration PutBucketAcl PutBucketCors PutBucketEncryption
PutBucketInventoryConfiguration PutBucketLifecycleConfiguration PutBucketLogging
PutBucketNotificationConfiguration PutBucketOwnershipControls PutBucketPolicy PutBucketReplication
PutBucketTagging PutBucketVersioning PutBucketWebsite PutObject PutObjectAcl PutObjectLegalHold
PutObjectLockConfiguration PutObjectRetention PutObjectTagging PutPublicAccessBlock RestoreObject UploadPart
UploadPartCopy
"""
S3_CARRIED = frozenset(_S3_OPERATIONS.split())
"""moto's S3 tells operations by the query string and falls through to the plain bucket when it knows no better. It
would create, list or delete the bucket for a call about its metrics, so only what it really has may reach it."""


class MotoBackend:
    """moto's backends of this process. They are process-wide, which is why only one cloud may live at a time."""

    def __init__(self, seed: int):
        self._seed = seed
        self._stubber = BotocoreStubber()
        self._patches = ExitStack()

    def start(self) -> None:
        """Empties every backend and sets moto up.

        Nothing runs in Docker, state machines run, ids repeat with the seed, and moto's own look at bucket and key
        policies is off: it ignores conditions, so that a TLS-only policy would deny every call. The door authorises.
        """
        self._patches = ExitStack()
        for owner, name, replacement in (
            (FakeBucket, "get_permission", _permitted),
            (kms_responses, "validate_policy", _no_opinion),
            (IAMBackend, "_init_aws_policies", _aws_policies),
            (IAMBackend, "_init_managed_policies", _policies_by_arn),
            # It looks through a class of hundreds of methods at each request, and spells its name letter by letter.
            (core_responses, "method_names_from_class", functools.cache(method_names_from_class)),
            (core_responses, "camelcase_to_underscores", functools.cache(camelcase_to_underscores)),
            # It writes them anew at each request; S3's, from a module that is loaded again for that.
            (BaseBackend, "urls", property(_urls)),
            (ServiceOperationRouter, "_get_router", _router_of),
            # Two thousand sample images of no account here: 0.1 s at each reset.
            (settings, "ec2_load_default_amis", lambda: False),
        ):
            self._patches.enter_context(mock.patch.object(owner, name, replacement))
        default_user_config["lambda"] = {"use_docker": False}
        default_user_config["batch"] = {"use_docker": False}
        default_user_config["stepfunctions"] = {"execute_state_machine": True}
        default_user_config["iam"] = {"load_aws_managed_policies": True}
        self.reset()

    def close(self) -> None:
        """Empties the backends and leaves moto as it was found."""
        self.reset()
        self._patches.close()

    def reset(self) -> None:
        BackendDict.reset()
        reset_model_data()
        mock_random.seed(self._seed)

    def carries(self, service: str, operation: str) -> bool:
        """Whether moto has an implementation of the operation that does what it says."""
        if service == "s3":
            return operation in S3_CARRIED
        return camelcase_to_underscores(operation) in _methods(service)

    def forward(self, operation: Operation, request: HttpRequest, call: Call, endpoint_url: str) -> HttpResponse:
        """moto's answer to a request. endpoint_url: AWS's own address of the service in the region."""
        aws = urlsplit(_prefixed(endpoint_url, operation, call.params))
        parts = urlsplit(request.url)
        headers = HTTPHeaders()
        for name, value in {**request.headers, "host": aws.netloc, "x-moto-account-id": call.account_id}.items():
            headers[name] = value
        url = f"{aws.scheme}://{aws.netloc}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
        prepared = AWSPreparedRequest(request.method, url, headers, request.body, False)
        try:
            answer = self._stubber.process_request(prepared)
        except NotImplementedError as error:
            raise not_carried(operation.service, operation.name, f"moto: {error}") from error
        if answer is None or (answer[0] == 404 and answer[2] == "Not yet implemented"):
            raise not_carried(operation.service, operation.name, "moto has no such address")
        status, answer_headers, body = answer
        return HttpResponse(
            int(status),
            {_header(str(name)): str(value) for name, value in answer_headers.items() if str(name).lower() != "status"},
            body.encode() if isinstance(body, str) else bytes(body),
        )


def not_carried(service: str, operation: str, why: str) -> AwsError:
    """The answer for an operation that nothing behind the door has. Never a pass-through to AWS."""
    return AwsError("NotCarried", f"The emulated cloud does not carry {service}.{operation} ({why}).", 501)


def build_request(operation: Operation, params: dict[str, Any], endpoint_url: str, region: str) -> HttpRequest:
    """The request that a client would send for these parameters, unsigned; scope and region stand in the header."""
    serialized = create_serializer(operation.protocol).serialize_to_request(params, operation.model)
    prepare_request_dict(serialized, _prefixed(endpoint_url, operation, params))
    request = create_request_object(serialized).prepare()
    signing_name = operation.model.service_model.signing_name
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential=INTERNAL/20260101/{region}/{signing_name}/aws4_request,"
        " SignedHeaders=host, Signature=0"
    )
    body: Any = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    return HttpRequest(
        str(request.method), str(request.url), headers, body.encode() if isinstance(body, str) else bytes(body)
    )


def _prefixed(endpoint_url: str, operation: Operation, params: Mapping[str, Any]) -> str:
    """The address with what some operations put before the host, such as the account of S3 Control."""
    prefix = (operation.model.endpoint or {}).get("hostPrefix", "")  # pyright: ignore[reportAttributeAccessIssue] - botocore's stubs say str, it is the trait's dict
    scheme, _, host = endpoint_url.partition("://")
    return f"{scheme}://{prefix.format(**params)}{host}"


_read_urls = BaseBackend.urls.fget
_known_urls: dict[type[BaseBackend], dict[str, Any]] = {}


def _urls(backend: BaseBackend) -> dict[str, Any]:
    """The addresses that a backend answers, pattern -> handler."""
    if type(backend) not in _known_urls:
        assert _read_urls is not None
        _known_urls[type(backend)] = _read_urls(backend)
    return _known_urls[type(backend)]


_make_router = ServiceOperationRouter._get_router
_routers_are_made = threading.Lock()


def _router_of(service: ServiceOperationRouter, protocol: str) -> Any:
    """A service's addresses, made at its first request, by one thread: they are parsed and compiled, and where two do
    so at once Python 3.11.7 may fail ("AST constructor recursion depth mismatch", python/cpython #106905, #113035)."""
    with _routers_are_made:
        return _make_router(service, protocol)


def _permitted(*_: Any) -> PermissionResult:
    return PermissionResult.PERMITTED


def _no_opinion(*_: Any) -> None:
    return None


def _aws_policies(backend: IAMBackend) -> list[ManagedPolicy]:
    """AWS's managed policies for a fresh IAM backend: of the older one, which is gone, with nothing attached. The
    overlay lets nobody change more of them (iam_policies)."""
    policies = _parsed_aws_policies(backend.account_id, backend.region_name)
    for policy in policies.values():
        policy.attachment_count = 0
    return list(policies.values())


def _policies_by_arn(backend: IAMBackend) -> dict[str, ManagedPolicy]:
    return dict(_parsed_aws_policies(backend.account_id, backend.region_name))


@functools.cache
def _parsed_aws_policies(account_id: str, region_name: str) -> dict[str, ManagedPolicy]:
    """By ARN."""
    policies = (
        AWSManagedPolicy.from_data(name, account_id, region_name, data)
        for name, data in json.loads(aws_managed_policies_data).items()
    )
    return {policy.arn: policy for policy in policies}


def _header(name: str) -> str:
    # S3 gives names of user metadata back in lower case; moto as its WSGI layer wrote them.
    return name.lower() if name.lower().startswith("x-amz-meta-") else name


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


@functools.cache
def _methods(service: str) -> frozenset[str]:
    """Names of the operations (snake case) that moto's response classes of a service implement."""
    try:
        module = importlib.import_module(f"moto.{_MODULES.get(service, service.replace('-', ''))}.responses")
    except ModuleNotFoundError:
        return frozenset()
    names: set[str] = set()
    for value in vars(module).values():
        if inspect.isclass(value) and issubclass(value, BaseResponse) and value is not BaseResponse:
            names.update(method_names_from_class(value))
    return frozenset(names - _methods_of_every_class())


_MODULES = {"lambda": "awslambda"}
"""moto's packages whose name is not botocore's without hyphens."""


def _methods_of_every_class() -> set[str]:
    return set(method_names_from_class(BaseResponse))
