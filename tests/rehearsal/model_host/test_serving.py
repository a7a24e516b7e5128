"""What a person's inference.py meets: the contract of the AWS image, whose sources script_mode.py names."""

from __future__ import annotations

import io
import json
import os
import select
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from infra.rehearsal.cloud.model_host import client, process

DOUBLE = """
    import numpy

    class Double:
        def predict(self, rows):
            assert rows.dtype == numpy.float32, rows.dtype
            return rows.sum(axis=1) * 2

    def model_fn(model_dir):
        return Double()
"""


def test_the_defaults_take_json_csv_and_npy_and_answer_what_is_accepted(serve):
    host = serve(
        """
        class Double:
            def predict(self, rows):
                return rows * 2

        def model_fn(model_dir):
            return Double()
        """
    )
    rows = np.array([[1.0, 2.0], [3.0, 4.5]])
    stream = io.BytesIO()
    np.save(stream, rows)
    bodies = {
        "application/json": json.dumps(rows.tolist()).encode(),
        "text/csv": b"1,2\n3,4.5\n",
        "application/x-npy": stream.getvalue(),
    }
    for content_type, body in bodies.items():
        answer = host.invoke(body, content_type=content_type, accept="application/json")
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert json.loads(answer.body) == [[2.0, 4.0], [6.0, 9.0]]
    answer = host.invoke(bodies["text/csv"], content_type="text/csv", accept="text/csv")
    assert (answer.content_type, answer.body) == ("text/csv; charset=utf-8", b"2.0,4.0\n6.0,9.0\n")
    answer = host.invoke(bodies["text/csv"], content_type="text/csv", accept="application/x-npy")
    assert answer.content_type == "application/x-npy"
    assert np.load(io.BytesIO(answer.body)).tolist() == [[2.0, 4.0], [6.0, 9.0]]


def test_the_default_input_is_float32_and_a_list_of_predictions_is_a_csv_column(serve):
    host = serve(DOUBLE)
    answer = host.invoke(b"[[1, 2], [3, 4]]", content_type="application/json", accept="text/csv")
    assert (answer.status, answer.body) == (200, b"6.0\n14.0\n")


@pytest.mark.parametrize("accept", ["", "*/*"])
def test_no_accept_is_json_or_what_the_environment_says(serve, accept):
    assert serve().invoke(b"x", content_type="text/csv", accept=accept).content_type == "application/json"
    host = serve(environment={"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"})
    assert host.invoke(b"x", content_type="text/csv", accept=accept).content_type == "text/csv; charset=utf-8"


def test_text_types_arrive_as_text_everything_else_as_bytes(serve):
    host = serve(
        """
        def model_fn(model_dir):
            return None

        def transform_fn(model, body, content_type, accept):
            return f"{type(body).__name__} {content_type}", "text/plain"
        """
    )

    def seen(content_type: str) -> str:
        return host.invoke(b"1", content_type=content_type, accept="a/b").body.decode()

    assert seen("application/json") == "str application/json"
    assert seen("text/csv") == "str text/csv"
    assert seen("") == "str application/json"
    assert seen("application/json; charset=utf-8") == "bytes application/json; charset=utf-8"
    assert seen("application/x-npy") == "bytes application/x-npy"


def test_a_content_type_that_the_defaults_do_not_know_is_a_500_as_in_the_image(serve):
    host = serve(DOUBLE)
    assert host.invoke(b"x", content_type="image/png", accept="text/csv").status == 500
    assert host.invoke(b"[[1]]", content_type="application/json", accept="image/png").status == 500
    assert any("Content type image/png is not supported" in line for line in host.log_lines())


def test_an_exception_is_in_the_log_and_not_in_the_answer(serve):
    host = serve(
        """
        def model_fn(model_dir):
            return None

        def predict_fn(rows, model):
            raise ValueError("the secret is 4711")
        """
    )
    answer = host.invoke(b"[[1]]", content_type="application/json", accept="*/*")
    assert answer.status == 500
    assert b"4711" not in answer.body
    assert b"Internal Server Error" in answer.body
    assert host.log_lines()[-1] == "ValueError: the secret is 4711"
    assert any("inference.py" in line and "in predict_fn" in line for line in host.log_lines())
    assert host.alive


def test_what_was_printed_before_an_answer_is_in_the_log(serve):
    host = serve(
        """
        def model_fn(model_dir):
            return None

        def predict_fn(count, model):
            print("\\n".join(f"line {number}" for number in range(int(count))), flush=True)
            return count
        """
    )
    for _ in range(20):
        host.invoke(b"3000", content_type="application/json", accept="application/json")
        assert host.log_lines()[-1] == "line 2999"


def test_a_log_that_is_read_late_is_waited_for(serve, monkeypatch):
    class Late:
        def __init__(self):
            self.poller = select.poll()
            self.register = self.poller.register

        def poll(self, *given):
            ready = self.poller.poll(*given)
            time.sleep(0.5)
            return ready

    monkeypatch.setattr(process, "select", SimpleNamespace(poll=Late, POLLIN=select.POLLIN))
    host = serve(
        """
        def model_fn(model_dir):
            return None

        def predict_fn(rows, model):
            print("said", flush=True)
            return rows
        """
    )
    host.invoke(b"1", content_type="application/json", accept="application/json")
    assert host.log_lines()[-1:] == ["said"]


def test_a_ping_that_is_not_answered_in_time_is_repeated_until_the_deadline(serve, monkeypatch):
    request, asked = client.Client.request, []

    def late_once(self, method, target, *rest):
        asked.append(target)
        if len(asked) == 1:
            raise TimeoutError
        return request(self, method, target, *rest)

    monkeypatch.setattr(client.Client, "request", late_once)
    assert serve().alive
    assert asked == ["/ping", "/ping"]


def test_what_a_function_may_return(serve):
    host = serve(
        """
        import sagemaker_containers.beta.framework.worker as worker
        from sagemaker_containers.beta.framework import content_types, encoders

        def model_fn(model_dir):
            return None

        def transform_fn(model, body, content_type, accept):
            return {
                "response": lambda: worker.Response("no", status=422, headers={"X-Other": "1"}, mimetype="text/plain"),
                "tuple": lambda: (b"\\x00", "application/octet-stream"),
                "string": lambda: "plain",
                "dict": lambda: {"a": 1},
                "none": lambda: None,
                "encoded": lambda: (encoders.encode([1, 2], content_types.JSON), content_types.JSON),
            }[body]()
        """
    )

    def answer(kind: str) -> tuple[int, str, bytes]:
        got = host.invoke(kind.encode(), content_type="text/csv", accept="*/*")
        return got.status, got.content_type, got.body

    assert answer("response") == (422, "text/plain; charset=utf-8", b"no")
    assert answer("tuple") == (200, "application/octet-stream", b"\x00")
    assert answer("string") == (200, "text/html; charset=utf-8", b"plain")
    assert answer("dict") == (200, "application/json", b'{"a": 1}')
    assert answer("encoded") == (200, "application/json", b"[1, 2]")
    assert answer("none")[0] == 500


def test_the_containers_response_carries_custom_attributes(serve):
    host = serve(
        """
        import os
        from sagemaker_containers.beta.framework import worker

        def model_fn(model_dir):
            return None

        def output_fn(prediction, accept):
            version = os.environ["MAINSTAGE_MODEL_VERSION"]
            answer = worker.Response("ok", mimetype=accept)
            answer.headers["x-amzn-sagemaker-custom-attributes"] = f"mainstage-version={version}"
            return answer

        def predict_fn(data, model):
            return data
        """,
        environment={"MAINSTAGE_MODEL_VERSION": "7"},
    )
    answer = host.invoke(
        b"[1]", content_type="application/json", accept="text/plain", custom_attributes="trace=1\r\nX: y"
    )
    assert (answer.status, answer.custom_attributes) == (200, "mainstage-version=7")


def test_a_part_of_the_image_that_the_stand_in_lacks_is_named(make_host):
    host = make_host("from sagemaker_containers.beta.framework.env import ServingEnv")
    with pytest.raises(RuntimeError, match="cannot import name 'ServingEnv'"):
        host.start(20)


def test_unicode_binary_and_large_bodies_come_back_whole(serve):
    host = serve()
    text = "Zoë – 東京 🚄\u2028".encode()
    assert host.invoke(text, content_type="application/json", accept="text/plain").body == text
    binary = bytes(range(256)) * 10
    assert host.invoke(binary, content_type="application/octet-stream", accept="a/b").body == binary
    large = os.urandom(6 * 1024 * 1024)
    answer = host.invoke(large, content_type="application/octet-stream", accept="a/b")
    assert (answer.status, len(answer.body), answer.body == large) == (200, len(large), True)
    assert host.invoke(b"", content_type="application/octet-stream", accept="a/b").body == b""


def test_calls_run_beside_each_other(serve):
    """Sixteen calls that wait for one another: each answer needs all of them inside at once."""
    host = serve(
        """
        import threading

        def model_fn(model_dir):
            return threading.Barrier(16)

        def transform_fn(model, body, content_type, accept):
            model.wait(timeout=20)
            return body, "text/plain"
        """
    )
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda n: host.invoke(b"%d" % n, content_type="text/csv", accept="*/*"), range(16)))
    assert [answer.body for answer in answers] == [b"%d" % number for number in range(16)]


def test_many_calls_over_few_threads_keep_their_answers_apart(serve):
    host = serve()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: host.invoke(b"%d" % n, content_type="a/b", accept="a/b"), range(400)))
    assert [int(answer.body) for answer in answers] == list(range(400))
    assert all(answer.latency_us > 0 for answer in answers)


def test_a_connection_that_comes_back_when_the_process_has_just_ended_is_closed(serve):
    calls, kept = serve()._process._client, []

    class Idle(deque):
        def append(self, connection):
            kept.append(connection)
            calls.close()
            super().append(connection)

    calls._idle = Idle(calls._idle)
    assert calls.request("GET", "/ping", None, {}, 20).status == 200
    assert [connection.sock for connection in kept] == [None]


def test_modules_packages_and_data_beside_the_code_are_found(serve):
    host = serve(
        """
        import helper
        from features.scale import factor

        def model_fn(model_dir):
            return int(open(f"{model_dir}/weights.txt").read()) * factor * helper.two

        def transform_fn(model, body, content_type, accept):
            return str(model), "text/plain"
        """,
        files={
            "weights.txt": "7",
            "code/helper.py": "two = 2",
            "code/features/__init__.py": "",
            "code/features/scale.py": "factor = 10",
        },
    )
    assert host.invoke(b"", content_type="text/csv", accept="*/*").body == b"140"


def test_the_models_own_environment_arrives_and_nothing_else_of_ours(serve, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAOUTSIDE")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("PYTHONPATH", "/outside")
    monkeypatch.setenv("VIRTUAL_ENV", "/outside")
    monkeypatch.setenv("OUTSIDE", "1")
    host = serve(
        """
        import json, os, sys

        def model_fn(model_dir):
            return None

        def transform_fn(model, body, content_type, accept):
            mine = [name for name in sys.modules if name.split(".")[0] in ("infra", "mainstage", "serving")]
            return json.dumps([dict(os.environ), sys.path, mine, os.getcwd(), os.listdir(".")]), "application/json"
        """,
        environment={"THRESHOLD": "0,5 ü", "MAINSTAGE_MODEL_VERSION": "3"},
    )
    answer = host.invoke(b"", content_type="text/csv", accept="*/*")
    environment, path, modules, folder, listing = json.loads(answer.body)
    assert environment["THRESHOLD"] == "0,5 ü"
    assert environment["MAINSTAGE_MODEL_VERSION"] == "3"
    assert environment["SAGEMAKER_PROGRAM"] == "inference.py"
    assert set(environment) - {"LC_CTYPE", "__CF_USER_TEXT_ENCODING"} == {
        *("THRESHOLD", "MAINSTAGE_MODEL_VERSION", "SAGEMAKER_PROGRAM", "SAGEMAKER_SUBMIT_DIRECTORY"),
        *("SAGEMAKER_BASE_DIR", "SM_MODEL_DIR", "MAINSTAGE_GUARD_LOG", "HOME", "PATH", "TMPDIR", "LANG", "LC_ALL"),
        *("PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONUNBUFFERED"),
    }
    assert environment["HOME"] == folder == str(host.folder / "root")
    assert listing == []
    assert modules == []
    inside = (str(host.folder), str(host.runtime.folder))
    assert path[0] == str(host.folder / "opt/ml/code")
    assert not [entry for entry in path if "model_host/container" in entry or "/outside" in entry]
    assert any(entry.startswith(inside) and entry.endswith("site-packages") for entry in path)


def test_a_real_scikit_learn_model_trained_in_the_images_versions(serve, environments, tmp_path):
    import subprocess

    runtime = environments.ensure("sklearn-1.4-2")
    code = (
        "import joblib; from sklearn.datasets import load_iris; from sklearn.linear_model import LogisticRegression;"
        "from sklearn.pipeline import make_pipeline; from sklearn.preprocessing import StandardScaler;"
        "x, y = load_iris(return_X_y=True); m = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y);"
        f"joblib.dump(m, {str(tmp_path / 'model.joblib')!r}); print(m.predict(x[[0, 60, 120]]).tolist())"
    )
    trained = subprocess.run([runtime.python, "-c", code], capture_output=True, text=True, check=True).stdout
    host = serve(
        """
        import joblib

        def model_fn(model_dir):
            return joblib.load(f"{model_dir}/model.joblib")
        """,
        files={"model.joblib": (tmp_path / "model.joblib").read_bytes()},
    )
    rows = [[5.1, 3.5, 1.4, 0.2], [5.0, 2.0, 3.5, 1.0], [6.9, 3.2, 5.7, 2.3]]
    answer = host.invoke(json.dumps(rows).encode(), content_type="application/json", accept="application/json")
    assert json.loads(answer.body) == json.loads(trained) == [0, 1, 2]
    assert host.runtime.packages["scikit-learn"] == "1.4.2"
    assert host.describe()["packages"] == host.runtime.packages
