"""Measures the transform against what cannot be saved: base64 in and out, and `json.loads`.

Run by hand: `python tests/runtime/measure_transform.py [rounds]`. One batch is 500 records of about 1 KB.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable
from typing import Any

from mainstage_runtime.prediction import RecordWriter, Served
from mainstage_runtime.redact import Pseudonyms
from mainstage_runtime.transform import Transform

KINDS = ("double", "double", "integer", "string", "boolean")
VALUES = {"double": 12.3456, "integer": 42, "string": "gas pump", "boolean": True}
SIGNATURE: dict[str, Any] = {
    "inputs": [{"name": f"feature_{number:02d}", "type": KINDS[number % 5]} for number in range(12)],
    "outputs": [{"name": "label", "type": "string"}, {"name": "confidence", "type": "double"}],
}
RECORDS = 500


def batch() -> list[str]:
    writer = RecordWriter(
        SIGNATURE, environment="dev", model="iris", endpoint_name="dev-iris", pseudonyms=Pseudonyms(None)
    )
    row = {field["name"]: VALUES[field["type"]] for field in SIGNATURE["inputs"]}
    served = Served(
        "Wx3pYh8vjoEEJ1A=-a1b2c3d4-5678-90ab",
        1_795_271_001_123,
        body=json.dumps({"instances": [row]}).encode(),
        rows=[row],
        status=200,
        version="7",
        variant="AllTraffic",
        answer=b'{"predictions":[{"label":"yes","confidence":0.91}]}',
        latency_ms=12.3,
        model_ms=9.1,
        caller_arn="arn:aws:sts::111111111111:assumed-role/client/session",
    )
    return [b2a_base64(writer.write(served), newline=False).decode()] * RECORDS


def best_of(rounds: int, run: Callable[[], object]) -> float:
    """Seconds of the fastest round."""
    found = []
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return min(found)


def parsed_alone(records: list[str]) -> None:
    for data in records:
        raw = a2b_base64(data)
        json.loads(raw)
        b2a_base64(raw, newline=False).decode()


def main() -> int:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    records = batch()
    event = {"records": [{"recordId": str(number), "data": data} for number, data in enumerate(records)]}
    transform = Transform(SIGNATURE, model="iris", log_name="dev-iris")
    with contextlib.redirect_stdout(io.StringIO()):
        assert {answer["result"] for answer in transform.handle(event)["records"]} == {"Ok"}
        transformed = best_of(rounds, lambda: transform.handle(event))
    floor = best_of(rounds, lambda: parsed_alone(records))
    print(
        f"transform {RECORDS / transformed:,.0f} records/s; base64 and json.loads alone {RECORDS / floor:,.0f}; "
        f"{len(a2b_base64(records[0]))} bytes a record"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
