"""Model directories, trained or untrained, without their tensors.

    _meta.yaml            type: ModelDirectory, model: model_spec.yaml
    model_spec.yaml       see `pytorch_designer.directories.model_spec`
    model.safetensors     the weights (`model` in the old layout); absent when training is to draw them at random
    index_to_label.csv    only when trained: header ",label", then "0,cat", "1,dog" in the order of the logits

`pytorch_designer.models.loading` turns it into a network.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from pytorch_designer.directories.image_schema import GAP_CLASS, MAX_CLASSES
from pytorch_designer.directories.meta import read_meta
from pytorch_designer.directories.model_spec import MODEL_SPEC_FILE, LegacyNetwork, ModelSpec, read_model_spec
from pytorch_designer.errors import InvalidModelDirectoryError
from pytorch_designer.storage.paths import read_bounded, reading_errors, resolve_inside
from pytorch_designer.storage.retrying import is_file, retrying

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MODEL_DIRECTORY = "ModelDirectory"
LABEL_MAP_FILE = "index_to_label.csv"
WEIGHTS_FILE = "model.safetensors"
_LABEL_MAP_HEADER = ["", "label"]
_MAX_LABEL_MAP_BYTES = 64 << 20


@dataclass(frozen=True)
class ModelDirectory:
    """Model directory, opened and checked.

    Attributes:
        root: Its folder.
        spec: What network it holds.
        weights_file: Where its weights are; None for an untrained model whose weights training draws.
        classes: Class names in the order of the logits; None for an untrained model.
    """

    root: Path
    spec: ModelSpec
    weights_file: Path | None
    classes: tuple[str, ...] | None


def open_model_directory(path: Path) -> ModelDirectory:
    """Open the ModelDirectory at `path`; weights are not read.

    Raises:
        InvalidModelDirectoryError: It is not a ModelDirectory, a file is missing or unusable, or a path leads outside.
    """
    meta = read_meta(path, MODEL_DIRECTORY, InvalidModelDirectoryError)
    spec_file = _file_inside(path, meta.get("model", MODEL_SPEC_FILE), "model specification")
    spec = read_model_spec(spec_file)
    weights_file = _file_inside(path, spec.model_file, "weight file") if spec.has_weights else None
    classes = None
    if spec.label_map_file is not None:
        classes = read_label_map(_file_inside(path, spec.label_map_file, "label map"), _legacy_num_classes(spec))
        if weights_file is None:
            raise InvalidModelDirectoryError(
                "The model has a label map but no weights.", where=spec_file, reason="no_weights"
            )
    return ModelDirectory(path, spec, weights_file, classes)


def open_trained_model_directory(path: Path) -> ModelDirectory:
    """Open the ModelDirectory of a trained model.

    Raises:
        InvalidModelDirectoryError: As in `open_model_directory`, or the model is untrained.
    """
    directory = open_model_directory(path)
    if directory.classes is None:
        raise InvalidModelDirectoryError(
            "The model is untrained: it has no label map.",
            where=path,
            advice="Connect the output of Train PyTorch Model.",
            reason="untrained",
        )
    return directory


def read_label_map(path: Path, legacy_num_classes: int | None = None) -> tuple[str, ...]:
    """Class names in the order of their indices.

    Args:
        path: The file.
        legacy_num_classes: For a model of the old designer, the number of its logits: where ids of the classes had
            several gaps it wrote a row for the last one only. A class without a row is named by its index, as the old
            designer's scores are.

    Raises:
        InvalidModelDirectoryError: The file is not a label map, or indices or names are missing or repeated.
    """
    # Bytes, because reading as text would turn a carriage return inside a name into a line feed.
    data = read_bounded(path, _MAX_LABEL_MAP_BYTES, InvalidModelDirectoryError)
    lines = csv.reader(io.StringIO(data.decode("utf-8-sig", errors="surrogateescape"), newline=""), strict=True)
    try:
        header, *rows = (cells for cells in islice(lines, MAX_CLASSES + 2) if cells)
        if len(rows) > MAX_CLASSES:
            raise ValueError(f"it has more than {MAX_CLASSES:,} rows")
        by_index = {int(index): label for index, label in rows}
    except (ValueError, csv.Error) as error:
        raise InvalidModelDirectoryError(
            "The label map cannot be read.", where=path, examples=[error], reason="bad_label_map"
        ) from error
    indices = range(legacy_num_classes or len(rows))
    # As many rows as indices are all of them; fewer are what the old designer left of gaps.
    is_complete = len(by_index) == len(rows) > 0 and set(by_index) <= set(indices)
    if header != _LABEL_MAP_HEADER or not is_complete:
        raise InvalidModelDirectoryError(
            'The label map must have the header ",label" and one row for each index from 0 on.',
            where=path,
            reason="bad_label_map",
        )
    classes = tuple(by_index[index] if index in by_index else _name_of_gap(index, by_index) for index in indices)
    # `Others` stands for each gap in the ids of the classes that a model was trained with.
    repeated = sorted(label for label, count in Counter(classes).items() if count > 1 and label != GAP_CLASS)
    if repeated:
        raise InvalidModelDirectoryError(
            "The label map names a class twice.", where=path, examples=repeated, reason="bad_label_map"
        )
    return classes


def write_label_map(path: Path, classes: Sequence[str]) -> None:
    """Write class names so that `read_label_map` and pandas read them back, commas and line breaks included.

    Raises:
        OSError: The file cannot be written.
    """
    rows = [_LABEL_MAP_HEADER, *([str(index), name] for index, name in enumerate(classes))]
    text = "".join(",".join(_quoted(cell) for cell in row) + "\n" for row in rows)
    # Names of folders may hold bytes that are not UTF-8; they are read back as the same bytes.
    path.write_bytes(text.encode("utf-8", errors="surrogateescape"))


def _legacy_num_classes(spec: ModelSpec) -> int | None:
    extras = spec.flavor_extras
    return extras.init_params.num_classes if isinstance(extras, LegacyNetwork) else None


def _name_of_gap(index: int, by_index: Mapping[int, str]) -> str:
    return GAP_CLASS if str(index) in by_index.values() else str(index)


def _quoted(cell: str) -> str:
    """One cell of a CSV. Python's writer leaves carriage returns unquoted before 3.13."""
    return '"' + cell.replace('"', '""') + '"' if any(character in cell for character in ',"\r\n') else cell


def _file_inside(root: Path, relative: object, role: str) -> Path:
    if not isinstance(relative, str) or not relative:
        raise InvalidModelDirectoryError(f"The directory names no {role}.", where=root, reason="no_file")
    file = resolve_inside(root, relative, InvalidModelDirectoryError)
    with reading_errors(file, InvalidModelDirectoryError):
        if not is_file(file):
            raise InvalidModelDirectoryError(f"The {role} is missing.", where=file, reason="no_file")
        if retrying(file.stat).st_size == 0:
            raise InvalidModelDirectoryError(f"The {role} is empty.", where=file, reason="empty_file")
    return file
