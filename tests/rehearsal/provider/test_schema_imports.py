"""The SDK's modules import each other: many threads that ask for schemas at once must all get whole ones."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from concurrent.futures import ThreadPoolExecutor
from infra.rehearsal.provider.rows import ROWS
from infra.rehearsal.provider.schema import schema_of
with ThreadPoolExecutor(16) as pool:
    assert all(each.inputs for each in pool.map(schema_of, ROWS))
"""


def test_schemas_are_whole_when_many_threads_ask_first() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
