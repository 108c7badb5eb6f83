"""Layouts of other tasks and tools that are not read, recognized to be refused by name.

    JPEGImages/1.jpg, Annotations/1.xml      Pascal VOC
    images/1.jpg, labels/1.txt               YOLO
    images/1.jpg, masks/1.png                segmentation

Each recognizer looks at the names in one folder: a level of the source, or one of its splits. What is only beside
images of class folders (an XML file for each image) is no layout of its own and is left to them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from pytorch_designer.directories.sources.folder_names import is_container, split_name
from pytorch_designer.directories.sources.source_tree import image_level
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.paths import reading_errors
from pytorch_designer.storage.retrying import open_retrying

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pytorch_designer.directories.sources.source_tree import SourceTree
    from pytorch_designer.storage.folder_listing import FolderListing

_IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img", "jpegimages", "rgb"})
_MASK_FOLDERS = frozenset(
    {
        "masks", "mask", "annotations", "annotation", "labels", "label", "gt", "groundtruth", "ground_truth",
        "segmentation", "segmentations", "segmentationclass", "segmentationmasks", "semantic", "targets", "trimaps",
    }
)  # fmt: skip
_MASK_ENDINGS = ("annot", "_labels", "_label", "_masks", "_mask", "_annotations", "-masks", "-labels")
_START_BYTES = 1 << 16
_BOXES, _MASKS = "object detection", "segmentation"


class Foreign(NamedTuple):
    """A layout that is not read.

    Attributes:
        name: What it looks like, as the end of a sentence.
        evidence: Names that it was recognized by.
        advice: What to do instead, as a sentence; "" for what always helps.
        images_apart: Whether all images that are found are those of the dataset, so that they can be scored.
    """

    name: str
    evidence: tuple[str, ...]
    advice: str = ""
    images_apart: bool = True


@dataclass(frozen=True)
class _Place:
    """A folder as the recognizers see it: its entries by their names in lower case."""

    tree: SourceTree
    listing: FolderListing

    @property
    def folders(self) -> dict[str, str]:
        return {name.lower(): name for name in self.listing.folders}

    @property
    def files(self) -> dict[str, str]:
        return {name.lower(): name for name in self.listing.others}

    def path(self, name: str) -> str:
        return self.listing.below(self.folders[name])

    def has_others(self, name: str, ending: str) -> bool:
        """True if a file below the folder `name` ends like this."""
        below = self.tree.below(self.path(name))
        return any(other.lower().endswith(ending) for listing in below for other in listing.others)

    def has_images(self, name: str) -> bool:
        return self.tree.num_images(self.path(name)) > 0

    def start(self, name: str) -> str:
        """The first part of a text file."""
        path = self.tree.root / self.listing.below(name)
        with reading_errors(path, InvalidDatasetError), open_retrying(path) as stream:
            data = stream.read(_START_BYTES)
        return data.decode("utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8", "replace")


def find_foreign_folders(tree: SourceTree) -> Foreign | None:
    """The layout that the folders of `tree` look like, if it is one that is not read."""
    return _find(tree, _BY_FOLDERS)


def find_foreign_files(tree: SourceTree) -> Foreign | None:
    """The layout that annotation files look like, if it is one that is not read."""
    return _find(tree, _BY_FILES)


def _find(tree: SourceTree, recognizers: Sequence[_Recognizer]) -> Foreign | None:
    for listing in _places(tree):
        place = _Place(tree, listing)
        for recognize in recognizers:
            found = recognize(place)
            if found is not None:
                return found._replace(evidence=tuple(listing.below(name) for name in found.evidence))
    return None


def refuse_foreign(tree: SourceTree, foreign: Foreign) -> InvalidDatasetError:
    """The error that says what the folder looks like, and what is read instead."""
    advice = f"{foreign.advice} " if foreign.advice else ""
    return InvalidDatasetError(
        f"The folder looks like {foreign.name}, which is not read as image classification.",
        where=tree.root,
        examples=foreign.evidence,
        advice=f"{advice}What is read: a folder per class, a COCO json with one category per image, or a CSV with a "
        "column of files and a column `label`. If the top folders are classes, set "
        "PYTORCH_DESIGNER_LAYOUT=class-folders.",
        reason="foreign_layout",
    )


def _places(tree: SourceTree) -> Iterator[FolderListing]:
    """The folders that may hold a layout: each level, and the splits and containers in it."""
    paths = dict.fromkeys([*tree.levels, image_level(tree)])
    for path in list(paths):
        level = tree.listings[path]
        for name in level.folders:
            if is_container(name) or split_name(name) is not None:
                paths[level.below(name)] = None
    return (tree.listings[path] for path in paths)


def _pascal_voc(place: _Place) -> Foreign | None:
    if "jpegimages" in place.folders and {"annotations", "imagesets", "segmentationclass"} & set(place.folders):
        names = [place.folders[name] for name in ("jpegimages", "annotations", "imagesets") if name in place.folders]
        return Foreign("Pascal VOC (object detection)", tuple(names))
    return None


def _yolo(place: _Place) -> Foreign | None:
    name = next((name for name in ("labels", "label", "labeltxt") if name in place.folders), None)
    if name is not None and place.has_others(name, ".txt") and not place.has_images(name):
        images = [place.folders[folder] for folder in sorted(_IMAGE_FOLDERS & set(place.folders))]
        if images:
            return Foreign(f"YOLO ({_BOXES})", (images[0], place.folders[name]))
    files = [place.files[file] for file in ("obj.data", "obj.names", "_darknet.labels") if file in place.files]
    if files or "obj_train_data" in place.folders:
        return Foreign(f"YOLO ({_BOXES})", (*files, *([] if files else [place.folders["obj_train_data"]])))
    return None


def _kitti(place: _Place) -> Foreign | None:
    images = next((name for name in place.folders if name.startswith("image_") and name[6:].isdigit()), None)
    if images is not None and {"label_2", "calib", "velodyne", "label_02", "semantic", "oxts"} & set(place.folders):
        return Foreign(f"KITTI ({_BOXES})", (place.folders[images],))
    return None


def _cityscapes(place: _Place) -> Foreign | None:
    names = [name for name in place.folders if name in {"leftimg8bit", "gtfine", "gtcoarse"}]
    if len(names) > 1:
        return Foreign(f"Cityscapes ({_MASKS})", tuple(place.folders[name] for name in names), images_apart=False)
    return None


def _camvid(place: _Place) -> Foreign | None:
    for name, shown in place.folders.items():
        ending = next((ending for ending in _MASK_ENDINGS if name.endswith(ending)), "")
        of = name[: len(name) - len(ending)]
        if ending and of in place.folders and place.has_images(name) and split_name(of) is not None:
            return Foreign(f"CamVid or the like ({_MASKS})", (place.folders[of], shown), images_apart=False)
        if name.startswith(("701_stillsraw", "labeledapproved")):
            return Foreign(f"CamVid ({_MASKS})", (shown,), images_apart=False)
    return None


def _masks(place: _Place) -> Foreign | None:
    images = [name for name in place.folders if name in _IMAGE_FOLDERS and place.has_images(name)]
    masks = [name for name in place.folders if name in _MASK_FOLDERS and place.has_images(name)]
    if not images or not masks:
        return None
    evidence = (place.folders[images[0]], place.folders[masks[0]])
    return Foreign(f"{_MASKS}: images and a mask of each", evidence, images_apart=False)


def _supervisely(place: _Place) -> Foreign | None:
    if {"img", "ann"} <= set(place.folders):
        return Foreign("Supervisely", ("img", "ann"), "Supervisely exports class folders too.")
    if "meta.json" in place.files and '"shape"' in place.start(place.files["meta.json"]):
        return Foreign("Supervisely", (place.files["meta.json"],), "Supervisely exports class folders too.")
    return None


def _annotation_files(place: _Place) -> Foreign | None:
    """A file for all images, of an annotation tool: `annotations.xml`, `labels.json`."""
    for file, shown in place.files.items():
        if file == "annotations.xml":
            advice = "Export from CVAT as `ImageNet` (class folders) or as COCO."
            return Foreign("an export of CVAT", (shown,), advice)
        if file in {"data.yaml", "data.yml", "dataset.yaml"}:
            text = place.start(shown)
            if "names:" in text and ("train:" in text or "nc:" in text) and not _has_class_folders(place):
                return Foreign(f"YOLO ({_BOXES})", (shown,))
    for file, shown in list(place.files.items())[:_MAX_FILES]:
        if file.endswith((".json", ".jsonl", ".ndjson")):
            foreign = _of_json(place.start(shown), shown)
            if foreign is not None:
                return foreign
    return None


def _beside_each_image(place: _Place) -> Foreign | None:
    """A file beside each image, where the images are not in class folders: `1.jpg, 1.xml`."""
    num_images = len(place.listing.images)
    for ending in (".xml", ".json", ".txt") if num_images else ():
        names = [name for name in place.listing.others if name.lower().endswith(ending)]
        if 2 * len(names) < num_images:
            continue
        text = place.start(names[0])
        if ending == ".xml" and "<annotation" in text:
            return Foreign("Pascal VOC: an XML file for each image (object detection)", (names[0],))
        if ending == ".txt" and _is_yolo_text(text):
            return Foreign(f"YOLO: a text file for each image ({_BOXES})", (names[0],))
        if ending == ".json" and (foreign := _of_json(text, names[0])) is not None:
            return foreign
    return None


def _annotation_folder(place: _Place) -> Foreign | None:
    """A folder with a file for each image: `annotations/1.xml`, `ann/1.json`."""
    for name in ("annotations", "annotation", "anns", "ann", "labels", "labels_json", "bbox", "xml", "json"):
        if name not in place.folders or place.has_images(name):
            continue
        listing = next((below for below in place.tree.below(place.path(name)) if below.others), None)
        if listing is None:
            continue
        inside = _Place(place.tree, listing)
        first = listing.others[0]
        text = inside.start(first) if first.lower().endswith((".xml", ".json")) else ""
        if "<annotation" in text:
            return Foreign("Pascal VOC: an XML file for each image (object detection)", (place.folders[name],))
        foreign = _of_json(text, place.folders[name])
        if foreign is not None:
            return foreign
    return None


_MAX_FILES = 20
_JSON_KEYS = (
    (('"shapes"', '"imagePath"'), "LabelMe", ""),
    (('"_via_',), "an export of the VGG Image Annotator", ""),
    (('"regions"', '"shape_attributes"'), "an export of the VGG Image Annotator", ""),
    (('"coordinates"', '"annotations"'), f"CreateML ({_BOXES})", ""),
    (('"categories"', '"items"'), "Datumaro", "Export as `ImageNet` (class folders) or as COCO."),
    (('"result"', '"data"'), "an export of Label Studio", "Export as CSV or as JSON-MIN: these are read."),
    (('"classTitle"', '"objects"'), "Supervisely", "Supervisely exports class folders too."),
    (('"data_row"', '"projects"'), "an export of Labelbox", "Write its labels into a CSV."),
    (('"item"', '"slots"'), "Darwin, of V7", "Export as class folders or as COCO."),
    (('"box2d"', '"labels"'), f"BDD100K ({_BOXES})", ""),
    (('"bounding_box"', '"labels"'), f"FiftyOne ({_BOXES})", ""),
    (('"imgHeight"', '"polygon"'), f"Cityscapes ({_MASKS})", ""),
)


def _of_json(text: str, shown: str) -> Foreign | None:
    for keys, name, advice in _JSON_KEYS:
        if all(key in text for key in keys):
            return Foreign(name, (shown,), advice)
    return None


def _is_yolo_text(text: str) -> bool:
    rows = [line.split() for line in text.splitlines() if line.strip()]
    return bool(rows) and all(
        len(row) >= 5 and all(cell.replace(".", "", 1).replace("-", "").isdigit() for cell in row) for row in rows
    )


def _has_class_folders(place: _Place) -> bool:
    """True if the images lie in folders below the folders here, as YOLO's own classification datasets do."""
    inner = (
        name
        for folder in place.folders.values()
        for name in place.tree.folders_with_images(place.listing.below(folder))
    )
    return any(not is_container(name) for name in inner)


_Recognizer = Callable[[_Place], "Foreign | None"]
_BY_FOLDERS: tuple[_Recognizer, ...] = (_pascal_voc, _kitti, _cityscapes, _camvid, _masks, _supervisely)
_BY_FILES: tuple[_Recognizer, ...] = (_yolo, _annotation_files, _annotation_folder, _beside_each_image)
