"""Trains a classifier on the iris data set that ships with scikit-learn and packs it for SageMaker.

    mainstage model python iris examples/models/iris/train.py --output build/iris

runs it with the Python and packages of the serving image, so that what is saved here can be loaded there.
Writes model.tar.gz (model.joblib and code/inference.py), training.json (metrics, the data's hash) and sample.json.
"""

import argparse
import hashlib
import json
import tarfile
from pathlib import Path

import joblib
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FIELDS = ["sepal_length", "sepal_width", "petal_length", "petal_width"]


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the iris example")
    parser.add_argument("--output", type=Path, required=True, help="folder for what is written")
    output = parser.parse_args().output
    output.mkdir(parents=True, exist_ok=True)

    data = load_iris(as_frame=True)
    rows = data.frame.set_axis([*FIELDS, "species"], axis="columns")
    species = data.target_names[rows["species"]]
    train_x, test_x, train_y, test_y = train_test_split(
        rows[FIELDS], species, test_size=0.3, random_state=7, stratify=species
    )
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)).fit(train_x, train_y)
    probabilities = model.predict_proba(test_x)

    joblib.dump(model, output / "model.joblib")
    with tarfile.open(output / "model.tar.gz", "w:gz") as archive:
        archive.add(output / "model.joblib", "model.joblib")
        archive.add(Path(__file__).with_name("inference.py"), "code/inference.py")
    (output / "model.joblib").unlink()

    training = {
        "metrics": {
            "accuracy": round(float(accuracy_score(test_y, model.predict(test_x))), 4),
            "log_loss": round(float(log_loss(test_y, probabilities, labels=model.classes_)), 4),
        },
        "data": {
            "name": "sklearn.datasets.load_iris",
            "rows": len(rows),
            "sha256": hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest(),
        },
    }
    (output / "training.json").write_text(json.dumps(training, indent=2) + "\n")
    sample = {"instances": test_x.head(2).to_dict(orient="records")}
    (output / "sample.json").write_text(json.dumps(sample) + "\n")
    print(f"accuracy {training['metrics']['accuracy']} on {len(test_x)} held-out rows; wrote {output / 'model.tar.gz'}")


if __name__ == "__main__":
    main()
