"""Condition keys of a request: what a policy's Condition can ask about.

Sources: IAM User Guide, "AWS global condition context keys"; Service Authorization Reference, the page of each service.
Keys are lower case here, because policies may spell them in any case. A key without a value in a request is left out.

aws:SecureTransport is always "true": the emulated cloud is reached in process or over loopback, which nothing leaves,
and stands for AWS's own address, which speaks TLS. aws:SourceVpc and aws:SourceVpce are absent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from infra.rehearsal.cloud.api import Call, Principal

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

Keys = dict[str, tuple[str, ...]]

_PRINCIPAL_TYPES = {"operator": "User", "user": "User", "role": "AssumedRole"}


def caller_context(cloud: Cloud, principal: Principal) -> Keys:
    """The keys that depend on who calls and when, not on what is asked."""
    now = cloud.clock.now()
    keys: Keys = {
        "aws:securetransport": ("true",),
        "aws:currenttime": (now.strftime("%Y-%m-%dT%H:%M:%SZ"),),
        "aws:epochtime": (str(int(now.timestamp())),),
        "aws:principalisawsservice": ("true" if principal.kind == "service" else "false",),
        "aws:viaawsservice": ("false",),
    }
    if principal.kind == "service":
        keys["aws:principalservicename"] = (principal.arn,)
        owner = principal.context.get("aws:SourceAccount", principal.account_id)
    else:
        keys["aws:sourceip"] = ("127.0.0.1",)
        keys["aws:principalarn"] = (principal.role_arn or principal.arn,)
        keys["aws:principalaccount"] = (principal.account_id,)
        keys["aws:principaltype"] = (_PRINCIPAL_TYPES.get(principal.kind, "Account"),)
        keys["aws:userid"] = (user_id(principal),)
        owner = principal.account_id
    # The key of SNS's default topic policy: the account of the caller, or of the resource a service acts for.
    keys["aws:sourceowner"] = (owner,)
    for key, value in principal.context.items():
        keys[key.lower()] = (value,)
    return keys


def user_id(principal: Principal) -> str:
    """aws:userid, also what GetCallerIdentity answers."""
    unique_id = getattr(principal, "unique_id", "") or "AROAREHEARSALSESSION"
    if principal.kind == "role":
        return f"{unique_id}:{principal.arn.rpartition('/')[2]}"
    return "AIDAREHEARSALOPERATR" if principal.kind == "operator" else principal.arn.rpartition("/")[2]


def request_context(call: Call) -> Keys:
    """The keys that depend on what is asked: region, tags and the service's own."""
    keys: Keys = {"aws:requestedregion": (call.region,)}
    agent = call.request.headers.get("user-agent")
    if agent:
        keys["aws:useragent"] = (agent,)
    tags = request_tags(call)
    for key, value in tags.items():
        keys[f"aws:requesttag/{key.lower()}"] = (value,)
    tag_keys = tuple(tags) or _removed_tags(call.params)
    if tag_keys:
        keys["aws:tagkeys"] = tag_keys
    own = _BY_SERVICE.get(call.service)
    if own is not None:
        keys.update(own(call))
    return keys


def request_tags(call: Call) -> dict[str, str]:
    """The tags that a request puts on something, whatever form its service gives them."""
    params = call.params
    if call.service == "s3":
        if isinstance(params.get("Tagging"), str):
            return dict(parse_qsl(params["Tagging"], keep_blank_values=True))
        nested = params.get("Tagging") or params.get("CreateBucketConfiguration") or {}
        return _tags(nested.get("TagSet") or nested.get("Tags"))
    if call.service == "ec2":
        listed = params.get("TagSpecifications") or ()
        found = {key: value for entry in listed for key, value in _tags(entry.get("Tags")).items()}
        return found or _tags(params.get("Tags"))
    return _tags(params.get("Tags") or params.get("tags"))


def _tags(given: Any) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {str(key): str(value) for key, value in given.items()}
    found: dict[str, str] = {}
    for entry in given if isinstance(given, Iterable) and not isinstance(given, str) else ():
        if isinstance(entry, Mapping):
            lowered = {str(name).lower(): value for name, value in entry.items()}
            key = lowered.get("key", lowered.get("tagkey"))
            if key is not None:
                found[str(key)] = str(lowered.get("value", lowered.get("tagvalue", "")))
    return found


def _removed_tags(params: Mapping[str, Any]) -> tuple[str, ...]:
    listed = params.get("TagKeys") or params.get("tagKeys") or ()
    return tuple(str(key) for key in listed)


def _single(params: Mapping[str, Any], names: Mapping[str, str]) -> Keys:
    """{key: (value,)} for each parameter that is given. names: parameter -> key."""
    return {key: (_text(params[name]),) for name, key in names.items() if params.get(name) not in (None, "")}


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_S3_HEADERS = {
    "IfNoneMatch": "s3:if-none-match",
    "IfMatch": "s3:if-match",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "StorageClass": "s3:x-amz-storage-class",
    "ACL": "s3:x-amz-acl",
    "CopySource": "s3:x-amz-copy-source",
    "MetadataDirective": "s3:x-amz-metadata-directive",
    "ObjectOwnership": "s3:x-amz-object-ownership",
    "Prefix": "s3:prefix",
    "Delimiter": "s3:delimiter",
    "MaxKeys": "s3:max-keys",
    "VersionId": "s3:versionid",
    "ObjectLockMode": "s3:object-lock-mode",
}
_CREATING = {"PutObject", "CopyObject", "CompleteMultipartUpload"}
_PREPARING = {"CreateMultipartUpload", "UploadPart", "UploadPartCopy"}


def _s3(call: Call) -> Keys:
    keys = _single(call.params, _S3_HEADERS)
    keys["s3:signatureversion"] = ("AWS4-HMAC-SHA256",)
    keys["s3:authtype"] = ("REST-HEADER",)
    keys["s3:tlsversion"] = ("1.3",)
    # S3 User Guide, "Enforce conditional writes": exempts the calls of a multipart upload that take no conditions.
    if call.operation in _CREATING or call.operation in _PREPARING:
        keys["s3:objectcreationoperation"] = ("true" if call.operation in _CREATING else "false",)
    for key, value in request_tags(call).items():
        keys[f"s3:requestobjecttag/{key.lower()}"] = (value,)
    if "s3:requestobjecttagkeys" not in keys and request_tags(call):
        keys["s3:requestobjecttagkeys"] = tuple(request_tags(call))
    return keys


def _kms(call: Call) -> Keys:
    params = call.params
    keys = _single(
        params,
        {
            "EncryptionAlgorithm": "kms:encryptionalgorithm",
            "SigningAlgorithm": "kms:signingalgorithm",
            "MacAlgorithm": "kms:macalgorithm",
            "BypassPolicyLockoutSafetyCheck": "kms:bypasspolicylockoutsafetycheck",
            "PendingWindowInDays": "kms:scheduledkeydeletionpendingwindowindays",
            "GranteePrincipal": "kms:granteeprincipal",
            "RetiringPrincipal": "kms:retiringprincipal",
            "KeySpec": "kms:keyspec",
            "KeyUsage": "kms:keyusage",
        },
    )
    keys["kms:calleraccount"] = (call.principal.account_id,)
    keys.update(encryption_context(params.get("EncryptionContext") or {}))
    if params.get("Operations"):
        keys["kms:grantoperations"] = tuple(params["Operations"])
    if call.operation == "CreateGrant":
        keys["kms:grantisforawsresource"] = ("false",)
    if str(params.get("KeyId", "")).startswith("alias/"):
        keys["kms:requestalias"] = (params["KeyId"],)
    return keys


def encryption_context(pairs: Mapping[str, str]) -> Keys:
    """kms:EncryptionContext:NAME for each pair, and the list of names."""
    if not pairs:
        return {}
    keys: Keys = {f"kms:encryptioncontext:{name.lower()}": (value,) for name, value in pairs.items()}
    keys["kms:encryptioncontextkeys"] = tuple(pairs)
    return keys


def _cloudwatch(call: Call) -> Keys:
    keys: Keys = {}
    if call.operation == "PutMetricData":
        keys.update(_single(call.params, {"Namespace": "cloudwatch:namespace"}))
    if call.operation in ("PutMetricAlarm", "PutCompositeAlarm"):
        actions = [
            action
            for name in ("AlarmActions", "OKActions", "InsufficientDataActions")
            for action in call.params.get(name) or ()
        ]
        if actions:
            keys["cloudwatch:alarmactions"] = tuple(actions)
    return keys


def _iam(call: Call) -> Keys:
    return _single(
        call.params,
        {
            "PolicyArn": "iam:policyarn",
            "PermissionsBoundary": "iam:permissionsboundary",
            "AWSServiceName": "iam:awsservicename",
        },
    )


def _sns(call: Call) -> Keys:
    return _single(call.params, {"Endpoint": "sns:endpoint", "Protocol": "sns:protocol"})


def _lambda(call: Call) -> Keys:
    keys = _single(
        call.params,
        {
            "Principal": "lambda:principal",
            "FunctionUrlAuthType": "lambda:functionurlauthtype",
            "AuthType": "lambda:functionurlauthtype",
        },
    )
    vpc = call.params.get("VpcConfig") or {}
    if vpc.get("SubnetIds"):
        keys["lambda:subnetids"] = tuple(vpc["SubnetIds"])
    if vpc.get("SecurityGroupIds"):
        keys["lambda:securitygroupids"] = tuple(vpc["SecurityGroupIds"])
    return keys


def _events(call: Call) -> Keys:
    """Service Authorization Reference, Amazon EventBridge. What a pattern asks for stands in its lists of texts."""
    keys: Keys = {}
    if call.operation == "PutEvents":
        for member, key in (("Source", "events:source"), ("DetailType", "events:detail-type")):
            found = {entry[member] for entry in call.params.get("Entries", ()) if entry.get(member)}
            if found:
                keys[key] = tuple(sorted(found))
    if call.operation == "PutRule":
        pattern = _json_object(call.params.get("EventPattern"))
        for field in ("source", "detail-type"):
            listed = pattern.get(field)
            texts = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
            if texts:
                keys[f"events:{field}"] = tuple(texts)
    if call.operation == "PutTargets":
        keys["events:targetarn"] = tuple(target["Arn"] for target in call.params.get("Targets", ()) if "Arn" in target)
    return keys


def _json_object(text: Any) -> Mapping[str, Any]:
    try:
        found = json.loads(text or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sagemaker(call: Call) -> Keys:
    params = call.params
    keys = _single(
        params, {"EnableNetworkIsolation": "sagemaker:networkisolation", "KmsKeyId": "sagemaker:volumekmskey"}
    )
    vpc = params.get("VpcConfig") or {}
    if vpc.get("Subnets"):
        keys["sagemaker:vpcsubnets"] = tuple(vpc["Subnets"])
    if vpc.get("SecurityGroupIds"):
        keys["sagemaker:vpcsecuritygroupids"] = tuple(vpc["SecurityGroupIds"])
    instance_types = {
        entry["InstanceType"] for entry in params.get("ProductionVariants") or () if "InstanceType" in entry
    }
    if instance_types:
        keys["sagemaker:instancetypes"] = tuple(sorted(instance_types))
    return keys


def _sagemaker_runtime(call: Call) -> Keys:
    return _single(call.params, {"TargetModel": "sagemaker:targetmodel"})


def _autoscaling(call: Call) -> Keys:
    return _single(
        call.params,
        {
            "ServiceNamespace": "application-autoscaling:service-namespace",
            "ScalableDimension": "application-autoscaling:scalable-dimension",
        },
    )


def _ec2(call: Call) -> Keys:
    keys: Keys = {"ec2:region": (call.region,)}
    prefix = f"arn:aws:ec2:{call.region}:{call.account_id}"
    if call.params.get("SubnetId"):
        keys["ec2:subnet"] = (f"{prefix}:subnet/{call.params['SubnetId']}",)
    if call.params.get("VpcId"):
        keys["ec2:vpc"] = (f"{prefix}:vpc/{call.params['VpcId']}",)
    keys.update(_single(call.params, {"AwsService": "ec2:authorizedservice", "Permission": "ec2:permission"}))
    if call.operation == "CreateTags":
        keys["ec2:createaction"] = ("CreateTags",)
    return keys


_BY_SERVICE: dict[str, Callable[[Call], Keys]] = {
    "application-autoscaling": _autoscaling,
    "cloudwatch": _cloudwatch,
    "ec2": _ec2,
    "events": _events,
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "s3": _s3,
    "sagemaker": _sagemaker,
    "sagemaker-runtime": _sagemaker_runtime,
    "sns": _sns,
}
