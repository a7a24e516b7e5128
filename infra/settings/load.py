"""Stack files and the engine's configuration, read into frozen settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, get_origin

from pydantic import ValidationError

from infra.problems import InputError, Problem, nearest, shown
from infra.sections import known_keys, problems_of
from infra.settings.schema import ENVIRONMENTS, LAYERS, LayerSettings, ModelsSettings, PlatformSettings
from infra.yaml_lines import Document, Location, display_path, read

NAMESPACE = "mainstage"
# Pulumi's own members of a stack file (pulumi/pulumi sdk/go/common/workspace/project.go, ProjectStack).
_STACK_FILE_MEMBERS = ("config", "secretsprovider", "encryptedkey", "encryptionsalt", "environment", "packages")
# Pulumi's own configuration keys; they are for the engine.
_DISABLE = "pulumi:disable-default-providers"
_ENGINE_KEYS = (_DISABLE, "pulumi:tags", "pulumi:autonaming")

_SettingsOfLayer = TypeVar("_SettingsOfLayer", PlatformSettings, ModelsSettings)


class SettingsError(InputError):
    """Everything that is wrong in a stack's configuration."""

    subject = "stack configuration"


def stack_file(root: Path, stack: str) -> Path:
    """stacks/Pulumi.<stack>.yaml of the repository at `root`."""
    return root / "stacks" / f"Pulumi.{stack}.yaml"


def stack_config(path: Path, root: Path | None = None) -> dict[str, str]:
    """The `config` of a stack file as the engine hands it to a program: full keys, values as text, objects as JSON.

    Raises SettingsError when the file is no stack file. Whether keys and values make sense is `load`'s matter.
    """
    document = read(path, root if root is not None else path.parent.parent)
    problems = [*document.problems]
    if not problems:
        problems += _stack_file_problems(document)
    if problems:
        raise SettingsError(problems)
    return {key: _as_config_text(value) for key, value in (document.data.get("config") or {}).items()}


def load_platform(config: Mapping[str, str], stack: str, root: Path) -> PlatformSettings:
    """The settings of a platform stack; see `load`."""
    return _load(config, stack, root, PlatformSettings)


def load_models(config: Mapping[str, str], stack: str, root: Path) -> ModelsSettings:
    """The settings of a models stack; see `load`."""
    return _load(config, stack, root, ModelsSettings)


def load(config: Mapping[str, str], stack: str, root: Path) -> PlatformSettings | ModelsSettings:
    """The settings of `stack`, from the configuration in force; the stack file under `root` gives the lines for errors.

    `config` is what the engine hands over: full keys (`mainstage:region`), values as text, objects as JSON.
    Raises SettingsError with every problem found.
    """
    return (
        load_platform(config, stack, root) if split_stack(stack)[0] == "platform" else load_models(config, stack, root)
    )


def split_stack(stack: str) -> tuple[str, str]:
    """("platform", "dev") of "platform-dev". Raises SettingsError for any other name."""
    layer, _, environment = stack.partition("-")
    if layer in LAYERS and environment in ENVIRONMENTS:
        return layer, environment
    known = [f"{layer}-{environment}" for layer in LAYERS for environment in ENVIRONMENTS]
    near = nearest(stack, known)
    file = f"stacks/Pulumi.{stack}.yaml"
    message = "a stack is named <layer>-<environment>"
    raise SettingsError([Problem(file, 1, "", message, shown(stack), ", ".join(known), near, "choose one of them")])


def _load(config: Mapping[str, str], stack: str, root: Path, settings_type: type[_SettingsOfLayer]) -> _SettingsOfLayer:
    _, environment = split_stack(stack)
    path = stack_file(root, stack)
    document = read(path, root) if path.exists() else Document(display_path(path, root))
    problems = [*document.problems]
    if document.data:
        problems += _stack_file_problems(document)
    in_file = document.data.get("config")
    in_file = in_file if isinstance(in_file, Mapping) else {}
    if _DISABLE not in config and _DISABLE not in in_file:
        fix = f'add {_DISABLE}: ["*"]: without it a resource could fall back to ambient credentials'
        line = document.line_of(("config",))
        problems.append(Problem(document.file, line, _DISABLE, "missing", "", 'the list ["*"]', "", fix))

    values: dict[str, Any] = {}
    for key, text in config.items():
        namespace, _, name = key.partition(":")
        if namespace != NAMESPACE:
            problems += _foreign_key_problems(key, text, settings_type, document)
        elif name in ("layer", "environment"):
            message = f"the {name} comes from the stack's name"
            line = document.line_of(("config", key))
            problems.append(Problem(document.file, line, key, message, shown(text), "", "", "remove the line"))
        else:
            values[name] = _typed(settings_type, name, text, in_file.get(key, _ABSENT))

    def place(location: Location) -> tuple[str, int, Location]:
        if not location:
            return document.file, document.line_of(("config",)), ()
        written = (f"{NAMESPACE}:{location[0]}", *location[1:])
        return document.file, document.line_of(("config", *written)), written

    settings: _SettingsOfLayer | None = None
    try:
        settings = settings_type.model_validate({**values, "environment": environment})
    except ValidationError as error:
        problems += [_with_hint(problem) for problem in problems_of(error, settings_type, place=place)]
    if problems or settings is None:
        raise SettingsError(problems)
    return settings


_ABSENT = object()
_UNQUOTE = "write it without quotes"


def _typed(settings_type: type[LayerSettings], name: str, text: object, in_file: object) -> Any:
    """The value behind the engine's text: as the file types it where it is the file's, else by the field's type."""
    if in_file is not _ABSENT and _same(text, in_file):
        return in_file
    if not isinstance(text, str):
        return text
    field = settings_type.model_fields.get(name)
    annotation = field.annotation if field else None
    if annotation is str or (get_origin(annotation) is not None and annotation == (str | None)):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _same(text: object, in_file: object) -> bool:
    if text == _as_config_text(in_file):
        return True
    if isinstance(in_file, Mapping | list | float) and isinstance(text, str):
        try:
            return bool(json.loads(text) == in_file)
        except ValueError:
            return False
    return False


def _as_config_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _stack_file_problems(document: Document) -> Iterator[Problem]:
    for member, value in document.data.items():
        line = document.line_of((member,))
        if member not in _STACK_FILE_MEMBERS:
            near = nearest(member, _STACK_FILE_MEMBERS)
            allowed, fix = ", ".join(_STACK_FILE_MEMBERS), "put settings under config:"
            yield Problem(document.file, line, member, "no member of a stack file", shown(value), allowed, near, fix)
    config = document.data.get("config")
    if config is None:
        yield Problem(document.file, 1, "config", "missing", "", "a mapping of settings", "", "add config:")
    elif not isinstance(config, Mapping):
        line = document.line_of(("config",))
        yield Problem(document.file, line, "config", "takes a mapping (key: value)", shown(config))


def _foreign_key_problems(
    key: str, text: str, settings_type: type[LayerSettings], document: Document
) -> Iterator[Problem]:
    if key in _ENGINE_KEYS:
        return
    line = document.line_of(("config", key))
    known = [f"{NAMESPACE}:{name}" for name in known_keys(settings_type, ())]
    near = nearest(key, [*known, *_ENGINE_KEYS])
    name = key.rpartition(":")[2]
    if not near and f"{NAMESPACE}:{name}" in known:
        near = f"{NAMESPACE}:{name}"
    fix = (
        "remove it: providers take nothing from the configuration" if key.startswith("aws:") else "remove or rename it"
    )
    yield Problem(document.file, line, key, "nothing reads this key", shown(text), ", ".join(known), near, fix)


def _with_hint(problem: Problem) -> Problem:
    if problem.fix == _UNQUOTE:
        # `pulumi stack init`, and a new stack's first command in the checkout, write the file anew.
        return replace(problem, fix=f"{_UNQUOTE}; where pulumi put them: git checkout stacks")
    if problem.field != f"{NAMESPACE}:account_id" or problem.message != "takes text":
        return problem
    fix = (
        'put all twelve digits in quotes, as in "012345678901": without them YAML reads a '
        "number and drops a leading zero"
    )
    return replace(problem, nearest="", fix=fix)
