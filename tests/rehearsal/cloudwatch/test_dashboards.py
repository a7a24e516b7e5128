"""Dashboards: what a body may hold, which metrics it names, and the calls on them."""

from __future__ import annotations

import json

import pytest

from infra.rehearsal.cloud.dashboards import ShownMetric, alarms_of, metrics_of, metrics_of_alarm, validate

GRAPH = {
    "type": "metric",
    "x": 0,
    "y": 0,
    "width": 12,
    "height": 6,
    "properties": {
        "region": "eu-west-1",
        "title": "latency",
        "period": 60,
        "stat": "p99",
        "metrics": [
            ["Mainstage", "FrontDoorLatency", "EndpointName", "iris", "ModelVersion", "1"],
            ["...", "2", {"stat": "p50"}],
            [".", "Served", "LogName", "iris", {"id": "served", "yAxis": "right"}],
            [{"expression": "served * 2", "label": "twice", "id": "twice"}],
            [".", "HandedOver", ".", "."],
        ],
    },
}
TEXT = {"type": "text", "properties": {"markdown": "# iris"}}
ALARMS = {"type": "alarm", "properties": {"alarms": ["arn:aws:cloudwatch:eu-west-1:111111111111:alarm:loss"]}}
LOGS = {"type": "log", "properties": {"region": "eu-west-1", "query": "SOURCE 'x' | fields @message"}}


def body(*widgets, **root):
    return json.dumps({"widgets": list(widgets), **root})


def graph(**properties):
    return {**GRAPH, "properties": {**GRAPH["properties"], **properties}}


def problems(text):
    found = validate(text)
    return [(error.path, error.text) for error in found.errors]


def test_a_good_body_has_nothing_to_say():
    found = validate(body(GRAPH, TEXT, ALARMS, LOGS, periodOverride="inherit", start="-PT3H"))
    assert (found.errors, found.warnings, found.uncarried) == ([], [], [])


def test_shorthands_are_written_out():
    assert metrics_of(body(TEXT, GRAPH)) == [
        ShownMetric("Mainstage", "FrontDoorLatency", {"EndpointName": "iris", "ModelVersion": "1"}, "p99"),
        ShownMetric("Mainstage", "FrontDoorLatency", {"EndpointName": "iris", "ModelVersion": "2"}, "p50"),
        ShownMetric("Mainstage", "Served", {"LogName": "iris"}, "p99"),
        ShownMetric("Mainstage", "HandedOver", {"LogName": "iris"}, "p99"),
    ]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (["..."], ["N", "m", "d", "1"]),
        (["...", "2"], ["N", "m", "d", "2"]),
        ([".", "other", "..."], ["N", "other", "d", "1"]),
        ([".", ".", "e", "."], ["N", "m", "e", "1"]),
        (["N", "alone"], ["N", "alone"]),
    ],
)
def test_each_shorthand(row, expected):
    shown = metrics_of({"widgets": [graph(metrics=[["N", "m", "d", "1"], row])]})[1]
    assert [shown.namespace, shown.name, *(part for pair in shown.dimensions.items() for part in pair)] == expected


def test_a_widget_without_a_statistic_shows_averages():
    widget = {"type": "metric", "properties": {"region": "eu-west-1", "metrics": [["N", "m"]]}}
    assert metrics_of({"widgets": [widget]}) == [ShownMetric("N", "m", {}, "Average")]


def test_alarms_of_widgets_and_annotations():
    arn = ALARMS["properties"]["alarms"][0]
    annotated = {"type": "metric", "properties": {"region": "eu-west-1", "annotations": {"alarms": [arn]}}}
    assert validate(body(annotated)).errors == []
    assert alarms_of(body(ALARMS, annotated, TEXT)) == [arn, arn]


def test_the_metrics_of_an_alarm():
    dimensions = [{"Name": "LogName", "Value": "iris"}]
    metric = {"Namespace": "Mainstage", "MetricName": "Served", "Dimensions": dimensions}
    served = ("Mainstage", "Served", {"LogName": "iris"})
    assert metrics_of_alarm({**metric, "Statistic": "Sum"}) == [ShownMetric(*served, "Sum")]
    assert metrics_of_alarm({**metric, "ExtendedStatistic": "p99"}) == [ShownMetric(*served, "p99")]
    queries = [
        {"Id": "s", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum"}},
        {"Id": "e", "Expression": "s"},
    ]
    assert metrics_of_alarm({"Metrics": queries}) == [ShownMetric(*served, "Sum")]


ROWS = "/widgets/0/properties/metrics"


@pytest.mark.parametrize(
    ("rows", "path", "text"),
    [
        ([[".", "m"]], f"{ROWS}/0", 'The shorthands "." and "..." need a row above that they repeat'),
        ([["N", "m"], ["...", "a", "b", "c"]], f"{ROWS}/1", 'The shorthands "." and "..." need a row above'),
        ([["N"]], f"{ROWS}/0", "Should NOT have less than 2 items"),
        ([["N", "m", "d"]], f"{ROWS}/0", "Should NOT have more than 2 items"),
        ([["N", "m", 3, "x"]], f"{ROWS}/0", 'Invalid metric field type, only "String" type is allowed'),
        ([["N", {"stat": "Sum"}, "m"]], f"{ROWS}/0", "Metric rendering properties must be the last element"),
        ([["N", "m", {"color": "red"}]], f"{ROWS}/0/color", "'red' is no color such as #1f77b4"),
        ([["N", "m", {"stat": "median"}]], f"{ROWS}/0/stat", "'median' is no statistic"),
        ([["N", "m", {"period": 45}]], f"{ROWS}/0/period", "Should be 1, 5, 10, 20, 30 or a multiple of 60"),
        ([["N", "m", {"id": "Big"}]], f"{ROWS}/0/id", "'Big' is no id"),
        ([["N", "m", {"id": "a"}], ["N", "o", {"id": "a"}]], f"{ROWS}/1/id", "The id 'a' is given twice"),
        ([["N", "m", {"yAxis": "up"}]], f"{ROWS}/0/yAxis", "Should be equal to one of the allowed values"),
        ([["N", "m", {"expression": "a"}]], f"{ROWS}/0", "An expression stands alone in its row"),
        ([["N", "m"]] * 501, ROWS, "Should NOT have more than 500 items"),
    ],
)
def test_rows_that_are_refused(rows, path, text):
    ((where, message),) = problems(body(graph(metrics=rows)))
    assert where == path
    assert message.startswith(text)


def test_a_row_that_is_no_list_has_both_of_awss_messages():
    assert [text for _, text in problems(body(graph(metrics=["N"])))] == [
        "Should be array",
        'Field "metrics" has to be an array of array of strings, with an optional metricRenderer object as last '
        "element",
    ]


def without(widget, name):
    return {**widget, "properties": {key: value for key, value in widget["properties"].items() if key != name}}


SOURCE = "The metric widget should have specified a region and a data source or an alarm annotation"


@pytest.mark.parametrize(
    ("widget", "expected"),
    [
        (
            without(GRAPH, "metrics"),
            ["Should have required property 'metrics'", SOURCE, "Should have required property 'annotations'"],
        ),
        (without(GRAPH, "region"), ["Should have required property 'region'", SOURCE]),
        ({**GRAPH, "width": 25}, ["Should be <= 24"]),
        ({**GRAPH, "x": -1}, ["Should be >= 0"]),
        ({**GRAPH, "height": 1.5}, ["Should be integer"]),
        ({key: value for key, value in GRAPH.items() if key != "y"}, ["x and y must be given together"]),
        (graph(view="gauge"), ["A gauge needs yAxis.left.min and yAxis.left.max"]),
        (graph(region="here"), ["'here' is no region"]),
        (graph(stat="p101"), ["'p101' is no statistic"]),
        ({"type": "text", "properties": {}}, ["Should have required property 'markdown'"]),
        ({"type": "alarm", "properties": {"alarms": []}}, ["Should NOT have less than 1 items"]),
        ({"type": "alarm", "properties": {"alarms": ["loss"]}}, ["'loss' is no ARN of an alarm"]),
        ({"type": "log", "properties": {"region": "eu-west-1"}}, ["Should have required property 'query'"]),
        ({"type": "metric"}, ["Should have required property 'properties'"]),
        ({"properties": {}}, ["Should have required property 'type'"]),
        ("text", ["Should be object"]),
    ],
)
def test_widgets_that_are_refused(widget, expected):
    assert [text for _, text in problems(body(widget))] == expected


def test_limits_of_a_dashboard():
    assert problems(body(*[TEXT] * 501)) == [("/widgets", "Should NOT have more than 500 items")]
    six = [graph(metrics=[["N", "m"]] * 417)] * 6
    assert problems(body(*six)) == [("/widgets", "A dashboard shows at most 2500 metrics, this one 2502")]


def test_what_is_put_comes_back(cloud, cloudwatch):
    assert (
        cloudwatch.put_dashboard(DashboardName="iris", DashboardBody=body(GRAPH))["DashboardValidationMessages"] == []
    )
    found = cloudwatch.get_dashboard(DashboardName="iris")
    assert found["DashboardBody"] == body(GRAPH)
    assert found["DashboardArn"] == "arn:aws:cloudwatch::111111111111:dashboard/iris"
    cloudwatch.put_dashboard(DashboardName="iris", DashboardBody=body())
    assert cloud.client("cloudwatch", "us-east-1").get_dashboard(DashboardName="iris")["DashboardBody"] == body()


def test_an_unknown_property_is_kept_with_a_message(cloudwatch):
    text = body({**TEXT, "colour": "red"})
    assert cloudwatch.put_dashboard(DashboardName="iris", DashboardBody=text)["DashboardValidationMessages"] == [
        {
            "DataPath": "/widgets/0",
            "Message": 'The "colour" property is not expected to be part of a widget definition, will be ignored',
        }
    ]
    assert cloudwatch.get_dashboard(DashboardName="iris")["DashboardBody"] == text


def test_a_bad_body_is_refused_as_aws_does_and_not_kept(cloudwatch, refused):
    code, message = refused(cloudwatch.put_dashboard, DashboardName="iris", DashboardBody=body(graph(period=45)))
    assert code == "InvalidParameterInput"
    first, _, listed = message.partition("\n")
    assert first == "The dashboard body is invalid, there are 1 validation errors:"
    assert json.loads(listed) == [
        {"dataPath": "/widgets/0/properties/period", "message": "Should be 1, 5, 10, 20, 30 or a multiple of 60"}
    ]
    assert cloudwatch.list_dashboards()["DashboardEntries"] == []
    assert refused(cloudwatch.put_dashboard, DashboardName="iris", DashboardBody="[") == (
        "InvalidParameterInput",
        "The field DashboardBody must be a valid JSON object",
    )


def test_names_and_types_that_cannot_be_had(cloudwatch, refused):
    assert refused(cloudwatch.put_dashboard, DashboardName="a b", DashboardBody=body()) == (
        "InvalidParameterValue",
        "The value a b for field DashboardName contains invalid characters. It can only contain alphanumerics, dash (-)"
        " and underscore (_).",
    )
    chart = {"type": "chart", "properties": {}}
    assert refused(cloudwatch.put_dashboard, DashboardName="a", DashboardBody=body(chart)) == (
        "NotCarried",
        "The emulated cloud does not carry dashboard widgets of type chart.",
    )


def test_listing_and_deleting(cloudwatch, refused):
    for name in ("iris", "fraud", "iris-two"):
        cloudwatch.put_dashboard(DashboardName=name, DashboardBody=body())
    listed = cloudwatch.list_dashboards(DashboardNamePrefix="iris")["DashboardEntries"]
    assert [(entry["DashboardName"], entry["Size"]) for entry in listed] == [("iris", 15), ("iris-two", 15)]
    code, message = refused(cloudwatch.delete_dashboards, DashboardNames=["iris", "none"])
    assert (code, message) == ("ResourceNotFound", "Dashboard none does not exist")
    assert len(cloudwatch.list_dashboards()["DashboardEntries"]) == 3
    cloudwatch.delete_dashboards(DashboardNames=["iris", "fraud"])
    assert refused(cloudwatch.get_dashboard, DashboardName="iris")[0] == "ResourceNotFound"
