"""What `model push` asks before it registers anything: does it load and answer in the image's environment?"""

from __future__ import annotations

import pickle
import subprocess
from pathlib import Path

import joblib
import pytest
import sklearn
from mainstage.runtime_presets import preset_named
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from infra.rehearsal.cloud.model_host import CheckFailed, CheckReport, HostFailed, check_model
from infra.rehearsal.cloud.model_host.versions import version_problems

PRESET = "sklearn-1.4-2"
LOADS = """
    import pickle

    def model_fn(model_dir):
        with open(f"{model_dir}/model.pkl", "rb") as file:
            return pickle.load(file)
"""
RETRAIN = "retrain with scikit-learn==1.4.2"


@pytest.fixture(scope="session")
def saved_here(environments) -> bytes:
    """A classifier, pickled by the image's scikit-learn."""
    code = (
        "import pickle, sys; from sklearn.datasets import load_iris;"
        "from sklearn.linear_model import LogisticRegression;"
        "sys.stdout.buffer.write(pickle.dumps(LogisticRegression(max_iter=500).fit(*load_iris(return_X_y=True))))"
    )
    python = environments.ensure(PRESET).python
    return subprocess.run([python, "-c", code], capture_output=True, check=True).stdout


@pytest.fixture
def check(environments, make_archive):
    def run(inference: str | None = LOADS, files=None, sample: bytes | None = None, **options) -> CheckReport:
        return check_model(make_archive(inference, files), PRESET, environments, sample, **options)

    return run


def refusal(check, *arguments, **options) -> str:
    with pytest.raises(CheckFailed) as caught:
        check(*arguments, **options)
    report = caught.value.report
    assert not report.ok
    assert str(caught.value) == "\n".join(report.problems)
    return str(caught.value)


def test_a_good_model_passes_and_answers_the_sample(check, saved_here):
    report = check(files={"model.pkl": saved_here}, sample=b"[[5.1, 3.5, 1.4, 0.2]]")
    assert report.ok
    assert (report.preset, report.problems, report.warnings) == (PRESET, [], [])
    assert report.python.startswith("3.")
    assert report.packages["scikit-learn"] == "1.4.2"
    assert report.prediction is not None
    assert (report.prediction.status, report.prediction.body) == (200, b"[0]")


def test_a_folder_is_checked_like_the_archive_that_is_made_of_it(environments, saved_here, tmp_path):
    folder = tmp_path / "iris"
    (folder / "features").mkdir(parents=True)
    (folder / "features" / "__init__.py").write_text("scale = 1\n")
    (folder / "inference.py").write_text(
        "import pickle, features\ndef model_fn(d):\n    return pickle.load(open(f'{d}/model.pkl', 'rb'))\n"
    )
    (folder / "model.pkl").write_bytes(saved_here)
    report = check_model(folder, PRESET, environments, b"[[6.9, 3.2, 5.7, 2.3]]")
    assert report.prediction is not None
    assert report.prediction.body == b"[2]"


def test_the_dev_environments_scikit_learn_is_another_one_and_is_refused(check):
    """Real objects, really saved by another version."""
    assert sklearn.__version__ != "1.4.2"
    rows, classes = load_iris(return_X_y=True)
    for estimator in (LogisticRegression(max_iter=500), DecisionTreeClassifier()):
        model = pickle.dumps(estimator.fit(rows, classes))
        text = refusal(check, files={"model.pkl": model})
        assert f"saved with scikit-learn {sklearn.__version__}, and the image of sklearn-1.4-2 has 1.4.2" in text
        assert RETRAIN in text


def test_a_version_that_happens_to_load_is_refused_by_push_and_served_by_the_host(check, serve, saved_here):
    older = saved_here.replace(b"\x8c\x051.4.2", b"\x8c\x051.3.9")
    assert older != saved_here
    text = refusal(check, files={"model.pkl": older}, sample=b"[[5.1, 3.5, 1.4, 0.2]]")
    assert text == (
        "LogisticRegression, model.pkl: saved with scikit-learn 1.3.9, and the image of sklearn-1.4-2 has 1.4.2: "
        "retrain with scikit-learn==1.4.2 (all versions: requirements/presets/sklearn-1.4-2.lock)."
    )
    host = serve(LOADS, files={"model.pkl": older})
    assert host.invoke(b"[[5.1, 3.5, 1.4, 0.2]]", content_type="application/json", accept="*/*").body == b"[0]"
    assert any("InconsistentVersionWarning" in line for line in host.log_lines())


def test_a_warning_that_the_code_silences_is_found_in_the_file(check, saved_here):
    older = saved_here.replace(b"\x8c\x051.4.2", b"\x8c\x051.3.9")
    silent = "import warnings\nwarnings.simplefilter('ignore')\n" + "\n".join(line[4:] for line in LOADS.splitlines())
    text = refusal(check, silent, files={"model.pkl": older})
    assert text.startswith("model.pkl: saved with scikit-learn 1.3.9")


def test_a_version_that_cannot_be_loaded_is_told_as_such(check, make_host, saved_here):
    newer = saved_here.replace(b"\x8c\x051.4.2", b"\x8c\x051.9.0").replace(
        b"sklearn.linear_model._logistic", b"sklearn.linear_model._logistik"
    )
    assert "1.9.0" in refusal(check, files={"model.pkl": newer})
    host = make_host(LOADS, files={"model.pkl": newer})
    with pytest.raises(HostFailed) as caught:
        host.start(20)
    assert caught.value.kind == "version"
    assert "No module named 'sklearn.linear_model._logistik'" in caught.value.reason
    assert RETRAIN in caught.value.reason


def test_import_errors_come_with_the_end_of_the_traceback(check):
    text = refusal(check, "import lightgbm\n")
    assert text.startswith("importing inference.py raised ModuleNotFoundError: No module named 'lightgbm'")
    assert "The container's log ends:\n  " in text
    assert text.endswith("  ModuleNotFoundError: No module named 'lightgbm'")


def test_missing_and_contradictory_functions(check):
    assert refusal(check, "x = 1\n").startswith("there is no model_fn(model_dir)")
    both = "def model_fn(d): ...\ndef transform_fn(m, b, c, a): ...\ndef predict_fn(d, m): ...\n"
    assert "found transform_fn and predict_fn" in refusal(check, both)


def test_a_hang(check):
    for seconds in (1, 20):
        text = refusal(check, "import time\ndef model_fn(d):\n    time.sleep(99)\n", timeout_seconds=seconds)
        if "running model_fn" in text:
            break  # else the machine was too slow to get there
    assert text.startswith(
        f"the model was not ready within {seconds} s: still running model_fn (inference.py line 3, in model_fn)"
    )


def test_a_bad_archive(check):
    assert "no code/inference.py" in refusal(check, None, files={"inference.py": "x = 1"})


def test_a_sample_that_is_not_answered(check, saved_here):
    text = refusal(check, files={"model.pkl": saved_here}, sample=b"[[1, 2]]")
    assert text.startswith("the sample request was answered with 500, not 200. The container's log ends:\n")
    assert "X has 2 features, but LogisticRegression is expecting 4 features" in text


def test_an_attempt_to_use_the_network_is_told(check):
    report = check(
        """
        import urllib.request

        def model_fn(model_dir):
            try:
                urllib.request.urlopen("http://example.com/flags")
            except OSError:
                return None
        """
    )
    assert report.warnings == [
        "the model tries to reach the network, which a rehearsal refuses: "
        "DNS look-up of example.com (inference.py line 6)"
    ]


def test_the_entry_point_is_imported_when_the_archive_has_it(check):
    entry = "from inference import *\ndef transform_fn(m, b, c, a): return 'through the entry point', 'text/plain'\n"
    report = check("def model_fn(d): return 1\n", files={"code/mainstage_entrypoint.py": entry}, sample=b"")
    assert report.prediction is not None
    assert report.prediction.body == b"through the entry point"


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_versions_are_read_from_any_pickle_without_loading_it(tmp_path: Path, protocol: int):
    model = pickle.dumps([DecisionTreeClassifier().fit([[0], [1]], [0, 1]), LogisticRegression()], protocol=protocol)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "m.joblib").write_bytes(model)
    (tmp_path / "other.bin").write_bytes(model)
    problems = version_problems(preset_named(PRESET), {}, [], tmp_path)
    assert len(problems) == 1
    assert problems[0].startswith(f"m.joblib: saved with scikit-learn {sklearn.__version__}, ")


@pytest.mark.parametrize("compress", [3, ("gzip", 3)])
def test_versions_are_read_from_compressed_files(tmp_path: Path, compress):
    joblib.dump(LogisticRegression(), tmp_path / "m.joblib", compress=compress)
    assert version_problems(preset_named(PRESET), {}, [], tmp_path)[0].startswith("m.joblib: saved with scikit-learn")


def test_the_images_own_version_is_no_problem(saved_here, tmp_path):
    (tmp_path / "m.pkl").write_bytes(saved_here)
    same = {"package": "scikit-learn", "what": "x", "saved": "1.4.2", "here": "1.4.2"}
    assert version_problems(preset_named(PRESET), {}, [same], tmp_path) == []


def test_where_the_images_versions_cannot_be_had_those_of_the_environment_pass_too(tmp_path):
    def saved(version: str) -> dict[str, str]:
        return {"package": "scikit-learn", "what": "Ridge", "saved": version, "here": "1.5.2"}

    warned = [saved("1.4.2"), saved("1.5.2"), saved("1.3.0")]
    problems = version_problems(preset_named(PRESET), {"scikit-learn": "1.5.2"}, warned, tmp_path)
    assert [problem.split(",")[0] for problem in problems] == ["Ridge: saved with scikit-learn 1.3.0"]
