"""Score Image Model from its ports to its output.

Images go through the network in the batches, the number format and the order in which training validates, so that the
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

from pytorch_designer.directories.data_frame_directory import ScoredImagesWriter
from pytorch_designer.directories.image_directory import UNLABELED, ImageDirectory, opened_image_directory
from pytorch_designer.errors import InvalidDatasetError, shorten
from pytorch_designer.inference.compute import Compute, choose_compute, environment_info
from pytorch_designer.inference.predictor import Predictor
from pytorch_designer.progress import Pace, log_header, open_progress_line
from pytorch_designer.scoring.images import DATASET_PORT, ScoringImages, open_model_and_images
from pytorch_designer.scoring.probabilities import row_probabilities
from pytorch_designer.settings import settings
from pytorch_designer.storage.output import check_apart, locked_output, prepare_output, staged_output
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from typing_extensions import Self

    from pytorch_designer.models.loading import LoadedModel

_log = logging.getLogger(__name__)

UNSCORED_FILE = "_unscored.csv"
"""Beside the data when there are images without scores: id, file and reason of each."""

_NOT_FINITE = "the network's output is not a finite number"
_MAX_NAMED = 5


class UnscoredImage(NamedTuple):
    """An image without scores, and why."""

    id: int | str
    file: str
    reason: str


def score_images(*, trained_model: Path, dataset: Path, scored_dataset: Path) -> int:
    """Score all images of a dataset; see docs/reference/score_image_model.md.

    Args:
        trained_model: ModelDirectory of the old or the new layout.
        dataset: Images, labelled or not: anything that `opened_image_directory` reads.
        scored_dataset: Output folder, new or empty.

    Returns:
        The number of images that have scores.

    Raises:
        InvalidModelDirectoryError: The model is unusable or untrained.
        InvalidDatasetError: The dataset is unusable, or no image of it could be scored.
        ModuleOutOfMemoryError: The device has too little memory.
        FailedToWriteOutputsError: The output is occupied, inside an input, or cannot be written.
    """
    check_apart(scored_dataset, dataset, "the dataset")
    check_apart(scored_dataset, trained_model, "the model")
    with ExitStack() as stack:
        images = stack.enter_context(opened_image_directory(dataset, takes_other_tasks=True))
        model, source = open_model_and_images(stack, trained_model, images)
        stack.enter_context(locked_output(scored_dataset))
        prepare_output(scored_dataset)
        compute = choose_model_compute(model)
        compute.activate()
        _log_start(model, images, source, compute)
        with staged_output(scored_dataset) as staging:
            unscored = _score(model, images, source, compute, staging)
            _check_scored(images, unscored)
            _write_unscored(staging, unscored)
    _log_end(images, unscored, scored_dataset)
    return len(images) - len(unscored)


def choose_model_compute(model: LoadedModel) -> Compute:
    """Where and how the model is computed: as in its validation, and an old one in fp32, in which it was trained."""
    chosen = settings()
    if model.preprocessing is not None:
        size = model.preprocessing
        return choose_compute(chosen, height=size.crop_height, width=size.crop_width)
    if chosen.precision == "auto":
        chosen = chosen.model_copy(update={"precision": "fp32"})
    return choose_compute(chosen, height=1, width=1)  # a size decides the precision only, which is decided


def _score(
    model: LoadedModel, images: ImageDirectory, source: ScoringImages, compute: Compute, staging: Path
) -> list[UnscoredImage]:
    classes = model.classes or ()
    writer = ScoredImagesWriter(
        staging,
        class_names=classes,
        has_labels=images.labels is not None,
        has_text_ids=isinstance(images.ids, StringColumn),
    )
    # Of the preprocessing only the mean and the standard deviation are left to do: the images have their sizes.
    predictor = Predictor(model.network, model.preprocessing_for(1, 1), compute)
    pieces = row_probabilities(
        source.batches(), predictor, num_rows=len(images), num_classes=len(classes), port=DATASET_PORT
    )
    unscored_rows: list[int] = []
    pace = Pace(len(images))
    with open_progress_line(settings()) as line, writer, _Background() as background:
        for rows, probabilities in pieces:
            write = partial(
                writer.write, ids=_ids(images, rows), labels=_labels(images, rows), probabilities=probabilities
            )
            background.run(write)
            unscored_rows += (rows.start + np.flatnonzero(np.isnan(probabilities).any(axis=1))).tolist()
            pace.add(len(probabilities))
            line.show("scoring", rows.stop, len(images), "images", pace.describe())
    reasons = {bad.index: bad.reason for bad in source.bad_files}
    return [
        UnscoredImage(_ids(images, slice(row, row + 1))[0], images.files[row], reasons.get(row, _NOT_FINITE))
        for row in unscored_rows
    ]


class _Background:
    """One call at a time beside the caller's own work: scores of a thousand classes take a GPU's time to write."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None

    def run(self, call: Callable[[], None]) -> None:
        """Wait for the call before, raise what it raised, and start this one."""
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


def _check_scored(images: ImageDirectory, unscored: list[UnscoredImage]) -> None:
    if len(unscored) < len(images):
        return
    raise InvalidDatasetError(
        f"None of the {len(images):,} images could be scored.",
        where=images.root,
        examples=(f"{image.file}: {image.reason}" for image in unscored),
        reason="bad_images",
    )


def _write_unscored(staging: Path, unscored: list[UnscoredImage]) -> None:
    if not unscored:
        return
    # Names of files may hold bytes that are no UTF-8; they come out as the same bytes.
    with (staging / UNSCORED_FILE).open("w", encoding="utf-8", errors="surrogateescape", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(UnscoredImage._fields)
        writer.writerows(unscored)


def _log_start(model: LoadedModel, images: ImageDirectory, source: ScoringImages, compute: Compute) -> None:
    facts = {
        "Model": f"{model.architecture.name}, {len(model.classes or ()):,} classes",
        "Images": f"{len(images):,}, {'without labels' if images.labels is None else 'labelled'}",
        "Image size": source.describe(),
    }
    log_header("Score Image Model", environment_info(compute) | facts)
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
            "%d of %d images could not be scored: their rows are there, with empty scores, and %s says why.",
            len(unscored),
            len(images),
            UNSCORED_FILE,
        )
        for image in unscored[:_MAX_NAMED]:
            _log.warning("  %s: %s", shorten(image.file), image.reason)
    _log.info("Scored %d images.", len(images) - len(unscored))
    _log.info("Scores: %s", output)
