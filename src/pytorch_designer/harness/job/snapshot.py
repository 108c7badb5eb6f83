"""The code snapshot of a component: what Azure ML uploads, and a job finds in its working directory.

    `code`                    a folder (its content) or a file
    `additional_includes`     each a file or a folder, merged in under its own name; `X.zip` where only a folder X
                              exists is that folder, zipped
    left out                  `__pycache__`, and what the ignore file of the code folder excludes: `.amlignore`, or
                              `.gitignore` if there is no `.amlignore`. Also what the harness itself writes: run
                              folders and its MLflow database (`code: .` is common). Azure ML has no such rule.

As in azure-ai-ml, ignore files below the top count only if there are additional includes. Symbolic links are followed,
since their targets are uploaded; a link that leads back up is an error. Named pipes, sockets and devices are left out.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.job.run_folder import is_run_folder
from pytorch_designer.system.special_files import special_kind

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from pathspec import GitIgnoreSpec

    from pytorch_designer.harness.schema.specification import CommandSpec

_ALWAYS_IGNORED = ("__pycache__",)
_IGNORE_FILES = (".amlignore", ".gitignore")
_CHUNK_BYTES = 1 << 20
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Snapshot:
    """The files of a snapshot, listed but not yet copied.

    Attributes:
        files: Where each file comes from, by its path in the snapshot (with forward slashes), sorted.
        zipped: The files of each folder that is included as a zip file, likewise, by the zip file's path.
    """

    files: Mapping[str, Path]
    zipped: Mapping[str, Mapping[str, Path]]

    @property
    def num_bytes(self) -> int:
        """Size of all files together."""
        return sum(path.stat().st_size for files in (self.files, *self.zipped.values()) for path in files.values())

    def copy_to(self, folder: Path) -> None:
        """Write the snapshot into `folder`, which is created; times and modes of the files are kept.

        Raises:
            OSError: A file cannot be read or written.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for relative in sorted({str(PurePosixPath(name).parent) for name in (*self.files, *self.zipped)}):
            (folder / relative).mkdir(parents=True, exist_ok=True)
        for name, source in self.files.items():
            shutil.copy2(source, folder / name)
        for name, files in self.zipped.items():
            (folder / name).write_bytes(_zip_file(files))

    def content_hashes(self) -> tuple[str, dict[str, str]]:
        """SHA-256 over the names and contents of all files, and of each file's content; as hexadecimal text.

        Times and modes do not matter.

        Raises:
            OSError: A file cannot be read.
        """
        digest = hashlib.sha256()
        files = {}
        for name, source in (*self.files.items(), *_zip_entries(self.zipped)):
            digest.update(f"{name}\0{source.stat().st_size}\0".encode("utf-8", "surrogateescape"))
            own = hashlib.sha256()
            with source.open("rb") as stream:
                while chunk := stream.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    own.update(chunk)
            files[name] = own.hexdigest()
        return digest.hexdigest(), files


def code_snapshot(spec: CommandSpec, *, excluded: Collection[Path] = ()) -> Snapshot:
    """List the files that the snapshot of `spec` consists of.

    Args:
        spec: The component.
        excluded: Absolute paths of files and folders that are left out wherever they are found.

    Raises:
        InvalidSpecError: `code` or an additional include does not exist, or its links lead in a circle.
    """
    has_includes = bool(spec.additional_includes)
    rules = _Rules(excluded=frozenset(map(str, excluded)))
    files: dict[str, Path] = {}
    zipped: dict[str, dict[str, Path]] = {}
    if spec.code is not None:
        _check_exists(spec, spec.code, "code")
        if spec.code.is_file():
            files[spec.code.name] = spec.code
        else:
            rules = rules.of(spec.code, "")
            files.update(_listing(spec, spec.code, "", rules, is_nested=has_includes))
    for include in spec.additional_includes:
        if _is_to_be_zipped(include):
            folder = include.with_suffix("")
            inner = rules.of(folder, folder.name)
            zipped[include.name] = dict(sorted(_listing(spec, folder, folder.name, inner, is_nested=False)))
            continue
        _check_exists(spec, include, "additional_includes")
        if include.is_dir():
            inner = rules.of(include, include.name)
            files.update(_listing(spec, include, include.name, inner, is_nested=True))
        elif not rules.exclude(include.name):
            files[include.name] = include
    return Snapshot(dict(sorted(files.items())), zipped)


class _Rules:
    """Exclusion rules: paths, and ignore files, each for its part of the snapshot."""

    def __init__(
        self, parts: tuple[tuple[str, GitIgnoreSpec], ...] = (), excluded: frozenset[str] = frozenset()
    ) -> None:
        self._parts = parts
        self._excluded = excluded

    def of(self, folder: Path, prefix: str) -> _Rules:
        """These rules and those of the ignore file in `folder`, whose place in the snapshot is `prefix`."""
        for name in _IGNORE_FILES:
            if not (folder / name).is_file():
                continue
            text = (folder / name).read_text(encoding="utf-8-sig", errors="replace")
            from pathspec import GitIgnoreSpec

            return _Rules((*self._parts, (prefix, GitIgnoreSpec.from_lines(text.splitlines()))), self._excluded)
        return self

    def exclude_always(self, entry: os.DirEntry[str]) -> bool:
        """True if an entry is left out whatever the ignore files say."""
        if entry.name in _ALWAYS_IGNORED or entry.path in self._excluded:
            return True
        return entry.is_dir() and is_run_folder(Path(entry.path))

    def exclude(self, path: str) -> bool:
        """True if the file at `path` in the snapshot is left out."""
        return any(_is_below(path, prefix) and part.match_file(_below(path, prefix)) for prefix, part in self._parts)


def _listing(
    spec: CommandSpec, top: Path, prefix: str, rules: _Rules, *, is_nested: bool
) -> Iterator[tuple[str, Path]]:
    """The files below `top`, by their path in the snapshot, where `top` itself is at `prefix`."""
    pending: list[tuple[Path, str, _Rules, tuple[str, ...]]] = [(top, prefix, rules, (os.path.realpath(top),))]
    while pending:
        folder, place, current, ancestors = pending.pop()
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = f"{place}/{entry.name}" if place else entry.name
            if current.exclude_always(entry):
                continue
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                if real in ancestors:
                    raise InvalidSpecError(
                        "The code has a symbolic link that leads back to a folder it is in.",
                        where=entry.path,
                        advice=f"Remove the link, or exclude it in .amlignore ({spec.source}).",
                    )
                inner = current.of(Path(entry.path), path) if is_nested else current
                pending.append((Path(entry.path), path, inner, (*ancestors, real)))
            elif entry.is_file() and not current.exclude(path):
                yield path, Path(entry.path)


def _is_to_be_zipped(include: Path) -> bool:
    return include.suffix == ".zip" and not include.exists() and include.with_suffix("").is_dir()


def _zip_file(files: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, source in files.items():
            archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), source.read_bytes())
    return buffer.getvalue()


def _zip_entries(zipped: Mapping[str, Mapping[str, Path]]) -> Iterator[tuple[str, Path]]:
    for archive, files in zipped.items():
        for name, source in files.items():
            yield f"{archive}/{name}", source


def _check_exists(spec: CommandSpec, path: Path, key: str) -> None:
    if not path.exists():
        raise InvalidSpecError(
            f"{key} of {spec.name} names a path that does not exist: {path}.",
            where=spec.source,
            advice="Correct the path; it is relative to the folder of the YAML file.",
        )
    special = special_kind(path)
    if special is not None:
        raise InvalidSpecError(
            f"{key} of {spec.name} names {path}, which is {special}.",
            where=spec.source,
            advice="Name a regular file or a folder.",
        )


def _is_below(path: str, prefix: str) -> bool:
    return not prefix or path.startswith(f"{prefix}/")


def _below(path: str, prefix: str) -> str:
    return path[len(prefix) + 1 :] if prefix else path
