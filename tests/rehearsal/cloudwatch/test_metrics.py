"""PutMetricData, GetMetricStatistics, GetMetricData and ListMetrics, through boto3."""

from __future__ import annotations

from datetime import timedelta

import pytest


def put(cloudwatch, *values, namespace="App", name="Latency", **options):
    data = [{"MetricName": name, "Value": value, **options} for value in values]
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=data)


def span(cloud, minutes=10):
    now = cloud.clock.now()
    return {"StartTime": now - timedelta(minutes=minutes), "EndTime": now + timedelta(minutes=1)}


def test_what_was_put_comes_back_exact(cloud, cloudwatch):
    put(cloudwatch, *range(1, 101), Unit="Milliseconds", Dimensions=[{"Name": "Model", "Value": "iris"}])
    (point,) = cloudwatch.get_metric_statistics(
        Namespace="App",
        MetricName="Latency",
        Dimensions=[{"Name": "Model", "Value": "iris"}],
        Period=3600,
        Statistics=["SampleCount", "Average", "Sum", "Minimum", "Maximum"],
        ExtendedStatistics=["p50", "p99", "p99.9"],
        **span(cloud),
    )["Datapoints"]
    assert {key: point[key] for key in ("SampleCount", "Average", "Sum", "Minimum", "Maximum", "Unit")} == {
        "SampleCount": 100,
        "Average": 50.5,
        "Sum": 5050,
        "Minimum": 1,
        "Maximum": 100,
        "Unit": "Milliseconds",
    }
    assert point["ExtendedStatistics"] == {
        "p50": 50.5,
        "p99": pytest.approx(99.01),
        "p99.9": pytest.approx(99.901),
    }


def test_values_with_counts_and_statistic_sets(cloud, cloudwatch):
    put_all = [
        {"MetricName": "m", "Values": [1.0, 5.0], "Counts": [3.0, 1.0]},
        {"MetricName": "m", "StatisticValues": {"SampleCount": 2, "Sum": 10, "Minimum": 4, "Maximum": 6}},
    ]
    cloudwatch.put_metric_data(Namespace="App", MetricData=put_all)
    (point,) = cloudwatch.get_metric_statistics(
        Namespace="App", MetricName="m", Period=3600, Statistics=["SampleCount", "Sum", "Maximum"], **span(cloud)
    )["Datapoints"]
    assert (point["SampleCount"], point["Sum"], point["Maximum"]) == (6, 18, 6)


def test_another_dimension_set_is_another_metric(cloud, cloudwatch):
    put(cloudwatch, 1, Dimensions=[{"Name": "Model", "Value": "iris"}])
    found = cloudwatch.get_metric_statistics(
        Namespace="App", MetricName="Latency", Period=60, Statistics=["Sum"], **span(cloud)
    )
    assert found["Datapoints"] == []


def test_metric_data_in_both_orders(cloud, cloudwatch):
    now = cloud.clock.now().replace(second=0, microsecond=0)
    for minutes, value in ((3, 1.0), (1, 2.0)):
        put(cloudwatch, value, Timestamp=now - timedelta(minutes=minutes))
    query = {
        "Id": "one",
        "MetricStat": {"Metric": {"Namespace": "App", "MetricName": "Latency"}, "Period": 60, "Stat": "p90"},
    }
    asked = {"MetricDataQueries": [query], "StartTime": now - timedelta(minutes=5), "EndTime": now}
    (result,) = cloudwatch.get_metric_data(**asked)["MetricDataResults"]
    assert (result["Id"], result["Label"], result["StatusCode"]) == ("one", "Latency", "Complete")
    assert result["Values"] == [2.0, 1.0]
    assert result["Timestamps"] == [now - timedelta(minutes=1), now - timedelta(minutes=3)]
    (result,) = cloudwatch.get_metric_data(**asked, ScanBy="TimestampAscending")["MetricDataResults"]
    assert result["Values"] == [1.0, 2.0]


def test_metric_math_over_what_was_put(cloud, cloudwatch):
    now = cloud.clock.now().replace(second=0, microsecond=0)
    for minutes, value, name in ((3, 9.0, "Served"), (2, 4.0, "Served"), (3, 7.0, "HandedOver")):
        put(cloudwatch, value, name=name, Timestamp=now - timedelta(minutes=minutes))

    def summed(name):
        metric = {"Namespace": "App", "MetricName": name}
        return {"MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}, "ReturnData": False}

    queries = [
        {"Id": "served", **summed("Served")},
        {"Id": "handed", **summed("HandedOver")},
        {"Id": "lost", "Expression": "FILL(served, 0) - FILL(handed, 0)", "Label": "lost predictions"},
        {"Id": "both", "Expression": "METRICS() * 2"},
    ]
    asked = {"MetricDataQueries": queries, "StartTime": now - timedelta(minutes=4), "EndTime": now}
    lost, served, handed = cloudwatch.get_metric_data(**asked, ScanBy="TimestampAscending")["MetricDataResults"]
    assert (lost["Id"], lost["Label"], lost["Values"]) == ("lost", "lost predictions", [0, 2, 4, 0])
    assert lost["Timestamps"][0] == now - timedelta(minutes=4)
    assert [(each["Id"], each["Values"]) for each in (served, handed)] == [("both", [18, 8]), ("both", [14])]


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ({"Expression": "SEARCH('{App} m', 'Sum')"}, "NotCarried", "does not carry the function SEARCH."),
        ({"Expression": "SELECT SUM(m) FROM App"}, "NotCarried", "does not carry Metrics Insights queries."),
        ({"Expression": "NOPE(1)"}, "ValidationError", "Error in expression 'e': The function NOPE does not exist"),
        ({"Expression": "1 + 1"}, "ValidationError", "Error in expression 'e': The final result of an expression must"),
        ({}, "ValidationError", "must have exactly one of MetricStat and Expression."),
    ],
)
def test_queries_that_are_refused(cloud, cloudwatch, refused, query, code, says):
    found, message = refused(cloudwatch.get_metric_data, MetricDataQueries=[{"Id": "e", **query}], **span(cloud))
    assert found == code
    assert says in message


@pytest.mark.parametrize(("statistic", "code"), [("tm90", "NotCarried"), ("p101", "InvalidParameterValue")])
def test_statistics_that_cannot_be_had(cloud, cloudwatch, refused, statistic, code):
    asked = {"Namespace": "App", "MetricName": "m", "Period": 60, "ExtendedStatistics": [statistic], **span(cloud)}
    assert refused(cloudwatch.get_metric_statistics, **asked)[0] in (code, "ValidationError")


def test_service_namespaces_are_the_services_own(cloudwatch, refused):
    data = [{"MetricName": "Invocations", "Value": 1.0}]
    assert refused(cloudwatch.put_metric_data, Namespace="AWS/SageMaker", MetricData=data) == (
        "InvalidParameterValue",
        "The value AWS/SageMaker for parameter Namespace is invalid.",
    )


@pytest.mark.parametrize(
    "datum",
    [
        {"Value": 1.0, "Values": [1.0]},
        {},
        {"Values": [1.0, 2.0], "Counts": [1.0]},
        {"Value": float("nan")},
        {"Value": 2.0**361},
    ],
)
def test_bad_data_is_refused_and_nothing_of_its_request_is_kept(cloudwatch, refused, datum):
    data = [{"MetricName": "good", "Value": 1.0}, {"MetricName": "bad", **datum}]
    code, _ = refused(cloudwatch.put_metric_data, Namespace="App", MetricData=data)
    assert code in ("InvalidParameterValue", "InvalidParameterCombination")
    assert cloudwatch.list_metrics()["Metrics"] == []


@pytest.mark.parametrize("away", [timedelta(weeks=-3), timedelta(hours=3)])
def test_times_too_far_away(cloud, cloudwatch, refused, away):
    data = [{"MetricName": "m", "Value": 1.0, "Timestamp": cloud.clock.now() + away}]
    assert refused(cloudwatch.put_metric_data, Namespace="App", MetricData=data)[0] == "InvalidParameterValue"


def test_too_many_datapoints_are_refused(cloud, cloudwatch, refused):
    asked = {"Namespace": "App", "MetricName": "m", "Period": 60, "Statistics": ["Sum"]}
    code, message = refused(cloudwatch.get_metric_statistics, **asked, **span(cloud, 1440))
    assert code == "InvalidParameterCombination"
    assert message.startswith("You have requested up to 1,441 datapoints, which exceeds the limit of 1,440.")


def test_an_odd_period_or_span(cloud, cloudwatch, refused):
    asked = {"Namespace": "App", "MetricName": "m", "Statistics": ["Sum"]}
    assert refused(cloudwatch.get_metric_statistics, **asked, Period=45, **span(cloud))[0] in (
        "InvalidParameterValue",
        "ValidationError",
    )
    now = cloud.clock.now()
    backwards = {"StartTime": now, "EndTime": now - timedelta(hours=1)}
    code, _ = refused(cloudwatch.get_metric_statistics, **asked, Period=60, **backwards)
    assert code == "InvalidParameterCombination"


def test_listing_by_namespace_name_and_dimension(cloudwatch):
    put(cloudwatch, 1, Dimensions=[{"Name": "Model", "Value": "iris"}])
    put(cloudwatch, 1, name="Errors")
    put(cloudwatch, 1, namespace="Other")
    names = [(entry["Namespace"], entry["MetricName"]) for entry in cloudwatch.list_metrics()["Metrics"]]
    assert names == [("App", "Errors"), ("App", "Latency"), ("Other", "Latency")]
    assert len(cloudwatch.list_metrics(Namespace="App")["Metrics"]) == 2
    assert len(cloudwatch.list_metrics(MetricName="Latency")["Metrics"]) == 2
    found = cloudwatch.list_metrics(Dimensions=[{"Name": "Model"}])["Metrics"]
    assert found == [{"Namespace": "App", "MetricName": "Latency", "Dimensions": [{"Name": "Model", "Value": "iris"}]}]


def test_recently_active(cloud, cloudwatch):
    put(cloudwatch, 1)
    cloud.clock.advance(4 * 3600)
    put(cloudwatch, 1, name="Errors")
    recent = cloudwatch.list_metrics(RecentlyActive="PT3H")["Metrics"]
    assert [entry["MetricName"] for entry in recent] == ["Errors"]
