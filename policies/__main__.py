"""What `pulumi ... --policy-pack policies` runs. Making the pack starts a server and never comes back."""

import sys
from datetime import date
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

from pulumi_policy import PolicyPack

FOLDER = Path(__file__).resolve().parent

# The folder that was named is what runs, whatever it is called and whatever else is installed.
_spec = spec_from_file_location("policies", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)])
assert _spec is not None
assert _spec.loader is not None
sys.modules["policies"] = module_from_spec(_spec)
_spec.loader.exec_module(sys.modules["policies"])

from policies.pack import NAME, policies  # noqa: E402 -- after the package

PolicyPack(NAME, policies=policies(FOLDER / "exceptions.yaml", date.today()))
