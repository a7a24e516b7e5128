"""The component graph: who owns a resource, who takes values from whom, where each box stands."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from infra.rehearsal.graph import Graph, graph_of
from infra.rehearsal.report import ResourceLine

STACK = ResourceLine("stack", "", "pulumi:pulumi:Stack", "platform-dev")


def component(name: str, parent: str = "stack") -> ResourceLine:
    return ResourceLine(name, parent, f"mainstage:index:{name.title()}", name)


def resource(urn: str, parent: str, *dependencies: str, kind: str = "aws:s3/bucket:Bucket") -> ResourceLine:
    return ResourceLine(urn, parent, kind, urn, dependencies)


def names(graph: Graph) -> list[tuple[str, str]]:
    return [(graph.nodes[taker].name, graph.nodes[giver].name) for taker, giver in graph.edges]


def test_a_component_stands_right_of_what_it_takes_values_from() -> None:
    graph = graph_of(
        [
            STACK,
            component("service"),
            component("key"),
            component("bucket", "service"),
            resource("role", "service", "b", kind="aws:iam/role:Role"),
            resource("k", "key"),
            resource("b", "bucket", "k"),
            resource("b2", "bucket"),
        ]
    )
    assert names(graph) == [("service", "bucket"), ("bucket", "key")]
    assert {node.name: (node.column, node.row) for node in graph.nodes} == {
        "key": (0, 0),
        "bucket": (1, 0),
        "service": (2, 0),
    }
    assert {node.name: dict(node.resources) for node in graph.nodes} == {
        "service": {"Role": 1},
        "key": {"Bucket": 1},
        "bucket": {"Bucket": 2},
    }
    assert (graph.columns, graph.rows) == (3, 1)


def test_a_component_without_resources_of_its_own_and_the_provider_are_not_drawn() -> None:
    graph = graph_of(
        [
            STACK,
            ResourceLine("provider", "stack", "pulumi:providers:aws", "aws"),
            component("outer"),
            component("inner", "outer"),
            resource("b", "inner", "provider"),
        ]
    )
    assert [node.name for node in graph.nodes] == ["inner"]
    assert graph.edges == []


def test_two_components_that_need_each_other_are_both_drawn() -> None:
    graph = graph_of(
        [
            STACK,
            component("one"),
            component("two"),
            resource("a", "one", "b"),
            resource("b", "two"),
            resource("c", "two", "a"),
        ]
    )
    assert sorted(names(graph)) == [("one", "two"), ("two", "one")]


@given(st.lists(st.tuples(st.integers(0, 5), st.lists(st.integers(0, 20), max_size=4)), max_size=20))
def test_no_two_boxes_share_a_place(wanted: list[tuple[int, list[int]]]) -> None:
    owners = [component(f"c{number}") for number in range(6)]
    resources = [
        resource(f"r{number}", f"c{owner}", *(f"r{other}" for other in needs))
        for number, (owner, needs) in enumerate(wanted)
    ]
    graph = graph_of([STACK, *owners, *resources])
    places = [(node.column, node.row) for node in graph.nodes]
    assert len(set(places)) == len(places)
    assert all(taker != giver for taker, giver in graph.edges)
