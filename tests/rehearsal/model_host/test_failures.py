"""Models that do not come up: each with its own error, each leaving nothing behind."""

from __future__ import annotations

import os
import re

import pytest

from infra.rehearsal.cloud.model_host import HostFailed, HostSpec, ModelHost


def failure_of(host: ModelHost, timeout_seconds: float = 20) -> HostFailed:
    with pytest.raises(HostFailed) as caught:
        host.start(timeout_seconds)
    assert not host.alive
    assert sorted(path.name for path in host.folder.iterdir() if path.is_dir()) == []
    if host.pid:
        with pytest.raises(ProcessLookupError):
            os.kill(host.pid, 0)
    return caught.value


def test_an_archive_without_inference(make_host):
    failure = failure_of(make_host(None, files={"model.joblib": "x"}))
    assert failure.kind == "archive"
    assert "no code/inference.py" in failure.reason


def test_an_archive_without_the_entry_point_that_the_model_names(make_host):
    failure = failure_of(make_host(environment={"SAGEMAKER_PROGRAM": "mainstage_entrypoint.py"}))
    assert (failure.kind, "no code/mainstage_entrypoint.py" in failure.reason) == ("archive", True)


def test_an_archive_that_is_none(make_host, tmp_path):
    archive = tmp_path / "model.tar.gz"
    archive.write_text("<Error>AccessDenied</Error>")
    failure = failure_of(make_host(archive=archive))
    assert (failure.kind, "not a whole gzip-compressed tar" in failure.reason) == ("archive", True)


def test_an_import_error_names_file_line_and_module(make_host):
    failure = failure_of(make_host("\nimport json\nimport lightgbm\n"))
    assert failure.kind == "import"
    assert failure.reason == (
        "importing inference.py raised ModuleNotFoundError: No module named 'lightgbm' (inference.py line 3)"
    )
    assert "Traceback" in failure.log_tail
    assert failure.log_tail.endswith("ModuleNotFoundError: No module named 'lightgbm'")


def test_a_syntax_error_names_its_line(make_host):
    failure = failure_of(make_host("def model_fn(d):\n  return (\n"))
    assert failure.kind == "import"
    assert re.search(r"SyntaxError: .*\(inference\.py,? line 2\)", failure.reason)


def test_a_script_that_exits_is_no_module(make_host):
    failure = failure_of(make_host("import sys\nsys.exit(0)\n"))
    assert (failure.kind, failure.reason) == (
        "import",
        "importing inference.py raised SystemExit: 0 (inference.py line 2)",
    )


def test_without_model_fn(make_host):
    failure = failure_of(make_host("def predict_fn(data, model): return data\n"))
    assert failure.kind == "functions"
    assert "there is no model_fn(model_dir)" in failure.reason


def test_transform_fn_excludes_the_others(make_host):
    functions = ("model_fn(d)", "transform_fn(m, b, c, a)", "input_fn(b, c)", "output_fn(p, a)")
    failure = failure_of(make_host("".join(f"def {each}: ...\n" for each in functions)))
    assert failure.kind == "functions"
    assert "found transform_fn and input_fn, output_fn" in failure.reason


def test_model_fn_that_raises(make_host):
    failure = failure_of(make_host("def model_fn(model_dir):\n    return open(f'{model_dir}/weights.bin')\n"))
    assert failure.kind == "load"
    assert failure.reason.startswith("model_fn raised FileNotFoundError: ")
    assert failure.reason.endswith("(inference.py line 2)")


def test_a_path_of_the_image_written_out_is_explained(make_host):
    failure = failure_of(make_host("def model_fn(model_dir):\n    return open('/opt/ml/model/weights.bin')\n"))
    assert "use the model_dir argument" in failure.reason


@pytest.mark.parametrize(
    ("code", "where"),
    [
        ("import time\ndef model_fn(d):\n    time.sleep(600)\n", "running model_fn (inference.py line 3, in model_fn)"),
        ("while True:\n    pass\n", "importing the code (inference.py line"),
        # Holds the interpreter's lock in C: no Python code of ours runs there any more.
        ("import re\ndef model_fn(d):\n    re.match(r'(a|aa)+$', 'a' * 90 + 'b')\n", "running model_fn"),
    ],
)
def test_a_model_that_hangs_is_ended_at_its_deadline(make_host, code, where):
    for seconds in (1, 20):
        failure = failure_of(make_host(code), timeout_seconds=seconds)
        if where.split(" (")[0] in failure.reason:
            break  # else the machine was too slow to get there
    assert failure.kind == "hang"
    assert failure.reason.startswith(f"the model was not ready within {seconds} s: still {where}")


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("os._exit(3)", "exit code 3"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "signal SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "signal SIGKILL"),
    ],
)
def test_a_process_that_ends_while_it_loads(make_host, ending, text):
    failure = failure_of(make_host(f"import os, signal\ndef model_fn(d):\n    print('last words')\n    {ending}\n"))
    assert failure.kind == "died"
    assert failure.reason == f"the model's process ended while running model_fn: {text}"
    assert "last words" in failure.log_tail


def test_the_program_that_the_environment_does_not_name(make_archive, environments, tmp_path):
    image = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.4-2-cpu-py3"
    spec = HostSpec("m", image, {}, make_archive())
    failure = failure_of(ModelHost(spec, directory=tmp_path / "hosts", environments=environments))
    assert (failure.kind, "has no SAGEMAKER_PROGRAM" in failure.reason) == ("import", True)


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("s3://bucket/sourcedir.tar.gz", "loads code from the model archive alone"),
        ("/opt/ml/elsewhere", "SAGEMAKER_SUBMIT_DIRECTORY is /opt/ml/elsewhere, which is not in the model archive"),
    ],
)
def test_code_that_does_not_come_from_the_archive(make_host, folder, words):
    failure = failure_of(make_host(environment={"SAGEMAKER_SUBMIT_DIRECTORY": folder}))
    assert (failure.kind, words in failure.reason) == ("import", True)


def test_an_image_that_is_no_presets(make_host):
    failure = failure_of(make_host(image="111122223333.dkr.ecr.eu-west-1.amazonaws.com/mine:1"))
    assert failure.kind == "environment"
    assert "cannot run the image 111122223333.dkr.ecr" in failure.reason


def test_a_preset_that_a_rehearsal_cannot_serve(make_host):
    failure = failure_of(
        make_host(image="141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3")
    )
    assert failure.kind == "environment"
    assert "cannot serve the runtime preset sklearn-1.2-1" in failure.reason
    assert "It can serve: sklearn-1.4-2" in failure.reason


def test_requirements_pass_when_the_image_has_them_and_are_named_when_not(make_host, serve):
    serve(files={"code/requirements.txt": "# ours\nnumpy\npandas>=1.5\nscikit-learn==1.4.2\nscipy==1.*\n\n"})
    failure = failure_of(
        make_host(files={"code/requirements.txt": "numpy==1.26.4\nlightgbm>=4 ; python_version>'3'\n"})
    )
    assert failure.kind == "import"
    assert "numpy==1.26.4 (the image has 2.1.0), lightgbm>=4 (the image has no lightgbm)" in failure.reason


def test_a_host_starts_once(serve):
    host = serve()
    with pytest.raises(RuntimeError, match="started before"):
        host.start(5)
    assert host.alive


def test_before_the_start_there_is_nothing_to_ask(make_host):
    host = make_host()
    assert (host.alive, host.pid, host.refused(), host.log_lines()) == (False, 0, [], [])
    with pytest.raises(RuntimeError, match="has not been started"):
        host.invoke(b"", content_type="a/b", accept="a/b")
