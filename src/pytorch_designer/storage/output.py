"""Writing an output directory so that it is complete or not there at all.

An output port is often a mounted folder that exists before the job starts, so that the folder itself cannot be
renamed into place. Everything is therefore written into a hidden folder inside the output, flushed to disk, and
then renamed entry by entry. `_meta.yaml` is renamed last: every reader of this project and of the old designer
refuses a directory without it, so a kill at any moment leaves either a complete directory or none.

    OUTPUT/.staging/...        while the component writes
    OUTPUT/.staging/COMMIT     the entries that are about to be renamed, one a line
    OUTPUT/<entries>           after the renames
    OUTPUT/_meta.yaml          the last rename: from here on the directory exists
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.storage.locking import held_lock

if TYPE_CHECKING:
    from collections.abc import Iterator

META_FILE = "_meta.yaml"
STAGING_FOLDER = ".staging"
CHECKPOINT_FOLDER = ".checkpoint"
LOCK_FILE = ".lock"
_COMMIT_FILE = "COMMIT"
_MAX_SINGLE_FLUSHES = 1000
_NO_FOLDER_FLUSH = {errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP}  # some network mounts flush files only
_OWN_ENTRIES = {STAGING_FOLDER, CHECKPOINT_FOLDER, LOCK_FILE}


@contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` while writing below `path` into a `FailedToWriteOutputsError` that names the file.

    An error about a file elsewhere, an input for instance, passes through unchanged.
    """
    try:
        yield
    except OSError as error:
        failed = path if error.filename is None else Path(os.fsdecode(error.filename))
        if failed != path and path not in failed.parents:
            raise
        raise FailedToWriteOutputsError(
            f"The output could not be written: {error.strerror or error}.", where=failed
        ) from error


def prepare_output(path: Path) -> None:
    """Make the output folder `path` ready for `staged_output`, before any work is done.

    Creates it, removes what an earlier killed run left half written, and tries a write.

    Raises:
        FailedToWriteOutputsError: `path` is a file, cannot be written, or holds something already.
    """
    _refuse_file(path)
    with writing_errors(path):
        path.mkdir(parents=True, exist_ok=True)
        _clear_staging(path)
        _refuse_entries(path)
        probe = path / STAGING_FOLDER
        probe.mkdir()
        (probe / "probe").write_bytes(b"writable")
        _remove(probe)


def refuse_occupied(path: Path) -> None:
    """Refuse an output folder that another run holds, or with something that no component of this project left there.

    `locked_output` and `prepare_output` refuse it too, and more; this changes nothing, costs a listing, and can be
    asked before anything is imported.

    Raises:
        FailedToWriteOutputsError: `path` is a file, cannot be listed, is held, or has something of somebody else in it.
    """
    _refuse_file(path)
    with writing_errors(path):
        if (path / LOCK_FILE).exists():
            with ExitStack() as lock:
                _acquire(lock, path)
        if path.exists() and not (path / META_FILE).exists() and not (path / STAGING_FOLDER / _COMMIT_FILE).exists():
            _refuse_entries(path)


def remove_leftovers(path: Path) -> None:
    """Remove what a kill after the last rename has left beside a complete output: staging folder and checkpoints."""
    for name in (STAGING_FOLDER, CHECKPOINT_FOLDER):
        shutil.rmtree(path / name, ignore_errors=True)


@contextmanager
def locked_output(path: Path) -> Iterator[None]:
    """Hold `path` for this process alone; the lock dies with its owner.

    The folder is created where it is missing, and removed again if nothing has been written into it.

    Raises:
        FailedToWriteOutputsError: Another running process holds it.
    """
    is_new = not path.exists()
    with writing_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    try:
        with ExitStack() as lock:
            with writing_errors(path):
                _acquire(lock, path)
            try:
                yield
            finally:
                with suppress(OSError):  # before the release, so that nobody can be holding the file that is removed
                    (path / LOCK_FILE).unlink()
    finally:
        if is_new:
            with suppress(OSError):  # not empty: it was written
                path.rmdir()


@contextmanager
def staged_output(path: Path) -> Iterator[Path]:
    """Yield a folder to write into; on leaving without an error its entries become those of `path`.

    `path` has been through `prepare_output`. On an error nothing but what was there before is left.

    Raises:
        FailedToWriteOutputsError: A write, a flush or a rename failed.
    """
    with staged_outputs(path) as (staging,):
        yield staging


@contextmanager
def staged_outputs(*paths: Path) -> Iterator[tuple[Path, ...]]:
    """`staged_output` for several folders at once, which become complete together or stay as they were.

    The renames of all `_meta.yaml` come last, one right after the other. A kill exactly between two of them is the one
    moment that leaves some of the outputs complete; the next `prepare_output` then refuses these by name.

    Raises:
        FailedToWriteOutputsError: A write, a flush or a rename failed.
    """
    stagings = tuple(path / STAGING_FOLDER for path in paths)
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(writing_errors(path))
        try:
            for staging in stagings:
                staging.mkdir(parents=True)
            yield stagings
            for staging in stagings:
                if not (staging / META_FILE).is_file():
                    raise AssertionError(f"a typed directory needs {META_FILE}")
            _commit(paths)
        finally:
            for staging in stagings:
                shutil.rmtree(staging, ignore_errors=True)


def check_apart(output: Path, other: Path, name: str) -> None:
    """Make sure that an output is not, and is not inside, the folder `other`, of which it would become a part.

    Args:
        output: The output folder; need not exist.
        other: The source or another output of the same run.
        name: What `other` is, for the message, for instance "the source".

    Raises:
        FailedToWriteOutputsError: It is.
    """
    real_output = Path(os.path.realpath(output))  # unlike resolve(), never raises
    if Path(os.path.realpath(other)) in (real_output, *real_output.parents):
        raise FailedToWriteOutputsError(
            f"The output is inside {name}, of which it would become a part.",
            where=output,
            advice=f"Name an output folder outside {name}.",
            reason="inside_source",
        )


def write_atomically(path: Path, data: bytes) -> None:
    """Write one file so that a reader, or a kill, sees the old content or the new and nothing between.

    Raises:
        OSError: The write failed; `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(path: Path) -> None:
    """Flush the entries of a folder to disk, where platform and mount can (Windows cannot open a folder)."""
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDER_FLUSH:
            raise
    finally:
        os.close(descriptor)


def _refuse_file(path: Path) -> None:
    if path.exists() and not path.is_dir():
        raise FailedToWriteOutputsError(
            "The output path is a file, not a folder.", where=path, advice="Name a new or empty folder.", reason="file"
        )


def _refuse_entries(path: Path) -> None:
    occupied = sorted(entry.name for entry in path.iterdir() if entry.name not in _OWN_ENTRIES)
    if occupied:
        raise FailedToWriteOutputsError(
            "The output folder is not empty; nothing in it was changed.",
            where=path,
            examples=occupied,
            advice="Name a new or empty folder, or remove what is in this one.",
            reason="not_empty",
        )


def _acquire(lock: ExitStack, path: Path) -> None:
    try:
        lock.enter_context(held_lock(path / LOCK_FILE, timeout_seconds=0))
    except Timeout as error:
        raise FailedToWriteOutputsError(
            "Another run is writing to this output at this moment.",
            where=path,
            advice="Wait until it has ended, or name another output folder.",
            reason="locked",
        ) from error


def _commit(paths: tuple[Path, ...]) -> None:
    entries = {path: _entries_in_order(path / STAGING_FOLDER) for path in paths}
    _flush_to_disk([file for path in paths for file in (path / STAGING_FOLDER).rglob("*") if file.is_file()])
    for path, names in entries.items():
        write_atomically(path / STAGING_FOLDER / _COMMIT_FILE, "\n".join(names).encode())
    moves = [(path, name) for path, names in entries.items() for name in names[:-1]]
    moves += [(path, META_FILE) for path in paths]
    try:
        for path, name in moves:
            (path / STAGING_FOLDER / name).replace(path / name)
        for path in paths:
            sync_folder(path)
    except BaseException:
        with suppress(OSError):  # the error that ended the renames is the one to report
            for path, name in reversed(moves):
                _remove(path / name)
        raise


def _entries_in_order(staging: Path) -> list[str]:
    # MLmodel is what another reader (MLflow) takes for a complete model, so it goes just before _meta.yaml.
    last = {"MLmodel": 1, META_FILE: 2}
    return sorted((entry.name for entry in staging.iterdir()), key=lambda name: (last.get(name, 0), name))


def _flush_to_disk(files: list[Path]) -> None:
    if len(files) > _MAX_SINGLE_FLUSHES and hasattr(os, "sync"):
        os.sync()
        return
    for file in files:
        with file.open("rb+") as stream:
            os.fsync(stream.fileno())


def _clear_staging(path: Path) -> None:
    staging = path / STAGING_FOLDER
    commit = staging / _COMMIT_FILE
    if commit.is_file() and not (path / META_FILE).exists():
        for name in commit.read_text(encoding="utf-8").split("\n"):
            _remove(path / name)
    if staging.exists():
        _remove(staging)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        try:
            shutil.rmtree(path)
        except OSError as error:  # which names a file by its last part alone
            raise OSError(error.errno, error.strerror, str(path)) from error
    else:
        path.unlink(missing_ok=True)
