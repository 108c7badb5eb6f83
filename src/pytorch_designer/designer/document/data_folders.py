"""Folders of data in a project, which the page offers where a path of data is wanted."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

from pytorch_designer.designer.document.component_palette import SKIPPED_FOLDERS

_MARKS = frozenset({"_meta.yaml", "MLmodel", "MLTable"})
_IMAGES = frozenset({".avif", ".bmp", ".gif", ".heic", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})
_OTHER_DATA = frozenset({".csv", ".jsonl", ".npy", ".npz", ".parquet", ".tar", ".tgz", ".tsv", ".zip"})
_MAX_FOUND = 50
_MAX_DEPTH = 4
_MAX_FOLDERS = 1000
_NUM_LOOKED_AT = 100
_NUM_CLASSES_LOOKED_AT = 5


def data_folders(project: Path, document: Path) -> list[str]:
    """Paths of the folders of data, as the pipeline `document` names them; those that lie highest come first.

    A folder has data if tables, archives, images or a typed directory are in it, or images in several of its folders
    (classes). What is below such a folder is a part of it; what the pipeline lies in is no data. Only the first files
    of each folder are looked at; hidden folders, links, results and installed packages are left out.
    """
    found: list[Path] = []
    level = [project]
    for _ in range(_MAX_DEPTH):
        below = list(islice((folder for parent in level for folder in _folders(parent)), _MAX_FOLDERS))
        level = []
        for folder in below:
            is_data = folder not in document.parents and _has_data(folder)
            (found if is_data else level).append(folder)
    paths = (os.path.relpath(folder, document.parent).replace(os.sep, "/") for folder in found[:_MAX_FOUND])
    return [path if path.startswith("../") else f"./{path}" for path in paths]


def _has_data(folder: Path) -> bool:
    kinds = _kinds(folder)
    if kinds & (_IMAGES | _OTHER_DATA | _MARKS):
        return True
    classes = [inner for inner in _folders(folder)[:_NUM_CLASSES_LOOKED_AT] if _kinds(inner) & _IMAGES]
    return len(classes) > 1


def _kinds(folder: Path) -> set[str]:
    """The extensions of the first files, and their names where these tell what the folder is."""
    names = [entry.name for entry in _entries(folder, _NUM_LOOKED_AT)]
    return {name if name in _MARKS else Path(name).suffix.lower() for name in names}


def _folders(folder: Path) -> list[Path]:
    names = [entry.name for entry in _entries(folder, _MAX_FOLDERS) if entry.is_dir(follow_symlinks=False)]
    return [folder / name for name in sorted(names) if not name.startswith(".") and name not in SKIPPED_FOLDERS]


def _entries(folder: Path, most: int) -> list[os.DirEntry[str]]:
    """The first entries; none of a folder that cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return list(islice(entries, most))
    except OSError:
        return []
