"""Opened images: a dataset of any layout as a sequence of arrays with labels."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from operator import index as as_index
from typing import TYPE_CHECKING, NamedTuple, overload

import numpy as np

from pytorch_designer.api.library_calls import kept_process, library_call, path_argument
from pytorch_designer.errors import InvalidDatasetError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType

    from numpy.typing import NDArray
    from typing_extensions import Self, Unpack

    from pytorch_designer.api.library_calls import RuntimeOptions
    from pytorch_designer.directories.image_directory import ImageDirectory

_MAX_CLASSES_SHOWN = 20


class LabeledImage(NamedTuple):
    """One image of a dataset.

    Attributes:
        pixels: uint8 [height, width, 3], RGB, upright.
        label: Name of its class; None where it has none.
        name: Its path below the dataset, with `/`.
    """

    pixels: NDArray[np.uint8]
    label: str | None
    name: str


class OpenedImages(Sequence[LabeledImage]):
    """Sequence of the images of a dataset; nothing is decoded before it is asked for.

    `images[3]` and iteration give a `LabeledImage`, `images[:100]` the dataset of these rows. The images of an archive
    are in a temporary folder until `close()`, the end of a `with` statement, or the end of the object.

    Attributes:
        source: The folder or archive.
        layout: What it was taken for, for instance "Class folders".
        classes: Names of the classes, in the order of `labels`; () where no image has a label.
        labels: int32 [n], index of each image's class, -1 where it has none; None where no image has a label.
    """

    def __init__(self, images: ImageDirectory, closing: ExitStack) -> None:
        """Take over what was opened.

        Args:
            images: The dataset.
            closing: What `close` closes.
        """
        self._images = images
        self._closing = closing
        self.source: Path = images.source
        self.layout: str = images.layout.name
        self.classes: tuple[str, ...] = images.classes
        self.labels: NDArray[np.int32] | None = images.labels

    @property
    def counts(self) -> dict[str, int]:
        """Number of images of each class, by its name."""
        return dict(zip(self.classes, self._images.class_sizes.tolist(), strict=True))

    @property
    def names(self) -> list[str]:
        """The path of each image below the dataset, with `/`."""
        return [self._images.name(row) for row in range(len(self))]

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, index: int) -> LabeledImage: ...

    @overload
    def __getitem__(self, index: slice) -> OpenedImages: ...

    def __getitem__(self, index: int | slice) -> LabeledImage | OpenedImages:
        """An image, decoded, or the dataset of some rows.

        Raises:
            IndexError: There is no such image.
            InvalidDatasetError: The file cannot be read or is not an image.
        """
        if isinstance(index, slice):
            return OpenedImages(self._images.take(np.arange(len(self))[index]), self._closing)
        row = as_index(index)
        if not -len(self) <= row < len(self):
            raise IndexError(f"there is no image {row}: the dataset has {len(self)}")
        return self._read(row % len(self))

    def __iter__(self) -> Iterator[LabeledImage]:
        return map(self._read, range(len(self)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove the temporary folder of an archive; of a folder, nothing is left to close."""
        self._closing.close()

    def __repr__(self) -> str:
        from pytorch_designer.directories.summary import summary

        return f"<{type(self).__name__} {self.source}: {summary(self._images)}>"

    @kept_process()
    def _repr_html_(self) -> str:
        """Number of images per class, and a few images, for a notebook."""
        from pytorch_designer.api.notebook_page import NotebookTable, notebook_page, pictures_of
        from pytorch_designer.directories.summary import summary

        counts = self.counts
        rows = [(name, f"{number:,}") for name, number in list(counts.items())[:_MAX_CLASSES_SHOWN]]
        if len(counts) > len(rows):
            rows.append((f"{len(counts) - len(rows):,} more", ""))
        return notebook_page(
            str(self.source),
            remark=summary(self._images),
            numbers={"Images": f"{len(self):,}"} | ({"Classes": f"{len(counts):,}"} if counts else {}),
            pictures=pictures_of(self._images) if len(self) else (),
            table=NotebookTable(("Class", "Images"), rows) if rows else None,
        )

    def _read(self, row: int) -> LabeledImage:
        from pytorch_designer.images.bad_files import BadImageError
        from pytorch_designer.images.decode import decode_image, read_image_file

        try:
            image = decode_image(read_image_file(self._images.path(row)))
        except BadImageError as error:
            raise InvalidDatasetError(
                f"Image {row} cannot be read: {error.reason}",
                where=f"{self.source}, {self._images.described(row)}",
                advice="Remove or replace the file. `pytorch-designer inspect` lists all files that cannot be read.",
                reason="bad_images",
            ) from error
        label = None if self.labels is None or self.labels[row] < 0 else self.classes[self.labels[row]]
        return LabeledImage(image.permute(1, 2, 0).contiguous().numpy(), label, self._images.name(row))


def open_images(folder: str | os.PathLike[str], **options: Unpack[RuntimeOptions]) -> OpenedImages:
    """Open a dataset of images of any layout: class folders, tables, COCO files, archives, typed directories.

    No image is decoded; docs/formats.md lists the layouts. torch is imported when the first image is asked for.

        images = pytorch_designer.open_images("photos")
        pixels, label, name = images[0]         # uint8 [height, width, 3], "cat", "cat/1.jpg"
        images.counts                           # {"cat": 120, "dog": 80}

    Args:
        folder: A folder, or an archive of one.
        options: See `RuntimeOptions`; `layout` says what folders are where their names mislead.

    Raises:
        InvalidDatasetError: It is not there, or not a dataset: a folder with splits (train, valid, test) is several.
        FailedToWriteOutputsError: The temporary folder cannot hold the content of the archive.
        ParameterError: An argument has the wrong type or is out of range.
    """
    from pytorch_designer.directories.image_directory import open_image_source

    with library_call("open_images", options):
        path = path_argument(folder, "folder")
        with ExitStack() as stack:
            images = stack.enter_context(open_image_source(path, takes_other_tasks=True, removed_by_signals=False))
            return OpenedImages(images, stack.pop_all())
