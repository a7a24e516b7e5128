"""Alarms follow their metrics: each minute of the cloud's clock, through boto3, to a page."""

from __future__ import annotations

import itertools
import json
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from infra.rehearsal.cloud.overlay import alarm_evaluation
from infra.rehearsal.cloud.overlay.cloudwatch_alarms import evaluate_now

ARN = "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:loss"
ALARM = {
    "AlarmName": "loss",
    "Namespace": "Mainstage",
    "MetricName": "Lost",
    "Dimensions": [{"Name": "LogName", "Value": "dev-iris"}],
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "DatapointsToAlarm": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanOrEqualToThreshold",
    "TreatMissingData": "notBreaching",
}
SHARED = ("AlarmName", "EvaluationPeriods", "DatapointsToAlarm", "Threshold", "ComparisonOperator", "TreatMissingData")


class Stage:
    """A cloud whose clock stands at the beginning of a minute, with a topic that CloudWatch may publish to."""

    def __init__(self, cloud):
        self.cloud, self.cloudwatch, self.sns = cloud, cloud.client("cloudwatch"), cloud.client("sns")
        cloud.clock.advance(61 - cloud.clock.now().timestamp() % 60)
        self.minute = cloud.clock.now().replace(second=0, microsecond=0)
        self.topic = self.sns.create_topic(Name="page")["TopicArn"]
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "cloudwatch.amazonaws.com"},
            "Action": "sns:Publish",
            "Resource": self.topic,
        }
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.sns.set_topic_attributes(TopicArn=self.topic, AttributeName="Policy", AttributeValue=document)

    def alarm(self, **changes):
        self.cloudwatch.put_metric_alarm(**{**ALARM, **changes})

    def math_alarm(self, *queries, **changes):
        shared = {member: ALARM[member] for member in SHARED}
        self.cloudwatch.put_metric_alarm(**{**shared, "Metrics": list(queries), **changes})

    def put(self, value, name="Lost", **options):
        dimensions = {"LogName": "dev-iris"}
        self.cloud.metrics.put("Mainstage", name, value, region="eu-west-1", dimensions=dimensions, **options)

    def minutes(self, count=1):
        self.cloud.clock.advance(60 * count)

    def found(self):
        (alarm,) = self.cloudwatch.describe_alarms(AlarmNames=["loss"])["MetricAlarms"]
        return alarm

    @property
    def state(self):
        return self.found()["StateValue"]

    def pages(self):
        return [message.subject.partition(":")[0] for message in self.cloud.messages]

    def changes(self):
        items = self.cloudwatch.describe_alarm_history(
            AlarmName="loss", HistoryItemType="StateUpdate", ScanBy="TimestampAscending"
        )["AlarmHistoryItems"]
        return [item["HistorySummary"].removeprefix("Alarm updated from ") for item in items]


@pytest.fixture
def stage(cloud):
    return Stage(cloud)


def query(name, metric, stat="Sum", period=60):
    dimensions = [{"Name": "LogName", "Value": "dev-iris"}]
    measured = {"Namespace": "Mainstage", "MetricName": metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": measured, "Period": period, "Stat": stat}, "ReturnData": False}


def test_a_breach_rings_with_aws_words_and_pages_once(stage):
    stage.alarm(AlarmActions=[stage.topic], OKActions=[stage.topic])
    assert stage.state == "INSUFFICIENT_DATA"
    stage.minutes()
    assert (stage.state, stage.pages()) == ("OK", ["OK"])
    minute = stage.cloud.clock.now().replace(second=0, microsecond=0)
    stage.put(2)
    stage.put(3)
    stage.minutes()
    found = stage.found()
    assert found["StateValue"] == "ALARM"
    assert found["StateReason"] == (
        f"Threshold Crossed: 1 out of the last 1 datapoints [5.0 ({minute:%d/%m/%y %H:%M:%S})] was greater than or "
        "equal to the threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    data = json.loads(found["StateReasonData"])
    assert (data["statistic"], data["period"], data["recentDatapoints"]) == ("Sum", 60, [5.0])
    stamp = f"{minute:%Y-%m-%dT%H:%M:%S}.000+0000"
    assert data["evaluatedDatapoints"] == [{"timestamp": stamp, "sampleCount": 2.0, "value": 5.0}]
    stage.minutes()
    assert stage.pages() == ["OK", "ALARM"]
    text = json.loads(stage.cloud.messages[-1].message)
    assert (text["NewStateValue"], text["NewStateReason"]) == ("ALARM", found["StateReason"])


def test_it_is_over_when_the_breach_has_left_the_evaluation_range(stage):
    stage.alarm()
    stage.put(5)
    stage.minutes()
    assert stage.state == "ALARM"
    stage.minutes(2)
    assert stage.state == "ALARM"
    stage.minutes()
    assert stage.found()["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was treated as "
        "[NonBreaching]."
    )
    assert stage.changes() == ["INSUFFICIENT_DATA to ALARM", "ALARM to OK"]


def test_the_history_tells_both_states_with_their_data(stage):
    stage.alarm()
    stage.put(5)
    stage.minutes()
    (item,) = stage.cloudwatch.describe_alarm_history(AlarmName="loss", HistoryItemType="StateUpdate")[
        "AlarmHistoryItems"
    ]
    data = json.loads(item["HistoryData"])
    assert data["oldState"] == {
        "stateValue": "INSUFFICIENT_DATA",
        "stateReason": "Unchecked: Initial alarm creation",
    }
    assert data["newState"]["stateValue"] == "ALARM"
    assert data["newState"]["stateReasonData"]["recentDatapoints"] == [5.0]


@pytest.mark.parametrize(
    ("missing", "state"),
    [
        ("missing", "INSUFFICIENT_DATA"),
        ("ignore", "INSUFFICIENT_DATA"),
        ("breaching", "ALARM"),
        ("notBreaching", "OK"),
    ],
)
def test_a_metric_that_nobody_publishes(stage, missing, state):
    stage.alarm(TreatMissingData=missing)
    stage.minutes(2)
    assert stage.state == state


def test_two_of_three(stage):
    stage.alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    for value in (5, 0, 0, 5, 5):
        stage.put(value)
        stage.minutes()
    assert stage.changes() == ["INSUFFICIENT_DATA to OK", "OK to ALARM"]


def test_every_minute_that_passes_is_evaluated_in_its_order(stage):
    stage.alarm()
    for position, value in enumerate((0, 5, 0, 5, 0)):
        stage.put(value, at=stage.minute + timedelta(minutes=position))
    stage.minutes(5)
    assert stage.changes() == [
        "INSUFFICIENT_DATA to OK",
        "OK to ALARM",
        "ALARM to OK",
        "OK to ALARM",
        "ALARM to OK",
    ]
    items = stage.cloudwatch.describe_alarm_history(
        AlarmName="loss", HistoryItemType="StateUpdate", ScanBy="TimestampAscending"
    )["AlarmHistoryItems"]
    gaps = [after["Timestamp"] - before["Timestamp"] for before, after in itertools.pairwise(items)]
    assert all(timedelta(seconds=59) < gap < timedelta(seconds=61) for gap in gaps)


def test_a_period_that_is_not_over_does_not_count(stage):
    stage.cloud.clock.advance(30)
    stage.alarm(TreatMissingData="missing")
    stage.cloud.clock.advance(45)
    stage.put(5)
    stage.cloud.clock.advance(20)
    assert stage.state == "INSUFFICIENT_DATA"
    stage.minutes()
    assert stage.state == "ALARM"


def test_periods_of_minutes_end_at_the_whole_minute(stage):
    stage.alarm(Period=180, Threshold=6.0)
    for position in range(3):
        stage.put(2, at=stage.minute + timedelta(minutes=position))
    stage.minutes(2)
    assert stage.state == "OK"
    stage.minutes()
    assert stage.state == "ALARM"
    assert f"[6.0 ({stage.minute:%d/%m/%y %H:%M:%S})]" in stage.found()["StateReason"]


def test_a_short_period_is_evaluated_every_ten_seconds(stage):
    stage.alarm(Period=10, TreatMissingData="missing")
    stage.put(5, resolution_seconds=1)
    stage.cloud.clock.advance(10)
    assert stage.state == "ALARM"


def test_a_unit_is_another_metric(stage):
    stage.alarm(Unit="Count", TreatMissingData="missing")
    stage.put(5, unit="None")
    stage.minutes()
    assert stage.state == "INSUFFICIENT_DATA"
    stage.put(5, unit="Count")
    stage.minutes()
    assert stage.state == "ALARM"
    assert json.loads(stage.found()["StateReasonData"])["unit"] == "Count"


def test_a_state_that_was_set_holds_until_the_next_evaluation(stage):
    stage.alarm(AlarmActions=[stage.topic], OKActions=[stage.topic])
    stage.minutes()
    stage.cloudwatch.set_alarm_state(AlarmName="loss", StateValue="ALARM", StateReason="a drill")
    assert stage.found()["StateReason"] == "a drill"
    stage.cloud.clock.advance(30)
    assert stage.state == "ALARM"
    stage.cloud.clock.advance(30)
    assert (stage.state, stage.pages()) == ("OK", ["OK", "ALARM", "OK"])


def test_switched_off_actions_stay_silent_while_the_state_changes(stage):
    stage.alarm(AlarmActions=[stage.topic], ActionsEnabled=False)
    stage.put(5)
    stage.minutes()
    assert (stage.state, stage.pages()) == ("ALARM", [])


LOST = {"Id": "lost", "Expression": "FILL(served, 0) - FILL(handed, 0)", "Label": "lost", "ReturnData": True}


def test_the_loss_of_a_log(stage):
    stage.math_alarm(query("served", "Served"), query("handed", "HandedOver"), LOST, AlarmActions=[stage.topic])
    for _ in range(5):
        stage.put(1, "Served")
        stage.put(1, "HandedOver")
    stage.minutes()
    assert (stage.state, stage.pages()) == ("OK", [])
    stage.put(4, "Served")
    stage.put(1, "HandedOver")
    stage.minutes()
    assert (stage.state, stage.pages()) == ("ALARM", ["ALARM"])
    assert "[3.0 (" in stage.found()["StateReason"]
    assert "statistic" not in json.loads(stage.found()["StateReasonData"])
    metrics = json.loads(stage.cloud.messages[-1].message)["Trigger"]["Metrics"]
    assert [each["Id"] for each in metrics] == ["served", "handed", "lost"]
    stage.put(2, "Served")
    stage.put(2, "HandedOver")
    stage.minutes()
    assert stage.state == "OK"


@pytest.mark.parametrize(("samples", "state"), [(999, "INSUFFICIENT_DATA"), (1000, "ALARM")])
def test_a_percentile_of_few_samples_is_ignored_when_the_alarm_says_so(stage, samples, state):
    settings = {member: value for member, value in ALARM.items() if member != "Statistic"}
    stage.cloudwatch.put_metric_alarm(**settings, ExtendedStatistic="p99", EvaluateLowSampleCountPercentile="ignore")
    stage.put(9, count=samples)
    stage.minutes()
    assert stage.state == state


def test_a_percentile_of_few_samples_counts_otherwise(stage):
    settings = {member: value for member, value in ALARM.items() if member != "Statistic"}
    stage.cloudwatch.put_metric_alarm(**settings, ExtendedStatistic="p99")
    stage.put(9)
    stage.minutes()
    assert stage.state == "ALARM"
    assert json.loads(stage.found()["StateReasonData"])["statistic"] == "p99"


def test_other_regions_have_their_own_metrics(stage):
    stage.cloud.client("cloudwatch", "us-east-1").put_metric_alarm(**ALARM)
    stage.alarm()
    stage.put(5)
    stage.minutes()
    (other,) = stage.cloud.client("cloudwatch", "us-east-1").describe_alarms()["MetricAlarms"]
    assert (stage.state, other["StateValue"]) == ("ALARM", "OK")


def test_evaluating_without_waiting(stage):
    stage.alarm()
    stage.put(5, at=stage.minute - timedelta(minutes=1))
    assert stage.state == "INSUFFICIENT_DATA"
    evaluate_now(stage.cloud)
    assert stage.state == "ALARM"


def test_new_settings_are_evaluated_and_a_deleted_alarm_is_not(stage):
    stage.alarm()
    stage.put(5)
    stage.minutes()
    stage.alarm(Threshold=6.0)
    assert stage.state == "ALARM"
    stage.minutes()
    assert stage.state == "OK"
    stage.cloudwatch.delete_alarms(AlarmNames=["loss"])
    stage.minutes(3)
    assert stage.cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_settings_that_come_while_it_is_evaluated_are_evaluated_next(stage, monkeypatch):
    read_periods = alarm_evaluation.read_periods

    def read(*given, **options):
        found = read_periods(*given, **options)
        monkeypatch.setattr(alarm_evaluation, "read_periods", read_periods)
        stage.alarm(TreatMissingData="breaching")
        return found

    stage.alarm(TreatMissingData="notBreaching")
    stage.minutes()
    assert stage.state == "OK"
    monkeypatch.setattr(alarm_evaluation, "read_periods", read)
    stage.minutes(3)
    assert stage.state == "ALARM"


def test_a_long_way_without_data_is_short_and_later_data_is_seen(stage):
    for number in range(60):
        stage.alarm(AlarmName=f"quiet-{number}")
    stage.alarm()
    started = time.thread_time()
    stage.minutes(24 * 60)
    assert time.thread_time() - started < 20
    assert stage.state == "OK"
    stage.put(5)
    stage.minutes()
    assert stage.state == "ALARM"


def test_values_for_a_later_minute_are_seen_when_it_comes(stage):
    stage.alarm()
    stage.put(5, at=stage.minute + timedelta(minutes=30))
    stage.minutes(30)
    assert stage.state == "OK"
    stage.minutes()
    assert stage.state == "ALARM"


def test_real_time_evaluates_too(stage, monkeypatch):
    """The thread wakes by itself when an alarm is due: this one is, a moment after it was put."""
    from infra.rehearsal.cloud.overlay.cloudwatch_alarms import alarms_of

    stage.alarm()
    alarms = alarms_of(stage.cloud)
    done = threading.Event()
    note = alarms.note

    def noted(*told):
        note(*told)
        done.set()

    monkeypatch.setattr(alarms, "note", noted)
    with alarms.lock:
        found = alarms.get("eu-west-1", "loss")
        assert found is not None
        found.due = stage.cloud.clock.now() + timedelta(seconds=0.05)
    alarms.evaluator.start()
    assert done.wait(30)
    assert stage.state == "OK"


def test_the_thread_ends_with_the_alarms(stage):
    def running():
        return [thread for thread in threading.enumerate() if thread.name == "mainstage-alarms"]

    stage.alarm()
    assert len(running()) == 1
    stage.cloud.reset()
    assert running() == []
    assert stage.cloud.clock.advance(120) - datetime.now(UTC) > timedelta(seconds=119)


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"Metrics": [{"Id": "e", "Expression": "SEARCH('{App} m', 'Sum')"}]}, "NotCarried", "the function SEARCH"),
        ({"Metrics": [{"Id": "e", "Expression": "NOPE(1)"}]}, "ValidationError", "The function NOPE does not exist"),
        ({"Metrics": [query("m", "Served"), {"Id": "e", "Expression": "x"}]}, "ValidationError", "x is not defined"),
        ({"Metrics": [query("m", "Served"), {"Id": "e", "Expression": "[m, m]"}]}, "ValidationError", "exactly one"),
        (
            {"Metrics": [query("a", "A"), query("b", "B", period=300), {"Id": "e", "Expression": "a + b"}]},
            "ValidationError",
            "must have the same period",
        ),
        (
            {"Metrics": [query("m", "Served", stat="tm90"), {"Id": "e", "Expression": "m"}]},
            "NotCarried",
            "'tm90'",
        ),
        (
            {
                "Metrics": [query("m", "Served"), {"Id": "e", "Expression": "m"}],
                "ComparisonOperator": "GreaterThanUpperThreshold",
            },
            "ValidationError",
            "needs a band",
        ),
    ],
)
def test_alarms_that_cannot_be_evaluated_are_refused(stage, refused, changes, code, says):
    shared = {member: ALARM[member] for member in SHARED}
    found, message = refused(stage.cloudwatch.put_metric_alarm, **{**shared, **changes})
    assert found == code
    assert says in message
    assert stage.cloudwatch.describe_alarms()["MetricAlarms"] == []
