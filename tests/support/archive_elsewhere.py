"""What goes into an archive by the component library itself, under a Python that has no Pulumi installed.

Standard input: JSON, function's name -> `handler` and `config`. Prints JSON: name -> member -> SHA-256. Pulumi's
modules are stood in for: an archive is its assets, an asset is its file or its text, anything else is an empty class.
"""

from __future__ import annotations

import hashlib
import json
import sys
import types
from pathlib import Path
from typing import Any

LIBRARY = Path(sys.argv[1])


class Nothing(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {"__class_getitem__": classmethod(lambda cls, item: cls)})
        setattr(self, name, made)
        return made


class FileAsset:
    def __init__(self, path: str):
        self.data = Path(path).read_bytes()


class StringAsset:
    def __init__(self, text: str):
        self.data = text.encode()


class AssetArchive:
    def __init__(self, assets: dict[str, Any]):
        self.assets = assets


def main() -> None:
    pulumi = Nothing("pulumi")
    for kind in (FileAsset, StringAsset, AssetArchive):
        setattr(pulumi, kind.__name__, kind)
    sys.modules["pulumi"], sys.modules["pulumi_aws"] = pulumi, Nothing("pulumi_aws")
    # Without its __init__, which imports every component.
    package = types.ModuleType("mainstage")
    package.__path__ = [str(LIBRARY / "mainstage")]
    sys.modules["mainstage"] = package
    sys.path.insert(0, str(LIBRARY))
    sys.dont_write_bytecode = True
    function_archive = __import__("mainstage._lambda_function", fromlist=["function_archive"]).function_archive
    found = {}
    for name, function in json.load(sys.stdin).items():
        config = None if function["config"] is None else json.loads(function["config"])
        members = function_archive([function["handler"].split(".")[1]], config).assets
        found[name] = {member: hashlib.sha256(asset.data).hexdigest() for member, asset in members.items()}
    json.dump(found, sys.stdout)


main()
