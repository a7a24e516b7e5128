"""Composite alarms: found from their alarms at once, heard like others, held together with what they name."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest

from infra.rehearsal.cloud.overlay import alarm_store

from .test_alarm_actions import Pager, statement

ACCOUNT = "arn:aws:cloudwatch:eu-west-1:111111111111:alarm:"


class Stage(Pager):
    def metric(self, *names):
        for name in names:
            self.alarm(AlarmName=name, AlarmActions=[])

    def composite(self, rule, name="incident", **changes):
        settings = {"AlarmName": name, "AlarmRule": rule, "AlarmDescription": "runbook", "AlarmActions": [self.topic]}
        self.cloudwatch.put_composite_alarm(**{**settings, **changes})

    def set(self, name, value):
        self.cloudwatch.set_alarm_state(AlarmName=name, StateValue=value, StateReason="a drill")

    def one(self, name="incident"):
        (found,) = self.cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm"])["CompositeAlarms"]
        return found

    def state_of(self, name="incident"):
        return self.one(name)["StateValue"]

    def pages(self):
        return [json.loads(message.message) for message in self.cloud.messages]


@pytest.fixture
def stage(cloud):
    found = Stage(cloud)
    found.metric("errors", "slow")
    return found


def test_it_is_evaluated_when_it_is_put_and_reads_back(stage):
    stage.composite("ALARM(errors) OR ALARM(slow)", Tags=[{"Key": "team", "Value": "ml"}])
    found = stage.one()
    assert {key: found[key] for key in ("AlarmArn", "AlarmRule", "ActionsEnabled", "AlarmActions", "OKActions")} == {
        "AlarmArn": f"{ACCOUNT}incident",
        "AlarmRule": "ALARM(errors) OR ALARM(slow)",
        "ActionsEnabled": True,
        "AlarmActions": [stage.topic],
        "OKActions": [],
    }
    assert (found["StateValue"], found["StateReason"]) == (
        "OK",
        f"{ACCOUNT}incident was created and its alarm rule evaluates to OK",
    )
    assert stage.cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"] == [
        {"Key": "team", "Value": "ml"}
    ]


def test_a_change_that_comes_while_it_is_evaluated_is_seen(stage, monkeypatch):
    """Two threads: one sets an alarm and evaluates the incident, the other one sets the alarm back just then."""
    stage.composite("ALARM(errors)")
    back = threading.Thread(target=lambda: stage.set("errors", "OK"))

    def dumps(value, **options):
        if value.get("triggeringAlarms") and not back.ident:
            back.start()
            back.join(0.3)
        return json.dumps(value, **options)

    monkeypatch.setattr(alarm_store, "json", SimpleNamespace(dumps=dumps, loads=json.loads))
    stage.set("errors", "ALARM")
    back.join(10)
    assert stage.state_of() == "OK"


def test_one_incident_is_one_page_that_tells_which_alarm(stage):
    stage.composite("ALARM(errors) OR ALARM(slow)", OKActions=[stage.topic])
    (made,) = stage.pages()
    assert (made["OldStateValue"], made["NewStateValue"]) == ("INSUFFICIENT_DATA", "OK")
    stage.cloud.messages.clear()

    stage.set("errors", "ALARM")
    stage.set("slow", "ALARM")
    (page,) = stage.pages()
    assert (page["AlarmName"], page["OldStateValue"], page["NewStateValue"]) == ("incident", "OK", "ALARM")
    assert page["NewStateReason"].startswith(f"{ACCOUNT}errors transitioned to ALARM at ")
    assert page["NewStateReason"].endswith(" UTC")
    assert page["AlarmRule"] == "ALARM(errors) OR ALARM(slow)"
    ((child,),) = [page["TriggeringChildren"]]
    assert (child["Arn"], child["State"]["Value"]) == (f"{ACCOUNT}errors", "ALARM")
    assert "Trigger" not in page

    stage.set("errors", "OK")
    assert len(stage.pages()) == 1
    stage.set("slow", "OK")
    assert [each["NewStateValue"] for each in stage.pages()] == ["ALARM", "OK"]
    assert stage.state_of() == "OK"


def test_an_alarm_of_metrics_that_rings_by_evaluation_rings_it_too(stage, cloud):
    stage.alarm(AlarmName="errors", AlarmActions=[], EvaluationPeriods=1)
    stage.composite("ALARM(errors)")
    dimensions = {"EndpointName": "iris"}
    cloud.metrics.put("AWS/SageMaker", "Invocation5XXErrors", 1, region="eu-west-1", dimensions=dimensions)
    cloud.clock.advance(180)
    assert "ALARM" in [page["NewStateValue"] for page in stage.pages()]


def test_it_hears_of_other_composites(stage):
    stage.composite("ALARM(errors)", "inner", AlarmActions=[])
    stage.composite("ALARM(inner) AND NOT ALARM(slow)", "outer")
    stage.set("errors", "ALARM")
    assert (stage.state_of("inner"), stage.state_of("outer")) == ("ALARM", "ALARM")
    assert [page["AlarmName"] for page in stage.pages()] == ["outer"]
    stage.set("slow", "ALARM")
    assert stage.state_of("outer") == "OK"


def test_a_set_state_holds_until_one_of_its_alarms_changes_or_it_is_put_again(stage):
    stage.composite("ALARM(errors) OR ALARM(slow)")
    stage.set("incident", "ALARM")
    assert stage.state_of() == "ALARM"
    stage.cloud.clock.advance(600)
    assert stage.state_of() == "ALARM"
    stage.set("errors", "OK")
    assert stage.state_of() == "OK"
    stage.set("incident", "ALARM")
    stage.composite("ALARM(errors) OR ALARM(slow)")
    assert stage.one()["StateReason"] == f"{ACCOUNT}incident was updated and its alarm rule evaluates to OK"


def test_another_rule_is_evaluated_at_once_and_tags_stay(stage):
    stage.set("slow", "ALARM")
    stage.composite("ALARM(errors)", Tags=[{"Key": "team", "Value": "ml"}])
    stage.composite("ALARM(slow)", Tags=[{"Key": "team", "Value": "other"}])
    assert stage.state_of() == "ALARM"
    assert stage.cloudwatch.list_tags_for_resource(ResourceARN=f"{ACCOUNT}incident")["Tags"][0]["Value"] == "ml"


def test_disabled_actions_are_not_run(stage):
    stage.composite("ALARM(errors)")
    stage.cloudwatch.disable_alarm_actions(AlarmNames=["incident"])
    stage.set("errors", "ALARM")
    assert stage.state_of() == "ALARM"
    assert stage.pages() == []


def test_an_action_that_the_topic_refuses_is_in_the_history(stage):
    stage.policy(statement(stage.topic, Condition={"ArnEquals": {"aws:SourceArn": f"{ACCOUNT}other"}}))
    stage.composite("ALARM(errors)")
    stage.set("errors", "ALARM")
    items = stage.cloudwatch.describe_alarm_history(AlarmTypes=["CompositeAlarm"], HistoryItemType="Action")
    (item,) = items["AlarmHistoryItems"]
    assert (item["AlarmName"], item["AlarmType"]) == ("incident", "CompositeAlarm")
    assert "is not authorized to perform: SNS:Publish" in item["HistorySummary"]
    assert stage.actions() == []


def test_what_is_missing_and_what_is_no_rule_is_refused(stage, refused):
    put = stage.cloudwatch.put_composite_alarm
    assert refused(put, AlarmName="x", AlarmRule="ALARM(errors) OR ALARM(gone) OR OK(lost)") == (
        "ValidationError",
        "Could not save the composite alarm as alarms [gone, lost] in the alarm rule do not exist",
    )
    elsewhere = ACCOUNT.replace("eu-west-1", "us-east-1")
    assert "do not exist" in refused(put, AlarmName="x", AlarmRule=f"ALARM({elsewhere}errors)")[1]
    put(AlarmName="x", AlarmRule=f"ALARM({ACCOUNT}errors)")
    code, message = refused(put, AlarmName="y", AlarmRule="ALARM(errors) AND")
    assert code == "ValidationError"
    assert "AlarmRule: Error in AlarmRule [Unsupported token" in message
    assert refused(put, AlarmName="errors", AlarmRule="TRUE")[0] == "ValidationError"
    code, message = refused(stage.alarm, AlarmName="x")
    assert (code, message) == ("ValidationError", "A composite alarm with the name x exists")
    suppressed = {
        "ActionsSuppressor": "slow",
        "ActionsSuppressorWaitPeriod": 60,
        "ActionsSuppressorExtensionPeriod": 60,
    }
    assert refused(put, AlarmName="z", AlarmRule="TRUE", **suppressed)[0] == "NotCarried"
    assert refused(put, AlarmName="z", AlarmRule="AT_LEAST(1, ALARM, (errors, slow))")[0] == "NotCarried"


def test_what_a_composite_names_stays_until_it_is_gone(stage, refused):
    stage.composite("ALARM(errors) OR ALARM(slow)")
    delete = stage.cloudwatch.delete_alarms
    assert refused(delete, AlarmNames=["errors"]) == (
        "ValidationError",
        "Cannot delete errors as there are composite alarm(s) depending on it.",
    )
    assert "depending on them" in refused(delete, AlarmNames=["errors", "slow"])[1]
    stage.composite("TRUE", "other", AlarmActions=[])
    assert "at most one composite alarm" in refused(delete, AlarmNames=["incident", "other"])[1]
    delete(AlarmNames=["incident", "errors", "slow"])
    assert stage.cloudwatch.describe_alarms(AlarmTypes=["MetricAlarm"])["MetricAlarms"] == []


def test_a_circle_is_taken_goes_round_no_further_and_holds_both(stage, refused):
    stage.composite("ALARM(errors)", "one", AlarmActions=[])
    stage.composite("ALARM(one)", "two", AlarmActions=[])
    stage.composite("ALARM(two) OR ALARM(errors)", "one", AlarmActions=[])
    stage.set("errors", "ALARM")
    assert (stage.state_of("one"), stage.state_of("two")) == ("ALARM", "ALARM")
    for name in ("one", "two"):
        assert "depending on it" in refused(stage.cloudwatch.delete_alarms, AlarmNames=[name])[1]
    stage.composite("FALSE", "one", AlarmActions=[])
    stage.cloudwatch.delete_alarms(AlarmNames=["two"])


def test_describing_both_kinds_and_relatives(stage, refused):
    stage.composite("ALARM(errors)")
    describe = stage.cloudwatch.describe_alarms
    assert describe()["CompositeAlarms"] == []
    both = describe(AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    assert [alarm["AlarmName"] for alarm in both["MetricAlarms"]] == ["errors", "slow"]
    assert [alarm["AlarmName"] for alarm in both["CompositeAlarms"]] == ["incident"]
    children = describe(ChildrenOfAlarmName="incident")["MetricAlarms"]
    assert [sorted(child) for child in children] == [["AlarmArn", "AlarmName", "StateUpdatedTimestamp", "StateValue"]]
    (parent,) = describe(ParentsOfAlarmName="errors")["CompositeAlarms"]
    assert parent == {"AlarmName": "incident", "AlarmArn": f"{ACCOUNT}incident"}
    assert refused(describe, ParentsOfAlarmName="errors", StateValue="OK")[0] == "ValidationError"
    assert refused(describe, ParentsOfAlarmName="none")[0] == "ResourceNotFound"


def test_whoever_puts_or_lists_composites_must_be_allowed_it_for_all_alarms(stage, cloud, refused):
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": trust})
    role = iam.create_role(RoleName="deployer", AssumeRolePolicyDocument=document)["Role"]["Arn"]

    def allowed(resource):
        allow = {"Effect": "Allow", "Action": ["cloudwatch:PutCompositeAlarm", "cloudwatch:DescribeAlarms"]}
        policy = json.dumps({"Version": "2012-10-17", "Statement": {**allow, "Resource": resource}})
        iam.put_role_policy(RoleName="deployer", PolicyName="own", PolicyDocument=policy)
        return cloud.assume_role(role, service="codebuild.amazonaws.com", session_name="x").client("cloudwatch")

    narrow = allowed(f"{ACCOUNT}*")
    assert refused(narrow.put_composite_alarm, AlarmName="x", AlarmRule="TRUE")[0] == "AccessDenied"
    asked = {"AlarmNames": ["errors"], "AlarmTypes": ["CompositeAlarm"]}
    assert refused(narrow.describe_alarms, **asked)[0] == "AccessDenied"
    assert len(narrow.describe_alarms(AlarmNames=["errors"])["MetricAlarms"]) == 1
    allowed("*").put_composite_alarm(AlarmName="x", AlarmRule="TRUE")
