"""Metadata file, `_meta.yaml`, of typed directories.

    DIRECTORY/_meta.yaml     type: ImageDirectory
                             extension: {}
                             image_list: images.lst
                             ...

The `reason` of the error tells in which way a directory is not a typed directory: "missing_directory",
"not_a_directory", "empty_directory", "missing_meta", "malformed_meta", "missing_type", "wrong_type";
"path_outside" where `_meta.yaml` is a link that leaves the directory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml

from pytorch_designer.errors import describe_value, shorten
from pytorch_designer.storage.bounded_documents import parse_yaml
from pytorch_designer.storage.output import META_FILE
from pytorch_designer.storage.paths import check_directory, read_bounded, reading_errors, resolve_inside
from pytorch_designer.storage.retrying import retrying

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.errors import DesignerError

MAX_META_BYTES = 1 << 20


def read_meta(root: Path, expected_type: str, error: type[DesignerError]) -> dict[str, Any]:
    """The parsed `_meta.yaml` of the typed directory `root`; unknown keys are kept.

    Raises:
        DesignerError: An `error` whose `reason` is one of those in the module's docstring, "too_large" or "unreadable".
    """
    check_directory(root, error)
    path = root / META_FILE
    if not _is_listed(path, error):
        raise error(
            f"The directory has no {META_FILE}: it is not a {expected_type}, or what wrote it did not finish.",
            where=root,
            reason="missing_meta",
        )
    meta = _parse_meta(resolve_inside(root, META_FILE, error), error)
    found = meta.get("type")
    if found is None:
        raise error(f"{META_FILE} does not name a `type`.", where=path, reason="missing_type")
    if found != expected_type:
        raise error(
            f"A directory of type {expected_type} is needed here; this one is of type "
            f"{shorten(found, 60) if isinstance(found, str) else describe_value(found)}.",
            where=root,
            advice=f"Connect a folder of type {expected_type}.",
            reason="wrong_type",
        )
    return meta


def write_meta(root: Path, type_name: str, **keys: Any) -> None:
    """Write `_meta.yaml` into `root`: the type, an empty `extension`, and `keys` in their order."""
    text = yaml.safe_dump({"type": type_name, "extension": {}, **keys}, sort_keys=False)
    (root / META_FILE).write_text(text, encoding="utf-8")


def _parse_meta(path: Path, error: type[DesignerError]) -> dict[str, Any]:
    data = read_bounded(path, MAX_META_BYTES, error)
    try:
        meta = parse_yaml(data)
    except ValueError as failure:
        raise error(f"{META_FILE} is not usable YAML: {failure}.", where=path, reason="malformed_meta") from failure
    if meta is None:
        meta = {}
    if not isinstance(meta, dict):
        raise error(f"{META_FILE} is not a mapping of keys to values.", where=path, reason="malformed_meta")
    return {str(key): value for key, value in meta.items()}


def _is_listed(path: Path, error: type[DesignerError]) -> bool:
    """True if there is an entry of this name, even a broken link."""
    with reading_errors(path, error):
        try:
            retrying(path.lstat)
        except FileNotFoundError:
            return False
    return True
