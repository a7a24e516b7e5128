"""ModelRoute: where clients reach one model. A route of the front door, and the function that answers it."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NotRequired, Optional

import pulumi
import pulumi_aws as aws
from mainstage_runtime.hand_over import LONGEST_SECONDS

from ._account import Account, AccountArgs, read_account, read_boundary, read_tags
from ._execution_role import invoke_statement
from ._front_door_identity import Door, FrontDoorIdentity, read_door
from ._http_api import LONGEST_INTEGRATION_MS, answer_route
from ._lambda_function import function_log_group, function_role, runtime_function
from ._log_identity import LogIdentity, PredictionLogIdentity, log_write_statements, read_log_identity
from ._patterns import ARN, KEY_ARN, LOG_RETENTION_DAYS, RESOURCE_NAME, Pattern
from ._policy import Statement, Text, document, join
from ._resolve import Reader
from ._signature_args import SignatureArgs, hashes_personal_data, read_signature
from .guard_alarms import EndpointIdentity
from .pseudonym_key import pseudonym_statement

_ROUTE_NAME = Pattern(
    RESOURCE_NAME.expression,
    "a name of a-z, 0-9 and hyphen, at most 52 characters, because more is added for functions and streams",
    maximum=52,
)
_MODEL = Pattern(RESOURCE_NAME.expression, "a model's name: a-z, 0-9 and hyphen, as it stands in the path", maximum=63)
_VERSION = Pattern(r"[1-9]\d{0,4}", "a version, 1 to 99999")

_ANSWER_MARGIN_MS = 5000
"""The gateway waits that much longer than the function, or the function's own error would never be read: a new
environment's start with the key that it derives (up to 3 s), the connection to the endpoint (up to 1 s), the reply."""
LONGEST_DEADLINE_MS = LONGEST_INTEGRATION_MS - _ANSWER_MARGIN_MS
_TIMEOUT_MARGIN_SECONDS = math.ceil(LONGEST_SECONDS)
"""Lambda waits that much longer than the deadline: as long as the record, handed over after the reply, may take."""
MOST_BODY_KIB = 2900
"""Longest body that always fits. Lambda takes an event of 6 MB, 6,291,456 bytes
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), and in it the body is a JSON text: each
quote, backslash and line end takes two bytes. Twice 2,900 KiB leaves 344 KiB for the headers, of which an HTTP API
takes 10 KiB (https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-quotas.html), and what else an event
has. Unconfirmed: that API Gateway writes other characters as they are. Were it to write them as escapes, a body of
mostly two-byte characters would be refused by the gateway from 2 MiB on, with 413."""


def front_door_function_name(route_name: str) -> str:
    """Name of the function that answers a route."""
    return f"{route_name}-front-door"


class ModelRouteArgs(AccountArgs):
    """Arguments of ModelRoute."""

    route_name: str
    """Name of the route and of its log, `<environment_label>-<model>`: the function is called
    `<route_name>-front-door`."""
    model: str
    """Name of the model: it stands in the path, `/v1/models/<model>/predictions`."""
    environment_label: str
    """What records say about where they come from, for example `prod`."""
    front_door: FrontDoorIdentity
    """The HTTP API, as FrontDoor hands it out."""
    signature: SignatureArgs
    """What a request and an answer look like: requests are held against it."""
    endpoint: NotRequired[EndpointIdentity]
    """The endpoint that answers, as SageMakerEndpoint hands it out. Omitted: no version is there yet, and every request
    is answered 503."""
    configurations: NotRequired[dict[str, str]]
    """Names of the endpoint configurations by version: how long an answer took is told by configuration too, which the
    guards of a release watch. Omitted: none."""
    log: PredictionLogIdentity
    """Where records go, as PredictionLog hands it out."""
    pseudonym_key_arn: NotRequired[pulumi.Input[str]]
    """HMAC key that personal data are hashed with. Required when something of the signature is hashed, when it names an
    entity key, or when callers have tokens."""
    deadline_ms: NotRequired[float]
    """Time for an answer, in milliseconds, 100 to 25,000; later it is 504. Omitted: 10,000."""
    maximum_body_kib: NotRequired[float]
    """Longest request body in KiB, 1 to 2,900; a longer one is 413. Omitted: 256."""
    memory_mib: NotRequired[float]
    """Memory of the function in MiB, 128 to 10,240; its share of a processor follows it. Omitted: 512."""
    kms_key_arn: pulumi.Input[str]
    """Key that encrypts the function's log and environment."""
    permissions_boundary_arn: NotRequired[pulumi.Input[str]]
    """The most that the role made here may do. Omitted: no boundary."""
    log_retention_days: NotRequired[float]
    """How long the function's log is kept; one of the values that CloudWatch Logs takes. Omitted: 90."""
    deletion_protection: NotRequired[bool]
    """True: the function's log is neither deleted nor replaced. Omitted: true."""


@dataclass(frozen=True, kw_only=True)
class _Resolved:
    account: Account
    route_name: str
    model: str
    environment_label: str
    door: Door
    signature: dict[str, Any]
    endpoint_name: str
    endpoint_arn: Optional[Text]
    configurations: dict[str, Text]
    log: LogIdentity
    pseudonym_key_arn: Optional[Text]
    deadline_ms: int
    maximum_body_kib: int
    memory_mib: int
    kms_key_arn: Text
    permissions_boundary_arn: Optional[Text]
    log_retention_days: int
    deletion_protection: bool
    tags: dict[str, Text]

    @property
    def function_name(self) -> str:
        return front_door_function_name(self.route_name)

    @property
    def path(self) -> str:
        return f"/v1/models/{self.model}/predictions"

    @property
    def environment(self) -> dict[str, Text]:
        """What the function finds in its environment. Values are texts."""
        variables: dict[str, Text] = {
            "MAINSTAGE_ENVIRONMENT": self.environment_label,
            "MAINSTAGE_MODEL": self.model,
            "MAINSTAGE_ENDPOINT_NAME": self.endpoint_name,
            "MAINSTAGE_LOG_NAME": self.log.log_name,
            "MAINSTAGE_STREAM_NAME": self.log.stream_name,
            "MAINSTAGE_SPOOL_URL": self.log.spool_url,
            "MAINSTAGE_DEADLINE_MS": str(self.deadline_ms),
            "MAINSTAGE_MAXIMUM_BODY_BYTES": str(self.maximum_body_kib * 1024),
            "MAINSTAGE_CONFIGURATIONS": json.dumps(self.configurations, sort_keys=True, separators=(",", ":")),
        }
        if self.pseudonym_key_arn is not None:
            variables["MAINSTAGE_PSEUDONYM_KEY_ARN"] = self.pseudonym_key_arn
        return variables

    @property
    def statements(self) -> list[Statement]:
        """What the function's role needs beside its own log. Each is needed: a test takes one after the other away."""
        statements = [] if self.endpoint_arn is None else [invoke_statement(self.endpoint_arn)]
        statements += log_write_statements(self.log, self.account.region)
        if self.pseudonym_key_arn is not None:
            statements.append(pseudonym_statement(self.pseudonym_key_arn))
        return statements


def _resolve(name: str, args: ModelRouteArgs) -> _Resolved:
    reader = Reader("ModelRoute", name, args, ModelRouteArgs)
    account = read_account(reader)
    route_name = reader.plain("route_name", _ROUTE_NAME)
    log = read_log_identity(reader, "log")
    if route_name and log.log_name and route_name != log.log_name:
        fix = "pass the log of this model on, and call the route like it"
        reader.refuse("route_name", route_name, f"the log's name: {log.log_name}", fix)
    model, label = reader.plain("model", _MODEL), reader.plain("environment_label", RESOURCE_NAME)
    if route_name and model and label and route_name != f"{label}-{model}":
        allowed = f"{label}-{model}: the transform refuses records of another model or environment"
        reader.refuse("route_name", route_name, allowed, "make it of environment_label and model")
    door = read_door(reader, "front_door")
    signature = read_signature(reader, "signature")
    endpoint = reader.section("endpoint", EndpointIdentity)
    resolved = _Resolved(
        account=account,
        route_name=route_name,
        model=model,
        environment_label=label,
        door=door,
        signature=signature,
        endpoint_name="" if endpoint is None else endpoint.plain("endpoint_name", RESOURCE_NAME),
        endpoint_arn=None if endpoint is None else endpoint.text("endpoint_arn", ARN),
        configurations=_read_configurations(reader, awaiting=endpoint is None),
        log=log,
        pseudonym_key_arn=read_pseudonym_key(reader, signature, door),
        deadline_ms=read_deadline(reader),
        maximum_body_kib=read_body_limit(reader),
        memory_mib=reader.whole("memory_mib", minimum=128, maximum=10_240, default=512),
        kms_key_arn=reader.text("kms_key_arn", KEY_ARN),
        permissions_boundary_arn=read_boundary(reader),
        log_retention_days=reader.whole("log_retention_days", one_of=LOG_RETENTION_DAYS, default=90),
        deletion_protection=reader.flag("deletion_protection", default=True),
        tags=read_tags(reader),
    )
    reader.finish()
    return resolved


def read_deadline(reader: Reader) -> int:
    """Reads `deadline_ms`."""
    deadline = reader.whole("deadline_ms", minimum=100, default=10_000)
    if deadline > LONGEST_DEADLINE_MS:
        allowed = f"100 to {LONGEST_DEADLINE_MS}: an HTTP API gives up after 30 s, a cold start's 5 s among it"
        reader.refuse("deadline_ms", deadline, allowed, "lower it; what needs longer has to be asked asynchronously")
    return deadline


def read_body_limit(reader: Reader) -> int:
    """Reads `maximum_body_kib`."""
    limit = reader.whole("maximum_body_kib", minimum=1, default=256)
    if limit > MOST_BODY_KIB:
        allowed = f"1 to {MOST_BODY_KIB}: Lambda takes 6 MB, and a quote in the body counts twice"
        reader.refuse("maximum_body_kib", limit, allowed, "send fewer rows in a request, or a reference to the data")
    return limit


def _read_configurations(reader: Reader, *, awaiting: bool) -> dict[str, Text]:
    configurations = reader.text_map("configurations", RESOURCE_NAME, default={})
    for version, name in configurations.items():
        if _VERSION.refuses(version):
            reader.refuse("configurations", version, f"keys that are {_VERSION.allowed}", "write the version's number")
        if isinstance(name, pulumi.Output):
            allowed = "names that are known now: a metric's dimension follows from them"
            reader.refuse(f"configurations.{version}", name, allowed, "give a plain name")
    if awaiting and configurations:
        reader.refuse("configurations", configurations, "nothing without endpoint", "add endpoint")
    return {version: name for version, name in configurations.items() if isinstance(name, str)}


def read_pseudonym_key(reader: Reader, signature: Mapping[str, Any], door: Door) -> Optional[Text]:
    """The key, where something is hashed; a key that nothing needs is left alone, and no role may use it."""
    given = reader.optional_text("pseudonym_key_arn", KEY_ARN)
    needs = ""
    if hashes_personal_data(dict(signature)):
        needs = "the signature names personal data or an entity key, which are stored as keyed hashes"
    elif door.authorization_type == "JWT":
        needs = "a token's subject is stored as a keyed hash"
    if needs and given is None:
        fix = "pass the ARN of a PseudonymKey"
        reader.refuse("pseudonym_key_arn", None, f"the ARN of an HMAC key: {needs}", fix)
    return given if needs else None


class ModelRoute(pulumi.ComponentResource):
    """`POST /v1/models/<model>/predictions`: checks a request, asks the endpoint, answers, and records."""

    route_key: pulumi.Output[str]
    """Method and path, as API Gateway writes them: `POST /v1/models/<model>/predictions`."""
    url: pulumi.Output[str]
    """Address that clients post to."""
    function_name: pulumi.Output[str]
    """Name of the function that answers."""
    function_arn: pulumi.Output[str]
    """ARN of that function."""
    role_name: pulumi.Output[str]
    """Name of the function's role."""

    def __init__(self, name: str, args: ModelRouteArgs, opts: Optional[pulumi.ResourceOptions] = None):
        """Raises ComponentArgsError with every problem of the arguments."""
        super().__init__("mainstage:index:ModelRoute", name, {}, opts)
        resolved = _resolve(name, args)
        self._name = name
        self._route_arn = join(resolved.door.execution_arn, f"/{resolved.door.stage_name}/POST{resolved.path}")
        role = function_role(
            name,
            parent=self,
            account=resolved.account,
            function_name=resolved.function_name,
            description=f"What the front door of {resolved.route_name} may do",
            statements=resolved.statements,
            boundary=resolved.permissions_boundary_arn,
            tags=resolved.tags,
        )
        logs = function_log_group(
            name,
            parent=self,
            function_name=resolved.function_name,
            retention_days=resolved.log_retention_days,
            kms_key_arn=resolved.kms_key_arn,
            deletion_protection=resolved.deletion_protection,
            tags=resolved.tags,
        )
        function = runtime_function(
            name,
            parent=self,
            function_name=resolved.function_name,
            handler="mainstage_runtime.front_door.handler",
            modules=["front_door"],
            config={"signature": resolved.signature},
            environment=resolved.environment,
            timeout_seconds=math.ceil(resolved.deadline_ms / 1000) + _TIMEOUT_MARGIN_SECONDS,
            memory_mib=resolved.memory_mib,
            role=role,
            log_group=logs,
            kms_key_arn=resolved.kms_key_arn,
            description=f"Answers requests for predictions of {resolved.model}",
            tags=resolved.tags,
        )
        route = answer_route(
            name,
            parent=self,
            api_id=resolved.door.api_id,
            function=function,
            # Any stage of this API, this one route.
            source_arn=join(resolved.door.execution_arn, f"/*/POST{resolved.path}"),
            route_key=f"POST {resolved.path}",
            timeout_ms=resolved.deadline_ms + _ANSWER_MARGIN_MS,
            authorization_type=resolved.door.authorization_type,
            authorizer_id=resolved.door.authorizer_id,
        )
        self._function = function
        self.route_key = route.route_key
        self.url = pulumi.Output.concat(resolved.door.api_endpoint, resolved.path)
        self.function_name = function.name
        self.function_arn = function.arn
        self.role_name = role.role.name
        self.register_outputs(
            {
                "route_key": self.route_key,
                "url": self.url,
                "function_name": self.function_name,
                "function_arn": self.function_arn,
                "role_name": self.role_name,
            }
        )

    @property
    def function(self) -> "aws.lambda_.Function":
        """The function that answers, for `depends_on`."""
        return self._function

    def grant_predict(self, role_name: pulumi.Input[str], *, grantee: str = "caller") -> "aws.iam.RolePolicy":
        """Lets a role ask for predictions of this model through the front door, and for nothing else. `grantee` names
        the caller, once for each grant."""
        statement = Statement(
            sid="AskForPredictions",
            reason="a caller posts to this route, and to no other",
            actions=["execute-api:Invoke"],
            resources=[self._route_arn],
        )
        return aws.iam.RolePolicy(
            f"{self._name}-predict-by-{grantee}",
            role=role_name,
            policy=document([statement]),
            opts=pulumi.ResourceOptions(parent=self),
        )
