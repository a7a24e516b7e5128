"""What a front door hands to the models' routes: addresses, and how callers prove who they are."""

from dataclasses import dataclass
from typing import TypedDict

import pulumi

from ._patterns import ARN, HTTPS_URL, Pattern
from ._policy import Text
from ._resolve import Reader

AUTHORIZATION_TYPES = ("AWS_IAM", "JWT", "NONE")

API_ID = Pattern(r"[a-z0-9-]+", "the id of an HTTP API: small letters and digits", maximum=64)
AUTHORIZER_ID = Pattern(r"[a-z0-9-]*", "the id of an authorizer, or nothing", maximum=64)
STAGE_NAME = Pattern(
    r"\$default|[A-Za-z0-9_-]+", "the name of a stage: $default, or letters, digits, _ and -", maximum=128
)
API_ENDPOINT = Pattern(
    # The emulated API Gateway listens on this machine, without TLS.
    rf"{HTTPS_URL.expression}|http://127\.0\.0\.1:\d+",
    "the address of an HTTP API: https://…",
)


class FrontDoorIdentity(TypedDict):
    """The HTTP API that clients call. A model's route takes this and never rebuilds an id."""

    api_id: pulumi.Input[str]
    """Id of the HTTP API; metric dimension `ApiId`."""
    api_endpoint: pulumi.Input[str]
    """Address that clients call, without a slash at the end."""
    execution_arn: pulumi.Input[str]
    """Beginning of the ARN of everything that can be called: `arn:aws:execute-api:…:<api id>`."""
    authorizer_id: pulumi.Input[str]
    """Id of the authorizer that checks tokens; empty unless `authorization_type` is `JWT`."""
    authorization_type: str
    """How routes are authorized: `AWS_IAM`, `JWT` or `NONE`. Known always: what a route needs follows from it."""
    stage_name: str
    """Stage that is called: `$default`."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """A checked `FrontDoorIdentity`."""

    api_id: Text
    api_endpoint: Text
    execution_arn: Text
    authorizer_id: Text
    authorization_type: str
    stage_name: str


def read_door(reader: Reader, field: str) -> Door:
    """Reads an argument of type `FrontDoorIdentity`."""
    section = reader.section(field, FrontDoorIdentity)
    if section is None:
        return Door(
            api_id="",
            api_endpoint="",
            execution_arn="",
            authorizer_id="",
            authorization_type=AUTHORIZATION_TYPES[0],
            stage_name="",
        )
    authorization_type = section.choice("authorization_type", AUTHORIZATION_TYPES)
    authorizer_id = section.text("authorizer_id", AUTHORIZER_ID, default="")
    if authorization_type == "JWT" and authorizer_id == "":
        section.refuse(
            "authorizer_id", "", "the id of the authorizer that checks tokens", "pass FrontDoor's identity on"
        )
    return Door(
        api_id=section.text("api_id", API_ID),
        api_endpoint=section.text("api_endpoint", API_ENDPOINT),
        execution_arn=section.text("execution_arn", ARN),
        authorizer_id=authorizer_id,
        authorization_type=authorization_type,
        stage_name=section.plain("stage_name", STAGE_NAME),
    )
