"""Output directories: complete or not there at all.

`open_output` is the only way to write one. It checks that the output is apart from the inputs, locks it, recognizes
the finished result of the same run, clears what a killed run left, and stages what is written:

    OUTPUT/.lock               while the output is open
    OUTPUT/.staging/...        while the component writes
    OUTPUT/.staging/COMMIT     the entries that are about to be renamed, one per line
    OUTPUT/<entries>           after the renames
    OUTPUT/_meta.yaml          the last rename: from here on the directory exists

An output port is often a mounted folder that exists before the job starts, so the folder itself cannot be renamed.
Every reader of this project and of the old designer refuses a directory without `_meta.yaml`, so a kill at any moment
leaves either a complete directory or none.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import Timeout

from pytorch_designer.errors import FailedToWriteOutputsError
from pytorch_designer.imports import check_working_directory
from pytorch_designer.storage.locking import held_lock
from pytorch_designer.storage.paths import no_folder_at
from pytorch_designer.storage.unfinished_renames import COMMIT_FILE, read_unfinished_renames
from pytorch_designer.system.regular_files import kind_of
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

META_FILE = "_meta.yaml"
STAGING_FOLDER = ".staging"
CHECKPOINT_FOLDER = ".checkpoint"
LOCK_FILE = ".lock"
_MAX_SINGLE_FLUSHES = 1000
_NO_FOLDER_FLUSH = {errno.EINVAL, errno.EBADF, errno.ENOSYS, errno.ENOTSUP}  # some network mounts flush files only
OWN_ENTRIES = {STAGING_FOLDER, CHECKPOINT_FOLDER, LOCK_FILE}


def check_outputs(outputs: Mapping[str, Path], inputs: Mapping[str, Path], *, keeps_results: bool = False) -> None:
    """Refuse outputs that `open_output` would refuse, as far as a listing shows it.

    Changes nothing and costs little, so a component can ask before anything slow is imported.

    Args:
        outputs: The output folders by port.
        inputs: The input folders by port.
        keeps_results: Whether a complete output may be the result of this very run, which is then left as it is.

    Raises:
        FailedToWriteOutputsError: An output is inside an input or another output, a file, held by another process, or
            holds something that no component of this project left there.
    """
    sources = {f"the {port.replace('_', ' ')}": path for port, path in inputs.items()}
    for port, output in outputs.items():
        _check_apart(output, sources)
        for other in outputs:
            if other != port:
                _check_apart(output, {"the other output": outputs[other]})
        _refuse_occupied(output, keeps_result=keeps_results)


@dataclass(frozen=True)
class Output:
    """Locked output directory, as `open_output` yields it.

    Attributes:
        path: The folder.
        is_finished: Whether it already holds the result of this very run, so that nothing is left to do.
    """

    path: Path
    is_finished: bool

    @contextmanager
    def stage(self) -> Iterator[Path]:
        """Yield a folder to write into; on leaving without an error its entries become those of the output.

        After an error the output is as it was.

        Raises:
            FailedToWriteOutputsError: A write, a flush or a rename failed.
        """
        with stage_together(self) as (folder,):
            yield folder


@contextmanager
def open_output(
    path: Path,
    *,
    apart_from: Mapping[str, Path],
    is_finished: Callable[[], bool] | None = None,
    replaced: frozenset[str] | None = None,
) -> Iterator[Output]:
    """Open an output directory for this process alone.

    The folder is created where it is missing, and removed again if nothing has been written into it. The lock dies
    with its owner.

    Args:
        path: A folder that is new, empty or left by a killed run; also a complete one if `is_finished` accepts it.
        apart_from: The inputs and other outputs that must not contain `path`, by their names in the message, for
            instance "the training dataset".
        is_finished: Whether the complete directory at `path` is the result of this very run.
        replaced: Names of the entries of an earlier result, which are removed first, and checkpoints with them; None
            to keep both.

    Raises:
        FailedToWriteOutputsError: `path` is inside one of the others, held by another process, a file, cannot be
            written, or holds something already.
    """
    _check_apart(path, apart_from)
    with _locked(path):
        has_result = is_finished is not None and (path / META_FILE).is_file() and is_finished()
        if has_result:
            _remove_leftovers(path)
        else:
            if replaced is not None:
                _discard(path, replaced)
            _prepare(path)
        yield Output(path, has_result)


@contextmanager
def stage_together(*outputs: Output) -> Iterator[tuple[Path, ...]]:
    """`Output.stage` for several outputs, which become complete together or stay as they were.

    The renames of all `_meta.yaml` come last, one right after the other. A kill exactly between two of them is the
    only moment that leaves some of the outputs complete; the next `open_output` then refuses these by name.

    Raises:
        FailedToWriteOutputsError: A write, a flush or a rename failed.
    """
    paths = tuple(output.path for output in outputs)
    folders = tuple(path / STAGING_FOLDER for path in paths)
    with ExitStack() as stack:
        for path in paths:
            stack.enter_context(writing_errors(path))
            if (path / META_FILE).exists():
                raise AssertionError(f"{path} is complete already")
        try:
            for folder in folders:
                folder.mkdir(parents=True)
            yield folders
            for folder in folders:
                if not (folder / META_FILE).is_file():
                    raise AssertionError(f"a typed directory needs {META_FILE}")
            _commit(paths)
        finally:
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
    for path in paths:
        _remove_leftovers(path)


@contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """Turn an `OSError` while writing to `path` into a `FailedToWriteOutputsError`; others pass through unchanged."""
    try:
        yield
    except OSError as error:
        failed = path if error.filename is None else Path(os.fsdecode(error.filename))
        if failed.is_absolute() and not path.is_absolute():  # the lock's library makes paths absolute
            absolute = Path(os.path.abspath(path))  # noqa: PTH100 - links stay as they were written
            failed = path / failed.relative_to(absolute) if failed.is_relative_to(absolute) else failed
        if failed != path and path not in failed.parents and failed not in path.parents:
            raise
        check_working_directory()
        with suppress(OSError):
            _refuse_no_folder(path, error)
        what = f"The output could not be written: {error.strerror or error}."
        raise FailedToWriteOutputsError(what, where=failed) from error


def refuse_entries(path: Path) -> None:
    """Refuse a folder with anything in it but what an open output leaves.

    Raises:
        FailedToWriteOutputsError: There is something else.
    """
    occupied = sorted(entry.name for entry in path.iterdir() if entry.name not in OWN_ENTRIES)
    if occupied:
        raise FailedToWriteOutputsError(
            "The output folder is not empty; nothing in it was changed.",
            where=path,
            examples=occupied,
            advice="Name a new or empty folder, or remove what is in this one.",
            reason="not_empty",
        )


def write_atomically(path: Path, data: bytes, *, is_flushed: bool = True) -> None:
    """Write one file so that a reader, or a kill, sees the old content or the new and nothing between.

    If `is_flushed`, it is on the disk at the end, and this also holds for a crash of the machine.

    Raises:
        OSError: The write failed; `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        temporary.unlink(missing_ok=True)  # a link there would be written through
        with temporary.open("xb") as stream:
            stream.write(data)
            if is_flushed:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if is_flushed:
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


def _check_apart(output: Path, others: Mapping[str, Path]) -> None:
    """Refuse an output that is, or is inside, one of the other folders, which need not exist."""
    real_output = resolved(output)
    for name, other in others.items():
        if (real_other := resolved(other)) == real_output:
            place = f"is the same folder as {name}"
        elif real_other in real_output.parents:
            place = f"is inside {name}, of which it would become a part"
        else:
            continue
        raise FailedToWriteOutputsError(
            f"The output {place}.",
            where=output,
            advice=f"Name an output folder outside {name}.",
            reason="inside_source",
        )


def _refuse_occupied(path: Path, *, keeps_result: bool) -> None:
    """Refuse an output folder that another process holds, or with something that this run cannot have left there."""
    with writing_errors(path):
        _refuse_no_folder(path)
        if os.path.lexists(path / LOCK_FILE):
            with ExitStack() as lock:
                _acquire(lock, path)
        is_complete = (path / META_FILE).exists()
        unfinished = read_unfinished_renames(path / STAGING_FOLDER, OWN_ENTRIES)
        is_committing = not is_complete and bool(unfinished)
        if path.exists() and not is_committing and not (is_complete and keeps_result):
            refuse_entries(path)


def _refuse_no_folder(path: Path, cause: OSError | None = None) -> None:
    if (found := no_folder_at(path)) is not None:
        place, kind = found
        what = f"The path is {kind}, not a folder." if place == path else f"The path would be inside {kind}."
        advice = "Name a new or empty folder."
        raise FailedToWriteOutputsError(what, where=place, advice=advice, reason="file") from cause


def _acquire(lock: ExitStack, path: Path) -> None:
    if os.path.lexists(path / LOCK_FILE) and not stat.S_ISREG(mode := os.lstat(path / LOCK_FILE).st_mode):
        raise FailedToWriteOutputsError(
            f"The lock of the output folder is {kind_of(mode)} instead of a file: no run of this program made it.",
            where=path / LOCK_FILE,
            advice="Remove it, or name another output folder.",
            reason="not_empty",
        )
    try:
        lock.enter_context(held_lock(path / LOCK_FILE, timeout_seconds=0))
    except Timeout as error:
        raise FailedToWriteOutputsError(
            "Another run is writing to this output at this moment.",
            where=path,
            advice="Wait until it has ended, or name another output folder.",
            reason="locked",
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with writing_errors(path):
        is_new = not path.exists()
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


def _prepare(path: Path) -> None:
    """Remove what a killed run left half written, and try a write."""
    with writing_errors(path):
        _clear_staging(path)
        refuse_entries(path)
        probe = path / STAGING_FOLDER
        probe.mkdir()
        (probe / "probe").write_bytes(b"writable")
        _remove(probe)


def _discard(path: Path, names: frozenset[str]) -> None:
    """Remove an earlier result; what a kill leaves of it is removed by the next run, like a commit that it undid."""
    with writing_errors(path):
        _clear_staging(path)
        _remove_leftovers(path)
        if names:
            (path / STAGING_FOLDER).mkdir()
            write_atomically(path / STAGING_FOLDER / COMMIT_FILE, "\n".join(sorted(names)).encode())
            (path / META_FILE).unlink(missing_ok=True)
            _clear_staging(path)


def _remove_leftovers(path: Path) -> None:
    """Remove what lies beside a complete output: the checkpoints, and what a kill after the last rename left."""
    for name in (STAGING_FOLDER, CHECKPOINT_FOLDER):
        shutil.rmtree(path / name, ignore_errors=True)


def _commit(paths: tuple[Path, ...]) -> None:
    entries = {path: _entries_in_order(path / STAGING_FOLDER) for path in paths}
    _flush_to_disk([file for path in paths for file in (path / STAGING_FOLDER).rglob("*") if file.is_file()])
    for path, names in entries.items():
        write_atomically(path / STAGING_FOLDER / COMMIT_FILE, "\n".join(names).encode())
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
    unfinished = read_unfinished_renames(path / STAGING_FOLDER, OWN_ENTRIES)
    if not (path / META_FILE).exists():
        for name in unfinished:
            _remove(path / name)
    if os.path.lexists(path / STAGING_FOLDER):
        _remove(path / STAGING_FOLDER)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        try:
            shutil.rmtree(path)
        except OSError as error:  # which names a file by its last part alone
            raise OSError(error.errno, error.strerror, str(path)) from error
    else:
        path.unlink(missing_ok=True)
