"""Thumbnails of a scored dataset: small JPEG copies of the images that are worth a look, for Evaluate Model's page.

    DIRECTORY/_thumbnails.json    {"17": "<base64 of a JPEG file>", ...}, by row of _data.parquet

The file is optional. One that is not what Score Image Model writes is passed over with a warning: pictures are never
worth an evaluation.
"""

from __future__ import annotations

import base64
import binascii
import json
import logging
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidDatasetError, shorten
from pytorch_designer.storage.bounded_documents import read_json
from pytorch_designer.storage.paths import resolve_inside
from pytorch_designer.storage.retrying import is_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_log = logging.getLogger(__name__)

THUMBNAIL_FILE = "_thumbnails.json"
MAX_THUMBNAIL_BYTES = 3600
"""Size in bytes that no thumbnail exceeds, whatever it shows."""

_MAX_BYTES = 4 << 20
_JPEG_START = b"\xff\xd8\xff"


def write_thumbnails(folder: Path, thumbnails: Mapping[int, bytes]) -> None:
    """Write JPEG files by row into the scored dataset `folder`; none of them, no file.

    Raises:
        OSError: The file cannot be written.
    """
    if thumbnails:
        texts = {str(row): base64.b64encode(jpeg).decode("ascii") for row, jpeg in sorted(thumbnails.items())}
        (folder / THUMBNAIL_FILE).write_text(json.dumps(texts, indent=0) + "\n", encoding="ascii")


def load_thumbnails(folder: Path) -> dict[int, bytes]:
    """The JPEG files by row of the scored dataset `folder`; {} where it has none that can be used."""
    try:
        path = resolve_inside(folder, THUMBNAIL_FILE, InvalidDatasetError)
        if not is_file(path):
            return {}
        texts = read_json(path, _MAX_BYTES, InvalidDatasetError)
        return {int(row): _jpeg(text) for row, text in texts.items()}
    except (InvalidDatasetError, OSError, ValueError, TypeError, AttributeError) as error:
        reason = shorten(str(error))
        _log.warning("The pictures in %s cannot be used, and are left out: %s", folder / THUMBNAIL_FILE, reason)
        return {}


def _jpeg(text: str) -> bytes:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"a picture is not base64: {error}") from error
    if not content.startswith(_JPEG_START) or len(content) > MAX_THUMBNAIL_BYTES:
        raise ValueError("a picture is not a small JPEG file")
    return content
