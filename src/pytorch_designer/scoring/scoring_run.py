"""Scoring run: a trained model and images in, a table of scores out.

Images go through the network in the batches, the number format and the order in which training validates, so the
scores of a validation dataset give exactly the metrics that training reported. Bad files keep their rows, with empty
scores.
"""

from __future__ import annotations

import csv
import logging
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pytorch_designer.directories.image_directory import UNLABELED
from pytorch_designer.directories.scores.data_frame_directory import ScoredImagesWriter
from pytorch_designer.directories.scores.thumbnail_file import write_thumbnails
from pytorch_designer.errors import InvalidDatasetError, shorten
from pytorch_designer.images.thumbnails import read_thumbnails
from pytorch_designer.inference.compute import choose_model_compute, environment_info
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.inference.probabilities import NOT_FINITE, row_probabilities
from pytorch_designer.inference.torch_state import kept_torch_state
from pytorch_designer.models.weights import weights_fingerprint
from pytorch_designer.progress import Pace, log_header, open_progress_line
from pytorch_designer.reporting.outcomes import Outcomes, select
from pytorch_designer.scoring.image_batches import (
    DATASET_PORT,
    ScoringImages,
    open_model_and_images,
)
from pytorch_designer.settings import settings
from pytorch_designer.shown_text import spreadsheet_text
from pytorch_designer.storage.string_column import StringColumn
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.directories.model_directory import ModelDirectory
    from pytorch_designer.inference.compute import Compute
    from pytorch_designer.models.loading import LoadedModel
    from pytorch_designer.storage.output import Output

_log = logging.getLogger(__name__)

UNSCORED_FILE = "_unscored.csv"
"""Table of the images without scores, if there are any: id, file and reason of each."""

_MAX_NAMED = 5


class UnscoredImage(NamedTuple):
    """The row of an image without scores, and the reason."""

    row: int
    reason: str


def score_images(directory: ModelDirectory, images: ImageDirectory, output: Output) -> None:
    """Score all images of a dataset; see docs/reference/score_image_model.md.

    Settings of torch that belong to the process are those of before afterwards.

    Args:
        directory: A trained model of the old or the new layout.
        images: Labeled or not.
        output: Where the scores are written.

    Raises:
        InvalidModelDirectoryError: The model is unusable.
        InvalidDatasetError: No image of the dataset could be scored, or one took too long to read.
        ModuleOutOfMemoryError: The device has too little memory.
        FailedToWriteOutputsError: The output cannot be written.
    """
    with kept_torch_state(), ExitStack() as stack:
        model, source = open_model_and_images(stack, directory, images)
        compute = choose_model_compute(model, settings())
        compute.activate()
        _log_start(model, images, source, compute)
        with output.stage() as folder:
            unscored, outcomes = _score(model, images, source, compute, folder)
            _check_scored(images, unscored)
            _write_unscored(folder, images, unscored)
            if settings().report_images == "on":
                rows = select(outcomes).rows
                write_thumbnails(folder, read_thumbnails(images, rows, model.preprocessing, port=DATASET_PORT))
    _log_end(images, unscored, output.path)


def _score(
    model: LoadedModel, images: ImageDirectory, source: ScoringImages, compute: Compute, folder: Path
) -> tuple[list[UnscoredImage], Outcomes]:
    classes = model.classes or ()
    writer = ScoredImagesWriter(
        folder,
        class_names=classes,
        has_labels=images.labels is not None,
        has_text_ids=isinstance(images.ids, StringColumn),
        scored_by={
            "model": model.architecture.name,
            "weights": weights_fingerprint(model.network.state_dict()),
        },
    )
    # The images have their sizes: only the mean and the standard deviation of the preprocessing are left to apply.
    predictor = Predictor(model.network, model.preprocessing_for(1, 1), compute)
    pieces = row_probabilities(
        source.batches(), predictor, num_rows=len(images), num_classes=len(classes), port=DATASET_PORT
    )
    outcomes = Outcomes.blank(_model_labels(model, images))
    unscored_rows: list[int] = []
    pace = Pace(len(images))
    with open_progress_line(settings()) as line, writer, _Background() as background:
        for rows, probabilities in pieces:
            write = partial(
                writer.write,
                ids=_ids(images, rows),
                files=[images.name(row) for row in range(rows.start, rows.stop)],
                labels=_labels(images, rows),
                probabilities=probabilities,
            )
            background.run(write)
            outcomes.record(np.arange(rows.start, rows.stop), probabilities)
            unscored_rows += (rows.start + np.flatnonzero(np.isnan(probabilities).any(axis=1))).tolist()
            pace.add(len(probabilities))
            line.show("scoring", rows.stop, len(images), "images", pace.describe())
    reasons = {bad.index: bad.reason for bad in source.bad_files}
    return [UnscoredImage(row, reasons.get(row, NOT_FINITE)) for row in unscored_rows], outcomes


class _Background:
    """Background thread for one call at a time: writing the scores of a thousand classes would keep a GPU waiting."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None

    def run(self, call: Callable[[], None]) -> None:
        """Wait for the previous call, raise what it raised, and start this one."""
        if self._running is not None:
            self._running.result()
        self._running = self._thread.submit(call)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._thread:
            if kind is None and self._running is not None:
                self._running.result()


def _ids(images: ImageDirectory, rows: slice) -> list[int] | list[str]:
    if isinstance(images.ids, StringColumn):
        return list(images.ids.take(np.arange(rows.start, rows.stop)))
    ids: list[int] = images.ids[rows].tolist()
    return ids


def _labels(images: ImageDirectory, rows: slice) -> list[str | None] | None:
    if images.labels is None:
        return None
    names: Sequence[str | None] = (*images.classes, None)  # the last one is that of UNLABELED, -1
    return [names[label] for label in images.labels[rows].tolist()]


def _model_labels(model: LoadedModel, images: ImageDirectory) -> NDArray[np.int64]:
    """The labels in the numbering of the model's classes, int64 [n], followed by those that it does not know."""
    if images.labels is None:
        return np.full(len(images), UNLABELED, dtype=np.int64)
    known = model.classes or ()
    unknown = sorted(set(images.classes) - set(known))
    index_of = {name: index for index, name in reversed(list(enumerate((*known, *unknown))))}
    indices = np.array([*(index_of[name] for name in images.classes), UNLABELED], dtype=np.int64)
    return indices[images.labels]  # UNLABELED, -1, is the last element


def _check_scored(images: ImageDirectory, unscored: list[UnscoredImage]) -> None:
    if len(unscored) < len(images):
        return
    raise InvalidDatasetError(
        f"None of {count(len(images), 'image')} could be scored.",
        where=images.source,
        examples=(f"{images.described(image.row)}: {image.reason}" for image in unscored),
        reason="bad_images",
    )


def _write_unscored(folder: Path, images: ImageDirectory, unscored: list[UnscoredImage]) -> None:
    if not unscored:
        return
    # Names of files may hold bytes that are not UTF-8; they are written as the same bytes.
    with (folder / UNSCORED_FILE).open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(("id", "file", "reason"))
        for image in unscored:
            cells = (images.ids[image.row], images.name(image.row), image.reason)
            writer.writerow([spreadsheet_text(str(cell)) for cell in cells])


def _log_start(model: LoadedModel, images: ImageDirectory, source: ScoringImages, compute: Compute) -> None:
    run_info = {
        "Model": f"{model.architecture.name}, {count(len(model.classes or ()), 'class', 'classes')}",
        "Image size": source.describe(),
    }
    log_header("Score Image Model", environment_info(compute) | run_info)
    unknown = _unknown_classes(model, images)
    if unknown:
        _log.warning(
            "%d of the classes of the dataset are unknown to the model and cannot be predicted: %s",
            len(unknown),
            ", ".join(shorten(name) for name in unknown[:_MAX_NAMED]) + (" ..." if len(unknown) > _MAX_NAMED else ""),
        )


def _unknown_classes(model: LoadedModel, images: ImageDirectory) -> list[str]:
    """Classes that images of the dataset have and that the model does not know."""
    if images.labels is None:
        return []
    names = {images.classes[label] for label in np.unique(images.labels).tolist() if label != UNLABELED}
    return sorted(names - set(model.classes or ()))


def _log_end(images: ImageDirectory, unscored: list[UnscoredImage], output: Path) -> None:
    if unscored:
        _log.warning(
            "%d of %s could not be scored: the rows are there, with empty scores, and %s says why.",
            len(unscored),
            count(len(images), "image"),
            UNSCORED_FILE,
        )
        for image in unscored[:_MAX_NAMED]:
            _log.warning("  %s: %s", shorten(images.described(image.row)), image.reason)
    _log.info("Scored %s.", count(len(images) - len(unscored), "image"))
    _log.info("Scores: %s", output)
