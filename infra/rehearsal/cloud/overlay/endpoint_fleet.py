"""Bringing a fleet up, and down: what SageMaker does for each variant, in its order, under the model's execution role.

Everything comes from what is deployed at that moment: the Model resource, its role with trust and policies, the image,
the object behind ModelDataUrl, the network. A fleet that is up does not look at them again. One model host stands for
all the instances of a variant.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.cloud.model_host import HostFailed, HostSpec, ModelHost
from infra.rehearsal.cloud.overlay import endpoint_network
from infra.rehearsal.cloud.overlay.answers import partition_of, stable_uuid
from infra.rehearsal.cloud.overlay.data_capture import Capture
from infra.rehearsal.cloud.overlay.ecr_images import ImageName, parse_image
from infra.rehearsal.cloud.overlay.endpoint_logs import ship_log
from infra.rehearsal.cloud.overlay.endpoint_records import Endpoint, Fleet, Variant
from infra.rehearsal.cloud.overlay.endpoint_upkeep import publish_utilisation
from infra.rehearsal.cloud.overlay.flow_records import record_download
from infra.rehearsal.cloud.overlay.model_data import BadLocation, data_url, parse_location

if TYPE_CHECKING:
    import boto3

    from infra.rehearsal.cloud.cloud import Cloud
    from infra.rehearsal.cloud.overlay.sagemaker_store import SageMaker

PRINCIPAL = "sagemaker.amazonaws.com"
LONGEST_REASON = 1024
"""Characters of FailureReason (API reference)."""
LONGEST_CALL_SECONDS = 60.0
"""How long a container may take to answer (API reference, InvokeEndpoint)."""
_counter = itertools.count()


class FleetFailed(Exception):
    """A fleet that did not come up. The text is the FailureReason."""


@dataclass(frozen=True)
class Retained:
    """What a variant keeps over an update with RetainAllVariantProperties; None: as the configuration says."""

    weight: float | None = None
    instance_count: int | None = None


def bring_up(
    sagemaker: SageMaker, endpoint: Endpoint, config: Mapping[str, Any], retained: Mapping[str, Retained]
) -> Fleet:
    """Starts every variant of a configuration. FleetFailed when one does not come up; none stays up then."""
    fleet = Fleet(config["EndpointConfigName"], config)
    try:
        for members, variants in (
            (config["ProductionVariants"], fleet.production),
            (config.get("ShadowProductionVariants") or (), fleet.shadow),
        ):
            for member in members:
                starting = _Starting(
                    sagemaker, endpoint, config, member, retained.get(member["VariantName"], Retained())
                )
                variants[member["VariantName"]] = starting.start()
    except BaseException:
        take_down(sagemaker.cloud, endpoint, fleet, give_back=True)
        raise
    sagemaker.upkeep.start()
    return fleet


def take_down(cloud: Cloud, endpoint: Endpoint, fleet: Fleet, give_back: bool) -> None:
    """Ends a fleet that gets no more calls, after its last answers.

    Captured data and logs go out first; `give_back` also deletes what was made in the account.
    """
    for variant in fleet.variants():
        variant.calls.wait(LONGEST_CALL_SECONDS)
        if variant.capture is not None:
            variant.capture.flush()
        variant.host.stop()
        ship_log(cloud, endpoint, variant)
        if give_back:
            _give_back_interfaces(variant.session, endpoint.region, variant.network_interfaces)
        shutil.rmtree(variant.directory, ignore_errors=True)


def role_session(sagemaker: SageMaker, endpoint: Endpoint, config: Mapping[str, Any], model_name: str) -> boto3.Session:
    """SageMaker's session under the role of a variant's model (or of the configuration, where that has one)."""
    role = config.get("ExecutionRoleArn") or _model(sagemaker, endpoint, model_name)["ExecutionRoleArn"]
    try:
        return sagemaker.cloud.assume_role(role, service=PRINCIPAL, session_name="SageMaker", source_arn=endpoint.arn)
    except AwsError as refusal:
        # The words are those of a training job; a hosting endpoint's are unconfirmed.
        raise FleetFailed(
            f"Could not assume role {role}. Please ensure that the role exists and allows principal '{PRINCIPAL}' to "
            "assume the role."
        ) from refusal


def _model(sagemaker: SageMaker, endpoint: Endpoint, name: str) -> dict[str, Any]:
    record = sagemaker.models.get((endpoint.region, name))
    if record is None:
        # AWS leaves such an endpoint in Creating for up to an hour (aws/amazon-sagemaker-examples issue 3432); here it
        # fails at once, in the words that the API has for a missing model.
        arn = f"arn:{partition_of(endpoint.region)}:sagemaker:{endpoint.region}:{endpoint.account_id}:model/{name}"
        raise FleetFailed(f'Could not find model "{arn}".')
    return record


class _Starting:
    """One variant on its way up. What it made so far is given back when it fails."""

    def __init__(
        self,
        sagemaker: SageMaker,
        endpoint: Endpoint,
        config: Mapping[str, Any],
        variant: Mapping[str, Any],
        retained: Retained,
    ):
        self.sagemaker, self.endpoint, self.config, self.variant = sagemaker, endpoint, config, variant
        self.cloud, self.region = sagemaker.cloud, endpoint.region
        weight, count = variant.get("InitialVariantWeight", 1.0), variant.get("InitialInstanceCount", 1)
        self.weight = weight if retained.weight is None else retained.weight
        self.instance_count = count if retained.instance_count is None else retained.instance_count
        self.interfaces: list[tuple[str, str]] = []
        number = next(_counter)
        self.directory = self.cloud.directory / "endpoints" / f"{endpoint.name}-{variant['VariantName']}-{number}"
        self.instance_id = "i-" + stable_uuid(endpoint.arn, config["EndpointConfigName"], number).replace("-", "")[:17]

    def start(self) -> Variant:
        if not self.variant.get("ModelName"):
            raise FleetFailed(
                f"Variant {self.variant['VariantName']} names no model: inference components are not carried by the "
                "emulated cloud."
            )
        model = _model(self.sagemaker, self.endpoint, self.variant["ModelName"])
        session = role_session(self.sagemaker, self.endpoint, self.config, self.variant["ModelName"])
        self.directory.mkdir(parents=True)
        try:
            return self._start(model, session)
        except BaseException:
            _give_back_interfaces(session, self.region, self.interfaces)
            shutil.rmtree(self.directory, ignore_errors=True)
            raise

    def _start(self, model: Mapping[str, Any], session: boto3.Session) -> Variant:
        container = self._container(model)
        image, resolved = self._pull(session, container["Image"])
        vpc = self.config.get("VpcConfig") or model.get("VpcConfig")
        if vpc:
            self._connect(session, vpc)
        archive = self._download(session, container, vpc)
        variant = Variant(
            config=self.variant,
            weight=self.weight,
            instance_count=self.instance_count,
            host=ModelHost(
                HostSpec(
                    name=f"{self.endpoint.name}-{self.variant['VariantName']}",
                    image_uri=container["Image"],
                    environment=dict(container.get("Environment") or {}),
                    archive=archive,
                ),
                directory=self.directory,
                environments=self.sagemaker.environments,
            ),
            session=session,
            directory=self.directory,
            image=image.uri,
            resolved_image=resolved,
            resolved_at=self.cloud.clock.now(),
            log_stream=f"{self.variant['VariantName']}/{self.instance_id}",
            network_interfaces=self.interfaces,
            capture=self._capture(session),
        )
        self._serve(variant)
        return variant

    def _container(self, model: Mapping[str, Any]) -> Mapping[str, Any]:
        containers = model.get("Containers") or [model["PrimaryContainer"]]
        if len(containers) > 1:
            raise FleetFailed(
                f"Model {model['ModelName']} has {len(containers)} containers: inference pipelines are not carried by "
                "the emulated cloud."
            )
        if containers[0]["Mode"] != "SingleModel":
            raise FleetFailed(f"Model {model['ModelName']}: mode MultiModel is not carried by the emulated cloud.")
        return containers[0]

    def _pull(self, session: boto3.Session, uri: str) -> tuple[ImageName, str]:
        """The calls of an image pull. Reasons: aws/deep-learning-containers issue 759 (permission),
        yuyasugano/terraform-sagemaker-sample-1 issue 1 (missing)."""
        image = parse_image(uri)
        if image is None:
            raise FleetFailed(
                f"{uri} lies outside ECR: private registries in a VPC are not carried by the emulated cloud."
            )
        ecr = session.client("ecr", region_name=image.region)
        where = {"registryId": image.registry, "repositoryName": image.repository}
        try:
            ecr.get_authorization_token()
            images = ecr.batch_get_image(**where, imageIds=[image.image_id])["images"]
            if not images:
                raise FleetFailed(self._image_missing())
            layers = layer_digests(images[0]["imageManifest"])
            if layers:
                ecr.batch_check_layer_availability(**where, layerDigests=layers[:100])
            for layer in layers:
                ecr.get_download_url_for_layer(**where, layerDigest=layer)
        except ClientError as refusal:
            if _is_refusal(refusal):
                role = self._role_arn()
                raise FleetFailed(
                    f"The role '{role}' does not have {refusal.operation_name} permission for the image: '{uri}'."
                ) from refusal
            raise FleetFailed(self._image_missing()) from refusal
        return image, image.pinned(images[0]["imageId"]["imageDigest"])

    def _image_missing(self) -> str:
        return (
            "Please make sure all images included in the model for the production variant "
            f"{self.variant['VariantName']} exist, and that the execution role used to create the model has "
            "permissions to access them."
        )

    def _role_arn(self) -> str:
        model = _model(self.sagemaker, self.endpoint, self.variant["ModelName"])
        return self.config.get("ExecutionRoleArn") or model["ExecutionRoleArn"]

    def _connect(self, session: boto3.Session, vpc: Mapping[str, Any]) -> None:
        """One interface an instance. The wording of the reason is unconfirmed; the cause is EC2's own."""
        try:
            endpoint_network.make_interfaces(session, self.region, vpc, self.instance_count, self.interfaces)
        except ClientError as refusal:
            raise FleetFailed(
                f"Unable to create network interfaces in the VPC for the production variant "
                f"{self.variant['VariantName']}. Please ensure that the subnets and security groups exist and that "
                f"the role {self._role_arn()} has the permissions for them. EC2 answered: {refusal}"
            ) from refusal

    def _download(self, session: boto3.Session, container: Mapping[str, Any], vpc: Mapping[str, Any] | None) -> Path:
        """The archive. The first sentences: awslabs CVAT sample, issue 3; the route's:
        amazon-sagemaker-operator-for-k8s pull request 22, for a training job."""
        try:
            url = data_url(container)
            if not url:
                raise FleetFailed("A container without model data is not carried by the emulated cloud.")
            location = parse_location(url)
        except BadLocation as bad:
            raise FleetFailed(str(bad)) from bad
        failed = f'Failed to download model data for container "container_1" from URL: "{url}". Please ensure that '
        if vpc and not endpoint_network.s3_is_reachable(self.cloud, self.region, vpc):
            raise FleetFailed(
                f"{failed}the subnet's route table has a route to an S3 VPC endpoint or a NAT device, and both the "
                "security groups and the subnet's network ACL allow outbound traffic to S3."
            )
        archive = self.directory / "model.tar.gz"
        try:
            answer = session.client("s3", region_name=self.region).get_object(Bucket=location.bucket, Key=location.key)
        except ClientError as refusal:
            raise FleetFailed(
                f"{failed}there is an object located at the URL and that the role passed to CreateModel has "
                f"permissions to download the object. S3 answered: {refusal}"
            ) from refusal
        with archive.open("wb") as file:
            shutil.copyfileobj(answer["Body"], file)
        if self.interfaces:
            made = [interface for interface, _ in self.interfaces]
            record_download(self.cloud, self.region, made, archive.stat().st_size)
        return archive

    def _capture(self, session: boto3.Session) -> Capture | None:
        config = self.config.get("DataCaptureConfig")
        if not config or not config.get("EnableCapture", False):
            return None
        return Capture(
            config, self.endpoint.name, self.variant["VariantName"], session, self.region, self.sagemaker.random
        )

    def _serve(self, variant: Variant) -> None:
        """Starts the host and waits for its ping. The first sentences of the reason are AWS's, the cause is the
        host's."""
        limit = self.sagemaker.startup_timeout_seconds
        asked = self.variant.get("ContainerStartupHealthCheckTimeoutInSeconds")
        try:
            variant.host.start(limit if asked is None else min(limit, asked))
        except HostFailed as failure:
            ship_log(self.cloud, self.endpoint, variant)
            raise FleetFailed(
                f"The primary container for production variant {variant.name} did not pass the ping health check. "
                f"Please check CloudWatch logs for this endpoint. Cause: {failure.reason}"
            ) from failure
        ship_log(self.cloud, self.endpoint, variant)
        publish_utilisation(self.endpoint, variant)


def layer_digests(manifest: str) -> list[str]:
    """The layers that an image manifest lists; none for text that is no manifest."""
    try:
        return [layer["digest"] for layer in json.loads(manifest).get("layers", ())]
    except (ValueError, KeyError, AttributeError, TypeError):
        return []


def _is_refusal(error: ClientError) -> bool:
    return error.response["Error"]["Code"] in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")


def _give_back_interfaces(session: boto3.Session, region: str, interfaces: list[tuple[str, str]]) -> None:
    """Deletes network interfaces. Where the role may not any more they stay, as on AWS; the journal shows the
    refusal."""
    if interfaces:
        with contextlib.suppress(ClientError):
            endpoint_network.give_back(session, region, interfaces)
