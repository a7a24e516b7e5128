"""Laws 1 and 2: who may import whom, and what a component may never touch. Held on the source; no code runs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LIBRARY = ROOT / "components" / "mainstage"
RUNTIME = ROOT / "components" / "mainstage_runtime"
POLICIES = ROOT / "policies"

# The one module that may call AWS at apply time (design §4.2), and wait for it.
RELEASE_HOOKS = LIBRARY / "release_hooks.py"

BANNED_IMPORTS = {
    "library": {
        "infra",
        "stacks",
        "policies",
        "tests",
        "boto3",
        "botocore",
        "subprocess",
        "socket",
        "random",
        "secrets",
        "uuid",
        "time",
    },
    "runtime": {"infra", "stacks", "policies", "tests", "pulumi", "pulumi_aws", "mainstage"},
    "policies": {"infra", "stacks", "tests", "mainstage", "mainstage_runtime"},
}
BANNED_IN_COMPONENTS = {
    "pulumi.Config": "read settings in infra/ and pass them as arguments",
    "pulumi.get_stack": "a component never asks which environment it is in",
    "pulumi.get_project": "a component never asks which environment it is in",
    "pulumi.get_organization": "a component never asks which environment it is in",
    "pulumi.StackReference": "only infra/ reads another stack",
    "pulumi.export": "a component registers outputs",
    "os.environ": "a component's inputs are its arguments",
    "os.getenv": "a component's inputs are its arguments",
    "datetime.now": "the same inputs give the same graph",
    "datetime.utcnow": "the same inputs give the same graph",
    "date.today": "the same inputs give the same graph",
    "open": "a component reads no file outside its package",
}


@dataclass(frozen=True)
class Finding:
    file: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}"


def modules(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.py")) if folder.exists() else []


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def banned_imports(source: str, file: str, banned: set[str]) -> list[Finding]:
    return [
        Finding(file, line, f"imports {name}")
        for line, name in imported(ast.parse(source))
        if name.split(".")[0] in banned
    ]


def banned_calls(source: str, file: str) -> list[Finding]:
    tree = ast.parse(source)
    # Names bound by `from pulumi import export` or `from os import environ` count as the dotted name.
    bound = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute | ast.Name):
            continue
        name = dotted(node)
        name = bound.get(name, name)
        for banned, why in BANNED_IN_COMPONENTS.items():
            if name == banned or name.endswith(f".{banned}"):
                found.append(Finding(file, node.lineno, f"{banned}: {why}"))
    return found


@pytest.mark.parametrize(
    ("folder", "kind"),
    [(LIBRARY, "library"), (RUNTIME, "runtime"), (POLICIES, "policies")],
    ids=["library", "runtime", "policies"],
)
def test_arrows_point_one_way(folder: Path, kind: str) -> None:
    found = []
    for path in modules(folder):
        allowed = {"boto3", "botocore", "time"} if path == RELEASE_HOOKS else set()
        found += banned_imports(path.read_text(), str(path.relative_to(ROOT)), BANNED_IMPORTS[kind] - allowed)
    assert [str(f) for f in found] == []


def test_components_touch_no_environment() -> None:
    found = [f for path in modules(LIBRARY) for f in banned_calls(path.read_text(), str(path.relative_to(ROOT)))]
    assert [str(f) for f in found] == []


def test_component_modules_have_no_future_annotations() -> None:
    """The component host cannot read postponed annotations ('str' object has no attribute '__mro__')."""
    offenders = [
        str(path.relative_to(ROOT))
        for path in modules(LIBRARY)
        for _, name in imported(ast.parse(path.read_text()))
        if name == "__future__.annotations"
    ]
    assert offenders == []


def test_component_args_are_exportable() -> None:
    """No Literal, Union of several types, tuple or int in an Args class: other languages cannot say them."""
    offenders = []
    for path in modules(LIBRARY):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.ClassDef) and node.name.endswith("Args")):
                continue
            for field in node.body:
                if isinstance(field, ast.AnnAssign):
                    text = ast.unparse(field.annotation)
                    if re.search(r"\b(Literal|Union|tuple|Tuple|set|bytes|int)\b", text):
                        offenders.append(f"{path.name}:{field.lineno} {node.name}.{ast.unparse(field.target)}: {text}")
    assert offenders == []


def test_release_hooks_are_the_only_module_that_may_call_aws() -> None:
    assert banned_imports("import boto3", "x.py", BANNED_IMPORTS["library"]) == [Finding("x.py", 1, "imports boto3")]


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("import pulumi\npulumi.Config()", "pulumi.Config"),
        ("from pulumi import get_stack\nget_stack()", "pulumi.get_stack"),
        ("import os\nos.environ['A']", "os.environ"),
        ("import datetime\ndatetime.datetime.now()", "datetime.now"),
        ("open('x')", "open"),
    ],
)
def test_the_law_catches(source: str, what: str) -> None:
    assert [f.what.split(":")[0] for f in banned_calls(source, "x.py")] == [what]


def unwritten(source: str, file: str) -> list[Finding]:
    """Methods that are there to be written by somebody else, and fail only when they are called."""
    return [
        Finding(file, node.lineno, "raises NotImplementedError")
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Raise) and node.exc is not None
        if dotted(node.exc.func if isinstance(node.exc, ast.Call) else node.exc) == "NotImplementedError"
    ]


@pytest.mark.parametrize("folder", ["components", "infra", "policies"])
def test_what_a_class_leaves_open_is_abstract(folder: str) -> None:
    """An abstract method or a Protocol fails where the class is written, not where the method is called."""
    found = [f for path in modules(ROOT / folder) for f in unwritten(path.read_text(), str(path.relative_to(ROOT)))]
    assert [str(f) for f in found] == []


@pytest.mark.parametrize("raised", ["NotImplementedError", 'NotImplementedError("later")'])
def test_the_law_on_open_methods_catches(raised: str) -> None:
    assert unwritten(f"def go():\n    raise {raised}", "x.py") == [Finding("x.py", 2, "raises NotImplementedError")]


def test_library_and_runtime_exist() -> None:
    """An empty folder would let every test above pass."""
    assert len(modules(LIBRARY)) > 5
    assert modules(RUNTIME)
    assert len(modules(POLICIES)) > 10


@pytest.mark.parametrize("name", ["infra.settings", "mainstage", "mainstage_runtime.record", "stacks"])
def test_policies_know_nothing_of_what_they_judge(name: str) -> None:
    """They judge any program's stacks, and what judges shares no mistake with what is judged."""
    assert banned_imports(f"import {name}", "x.py", BANNED_IMPORTS["policies"]) == [
        Finding("x.py", 1, f"imports {name}")
    ]
