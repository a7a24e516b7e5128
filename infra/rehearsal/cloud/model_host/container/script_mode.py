"""What a person's `inference.py` meets in the image: the four functions, their defaults, formats, errors and answers.

The contract, not the code, of aws/sagemaker-containers 2.8.6 (src/sagemaker_containers/_transformer.py, _worker.py,
_encoders.py, _errors.py, _content_types.py) and aws/sagemaker-scikit-learn-container
(src/sagemaker_sklearn_container/serving.py). Points that surprise, kept as they are there:

- A body is handed over as text only when the content type is exactly `application/json` or `text/csv`; with a parameter
  (`; charset=utf-8`) it is bytes, and the defaults do not know the type.
- The defaults turn those two into a float32 array. A content type the defaults do not know ends in 500, not 415: the
  serving module wraps its own defaults like a person's functions, so the branch that would answer 415 is never reached.
- `transform_fn` excludes the other three.
- An Accept that is absent or `*/*` is SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT, else `application/json`.
- A tuple is (body, content type). A plain string becomes `text/html`: that is Flask's default.
"""

import csv
import io
import json
import os
import sys
import types

JSON, CSV, NPY, OCTET_STREAM, ANY = (
    "application/json",
    "text/csv",
    "application/x-npy",
    "application/octet-stream",
    "*/*",
)
UTF8_TYPES = [JSON, CSV]
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"


class ClientError(Exception):
    """An error of the person's code."""


class UserError(Exception):
    """The person's functions do not go together."""


class UnsupportedFormatError(Exception):
    """A content type that the defaults do not know."""

    def __init__(self, content_type, **_ignored):
        self.message = (
            f"Content type {content_type} is not supported by this framework. "
            "Write an input_fn that reads the request, or an output_fn that writes the answer."
        )
        super().__init__(self.message)


class Headers(dict):
    """Header fields; names are case-insensitive."""

    def __init__(self, given=None):
        super().__init__()
        pairs = given.items() if isinstance(given, dict) else given or ()
        for name, value in pairs:
            self[name] = value

    def _key(self, name):
        return next((known for known in self.keys() if known.lower() == str(name).lower()), str(name))

    def __setitem__(self, name, value):
        super().__setitem__(self._key(name), str(value))

    def __getitem__(self, name):
        return super().__getitem__(self._key(name))

    def __contains__(self, name):
        return super().__contains__(self._key(name))

    def __delitem__(self, name):
        super().__delitem__(self._key(name))

    def get(self, name, default=None):
        return super().get(self._key(name), default)

    def setdefault(self, name, default=None):
        return super().setdefault(self._key(name), str(default))

    set = add = __setitem__


class Response:
    """The container's answer: stands in for sagemaker_containers' worker.Response, which is a flask.Response."""

    default_mimetype = JSON

    def __init__(self, response=None, accept=None, status=200, headers=None, mimetype=None, direct_passthrough=False):
        self.status_code = int(str(status).split(" ", 1)[0])
        self.headers = Headers(headers)
        self.set_data(response)
        if mimetype is not None or "Content-Type" not in self.headers:
            self.mimetype = mimetype or self.default_mimetype
        self.direct_passthrough = direct_passthrough

    def set_data(self, value):
        if value is None:
            value = b""
        elif not isinstance(value, (str, bytes, bytearray)):
            value = b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in value)
        self._body = value.encode("utf-8") if isinstance(value, str) else bytes(value)

    def get_data(self, as_text=False):
        return self._body.decode("utf-8") if as_text else self._body

    data = property(get_data, set_data)
    response = property(lambda self: [self._body], set_data)

    @property
    def content_type(self):
        return self.headers.get("Content-Type")

    @content_type.setter
    def content_type(self, value):
        self.headers["Content-Type"] = value

    @property
    def mimetype(self):
        return (self.content_type or "").split(";")[0].strip()

    @mimetype.setter
    def mimetype(self, value):
        # werkzeug adds the character set to text types, and to no other that matters here.
        text = value.startswith("text/") and "charset" not in value
        self.content_type = f"{value}; charset=utf-8" if text else value


def _numpy():
    import numpy  # the preset's; loaded with the first default format, not before

    return numpy


def array_to_json(array_like):
    def plain(value):
        if hasattr(value, "tolist"):
            return value.tolist()
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    return json.dumps(array_like, default=plain)


def json_to_numpy(string_like, dtype=None):
    return _numpy().array(json.loads(string_like), dtype=dtype)


def array_to_csv(array_like):
    array = _numpy().array(array_like)
    if array.ndim == 1:
        array = array.reshape((array.shape[0], 1))
    stream = io.StringIO()
    try:
        csv.writer(stream, lineterminator="\n", strict=True).writerows(array)
    except csv.Error as error:
        raise ClientError(f"Error while encoding csv: {error}") from error
    return stream.getvalue()


def csv_to_numpy(string_like, dtype=None):
    try:
        rows = list(csv.reader(io.StringIO(string_like), strict=True))
        array = _numpy().array(rows).squeeze()
    except Exception as error:
        raise ClientError(f"Error while decoding csv: {error}") from error
    try:
        # numpy reads a dtype of None as float64; what is no number stays text.
        return array.astype(dtype)
    except ValueError as error:
        if dtype is not None:
            raise ClientError(f"Error while writing numpy array: {error}. dtype is: {dtype}") from error
        return array


def array_to_npy(array_like):
    stream = io.BytesIO()
    _numpy().save(stream, array_like)
    return stream.getvalue()


def npy_to_numpy(npy_array):
    return _numpy().load(io.BytesIO(npy_array), allow_pickle=True)


_ENCODERS = {JSON: array_to_json, CSV: array_to_csv, NPY: array_to_npy}
_DECODERS = {JSON: json_to_numpy, CSV: csv_to_numpy, NPY: npy_to_numpy}


def decode(obj, content_type):
    if content_type not in _DECODERS:
        raise UnsupportedFormatError(content_type)
    return _DECODERS[content_type](obj)


def encode(array_like, content_type):
    if content_type not in _ENCODERS:
        raise UnsupportedFormatError(content_type)
    return _ENCODERS[content_type](array_like)


def _default_input_fn(body, content_type):
    array = decode(body, content_type)
    return array.astype(_numpy().float32) if content_type in UTF8_TYPES else array


def _default_predict_fn(data, model):
    return model.predict(data)


def _default_output_fn(prediction, accept):
    return Response(encode(prediction, accept), mimetype=accept)


class Functions:
    """The person's functions, with the image's defaults. Raises UserError when they do not go together."""

    def __init__(self, module):
        model_fn = getattr(module, "model_fn", None)
        if model_fn is None:
            raise UserError(
                "there is no model_fn(model_dir), and the image has no default for it: write one that returns the model"
            )
        self.model_fn = model_fn
        names = ("input_fn", "predict_fn", "output_fn")
        given = [name for name in names if getattr(module, name, None)]
        self.transform_fn = getattr(module, "transform_fn", None)
        if self.transform_fn and given:
            raise UserError(
                "Cannot use transform_fn implementation with input_fn, predict_fn, and/or output_fn: "
                f"found transform_fn and {', '.join(given)}. Keep one of the two"
            )
        self.input_fn = getattr(module, "input_fn", None) or _default_input_fn
        self.predict_fn = getattr(module, "predict_fn", None) or _default_predict_fn
        self.output_fn = getattr(module, "output_fn", None) or _default_output_fn

    def answer(self, model, body, content_type, accept):
        """One invocation: the person's functions in the image's order. Raises what they raise."""
        content_type = content_type or JSON
        if not accept or accept == ANY:
            accept = os.environ.get("SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT", JSON)
        content = body.decode("utf-8", "replace") if content_type in UTF8_TYPES else body
        if self.transform_fn:
            result = self.transform_fn(model, content, content_type, accept)
        else:
            result = self.output_fn(self.predict_fn(self.input_fn(content, content_type), model), accept)
        return as_response(result)


def as_response(result):
    """What the container makes of a function's return value (Transformer.transform, then flask.Flask.make_response)."""
    if isinstance(result, Response):
        return result
    if isinstance(result, tuple):
        return Response(result[0], mimetype=result[1])
    if isinstance(result, (str, bytes, bytearray)):
        return Response(result, mimetype="text/html")
    if isinstance(result, dict):
        return Response(json.dumps(result), mimetype=JSON)
    raise TypeError(
        f"the answer is a {type(result).__name__}: return a string or bytes with its content type as a tuple, "
        "a string, a dict, or the container's Response"
    )


def provide_container_modules():
    """Makes `sagemaker_containers.beta.framework` importable, as far as a person's code uses it in the image."""
    here = sys.modules[__name__]

    def module(name, **members):
        made = types.ModuleType(name, f"Stands in for {name} of the AWS image.")
        made.__dict__.update(members)
        sys.modules[name] = made
        return made

    def absent(name):
        def missing(attribute):
            raise AttributeError(
                f"{name}.{attribute} is not in the rehearsal's stand-in for the AWS image; it is in the image"
            )

        return module(name, __getattr__=missing)

    framework = "sagemaker_containers.beta.framework"
    names = ("JSON", "CSV", "NPY", "OCTET_STREAM", "ANY", "UTF8_TYPES")
    coders = (
        "decode",
        "encode",
        "array_to_json",
        "json_to_numpy",
        "array_to_csv",
        "csv_to_numpy",
        "array_to_npy",
        "npy_to_numpy",
    )
    parts = {
        "content_types": module(f"{framework}.content_types", **{name: getattr(here, name) for name in names}),
        "encoders": module(f"{framework}.encoders", **{name: getattr(here, name) for name in coders}),
        "errors": module(f"{framework}.errors", ClientError=ClientError, UnsupportedFormatError=UnsupportedFormatError),
        "worker": module(f"{framework}.worker", Response=Response),
    }
    for name in ("env", "modules", "server", "transformer"):
        parts[name] = absent(f"{framework}.{name}")
    beta = module("sagemaker_containers.beta", framework=module(framework, __path__=[], **parts), __path__=[])
    module("sagemaker_containers", beta=beta, __path__=[])
