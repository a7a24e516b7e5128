"""A run in which a release did not end well deletes nothing: what serves may be what the program no longer declares.

With `--continue-on-error` the engine ends a run that failed by deleting whatever the program left out, but for what the
old states of failed *steps* need (pkg/resource/deploy/deployment_executor.go, 3.259). A release that the provider calls
done and SageMaker took back is no failed step, and an endpoint that was passed over, because something before it
failed, is none either: both would lose the configuration that serves, and the second would leave a state that refers to
it and that no command reads any more. A program that itself ends with an error has nothing deleted: so this one ends
with one, when everything else of it is done (docs/decisions/0013-a-failed-release-deletes-nothing.md).
"""

from typing import Any

import pulumi
import pulumi_aws as aws
from pulumi.output import Unknown

from ._release_run import ReleaseRun


def deletes_nothing_unless_good(endpoint: "aws.sagemaker.Endpoint", run: ReleaseRun) -> pulumi.Output[None]:
    """Ends the program with an error unless this run leaves the endpoint as it was asked for.

    The SDK waits for every registration before it looks at what was computed from them: what else the program declares
    is made and changed all the same.
    """

    def end(arn: Any) -> None:
        # What failed or was passed over has no outputs; a hook that raised after the provider's success is noted.
        passed = not isinstance(arn, Unknown) and not run.ended_badly
        if not pulumi.runtime.is_dry_run() and not passed:
            raise pulumi.RunError(run.deletes_nothing)

    return endpoint.arn.apply(end, run_with_unknowns=True)


def hosted() -> bool:
    """Whether another language's program uses the component: the plugin host has no stack of its own."""
    return pulumi.runtime.get_root_resource() is None
