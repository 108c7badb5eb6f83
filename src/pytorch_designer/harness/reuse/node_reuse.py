"""Reuse of nodes: lookup, restoring and keeping of results.

A failure of the cache, for instance a full disk, is a warning: the node then runs, or its result is not kept.
"""

from __future__ import annotations

import json
import logging
import threading
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pytorch_designer.harness.environments.job_python import OWN_PYTHON, JobPython
from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.job.run_folder import RECORD_FILE, RunFolder
from pytorch_designer.harness.job.snapshot import code_snapshot
from pytorch_designer.harness.reuse.file_trees import HashMemory
from pytorch_designer.harness.reuse.reuse_cache import is_empty
from pytorch_designer.harness.reuse.reuse_explanation import (
    FORCED,
    NOT_DETERMINISTIC,
    NOTHING_KEPT,
    UNREADABLE,
    changes,
)
from pytorch_designer.harness.reuse.reuse_key import KeyParts, key_parts
from pytorch_designer.harness.schema.values import check_values
from pytorch_designer.storage.output import write_atomically
from pytorch_designer.system.regular_files import read_regular

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pytorch_designer.harness.job.job_run import JobResult
    from pytorch_designer.harness.job.node import NodeResult, PlannedNode
    from pytorch_designer.harness.reuse.cache_entry import Entry
    from pytorch_designer.harness.reuse.reuse_cache import ReuseCache
    from pytorch_designer.harness.schema.binding_scope import Source
    from pytorch_designer.harness.schema.specification import CommandSpec
    from pytorch_designer.system.stop_requests import StopRequest

_log = logging.getLogger(__name__)

_MAX_COMPARED = 10


class Reuse:
    """Reuse cache as one pipeline run sees it; thread-safe.

    Args:
        cache: Where results are kept.
        is_forced: Whether every node runs even if its result is kept.
        not_code: Paths that runs write to; inside a code folder they are not part of the code.
        python: The Python of jobs.
        stop: Ends `parts` and `restore` with an InterruptedRunError while they read large inputs.
    """

    def __init__(
        self,
        cache: ReuseCache,
        *,
        stop: StopRequest,
        is_forced: bool = False,
        not_code: tuple[Path, ...] = (),
        python: JobPython = OWN_PYTHON,
    ) -> None:
        self._cache = cache
        self._not_code = not_code
        self._python = python
        self._is_forced = is_forced
        self._hashes = HashMemory(cache.hashes, partial(stop.check, "reading the content of the inputs"))
        self._known: dict[Path, str] = {}
        self._code: dict[tuple[object, ...], tuple[str, dict[str, str]]] = {}
        self._entries: list[Entry] | None = None
        self._lock = threading.Lock()

    def parts(self, node: PlannedNode, paths: Mapping[tuple[str, str], Path]) -> KeyParts | None:
        """The parts of a node's key; None where it is a sweep or not deterministic, or something cannot be read.

        Args:
            node: The node.
            paths: The outputs of the nodes that have run, by node and port.
        """
        if node.sweep is not None or not node.spec.is_deterministic:
            return None
        try:
            code, code_files = self._code_hashes(node.spec)
            return key_parts(
                node.spec,
                code=code,
                code_files=code_files,
                inputs=check_values(node.spec, {name: source.text(paths) for name, source in node.inputs.items()}),
                contents={
                    name: self._content(source.path(paths)) for name, source in node.inputs.items() if source.is_path
                },
                environment_variables={
                    name: self._shown(source, paths) for name, source in node.environment_variables.items()
                },
                python=self._python,
            )
        except OSError as error:
            _log.warning("%s is neither reused nor kept: %s", node.name, error)
            return None

    def find(self, parts: KeyParts) -> Entry | None:
        """The kept result of a node with this key, or None.

        Raises:
            OSError: The cache cannot be read.
        """
        return self._cache.find(parts.key)

    def output_paths(self, entry: Entry) -> dict[str, Path]:
        """Paths of the outputs of a kept result, to be read."""
        paths = {name: self._cache.output_path(entry, name) for name in entry.contents}
        self._remember(entry.contents, entry.is_file, paths)
        return paths

    def why_it_runs(self, node: PlannedNode, parts: KeyParts | None) -> str:
        """Reason why a node runs although results are kept: what has changed since the most similar one."""
        if self._is_forced:
            return FORCED
        if parts is None:
            return UNREADABLE if node.spec.is_deterministic else NOT_DETERMINISTIC
        now = parts.record()
        found: list[tuple[str, ...]] = []
        for entry in self._alike(node):
            before = self._cache.parts_of(entry)
            if before is not None and entry.key != parts.key:
                found.append(changes(before, now))
        fewest = min(found, key=len, default=(NOTHING_KEPT,))
        return "; ".join(fewest)

    def _alike(self, node: PlannedNode) -> list[Entry]:
        """The latest kept results of this node in earlier runs."""
        with self._lock:
            if self._entries is None:
                try:
                    self._entries = self._cache.entries()
                except OSError:
                    self._entries = []
        alike = [entry for entry in self._entries if (entry.node, entry.component) == (node.name, node.spec.name)]
        return alike[:_MAX_COMPARED]

    def restore(self, node: PlannedNode, start: NodeResult, *, is_wanted: bool = False) -> NodeResult | None:
        """The result of a node out of the cache; None where there is none that can be used.

        Args:
            node: The node.
            start: Its state, with its key and the paths of its outputs.
            is_wanted: Whether it is restored although every node runs.
        """
        if start.key is None or (self._is_forced and not is_wanted):
            return None
        try:
            entry = self._cache.find(start.key)
            if entry is None:
                return None
            occupied = self.occupied(entry, start.outputs)
            if occupied is not None:
                _log.warning("%s is not reused: its output folder is not empty: %s", node.name, occupied)
                return None
            wanted = {name: path for name, path in start.outputs.items() if is_empty(path)}
            folder = RunFolder(start.run_folder)
            folder.prepare(start.outputs.values())
            if not self._cache.restore(entry, wanted, folder.path):
                return None
            _mark_reused(folder.path / RECORD_FILE, start.outputs)
        except OSError as error:
            _log.warning("%s is not reused: %s", node.name, error)
            return None
        self._remember(entry.contents, entry.is_file, start.outputs)
        return replace(
            start,
            state=NodeState.REUSED,
            reused_from=entry.stored,
            seconds=entry.seconds,
            run_id=entry.run_id,
            log_files=tuple(sorted((start.run_folder / "user_logs").glob("std_log*.txt"))),
        )

    def keep(self, node: PlannedNode, parts: KeyParts, result: JobResult) -> None:
        """Keep the result of a job that succeeded."""
        is_file = {name: port.is_file for name, port in node.spec.outputs.items()}
        try:
            entry = self._cache.store(result, parts.key, node.name, node.spec.name, is_file, parts=parts.record())
        except OSError as error:
            _log.warning("The result of %s is not kept for reuse: %s", node.name, error)
            return
        if entry is not None:
            self._remember(entry.contents, entry.is_file, result.outputs)

    def occupied(self, entry: Entry, outputs: Mapping[str, Path]) -> Path | None:
        """The first output that holds something other than what is kept, or None.

        Raises:
            OSError: One cannot be read.
        """
        for name, path in outputs.items():
            if is_empty(path):
                continue
            if entry.is_file[name] or self._hashes.hash_of(path) != entry.contents[name]:
                return path
        return None

    def _code_hashes(self, spec: CommandSpec) -> tuple[str, dict[str, str]]:
        place = (spec.code, spec.additional_includes)
        with self._lock:  # of nodes that start together, and share their code, one reads it
            if place not in self._code:
                self._code[place] = code_snapshot(spec, excluded=self._not_code).content_hashes()
            return self._code[place]

    def _content(self, path: Path) -> str:
        return self._known.get(path) or self._hashes.hash_of(path)

    def _shown(self, source: Source, paths: Mapping[tuple[str, str], Path]) -> str:
        return source.text(paths) if not source.is_path else f"content {self._content(source.path(paths))}"

    def _remember(self, contents: Mapping[str, str], is_file: Mapping[str, bool], outputs: Mapping[str, Path]) -> None:
        """The hash of a single file counts its name, which may differ from that of the kept one."""
        self._known.update({path: contents[name] for name, path in outputs.items() if not is_file[name]})


def _mark_reused(record_file: Path, outputs: Mapping[str, Path]) -> None:
    with suppress(ValueError, TypeError, RecursionError):  # a damaged one stays as it is
        record = json.loads(read_regular(record_file))
        record |= {"state": NodeState.REUSED.value, "outputs": {name: str(path) for name, path in outputs.items()}}
        write_atomically(record_file, (json.dumps(record, indent=2) + "\n").encode(), is_flushed=False)
