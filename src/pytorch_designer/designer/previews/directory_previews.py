"""Previews of data by what it is: pictures, tables, models, reports, transformations, files, texts.

What a folder is, its `_meta.yaml` and its files say, never the component that has made it. Paths in previews are
relative to the folder; the server makes addresses of them.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.previews.table_pages import TABLE_SUFFIXES, table_page
from pytorch_designer.errors import DesignerError, InvalidDatasetError, shorten
from pytorch_designer.storage.bounded_documents import parse_json, parse_yaml
from pytorch_designer.storage.paths import read_bounded, resolve_inside

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_META_FILE = "_meta.yaml"
_MAX_BYTES = 1 << 20
_MAX_TEXT_BYTES = 64 << 10
_MAX_FILES = 500
_MAX_FACTS = 40
_PICTURES_PER_PAGE = 60
_MAX_CLASSES = 2_000
_IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm"})
_PAGE_SUFFIXES = frozenset({".html", ".htm"})
_PAGES = ("index.html", "report/index.html")


def preview(path: Path, *, offset: int = 0, class_name: str | None = None) -> dict[str, Any]:
    """Preview of a file or folder for the page, by what it is.

    Args:
        path: The file or folder, which exists.
        offset: The first picture or row of the page.
        class_name: Only pictures of this class.

    Raises:
        DesignerError: It is damaged.
        OSError: It cannot be read.
    """
    if path.is_file():
        return _file(path, offset)
    meta = _meta(path)
    typed = {
        "ImageDirectory": lambda: _pictures(path, "ImageDirectory", offset, class_name),
        "TransformationDirectory": lambda: _transformation(path),
        "ModelDirectory": lambda: _model(path),
        "DataFrameDirectory": lambda: table_page(
            resolve_inside(path, str(meta.get("data")), InvalidDatasetError), offset
        ),
    }
    if meta.get("type") in typed:
        return typed[str(meta["type"])]()
    if (path / "MLmodel").is_file():
        return _mlflow_model(path)
    page = _page(path, meta)
    if page is not None:
        return {"kind": "report", "url": page, "facts": _metrics(path, meta)}
    return _untyped(path, offset, class_name)


def _file(path: Path, offset: int) -> dict[str, Any]:
    suffix = path.suffix.lower()
    if suffix in TABLE_SUFFIXES:
        return table_page(path, offset)
    if suffix in _IMAGE_SUFFIXES:
        picture = {"thumbnail": path.name, "label": None, "name": path.name}
        return _page_of_pictures("", [], 1, [picture], None)
    if suffix in _PAGE_SUFFIXES:
        return {"kind": "report", "url": path.name, "facts": []}
    with path.open("rb") as stream:
        data = stream.read(_MAX_TEXT_BYTES + 1)
    if b"\0" in data:
        return {"kind": "files", "files": [_entry(path, path.parent)]}
    text = data[:_MAX_TEXT_BYTES].decode("utf-8", "replace")
    return {"kind": "text", "text": text, "truncated": len(data) > _MAX_TEXT_BYTES}


def _meta(folder: Path) -> dict[str, Any]:
    try:
        found = parse_yaml(read_bounded(folder / _META_FILE, _MAX_BYTES, InvalidDatasetError))
    except (DesignerError, ValueError):  # an untyped folder, or one of another program
        return {}
    return found if isinstance(found, dict) else {}


def _pictures(folder: Path, directory_type: str, offset: int, class_name: str | None) -> dict[str, Any]:
    import numpy as np

    status = folder.stat()
    dataset = _opened(str(folder), status.st_mtime_ns)
    rows = np.arange(len(dataset))
    if class_name is not None and dataset.labels is not None and class_name in dataset.classes:
        rows = np.flatnonzero(dataset.labels == dataset.classes.index(class_name))
    pictures = []
    for row in rows[offset : offset + _PICTURES_PER_PAGE].tolist():
        label = -1 if dataset.labels is None else int(dataset.labels[row])
        label_name = dataset.classes[label] if 0 <= label < len(dataset.classes) else None
        name = dataset.name(row)
        pictures.append({"thumbnail": dataset.prefix + dataset.files[row], "label": label_name, "name": name})
    end = offset + len(pictures)
    sizes = dataset.class_sizes.tolist()
    classes = [{"name": name, "count": size} for name, size in zip(dataset.classes, sizes, strict=True)][:_MAX_CLASSES]
    return _page_of_pictures(directory_type, classes, len(rows), pictures, end if end < len(rows) else None)


def _page_of_pictures(
    directory_type: str, classes: list[Any], total: int, pictures: list[Any], next_offset: int | None
) -> dict[str, Any]:
    return {
        "kind": "images",
        "directory_type": directory_type,
        "classes": classes,
        "total": total,
        "images": pictures,
        "next_offset": next_offset,
    }


@lru_cache(maxsize=4)
def _opened(folder: str, changed: int) -> Any:
    from pathlib import Path

    from pytorch_designer.directories.image_directory import open_image_directory

    return open_image_directory(Path(folder), takes_other_tasks=True)


def _transformation(folder: Path) -> dict[str, Any]:
    path = resolve_inside(folder, "_transforms.json", InvalidDatasetError)
    pairs = parse_json(read_bounded(path, _MAX_BYTES, InvalidDatasetError))
    steps = []
    for name, settings in pairs:
        shown = ", ".join(f"{key}={value}" for key, value in settings.items())
        steps.append(shorten(f"{name}({shown})", 200) if shown else shorten(str(name), 200))
    return {"kind": "transformation", "steps": steps}


def _model(folder: Path) -> dict[str, Any]:
    from pytorch_designer.directories.model_directory import open_model_directory

    model = open_model_directory(folder)
    facts: list[tuple[str, str]] = []
    for name, value in model.spec.flavor_extras.model_dump().items():
        if isinstance(value, dict):
            facts += [(str(key), str(item)) for key, item in value.items() if item is not None]
        else:
            facts.append((name, str(value)))
    preprocessing = model.spec.preprocessing()
    if preprocessing is not None:
        facts.append(("image", preprocessing.describe_size()))
    if model.weights_file is not None:
        facts.append(("weights", _size(model.weights_file.stat().st_size)))
    if model.classes is not None:
        facts.append(("classes", f"{len(model.classes)}: {', '.join(model.classes[:_MAX_FACTS])}"))
    facts += _metrics(folder / "report", {})
    return {"kind": "model", "facts": _bounded(facts), "report": _page(folder, {})}


def _mlflow_model(folder: Path) -> dict[str, Any]:
    path = resolve_inside(folder, "MLmodel", InvalidDatasetError)
    content = parse_yaml(read_bounded(path, _MAX_BYTES, InvalidDatasetError))
    facts = [(str(name), str(value)) for name, value in content.items() if isinstance(value, (str, int, float))]
    flavors = content.get("flavors")
    if isinstance(flavors, dict):
        facts.append(("flavors", ", ".join(map(str, flavors))))
    return {"kind": "model", "facts": _bounded(facts), "report": _page(folder, {})}


def _page(folder: Path, meta: dict[str, Any]) -> str | None:
    """The page of a folder, as its description names it, or by its usual name."""
    named = meta.get("visualization")
    entries = named if isinstance(named, list) else []
    paths = [entry.get("path") for entry in entries if isinstance(entry, dict) and entry.get("type") == "html"]
    for name in (*paths, *_PAGES):
        if isinstance(name, str):
            try:
                if resolve_inside(folder, name, InvalidDatasetError).is_file():
                    return name
            except DesignerError:  # a path that leads out
                continue
    return None


def _metrics(folder: Path, meta: dict[str, Any]) -> list[tuple[str, str]]:
    """The single values of a file of metrics, and of the objects in it."""
    name = meta.get("metrics") if isinstance(meta.get("metrics"), str) else "metrics.json"
    try:
        path = resolve_inside(folder, str(name), InvalidDatasetError)
        content = parse_json(read_bounded(path, _MAX_BYTES, InvalidDatasetError))
    except (DesignerError, ValueError):  # there is none
        return []
    return _bounded(list(_scalars(content if isinstance(content, dict) else {})))


def _scalars(content: dict[str, Any], prefix: str = "", depth: int = 2) -> Iterator[tuple[str, str]]:
    for name, value in content.items():
        if isinstance(value, bool) or value is None:
            continue
        if isinstance(value, (int, float, str)):
            yield f"{prefix}{name}", f"{value:.4g}" if isinstance(value, float) else str(value)
        elif isinstance(value, dict) and depth:
            yield from _scalars(value, f"{prefix}{name}.", depth - 1)


def _untyped(folder: Path, offset: int, class_name: str | None) -> dict[str, Any]:
    """A folder without a description: images if it can be read as such, else its files."""
    files = list(_files(folder))
    if any(PurePath(file["name"]).suffix.lower() in _IMAGE_SUFFIXES for file in files):
        try:
            return _pictures(folder, "", offset, class_name)
        except DesignerError:  # in no order that can be read
            pass
    tables = [file["name"] for file in files if PurePath(file["name"]).suffix.lower() in TABLE_SUFFIXES]
    if len(files) == len(tables) == 1:
        return table_page(folder / tables[0], offset)
    if not files:
        return {"kind": "missing", "message": "The folder is empty."}
    return {"kind": "files", "files": files}


def _files(folder: Path) -> Iterator[dict[str, Any]]:
    num_files = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if num_files >= _MAX_FILES:
                return
            num_files += 1
            yield _entry(folder.__class__(place, name), folder)


def _entry(path: Path, folder: Path) -> dict[str, Any]:
    name = path.relative_to(folder).as_posix()
    return {"name": name, "size": path.lstat().st_size, "url": name}


def _bounded(facts: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(shorten(name, 80), shorten(value, 400)) for name, value in facts[:_MAX_FACTS]]


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:.1f} MB"
