"""Cache of job results by reuse key.

    CACHE/.pytorch-designer          the mark; see `folder_mark`
    CACHE/entries/KEY/entry.json     what it is; see `Entry`
    CACHE/entries/KEY/ports/NAME/    the content of each output; a `uri_file` is a folder with that file
    CACHE/entries/KEY/run/           user_logs, outputs, logs and run.json of the job
    CACHE/entries/KEY/parts.json     what its key is the hash of, and where it ran; absent in those of older releases
    CACHE/entries/KEY/last_used      its time is that of the last use
    CACHE/partial/                   entries that are being written
    CACHE/hashes/                    see `file_trees.HashMemory`
    CACHE/lock                       held while entries come and go

An entry is written below `partial` and renamed when it is complete, so that a crash leaves no half entry. Names, sizes
and times of its files are compared each time it is used. An entry that has changed, or whose `entry.json` is not what
was written, counts as absent: it is named in a warning and removed. Results are copied out: nobody writes into the
cache.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.harness.job.folder_mark import FolderKind, foreign_entries
from pytorch_designer.harness.job.run_folder import RECORD_FILE
from pytorch_designer.harness.reuse.cache_entry import (
    PORTS_FOLDER,
    RUN_FOLDER,
    Entry,
    hash_files,
    is_usable,
    is_whole,
    read_entry,
    record_state,
    write_entry,
)
from pytorch_designer.harness.reuse.file_trees import content_hash, copy_entries, list_tree
from pytorch_designer.settings import settings, user_cache_folder
from pytorch_designer.storage.locking import held_lock
from pytorch_designer.system.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from pytorch_designer.harness.job.job_run import JobResult

_log = logging.getLogger(__name__)

_RUN_PARTS = ("user_logs", "outputs", "logs")
_LAST_USED = "last_used"
_PARTS = "parts.json"
_MAX_PARTS_BYTES = 16 << 20
_ABANDONED_SECONDS = 24 * 60 * 60


class ReuseCache:
    """The kept results in one folder; several programs may use it at a time.

    Args:
        folder: Is created when something is kept.
        max_bytes: Maximum size of all entries together; the least recently used are removed.
        is_private: Whether nobody but this program uses the folder, so that it needs no mark.
    """

    def __init__(self, folder: Path, max_bytes: int, *, is_private: bool = False) -> None:
        self.folder = folder.absolute()
        self._is_private = is_private
        self.max_bytes = max_bytes
        self._entries = self.folder / "entries"
        self._partial = self.folder / "partial"
        self._read: dict[Path, tuple[Entry | None, tuple[int, int, int] | None]] = {}

    @property
    def hashes(self) -> Path:
        """File of the content hashes that are remembered."""
        return self.folder / "hashes"

    def claim(self) -> None:
        """Create the folder, if it is missing, and mark it as a cache.

        Raises:
            FailedToWriteOutputsError: It holds something without the mark of a cache.
            OSError: It cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        self._check_own()
        FolderKind.CACHE.mark(self.folder)

    def entries(self) -> list[Entry]:
        """Kept results, the latest used first; damaged entries are removed.

        Raises:
            FailedToWriteOutputsError: The folder holds something without the mark of a cache.
            OSError: It cannot be read, or a damaged entry cannot be removed.
        """
        self._check_own()
        found, damaged = self._read_all()
        if damaged:
            self._remove_damaged(damaged)
        return found

    def last_used(self, entry: Entry) -> float:
        """Time at which an entry was last used or written, in seconds since 1970."""
        try:
            return (self._entries / entry.key / _LAST_USED).stat().st_mtime
        except OSError:
            return entry.stored

    def find(self, key: str) -> Entry | None:
        """The entry with this key, or None; one that is damaged is removed."""
        path = self._entries / key
        entry = read_entry(path)
        if entry is not None and is_whole(path, entry):
            return entry
        if path.exists():
            self._remove_damaged([path])
        return None

    def parts_of(self, entry: Entry) -> dict[str, Any] | None:
        """The parts of an entry that `store` was given; None where there is nothing that can be read."""
        path = self._entries / entry.key / _PARTS
        with suppress(OSError, ValueError, RecursionError):
            if path.stat().st_size <= _MAX_PARTS_BYTES:
                parts = json.loads(read_regular(path))
                return parts if isinstance(parts, dict) else None
        return None

    def output_path(self, entry: Entry, name: str) -> Path:
        """Path of a kept output, to be read: nobody writes there."""
        folder = self._entries / entry.key / PORTS_FOLDER / name
        return next(folder.iterdir(), folder) if entry.is_file[name] else folder

    def restore(self, entry: Entry, outputs: Mapping[str, Path], run_folder: Path) -> bool:
        """Copy an entry to where its job would have written.

        Args:
            entry: What `find` has returned.
            outputs: The path of each output that is wanted: absent, or an empty folder.
            run_folder: Gets the logs; files in it are replaced.

        Returns:
            False where the entry has vanished meanwhile; no output was touched then.

        Raises:
            OSError: An output cannot be written.
        """
        path = self._entries / entry.key
        with _staging_places(outputs) as places:
            try:
                for name, place in places.items():
                    copy_entries(list_tree(path / PORTS_FOLDER / name), place)
                copy_entries(list_tree(path / RUN_FOLDER), run_folder)
                has_all = is_whole(path, entry)
            except FileNotFoundError:
                return False
            if has_all:
                for name, place in places.items():
                    _put(place, outputs[name], is_file=entry.is_file[name])
        with suppress(OSError):  # another program throws it away in this moment
            os.utime(path / _LAST_USED)
        return has_all

    def store(
        self,
        result: JobResult,
        key: str,
        node: str,
        component: str,
        is_file: Mapping[str, bool],
        *,
        parts: Mapping[str, Any] | None = None,
    ) -> Entry | None:
        """Keep the result of a successful job instead of an older one.

        Args:
            result: How it ended.
            key: See `reuse_key`.
            node: The node that it is of.
            component: What it ran.
            is_file: Whether each output is a single file.
            parts: What the key is the hash of, as plain data.

        Returns:
            The entry; None if an output is missing or larger than the whole cache.

        Raises:
            OSError: Something cannot be read or written.
        """
        trees = {name: list_tree(path) for name, path in result.outputs.items() if path.exists()}
        num_bytes = sum(max(item.num_bytes, 0) for tree in trees.values() for item in tree)
        if trees.keys() != result.outputs.keys() or num_bytes > self.max_bytes:
            return None
        self.claim()
        partial = self._partial / uuid.uuid4().hex
        try:
            for name, tree in trees.items():
                copy_entries(tree, partial / PORTS_FOLDER / name)
            _copy_run(result.run_folder, partial)
            entry = Entry(
                key=key,
                node=node,
                component=component,
                stored=time.time(),
                seconds=result.seconds,
                run_id=result.run_id,
                contents={name: content_hash(list_tree(result.outputs[name])) for name in trees},
                is_file=dict(is_file),
                listing=hash_files(partial),
                num_bytes=_num_bytes(partial),
            )
            (partial / _PARTS).write_text(
                json.dumps({**(parts or {}), "run_folder": str(result.run_folder)}), encoding="utf-8"
            )
            write_entry(partial, entry)
            self._commit(partial, key)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return entry

    def clear(self) -> tuple[int, int]:
        """Remove all entries and remembered hashes, but nothing that other programs are writing.

        Returns:
            The number of entries and their size in bytes.

        Raises:
            FailedToWriteOutputsError: The folder holds something without the mark of a cache.
            OSError: It cannot be written.
        """
        entries = self.entries()
        self._remove([*self._paths(), *_abandoned(self._partial)])
        shutil.rmtree(self.hashes, ignore_errors=True)
        return len(entries), sum(entry.num_bytes for entry in entries)

    def _commit(self, partial: Path, key: str) -> None:
        with self._locked():
            self._entries.mkdir(exist_ok=True)
            place = self._entries / key
            self._throw_away([place])
            partial.replace(place)
            self._throw_away(_abandoned(self._partial))
            self._evict()

    def _evict(self) -> None:
        entries, damaged = self._read_all()
        self._throw_away_damaged(damaged)
        total = sum(entry.num_bytes for entry in entries)
        while total > self.max_bytes and len(entries) > 1:  # the one that was just kept stays
            oldest = entries.pop()
            total -= oldest.num_bytes
            self._throw_away([self._entries / oldest.key])

    def _remove(self, paths: list[Path]) -> None:
        if self.folder.exists():
            with self._locked():
                self._throw_away(paths)

    def _remove_damaged(self, paths: list[Path]) -> None:
        with self._locked():  # another program may have replaced one meanwhile
            self._throw_away_damaged([path for path in paths if path.exists() and not is_usable(path)])

    def _throw_away_damaged(self, paths: list[Path]) -> None:
        for path in paths:
            _log.warning("A kept result is damaged; it is not used, and removed: %s", path)
        self._throw_away(paths)

    def _throw_away(self, paths: list[Path]) -> None:
        """Remove folders; each is renamed first, so that no other program finds half of it."""
        for path in paths:
            trash = self._partial / f"{uuid.uuid4().hex}.trash"
            self._partial.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                path.replace(trash)
            shutil.rmtree(trash, ignore_errors=True)

    def _locked(self) -> AbstractContextManager[None]:
        self.claim()
        return held_lock(self.folder / "lock")

    def _check_own(self) -> None:
        if self._is_private or not self.folder.exists() or FolderKind.CACHE.marks(self.folder):
            return
        foreign = foreign_entries(self.folder)
        if foreign and not FolderKind.CACHE.marks(self.folder):  # another program may have marked it meanwhile
            raise FailedToWriteOutputsError(
                "The folder for kept results is not empty and not a cache of results; nothing in it was changed.",
                where=self.folder,
                examples=foreign,
                advice="Name a new or empty folder with PYTORCH_DESIGNER_REUSE_CACHE.",
                reason="not_empty",
            )

    def _paths(self) -> list[Path]:
        return [path for path in _children(self._entries) if path.is_dir()]

    def _read_all(self) -> tuple[list[Entry], list[Path]]:
        """The entries, the latest used first, and the folders that are none."""
        found = {path: self._read_once(path) for path in self._paths()}
        entries = [entry for entry in found.values() if entry is not None]
        damaged = [path for path, entry in found.items() if entry is None and path.exists()]
        return sorted(entries, key=self.last_used, reverse=True), damaged

    def _read_once(self, path: Path) -> Entry | None:
        """The entry in a folder, from memory where its record has not changed: each job that is kept asks for all."""
        state = record_state(path)
        if state is None or self._read.get(path, (None, None))[1] != state:
            self._read[path] = (read_entry(path), state)
        return self._read[path][0]


def open_cache(folder: Path | None, max_bytes: int) -> ReuseCache:
    """The cache in `folder`; None: in the user's cache folder.

    Raises:
        UnsupportedEnvironmentError: The user has no home folder, in which the cache folder would be.
    """
    if folder is not None:
        return ReuseCache(folder, max_bytes)
    return ReuseCache(user_cache_folder() / "reuse", max_bytes, is_private=True)


def chosen_cache() -> ReuseCache | None:
    """The cache that the settings name; None where they turn reuse off.

    Raises:
        UnsupportedEnvironmentError: As `open_cache`.
    """
    chosen = settings()
    return open_cache(chosen.reuse_cache, chosen.reuse_cache_bytes) if chosen.reuse_cache_bytes else None


def is_empty(path: Path) -> bool:
    """True if there is nothing at `path`, or an empty folder."""
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def _copy_run(run_folder: Path, partial: Path) -> None:
    for name in _RUN_PARTS:
        part = run_folder / name
        if part.is_dir():
            copy_entries(list_tree(part), partial / RUN_FOLDER / name)
    for name in (PORTS_FOLDER, RUN_FOLDER):  # a job may have no output
        (partial / name).mkdir(exist_ok=True)
    shutil.copy2(run_folder / RECORD_FILE, partial / RUN_FOLDER / RECORD_FILE)
    (partial / _LAST_USED).touch()


def _num_bytes(path: Path) -> int:
    return sum(max(item.num_bytes, 0) for item in list_tree(path))


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _abandoned(folder: Path) -> list[Path]:
    """Remains of a program that was killed."""
    found = []
    for path in _children(folder):
        with suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                found.append(path)
    return found


@contextmanager
def _staging_places(outputs: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """A folder beside each output, which is gone at the end."""
    suffix = uuid.uuid4().hex
    places = {name: path.with_name(f".{path.name}.{suffix}.partial") for name, path in outputs.items()}
    try:
        yield places
    finally:
        for place in places.values():
            shutil.rmtree(place, ignore_errors=True)


def _put(place: Path, target: Path, *, is_file: bool) -> None:
    if is_file:
        (file,) = place.iterdir()
        file.replace(target)
        return
    try:
        if target.exists():
            target.rmdir()
        place.replace(target)
    except OSError:  # a mount point, or somebody's working directory on Windows: only its content can be replaced
        target.mkdir(exist_ok=True)
        for child in place.iterdir():
            child.replace(target / child.name)
