"""Names of folders that say what a folder is: a split, a container of images, annotations.

A name alone proves little: `train` is also a vehicle, and `mask` what people wear. The recognizers of layouts combine
names with what is in the folders.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

TRAIN, VALIDATION, TEST, UNLABELED_PART, EVALUATION = "train", "validation", "test", "unlabeled", "evaluation"
_ROLE_OF_WORD = {
    **dict.fromkeys(("train", "training", "trn", "trainset", "traindata"), TRAIN),
    **dict.fromkeys(("val", "valid", "validation", "validate", "valset", "dev"), VALIDATION),
    **dict.fromkeys(("eval", "evaluation"), EVALUATION),
    **dict.fromkeys(("test", "testing", "tst", "testset", "holdout"), TEST),
    **dict.fromkeys(("pred", "predict", "prediction", "inference", "unlabeled", "unlabeled"), UNLABELED_PART),
}
_WORDS_WITHOUT_MEANING = frozenset(
    {
        "set", "sets", "data", "dataset", "images", "image", "imgs", "img", "split", "folder",
    }
)  # fmt: skip
_CONTAINERS = frozenset(
    {"images", "image", "imgs", "img", "jpegimages", "data", "dataset", "files", "raw", "jpg", "jpeg", "png"}
)
_WORDS_OF_PARTS = ("part", "image", "img", "batch", "folder")
_NEVER_CLASSES = frozenset(["images", "imgs", "jpegimages", "annotations", "labels"])
_ABOUT_IMAGES = frozenset(
    {
        "annotations", "annotation", "anns", "ann", "labels", "label", "meta", "metadata", "imagesets", "docs", "doc",
        "devkit", "attributes", "parts", "scripts", "src", "code", "csv", "json", "xml", "lists", "list", "splits",
    }
)  # fmt: skip


class SplitName(NamedTuple):
    """Meaning of a split's name: its role, and the words beside it, which the splits of a dataset share."""

    role: str
    rest: tuple[str, ...]


def split_name(name: str) -> SplitName | None:
    """The split that a folder or file of this name would hold: `train2017`, `valid`, `seg_test`, `TrainImages`."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_a-zA-Z]+", name)]
    roles = [word for word in words if word in _ROLE_OF_WORD]
    if len(roles) != 1:
        return None
    rest = tuple(word for word in words if word not in _WORDS_WITHOUT_MEANING and word != roles[0])
    return SplitName(_ROLE_OF_WORD[roles[0]], rest)


def is_container(name: str) -> bool:
    """True if a folder of this name holds the images of a dataset rather than those of a class."""
    return name.lower() in _CONTAINERS


def is_never_class(name: str) -> bool:
    """True if a folder of this name is not a class, even beside others."""
    return name.lower() in _NEVER_CLASSES


def is_about_images(name: str) -> bool:
    """True if a folder of this name, if there are no images in it, holds labels, documents or programs."""
    return name.lower() in _ABOUT_IMAGES


def are_parts(names: Sequence[str]) -> bool:
    """True if folders only divide the images: `images_001`, `images_002`; `part1`, `part2`; `batch_a`, `batch_b`."""
    stems = {re.sub(r"[\W_]*(\d+|[a-z])$", "", name.lower()) for name in names}
    return len(names) > 1 and len(stems) == 1 and any(word in next(iter(stems)) for word in _WORDS_OF_PARTS)
