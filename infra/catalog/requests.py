"""Holds a request against a model's signature: which field, what stood there, what is taken.

The check is the front door's own, so what passes here is answered there.
"""

from __future__ import annotations

from mainstage_runtime.payload import InvalidJson, InvalidPayload, PayloadCheck

from infra.catalog.signature import Signature


def request_problems(signature: Signature, body: bytes) -> list[str]:
    """What is wrong with a request body, in the order of the request; empty when the signature takes it."""
    try:
        PayloadCheck(signature.model_dump(mode="json", exclude_defaults=True)).rows(body)
    except InvalidJson as error:
        return [str(error)]
    except InvalidPayload as error:
        told = [str(problem) for problem in error.problems]
        if not error.count:
            return [str(error)]
        return [*told, f"and {error.count - len(told)} more"] if error.count > len(told) else told
    return []
