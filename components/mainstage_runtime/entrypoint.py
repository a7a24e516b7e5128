"""What the container imports: the person's `inference.py`, with the version that answers reported beside the answer.

`mainstage model push` puts this file into the archive as `code/mainstage_entrypoint.py`, beside the person's
`code/inference.py`, and SAGEMAKER_PROGRAM names it. The functions of script mode (`model_fn`, `input_fn`,
`predict_fn`, `output_fn`, `transform_fn`) are the person's own, each of them optional. Only what is sent back is
wrapped: it carries the custom attribute `mainstage-version=<n>`, which SageMaker hands to the caller (InvokeEndpoint
names the variant, never the version). Where the container has no Response class, or the version is not set, answers
go out as they are.

It runs inside the image, so it takes nothing but the standard library and Python 3.8.
"""

import importlib
import json
import os
from typing import Any


def _part(name: str) -> Any:
    """A module of the image's serving library; None where the image has another one."""
    try:
        return importlib.import_module("sagemaker_containers.beta.framework." + name)
    except ImportError:
        return None


# By importlib, because this file is checked where neither the person's file nor the image's library is.
inference = importlib.import_module("inference")
encoders, errors = _part("encoders"), _part("errors")
Response: Any = getattr(_part("worker"), "Response", None)

HEADER = "X-Amzn-SageMaker-Custom-Attributes"
LONGEST_ATTRIBUTES = 1024
"""Characters that SageMaker takes in that header."""

VERSION = os.environ.get("MAINSTAGE_MODEL_VERSION", "")

_reports = Response is not None and VERSION.isdigit()


def with_version(attributes: str) -> str:
    """The custom attributes with the version added; as they were when it would make them too long."""
    added = f"mainstage-version={VERSION}"
    together = f"{attributes};{added}" if attributes else added
    return together if len(together) <= LONGEST_ATTRIBUTES else attributes


def reported(answer: Any) -> Any:
    """The answer as a Response that carries the version; anything that is no answer goes through unchanged.

    Flask turns a text into HTML and a mapping into JSON. That stays so.
    """
    response: Any = answer
    if isinstance(answer, tuple) and len(answer) == 2:
        response = Response(response=answer[0], mimetype=answer[1])
    elif isinstance(answer, (str, bytes, bytearray)):
        response = Response(response=answer, mimetype="text/html")
    elif isinstance(answer, dict):
        response = Response(response=json.dumps(answer), mimetype="application/json")
    if not hasattr(response, "headers"):
        return answer
    response.headers[HEADER] = with_version(response.headers.get(HEADER, ""))
    return response


def _reporting(function: Any) -> Any:
    def wrapped(*arguments: Any) -> Any:
        return reported(function(*arguments))

    wrapped.__name__ = function.__name__
    wrapped.__doc__ = function.__doc__
    return wrapped


def _default_output(prediction: Any, accept: str) -> Any:
    """The container's own output function. A type that it cannot write is answered as the container answers it."""
    try:
        return encoders.encode(prediction, accept), accept
    except errors.UnsupportedFormatError as error:
        body = json.dumps({"error": type(error).__name__, "error-message": str(error)})
        return Response(response=body, status=406, mimetype="application/json")


def _functions() -> Any:
    """What the container finds here: the names that the person has defined, and no others."""
    names = ("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn", "execution_parameters_fn")
    found = {name: getattr(inference, name) for name in names if hasattr(inference, name)}
    if not _reports:
        return found
    if "transform_fn" in found:
        found["transform_fn"] = _reporting(found["transform_fn"])
    elif "output_fn" in found:
        found["output_fn"] = _reporting(found["output_fn"])
    elif encoders is not None and errors is not None:
        found["output_fn"] = _reporting(_default_output)
    return found


globals().update(_functions())
