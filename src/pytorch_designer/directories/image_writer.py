"""Writer of image directories, in the layout of the old designer.

    _meta.yaml     type: ImageDirectory; image_list, samples, schema: the files below
    images.lst     one JSON object per image, with the name that the user knows it by
    _schema.json   the columns and the classes
    _samples.json  up to three rows with their images in base64, for previews; files above 4 MiB are left out
    image/         <class index>_<row>.<ext>; <row>.<ext> for images without a class

Rows are written as they come, and images are copied by threads with a bounded queue, so that memory does not grow
with the number of images. The order of the rows is the order in which they are given.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pytorch_designer.directories.image_directory import (
    IMAGE_DIRECTORY,
    UNLABELED,
    ImageDirectory,
    open_image_source,
)
from pytorch_designer.directories.image_manifest import manifest_line
from pytorch_designer.directories.image_schema import build_schema
from pytorch_designer.directories.meta import write_meta
from pytorch_designer.directories.summary import log_summary
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.output import open_output
from pytorch_designer.storage.retrying import open_retrying

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

_COPY_THREADS = 16
_MAX_PENDING = 256
_CHUNK_BYTES = 1 << 20
_NUM_SAMPLES = 3
_MAX_SAMPLE_BYTES = 1 << 22  # a larger file is no preview, and would be held in memory four times over


class ImageRow(NamedTuple):
    """One image to write.

    Attributes:
        source: The image file to copy.
        label: Class index, or None for an image without a class.
        id: The value of the column `id`; all integers, or all strings.
        original_name: What the user knows the image by, to record; None where that is only `source`.
    """

    source: Path
    label: int | None
    id: int | str
    original_name: str | None = None


def convert_to_image_directory(source: Path, output: Path) -> None:
    """Write any source that `open_image_source` understands as a typed image directory.

    Image files are copied as they are. What the source records about transforms is kept.

    Args:
        source: A folder or an archive.
        output: A folder that is new or empty; complete when this returns, untouched when this raises.

    Raises:
        InvalidDatasetError: The source is unusable, or a file of it cannot be read.
        FailedToWriteOutputsError: The output is occupied, inside the source, or cannot be written.
    """
    with (
        open_output(output, apart_from={"the source": source}) as opened,
        open_image_source(source) as dataset,
    ):
        log_summary(dataset, trains=True)
        with opened.stage() as folder:
            write_image_directory(
                folder,
                rows_of(dataset),
                dataset.classes,
                transforms=dataset.transforms,
                applied_transforms=dataset.applied_transforms,
            )


def rows_of(dataset: ImageDirectory, indices: Iterable[int] | None = None) -> Iterator[ImageRow]:
    """The rows of an opened directory, or those at `indices` in their order, ready to be written."""
    for index in range(len(dataset)) if indices is None else indices:
        label = UNLABELED if dataset.labels is None else int(dataset.labels[index])
        image_id = dataset.ids[index]
        yield ImageRow(
            source=dataset.path(index),
            label=None if label == UNLABELED else label,
            id=image_id if isinstance(image_id, str) else int(image_id),
            original_name=dataset.name(index),
        )


def copy_image(source: Path, target: Path) -> None:
    """Copy the bytes of one image; a read that fails for the moment, as on a mount, is tried again.

    Raises:
        InvalidDatasetError: `source` cannot be read.
        OSError: `target` cannot be written; `filename` is the target.
    """
    try:
        with target.open("wb") as stream:
            for chunk in _read_chunks(source):  # whose own faults are not OSErrors
                stream.write(chunk)
    except OSError as error:
        error.filename = str(target)  # a failed write does not say where
        raise


class WriteImage(Protocol):
    """Writes the file of one row."""

    def __call__(self, number: int, source: Path, target: Path) -> Path | None:
        """Write the image of row `number`, counted from 0, at `source` to `target`. Called by several threads at once.

        Returns:
            The file that was written: `target`, or one beside it with another suffix; None where nothing was written
            and the row is to be left out.
        """


def write_image_directory(
    folder: Path,
    rows: Iterable[ImageRow],
    classes: Sequence[str],
    *,
    transforms: Iterable[tuple[str, Any]] = (),
    applied_transforms: Iterable[tuple[str, Any]] = (),
    write_image: WriteImage | None = None,
) -> int:
    """Write an image directory into the empty folder `folder`, which `Output.stage` yields.

    Args:
        folder: Where to write.
        rows: The images; taken one at a time, while earlier ones are being copied.
        classes: Names by class index; () for a directory without labels.
        transforms: What training still does to the images, to record, as (op, args).
        applied_transforms: What was done to the image files, to record, as (op, args).
        write_image: How a file is written; None copies it as it is.

    Returns:
        The number of images written.

    Raises:
        InvalidDatasetError: A source cannot be read.
        OSError: A file below `folder` cannot be written; `Output.stage` turns it into a named error.
    """
    (folder / "image").mkdir()
    first_rows: list[tuple[str, ImageRow]] = []
    has_text_ids = False
    num_rows = 0
    writes = _written(folder, rows, write_image or _copy)
    with (folder / "images.lst").open("w", encoding="ascii", newline="\n") as stream, closing(writes):
        for name, row in writes:
            category = None if row.label is None else classes[row.label]
            stream.write(manifest_line(name, category, row.id, original_name=row.original_name))
            has_text_ids = has_text_ids or isinstance(row.id, str)
            if len(first_rows) < _NUM_SAMPLES and (folder / name).stat().st_size <= _MAX_SAMPLE_BYTES:
                first_rows.append((name, row))
            num_rows += 1
    _write_json(folder / "_samples.json", [_sample(folder / name, row, classes) for name, row in first_rows])
    _write_json(folder / "_schema.json", build_schema(classes, has_labels=len(classes) > 0, has_text_ids=has_text_ids))
    records = {"transforms": transforms, "applied_transforms": applied_transforms}
    lists = {key: [[op, args] for op, args in pairs] for key, pairs in records.items()}
    write_meta(
        folder,
        IMAGE_DIRECTORY,
        extension={key: pairs for key, pairs in lists.items() if pairs},
        image_list="images.lst",
        samples="_samples.json",
        schema="_schema.json",
    )
    return num_rows


def _written(
    folder: Path, rows: Iterable[ImageRow], write_image: WriteImage
) -> Generator[tuple[str, ImageRow], None, None]:
    """Name and row of each file, once it is written, in the order of the rows; at most `_MAX_PENDING` are in flight."""
    pending: deque[tuple[ImageRow, Future[Path | None]]] = deque()
    pool = ThreadPoolExecutor(_COPY_THREADS)

    def oldest() -> Iterator[tuple[str, ImageRow]]:
        row, write = pending.popleft()
        try:
            path = write.result()
        except InvalidDatasetError as error:
            if row.original_name is None:
                raise
            raise InvalidDatasetError(
                error.what, where=error.where, examples=[row.original_name], advice=error.advice, reason=error.reason
            ) from error
        if path is not None:
            yield path.relative_to(folder).as_posix(), row

    try:
        for number, row in enumerate(rows):
            if len(pending) >= _MAX_PENDING:
                yield from oldest()
            pending.append((row, pool.submit(write_image, number, row.source, folder / _file_name(row, number))))
        while pending:
            yield from oldest()
    finally:
        pool.shutdown(cancel_futures=True)


def _copy(number: int, source: Path, target: Path) -> Path:
    copy_image(source, target)
    return target


def _file_name(row: ImageRow, number: int) -> PurePosixPath:
    stem = str(number) if row.label is None else f"{row.label}_{number}"
    return PurePosixPath("image", stem + row.source.suffix)


def _read_chunks(source: Path) -> Iterator[bytes]:
    try:
        with open_retrying(source) as stream:
            while chunk := stream.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise InvalidDatasetError(
            f"An image cannot be read: {error.strerror or error}.", where=source, reason="unreadable"
        ) from error


def _sample(path: Path, row: ImageRow, classes: Sequence[str]) -> dict[str, Any]:
    sample: dict[str, Any] = {"image": base64.b64encode(path.read_bytes()).decode("ascii"), "id": row.id}
    if row.label is not None:
        sample["category"] = classes[row.label]
    return sample


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content), encoding="ascii")
