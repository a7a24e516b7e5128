"""Names that the bridge makes when the program gives none (pulumi-terraform-bridge pkg/tfbridge/names.go)."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from pulumi.runtime.proto import provider_pb2 as pb

_RANDOM_HEX = 7


@dataclass(frozen=True)
class AutoName:
    """Names `<logical name>-<7 hex digits>`, at most `max_length` long."""

    field: str = "name"
    prefix_field: str = "namePrefix"
    max_length: int = 255
    transform: Callable[[str], str] = str
    """Applied to made names, for example str.lower for S3 buckets."""
    separator: str = "-"
    exact: bool = False
    """The logical name itself, with nothing added (S3 object keys); such a name never forces delete-before-replace."""

    def make(self, logical_name: str, request: pb.CheckRequest) -> str | None:
        """The name, or None when auto-naming is switched off for the stack."""
        if self.exact:
            return self.transform(logical_name)
        options = request.autonaming
        modes = pb.CheckRequest.AutonamingOptions
        if request.HasField("autonaming"):
            if options.mode == modes.DISABLE:
                return None
            if options.mode == modes.ENFORCE or options.proposed_name:
                return options.proposed_name
        seed = request.randomSeed or request.urn.encode()
        digits = hashlib.sha256(seed).hexdigest()[:_RANDOM_HEX]
        room = self.max_length - _RANDOM_HEX - len(self.separator)
        return self.transform(logical_name[:room] + self.separator + digits)


_counter = itertools.count()
_counter_lock = threading.Lock()


def unique_suffix() -> str:
    """26 characters, as the Terraform SDK appends to a name prefix: a time stamp and a counter."""
    with _counter_lock:
        number = next(_counter)
    now = time.time()
    stamp = time.strftime("%Y%m%d%H%M%S", time.gmtime(now)) + f"{int(now % 1 * 10_000):04d}"
    return f"{stamp}{number:08x}"
