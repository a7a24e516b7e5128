"""Where a command acts: a served rehearsal, or one environment's AWS account. Never ambient credentials (design §8)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound
from botocore.session import get_session

from infra.rehearsal import pointer
from infra.rehearsal.cloud.clients import closed_core

REHEARSAL = "rehearsal"
ENVIRONMENTS = ("dev", "staging", "prod")


class TargetError(ValueError):
    """No target, or one that cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Target:
    """An account and region, and how to reach it."""

    environment: str
    account_id: str
    region: str
    endpoint_url: str | None
    """The rehearsal's loopback address; None is AWS itself."""
    profile: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = None
    state_file: Path | None = None
    """The in-process engine's states, of a served rehearsal. None: its stacks are the real pulumi's."""

    @property
    def emulated(self) -> bool:
        return self.endpoint_url is not None

    @property
    def bring_up(self) -> str:
        """The command that brings the platform of this target up to date."""
        if not self.emulated:
            return f"pulumi up -s platform-{self.environment}"
        if self.state_file is None:
            return f"make rehearse-up ENV={self.environment}"
        return f"mainstage up --env {self.environment}"

    def __str__(self) -> str:
        if self.endpoint_url:
            return f"emulated AWS at {self.endpoint_url} ({self.environment}, account {self.account_id}, {self.region})"
        return f"AWS account {self.account_id}, {self.region} ({self.environment}, profile {self.profile})"

    @cached_property
    def session(self) -> boto3.Session:
        """A session of this target; a rehearsal's makes clients of its address and no other."""
        if self.endpoint_url:
            return _LoopbackSession(
                self.endpoint_url, self.access_key_id, self.secret_access_key, region_name=self.region
            )
        return boto3.Session(profile_name=self.profile, region_name=self.region)

    @property
    def variables(self) -> dict[str, str | None]:
        """What leads a plain boto3 session to this emulated target and to nothing else: hooks of a program make one.
        None: a variable of the person's that has to go. Empty for AWS itself."""
        if self.endpoint_url is None:
            return {}
        foreign: dict[str, str | None] = {name: None for name in os.environ if name.startswith("AWS_")}
        return foreign | {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    def client(self, service: str) -> Any:
        """A boto3 client of this target, made once for each service."""
        if service not in self._clients:
            config = Config(retries={"mode": "standard", "max_attempts": 3}, user_agent_appid="mainstage")
            self._clients[service] = self.session.client(service, config=config)
        return self._clients[service]

    @cached_property
    def _clients(self) -> dict[str, Any]:
        return {}


class _LoopbackSession(boto3.Session):
    def __init__(self, endpoint_url: str, *arguments: Any, **options: Any):
        super().__init__(*arguments, botocore_session=closed_core(), **options)
        self._endpoint_url = endpoint_url

    def client(self, *arguments: Any, **options: Any) -> Any:
        return super().client(*arguments, **{**options, "endpoint_url": self._endpoint_url})


def resolve(root: Path, name: str | None = None, profile: str | None = None) -> Target:
    """Finds the target: `name` ("rehearsal", "dev", "staging", "prod"), else the rehearsal that runs.

    An environment needs `profile`, a named AWS profile, whose account must be the one of its stack file.
    Raises TargetError.
    """
    if name is None or name == REHEARSAL:
        target = rehearsal(root)
        if target is None:
            raise TargetError(
                "no rehearsal is being served; start one with: make rehearse ARGS=--serve, or make rehearse-up   "
                "(or name an AWS environment: --target dev --profile PROFILE)"
            )
        return target
    if name not in ENVIRONMENTS:
        raise TargetError(f"--target {name!r}: allowed are {REHEARSAL}, {', '.join(ENVIRONMENTS)}")
    if not profile:
        raise TargetError(f"--target {name} is an AWS account; say which credentials to use: --profile PROFILE")
    return _aws(root, name, profile)


def rehearsal(root: Path) -> Target | None:
    """The rehearsal that is being served from this checkout, if its process lives."""
    told = pointer.read(root)
    if told is None:
        return None
    return Target(
        environment=told["environment"],
        account_id=told["account_id"],
        region=told["region"],
        endpoint_url=told["endpoint"],
        access_key_id=told["access_key_id"],
        secret_access_key=told["secret_access_key"],
        state_file=Path(told["state_file"]) if told.get("state_file") else None,
    )


def _aws(root: Path, environment: str, profile: str) -> Target:
    from infra import settings

    stack = f"models-{environment}"
    loaded = settings.load(settings.stack_config(root / "stacks" / f"Pulumi.{stack}.yaml"), stack, root)
    target = Target(environment, loaded.account_id, loaded.region, endpoint_url=None, profile=profile)
    try:
        account = target.client("sts").get_caller_identity()["Account"]
    except ProfileNotFound as error:
        known = ", ".join(get_session().available_profiles) or "none"
        raise TargetError(
            f"--profile {profile}: there is no such AWS profile; there are: {known}. "
            f"New? aws configure sso --profile {profile}"
        ) from error
    except (BotoCoreError, ClientError) as error:
        raise TargetError(
            f"--profile {profile}: AWS does not accept it ({error}); run: aws sso login --profile {profile}"
        ) from error
    if account != loaded.account_id:
        raise TargetError(
            f"--profile {profile} belongs to account {account}, but {environment} is account {loaded.account_id} "
            f"(stacks/Pulumi.{stack}.yaml): use a profile of that account"
        )
    return target
