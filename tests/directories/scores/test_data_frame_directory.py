from __future__ import annotations

import csv
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from pytorch_designer.directories.scores.data_frame_directory import ScoredImagesWriter
from pytorch_designer.directories.scores.data_frame_schema import distinct_names, escape, unescape
from pytorch_designer.directories.scores.scored_dataset import UNLABELED, UNSCORED, open_scored_dataset
from pytorch_designer.errors import InvalidDatasetError, NotScoredDatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

NAN = float("nan")
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=12)


def write(
    folder: Path,
    class_names: Sequence[str],
    probabilities: Sequence[Sequence[float]] | NDArray[Any],
    *,
    ids: Sequence[Any] | None = None,
    labels: Sequence[str | None] | None = None,
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    ids = range(len(probabilities)) if ids is None else ids
    has_text_ids = any(isinstance(image_id, str) for image_id in ids)
    with ScoredImagesWriter(
        folder, class_names=class_names, has_labels=labels is not None, has_text_ids=has_text_ids
    ) as writer:
        writer.write(
            ids=ids,
            files=[f"{image_id}.png" for image_id in ids],
            labels=labels,
            probabilities=np.asarray(probabilities).reshape(-1, len(class_names)),
        )
    return folder


def hand_written(folder: Path, columns: dict[str, Any], *, schema: object = None, **meta: Any) -> Path:
    """A directory made of its parts, as another program might write it."""
    folder.mkdir()
    parquet.write_table(pa.table(columns), folder / "_data.parquet")
    keys = {"type": "DataFrameDirectory", "extension": {}, "format": "Parquet", "data": "_data.parquet"}
    if schema is not None:
        (folder / "schema").mkdir()
        text = schema if isinstance(schema, str) else json.dumps(schema)
        (folder / "schema" / "_schema.json").write_text(text)
        keys["schema"] = "schema/_schema.json"
    (folder / "_meta.yaml").write_text(yaml.safe_dump(keys | meta))
    return folder


SCORES = {"Scored Probabilities_cat": [0.75, 0.25], "Scored Probabilities_dog": [0.25, 0.75]}


def test_columns_are_those_of_the_old_designer_in_their_order_and_the_file(tmp_path: Path) -> None:
    write(tmp_path, ["cat", "dog"], [[0.25, 0.75]], ids=[7], labels=["cat"])

    table = parquet.read_table(tmp_path / "_data.parquet")
    assert table.to_pylist() == [
        {
            "id": 7,
            "file": "7.png",
            "category": "cat",
            "Scored Probabilities_cat": 0.25,
            "Scored Probabilities_dog": 0.75,
            "Scored Labels": "dog",
        }
    ]
    assert yaml.safe_load((tmp_path / "_meta.yaml").read_text()) == {
        "type": "DataFrameDirectory",
        "extension": {},
        "format": "Parquet",
        "data": "_data.parquet",
        "schema": "schema/_schema.json",
    }


def test_the_schema_gives_each_column_its_role(tmp_path: Path) -> None:
    write(tmp_path, ["cat", "dog"], [[0.25, 0.75]], ids=["a"], labels=["cat"])

    schema = json.loads((tmp_path / "schema" / "_schema.json").read_text())
    assert [(column["name"], column["type"]) for column in schema["columnAttributes"]] == [
        ("id", "String"),
        ("file", "String"),
        ("category", "String"),
        ("Scored Probabilities_cat", "Numeric"),
        ("Scored Probabilities_dog", "Numeric"),
        ("Scored Labels", "String"),
    ]
    assert schema["labelColumns"] == {"True Labels": "category"}
    assert schema["scoreColumns"] == {
        "Scored Probabilities_cat": "Scored Probabilities_cat",
        "Scored Probabilities_dog": "Scored Probabilities_dog",
        "Multi Class Assigned Labels": "Scored Labels",
    }


def test_unlabeled_images_have_no_label_column(tmp_path: Path) -> None:
    dataset = open_scored_dataset(write(tmp_path, ["cat", "dog"], [[0.25, 0.75]]))

    assert dataset.labels is None
    assert "category" not in parquet.read_schema(tmp_path / "_data.parquet").names


def test_a_row_that_could_not_be_scored_keeps_its_place_without_scores(tmp_path: Path) -> None:
    rows = [[0.25, 0.75], [NAN, NAN], [1.0, 0.0]]
    dataset = open_scored_dataset(write(tmp_path, ["cat", "dog"], rows, labels=["cat", "dog", "cat"]))

    assert dataset.predicted.tolist() == [1, UNSCORED, 0]
    assert dataset.is_scored.tolist() == [True, False, True]
    np.testing.assert_array_equal(dataset.probabilities, rows)
    assert parquet.read_table(tmp_path / "_data.parquet")["Scored Probabilities_cat"].null_count == 1
    assert (tmp_path / "_data.csv").read_text().splitlines()[2] == '1,"1.png","dog",,,'


def test_people_get_no_formulas_and_programs_the_true_names(tmp_path: Path) -> None:
    names = ["=1+1", "+x", "-x", "@SUM(A1)", "\t=x", "cat"]
    write(tmp_path, names, np.eye(6), labels=names)

    with (tmp_path / "_data.csv").open(encoding="utf-8", newline="") as stream:
        shown = [row["category"] for row in csv.DictReader(stream)]
    assert shown == [*(f"'{name}" for name in names[:-1]), "cat"]
    assert parquet.read_table(tmp_path / "_data.parquet")["category"].to_pylist() == names
    assert open_scored_dataset(tmp_path).class_names == tuple(names)


def test_an_image_without_a_label_among_labeled_ones_is_told_apart(tmp_path: Path) -> None:
    dataset = open_scored_dataset(write(tmp_path, ["cat", "dog"], [[0.5, 0.5]] * 2, labels=["dog", None]))

    assert dataset.labels is not None
    assert dataset.labels.tolist() == [1, UNLABELED]


def test_a_label_that_the_model_does_not_know_comes_after_its_classes(tmp_path: Path) -> None:
    labels = ["zebra", "dog", "ape", "zebra"]
    dataset = open_scored_dataset(write(tmp_path, ["cat", "dog"], [[0.5, 0.5]] * 4, labels=labels))

    assert dataset.label_names == ("cat", "dog", "ape", "zebra")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == [3, 1, 2, 3]


@pytest.mark.slow
def test_batches_of_any_size_keep_their_order(tmp_path: Path) -> None:
    probabilities = np.random.default_rng(1).dirichlet(np.ones(3), 150_000).astype(np.float32)
    with ScoredImagesWriter(tmp_path, class_names=["a", "b", "c"], has_labels=False, has_text_ids=False) as writer:
        for start in range(0, len(probabilities), 997):
            part = probabilities[start : start + 997]
            writer.write(ids=np.arange(start, start + len(part)), files=[""] * len(part), probabilities=part)

    dataset = open_scored_dataset(tmp_path)
    np.testing.assert_array_equal(dataset.probabilities, probabilities)
    np.testing.assert_array_equal(dataset.predicted, probabilities.argmax(axis=1))
    assert dataset.ids is not None
    assert list(dataset.ids) == list(range(150_000))
    assert parquet.ParquetFile(tmp_path / "_data.parquet").num_row_groups == 3


@pytest.mark.slow
def test_python_memory_does_not_grow_with_the_number_of_rows(tmp_path: Path) -> None:
    part = np.full((4096, 2), 0.5, dtype=np.float32)

    def peak_bytes(num_batches: int) -> int:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        tracemalloc.start()
        with ScoredImagesWriter(folder, class_names=["a", "b"], has_labels=False, has_text_ids=False) as writer:
            for index in range(num_batches):
                writer.write(ids=np.arange(index * 4096, (index + 1) * 4096), files=[""] * 4096, probabilities=part)
            allocated = int(pa.total_allocated_bytes())
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak + allocated

    peak_bytes(20)  # imports
    assert peak_bytes(120) < peak_bytes(20) + 4_000_000


def test_no_rows_at_all_are_a_directory_too(tmp_path: Path) -> None:
    with ScoredImagesWriter(tmp_path, class_names=["a", "b"], has_labels=True, has_text_ids=True):
        pass

    dataset = open_scored_dataset(tmp_path)
    assert (len(dataset), dataset.class_names, dataset.labels) == (0, ("a", "b"), None)


def test_an_error_while_writing_leaves_no_directory(tmp_path: Path) -> None:
    writer = ScoredImagesWriter(tmp_path, class_names=["a"], has_labels=False, has_text_ids=False)
    with pytest.raises(ValueError, match="same rows"), writer:
        writer.write(ids=[1], files=["a"], probabilities=np.ones((2, 2)))

    assert not (tmp_path / "_meta.yaml").exists()


def test_columns_of_different_lengths_are_refused(tmp_path: Path) -> None:
    writer = ScoredImagesWriter(tmp_path, class_names=["a", "b"], has_labels=False, has_text_ids=False)
    with pytest.raises(ValueError, match="same rows and classes"):
        writer.write(ids=[1, 2], files=["a", "b"], probabilities=np.ones((1, 2)))
    with pytest.raises(ValueError, match="same rows and classes"):
        writer.write(ids=[1], files=["a"], labels=["a"], probabilities=np.ones((1, 2)))


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    class_names=st.lists(ANY_TEXT, min_size=1, max_size=5, unique=True),
    ids=st.lists(ANY_TEXT, min_size=1, max_size=5),
    data=st.data(),
)
def test_names_and_ids_may_be_any_text(
    tmp_path_factory: pytest.TempPathFactory, class_names: list[str], ids: list[str], data: st.DataObject
) -> None:
    labels = data.draw(st.lists(ANY_TEXT | st.none(), min_size=len(ids), max_size=len(ids)))
    folder = tmp_path_factory.mktemp("scored")
    dataset = open_scored_dataset(
        write(folder, class_names, np.full((len(ids), len(class_names)), 0.5), ids=ids, labels=labels)
    )

    assert dataset.class_names == tuple(class_names)
    assert dataset.ids == tuple(ids)
    read = dataset.labels if dataset.labels is not None else [UNLABELED] * len(ids)
    assert [None if index == UNLABELED else dataset.label_names[index] for index in read] == labels


@given(ANY_TEXT)
def test_escaping_is_reversible_and_leaves_valid_unicode(text: str) -> None:
    assert unescape(escape(text).encode("utf-8").decode("utf-8")) == text


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("cat", "cat"),
        ("a\\b", "a\\b"),
        ("caf\udce9", "caf\\udce9"),
        ("\\udce9", "\\u005cudce9"),
        ("\\u005c", "\\u005cu005c"),
        ("\N{CAT FACE}", "\N{CAT FACE}"),
    ],
)
def test_only_what_utf8_cannot_hold_is_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_repeated_class_names_are_numbered() -> None:
    names = ["Others", "a", "Others", "Others (2)", "Others"]
    assert distinct_names(names) == ("Others", "a", "Others (3)", "Others (2)", "Others (4)")


def test_the_csv_holds_the_same_rows(tmp_path: Path) -> None:
    class_names = ['say "hi"', "a,b", "line\nbreak"]
    write(tmp_path, class_names, [[0.5, 0.25, 0.25], [0.125, 0.0, 0.875]], labels=["a,b", ""])

    with (tmp_path / "_data.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = parquet.read_table(tmp_path / "_data.parquet")
    assert list(rows[0]) == table.column_names
    assert [row["Scored Labels"] for row in rows] == ['say "hi"', "line\nbreak"]
    assert [float(row["Scored Probabilities_line\nbreak"]) for row in rows] == [0.25, 0.875]


def test_roles_of_the_schema_win_over_names(tmp_path: Path) -> None:
    columns = SCORES | {"breed": ["cat", "dog"], "category": ["x", "y"], "guess": ["cat", "dog"]}
    schema = {
        "columnAttributes": [],
        "featureChannels": [],
        "labelColumns": {"True Labels": "breed"},
        "scoreColumns": {name: name for name in SCORES} | {"Multi Class Assigned Labels": "guess"},
    }
    dataset = open_scored_dataset(hand_written(tmp_path / "d", columns, schema=schema))

    assert dataset.label_names == ("cat", "dog")
    assert dataset.labels is not None
    assert dataset.labels.tolist() == dataset.predicted.tolist() == [0, 1]
    assert dataset.ids is None


@pytest.mark.parametrize("schema", [None, {"columnAttributes": []}])
def test_names_tell_the_roles_where_no_schema_does(tmp_path: Path, schema: object) -> None:
    columns = SCORES | {"category": ["dog", "dog"], "Scored Labels": ["cat", "dog"]}
    dataset = open_scored_dataset(hand_written(tmp_path / "d", columns, schema=schema))

    assert dataset.labels is not None
    assert dataset.labels.tolist() == [1, 1]
    assert dataset.predicted.tolist() == [0, 1]


def test_labels_that_are_numbers_or_categories_are_read_as_text(tmp_path: Path) -> None:
    columns = {
        "Scored Probabilities_3": pa.array([0.5, 0.5], pa.float32()),
        "Scored Labels": pa.array(["3", "3"]).dictionary_encode(),
        "category": [3, 4],
    }
    dataset = open_scored_dataset(hand_written(tmp_path / "d", columns))

    assert dataset.label_names == ("3", "4")


def test_old_scores_of_images_with_boxes_have_no_labels(tmp_path: Path) -> None:
    columns = SCORES | {"Scored Labels": ["cat", "dog"], "object_detection_annotation": [[{"id": 0}], []]}
    roles = {"labelColumns": {"True Labels": "object_detection_annotation"}, "columnAttributes": []}
    dataset = open_scored_dataset(hand_written(tmp_path / "d", columns, schema=roles))

    assert dataset.labels is None


def test_old_scores_whose_predicted_labels_are_numbers_are_read_as_text(tmp_path: Path) -> None:
    # The old designer read class names such as 3 back as numbers from its label map, and left the labels as text.
    columns = {"category": ["3", "4"], "Scored Probabilities_3": [0.9, 0.2], "Scored Probabilities_4": [0.1, 0.8]}
    dataset = open_scored_dataset(hand_written(tmp_path / "d", columns | {"Scored Labels": [3, 4]}))

    assert dataset.labels is not None
    assert (dataset.labels.tolist(), dataset.predicted.tolist()) == ([0, 1], [0, 1])


GOOD = SCORES | {"Scored Labels": ["cat", "dog"]}
UNSCORED_COLUMNS: dict[str, dict[str, Any]] = {
    "without scores": {"id": [1]},
    "without predicted labels": dict(SCORES),
    "without probabilities": {"Scored Labels": ["cat"]},
}
BROKEN_META: dict[str, tuple[dict[str, Any], str]] = {
    "of another type": ({"type": "ImageDirectory"}, "wrong_type"),
    "in another format": ({"format": "CSV"}, "format"),
    "without a data file": ({"data": "none.parquet"}, "missing_file"),
    "data outside": ({"data": "../x.parquet"}, "path_outside"),
    "without a data key": ({"data": None}, "missing_key"),
    "data is no Parquet": ({"data": "_meta.yaml"}, "malformed_data"),
    "schema is no JSON": ({"schema": "{"}, "malformed_schema"),
    "schema is a list": ({"schema": []}, "malformed_schema"),
    "schema names a number": ({"schema": {"labelColumns": {"a": 1}}}, "malformed_schema"),
    "schema names what is missing": ({"schema": {"labelColumns": {"a": "b"}}}, "missing_columns"),
}
BROKEN_COLUMNS: dict[str, tuple[dict[str, list[Any]], str]] = {
    "a prediction that is no class": ({"Scored Labels": ["cat", "cow"]}, "malformed_scores"),
    "a score above one": ({"Scored Probabilities_cat": [0.5, 3.0]}, "not_probabilities"),
    "a score below zero": ({"Scored Probabilities_cat": [0.5, -0.5]}, "not_probabilities"),
    "an infinite score": ({"Scored Probabilities_cat": [0.5, float("inf")]}, "not_probabilities"),
    "scores that are text": ({"Scored Probabilities_cat": ["much", "little"]}, "malformed_data"),
}


@pytest.mark.parametrize(
    ("others", "shown"),
    [
        ({"file": ["cat/1.png", "dog/2.png"], "id": [1, 2]}, "dog/2.png"),
        ({"file": [1, 2], "id": [4, 7]}, "id 7"),
        ({"id": ["x", "y"]}, "id y"),
        ({}, "row 1"),
    ],
)
def test_a_score_that_is_no_probability_is_named_by_its_image(
    tmp_path: Path, others: dict[str, Any], shown: str
) -> None:
    columns = {**others, **SCORES, "Scored Probabilities_cat": [0.5, 3.0], "Scored Labels": ["cat", "dog"]}
    with pytest.raises(InvalidDatasetError) as caught:
        open_scored_dataset(hand_written(tmp_path / "d", columns))
    assert caught.value.examples == (f"{shown}: 0.75 to 3",)


def test_files_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    files = ["cat/caf\udce9.png", "a\\udce9 b"]
    with ScoredImagesWriter(tmp_path, class_names=["a"], has_labels=False, has_text_ids=False) as writer:
        writer.write(ids=[1, 2], files=files, probabilities=np.ones((2, 1)))
    dataset = open_scored_dataset(tmp_path)
    assert [dataset.described(row) for row in range(2)] == files


@pytest.mark.parametrize("case", UNSCORED_COLUMNS)
def test_a_dataset_without_scores_is_not_scored(tmp_path: Path, case: str) -> None:
    with pytest.raises(NotScoredDatasetError):
        open_scored_dataset(hand_written(tmp_path / "d", UNSCORED_COLUMNS[case]))


@pytest.mark.parametrize("case", BROKEN_META)
def test_a_directory_that_is_no_data_frame_directory_is_refused(tmp_path: Path, case: str) -> None:
    parts, reason = BROKEN_META[case]
    with pytest.raises(InvalidDatasetError) as caught:
        open_scored_dataset(hand_written(tmp_path / "d", GOOD, **parts))
    assert caught.value.reason == reason


@pytest.mark.parametrize("case", BROKEN_COLUMNS)
def test_scores_that_are_no_probabilities_are_refused(tmp_path: Path, case: str) -> None:
    columns, reason = BROKEN_COLUMNS[case]
    with pytest.raises(InvalidDatasetError) as caught:
        open_scored_dataset(hand_written(tmp_path / "d", GOOD | columns))
    assert caught.value.reason == reason


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    path = hand_written(tmp_path / "d", GOOD)
    twice = pa.table([[0.5], [0.5], ["a"]], names=["Scored Probabilities_a", "Scored Probabilities_a", "Scored Labels"])
    parquet.write_table(twice, path / "_data.parquet")

    with pytest.raises(InvalidDatasetError, match="same name"):
        open_scored_dataset(path)


def test_a_truncated_data_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "d", ["cat"], np.ones((1000, 1)))
    data = (path / "_data.parquet").read_bytes()
    (path / "_data.parquet").write_bytes(data[: len(data) // 2])

    with pytest.raises(InvalidDatasetError):
        open_scored_dataset(path)


def test_a_missing_directory_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        open_scored_dataset(tmp_path / "nowhere")
    assert caught.value.reason == "missing_directory"
