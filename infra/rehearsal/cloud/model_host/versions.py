"""Which framework version a model was saved with, and what to do when the image has another."""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from mainstage.runtime_presets import RuntimePreset

_SAVED = {".joblib", ".pkl", ".pickle"}
_MAX_FILES = 50
_MAX_READ_BYTES = 64 * 1024**2
# scikit-learn writes its version into every estimator's state (BaseEstimator.__getstate__). Between the key and the
# value stand pickle opcodes: memoize, then a short (0x8c) or long (X) string with its length.
_SKLEARN = re.compile(rb"_sklearn_version(?:\x94|q.|r.{4})?(?:\x8c(.)|X(.{4}))", re.DOTALL)
_VERSION = re.compile(rb"\d+\.\d+[\w.+]*")


def version_problems(
    preset: RuntimePreset, here: Mapping[str, str], warned: Iterable[Mapping[str, str]], model_folder: Path
) -> list[str]:
    """One sentence for each package that the model was saved with in another version than the image's, with the way
    out.

    `here` are the packages of the environment that loads it: a model saved with them passes too, also on a machine that
    cannot hold the image's versions (whose environment says so). `warned`: what the framework said while loading
    ({"package", "what", "saved", "here"}). The files are searched as well, without loading them: one that cannot be
    loaded has often said nothing.
    """
    seen = [(each["package"], each["saved"], each["what"]) for each in warned]
    seen += [("scikit-learn", version, name) for name, version in _in_files(model_folder)]
    saved: dict[tuple[str, str], list[str]] = {}
    for package, version, what in seen:
        if version not in (preset.packages.get(package, version), here.get(package)):
            saved.setdefault((package, version), []).append(what)
    return [_sentence(preset, package, version, what) for (package, version), what in sorted(saved.items())]


def _sentence(preset: RuntimePreset, package: str, version: str, what: list[str]) -> str:
    names = list(dict.fromkeys(what))
    listing = ", ".join(names[:4]) + (" and more" if len(names) > 4 else "")
    wanted = preset.packages.get(package, "the image's version")
    return (
        f"{listing}: saved with {package} {version}, and the image of {preset.name} has {wanted}: "
        f"retrain with {package}=={wanted} (all versions: requirements/presets/{preset.name}.lock)."
    )


def _in_files(folder: Path) -> Iterable[tuple[str, str]]:
    # os.walk passes over what cannot be read or has gone: the folder of a host that is being stopped.
    every = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    files = sorted(path for path in every if path.suffix in _SAVED and path.is_file())
    for path in files[:_MAX_FILES]:
        content = _content(path)
        found = set()
        for match in _SKLEARN.finditer(content):
            length = int.from_bytes(match[1] or match[2], "little")
            text = content[match.end() : match.end() + min(length, 40)]
            if _VERSION.fullmatch(text):
                found.add(text.decode())
        for version in sorted(found):
            yield path.name, version


def _content(path: Path) -> bytes:
    """The file's first 64 MiB, decompressed when it is zlib or gzip (`joblib.dump(..., compress=3)`)."""
    try:
        with path.open("rb") as file:
            content = file.read(_MAX_READ_BYTES)
    except OSError:
        return b""
    if content[:1] == b"x" or content[:2] == b"\x1f\x8b":
        with suppress(zlib.error):
            return zlib.decompressobj(wbits=47).decompress(content, _MAX_READ_BYTES)
    return content
