"""What `pulumi ... --policy-pack policies` runs. Making the pack starts a server and never comes back."""

import sys
from datetime import date
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# Last: nothing here may hide a module of the program's environment.
sys.path.append(str(FOLDER.parent))

from pulumi_policy import PolicyPack  # noqa: E402 -- after the path

from policies.pack import NAME, policies  # noqa: E402 -- as above

PolicyPack(NAME, policies=policies(FOLDER / "exceptions.yaml", date.today()))
