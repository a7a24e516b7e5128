"""EC2 VPC endpoints: one without a type is a Gateway (API reference, CreateVpcEndpoint), which moto leaves empty."""

from __future__ import annotations

import dataclasses
from typing import Any

from infra.rehearsal.cloud.api import Call, HttpRequest
from infra.rehearsal.cloud.overlay import handler


@handler("ec2", "CreateVpcEndpoint")
def create_vpc_endpoint(call: Call) -> dict[str, Any]:
    if call.params.get("VpcEndpointType"):
        return call.cloud.to_moto(call)
    completed = {**call.params, "VpcEndpointType": "Gateway"}
    # Without a URL the request is built anew from the parameters.
    return call.cloud.to_moto(dataclasses.replace(call, params=completed, request=HttpRequest("POST", "", {}, b"")))
