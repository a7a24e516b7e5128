"""The provider over gRPC, as an engine meets it: status and details, connections, ports, faults."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.protobuf import empty_pb2
from google.protobuf.json_format import MessageToDict
from provider_driver import ACCOUNT_ID, REGION, struct, urn_of
from pulumi.runtime.proto import plugin_pb2, provider_pb2_grpc, status_pb2
from pulumi.runtime.proto import provider_pb2 as pb

from infra.rehearsal.cloud.api import AwsError
from infra.rehearsal.provider import UNKNOWN
from infra.rehearsal.provider.rows import ROWS
from infra.rehearsal.provider.served import HOST, ServedProvider

if TYPE_CHECKING:
    from infra.rehearsal.cloud.cloud import Cloud

TOPIC = "aws:sns/topic:Topic"
SIGNATURE, SECRET = "4dabf18193072939515e22adb298388d", "1b47061264138c4ac30d75fd1eb44270"

Stub = provider_pb2_grpc.ResourceProviderStub


@pytest.fixture
def served(cloud: Cloud) -> Iterator[ServedProvider]:
    options = {"clock": cloud.clock, "wait_poll_seconds": 0.01, "propagation_seconds": 0.2}
    with ServedProvider(cloud.session, **options) as provider:
        yield provider


@contextmanager
def connection(port: int, **arguments: str) -> Iterator[Any]:
    """A connection of its own, configured as one provider resource."""
    # A channel that shares its sockets with another one would be the same connection to the server.
    with grpc.insecure_channel(f"{HOST}:{port}", options=(("grpc.use_local_subchannel_pool", 1),)) as channel:
        stub = Stub(channel)
        configured = stub.Configure(
            pb.ConfigureRequest(args=struct({"region": REGION, **arguments}), acceptSecrets=True), timeout=20
        )
        assert (configured.acceptSecrets, configured.supportsPreview) == (True, True)
        yield stub


def creating(type_token: str, logical: str, /, **properties: Any) -> pb.CreateRequest:
    return pb.CreateRequest(urn=urn_of(type_token, logical), properties=struct(properties))


def refused(error: pytest.ExceptionInfo[grpc.RpcError]) -> tuple[grpc.StatusCode, str, list[Any]]:
    """Code, words, and the details in the trailing metadata."""
    call: Any = error.value
    trailing = dict(call.trailing_metadata() or ())
    packed = trailing.get("grpc-status-details-bin")
    details = list(status_pb2.Status.FromString(packed).details) if packed else []
    return call.code(), call.details(), details


def test_what_an_engine_asks_before_it_configures(served: ServedProvider) -> None:
    with grpc.insecure_channel(f"{HOST}:{served.port}") as channel:
        stub: Any = Stub(channel)
        assert stub.Handshake(pb.ProviderHandshakeRequest(), timeout=20).accept_secrets is True
        stub.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"), timeout=20)
        assert stub.GetPluginInfo(empty_pb2.Empty(), timeout=20).version == "7.51.1"
        assert json.loads(stub.GetSchema(pb.GetSchemaRequest(), timeout=20).schema)["name"] == "aws"
        with pytest.raises(grpc.RpcError) as error:
            stub.Create(creating(TOPIC, "early", name="early"), timeout=20)
    assert refused(error) == (
        grpc.StatusCode.UNKNOWN,
        "the aws provider is not configured: Configure comes before any other call",
        [],
    )


def test_a_resource_lives_and_dies_over_the_wire(served: ServedProvider, cloud: Cloud) -> None:
    """Secrets come back as secrets, unknowns of a preview as unknowns, checks name the property."""
    hidden = {SIGNATURE: SECRET, "value": "quiet"}
    with connection(served.port) as stub:
        checked = stub.Check(pb.CheckRequest(urn=urn_of(TOPIC, "t"), news=struct({"displayNam": "x"})), timeout=20)
        assert [(one.property, one.reason) for one in checked.failures] == [
            ("displayNam", f"{TOPIC} has no argument displayNam; did you mean displayName?")
        ]
        planned = creating(TOPIC, "t", name="t")
        planned.preview = True
        assert MessageToDict(stub.Create(planned, timeout=20).properties)["arn"] == UNKNOWN
        made = stub.Create(creating(TOPIC, "t", name="t", displayName=hidden), timeout=20)
        assert made.id == f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:t"
        assert MessageToDict(made.properties)["displayName"] == hidden
        assert cloud.client("sns").get_topic_attributes(TopicArn=made.id)["Attributes"]["DisplayName"] == "quiet"
        request = pb.DeleteRequest(id=made.id, urn=urn_of(TOPIC, "t"), properties=made.properties)
        stub.Delete(request, timeout=20)
        assert cloud.client("sns").list_topics()["Topics"] == []


def test_a_refusal_is_a_status_with_aws_words_and_no_details(served: ServedProvider, cloud: Cloud) -> None:
    cloud.faults.add("sns", "CreateTopic", AwsError("AuthorizationError", "not authorized to perform sns:CreateTopic"))
    with connection(served.port) as stub, pytest.raises(grpc.RpcError) as error:
        stub.Create(creating(TOPIC, "t", name="t"), timeout=20)
    code, words, details = refused(error)
    assert (code, details) == (grpc.StatusCode.UNKNOWN, [])
    assert words.startswith("creating SNS Topic (t): sns.CreateTopic: AuthorizationError: not authorized to perform")


def test_a_half_made_resource_is_a_detail_with_id_properties_inputs_and_reasons(
    served: ServedProvider, cloud: Cloud
) -> None:
    """ErrorResourceInitFailed in grpc-status-details-bin: what makes an engine record the resource."""
    cloud.faults.add("sns", "SetTopicAttributes", AwsError("Throttled", "Rate exceeded"))
    hidden = {SIGNATURE: SECRET, "value": "quiet"}
    with connection(served.port) as stub, pytest.raises(grpc.RpcError) as error:
        stub.Create(creating(TOPIC, "t", name="t", displayName=hidden, signatureVersion=2), timeout=20)
    code, words, details = refused(error)
    arn = f"arn:aws:sns:{REGION}:{ACCOUNT_ID}:t"
    reason = f"creating SNS Topic ({arn}): sns.SetTopicAttributes: Throttled: Rate exceeded"
    assert code is grpc.StatusCode.UNKNOWN
    assert words == f"{arn}: {reason}"
    (detail,) = details
    half = pb.ErrorResourceInitFailed()
    assert detail.Unpack(half)
    assert (half.id, list(half.reasons)) == (arn, [reason])
    properties, inputs = MessageToDict(half.properties), MessageToDict(half.inputs)
    assert properties["displayName"] == hidden
    assert "arn" not in properties
    assert inputs == {"name": "t", "displayName": hidden, "signatureVersion": 2}


def test_two_connections_are_two_providers(served: ServedProvider, cloud: Cloud) -> None:
    """Each with its own tags and its own account; at the same time."""
    tags = [json.dumps({"tags": {"team": team}}) for team in ("one", "two")]
    with connection(served.port, defaultTags=tags[0]) as one, connection(served.port, defaultTags=tags[1]) as two:
        made = [stub.Create(creating(TOPIC, name, name=name), timeout=20) for stub, name in ((one, "a"), (two, "b"))]
        again = one.Create(creating(TOPIC, "c", name="c"), timeout=20)
    found = {
        answer.id.rpartition(":")[2]: cloud.client("sns").list_tags_for_resource(ResourceArn=answer.id)["Tags"]
        for answer in (*made, again)
    }
    assert found == {
        "a": [{"Key": "team", "Value": "one"}],
        "b": [{"Key": "team", "Value": "two"}],
        "c": [{"Key": "team", "Value": "one"}],
    }


def test_a_refused_account_leaves_other_connections_alone(served: ServedProvider) -> None:
    with connection(served.port) as ours:
        with pytest.raises(grpc.RpcError) as error, connection(served.port, allowedAccountIds='["222222222222"]'):
            pytest.fail("configured for another account")
        code, words, details = refused(error)
        assert (code, details) == (grpc.StatusCode.UNKNOWN, [])
        assert words.startswith(f"AWS account ID not allowed: {ACCOUNT_ID}; this provider allows 222222222222")
        assert ours.Create(creating(TOPIC, "t", name="t"), timeout=20).id.endswith(":t")


def test_a_fault_in_the_provider_is_named_and_the_next_call_goes_on(
    served: ServedProvider, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(operation: Any) -> None:
        raise KeyError("Attributes")

    with connection(served.port) as stub:
        with monkeypatch.context() as patch, caplog.at_level(logging.ERROR):
            patch.setitem(ROWS, TOPIC, dataclasses.replace(ROWS[TOPIC], create=broken))
            with pytest.raises(grpc.RpcError) as error:
                stub.Create(creating(TOPIC, "t", name="t"), timeout=20)
        assert refused(error) == (
            grpc.StatusCode.INTERNAL,
            "a fault in the rehearsal's provider: KeyError('Attributes')",
            [],
        )
        assert [record.getMessage() for record in caplog.records] == [f"Create of {urn_of(TOPIC, 't')}"]
        assert stub.Create(creating(TOPIC, "t", name="t"), timeout=20).id.endswith(":t")


@pytest.mark.parametrize(
    ("method", "request_"),
    [
        ("Construct", pb.ConstructRequest()),
        ("Call", pb.CallRequest()),
        ("GetMappings", pb.GetMappingsRequest()),
        ("Parameterize", pb.ParameterizeRequest()),
    ],
)
def test_what_the_provider_has_not_is_unimplemented(served: ServedProvider, method: str, request_: Any) -> None:
    with connection(served.port) as stub, pytest.raises(grpc.RpcError) as error:
        getattr(stub, method)(request_, timeout=20)
    code, words, _ = refused(error)
    assert (code, words) == (grpc.StatusCode.UNIMPLEMENTED, f"the rehearsal's provider has no {method}")


def test_a_port_in_use_is_named(served: ServedProvider, cloud: Cloud) -> None:
    with pytest.raises(OSError, match=rf"^port {served.port} on 127.0.0.1 is in use: choose another, or 0 for a free"):
        ServedProvider(cloud.session, port=served.port)


def test_closed_is_closed_and_its_port_is_free(cloud: Cloud) -> None:
    provider = ServedProvider(cloud.session)
    with connection(provider.port) as stub:
        provider.close()
        with pytest.raises(grpc.RpcError) as error:
            stub.Create(creating(TOPIC, "t", name="t"), timeout=20)
        assert refused(error)[0] is grpc.StatusCode.UNAVAILABLE
    with ServedProvider(cloud.session, port=provider.port) as again, connection(again.port) as stub:
        assert stub.Create(creating(TOPIC, "t", name="t"), timeout=20).id.endswith(":t")
