"""Image directories: opened, checked as a whole, and indexed in columns.

Supported sources, tried in this order (docs/formats.md):

    _meta.yaml, images.lst, _schema.json, image/...   the typed directory, as written here and by the old designer
    labels.json, images                               a COCO json, one class per image
    labels.csv, images                                a table of files and labels
    cat/1.jpg, dog/2.jpg                              class folders
    1.jpg, sub/2.jpg                                  images without labels
    pets.zip                                          an archive of any of these, alone or alone in a folder

Splits of a dataset and layouts of other tools are refused by name. If a folder holds nothing but one folder, that one
is opened. 1.3 million images open in seconds and take about 40 bytes each: there is no Python object per image.
"""

from __future__ import annotations

import unicodedata
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain, zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np

from pytorch_designer.directories.image_manifest import Manifest, read_manifest
from pytorch_designer.directories.image_schema import GAP_CLASS, ImageSchema, read_schema
from pytorch_designer.directories.meta import read_meta
from pytorch_designer.directories.sources.image_rows import UNLABELED, ImageRows, Layout
from pytorch_designer.directories.sources.lone_archive import find_archive, find_lone_archive, refuse_inner_archive
from pytorch_designer.directories.sources.recognition import recognize
from pytorch_designer.directories.sources.referenced_files import check_referenced_files
from pytorch_designer.directories.sources.source_tree import read_source_tree
from pytorch_designer.errors import InvalidDatasetError, NotLabeledDatasetError
from pytorch_designer.storage.archives import extracted_archive
from pytorch_designer.storage.folder_listing import list_folder, single_folder_chain
from pytorch_designer.storage.output import META_FILE
from pytorch_designer.storage.paths import check_directory, reading_errors, resolve_inside
from pytorch_designer.storage.retrying import exists, is_file
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from pytorch_designer.storage.folder_listing import FolderListing
    from pytorch_designer.storage.string_column import StringColumn

__all__ = [
    "UNLABELED",
    "ImageDirectory",
    "match_classes",
    "open_image_directory",
    "open_image_source",
    "require_labels",
]

IMAGE_DIRECTORY = "ImageDirectory"

Pairs = tuple[tuple[str, Any], ...]
"""Transforms as (op, args), unchecked; `recorded_transforms` parses them."""


@dataclass(frozen=True, eq=False)
class ImageDirectory:
    """Index of an image directory; row i of every column is image i.

    Attributes:
        root: The folder that the paths are relative to. For an archive it is temporary: messages name `source`.
        source: The folder or archive that the user named.
        layout: What the source was taken for.
        files: Paths below `root`, with `/`.
        labels: int32, shape (n,): class index of each image, `UNLABELED` for those without; None when no image is
            labeled.
        classes: Names by class index; () when no image is labeled.
        ids: The `id` of each image, int64 or strings.
        transforms: What training still does to the images, drawn afresh in each epoch, as (op, args):
            `extension.transforms` of `_meta.yaml`.
        applied_transforms: The deterministic transforms that the image files have been through, as (op, args):
            `extension.applied_transforms`.
        prefix: The path of `root` below `source` with a `/` at its end; "" where they are the same.
        original_names: What the user called each image, where that is not its path below `source`: a typed directory
            renames the images that it takes in. "" for an image without such a name.
    """

    root: Path
    source: Path
    layout: Layout
    files: StringColumn
    labels: NDArray[np.int32] | None
    classes: tuple[str, ...]
    ids: NDArray[np.int64] | StringColumn
    transforms: Pairs = ()
    applied_transforms: Pairs = ()
    prefix: str = ""
    original_names: StringColumn | None = None

    def __len__(self) -> int:
        return len(self.files)

    @property
    def class_sizes(self) -> NDArray[np.int64]:
        """Images of each class, int64 [class]."""
        labels = np.empty(0, np.int64) if self.labels is None else self.labels[self.labels != UNLABELED]
        return np.bincount(labels, minlength=len(self.classes))

    def path(self, index: int) -> Path:
        """Path of the image of row `index`."""
        return self.root / self.files[index]

    def name(self, index: int) -> str:
        """Name of the image of row `index` for its user: a path below `source`, with `/`."""
        original = "" if self.original_names is None else self.original_names[index]
        return original or self.prefix + self.files[index]

    def described(self, index: int) -> str:
        """`name`, and the file where it has another name, for a message: "cat/a.jpg (image/0_17.jpg)"."""
        name, file = self.name(index), self.prefix + self.files[index]
        return name if name == file else f"{name} ({file})"

    def take(self, rows: NDArray[np.int64]) -> ImageDirectory:
        """The same directory with these rows only, int64 [m], in their order."""
        return replace(
            self,
            files=self.files.take(rows),
            labels=None if self.labels is None else self.labels[rows],
            ids=self.ids[rows] if isinstance(self.ids, np.ndarray) else self.ids.take(rows),
            original_names=None if self.original_names is None else self.original_names.take(rows),
        )


def open_image_directory(path: Path, *, takes_other_tasks: bool = False) -> ImageDirectory:
    """Open, check and index a folder: any source but an archive; see the module's docstring.

    No image is opened. Every path is inside the directory, and every listed file is there.

    Args:
        path: The source.
        takes_other_tasks: Images that are annotated for other tasks than classification (boxes, captions, ...) are
            images without labels instead of an error, for callers that need no labels and write no image directory.

    Raises:
        InvalidDatasetError: The path is not such a directory, or something in it is wrong.
    """
    return _open_folder(path, _list_untyped(path), takes_other_tasks=takes_other_tasks)


@contextmanager
def open_image_source(
    path: Path, *, takes_other_tasks: bool = False, removed_by_signals: bool = True
) -> Iterator[ImageDirectory]:
    """`open_image_directory`, for archives too.

    An archive, or the one archive in a folder without images, is extracted into a temporary folder that is removed when
    the context ends.

    Args:
        path: The source.
        takes_other_tasks: As in `open_image_directory`.
        removed_by_signals: As in `extracted_archive`.

    Raises:
        InvalidDatasetError: As `open_image_directory`, or the archive is damaged or unsafe.
        FailedToWriteOutputsError: The temporary folder cannot hold the content of the archive.
    """
    archive = find_archive(path)
    if archive is None:
        listing = _list_untyped(path)
        archive = find_lone_archive(path, listing)
        if archive is None:
            yield _open_folder(path, listing, takes_other_tasks=takes_other_tasks)
            return
    with extracted_archive(archive, removed_by_signals=removed_by_signals) as folder:
        listing = _list_untyped(folder)
        refuse_inner_archive(folder, listing)
        yield replace(_open_folder(folder, listing, takes_other_tasks=takes_other_tasks), source=archive)


def require_labels(dataset: ImageDirectory, port: str) -> None:
    """Make sure that every image has a label.

    Args:
        dataset: The dataset.
        port: Name of the input port that it came from, for the message.

    Raises:
        NotLabeledDatasetError: No image is labeled, or some are not.
    """
    if dataset.labels is None:
        raise NotLabeledDatasetError(
            f"The dataset on the port `{port}` has no labels.",
            where=dataset.source,
            examples=[f"{dataset.layout.name}: {dataset.name(0)}"],
            advice="Labels are read from class folders (cat/1.jpg, dog/2.jpg), from a COCO json, or from a CSV with a "
            "column of files and a column `label`. File names are not labels.",
            reason="no_labels",
        )
    unlabeled = np.flatnonzero(dataset.labels == UNLABELED)
    if len(unlabeled):
        raise NotLabeledDatasetError(
            f"{len(unlabeled)} of {count(len(dataset), 'image')} of the dataset on the port `{port}` have no label.",
            where=dataset.source,
            examples=map(dataset.described, unlabeled.tolist()),
            advice="Label these images or remove them.",
            reason="some_without_label",
        )


def match_classes(training: ImageDirectory, validation: ImageDirectory) -> NDArray[np.int32]:
    """The labels of `validation` as class indices of `training`: classes are the same when their names are.

    The order of the classes and their ids may differ, and classes need not have images. `Others`, which also stands
    for a gap in the ids, counts on a side only when an image there has it or both sides name it.

    Returns:
        int32, shape (len(validation),). `UNLABELED` stays as it is.

    Raises:
        NotLabeledDatasetError: A side has no labels at all.
        InvalidDatasetError: A class is on one side only.
    """
    for dataset, port in ((training, "training_dataset"), (validation, "validation_dataset")):
        if dataset.labels is None:
            require_labels(dataset, port)
    only_training = _counting_classes(training) - set(validation.classes)
    only_validation = _counting_classes(validation) - set(training.classes)
    if only_training or only_validation:
        raise _differing_classes(validation.root, sorted(only_training), sorted(only_validation))
    index_of = {name: index for index, name in reversed(list(enumerate(training.classes)))}
    indices = np.array([index_of.get(name, UNLABELED) for name in validation.classes] + [UNLABELED], dtype=np.int32)
    return indices[validation.labels]  # UNLABELED, -1, is the last element


def _list_untyped(path: Path) -> FolderListing | None:
    """The listing of the folder `path`, None for a typed directory."""
    check_directory(path, InvalidDatasetError)
    with reading_errors(path, InvalidDatasetError):
        return None if exists(path / META_FILE) else list_folder(path, "")


def _open_folder(path: Path, listing: FolderListing | None, *, takes_other_tasks: bool) -> ImageDirectory:
    if listing is None:
        return _open_typed(path, "", takes_other_tasks=takes_other_tasks)
    levels: list[FolderListing] = []
    for level in single_folder_chain(path, listing):
        if META_FILE in level.others:
            return _open_typed(path, level.path, takes_other_tasks=takes_other_tasks)
        levels.append(level)
    tree = read_source_tree(path, levels)
    return _directory(path, "", recognize(tree, takes_other_tasks=takes_other_tasks))


def _open_typed(source: Path, folder: str, *, takes_other_tasks: bool) -> ImageDirectory:
    root = source / folder
    meta = read_meta(root, IMAGE_DIRECTORY, InvalidDatasetError)
    schema = ImageSchema()
    if meta.get("schema") is not None:
        schema = read_schema(_named_file(root, meta, "schema"), takes_other_tasks=takes_other_tasks)
    list_path = _named_file(root, meta, "image_list", "images.lst")
    manifest = read_manifest(list_path, schema, takes_other_tasks=takes_other_tasks)
    advice = "Copy the missing files into the directory, or remove their lines from the list."
    if manifest.has_addresses:
        advice += " Rows with an address (`coco_url`) are not downloaded here: download these images first."
    check_referenced_files(root, manifest.files, list_path, lambda row: f"line {row + 1}", advice)
    labels, classes = _index_classes(list_path, manifest, schema)
    rows = ImageRows(Layout("Image directory"), manifest.files, labels, classes, manifest.ids)
    transforms, applied = (_read_transforms(root, meta, key) for key in ("transforms", "applied_transforms"))
    return replace(_directory(source, folder, rows, transforms, applied), original_names=manifest.original_names)


def _named_file(root: Path, meta: dict[str, Any], key: str, default: str | None = None) -> Path:
    name = meta.get(key, default)
    if not isinstance(name, str):
        raise InvalidDatasetError(f"`{key}` is not a file name.", where=root / META_FILE, reason="malformed_meta")
    path = resolve_inside(root, name, InvalidDatasetError)
    with reading_errors(path, InvalidDatasetError):
        is_there = is_file(path)
    if not is_there:
        raise InvalidDatasetError(
            f"The file that {META_FILE} names as `{key}` is not there.", where=path, reason="missing_files"
        )
    return path


def _index_classes(
    list_path: Path, manifest: Manifest, schema: ImageSchema
) -> tuple[NDArray[np.int32] | None, tuple[str, ...]]:
    if not manifest.names:
        return None, ()
    if schema.classes is None:
        classes = tuple(sorted(manifest.names))
        class_indices = {name: index for index, name in enumerate(classes)}
    else:
        classes, class_indices = schema.classes, schema.class_indices
    unknown = [code for code, name in enumerate(manifest.names) if name not in class_indices]
    if unknown:
        rows = [int(np.argmax(manifest.categories == code)) for code in unknown[:100]]
        raise InvalidDatasetError(
            f"The schema lacks {count(len(unknown), 'category', 'categories')} of the images.",
            where=list_path,
            examples=(f"line {row + 1}: {manifest.names[code]!r}" for row, code in zip(rows, unknown, strict=False)),
            advice="Add the categories to the schema, or correct them in the list.",
            reason="unknown_category",
        )
    indices = np.array([class_indices[name] for name in manifest.names] + [UNLABELED], dtype=np.int32)
    return indices[manifest.categories], classes  # UNLABELED, -1, is the last element


def _read_transforms(root: Path, meta: dict[str, Any], key: str) -> Pairs:
    extension = meta.get("extension")
    transforms = extension.get(key) if isinstance(extension, dict) else None
    pairs = [] if transforms is None else transforms
    if not isinstance(pairs, list) or not all(
        isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs
    ):
        raise InvalidDatasetError(
            f"`extension.{key}` is not a list of pairs [op, args].", where=root / META_FILE, reason="malformed_meta"
        )
    return tuple((op, args) for op, args in pairs)


def _directory(
    source: Path, folder: str, rows: ImageRows, transforms: Pairs = (), applied: Pairs = ()
) -> ImageDirectory:
    root = source / folder
    if not len(rows.files):
        raise InvalidDatasetError("There are no images in the directory.", where=root, reason="no_images")
    for column in (rows.labels, rows.ids):
        if isinstance(column, np.ndarray):
            column.setflags(write=False)
    return ImageDirectory(
        root=root,
        source=source,
        layout=rows.layout,
        files=rows.files,
        labels=rows.labels,
        classes=rows.classes,
        ids=rows.ids,
        transforms=transforms,
        applied_transforms=applied,
        prefix=f"{folder}/" if folder else "",
    )


def _counting_classes(dataset: ImageDirectory) -> set[str]:
    classes = set(dataset.classes)
    gaps = [index for index, name in enumerate(dataset.classes) if name == GAP_CLASS]
    if gaps and dataset.labels is not None and not np.isin(dataset.labels, gaps).any():
        classes.remove(GAP_CLASS)
    return classes


def _differing_classes(where: Path, training: list[str], validation: list[str]) -> InvalidDatasetError:
    normalized = [{unicodedata.normalize("NFC", name) for name in side} for side in (training, validation)]
    look_alike = normalized[0] & normalized[1]
    show = ascii if look_alike else repr
    examples = chain.from_iterable(
        zip_longest(
            (f"only in the training dataset: {show(name)}" for name in training),
            (f"only in the validation dataset: {show(name)}" for name in validation),
        )
    )
    advice = "Use the same classes in both datasets; a class may be an empty folder on one side."
    if look_alike:
        advice += " Some names look alike and differ in their Unicode form (NFC and NFD): rename them."
    return InvalidDatasetError(
        f"The classes of the two datasets differ: only in the training dataset {len(training)}, only in the validation "
        f"dataset {len(validation)}.",
        where=where,
        examples=(example for example in examples if example is not None),
        advice=advice,
        reason="classes_differ",
    )
