"""Bodies of CloudWatch dashboards: what is wrong with one, and which metrics it shows. Nothing here touches a cloud.

Source of the structure: CloudWatch API reference, "Dashboard body structure and syntax"
(https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/CloudWatch-Dashboard-Body-Structure.html), limits from
"CloudWatch service quotas". Wordings that AWS is known to give are its own ("Should have required property 'region'",
"The "x" property is not expected to be part of a widget definition, will be ignored"); the others are unconfirmed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

MOST_WIDGETS = 500
MOST_METRICS_OF_A_WIDGET = 500
MOST_METRICS = 2500
MOST_ALARMS_OF_A_WIDGET = 100
MOST_DIMENSIONS = 30

WIDGET_TYPES = ("metric", "text", "alarm", "log")
"""What is checked here. AWS has more types; `validate` names the others in `uncarried`."""
UNCARRIED_TYPES = ("chart", "custom", "explorer", "trace")

_WIDGET_PROPERTIES = {"type", "x", "y", "width", "height", "properties"}
_ROOT_PROPERTIES = {"widgets", "variables", "start", "end", "periodOverride"}
_METRIC_PROPERTIES = {
    "accountId",
    "annotations",
    "labels",
    "legend",
    "liveData",
    "metrics",
    "period",
    "region",
    "setPeriodToTimeRange",
    "singleValueFullPrecision",
    "sparkline",
    "stacked",
    "stat",
    "table",
    "timezone",
    "title",
    "trend",
    "view",
    "yAxis",
}
_TEXT_PROPERTIES = {"markdown", "background"}
_ALARM_PROPERTIES = {"alarms", "sortBy", "states", "title"}
_LOG_PROPERTIES = {"accountId", "query", "queryBy", "queryLanguage", "region", "stacked", "table", "title", "view"}
_RENDERING = {"accountId", "color", "expression", "id", "label", "period", "region", "stat", "visible", "yAxis"}
_VIEWS = ("timeSeries", "singleValue", "gauge", "bar", "pie", "table")
_STATISTIC = re.compile(
    r"SampleCount|Average|Sum|Minimum|Maximum|IQM|(?:p|tm|wm|tc|ts)(?:\d{1,2}(?:\.\d{1,10})?|100)"
    r"|(?:TM|WM|TC|TS|PR)\(\d*(?:\.\d+)?%?:\d*(?:\.\d+)?%?\)"
)
_COLOR = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d")
_ALARM_ARN = re.compile(r"arn:[\w-]+:cloudwatch:[a-z0-9-]+:\d{12}:alarm:.+")
_ID = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}")


class Message(NamedTuple):
    """One finding: where in the body ("/widgets/0/properties"), and what."""

    path: str
    text: str


class Findings(NamedTuple):
    """What a body has wrong. `errors` refuse it, `warnings` are given back beside success, `uncarried` names widget
    types that AWS knows and this module does not check."""

    errors: list[Message]
    warnings: list[Message]
    uncarried: list[str]


class ShownMetric(NamedTuple):
    """A metric that a dashboard or an alarm names."""

    namespace: str
    name: str
    dimensions: dict[str, str]
    stat: str


def validate(text: str) -> Findings:
    """What AWS would say about a dashboard body. Text that is no JSON object has one error with an empty path."""
    found = Findings([], [], [])
    try:
        body = json.loads(text)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        found.errors.append(Message("", "The field DashboardBody must be a valid JSON object"))
        return found
    _unknown(body, _ROOT_PROPERTIES, "", "The {} property is not expected, will be ignored", found)
    if body.get("periodOverride", "auto") not in ("auto", "inherit"):
        found.errors.append(Message("/periodOverride", _one_of("auto", "inherit")))
    if body.get("end") and not body.get("start"):
        found.errors.append(Message("/end", "A value for end needs a value for start"))
    widgets = body.get("widgets")
    if not isinstance(widgets, list):
        text = "Should be array" if "widgets" in body else "Should have required property 'widgets'"
        found.errors.append(Message("/widgets" if "widgets" in body else "", text))
        return found
    if len(widgets) > MOST_WIDGETS:
        found.errors.append(Message("/widgets", f"Should NOT have more than {MOST_WIDGETS} items"))
    for index, widget in enumerate(widgets):
        _widget(widget, f"/widgets/{index}", found)
    rows = sum(len(_rows(widget)) for widget in widgets)
    if rows > MOST_METRICS:
        found.errors.append(Message("/widgets", f"A dashboard shows at most {MOST_METRICS} metrics, this one {rows}"))
    return found


def metrics_of(body: str | Mapping[str, Any]) -> list[ShownMetric]:
    """Every metric that the dashboard's graphs name, in order, with the shorthands "." and "..." written out.

    `stat` is the row's, else the widget's, else Average (the console's default). Expressions are no metrics; the
    metrics that they use are rows of their own. ValueError for a row that cannot be read.
    """
    parsed: Any = json.loads(body) if isinstance(body, str) else body
    shown = []
    for index, widget in enumerate(parsed.get("widgets", ())):
        stat = widget.get("properties", {}).get("stat", "Average") if isinstance(widget, Mapping) else "Average"
        for position, (row, rendering, problem) in enumerate(_expanded(_rows(widget))):
            if problem:
                raise ValueError(f"/widgets/{index}/properties/metrics/{position}: {problem}")
            if row:
                pairs = dict(zip(row[2::2], row[3::2], strict=True))
                shown.append(ShownMetric(row[0], row[1], pairs, rendering.get("stat", stat)))
    return shown


def alarms_of(body: str | Mapping[str, Any]) -> list[str]:
    """ARNs of the alarms that the dashboard's alarm widgets and annotations name, in order."""
    parsed: Any = json.loads(body) if isinstance(body, str) else body
    found: list[str] = []
    for widget in parsed.get("widgets", ()):
        properties = widget.get("properties", {})
        found += properties.get("alarms", ()) if widget.get("type") == "alarm" else ()
        found += properties.get("annotations", {}).get("alarms", ()) if widget.get("type") == "metric" else ()
    return found


def metrics_of_alarm(settings: Mapping[str, Any]) -> list[ShownMetric]:
    """The metrics that an alarm watches. `settings`: members of PutMetricAlarm or of a described alarm."""
    if not settings.get("Metrics"):
        asked = [(settings, str(settings.get("ExtendedStatistic") or settings.get("Statistic") or ""))]
    else:
        stats = [query["MetricStat"] for query in settings["Metrics"] if query.get("MetricStat")]
        asked = [(stat["Metric"], stat["Stat"]) for stat in stats]
    return [
        ShownMetric(
            metric["Namespace"],
            metric["MetricName"],
            {entry["Name"]: entry["Value"] for entry in metric.get("Dimensions") or ()},
            stat,
        )
        for metric, stat in asked
        if metric.get("MetricName")
    ]


def _widget(widget: Any, path: str, found: Findings) -> None:
    if not isinstance(widget, dict):
        found.errors.append(Message(path, "Should be object"))
        return
    kind = widget.get("type")
    if "type" not in widget:
        found.errors.append(Message(path, "Should have required property 'type'"))
    elif kind in UNCARRIED_TYPES:
        found.uncarried.append(str(kind))
        return
    elif kind not in WIDGET_TYPES:
        found.errors.append(Message(f"{path}/type", _one_of(*WIDGET_TYPES, *UNCARRIED_TYPES)))
    _unknown(
        widget,
        _WIDGET_PROPERTIES,
        path,
        "The {} property is not expected to be part of a widget definition, will be ignored",
        found,
    )
    for name, low, high in (("x", 0, 23), ("y", 0, None), ("width", 1, 24), ("height", 1, 1000)):
        _whole(widget.get(name, low), f"{path}/{name}", low, high, found)
    if ("x" in widget) != ("y" in widget):
        found.errors.append(Message(path, "x and y must be given together"))
    properties = widget.get("properties")
    if not isinstance(properties, dict):
        text = "Should be object" if "properties" in widget else "Should have required property 'properties'"
        found.errors.append(Message(f"{path}/properties" if "properties" in widget else path, text))
        return
    checks = {"metric": _metric_widget, "text": _text_widget, "alarm": _alarm_widget, "log": _log_widget}
    if kind in checks:
        checks[kind](properties, f"{path}/properties", found)


def _metric_widget(properties: dict[str, Any], path: str, found: Findings) -> None:
    _unknown_of_widget(properties, _METRIC_PROPERTIES, path, found)
    metrics, annotations = properties.get("metrics"), properties.get("annotations")
    alarms = annotations.get("alarms") if isinstance(annotations, dict) else None
    sourced = bool(metrics) or bool(alarms)
    if not sourced and "metrics" not in properties:
        found.errors.append(Message(path, "Should have required property 'metrics'"))
    if "region" not in properties:
        found.errors.append(Message(path, "Should have required property 'region'"))
    else:
        _matches(properties["region"], _REGION, f"{path}/region", "is no region", found)
    if "region" not in properties or not sourced:
        text = "The metric widget should have specified a region and a data source or an alarm annotation"
        found.errors.append(Message(path, text))
    if not sourced and "annotations" not in properties:
        found.errors.append(Message(path, "Should have required property 'annotations'"))
    if properties.get("view", "timeSeries") not in _VIEWS:
        found.errors.append(Message(f"{path}/view", _one_of(*_VIEWS)))
    _stat_and_period(properties, path, found)
    _axes(properties, path, found)
    if metrics is not None:
        _metric_rows(metrics, f"{path}/metrics", found)


def _axes(properties: dict[str, Any], path: str, found: Findings) -> None:
    """A gauge needs both ends of its scale (API reference, "Properties of a Metric Widget Object", yAxis)."""
    axes = properties.get("yAxis", {})
    if not isinstance(axes, dict):
        found.errors.append(Message(f"{path}/yAxis", "Should be object"))
        return
    left = axes.get("left", {})
    if properties.get("view") == "gauge" and not (isinstance(left, dict) and {"min", "max"} <= set(left)):
        found.errors.append(Message(f"{path}/yAxis", "A gauge needs yAxis.left.min and yAxis.left.max"))
    legend = properties.get("legend", {})
    if isinstance(legend, dict) and legend.get("position", "bottom") not in ("right", "bottom", "hidden"):
        found.errors.append(Message(f"{path}/legend/position", _one_of("right", "bottom", "hidden")))


def _metric_rows(metrics: Any, path: str, found: Findings) -> None:
    if not isinstance(metrics, list):
        found.errors.append(Message(path, "Should be array"))
        return
    if len(metrics) > MOST_METRICS_OF_A_WIDGET:
        found.errors.append(Message(path, f"Should NOT have more than {MOST_METRICS_OF_A_WIDGET} items"))
    ids: set[str] = set()
    for index, (row, (_, rendering, problem)) in enumerate(zip(metrics, _expanded(metrics), strict=True)):
        where = f"{path}/{index}"
        if problem:
            if not isinstance(row, list):
                found.errors.append(Message(where, "Should be array"))
            found.errors.append(Message(where, problem))
            continue
        for name in sorted(set(rendering) - _RENDERING):
            found.warnings.append(Message(where, f'The "{name}" property is not expected, will be ignored'))
        _stat_and_period(rendering, where, found)
        if "color" in rendering:
            _matches(rendering["color"], _COLOR, f"{where}/color", "is no color such as #1f77b4", found)
        if rendering.get("yAxis", "left") not in ("left", "right"):
            found.errors.append(Message(f"{where}/yAxis", _one_of("left", "right")))
        if "id" in rendering:
            _matches(rendering["id"], _ID, f"{where}/id", "is no id: a small letter, then letters, digits, _", found)
            if rendering["id"] in ids:
                found.errors.append(Message(f"{where}/id", f"The id {rendering['id']!r} is given twice"))
            ids.add(rendering["id"])


def _rows(widget: Any) -> list[Any]:
    properties = widget.get("properties") if isinstance(widget, Mapping) and widget.get("type") == "metric" else None
    metrics = properties.get("metrics") if isinstance(properties, Mapping) else None
    return list(metrics) if isinstance(metrics, list) else []


def _expanded(rows: Sequence[Any]) -> Iterator[tuple[list[str], dict[str, Any], str]]:
    """Of each row: the texts with shorthands written out (none for an expression), the rendering, a problem or ""."""
    above: list[str] = []
    for row in rows:
        if not isinstance(row, list):
            text = 'Field "metrics" has to be an array of array of strings, with an optional metricRenderer object as '
            yield [], {}, text + "last element"
            continue
        rendering = row[-1] if row and isinstance(row[-1], dict) else {}
        texts = row[:-1] if row and isinstance(row[-1], dict) else row
        if "expression" in rendering:
            yield [], rendering, "An expression stands alone in its row" if texts else ""
            continue
        if any(isinstance(text, dict) for text in texts):
            yield [], rendering, "Metric rendering properties must be the last element of the metric row"
        elif not all(isinstance(text, str) for text in texts):
            yield [], rendering, 'Invalid metric field type, only "String" type is allowed'
        else:
            written = _written_out(texts, above)
            problem = _row_problem(written)
            above = written or above
            yield ([] if problem else written or []), rendering, problem


def _row_problem(written: list[str] | None) -> str:
    if written is None:
        return 'The shorthands "." and "..." need a row above that they repeat'
    if len(written) < 2:
        return "Should NOT have less than 2 items"
    if len(written) % 2 or len(written) > 2 + 2 * MOST_DIMENSIONS:
        most = min(len(written) - 1, 2 + 2 * MOST_DIMENSIONS)
        return f"Should NOT have more than {most} items"
    return ""


def _written_out(texts: list[str], above: list[str]) -> list[str] | None:
    """The row with "." and "..." replaced by what stands above; None when nothing does."""
    if "..." in texts:
        at = texts.index("...")
        repeated = len(above) - (len(texts) - 1)
        if not above or repeated < 0 or texts.count("...") > 1:
            return None
        texts = [*texts[:at], *above[at : at + repeated], *texts[at + 1 :]]
    if any(text == "." and place >= len(above) for place, text in enumerate(texts)):
        return None
    return [above[place] if text == "." else text for place, text in enumerate(texts)]


def _text_widget(properties: dict[str, Any], path: str, found: Findings) -> None:
    _unknown_of_widget(properties, _TEXT_PROPERTIES, path, found)
    if not isinstance(properties.get("markdown"), str):
        text = "Should be string" if "markdown" in properties else "Should have required property 'markdown'"
        found.errors.append(Message(f"{path}/markdown" if "markdown" in properties else path, text))
    if properties.get("background", "solid") not in ("solid", "transparent"):
        found.errors.append(Message(f"{path}/background", _one_of("solid", "transparent")))


def _alarm_widget(properties: dict[str, Any], path: str, found: Findings) -> None:
    _unknown_of_widget(properties, _ALARM_PROPERTIES, path, found)
    alarms = properties.get("alarms")
    if not isinstance(alarms, list):
        text = "Should be array" if "alarms" in properties else "Should have required property 'alarms'"
        found.errors.append(Message(f"{path}/alarms" if "alarms" in properties else path, text))
        return
    if not alarms:
        found.errors.append(Message(f"{path}/alarms", "Should NOT have less than 1 items"))
    if len(alarms) > MOST_ALARMS_OF_A_WIDGET:
        found.errors.append(Message(f"{path}/alarms", f"Should NOT have more than {MOST_ALARMS_OF_A_WIDGET} items"))
    for index, alarm in enumerate(alarms):
        _matches(alarm, _ALARM_ARN, f"{path}/alarms/{index}", "is no ARN of an alarm", found)


def _log_widget(properties: dict[str, Any], path: str, found: Findings) -> None:
    _unknown_of_widget(properties, _LOG_PROPERTIES, path, found)
    for name in ("query", "region"):
        if not isinstance(properties.get(name), str):
            text = "Should be string" if name in properties else f"Should have required property '{name}'"
            found.errors.append(Message(f"{path}/{name}" if name in properties else path, text))
    if properties.get("view", "table") not in ("timeSeries", "bar", "pie", "table"):
        found.errors.append(Message(f"{path}/view", _one_of("timeSeries", "bar", "pie", "table")))


def _stat_and_period(properties: Mapping[str, Any], path: str, found: Findings) -> None:
    if "stat" in properties:
        _matches(properties["stat"], _STATISTIC, f"{path}/stat", "is no statistic", found)
    period = properties.get("period")
    if period is None:
        return
    if not isinstance(period, int) or isinstance(period, bool):
        found.errors.append(Message(f"{path}/period", "Should be integer"))
    elif period not in (1, 5, 10, 20, 30) and (period <= 0 or period % 60):
        found.errors.append(Message(f"{path}/period", "Should be 1, 5, 10, 20, 30 or a multiple of 60"))


def _matches(value: Any, pattern: re.Pattern[str], path: str, meaning: str, found: Findings) -> None:
    if not isinstance(value, str):
        found.errors.append(Message(path, "Should be string"))
    elif not pattern.fullmatch(value):
        found.errors.append(Message(path, f"{value!r} {meaning}"))


def _whole(value: Any, path: str, low: int, high: int | None, found: Findings) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        found.errors.append(Message(path, "Should be integer"))
    elif value < low:
        found.errors.append(Message(path, f"Should be >= {low}"))
    elif high is not None and value > high:
        found.errors.append(Message(path, f"Should be <= {high}"))


def _unknown(value: Mapping[str, Any], known: Set[str], path: str, wording: str, found: Findings) -> None:
    found.warnings.extend(Message(path, wording.format(f'"{name}"')) for name in sorted(set(value) - known))


def _unknown_of_widget(properties: Mapping[str, Any], known: Set[str], path: str, found: Findings) -> None:
    wording = "The {} property is not expected to be part of a widget definition, will be ignored"
    _unknown(properties, known, path, wording, found)


def _one_of(*allowed: str) -> str:
    return f"Should be equal to one of the allowed values: {', '.join(allowed)}"
