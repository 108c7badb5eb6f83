"""Apply Image Transformation: deterministic transforms of image files, the random ones left to training.

    transforms  Resize  CenterCrop | RandomHorizontalFlip  Grayscale
    training    applied            | recorded: training applies them, drawn afresh in each epoch
    inference   applied            | dropped               applied

An image that is changed is written as PNG, which keeps every pixel; one that is not is copied as it is.
See docs/decisions/0006-preprocessing-and-transforms.md.
"""

from __future__ import annotations

import io
import logging
import math
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from PIL import Image

from pytorch_designer.directories.image_directory import open_image_source
from pytorch_designer.directories.image_writer import rows_of, write_image_directory
from pytorch_designer.directories.recorded_transforms import applied_transforms, recorded_transforms
from pytorch_designer.directories.summary import log_summary
from pytorch_designer.directories.transformation_directory import open_transformation_directory
from pytorch_designer.errors import MAX_EXAMPLES
from pytorch_designer.images.augmentation import apply_transforms
from pytorch_designer.images.bad_files import SWEEP_SECONDS, BadFiles, BadImageError, FirstRemark
from pytorch_designer.images.decode import decode_image, image_file
from pytorch_designer.images.decoding.memory_budget import BYTES_PER_PIXEL, decoding_budget
from pytorch_designer.progress import Pace, open_progress_line
from pytorch_designer.settings import settings
from pytorch_designer.storage.output import open_output
from pytorch_designer.transforms.registrations import deterministic_transforms, split_at_first_random
from pytorch_designer.transforms.transform import size_after
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence
    from pathlib import Path

    from pytorch_designer.directories.image_directory import ImageDirectory
    from pytorch_designer.directories.image_writer import ImageRow
    from pytorch_designer.images.bad_files import BadFile
    from pytorch_designer.transforms.transform import Transform

_log = logging.getLogger(__name__)

INPUT_PORT = "input_image_directory"

_COMPRESSION = 1  # the fastest that is not none; the files are about a tenth larger than with the usual 6


@dataclass(frozen=True)
class AppliedTransformation:
    """Result of a transformation.

    Attributes:
        applied: The transforms that were applied to the images.
        recorded: The transforms that training will apply.
        num_images: Images in the output.
        bad_files: Images that could not be used and are not in the output.
    """

    applied: tuple[Transform, ...]
    recorded: tuple[Transform, ...]
    num_images: int
    bad_files: tuple[BadFile, ...]


def apply_transformation(
    transformation: Path, source: Path, output: Path, *, is_for_training: bool
) -> AppliedTransformation:
    """Write the images of `source`, transformed, as an image directory with the same labels, ids and classes.

    Transforms that `source` records for training come before those of `transformation`.

    Args:
        transformation: A TransformationDirectory.
        source: Images, anything that `open_image_source` reads.
        output: A folder that is new or empty; complete when this returns, untouched when this raises.
        is_for_training: Whether random transforms are recorded for training, and all that follow them; else they are
            dropped.

    Raises:
        InvalidTransformationDirectoryError: The transformation is unusable.
        InvalidDatasetError: The source is unusable, or more of its images are bad than tolerated.
        FailedToWriteOutputsError: The output is occupied, inside an input, or cannot be written.
    """
    transforms = open_transformation_directory(transformation)
    inputs = {"the image directory": source, "the transformation directory": transformation}
    with (
        open_output(output, apart_from=inputs) as opened,
        open_image_source(source) as dataset,
        _one_thread_per_operation(),
    ):
        log_summary(dataset)
        with opened.stage() as folder:
            done = _write(folder, dataset, transforms, is_for_training=is_for_training)
    _log.info("Output: %s", output)
    return done


def _write(
    staging: Path, dataset: ImageDirectory, transforms: tuple[Transform, ...], *, is_for_training: bool
) -> AppliedTransformation:
    earlier, composed = applied_transforms(dataset), recorded_transforms(dataset) + transforms
    to_apply, to_record = (
        split_at_first_random(composed) if is_for_training else (deterministic_transforms(composed), ())
    )
    _log.info("Applied: %s", _listing(to_apply))
    _log.info("Left to training: %s", _listing(to_record))
    bad = BadFiles(dataset, tolerance=settings().bad_image_tolerance, port=INPUT_PORT)
    sweep = _Sweep(bad)
    with closing(_with_progress(sweep.rows(rows_of(dataset)), len(dataset))) as rows:
        num_images = write_image_directory(
            staging,
            rows,
            dataset.classes,
            transforms=_pairs(to_record),
            applied_transforms=_pairs(earlier + to_apply),
            write_image=_Transformer(dataset, to_apply, bad, FirstRemark(INPUT_PORT)).write if to_apply else None,
        )
    if bad.is_beyond_tolerance:
        raise bad.error(num_unchecked=len(dataset) - sweep.num_rows)
    if len(bad):
        _log.warning("Bad and left out: %d of %s:", len(bad), count(len(dataset), "image"))
        for file in bad.listing()[:MAX_EXAMPLES]:
            _log.warning("  %s: %s", file.file, file.reason)
    return AppliedTransformation(to_apply, to_record, num_images, tuple(bad.listing()))


class _Sweep:
    """Rows to read: all of them, or those of the next `SWEEP_SECONDS` once too many are bad.

    Attributes:
        num_rows: How many have been given out.
    """

    def __init__(self, bad: BadFiles) -> None:
        self._bad = bad
        self._deadline = math.inf
        self.num_rows = 0

    def rows(self, rows: Iterator[ImageRow]) -> Iterator[ImageRow]:
        for row in rows:
            if self._bad.is_beyond_tolerance:
                self._deadline = min(self._deadline, time.monotonic() + SWEEP_SECONDS)
            if time.monotonic() > self._deadline:
                return
            self.num_rows += 1
            yield row


@dataclass(frozen=True)
class _Transformer:
    dataset: ImageDirectory
    transforms: tuple[Transform, ...]
    bad: BadFiles
    first_remark: FirstRemark

    def write(self, number: int, source: Path, target: Path) -> Path | None:
        """Write one image; a bad one is registered and left out. Called by several threads at once."""
        try:
            with image_file(source) as content:
                image = decode_image(
                    content, remark=lambda text: self.first_remark(self.dataset.described(number), text)
                )
                if self.bad.is_beyond_tolerance:  # what is written now would be thrown away
                    return None
                return self._write_transformed(image, content, target)
        except BadImageError as error:
            self.bad.add(number, error.reason)
            return None

    def _write_transformed(self, image: torch.Tensor, content: bytearray, target: Path) -> Path:
        height, width = size_after(self.transforms, *image.shape[1:])
        with decoding_budget().take(height * width * BYTES_PER_PIXEL):  # until the file is written
            transformed = apply_transforms(image, self.transforms)
            if not torch.equal(transformed, image):
                target, content = target.with_suffix(".png"), _png(transformed)
            target.write_bytes(content)
        return target


def _png(image_u8: torch.Tensor) -> bytearray:
    stream = io.BytesIO()
    Image.fromarray(image_u8.permute(1, 2, 0).contiguous().numpy()).save(stream, "PNG", compress_level=_COMPRESSION)
    return bytearray(stream.getbuffer())


def _with_progress(rows: Iterator[ImageRow], num_images: int) -> Generator[ImageRow, None, None]:
    pace = Pace(num_images)
    with open_progress_line(settings()) as line:
        for number, row in enumerate(rows):
            line.show("Transforming", number, num_images, "images", pace.describe())
            yield row
            pace.add(1)


@contextmanager
def _one_thread_per_operation() -> Iterator[None]:
    """Images are spread over threads, so that one image is left to one thread."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _pairs(transforms: Sequence[Transform]) -> list[tuple[str, object]]:
    return [(op, args) for op, args in (transform.to_pair() for transform in transforms)]


def _listing(transforms: Sequence[Transform]) -> str:
    return ", ".join(str(transform) for transform in transforms) or "nothing"
