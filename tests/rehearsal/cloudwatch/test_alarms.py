"""Alarms: settings, states, history."""

from __future__ import annotations

import json

import pytest

ALARM = {
    "AlarmName": "errors",
    "AlarmDescription": "see docs/runbooks/errors.md",
    "Namespace": "AWS/SageMaker",
    "MetricName": "Invocation5XXErrors",
    "Dimensions": [{"Name": "EndpointName", "Value": "iris"}],
    "Statistic": "Average",
    "Period": 60,
    "EvaluationPeriods": 3,
    "DatapointsToAlarm": 2,
    "Threshold": 0.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}
ARN = "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:errors"


def described(cloudwatch, name="errors"):
    (alarm,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return alarm


def set_state(cloudwatch, value, reason="by hand"):
    cloudwatch.set_alarm_state(AlarmName="errors", StateValue=value, StateReason=reason)


def history(cloudwatch, kind=None):
    asked = {"HistoryItemType": kind} if kind else {}
    items = cloudwatch.describe_alarm_history(AlarmName="errors", **asked)["AlarmHistoryItems"]
    return [item["HistorySummary"] for item in items]


def test_an_alarm_is_described_with_all_settings(cloudwatch):
    cloudwatch.put_metric_alarm(**ALARM)
    found = described(cloudwatch)
    assert {key: found[key] for key in ALARM} == ALARM
    assert found["AlarmArn"] == ARN
    assert found["ActionsEnabled"] is True
    assert (found["OKActions"], found["AlarmActions"], found["InsufficientDataActions"]) == ([], [], [])


def test_a_new_alarm_has_insufficient_data(cloudwatch):
    cloudwatch.put_metric_alarm(**ALARM)
    found = described(cloudwatch)
    assert (found["StateValue"], found["StateReason"]) == ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation")


def test_putting_again_keeps_state_and_tags_and_replaces_settings(cloudwatch):
    cloudwatch.put_metric_alarm(**ALARM, Tags=[{"Key": "team", "Value": "iris"}])
    set_state(cloudwatch, "ALARM")
    without_description = {key: value for key, value in ALARM.items() if key != "AlarmDescription"}
    cloudwatch.put_metric_alarm(**{**without_description, "Threshold": 5.0}, Tags=[{"Key": "x", "Value": "y"}])
    found = described(cloudwatch)
    assert (found["StateValue"], found["Threshold"]) == ("ALARM", 5.0)
    assert "AlarmDescription" not in found
    assert cloudwatch.list_tags_for_resource(ResourceARN=ARN)["Tags"] == [{"Key": "team", "Value": "iris"}]


def test_tags(cloudwatch, refused):
    cloudwatch.put_metric_alarm(**ALARM)
    cloudwatch.tag_resource(ResourceARN=ARN, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}])
    cloudwatch.untag_resource(ResourceARN=ARN, TagKeys=["b"])
    assert cloudwatch.list_tags_for_resource(ResourceARN=ARN)["Tags"] == [{"Key": "a", "Value": "1"}]
    assert refused(cloudwatch.list_tags_for_resource, ResourceARN=f"{ARN}-none")[0] == "ResourceNotFoundException"


def test_metric_math_settings_are_kept(cloudwatch):
    stat = {"Metric": {"Namespace": "App", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}
    metrics = [
        {"Id": "ratio", "Expression": "m / 2", "ReturnData": True},
        {"Id": "m", "MetricStat": stat, "ReturnData": False},
    ]
    shared = {key: ALARM[key] for key in ("AlarmName", "EvaluationPeriods", "Threshold", "ComparisonOperator")}
    cloudwatch.put_metric_alarm(**shared, Metrics=metrics)
    assert [metric["Id"] for metric in described(cloudwatch)["Metrics"]] == ["ratio", "m"]


def test_describing_by_prefix_state_and_action(cloudwatch):
    topic = "arn:aws:sns:eu-west-1:111111111111:page"
    cloudwatch.put_metric_alarm(**ALARM)
    cloudwatch.put_metric_alarm(**{**ALARM, "AlarmName": "latency"})
    set_state(cloudwatch, "OK")

    def names(**asked):
        return [alarm["AlarmName"] for alarm in cloudwatch.describe_alarms(**asked)["MetricAlarms"]]

    assert names() == ["errors", "latency"]
    assert names(AlarmNamePrefix="la") == ["latency"]
    assert names(StateValue="OK") == ["errors"]
    assert names(ActionPrefix=topic) == []
    assert names(AlarmTypes=["CompositeAlarm"]) == []
    assert names(AlarmNames=["none"]) == []
    first = cloudwatch.describe_alarms(MaxRecords=1)
    assert names(MaxRecords=1, NextToken=first["NextToken"]) == ["latency"]


def test_alarms_of_a_metric(cloudwatch):
    cloudwatch.put_metric_alarm(**ALARM)
    metric = {key: ALARM[key] for key in ("Namespace", "MetricName")}
    found = cloudwatch.describe_alarms_for_metric(**metric, Dimensions=ALARM["Dimensions"])["MetricAlarms"]
    assert [alarm["AlarmName"] for alarm in found] == ["errors"]
    assert cloudwatch.describe_alarms_for_metric(**metric)["MetricAlarms"] == []


def test_deleting_all_or_none(cloudwatch, refused):
    cloudwatch.put_metric_alarm(**ALARM)
    code, message = refused(cloudwatch.delete_alarms, AlarmNames=["errors", "none"])
    assert (code, message) == ("ResourceNotFound", "Alarm not found: none")
    assert described(cloudwatch)["AlarmName"] == "errors"
    cloudwatch.delete_alarms(AlarmNames=["errors"])
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []
    # The history outlives the alarm.
    assert history(cloudwatch)[0] == 'Alarm "errors" deleted'


def test_setting_a_state_is_seen_with_its_reason_and_in_the_history(cloudwatch, refused):
    cloudwatch.put_metric_alarm(**ALARM)
    set_state(cloudwatch, "ALARM", "a drill")
    found = described(cloudwatch)
    assert (found["StateValue"], found["StateReason"]) == ("ALARM", "a drill")
    assert found["StateTransitionedTimestamp"] == found["StateUpdatedTimestamp"]
    set_state(cloudwatch, "ALARM", "again")
    assert history(cloudwatch) == ["Alarm updated from INSUFFICIENT_DATA to ALARM", 'Alarm "errors" created']
    (item,) = cloudwatch.describe_alarm_history(AlarmName="errors", HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    data = json.loads(item["HistoryData"])
    assert data["oldState"]["stateValue"] == "INSUFFICIENT_DATA"
    assert data["newState"] == {"stateValue": "ALARM", "stateReason": "a drill"}
    oldest = cloudwatch.describe_alarm_history(ScanBy="TimestampAscending")["AlarmHistoryItems"]
    assert oldest[0]["HistorySummary"] == 'Alarm "errors" created'


def test_states_that_cannot_be_set(cloudwatch, refused):
    asked = {"AlarmName": "errors", "StateValue": "ALARM", "StateReason": "x"}
    assert refused(cloudwatch.set_alarm_state, **asked) == ("ResourceNotFound", "Alarm not found")
    cloudwatch.put_metric_alarm(**ALARM)
    assert refused(cloudwatch.set_alarm_state, **asked, StateReasonData="{")[0] in (
        "InvalidFormat",
        "InvalidFormatFault",
    )


@pytest.mark.parametrize("token", ["nonsense"])
def test_a_bad_token(cloudwatch, refused, token):
    assert "InvalidNextToken" in refused(cloudwatch.describe_alarms, NextToken=token)[0]
