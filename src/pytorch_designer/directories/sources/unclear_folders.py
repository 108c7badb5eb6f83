"""Folders of images that could be something else than classes, each named with what is in the way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytorch_designer.directories.sources.folder_names import (
    UNLABELED_PART,
    are_parts,
    is_about_images,
    is_container,
    is_never_class,
    split_name,
)
from pytorch_designer.directories.sources.source_tree import image_level
from pytorch_designer.directories.sources.splits import AS_CLASSES
from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.wording import count

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytorch_designer.directories.sources.source_tree import SourceTree
    from pytorch_designer.storage.folder_listing import FolderListing
    from pytorch_designer.storage.string_column import StringColumn

STRAY_SHARE = 0.01


def folder_fault(tree: SourceTree) -> InvalidDatasetError | None:
    """Reason why the folders of images are unclear as classes.

    Returns:
        An error with the reason "unclear_layout", or "class_without_images" for a folder beside the classes that has
        files, but no image among them.
    """
    level = tree.listings[image_level(tree)]
    names = tree.folders_with_images(level.path)
    faults = (check(tree, level, names) for check in _CHECKS)
    return next((fault for fault in faults if fault is not None), None)


def is_class(tree: SourceTree, level: FolderListing, name: str) -> bool:
    """True if a folder has images, or nothing at all."""
    path = level.below(name)
    return bool(tree.num_images(path)) or not tree.num_others(path)


def _files_without_images(tree: SourceTree, level: FolderListing, names: list[str]) -> InvalidDatasetError | None:
    found = [name for name in level.folders if not is_class(tree, level, name) and not is_about_images(name)]
    if not found:
        return None
    return InvalidDatasetError(
        f"{_folders(found, the='The')}, beside {listed(names)}, {'has' if len(found) == 1 else 'have'} files, but no "
        "images.",
        where=tree.root / level.below(found[0]),
        examples=(_first_file(tree, level.below(name)) for name in found),
        advice="If these are classes, put their images there as JPEG or PNG files. If not, remove the folders.",
        reason="class_without_images",
    )


def _many_strays(tree: SourceTree, level: FolderListing, names: list[str]) -> InvalidDatasetError | None:
    num_strays, num_below = len(level.images), sum(tree.num_images(level.below(name)) for name in names)
    if num_strays <= max(1, STRAY_SHARE * num_below) and not (num_strays and len(names) == 1):
        return None
    return _unclear(
        tree,
        level,
        f"{count(num_strays, 'image')} {'lies' if num_strays == 1 else 'lie'} beside {_folders(names)}, with "
        f"{count(num_below, 'image')} in {'it' if len(names) == 1 else 'them'}.",
        list(level.images),
        "Move these images into the folders of their classes, or away.",
    )


def _names_of_no_class(tree: SourceTree, level: FolderListing, names: list[str]) -> InvalidDatasetError | None:
    found = names if are_parts(names) else [name for name in names if is_never_class(name)]
    if not found:
        return None
    return _unclear(
        tree,
        level,
        f"{_folders(found, the='The')} {'has' if len(found) == 1 else 'have'} images, and "
        f"{'a name that is no class' if len(found) == 1 else 'names that are no classes'}.",
        [f"{level.below(name)}/: {count(tree.num_images(level.below(name)), 'image')}" for name in names],
        "Give the folder whose folders are the classes.",
    )


def _split_beside_classes(tree: SourceTree, level: FolderListing, names: list[str]) -> InvalidDatasetError | None:
    """One split alone, with folders in it, beside folders of images: `train/cat/1.jpg, extra/1.jpg`."""
    nested = [name for name in names if not len(tree.listings[level.below(name)].images)]
    found = [name for name in nested if (split := split_name(name)) is not None and not split.rest]
    if not found or len(nested) == len(names):
        return None
    return _unclear(
        tree,
        level,
        f"{_folders(found, 'The')} looks like a split with classes in it, beside "
        f"{listed([name for name in names if name not in nested])}.",
        [f"{level.below(name)}/{inner}/" for name in found for inner in tree.folders_with_images(level.below(name))],
        "Give one of these folders.",
    )


def _folders_inside(tree: SourceTree, level: FolderListing, names: list[str]) -> InvalidDatasetError | None:
    """Folders inside that may be the classes, or splits: `anna/cat/1.jpg, ben/cat/2.jpg`, `cat/train/1.jpg, ...`."""
    inner = [
        (name, inside)
        for name in names
        for inside in tree.folders_with_images(level.below(name))
        if not is_container(inside)
    ]
    insides = {inside for _, inside in inner}
    roles = {split.role for inside in insides if (split := split_name(inside)) is not None and not split.rest}
    is_nested = not any(len(tree.listings[level.below(name)].images) for name in names)
    if len(roles - {UNLABELED_PART}) > 1:
        what = f"{_folders(names, the='The')} {'has' if len(names) == 1 else 'have'} splits inside"
        advice = "Put the splits on top, train/cat instead of cat/train, and give one of them."
    elif insides & set(names):
        what = "Folders inside others have the names of these"
        advice = "Give the folder whose folders are the classes, or remove what is there twice."
        insides &= set(names)
    elif len(names) > 1 and is_nested and (len(inner) > len(names) or len(insides) < len(inner)):
        what = f"{_folders(names, the='The')} have all images in folders inside, and either could be the classes"
        advice = "Give one of these folders, or put the folders inside beside each other."
    else:
        return None
    examples = [f"{level.below(name)}/{inside}/" for name, inside in inner if inside in insides]
    return _unclear(tree, level, f"{what}: {listed(sorted(insides))}.", examples, advice)


def _masks_among_images(tree: SourceTree, level: FolderListing, names: list[str]) -> InvalidDatasetError | None:
    """A mask beside images of a class, as in sets of breast ultrasound: `benign/1.png, benign/1_mask.png`."""
    listings = (listing for name in names for listing in tree.below(level.below(name)))
    masks = [mask for listing in listings for mask in _masks_in(listing.images)]
    if not masks:
        return None
    advice = "Remove the masks, or put them into a folder that is not given."
    return _unclear(tree, level, "Masks lie among the images of the classes.", masks, advice)


def _masks_in(images: StringColumn) -> list[str]:
    if not any(f"{ending}.".encode() in images.data for ending in _MASK_ENDINGS):  # nearly always: no string is made
        return []
    stems = {image.rpartition(".")[0] for image in images}
    return [
        image
        for image in images
        for ending in _MASK_ENDINGS
        if (stem := image.rpartition(".")[0]).endswith(ending) and stem.removesuffix(ending) in stems
    ]


_MASK_ENDINGS = ("_mask", "_Mask", "_segmentation")
_CHECKS = (
    _many_strays,
    _names_of_no_class,
    _split_beside_classes,
    _folders_inside,
    _files_without_images,
    _masks_among_images,
)


def _unclear(
    tree: SourceTree, level: FolderListing, what: str, examples: Iterable[str], advice: str
) -> InvalidDatasetError:
    return InvalidDatasetError(
        what,
        where=tree.root / level.path,
        examples=examples,
        advice=f"{advice} If the top folders are the classes, set {AS_CLASSES}; to take all images without labels, "
        "PYTORCH_DESIGNER_LAYOUT=unlabeled.",
        reason="unclear_layout",
    )


def _first_file(tree: SourceTree, path: str) -> str:
    return next(listing.below(listing.others[0]) for listing in tree.below(path) if listing.others)


def _folders(names: list[str], the: str = "the") -> str:
    return f"{the} folder{'' if len(names) == 1 else 's'} {listed(names)}"


def listed(names: list[str]) -> str:
    """The first names, and how many more there are."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
