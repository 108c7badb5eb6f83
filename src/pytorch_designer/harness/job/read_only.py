"""Check that a job left its inputs unchanged. They are the user's own files, whose permissions stay as they are.

Only root can mount them read-only. A violation is therefore not prevented, but found afterwards: names, sizes and times
of all entries are compared before and after the job. Of a large input, the first `MAX_ENTRIES` are compared.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytorch_designer.errors import InputChangedError
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAX_ENTRIES = 100_000

Listing = dict[str, tuple[int, int]]


def list_entries(path: Path, max_entries: int = MAX_ENTRIES) -> Listing:
    """Size in bytes and modification time in ns of every entry of an input, by path.

    A folder's time changes when an entry is added, removed or renamed. An entry that was written and removed again is
    therefore noticed.
    """
    listing: Listing = {}
    for entry in _walk(path):
        if len(listing) == max_entries:
            break
        try:
            status = os.lstat(entry)
        except OSError:  # unreadable, or removed meanwhile: the job sees the same
            continue
        listing[entry] = (status.st_size, status.st_mtime_ns)
    return listing


def check_unchanged(name: str, path: Path, before: Listing) -> None:
    """Compare the input `name` with how it was before the job.

    Raises:
        InputChangedError: Something was written, removed or added; names the entries.
    """
    after = list_entries(path)
    if after == before:
        return
    added = [f"{entry} (new)" for entry in after if entry not in before]
    removed = [f"{entry} (removed)" for entry in before if entry not in after]
    changed = [f"{entry} (changed)" for entry in after if entry in before and after[entry] != before[entry]]
    raise InputChangedError(
        f"The job changed its input {name}, which is read-only on Azure ML.",
        where=path,
        examples=[*added, *removed, *changed],
    )


def input_holding(inputs: Mapping[str, Path], path: Path) -> str | None:
    """The name of an input that is `path`, or is a folder above it; None where there is none."""
    place = resolved(path)
    return next((name for name, other in inputs.items() if resolved(other) in (place, *place.parents)), None)


def input_in(inputs: Mapping[str, Path], folder: Path) -> str | None:
    """The name of an input that is in `folder`; None where there is none."""
    return next((name for name, path in inputs.items() if resolved(folder) in resolved(path).parents), None)


def _walk(path: Path) -> Iterator[str]:
    yield str(path)
    pending = [str(path)] if path.is_dir() else []
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except OSError:  # a folder that cannot be listed
            continue
        for entry in listed:
            yield entry.path
        # Not through links below the top, which may lead in a circle, or out of the input.
        pending += [entry.path for entry in reversed(listed) if entry.is_dir(follow_symlinks=False)]
