"""PredictionLog: what it declares, what its roles may do, and which alarms ring."""

from __future__ import annotations

import ast
import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mainstage
import mainstage_runtime
import pulumi_aws as aws
import pytest
import sqlglot
from mainstage._log_alarms import LOG_ALARMS, LOG_RUNBOOK_SLUGS, log_alarm_names
from mainstage._log_spool import REPLAY_MODULES
from mainstage._log_stream import TRANSFORM_MODULES
from mainstage._log_tables import query_type
from mainstage._policy import WILDCARD_ACTIONS
from mainstage.prediction_queries import NAMED_QUERIES, VIEW
from mainstage_runtime.record import FIELDS, PARTITION_KEYS

from infra.rehearsal.engine import Result, record

Build = Callable[..., Result]
Refused = Callable[..., list[tuple[str, str, str, str]]]
Inputs = Callable[[Result, str], dict[str, Any]]
Tree = Callable[[Result], list[tuple[str, str, str]]]
Arguments = Callable[..., Any]

KEY_ARN = "arn:aws:kms:eu-west-1:111111111111:key/0b1c2d3e-0000-4000-8000-000000000001"
PAGE = "arn:aws:sns:eu-west-1:111111111111:mainstage-page"
TICKET = "arn:aws:sns:eu-west-1:111111111111:mainstage-ticket"
BUCKET = "arn:aws:s3:::mainstage-predictions"
STREAM_ARN = "arn:aws:firehose:eu-west-1:111111111111:deliverystream/dev-iris-predictions"
SPOOL_ARN = "arn:aws:sqs:eu-west-1:111111111111:dev-iris-spool"
DEAD_ARN = "arn:aws:sqs:eu-west-1:111111111111:dev-iris-spool-dead"
TAGS = {"team": "ml"}


def statements(inputs: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {statement["Sid"]: statement for statement in json.loads(inputs["policy"])["Statement"]}


def test_children(build: Build, tree: Tree) -> None:
    assert [(type_.rpartition(":")[2], name) for type_, name, parent in tree(build("PredictionLog")) if parent] == [
        *[("NamedQuery", f"thing-query-{slug}") for slug in sorted(NAMED_QUERIES)],
        ("Workgroup", "thing-workgroup"),
        ("LogGroup", "thing-replay-logs"),
        ("LogGroup", "thing-stream-logs"),
        ("LogGroup", "thing-transform-logs"),
        ("LogStream", "thing-stream-log"),
        *[("MetricAlarm", f"thing-log-{alarm}") for alarm in sorted(LOG_ALARMS)],
        ("CatalogDatabase", "thing-database"),
        ("CatalogTable", "thing-predictions"),
        ("CatalogTable", "thing-records"),
        ("Role", "thing-replay-role"),
        ("Role", "thing-stream-role"),
        ("Role", "thing-transform-role"),
        ("RolePolicy", "thing-replay-policy"),
        ("RolePolicy", "thing-stream-policy"),
        ("RolePolicy", "thing-transform-policy"),
        ("FirehoseDeliveryStream", "thing-stream"),
        ("EventSourceMapping", "thing-replay-source"),
        ("Function", "thing-replay-function"),
        ("Function", "thing-transform-function"),
        ("Queue", "thing-spool"),
        ("Queue", "thing-spool-dead"),
        ("QueuePolicy", "thing-spool-dead-policy"),
        ("QueuePolicy", "thing-spool-policy"),
    ]


class TestStream:
    def test_every_setting(self, build: Build, inputs: Inputs) -> None:
        result = build("PredictionLog")
        role = result.named("thing-stream-role").outputs["arn"]
        transform = result.named("thing-transform-function").outputs["arn"]
        assert inputs(result, "thing-stream") == {
            "name": "dev-iris-predictions",
            "destination": "extended_s3",
            "serverSideEncryption": {"enabled": True, "keyType": "CUSTOMER_MANAGED_CMK", "keyArn": KEY_ARN},
            "extendedS3Configuration": {
                "roleArn": role,
                "bucketArn": BUCKET,
                "kmsKeyArn": KEY_ARN,
                "prefix": "records/dev-iris/day=!{partitionKeyFromLambda:day}/hour=!{partitionKeyFromLambda:hour}/",
                "errorOutputPrefix": "rejected/dev-iris/!{firehose:error-output-type}/day=!{timestamp:yyyy-MM-dd}/",
                "bufferingInterval": 60,
                "bufferingSize": 64,
                "compressionFormat": "UNCOMPRESSED",
                "customTimeZone": "UTC",
                "s3BackupMode": "Disabled",
                "dynamicPartitioningConfiguration": {"enabled": True, "retryDuration": 7200},
                "processingConfiguration": {
                    "enabled": True,
                    "processors": [
                        {
                            "type": "Lambda",
                            "parameters": [
                                {
                                    "parameterName": "LambdaArn",
                                    "parameterValue": f"{transform}:$LATEST",
                                }
                            ],
                        }
                    ],
                },
                "dataFormatConversionConfiguration": {
                    "enabled": True,
                    "inputFormatConfiguration": {
                        "deserializer": {
                            "openXJsonSerDe": {"caseInsensitive": True, "convertDotsInJsonKeysToUnderscores": False}
                        }
                    },
                    "outputFormatConfiguration": {"serializer": {"parquetSerDe": {"compression": "SNAPPY"}}},
                    "schemaConfiguration": {
                        "roleArn": role,
                        "databaseName": "mainstage_dev_iris",
                        "tableName": "records",
                        "region": "eu-west-1",
                        "versionId": "LATEST",
                    },
                },
                "cloudwatchLoggingOptions": {
                    "enabled": True,
                    "logGroupName": "/aws/kinesisfirehose/dev-iris-predictions",
                    "logStreamName": "delivery",
                },
            },
            "tags": TAGS,
        }
        assert result.named("thing-stream-policy").urn in result.named("thing-stream").options.depends_on
        assert inputs(result, "thing-stream-logs") == {
            "name": "/aws/kinesisfirehose/dev-iris-predictions",
            "retentionInDays": 30,
            "kmsKeyId": KEY_ARN,
            "logGroupClass": "STANDARD",
            "tags": TAGS,
        }

    def test_its_role_reaches_this_log_alone(self, build: Build, inputs: Inputs) -> None:
        result = build("PredictionLog")
        role = inputs(result, "thing-stream-role")
        assert role["name"] == "dev-iris-delivery-eu-west-1"
        assert json.loads(role["assumeRolePolicy"])["Statement"] == [
            {
                "Sid": "AssumedByService",
                "Effect": "Allow",
                "Principal": {"Service": "firehose.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"aws:SourceAccount": "111111111111"}},
            }
        ]
        function = "arn:aws:lambda:eu-west-1:111111111111:function:dev-iris-transform"
        glue = "arn:aws:glue:eu-west-1:111111111111"
        log = "arn:aws:logs:eu-west-1:111111111111:log-group:/aws/kinesisfirehose/dev-iris-predictions"
        granted = statements(inputs(result, "thing-stream-policy"))
        assert {sid: (each["Action"], each["Resource"], each.get("Condition")) for sid, each in granted.items()} == {
            "WriteRecords": (
                ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"],
                [f"{BUCKET}/records/dev-iris/*", f"{BUCKET}/rejected/dev-iris/*"],
                None,
            ),
            "LookAtBucket": (
                ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"],
                [BUCKET],
                None,
            ),
            "EncryptRecords": (
                ["kms:Decrypt", "kms:GenerateDataKey"],
                [KEY_ARN],
                {
                    "StringEquals": {"kms:ViaService": "s3.eu-west-1.amazonaws.com"},
                    "StringLike": {
                        "kms:EncryptionContext:aws:s3:arn": [
                            BUCKET,
                            f"{BUCKET}/records/dev-iris/*",
                            f"{BUCKET}/rejected/dev-iris/*",
                        ]
                    },
                },
            ),
            "Transform": (
                ["lambda:GetFunctionConfiguration", "lambda:InvokeFunction"],
                [function, f"{function}:$LATEST"],
                None,
            ),
            "ReadColumns": (
                ["glue:GetTable", "glue:GetTableVersion", "glue:GetTableVersions"],
                [f"{glue}:catalog", f"{glue}:database/mainstage_dev_iris", f"{glue}:table/mainstage_dev_iris/records"],
                None,
            ),
            "WriteOwnLogs": (["logs:PutLogEvents"], [f"{log}:log-stream:delivery"], None),
        }

    def test_the_transform(self, build: Build, inputs: Inputs) -> None:
        result = build("PredictionLog")
        function = inputs(result, "thing-transform-function")
        assert function["name"] == "dev-iris-transform"
        assert function["handler"] == "mainstage_runtime.transform.handler"
        assert function["environment"] == {"variables": {"MAINSTAGE_LOG_NAME": "dev-iris", "MAINSTAGE_MODEL": "iris"}}
        assert (function["timeout"], function["memorySize"], function["kmsKeyArn"]) == (60, 512, KEY_ARN)
        assert set(statements(inputs(result, "thing-transform-policy"))) == {"WriteOwnLogs"}

    def test_a_release_changes_nothing_that_replaces(self, build: Build, args: Arguments, inputs: Inputs) -> None:
        before = build("PredictionLog")
        signature = args("PredictionLog")["signature"]
        signature["inputs"].append({"name": "garden", "type": "string", "required": False})
        after = build("PredictionLog", signature=signature, buffer_seconds=300.0)
        assert {r.urn for r in after.resources} == {r.urn for r in before.resources}
        changed = {
            (new.name, key)
            for new in after.resources
            for key in new.inputs
            if new.inputs[key] != before.named(new.name).inputs[key]
        }
        # Only what AWS changes in place: columns, code, buffer, what the alarm on lateness says.
        assert changed == {
            ("thing-records", "storageDescriptor"),
            ("thing-predictions", "storageDescriptor"),
            ("thing-predictions", "viewOriginalText"),
            ("thing-transform-function", "code"),
            ("thing-stream", "extendedS3Configuration"),
            ("thing-log-delivery-late", "alarmDescription"),
            ("thing-log-delivery-late", "threshold"),
        }
        destination = inputs(after, "thing-stream")["extendedS3Configuration"]
        assert destination["bufferingInterval"] == 300
        old = inputs(before, "thing-stream")["extendedS3Configuration"]
        assert destination["dynamicPartitioningConfiguration"] == old["dynamicPartitioningConfiguration"]


class TestTables:
    def test_the_table_projects_its_partitions(self, build: Build, inputs: Inputs) -> None:
        table = inputs(build("PredictionLog"), "thing-records")
        described = table["storageDescriptor"].pop("columns")
        location = "s3://mainstage-predictions/records/dev-iris/"
        assert table == {
            "name": "records",
            "databaseName": "mainstage_dev_iris",
            "description": "Prediction records as they arrived; a request may stand here more than once",
            "tableType": "EXTERNAL_TABLE",
            "parameters": {
                "EXTERNAL": "TRUE",
                "classification": "parquet",
                "parquet.compression": "SNAPPY",
                "projection.enabled": "true",
                "projection.day.type": "date",
                "projection.day.format": "yyyy-MM-dd",
                "projection.day.range": "2026-01-01,NOW",
                "projection.day.interval": "1",
                "projection.day.interval.unit": "DAYS",
                "projection.hour.type": "integer",
                "projection.hour.range": "0,23",
                "projection.hour.digits": "2",
                "storage.location.template": f"{location}day=${{day}}/hour=${{hour}}/",
            },
            "storageDescriptor": {
                "location": location,
                "inputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                "outputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                "compressed": False,
                "storedAsSubDirectories": False,
                "serDeInfo": {
                    "name": "parquet",
                    "serializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
                    "parameters": {"serialization.format": "1"},
                },
            },
            "partitionKeys": [{"name": k.name, "type": "string", "comment": k.description} for k in PARTITION_KEYS],
        }
        assert described == [
            *[{"name": field.name, "type": field.type, "comment": field.description} for field in FIELDS],
            {"name": "input_sepal_length", "type": "array<double>", "comment": "in centimetres"},
            {"name": "input_petal_width", "type": "array<double>"},
            {"name": "output_species", "type": "array<string>"},
            {"name": "output_confidence", "type": "array<double>"},
        ]

    def test_comments_are_one_line_that_glue_takes(self, build: Build, args: Arguments, inputs: Inputs) -> None:
        signature = args("PredictionLog")["signature"]
        signature["inputs"][0]["description"] = "line one\nline two " + "x" * 400
        columns = inputs(build("PredictionLog", signature=signature), "thing-records")["storageDescriptor"]["columns"]
        (comment,) = [column["comment"] for column in columns if column["name"] == "input_sepal_length"]
        assert comment.startswith("line one line two xxx")
        assert comment.endswith("x…")
        assert len(comment) == 255

    def test_personal_data_is_a_hash_or_no_column(self, build: Build, args: Arguments, inputs: Inputs) -> None:
        signature = args("PredictionLog")["signature"]
        signature["inputs"][0]["pii"] = "hash"
        signature["inputs"][1]["pii"] = "drop"
        columns = inputs(build("PredictionLog", signature=signature), "thing-records")["storageDescriptor"]["columns"]
        assert [(c["name"], c["type"]) for c in columns if c["name"].startswith("input_") and "array" in c["type"]] == [
            ("input_sepal_length", "array<string>")
        ]

    def test_the_view_is_the_one_that_athena_would_make(self, build: Build, inputs: Inputs) -> None:
        result = build("PredictionLog")
        view = inputs(result, "thing-predictions")
        shown = view["storageDescriptor"]["columns"]
        table = inputs(result, "thing-records")
        assert shown == [*table["storageDescriptor"]["columns"], *table["partitionKeys"]]
        original = view.pop("viewOriginalText")
        assert view == {
            "name": VIEW,
            "databaseName": "mainstage_dev_iris",
            "description": "One row a request: what every query of the log reads",
            "tableType": "VIRTUAL_VIEW",
            "parameters": {"presto_view": "true", "comment": "Presto View"},
            "viewExpandedText": "/* Presto View */",
            "storageDescriptor": {
                "compressed": False,
                "storedAsSubDirectories": False,
                "serDeInfo": {"name": "-", "serializationLibrary": "-"},
                "columns": shown,
            },
        }
        assert original.startswith("/* Presto View: ")
        body = json.loads(base64.b64decode(original.removeprefix("/* Presto View: ").removesuffix(" */")))
        assert (body["catalog"], body["schema"]) == ("awsdatacatalog", "mainstage_dev_iris")
        assert [column["name"] for column in body["columns"]] == [column["name"] for column in shown]
        types = {column["name"]: column["type"] for column in body["columns"]}
        assert (types["at"], types["rows"], types["input_sepal_length"]) == ("timestamp(3)", "integer", "array(double)")
        selected = sqlglot.parse_one(body["originalSql"], read="athena")
        assert [column.alias_or_name for column in selected.expressions] == [column["name"] for column in shown]
        assert result.named("thing-records").urn in result.named("thing-predictions").options.depends_on

    def test_types_nest(self) -> None:
        assert query_type("array<array<bigint>>") == "array(array(bigint))"
        assert query_type("boolean") == "boolean"

    def test_the_workgroup_limits_and_encrypts(self, build: Build, inputs: Inputs) -> None:
        assert inputs(build("PredictionLog", scan_limit_mib=10.0), "thing-workgroup") == {
            "name": "mainstage-dev-iris",
            "description": "Queries of the prediction log dev-iris",
            "state": "ENABLED",
            "forceDestroy": False,
            "configuration": {
                "enforceWorkgroupConfiguration": True,
                "publishCloudwatchMetricsEnabled": True,
                "bytesScannedCutoffPerQuery": 10_485_760,
                "requesterPaysEnabled": False,
                "engineVersion": {"selectedEngineVersion": "Athena engine version 3"},
                "resultConfiguration": {
                    "outputLocation": "s3://mainstage-predictions/queries/dev-iris/",
                    "expectedBucketOwner": "111111111111",
                    "encryptionConfiguration": {"encryptionOption": "SSE_KMS", "kmsKeyArn": KEY_ARN},
                },
            },
            "tags": TAGS,
        }

    def test_named_queries_ask_the_view(self, build: Build, inputs: Inputs) -> None:
        result = build("PredictionLog")
        for slug, query in NAMED_QUERIES.items():
            assert inputs(result, f"thing-query-{slug}") == {
                "name": f"dev-iris-{slug}",
                "description": query.description,
                "database": "mainstage_dev_iris",
                "workgroup": "mainstage-dev-iris",
                "query": query.sql("mainstage_dev_iris"),
            }
            assert 'FROM "mainstage_dev_iris"."predictions"' in query.sql("mainstage_dev_iris")


class TestSpool:
    def test_the_queues(self, build: Build, inputs: Inputs) -> None:
        result = build("PredictionLog")
        same = {
            "fifoQueue": False,
            "delaySeconds": 0,
            "maxMessageSize": 1_048_576,
            "messageRetentionSeconds": 1_209_600,
            "receiveWaitTimeSeconds": 20,
            "visibilityTimeoutSeconds": 180,
            "kmsMasterKeyId": KEY_ARN,
            "kmsDataKeyReusePeriodSeconds": 300,
            "tags": TAGS,
        }
        spool, dead = inputs(result, "thing-spool"), inputs(result, "thing-spool-dead")
        assert json.loads(spool.pop("redrivePolicy")) == {"deadLetterTargetArn": DEAD_ARN, "maxReceiveCount": 20}
        assert json.loads(dead.pop("redriveAllowPolicy")) == {
            "redrivePermission": "byQueue",
            "sourceQueueArns": [SPOOL_ARN],
        }
        assert spool == same | {"name": "dev-iris-spool"}
        assert dead == same | {"name": "dev-iris-spool-dead"}
        assert result.named("thing-spool-dead").urn in result.named("thing-spool").options.depends_on
        replay = inputs(result, "thing-replay-function")
        assert spool["visibilityTimeoutSeconds"] >= 6 * replay["timeout"]

    @pytest.mark.parametrize(("queue", "arn"), [("thing-spool", SPOOL_ARN), ("thing-spool-dead", DEAD_ARN)])
    def test_they_refuse_plain_http(self, build: Build, inputs: Inputs, queue: str, arn: str) -> None:
        (statement,) = statements(inputs(build("PredictionLog"), f"{queue}-policy")).values()
        assert (statement["Effect"], statement["Principal"], statement["Resource"]) == ("Deny", "*", [arn])
        assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
        assert {"sqs:ReceiveMessage", "sqs:SendMessage"} <= set(statement["Action"])

    def test_the_replay(self, build: Build, inputs: Inputs) -> None:
        result = build("PredictionLog")
        assert inputs(result, "thing-replay-source") == {
            "eventSourceArn": result.named("thing-spool").outputs["arn"],
            "functionName": "dev-iris-replay",
            "enabled": True,
            "batchSize": 10,
            "functionResponseTypes": ["ReportBatchItemFailures"],
            "scalingConfig": {"maximumConcurrency": 5},
            "tags": TAGS,
        }
        function = inputs(result, "thing-replay-function")
        assert function["environment"] == {
            "variables": {"MAINSTAGE_LOG_NAME": "dev-iris", "MAINSTAGE_STREAM_NAME": "dev-iris-predictions"}
        }
        granted = statements(inputs(result, "thing-replay-policy"))
        assert {sid: (each["Action"], each["Resource"]) for sid, each in granted.items() if sid != "WriteOwnLogs"} == {
            "TakeFromSpool": (["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"], [SPOOL_ARN]),
            "DecryptSpool": (["kms:Decrypt"], [KEY_ARN]),
            "PutAgain": (["firehose:PutRecordBatch"], [STREAM_ARN]),
        }
        assert granted["DecryptSpool"]["Condition"] == {
            "StringEquals": {"kms:ViaService": "sqs.eu-west-1.amazonaws.com"}
        }


@pytest.mark.parametrize(("handler", "modules"), [("transform", TRANSFORM_MODULES), ("replay", REPLAY_MODULES)])
def test_an_archive_holds_what_its_handler_imports_and_nothing_else(handler: str, modules: tuple[str, ...]) -> None:
    (folder,) = mainstage_runtime.__path__
    wanted, found = [handler], set[str]()
    while wanted:
        name = wanted.pop()
        found.add(name)
        for node in ast.walk(ast.parse((Path(folder) / f"{name}.py").read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "mainstage_runtime":
                imported = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mainstage_runtime."):
                imported = [(node.module or "").split(".")[1]]
            else:
                continue
            wanted += [each for each in imported if each not in found]
    assert found == set(modules)


class TestAlarms:
    def test_lost_predictions_wake_a_person(self, build: Build, inputs: Inputs) -> None:
        alarm = inputs(build("PredictionLog"), "thing-log-loss")
        *metrics, lost = alarm.pop("metricQueries")
        assert alarm == {
            "name": "dev-iris-log-loss",
            "alarmDescription": "Predictions of dev-iris were served and are in no log: neither Firehose nor the spool "
            "has them. Runbook: https://example.com/runbooks/log-loss.md",
            "actionsEnabled": True,
            "alarmActions": [PAGE],
            "okActions": [PAGE],
            "insufficientDataActions": [],
            "treatMissingData": "notBreaching",
            "threshold": 0,
            "comparisonOperator": "GreaterThanThreshold",
            "evaluationPeriods": 5,
            "datapointsToAlarm": 2,
            "tags": TAGS,
        }
        assert [(query["id"], query["metric"]) for query in metrics] == [
            (
                query_id,
                {
                    "namespace": "Mainstage",
                    "metricName": name,
                    "dimensions": {"LogName": "dev-iris"},
                    "period": 60,
                    "stat": "Sum",
                },
            )
            for query_id, name in (("served", "Served"), ("handed_over", "HandedOver"))
        ]
        assert lost == {
            "id": "lost",
            "label": "served predictions that no one took, so far",
            "expression": "RUNNING_SUM(FILL(served, 0) - FILL(handed_over, 0))",
            "returnData": True,
        }

    def test_rejects_are_those_of_the_transform_and_of_the_conversion(self, build: Build, inputs: Inputs) -> None:
        alarm = inputs(build("PredictionLog"), "thing-log-rejected")
        *metrics, rejected = alarm["metricQueries"]
        assert [(query["metric"]["namespace"], query["metric"]["metricName"]) for query in metrics] == [
            ("Mainstage", "Rejected"),
            ("AWS/Firehose", "FailedConversion.Records"),
        ]
        assert [query["metric"]["dimensions"] for query in metrics] == [
            {"LogName": "dev-iris"},
            {"DeliveryStreamName": "dev-iris-predictions"},
        ]
        assert rejected["expression"] == "FILL(refused, 0) + FILL(unconverted, 0)"
        assert (alarm["threshold"], alarm["alarmActions"]) == (0, [TICKET])

    def test_a_transform_that_does_not_run_is_told_by_lambda_or_by_firehose(self, build: Build, inputs: Inputs) -> None:
        alarm = inputs(build("PredictionLog"), "thing-log-transform-errors")
        *metrics, failed = alarm["metricQueries"]
        function, stream = {"FunctionName": "dev-iris-transform"}, {"DeliveryStreamName": "dev-iris-predictions"}
        assert [query["metric"] for query in metrics] == [
            {"namespace": namespace, "metricName": name, "dimensions": dimensions, "period": 300, "stat": statistic}
            for namespace, name, dimensions, statistic in (
                ("AWS/Lambda", "Errors", function, "Sum"),
                ("AWS/Lambda", "Throttles", function, "Sum"),
                ("AWS/Firehose", "ExecuteProcessing.Success", stream, "Minimum"),
            )
        ]
        assert failed["expression"] == "FILL(errors, 0) + FILL(throttled, 0) + 1 - FILL(succeeded, 1)"
        assert (alarm["threshold"], alarm["alarmActions"]) == (0, [TICKET])

    @pytest.mark.parametrize(
        ("alarm", "metric", "dimensions", "statistic", "threshold", "periods"),
        [
            (
                "delivery-late",
                "AWS/Firehose DeliveryToS3.DataFreshness",
                {"DeliveryStreamName": "dev-iris-predictions"},
                "Maximum",
                960,
                (10, 15, 60),
            ),
            (
                "spool-waiting",
                "AWS/SQS ApproximateAgeOfOldestMessage",
                {"QueueName": "dev-iris-spool"},
                "Maximum",
                1800,
                (1, 1, 300),
            ),
            (
                "spool-dead",
                "AWS/SQS ApproximateNumberOfMessagesVisible",
                {"QueueName": "dev-iris-spool-dead"},
                "Maximum",
                0,
                (1, 1, 300),
            ),
        ],
    )
    def test_what_waits_for_the_morning(
        self,
        build: Build,
        inputs: Inputs,
        alarm: str,
        metric: str,
        dimensions: dict[str, str],
        statistic: str,
        threshold: float,
        periods: tuple[int, int, int],
    ) -> None:
        made = inputs(build("PredictionLog"), f"thing-log-{alarm}")
        assert f"{made['namespace']} {made['metricName']}" == metric
        assert (made["dimensions"], made["statistic"], made["threshold"]) == (dimensions, statistic, threshold)
        assert (made["datapointsToAlarm"], made["evaluationPeriods"], made["period"]) == periods
        assert made["comparisonOperator"] == "GreaterThanThreshold"
        assert made["alarmActions"] == made["okActions"] == [TICKET]

    def test_every_alarm_has_actions_a_runbook_and_a_word_on_missing_data(self, build: Build, root: Path) -> None:
        alarms = build("PredictionLog").of_type("aws:cloudwatch/metricAlarm:MetricAlarm")
        assert sorted(alarm.inputs["name"] for alarm in alarms) == sorted(log_alarm_names("dev-iris").values())
        for alarm in alarms:
            assert len(alarm.inputs["alarmActions"]) == len(alarm.inputs["okActions"]) == 1
            assert alarm.inputs["treatMissingData"] == "notBreaching"
            slug = alarm.inputs["alarmDescription"].rpartition("/")[2].removesuffix(".md")
            text = (root / "docs" / "runbooks" / f"{slug}.md").read_text()
            headings = [line for line in text.splitlines() if line.startswith("## ")]
            assert headings == ["## What it means", "## First look", "## Act", "## Afterwards"]
            assert f"]({slug}.md)" in (root / "docs" / "runbooks" / "README.md").read_text()

    def test_every_runbook_belongs_to_an_alarm(self, root: Path) -> None:
        files = {path.stem for path in (root / "docs" / "runbooks").glob("log-*.md")}
        assert files == set(LOG_RUNBOOK_SLUGS.values())


class TestRules:
    def test_what_holds_data_is_protected(self, build: Build) -> None:
        def protected(result: Result) -> set[str]:
            return {resource.name for resource in result.resources if resource.options.protect}

        groups = {f"thing-{part}-logs" for part in ("replay", "stream", "transform")}
        # The workgroup too: queries of people would stop a destroy that is to leave what is protected.
        queried = {"thing-database", "thing-records", "thing-workgroup"}
        holds = {*queried, "thing-stream", "thing-spool", "thing-spool-dead", *groups}
        assert protected(build("PredictionLog")) == holds
        open_to_removal = build("PredictionLog", deletion_protection=False)
        assert protected(open_to_removal) == set()
        assert open_to_removal.named("thing-workgroup").inputs["forceDestroy"] is True

    def test_no_statement_is_wider_than_the_committed_list(self, build: Build) -> None:
        policies = build("PredictionLog").of_type("aws:iam/rolePolicy:RolePolicy")
        assert len(policies) == 3
        for policy in policies:
            for statement in json.loads(policy.inputs["policy"])["Statement"]:
                assert not any("*" in action for action in statement["Action"])
                if "*" in statement["Resource"]:
                    assert set(statement["Action"]) <= set(WILDCARD_ACTIONS)

    def test_outputs_and_identity(self, build: Build) -> None:
        result = build("PredictionLog")
        assert {key: result.outputs[key] for key in ("database_name", "table_name", "view_name", "workgroup_name")} == {
            "database_name": "mainstage_dev_iris",
            "table_name": "records",
            "view_name": "predictions",
            "workgroup_name": "mainstage-dev-iris",
        }
        assert result.outputs["identity"] == {
            "log_name": "dev-iris",
            "stream_name": "dev-iris-predictions",
            "stream_arn": STREAM_ARN,
            "spool_url": result.named("thing-spool").outputs["url"],
            "spool_arn": SPOOL_ARN,
            "kms_key_arn": KEY_ARN,
        }

    def test_a_writer_may_write_to_this_log_alone(self, args: Arguments) -> None:
        def program() -> None:
            log = mainstage.PredictionLog("log", args("PredictionLog"))
            role = aws.iam.Role("writer", assume_role_policy="{}")
            log.grant_write(role.name, grantee="front-door")

        policy = record(program, stack="somewhere").check().named("log-written-by-front-door")
        granted = {(*each["Action"], *each["Resource"]) for each in statements(policy.inputs).values()}
        assert granted == {
            ("firehose:PutRecord", STREAM_ARN),
            ("sqs:SendMessage", SPOOL_ARN),
            ("kms:Decrypt", "kms:GenerateDataKey", KEY_ARN),
        }

    def test_names_may_be_given(self, build: Build, inputs: Inputs) -> None:
        result = build("PredictionLog", database_name="logs", workgroup_name="Team.A")
        assert inputs(result, "thing-database")["name"] == "logs"
        assert inputs(result, "thing-workgroup")["name"] == "Team.A"
        assert "table/logs/records" in inputs(result, "thing-stream-policy")["policy"]

    def test_refusals_come_together(self, refused: Refused) -> None:
        found = refused(
            "PredictionLog",
            log_name="x" * 53,
            buffer_seconds=0,
            buffer_mib=63,
            scan_limit_mib=9,
            log_retention_days=31,
            database_name="Logs",
            bucket_arn="mainstage-predictions",
        )
        assert {field: got for field, got, _, _ in found} == {
            "log_name": f"'{'x' * 53}'",
            "bucket_arn": "'mainstage-predictions'",
            "buffer_seconds": "0",
            "buffer_mib": "63",
            "scan_limit_mib": "9",
            "log_retention_days": "31",
            "database_name": "'Logs'",
        }
        (mib,) = [rest for field, _, *rest in found if field == "buffer_mib"]
        assert mib == ["a whole number from 64 to 128", "give 64 or more"]
