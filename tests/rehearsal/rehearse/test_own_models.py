"""A model of one's own, from `mainstage model new` to a correct answer; and the models that a push refuses.

Each kind is trained with the serving image's scikit-learn, saved as a person would, and asked what it must know.
"""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest
from served import Served

TEXTS = ("lovely good quick", "awful bad slow")
TRAINERS = {
    "regression": (
        "area,rooms,price\n50,2,100\n80,3,160\n100,4,200\n60,2,120\n",
        "price",
        """
import sys, joblib, pandas
from sklearn.linear_model import LinearRegression
rows = pandas.DataFrame({"area": [50, 80, 100, 60], "rooms": [2, 3, 4, 2]})
joblib.dump(LinearRegression().fit(rows, [100, 160, 200, 120]), sys.argv[1])
""",
        {"area": 70, "rooms": 3},
        lambda answer: answer["price"] == pytest.approx(140, abs=1),
    ),
    "many-classes": (
        "a,b,kind\n" + "0,0,red\n0,9,green\n9,0,blue\n9,9,black\n" * 6,
        "kind",
        """
import sys, joblib, numpy
from sklearn.ensemble import RandomForestClassifier
x = numpy.array([[0, 0], [0, 9], [9, 0], [9, 9]] * 6)
joblib.dump(RandomForestClassifier(20, random_state=1).fit(x, ["red", "green", "blue", "black"] * 6), sys.argv[1])
""",
        {"a": 9, "b": 0},
        lambda answer: answer["kind"] == "blue" and answer["confidence"] > 0.5,
    ),
    "text": (
        "text,angry\n" + "".join(f"{TEXTS[n % 2]} stay {n},{n % 2}\n" for n in range(12)),
        "angry",
        """
import sys, joblib
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
texts = [("awful bad slow" if n % 2 else "lovely good quick") + f" stay {n}" for n in range(12)]
joblib.dump(make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(texts, [n % 2 for n in range(12)]), sys.argv[1])
""",
        {"text": "a bad and awful place, ünïcode 日本"},
        lambda answer: answer["angry"] == 1 and 0.5 < answer["confidence"] <= 1,
    ),
    "missing-values": (
        "age,plan,churned\n20,basic,yes\n,pro,no\n40,,no\n35,basic,yes\n" * 5,
        "churned",
        """
import sys, joblib, numpy, pandas
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
rows = pandas.DataFrame({"age": [20, None, 40, 35] * 25, "plan": ["basic", "pro", None, "basic"] * 25})
rows["plan"] = rows["plan"].astype(object).where(rows["plan"].notna(), numpy.nan)
encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
plan = make_pipeline(SimpleImputer(strategy="constant", fill_value="none"), encoder)
columns = ColumnTransformer([("plan", plan, ["plan"])], remainder="passthrough")
model = make_pipeline(columns, HistGradientBoostingClassifier())
joblib.dump(model.fit(rows, ["yes", "no", "no", "yes"] * 25), sys.argv[1])
""",
        {"age": None, "plan": "pro"},
        lambda answer: answer["churned"] == "no",
    ),
}


def command(served: Served, *words: str) -> str:
    done = served.run(*words)
    assert done.returncode == 0, f"{words}: {done.stderr}"
    return done.stdout


@pytest.mark.timeout(400)
def test_a_model_is_retired_as_the_guide_says(served: Served) -> None:
    catalog = served.root / "stacks" / "models" / "short-lived.yaml"
    command(served, "model", "new", "short-lived")
    (served.root / "models" / "short-lived" / "inference.py").write_text(
        "import json\ndef model_fn(d): return None\ndef predict_fn(data, model): return data\n"
    )
    command(served, "catalog", "record", "short-lived")
    command(served, "up", "--env", "dev")
    command(served, "model", "push", "short-lived", "models/short-lived")
    awaiting = catalog.read_text()

    # Too early, each time told where to read on.
    catalog.unlink()
    done = served.run("up", "--env", "dev")
    assert done.returncode == 1
    assert "stacks/models/short-lived.yaml is gone, but the registry lists versions of short-lived (1)" in done.stderr
    assert 'docs/guides/catalog.md, "Retiring a model"' in done.stderr
    catalog.write_text(awaiting)
    done = served.run("model", "retire", "iris", "--confirm", "iris")
    assert done.returncode == 1
    assert "iris still serves in" in done.stderr

    for words in ((), ("--confirm", "iris"), ("--json",)):
        done = served.run("model", "retire", "short-lived", *words)
        assert done.returncode == 1
        assert "nothing was taken out: to take out versions 1, --confirm short-lived" in done.stderr + done.stdout
    told = json.loads(command(served, "model", "retire", "short-lived", "--confirm", "short-lived", "--json"))
    assert told == {"model": "short-lived", "versions": ["1"]}
    assert "nothing to take out" in served.run("model", "retire", "short-lived", "--confirm", "short-lived").stderr
    catalog.unlink()
    command(served, "up", "--env", "dev")
    groups = served.client("sagemaker").list_model_package_groups(NameContains="short-lived")
    assert groups["ModelPackageGroupSummaryList"] == []
    [row] = [row for row in json.loads(command(served, "model", "list", "--json")) if row["model"] == "short-lived"]
    assert (row["in_catalog"], row["versions"]) == (False, [1])


@pytest.mark.timeout(400)
def test_from_new_to_a_correct_answer(served: Served) -> None:
    for kind, (sample, label, trainer, _, _) in TRAINERS.items():
        rows = served.root / f"{kind}.csv"
        rows.write_text(sample, encoding="utf-8")
        command(served, "model", "new", kind, "--sample", rows.name, "--answer", label)
        (served.root / "fit.py").write_text(trainer)
        command(served, "model", "python", kind, "fit.py", str(served.root / "models" / kind / "model.joblib"))
    assert "catalog record regression" in served.run("up", "--env", "dev").stderr
    command(served, "catalog", "record", *TRAINERS)
    command(served, "up", "--env", "dev")
    for kind in TRAINERS:
        pushed = json.loads(command(served, "model", "push", kind, f"models/{kind}", "--json"))
        assert (pushed["version"], pushed["new"]) == (1, True)
        logged = served.root / "stacks" / "models" / f"{kind}.signature.json"
        assert json.loads(logged.read_text())["model"] == kind
        catalog = served.root / "stacks" / "models" / f"{kind}.yaml"
        catalog.write_text(catalog.read_text().replace("awaiting: true", "stable: 1"))
    command(served, "up", "--env", "dev")
    for kind, (_, _, _, row, right) in TRAINERS.items():
        told = json.loads(command(served, "predict", kind, json.dumps({"instances": [row]}), "--json"))
        assert told["version"] == "1"
        [answer] = told["answer"]["predictions"]
        assert right(answer), (kind, answer)
    again = json.loads(command(served, "model", "push", "regression", "models/regression", "--json"))
    assert (again["version"], again["new"]) == (1, False)


def archived(members: dict[str, str], link: tuple[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
        if link:
            member = tarfile.TarInfo(link[0])
            member.type, member.linkname = tarfile.SYMTYPE, link[1]
            tar.addfile(member)
    return buffer.getvalue()


GOOD = "def model_fn(model_dir): return 1\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (archived({"model.joblib": "x"}), "inference.py"),
        (archived({"code/inference.py": GOOD, "../../escape.txt": "x"}), "../../escape.txt"),
        (archived({"code/inference.py": GOOD}, link=("weights", "/etc/passwd")), "weights"),
        (b"not an archive", "model.tar.gz"),
        (archived({"code/inference.py": "import a_module_that_is_not_there\n"}), "a_module_that_is_not_there"),
        (archived({"code/inference.py": "def predict_fn(a, b): return 1\n"}), "model_fn"),
        (
            archived({"code/inference.py": "def model_fn(d): raise RuntimeError('weights are torn')\n"}),
            "weights are torn",
        ),
    ],
    ids=["no-inference", "traversal", "link-out", "no-archive", "import-error", "no-model-fn", "raises"],
)
def test_a_model_that_cannot_serve_is_not_registered(served: Served, tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "model.tar.gz").write_bytes(content)
    before = versions(served)
    done = served.run("model", "push", "iris", str(tmp_path))
    assert done.returncode == 1
    assert said in done.stderr
    assert 'Traceback (most recent call last):\n  File "' + str(Path(__file__).parents[3]) not in done.stderr
    assert versions(served) == before


def test_a_folder_without_what_training_made_is_told_in_a_line(served: Served, tmp_path: Path) -> None:
    (tmp_path / "inference.py").write_text(
        "import os, joblib\ndef model_fn(d): return joblib.load(os.path.join(d, 'model.joblib'))\n"
    )
    done = served.run("model", "push", "iris", str(tmp_path))
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: {tmp_path}: no model.joblib, which its inference.py loads.")
    assert "train the model into this folder again" in line
    assert "Traceback" not in done.stderr
    assert versions(served) == [1]


def test_a_model_of_another_scikit_learn_is_refused_with_the_fix(served: Served, tmp_path: Path) -> None:
    """Pickled by a newer scikit-learn, as the one of this test suite is."""
    import joblib
    from sklearn.linear_model import LogisticRegression

    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "model.joblib")
    (tmp_path / "inference.py").write_text(
        "import os, joblib\ndef model_fn(d): return joblib.load(os.path.join(d, 'model.joblib'))\n"
    )
    done = served.run("model", "push", "iris", str(tmp_path))
    assert done.returncode == 1
    assert "1.4.2" in done.stderr
    assert versions(served) == [1]


def versions(served: Served) -> list[int]:
    rows = json.loads(served.run("model", "list", "--json").stdout)
    return next(row["versions"] for row in rows if row["model"] == "iris")
