"""Where AWS shows what a prediction log sets: delivery, catalogue, questions. From AWS's API references, by hand."""

from __future__ import annotations

from typing import Any

from readback import IN_THE_CALL, At, Look, Nowhere, Row, Table

_STREAM = Look("firehose", "describe_delivery_stream", {"DeliveryStreamName": "{name}"}, "DeliveryStreamDescription")
_S3, _IN_S3 = "extendedS3Configuration", "Destinations[0].ExtendedS3DestinationDescription"
_CONVERT, _CONVERTED = f"{_S3}.dataFormatConversionConfiguration", f"{_IN_S3}.DataFormatConversionConfiguration"
_JSON, _OPENX = (
    "inputFormatConfiguration.deserializer.openXJsonSerDe",
    "InputFormatConfiguration.Deserializer.OpenXJsonSerDe",
)
_LOG, _LOGGED = f"{_S3}.cloudwatchLoggingOptions", f"{_IN_S3}.CloudWatchLoggingOptions"
_PROCESS, _PROCESSED = f"{_S3}.processingConfiguration", f"{_IN_S3}.ProcessingConfiguration"
_FILLED_IN = frozenset({"BufferIntervalInSeconds", "BufferSizeInMBs", "NumberOfRetries", "RoleArn"})
"""Parameters that AWS shows of every Lambda processor, with its defaults."""


def _destination(found: Any) -> str:
    (one,) = found
    return "extended_s3" if "ExtendedS3DestinationDescription" in one else ", ".join(one)


def _parameters_asked(processors: list[list[dict[str, str]]]) -> list[dict[str, str]]:
    return [{one["parameterName"]: one["parameterValue"] for one in parameters} for parameters in processors]


def _parameters_found(processors: list[list[dict[str, str]]]) -> list[dict[str, str]]:
    every = [{one["ParameterName"]: one["ParameterValue"] for one in parameters} for parameters in processors]
    return [{name: value for name, value in one.items() if name not in _FILLED_IN} for one in every]


DELIVERY: Table = {
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": Row(
        _STREAM,
        {
            "destination": At("Destinations[0:1]", found=_destination),
            f"{_S3}.bucketArn": f"{_IN_S3}.BucketARN",
            f"{_S3}.bufferingInterval": f"{_IN_S3}.BufferingHints.IntervalInSeconds",
            f"{_S3}.bufferingSize": f"{_IN_S3}.BufferingHints.SizeInMBs",
            f"{_LOG}.enabled": f"{_LOGGED}.Enabled",
            f"{_LOG}.logGroupName": f"{_LOGGED}.LogGroupName",
            f"{_LOG}.logStreamName": f"{_LOGGED}.LogStreamName",
            f"{_S3}.compressionFormat": f"{_IN_S3}.CompressionFormat",
            f"{_S3}.customTimeZone": f"{_IN_S3}.CustomTimeZone",
            f"{_CONVERT}.enabled": f"{_CONVERTED}.Enabled",
            f"{_CONVERT}.{_JSON}.caseInsensitive": f"{_CONVERTED}.{_OPENX}.CaseInsensitive",
            f"{_CONVERT}.{_JSON}.convertDotsInJsonKeysToUnderscores": (
                f"{_CONVERTED}.{_OPENX}.ConvertDotsInJsonKeysToUnderscores"
            ),
            f"{_CONVERT}.outputFormatConfiguration.serializer.parquetSerDe.compression": (
                f"{_CONVERTED}.OutputFormatConfiguration.Serializer.ParquetSerDe.Compression"
            ),
            f"{_CONVERT}.schemaConfiguration.databaseName": f"{_CONVERTED}.SchemaConfiguration.DatabaseName",
            f"{_CONVERT}.schemaConfiguration.region": f"{_CONVERTED}.SchemaConfiguration.Region",
            f"{_CONVERT}.schemaConfiguration.roleArn": f"{_CONVERTED}.SchemaConfiguration.RoleARN",
            f"{_CONVERT}.schemaConfiguration.tableName": f"{_CONVERTED}.SchemaConfiguration.TableName",
            f"{_CONVERT}.schemaConfiguration.versionId": f"{_CONVERTED}.SchemaConfiguration.VersionId",
            f"{_S3}.dynamicPartitioningConfiguration.enabled": f"{_IN_S3}.DynamicPartitioningConfiguration.Enabled",
            f"{_S3}.dynamicPartitioningConfiguration.retryDuration": (
                f"{_IN_S3}.DynamicPartitioningConfiguration.RetryOptions.DurationInSeconds"
            ),
            f"{_S3}.errorOutputPrefix": f"{_IN_S3}.ErrorOutputPrefix",
            f"{_S3}.kmsKeyArn": f"{_IN_S3}.EncryptionConfiguration.KMSEncryptionConfig.AWSKMSKeyARN",
            f"{_S3}.prefix": f"{_IN_S3}.Prefix",
            f"{_PROCESS}.enabled": f"{_PROCESSED}.Enabled",
            f"{_PROCESS}.processors[].parameters": At(
                f"{_PROCESSED}.Processors[].Parameters", asked=_parameters_asked, found=_parameters_found
            ),
            f"{_PROCESS}.processors[].type": f"{_PROCESSED}.Processors[].Type",
            f"{_S3}.roleArn": f"{_IN_S3}.RoleARN",
            f"{_S3}.s3BackupMode": f"{_IN_S3}.S3BackupMode",
            "name": "DeliveryStreamName",
            "serverSideEncryption.enabled": At(
                "DeliveryStreamEncryptionConfiguration.Status",
                found=lambda status: {"ENABLED": True, "DISABLED": False}.get(status, status),
            ),
            "serverSideEncryption.keyArn": "DeliveryStreamEncryptionConfiguration.KeyARN",
            "serverSideEncryption.keyType": "DeliveryStreamEncryptionConfiguration.KeyType",
        },
        tags=Look("firehose", "list_tags_for_delivery_stream", {"DeliveryStreamName": "{name}"}, "Tags"),
        implied={"DeliveryStreamStatus": "ACTIVE", "DeliveryStreamType": "DirectPut"},
    ),
    "aws:cloudwatch/logStream:LogStream": Row(
        Look(
            "logs",
            "describe_log_streams",
            {"logGroupName": "{logGroupName}", "logStreamNamePrefix": "{name}"},
            "logStreams[?logStreamName=='{name}'] | [0]",
        ),
        {"logGroupName": IN_THE_CALL, "name": "logStreamName"},
    ),
}

_PLACE = "storageDescriptor"

CATALOGUE: Table = {
    "aws:glue/catalogDatabase:CatalogDatabase": Row(
        Look("glue", "get_database", {"Name": "{name}"}, "Database"),
        {"description": "Description", "name": "Name"},
        tags=Look("glue", "get_tags", {"ResourceArn": "arn:aws:glue:{region}:{account}:database/{name}"}, "Tags"),
    ),
    "aws:glue/catalogTable:CatalogTable": Row(
        Look("glue", "get_table", {"DatabaseName": "{databaseName}", "Name": "{name}"}, "Table"),
        {
            "databaseName": "DatabaseName",
            "description": "Description",
            "name": "Name",
            "parameters": "Parameters",
            "partitionKeys[].comment": "PartitionKeys[].Comment",
            "partitionKeys[].name": "PartitionKeys[].Name",
            "partitionKeys[].type": "PartitionKeys[].Type",
            f"{_PLACE}.columns[].comment": "StorageDescriptor.Columns[].Comment",
            f"{_PLACE}.columns[].name": "StorageDescriptor.Columns[].Name",
            f"{_PLACE}.columns[].type": "StorageDescriptor.Columns[].Type",
            f"{_PLACE}.compressed": "StorageDescriptor.Compressed",
            f"{_PLACE}.inputFormat": "StorageDescriptor.InputFormat",
            f"{_PLACE}.location": "StorageDescriptor.Location",
            f"{_PLACE}.outputFormat": "StorageDescriptor.OutputFormat",
            f"{_PLACE}.serDeInfo.name": "StorageDescriptor.SerdeInfo.Name",
            f"{_PLACE}.serDeInfo.parameters": "StorageDescriptor.SerdeInfo.Parameters",
            f"{_PLACE}.serDeInfo.serializationLibrary": "StorageDescriptor.SerdeInfo.SerializationLibrary",
            f"{_PLACE}.storedAsSubDirectories": "StorageDescriptor.StoredAsSubDirectories",
            "tableType": "TableType",
            "viewExpandedText": "ViewExpandedText",
            "viewOriginalText": "ViewOriginalText",
        },
    ),
}

_RESULT, _RESULTS = "configuration.resultConfiguration", "Configuration.ResultConfiguration"

ASKING: Table = {
    "aws:athena/workgroup:Workgroup": Row(
        Look("athena", "get_work_group", {"WorkGroup": "{name}"}, "WorkGroup"),
        {
            "configuration.bytesScannedCutoffPerQuery": "Configuration.BytesScannedCutoffPerQuery",
            "configuration.enforceWorkgroupConfiguration": "Configuration.EnforceWorkGroupConfiguration",
            "configuration.engineVersion.selectedEngineVersion": "Configuration.EngineVersion.SelectedEngineVersion",
            "configuration.publishCloudwatchMetricsEnabled": "Configuration.PublishCloudWatchMetricsEnabled",
            "configuration.requesterPaysEnabled": "Configuration.RequesterPaysEnabled",
            f"{_RESULT}.encryptionConfiguration.encryptionOption": (
                f"{_RESULTS}.EncryptionConfiguration.EncryptionOption"
            ),
            f"{_RESULT}.encryptionConfiguration.kmsKeyArn": f"{_RESULTS}.EncryptionConfiguration.KmsKey",
            f"{_RESULT}.expectedBucketOwner": f"{_RESULTS}.ExpectedBucketOwner",
            f"{_RESULT}.outputLocation": f"{_RESULTS}.OutputLocation",
            "description": "Description",
            "forceDestroy": Nowhere("a word to DeleteWorkGroup"),
            "name": "Name",
            "state": "State",
        },
        tags=Look(
            "athena",
            "list_tags_for_resource",
            {"ResourceARN": "arn:aws:athena:{region}:{account}:workgroup/{name}"},
            "Tags",
        ),
    ),
    "aws:athena/namedQuery:NamedQuery": Row(
        Look("athena", "get_named_query", {"NamedQueryId": "{id}"}, "NamedQuery"),
        {
            "database": "Database",
            "description": "Description",
            "name": "Name",
            "query": "QueryString",
            "workgroup": "WorkGroup",
        },
    ),
}
