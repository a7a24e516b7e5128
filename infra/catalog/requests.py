"""Holds a request against a model's signature: which field, what stood there, what is taken.

The check is the front door's own, so what passes here is answered there.
"""

from __future__ import annotations

from typing import Any

from mainstage_runtime.payload import InvalidJson, InvalidPayload, PayloadCheck

from infra.catalog.signature import Signature


def request_problems(signature: Signature, body: bytes) -> list[str]:
    """What is wrong with a request body, in the order of the request; empty when the signature takes it."""
    try:
        _check(signature).rows(body)
    except InvalidJson as error:
        return [str(error)]
    except InvalidPayload as error:
        told = [str(problem) for problem in error.problems]
        if not error.count:
            return [str(error)]
        return [*told, f"and {error.count - len(told)} more"] if error.count > len(told) else told
    return []


def problem_objects(signature: Signature, body: bytes) -> list[dict[str, Any]]:
    """The same as objects of `field`, `value`, `rule` and `message`, as the front door's error replies have them."""
    try:
        _check(signature).rows(body)
    except InvalidPayload as error:
        return [problem.as_json() for problem in error.problems]
    except InvalidJson:
        return []
    return []


def _check(signature: Signature) -> PayloadCheck:
    return PayloadCheck(signature.model_dump(mode="json", exclude_defaults=True))
