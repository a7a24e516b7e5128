"""The generated parts of the documentation: field tables of settings, catalog and prediction record, the table of
policies, and the JSON Schema of a model file.

`python -m infra.reference_docs` writes them; a test fails when they are not up to date. In the guides a table stands
between `<!-- fields: NAME -->` and `<!-- end of fields -->`; everything around it is written by hand.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import get_args, get_origin

from mainstage_runtime import record
from pydantic import BaseModel

from infra.catalog.json_schema import json_schema
from infra.catalog.schema import EnvironmentOverlay, Model
from infra.sections import unwrapped
from infra.settings.schema import ModelsSettings, PlatformSettings
from policies.rules import RULES, Rule, StackRule

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = Path("docs/schemas/model.schema.json")
GUIDES = tuple(Path("docs/guides") / f"{name}.md" for name in ("settings", "catalog", "prediction-record", "policies"))
_TABLES: dict[str, tuple[type[BaseModel], str]] = {
    "platform": (PlatformSettings, "mainstage:"),
    "models": (ModelsSettings, "mainstage:"),
    "model": (Model, ""),
    "overlay": (EnvironmentOverlay, "environments.<env>."),
}
_RECORD_TABLES = {"record": record.FIELDS, "partitions": record.PARTITION_KEYS}
_MARKED = re.compile(r"(<!-- fields: (\w+) -->\n).*?(<!-- end of fields -->)", re.DOTALL)


def generated(root: Path = ROOT) -> dict[Path, str]:
    """Each generated file (relative to `root`) with the text that it should have."""
    files = {SCHEMA: json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"}
    for guide in GUIDES:
        text = (root / guide).read_text(encoding="utf-8")
        files[guide] = _MARKED.sub(lambda match: f"{match[1]}{_table_named(match[2])}{match[3]}", text)
    return files


def _table_named(name: str) -> str:
    if name == "rules":
        return rules_table(RULES)
    return record_table(_RECORD_TABLES[name]) if name in _RECORD_TABLES else table(*_TABLES[name])


def record_table(fields: Sequence[record.Field]) -> str:
    """A Markdown table of columns of the prediction log."""
    rows = [
        f"| `{field.name}` | {field.type} | {'' if field.required else 'yes'} | {_sentence(field.description)} |"
        for field in fields
    ]
    return "\n".join(["| column | type | may be null | what it holds |", "|---|---|---|---|", *rows]) + "\n"


def rules_table(rules: Sequence[Rule]) -> str:
    """A Markdown table of the policy pack, one row a rule."""
    rows = [
        f"| `{rule.about.name}` | {' '.join((_escaped(rule.about.asks), _kind(rule))).strip()} | "
        f"{_escaped(rule.about.reason)} | {_sentence(rule.about.remedy)} |"
        for rule in rules
    ]
    return "\n".join(["| rule | what it asks | why | how to mend |", "|---|---|---|---|", *rows]) + "\n"


def _kind(rule: Rule) -> str:
    notes = ["*Judged over the whole stack.*"] if isinstance(rule, StackRule) else []
    return " ".join([*notes, *(["*Advice only.*"] if rule.about.level == "advisory" else [])])


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def _sentence(text: str) -> str:
    text = text.replace("|", "\\|")
    return f"{text[:1].upper()}{text[1:]}."


def table(section: type[BaseModel], prefix: str) -> str:
    """A Markdown table with one row a field, nested sections included."""
    rows = [
        f"| `{name}` | {'yes' if required else ''} | {meaning} |" for name, required, meaning in _rows(section, prefix)
    ]
    return "\n".join(["| field | required | what it takes |", "|---|---|---|", *rows]) + "\n"


def _rows(section: type[BaseModel], prefix: str) -> Iterator[tuple[str, bool, str]]:
    for name, field in section.model_fields.items():
        if field.exclude:
            continue
        yield f"{prefix}{name}", field.is_required(), _sentence(field.description or "")
        inner = unwrapped(field.annotation)
        mark = "."
        if get_origin(inner) in (tuple, list):
            inner, mark = unwrapped(get_args(inner)[0]), "[]."
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _rows(inner, f"{prefix}{name}{mark}")


def main() -> int:
    for path, text in generated().items():
        target = ROOT / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        sys.stdout.write(f"wrote {path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
