"""Entry of the reuse cache: its record in `entry.json`, and the check that its files are those that were kept."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from pytorch_designer.harness.reuse.file_trees import list_tree, listing_hash
from pytorch_designer.harness.schema.vocabulary import PORT_NAME
from pytorch_designer.storage.output import write_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PORTS_FOLDER = "ports"
RUN_FOLDER = "run"
_RECORD = "entry.json"
_MAX_RECORD_BYTES = 1 << 20
_MAX_BYTES = 1 << 60
_MAX_TIME = 1e11  # the year 5138


@dataclass(frozen=True)
class Entry:
    """One kept result.

    Attributes:
        node: The node that it is of.
        stored: When it was kept, in seconds since 1970.
        seconds: How long the job took.
        run_id: The MLflow run of the job.
        contents: The content hash of each output.
        is_file: Whether each output is a single file.
        listing: Hash of names, sizes and times of all files in the entry.
        num_bytes: Their size together.
    """

    key: str
    node: str
    component: str
    stored: float
    seconds: float
    run_id: str
    contents: dict[str, str]
    is_file: dict[str, bool]
    listing: str
    num_bytes: int


def write_entry(folder: Path, entry: Entry) -> None:
    """Write the record of an entry into its folder.

    Raises:
        OSError: It cannot be written.
    """
    fields = asdict(entry)
    write_atomically(folder / _RECORD, json.dumps({**fields, "checksum": _checksum(fields)}).encode())


def read_entry(folder: Path) -> Entry | None:
    """The entry in a folder; None if its record is not what `write_entry` wrote there."""
    record = folder / _RECORD
    try:
        if not record.is_file() or record.stat().st_size > _MAX_RECORD_BYTES:
            return None
        fields = json.loads(record.read_bytes())
        if fields.pop("checksum") != _checksum(fields):
            return None
        entry = _adapter().validate_json(json.dumps(fields), strict=True)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
    names = entry.contents.keys()
    is_sound = entry.key == folder.name and names == entry.is_file.keys() and all(map(PORT_NAME.fullmatch, names))
    is_sound = is_sound and 0 <= entry.stored < _MAX_TIME and 0 <= entry.num_bytes < _MAX_BYTES
    return entry if is_sound else None


def record_state(folder: Path) -> tuple[int, int, int] | None:
    """File number, size and time of the record in a folder, which change with it; None where there is none."""
    try:
        status = (folder / _RECORD).stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def is_usable(folder: Path) -> bool:
    """True if there is an entry in a folder, with all its files."""
    entry = read_entry(folder)
    return entry is not None and is_whole(folder, entry)


def is_whole(folder: Path, entry: Entry) -> bool:
    """True if the files of an entry are those that were kept."""
    try:
        ports = {child.name for child in (folder / PORTS_FOLDER).iterdir()}
        return ports == entry.contents.keys() and hash_files(folder) == entry.listing
    except OSError:
        return False


def hash_files(folder: Path) -> str:
    """Hash of names, sizes and times of an entry's files.

    Raises:
        OSError: One cannot be read, or is not a file.
    """
    return listing_hash([*list_tree(folder / PORTS_FOLDER), *list_tree(folder / RUN_FOLDER)])


def _checksum(fields: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)
