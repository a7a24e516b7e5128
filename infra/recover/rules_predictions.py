"""How front door, functions, queues and the prediction log are found. From AWS's API references."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.recover.finding import Look, Remove, Rule

_GATEWAY = "apigatewayv2"
_NOT_FOUND = ("NotFoundException",)
_NO_FUNCTION = ("ResourceNotFoundException",)
_NO_QUEUE = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
_NO_ENTITY = ("EntityNotFoundException",)


def _statements(answer: Mapping[str, Any]) -> Any:
    return {"Statement": json.loads(answer["Policy"])["Statement"]}


def _of_api(call: str, id: str, same: Mapping[str, str], **options: Any) -> Rule:
    look = Look(_GATEWAY, call, {"ApiId": "=asked.apiId"}, "Items", _NOT_FOUND)
    return Rule(look, f"found.{id}", same=same, **options)


HTTP_APIS: Mapping[str, Rule] = {
    "aws:apigatewayv2/api:Api": Rule(
        Look(_GATEWAY, "get_apis", {}, "Items"),
        "found.ApiId",
        same={"name": "Name", "protocolType": "ProtocolType"},
        tags="Tags",
        every=Look(_GATEWAY, "get_apis", {}, "Items"),
        remove=Remove(
            _GATEWAY,
            "delete_api",
            {"ApiId": "=found.ApiId"},
            "join('', ['aws apigatewayv2 delete-api --api-id ', found.ApiId])",
        ),
    ),
    "aws:apigatewayv2/integration:Integration": _of_api(
        "get_integrations",
        "IntegrationId",
        {
            "integrationType": "IntegrationType",
            "integrationUri": "IntegrationUri",
            "payloadFormatVersion": "PayloadFormatVersion",
        },
    ),
    "aws:apigatewayv2/route:Route": _of_api("get_routes", "RouteId", {"routeKey": "RouteKey"}),
    "aws:apigatewayv2/stage:Stage": _of_api("get_stages", "StageName", {"name": "StageName"}, tags="Tags", within=True),
    "aws:apigatewayv2/authorizer:Authorizer": _of_api("get_authorizers", "AuthorizerId", {"name": "Name"}),
}

FUNCTIONS: Mapping[str, Rule] = {
    "aws:lambda/function:Function": Rule(
        Look("lambda", "get_function", {"FunctionName": "=asked.name"}, missing=_NO_FUNCTION),
        "found.Configuration.FunctionName",
        tags="Tags",
        named=True,
        status="Configuration.State",
        busy=frozenset({"pending"}),
    ),
    "aws:lambda/permission:Permission": Rule(
        Look("lambda", "get_policy", {"FunctionName": "=asked.function"}, "Statement", _NO_FUNCTION, _statements),
        "found.Sid",
        within=True,
        same={"statementId": "Sid"},
    ),
    "aws:lambda/eventSourceMapping:EventSourceMapping": Rule(
        Look(
            "lambda",
            "list_event_source_mappings",
            {"FunctionName": "=asked.functionName", "EventSourceArn": "=asked.eventSourceArn"},
            "EventSourceMappings",
            _NO_FUNCTION,
        ),
        "found.UUID",
        status="State",
        busy=frozenset({"creating"}),
        gone=frozenset({"deleting"}),
    ),
}


def _of_queue(attribute: str) -> Rule:
    look = Look(
        "sqs",
        "get_queue_attributes",
        {"QueueUrl": "=asked.queueUrl", "AttributeNames": [attribute]},
        f"Attributes.{attribute}",
        _NO_QUEUE,
    )
    return Rule(look, "asked.queueUrl")


QUEUES: Mapping[str, Rule] = {
    "aws:sqs/queue:Queue": Rule(
        Look("sqs", "get_queue_url", {"QueueName": "=asked.name"}, missing=_NO_QUEUE),
        "found.QueueUrl",
        tags=Look("sqs", "list_queue_tags", {"QueueUrl": "=found.QueueUrl"}, "Tags"),
        named=True,
    ),
    "aws:sqs/queuePolicy:QueuePolicy": _of_queue("Policy"),
    "aws:sqs/redrivePolicy:RedrivePolicy": _of_queue("RedrivePolicy"),
    "aws:sqs/redriveAllowPolicy:RedriveAllowPolicy": _of_queue("RedriveAllowPolicy"),
}

_FIREHOSE = "firehose"

DELIVERY: Mapping[str, Rule] = {
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": Rule(
        Look(
            _FIREHOSE,
            "describe_delivery_stream",
            {"DeliveryStreamName": "=asked.name"},
            "DeliveryStreamDescription",
            _NO_FUNCTION,
        ),
        "found.DeliveryStreamARN",
        tags=Look(
            _FIREHOSE,
            "list_tags_for_delivery_stream",
            {"DeliveryStreamName": "=found.DeliveryStreamName"},
            "Tags",
        ),
        named=True,
        status="DeliveryStreamStatus",
        busy=frozenset({"creating"}),
        failed=frozenset({"creating_failed"}),
        gone=frozenset({"deleting"}),
        every=Look(_FIREHOSE, "list_delivery_streams", {}, "DeliveryStreamNames"),
        left_out=True,
        remove=Remove(
            _FIREHOSE,
            "delete_delivery_stream",
            {"DeliveryStreamName": "=found.DeliveryStreamName"},
            "join('', ['aws firehose delete-delivery-stream --delivery-stream-name ', found.DeliveryStreamName])",
        ),
    ),
}

CATALOGUE: Mapping[str, Rule] = {
    "aws:glue/catalogDatabase:CatalogDatabase": Rule(
        Look("glue", "get_database", {"Name": "=asked.name"}, "Database", _NO_ENTITY),
        "join(':', [account, found.Name])",
        tags=Look(
            "glue",
            "get_tags",
            {"ResourceArn": "=join('', ['arn:aws:glue:', region, ':', account, ':database/', found.Name])"},
            "Tags",
        ),
        named=True,
    ),
    "aws:glue/catalogTable:CatalogTable": Rule(
        Look("glue", "get_table", {"DatabaseName": "=asked.databaseName", "Name": "=asked.name"}, "Table", _NO_ENTITY),
        "join(':', [account, found.DatabaseName, found.Name])",
        named=True,
    ),
    "aws:athena/workgroup:Workgroup": Rule(
        Look(
            "athena",
            "get_work_group",
            {"WorkGroup": "=asked.name"},
            "WorkGroup",
            ("InvalidRequestException:is not found",),
        ),
        "found.Name",
        tags=Look(
            "athena",
            "list_tags_for_resource",
            {"ResourceARN": "=join('', ['arn:aws:athena:', region, ':', account, ':workgroup/', found.Name])"},
            "Tags",
        ),
        named=True,
    ),
    "aws:athena/namedQuery:NamedQuery": Rule(
        Look("athena", "list_named_queries", {"WorkGroup": "=asked.workgroup"}, "NamedQueryIds"),
        "found.NamedQueryId",
        detail=Look("athena", "get_named_query", {"NamedQueryId": "=found"}, "NamedQuery"),
        same={"name": "Name", "database": "Database", "query": "QueryString"},
    ),
}
