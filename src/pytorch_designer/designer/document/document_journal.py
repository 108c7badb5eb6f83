"""Journal of a document: its earlier texts, undo and redo, and named versions.

    STATE/documents/KEY/journal.jsonl    one record per line, appended and flushed before the document is renamed
    STATE/documents/KEY/lock             held while a document is changed, by whichever server does it

A record is JSON with a checksum. `open`, `edit` and `outside` (a change by hand) add a text, `undo` and `redo` go back
and forth, `name` names a version. The last line of a killed process may be torn; it is left out. A journal that is
damaged otherwise is put aside, and what can be read of it is kept as versions. The document itself is never touched.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from filelock import Timeout

from pytorch_designer.errors import InvalidSpecError, UnknownNameError, UnsupportedEnvironmentError
from pytorch_designer.storage.locking import held_lock
from pytorch_designer.storage.output import sync_folder, write_atomically
from pytorch_designer.system.regular_files import read_regular

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Iterator

JOURNAL_FILE = "journal.jsonl"
MAX_VERSIONS = 50
_LOCK_FILE = "lock"
_LOCK_SECONDS = 10.0
_MAX_RECORDS = 4 * MAX_VERSIONS
_MAX_BYTES = 64 << 20
_ADDING = {"open", "edit", "outside"}


def version_of(content: bytes) -> str:
    """The version of a document: the first 16 hexadecimal digits of the SHA-256 of its bytes."""
    return hashlib.sha256(content).hexdigest()[:16]


@dataclass(frozen=True)
class Version:
    """Text that a document has had.

    Attributes:
        number: Its number in the journal, from 1, which grows.
        version: The hash of its bytes.
        label: What made it, for people.
        time: When, in seconds since 1970.
        name: The name that a person gave it, or None.
    """

    number: int
    version: str
    label: str
    time: float
    name: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The contract's `Version`."""
        facts = {"id": str(self.number), "label": self.label, "time": self.time, "version": self.version}
        return facts | ({"name": self.name} if self.name else {})


@dataclass
class _State:
    """State of a document after all records.

    Attributes:
        versions: Every text that the document had, by number.
        steps: Numbers of the texts that undo and redo go through.
        position: Index in `steps` of the text that the document has.
        texts: Bytes by version.
    """

    versions: dict[int, Version] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)
    position: int = -1
    texts: dict[str, bytes] = field(default_factory=dict)
    num_records: int = 0


class DocumentJournal:
    """Journal of one document; any number of processes may have it open.

    Args:
        folder: The journal's folder, which is made where it is missing.
        document: The document, for people who look into the folder.
    """

    def __init__(self, folder: pathlib.Path, document: pathlib.Path) -> None:
        self._folder = folder
        self._document = document
        self._state = _State()
        self._stamp: tuple[int, int, int] | None = None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the document's lock, and see what other processes have written.

        Raises:
            UnsupportedEnvironmentError: The folder cannot be written, or another process holds the lock.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with held_lock(self._folder / _LOCK_FILE, timeout_seconds=_LOCK_SECONDS):
                self._read()
                yield
        except Timeout as error:
            raise UnsupportedEnvironmentError(
                "Another program is changing this document.", where=self._document, reason="locked"
            ) from error
        except OSError as error:  # of the journal: those of documents and components have names of their own
            raise UnsupportedEnvironmentError(
                f"The versions of the document cannot be kept: {error.strerror or error}.",
                where=self._folder,
                advice="Make the folder writable, or set XDG_STATE_HOME to one that is.",
                reason="no_state_folder",
            ) from error

    @property
    def current(self) -> Version | None:
        """The current version according to the journal; None if it knows none."""
        return self._at(self._state.position)

    @property
    def undo_label(self) -> str | None:
        """Label of the edit that undo would take back, or None."""
        current = self.current
        return None if current is None or self._state.position < 1 else current.label

    @property
    def redo_label(self) -> str | None:
        """Label of the edit that redo would repeat, or None."""
        following = self._at(self._state.position + 1)
        return None if following is None else following.label

    def text_of(self, version: str) -> bytes | None:
        """The text of a version, or None where it is not kept any more."""
        return self._state.texts.get(version)

    def versions(self) -> list[Version]:
        """The versions that are kept, the latest first."""
        return sorted(self._state.versions.values(), key=lambda version: version.number, reverse=True)

    def version(self, number: str) -> Version:
        """One version.

        Raises:
            UnknownNameError: It is not kept.
        """
        found = self._state.versions.get(int(number)) if number.isdecimal() else None
        if found is None:
            raise UnknownNameError(
                f"There is no version {number[:20]} of this document.",
                where="id",
                advice=f"The last {MAX_VERSIONS} are kept, and those with names.",
                reason="no_version",
            )
        return found

    def record_seen(self, content: bytes) -> None:
        """Record the present text of the document: its first, or one that was edited elsewhere.

        A text that is one step away was left by a process that was killed between the journal and the document.
        """
        version = version_of(content)
        current, before, after = (self._at(self._state.position + step) for step in (0, -1, 1))
        if current is None:
            self._append("open", label="Opened", content=content)
        elif version == current.version:
            return
        elif before is not None and version == before.version:
            self._append("undo")
        elif after is not None and version == after.version:
            self._append("redo")
        else:
            self._append("outside", label="Change by hand", content=content)

    def begin(self, content: bytes) -> None:
        """Record the first text of a new document; versions of an earlier one here stay, and undo leads to none."""
        if self.current is not None:
            self._append("steps", steps=[], position=-1)
        self.record_seen(content)

    def adopt(self, other: DocumentJournal) -> None:
        """Take over the versions and steps of another journal, beside the versions that are here already."""
        offset = max(self._state.versions, default=0)
        for number, version in other._state.versions.items():
            self._state.versions[number + offset] = replace(version, number=number + offset)
        self._state.texts |= other._state.texts
        self._state.steps = [number + offset for number in other._state.steps]
        self._state.position = other._state.position
        self._write_anew()
        self._say_whose()

    def leave(self) -> None:
        """Let undo lead to nothing here any more, after another journal has adopted this one."""
        self._append("steps", steps=[], position=-1)

    def record_edit(self, content: bytes, label: str) -> None:
        """Record an edit, before the document is replaced."""
        self._append("edit", label=label, content=content)

    def step_content(self, *, is_back: bool) -> bytes:
        """The text after an undo or a redo.

        Raises:
            InvalidSpecError: There is no such step.
        """
        target = self._at(self._state.position + (-1 if is_back else 1))
        if target is None:
            kind, what = ("no_undo", "undo") if is_back else ("no_redo", "do again")
            raise InvalidSpecError(
                f"There is nothing to {what}.", where=self._document, advice="Nothing was changed.", reason=kind
            )
        return self._state.texts[target.version]

    def record_step(self, *, is_back: bool) -> None:
        """Record an undo or redo, before the document is replaced."""
        self._append("undo" if is_back else "redo")

    def name_current(self, name: str) -> None:
        """Give the current version a name, under which it is kept for longer."""
        assert self.current is not None
        self._append("name", number=self.current.number, name=name)

    def _at(self, position: int) -> Version | None:
        steps = self._state.steps
        return self._state.versions[steps[position]] if 0 <= position < len(steps) else None

    def _append(self, kind: str, *, content: bytes | None = None, **facts: Any) -> None:
        record: dict[str, Any] = {"kind": kind, "time": time.time(), **facts}
        if content is not None:
            record |= {"number": max(self._state.versions, default=0) + 1, "version": version_of(content)}
            if record["version"] not in self._state.texts:
                record["text"] = content.decode("utf-8", "surrogateescape")
        path = self._folder / JOURNAL_FILE
        is_new = not path.exists()
        with path.open("ab") as stream:
            stream.write(_line(record))
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            sync_folder(self._folder)
            self._say_whose()
        _apply(self._state, record)
        self._stamp = self._now()
        if self._state.num_records > _MAX_RECORDS or path.stat().st_size > _MAX_BYTES:
            self._write_anew()

    def _say_whose(self) -> None:
        (self._folder / "document.txt").write_text(f"{self._document}\n", encoding="utf-8")

    def _now(self) -> tuple[int, int, int] | None:
        try:
            status = (self._folder / JOURNAL_FILE).stat()
        except FileNotFoundError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> None:
        stamp = self._now()
        if stamp is not None and stamp == self._stamp:
            return
        self._state, self._stamp = _State(), stamp
        if stamp is None:
            return
        path = self._folder / JOURNAL_FILE
        lines = read_regular(path).split(b"\n")
        is_torn = lines[-1] != b""
        is_damaged = False
        for line in lines[:-1]:
            record = _record(line)
            is_damaged |= record is None or not _apply(self._state, record)
        if is_damaged:
            self._state.steps, self._state.position = [], -1
            path.rename(path.with_name(f"damaged-{time.time_ns()}.jsonl"))
        if is_damaged or is_torn:
            self._write_anew()

    def _write_anew(self) -> None:
        """Write the journal with what is kept: the last versions, those with names, and the steps among them."""
        state = self._state
        latest = sorted(state.versions)[-MAX_VERSIONS:]
        around = state.steps[max(0, state.position - MAX_VERSIONS + 1) : state.position + MAX_VERSIONS]
        named = [number for number, version in state.versions.items() if version.name][-MAX_VERSIONS:]
        kept = sorted({*latest, *around, *named})
        sizes = {number: len(state.texts[state.versions[number].version]) for number in kept}
        while len(kept) > 1 and sum(sizes[number] for number in kept) > _MAX_BYTES // 2:
            kept.pop(0)
        current = self._at(state.position)
        records: list[dict[str, Any]] = []
        written: set[str] = set()
        for number in kept:
            version = state.versions[number]
            facts = {"number": number, "version": version.version, "label": version.label, "time": version.time}
            record = {"kind": "kept", "name": version.name, **facts}
            if version.version not in written:
                record["text"] = state.texts[version.version].decode("utf-8", "surrogateescape")
                written.add(version.version)
            records.append(record)
        steps = [number for number in around if number in kept]
        position = steps.index(current.number) if current is not None and current.number in steps else -1
        records.append({"kind": "steps", "steps": steps, "position": position})
        write_atomically(self._folder / JOURNAL_FILE, b"".join(_line(record) for record in records))
        self._state = _State()
        for record in records:
            _apply(self._state, record)
        self._stamp = self._now()


def _line(record: dict[str, Any]) -> bytes:
    body = json.dumps(record, ensure_ascii=True, sort_keys=True).encode()
    return b"%08x %b\n" % (zlib.crc32(body), body)


def _record(line: bytes) -> dict[str, Any] | None:
    """The record of a line, or None if it is damaged."""
    checksum, _, body = line.partition(b" ")
    if checksum != b"%08x" % zlib.crc32(body):
        return None
    try:
        record = json.loads(body)
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _apply(state: _State, record: dict[str, Any]) -> bool:
    """Add a record to the state; returns False where it does not go with those before it."""
    state.num_records += 1
    kind = record.get("kind")
    try:
        if kind in {*_ADDING, "kept"}:
            number, version = record["number"], record["version"]
            if "text" in record:
                state.texts[version] = record["text"].encode("utf-8", "surrogateescape")
            elif version not in state.texts:
                return False
            name = record.get("name")
            state.versions[number] = Version(number, version, record["label"], record["time"], name)
            if kind in _ADDING:
                state.steps = [*state.steps[: state.position + 1], number]
                state.position += 1
        elif kind in {"undo", "redo"}:
            position = state.position + (1 if kind == "redo" else -1)
            if not 0 <= position < len(state.steps):
                return False
            state.position = position
        elif kind == "name":
            state.versions[record["number"]] = replace(state.versions[record["number"]], name=record["name"])
        elif kind == "steps":
            if any(number not in state.versions for number in record["steps"]):
                return False
            state.steps, state.position = list(record["steps"]), record["position"]
    except (KeyError, TypeError):
        return False
    return True
