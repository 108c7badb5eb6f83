"""Watch of a project for open pages: files changed by hand, runs that go on, logs that grow.

One thread looks at modification times, ten times a second while a page is open, and tells what has changed. What a page
needs it reads itself: an event about a log says only how long it is.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytorch_designer.designer.runs.project_runs import current_progress, sampled_memory
from pytorch_designer.designer.runs.run_views import log_files, node_view
from pytorch_designer.errors import DesignerError
from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.job.run_folder import RUNS_FOLDER
from pytorch_designer.harness.pipeline.event_log import EventReader

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.designer.document.document_store import DocumentStore
    from pytorch_designer.designer.runs.project_runs import ProjectRuns
    from pytorch_designer.designer.server.event_hub import EventHub
    from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult

_log = logging.getLogger(__name__)

_TICK_SECONDS = 0.1
_LOG_SECONDS = 0.2
_PROGRESS_SECONDS = 0.5
_FILE_SECONDS = 0.5
_NEW_RUN_SECONDS = 1.0
_SHARE = 10  # looking takes at most a tenth of the time
_SUFFIXES = (".yaml", ".yml")
_SKIPPED_FOLDERS = frozenset({RUNS_FOLDER, "mlruns", "node_modules", "venv", "__pycache__"})
_MAX_FILES = 20_000


class ChangeWatch:
    """Watch of one project, in a thread of its own.

    Args:
        project: The folder.
        store: The documents.
        runs: The runs.
        hub: Where events go; nothing is looked at while no page listens.
    """

    def __init__(self, project: Path, store: DocumentStore, runs: ProjectRuns, hub: EventHub) -> None:
        self._store = store
        self._runs = runs
        self._hub = hub
        self._files = _ProjectFiles(project)
        self._going_on: dict[str, _WatchedRun] = {}
        self._known_runs: set[str] | None = None
        self._sequences: dict[str, int] = {}
        self._versions: dict[str, str] = {}
        self._closed = threading.Event()
        self._wanted: set[str] = set()
        self._thread = threading.Thread(target=self._watch, name="change-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread."""
        self._closed.set()
        self._thread.join()

    def sequence(self, run: str) -> int:
        """The number of the last event about a run."""
        return self._sequences.get(run, 0)

    def look_at(self, run: str) -> None:
        """Follow a run that has just been started."""
        self._wanted.add(run)

    def _watch(self) -> None:
        due: dict[Any, float] = {}
        tasks = (
            (self._find_runs, _NEW_RUN_SECONDS),
            (self._look_at_runs, _TICK_SECONDS),
            (self._look_at_files, _FILE_SECONDS),
        )
        while not self._closed.wait(_TICK_SECONDS):
            if not self._hub.num_pages:
                self._known_runs = None  # a page that comes reads everything itself
                continue
            for task, seconds in tasks:
                started = time.monotonic()
                if started < due.get(task, 0.0):
                    continue
                try:
                    task()
                except (OSError, DesignerError) as error:  # what is being written, or a damaged file
                    _log.debug("The project cannot be looked at: %s", error)
                took = time.monotonic() - started
                due[task] = time.monotonic() + max(seconds - _TICK_SECONDS, _SHARE * took)

    def _find_runs(self) -> None:
        """Follow runs that have begun since, by this page or by a command, and at first those that go on."""
        names = set(self._runs.names())
        new = names if self._known_runs is None else names - self._known_runs
        is_first = self._known_runs is None
        self._known_runs = names
        for name in new | self._wanted:
            self._wanted.discard(name)
            self._follow(name, tells_start=not is_first)

    def _follow(self, name: str, *, tells_start: bool) -> None:
        if name in self._going_on:
            return
        try:
            run = self._runs.open(name)
        except DesignerError:
            if self._known_runs is not None and tells_start:
                self._known_runs.discard(name)  # its state may be written in a moment
            return
        if run.state == "running":
            self._going_on[name] = _WatchedRun(run)
        if tells_start:
            self._publish(name, "started", {"summary": self._runs.summary(run)})

    def _look_at_runs(self) -> None:
        for name in list(self._wanted):
            self._wanted.discard(name)
            self._follow(name, tells_start=True)
        for name, watched in list(self._going_on.items()):
            try:
                run = self._runs.open(name)
            except DesignerError:  # removed meanwhile
                del self._going_on[name]
                continue
            for node, state in watched.changed_nodes(run):
                self._publish(name, "node", {"node": node, "state": state, "summary": self._runs.summary(run)})
            for node, file, size in watched.grown_logs(run):
                self._hub.publish("log", {"run": name, "node": node, "file": file, "size": size})
            if run.state != "running":
                del self._going_on[name]
                self._publish(name, "ended", {"summary": self._runs.summary(run)})

    def _look_at_files(self) -> None:
        is_palette_changed = False
        for path in self._files.changed():
            try:
                version = self._store.changed(path)
            except DesignerError:  # no document
                version = None
            if version is None:
                is_palette_changed = True
                self._versions.pop(path, None)  # it is told of when it is there again
            elif self._versions.get(path) != version:
                self._versions[path] = version
                self._hub.publish("document", {"path": path, "version": version})
        if is_palette_changed:
            self._hub.publish("palette", {})

    def _publish(self, run: str, kind: str, content: dict[str, Any]) -> None:
        self._sequences[run] = self._sequences.get(run, 0) + 1
        self._hub.publish("run", {"run": run, "sequence": self._sequences[run], "kind": kind, **content})


class _WatchedRun:
    """A run that goes on, and what has been told of it."""

    def __init__(self, run: PipelineResult) -> None:
        self._events = EventReader(run.run_folder)
        self._memory: dict[str, int] = {}
        self._told: dict[str, dict[str, Any]] = {}
        self._progress: dict[str, dict[str, Any] | None] = {}
        self._sizes: dict[tuple[str, str], int] = {}
        self._next_progress = 0.0
        self._next_logs = 0.0

    def changed_nodes(self, run: PipelineResult) -> list[tuple[str, dict[str, Any]]]:
        if time.monotonic() >= self._next_progress:
            self._next_progress = time.monotonic() + _PROGRESS_SECONDS
            with suppress(OSError):
                for name, num_bytes in sampled_memory(run, self._events).items():
                    self._memory[name] = max(self._memory.get(name, 0), num_bytes)
            self._progress = {node.name: current_progress(node) for node in run.nodes.values()}
        changed = []
        for name, node in run.nodes.items():
            is_running = node.state is NodeState.RUNNING
            state = node_view(node, self._progress.get(name) if is_running else None, self._memory.get(name))
            told = {**state, "seconds": None} if is_running else state  # it changes all the time
            if self._told.get(name) != told:
                self._told[name] = told
                changed.append((name, state))
        return changed

    def grown_logs(self, run: PipelineResult) -> list[tuple[str, str, int]]:
        is_over = run.state != "running"
        if not is_over and time.monotonic() < self._next_logs:
            return []
        self._next_logs = time.monotonic() + _LOG_SECONDS
        grown = []
        for name, node in run.nodes.items():
            if node.state is NodeState.WAITING:
                continue
            for path in log_files(node):
                place, size = (name, path.name), path.stat().st_size
                if self._sizes.get(place) != size:
                    self._sizes[place] = size
                    grown.append((*place, size))
        return grown


class _ProjectFiles:
    """The YAML files of a project, by modification time and size."""

    def __init__(self, project: Path) -> None:
        self._project = project
        self._known: dict[str, tuple[int, int]] | None = None

    def changed(self) -> list[str]:
        """The files that were changed, made or removed since the last call, relative to the project."""
        now = dict(self._list())
        before, self._known = self._known, now
        if before is None:
            return []
        return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))

    def _list(self) -> list[tuple[str, tuple[int, int]]]:
        found: list[tuple[str, tuple[int, int]]] = []
        pending = [""]
        num_seen = 0
        while pending and num_seen < _MAX_FILES:
            folder = pending.pop()
            with suppress(OSError), os.scandir(self._project / folder) as entries:
                for entry in entries:
                    num_seen += 1
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in _SKIPPED_FOLDERS and not entry.name.startswith("."):
                            pending.append(path)
                    elif entry.name.lower().endswith(_SUFFIXES) and not entry.name.startswith("."):
                        status = entry.stat()
                        found.append((path, (status.st_mtime_ns, status.st_size)))
        return found
