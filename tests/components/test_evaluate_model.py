"""Evaluate Model through its real command line, in a real process."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from pytorch_designer.directories.scores.data_frame_directory import ScoredImagesWriter
from tests.commands import run, run_fresh, succeeded

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.slow

NAN = [float("nan")] * 3
CLASSES = ["cat", "caf\udce9", "<b>\N{CAT FACE}, a\nb"]
LABELS = ["cat", "cat", "caf\udce9", "<b>\N{CAT FACE}, a\nb"]
ROWS = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.125, 0.75, 0.125], NAN]
BETTER_ROWS = [[0.5, 0.25, 0.25], [0.75, 0.125, 0.125], [0.125, 0.75, 0.125], [0.25, 0.25, 0.5]]


def write_scores(folder: Path, rows: Sequence[Sequence[float]] = ROWS, labels: Sequence[str] | None = LABELS) -> Path:
    folder.mkdir()
    with ScoredImagesWriter(folder, class_names=CLASSES, has_labels=labels is not None, has_text_ids=False) as writer:
        files = [f"{row}.png" for row in range(len(rows))]
        writer.write(ids=range(len(rows)), files=files, labels=labels, probabilities=np.array(rows))
    return folder


def evaluate_model(tmp_path: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return run("evaluate-model", *map(str, arguments), cwd=tmp_path)


def metrics_of(folder: Path) -> Any:
    return json.loads((folder / "metrics.json").read_text(), parse_constant=pytest.fail)


def read_csv(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.reader(stream))


class _Page(HTMLParser):
    """Text, tags and addresses of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = ""
        self.tags: set[str] = set()
        self.addresses: list[str | None] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The output for one dataset, and what the console said."""
    root = tmp_path_factory.mktemp("one")
    done = evaluate_model(root, "--scored-dataset", write_scores(root / "scores"), "--evaluation-results", root / "out")
    assert done.returncode == 0, done.stderr
    return root / "out", done.stdout


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The output for two datasets, and what the console said."""
    root = tmp_path_factory.mktemp("two")
    first, second = write_scores(root / "a"), write_scores(root / "b", BETTER_ROWS)
    done = evaluate_model(
        root, "--scored-dataset", first, "--scored-dataset-to-compare", second, "--evaluation-results", root / "out"
    )
    assert done.returncode == 0, done.stderr
    return root / "out", done.stdout


def test_metrics_are_those_of_the_images_with_scores(evaluated: tuple[Path, str]) -> None:
    metrics = metrics_of(evaluated[0])["scored_dataset"]

    assert (metrics["num_images"], metrics["num_unscored"]) == (3, 1)
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    assert metrics["log_loss"] == pytest.approx(-(np.log(0.5) + np.log(0.25) + np.log(0.75)) / 3)
    assert [row["recall"] for row in metrics["classes"]] == [0.5, 1.0, None]
    assert [row["name"] for row in metrics["classes"]] == CLASSES


def test_tables_hold_one_row_per_class(evaluated: tuple[Path, str]) -> None:
    names = ["cat", "caf\\udce9", "<b>\N{CAT FACE}, a\nb"]
    matrix, per_class = (read_csv(evaluated[0] / name) for name in ("confusion_matrix.csv", "per_class.csv"))

    assert matrix == [
        ["true class", *names],
        [names[0], "1", "1", "0"],
        [names[1], "0", "1", "0"],
        [names[2], "0", "0", "0"],
    ]
    assert per_class[0] == [
        "class", "num_images", "num_predicted", "num_correct", "recall", "precision", "f1", "roc_auc",
    ]  # fmt: skip
    assert per_class[1][:6] == ["cat", "2", "1", "1", "0.5", "1.0"]
    assert per_class[3][4:] == ["", "", "", ""]
    assert sum(int(row[2]) for row in read_csv(evaluated[0] / "calibration.csv")[1:]) == 3


def test_the_output_is_a_typed_directory_that_shows_its_page(evaluated: tuple[Path, str]) -> None:
    meta = yaml.safe_load((evaluated[0] / "_meta.yaml").read_text())

    assert meta["type"] == "EvaluationDirectory"
    assert meta["visualization"] == [{"type": "html", "path": "index.html"}]
    assert sorted(path.name for path in evaluated[0].glob("*.svg")) == ["calibration.svg", "confusion.svg", "roc.svg"]


def test_the_page_shows_the_metrics_and_needs_nothing_else(evaluated: tuple[Path, str]) -> None:
    page = _Page(evaluated[0] / "index.html")

    assert "66.7% accuracy" in page.text
    assert "1 image without scores." in page.text
    assert "<b>\N{CAT FACE}, a" in page.text
    assert "b" not in page.tags
    assert "script" not in page.tags
    assert page.addresses == []


def test_the_console_says_the_result_in_a_line(evaluated: tuple[Path, str]) -> None:
    output = evaluated[1]

    assert "accuracy 66.7%, balanced accuracy 75.0%, macro F1 66.7%, log loss 0.789, ROC AUC" in output
    assert "Warning: 1 image without scores left out." in output
    assert "index.html" in output


def test_two_datasets_are_compared_image_by_image(compared: tuple[Path, str]) -> None:
    metrics = metrics_of(compared[0])

    assert metrics["scored_dataset"]["accuracy"] == pytest.approx(2 / 3)
    assert metrics["scored_dataset_to_compare"]["accuracy"] == 1
    found = metrics["comparison"]
    assert found["is_paired"] is True
    assert [found[f"num_{name}"] for name in ("both", "only_first", "only_second", "neither")] == [2, 0, 1, 0]
    assert found["accuracy_difference"] == pytest.approx(1 / 3)
    assert found["mcnemar_p_value"] == 1


def test_the_page_of_two_datasets_shows_both_side_by_side(compared: tuple[Path, str]) -> None:
    page = _Page(compared[0] / "index.html")

    assert "66.7% and 100% accuracy" in page.text
    assert "+33.3 points" in page.text
    assert "p = 1.000" in page.text
    assert "The difference in accuracy can be chance." in page.text
    assert {path.name for path in (compared[0] / "to_compare").iterdir()} == {
        "calibration.csv", "calibration.svg", "confusion.svg", "confusion_matrix.csv", "mistakes.csv", "per_class.csv",
        "roc.svg",
    }  # fmt: skip
    assert "First: accuracy 66.7%" in compared[1]
    assert "Second: accuracy 100%" in compared[1]


def test_other_images_are_reported_as_not_comparable(tmp_path: Path) -> None:
    first, second = write_scores(tmp_path / "a"), write_scores(tmp_path / "b", ROWS[:2], LABELS[:2])
    ports = ("--scored-dataset", first, "--scored-dataset-to-compare", second, "--evaluation-results", tmp_path / "o")
    done = evaluate_model(tmp_path, *ports)

    assert done.returncode == 0, done.stderr
    assert "do not hold the same images" in done.stdout
    assert metrics_of(tmp_path / "o")["comparison"]["is_paired"] is False
    assert "do not hold the same images" in _Page(tmp_path / "o" / "index.html").text


def test_the_same_scores_give_the_same_bytes(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores")
    for run_command, output in ((run, "a"), (run_fresh, "b")):
        ports = ("--scored-dataset", scores, "--evaluation-results", output)
        succeeded(run_command("evaluate-model", *ports, cwd=tmp_path))
    first, second = ({path.name: path.read_bytes() for path in (tmp_path / output).iterdir()} for output in "ab")
    assert first == second


def failure(tmp_path: Path, scores: Path) -> tuple[str, Any]:
    """Run it on what it must refuse; the error's text, and `error_info.json`."""
    done = evaluate_model(tmp_path, "--scored-dataset", scores, "--evaluation-results", tmp_path / "out")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out" / "_meta.yaml").exists()
    return done.stderr, json.loads((tmp_path / "outputs" / "error_info.json").read_text())


def test_an_output_inside_the_scores_is_refused_and_nothing_is_written_there(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores")
    before = sorted(scores.rglob("*"))
    done = evaluate_model(tmp_path, "--scored-dataset", scores, "--evaluation-results", scores / "out")
    assert done.returncode == 1
    assert "FailedToWriteOutputsError (0160): The output is inside the scored dataset" in done.stderr
    assert sorted(scores.rglob("*")) == before


def test_a_dataset_without_labels_is_refused(tmp_path: Path) -> None:
    message, info = failure(tmp_path, write_scores(tmp_path / "scores", labels=None))

    assert message.startswith("NotLabeledDatasetError (0024)")
    assert info["code"] == "0024"


def test_a_dataset_without_scores_is_refused(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores")
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"id": [1], "category": ["cat"]}), scores / "_data.parquet")
    (scores / "schema" / "_schema.json").write_text("{}")
    message, info = failure(tmp_path, scores)

    assert message.startswith("NotScoredDatasetError (0025)")
    assert "Score Image Model" in info["advice"]


def test_an_image_directory_on_the_port_is_refused_by_its_type(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores")
    (scores / "_meta.yaml").write_text("type: ImageDirectory\n")
    message, info = failure(tmp_path, scores)

    assert "A directory of type DataFrameDirectory is needed here; this one is of type ImageDirectory." in message
    assert info["reason"] == "wrong_type"


def test_neither_torch_nor_mlflow_is_imported(tmp_path: Path) -> None:
    scores = write_scores(tmp_path / "scores")
    program = (
        "import sys; from pathlib import Path; from pytorch_designer.components.evaluate_model import COMPONENT; "
        f"COMPONENT.run({{'scored_dataset': Path({str(scores)!r})}}, {{'evaluation_results': Path('out')}}, "
        "COMPONENT.parameters()); print(sorted({'torch', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=300
    )

    assert done.stdout.strip() == "[]"
