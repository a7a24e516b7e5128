"""The release hooks: what calls AWS while `up` runs, the one exception to a component's laws (design: laws, 2).

They use the ambient credentials in the component's region, never in a preview. Credentials that are missing, expired or
another account's, a throttled or refused call: the verdict is unknown, which is an error and never a success. Every
wait has an end. No message holds a credential: of AWS's answers only code and words are told.

Before a Model or an EndpointConfiguration is made they make room for it (`_release_leftover.py`); where they cannot
look, that goes on: SageMaker makes nothing twice.

Hooks run on the program's event loop, which registers everything else: what waits is given to a thread.
"""

import asyncio
import time
from collections.abc import Mapping
from functools import cache
from typing import Any, Optional, cast

import pulumi

from ._release_access import Session
from ._release_approval import check_approval
from ._release_kinds import Kind
from ._release_leftover import Wanted, make_room
from ._release_plan import ReleasePlan
from ._release_refusals import sends_update
from ._release_run import ReleaseRun
from ._release_verdict import ReleaseError


class _Ambient:
    """The credentials that this process has, in one region."""

    def __init__(self, region: str):
        # Only an up that has something to release pays for these.
        import boto3
        import botocore.config
        import botocore.session

        core = botocore.session.get_session()
        core.register_component("data_loader", _service_models())
        self._session = boto3.Session(region_name=region, botocore_session=core)
        retries = {"total_max_attempts": 5, "mode": "standard"}
        self._config = botocore.config.Config(connect_timeout=5, read_timeout=20, retries=retries)  # seconds

    def client(self, service: str) -> Any:
        return self._session.client(service, config=self._config)  # pyright: ignore[reportCallIssue, reportArgumentType]


@cache
def _service_models() -> Any:
    """botocore's service models, read once for all endpoints of a run: each reading takes half a second of a core."""
    import botocore.session

    return botocore.session.get_session().get_component("data_loader")


def ambient(region: str) -> Session:
    """Sessions of whoever runs this, read anew each time: credentials may have been renewed."""
    return lambda: _Ambient(region)


def run_of(plan: ReleasePlan) -> ReleaseRun:
    """The bodies of an endpoint's hooks, as `up` runs them."""
    return ReleaseRun(plan, session=ambient(plan.region), sleep=time.sleep, clock=time.monotonic)


def endpoint_hooks(name: str, run: ReleaseRun, bucket: pulumi.Input[str]) -> pulumi.ResourceHookBinding:
    """The hooks of an endpoint resource. `name` is unique in the stack."""
    registry = pulumi.Output.from_input(bucket)

    async def before_update(args: pulumi.ResourceHookArgs) -> None:
        old, new = args.old_outputs or args.old_inputs or {}, args.new_inputs or {}
        await asyncio.to_thread(run.before_update, await _known(registry), old, new)

    async def after(urn: str, *, first: bool) -> None:
        try:
            _warn(urn, await asyncio.to_thread(run.after, await _known(registry), first=first))
        except Exception:
            run.ended_badly = True  # for the engine the step itself has succeeded
            raise

    async def after_create(args: pulumi.ResourceHookArgs) -> None:
        await after(args.urn, first=True)

    async def after_update(args: pulumi.ResourceHookArgs) -> None:
        old, new = args.old_outputs or args.old_inputs or {}, args.new_inputs or {}
        if sends_update(old, new):
            await after(args.urn, first=False)

    async def on_error(args: pulumi.ErrorHookArgs) -> bool:
        try:
            warned = await asyncio.to_thread(
                run.after_error, await _known(registry), args.failed_operation, list(args.errors)
            )
        except ReleaseError as error:
            # After a failed update the engine keeps the provider's words and drops the hook's; after a failed creation,
            # which has no id yet, it keeps the hook's and drops the provider's (pkg/resource/deploy/retries.go, 3.259).
            if not args.id:
                raise ReleaseError(f"{error}\nprovider: {args.errors[0] if args.errors else ''}") from error
            pulumi.log.error(str(error), _shown_at(args.urn))
        else:
            _warn(args.urn, warned)
        return False

    return pulumi.ResourceHookBinding(
        before_update=[pulumi.ResourceHook(f"{name}-before-update", before_update)],
        after_create=[pulumi.ResourceHook(f"{name}-after-create", after_create)],
        after_update=[pulumi.ResourceHook(f"{name}-after-update", after_update)],
        on_error=[pulumi.ErrorHook(f"{name}-on-error", on_error)],
    )


def approval_hooks(
    name: str, *, account_id: str, region: str, model: str, version: int, url: pulumi.Input[str]
) -> pulumi.ResourceHookBinding:
    """The gate before a Model is made. `name` is unique in the stack."""
    archive = pulumi.Output.from_input(url)

    async def before_create(args: pulumi.ResourceHookArgs) -> None:
        known = await _known(archive)
        await asyncio.to_thread(
            check_approval,
            account_id=account_id,
            model=model,
            version=version,
            url=known,
            session=ambient(region),
        )

    return pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook(f"{name}-approval", before_create)])


def room_hooks(
    name: str, kind: Kind, *, account_id: str, region: str, endpoint: str, owner: pulumi.Resource
) -> pulumi.ResourceHookBinding:
    """Clears away what an earlier release left under the name of a Model or EndpointConfiguration before that is made.

    `name` is unique in the stack. `owner`: the component that it is a child of.
    """

    async def before_create(args: pulumi.ResourceHookArgs) -> None:
        wanted = Wanted(
            kind=kind,
            account_id=account_id,
            region=region,
            endpoint=endpoint,
            urn=args.urn,
            owner_urn=await _known(owner.urn),
            inputs=await _plain(args.new_inputs),
        )
        cleared = await asyncio.to_thread(make_room, wanted, ambient(region))
        if cleared is not None:
            pulumi.log.info(cleared, _shown_at(args.urn))

    return pulumi.ResourceHookBinding(before_create=[pulumi.ResourceHook(f"{name}-room", before_create)])


async def _plain(inputs: Optional[Mapping[str, Any]]) -> Mapping[str, Any]:
    """A hook's inputs with nothing wrapped: of an input that holds a secret it is given an Output."""
    return await pulumi.Output.from_input(dict(inputs or {})).future(with_unknowns=True) or {}


async def _known(value: pulumi.Output[str]) -> str:
    return str(await value.future())


class _Named:
    """What a message is shown under. Of a resource the log asks for the URN only."""

    def __init__(self, urn: str):
        self.urn = pulumi.Output.from_input(urn)


def _shown_at(urn: str) -> pulumi.Resource:
    return cast(pulumi.Resource, _Named(urn))


def _warn(urn: str, text: Optional[str]) -> None:
    if text is not None:
        pulumi.log.warn(text, _shown_at(urn))
