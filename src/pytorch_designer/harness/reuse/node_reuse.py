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

from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.job.run_folder import RECORD_FILE, RunFolder
from pytorch_designer.harness.job.snapshot import code_snapshot
from pytorch_designer.harness.reuse.file_trees import HashMemory
from pytorch_designer.harness.reuse.reuse_cache import is_empty
from pytorch_designer.harness.reuse.reuse_key import reuse_key
from pytorch_designer.harness.schema.values import check_values
from pytorch_designer.storage.output import write_atomically

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


class Reuse:
    """Reuse cache as one pipeline run sees it; thread-safe.

    Args:
        cache: Where results are kept.
        is_forced: Whether every node runs even if its result is kept.
        not_code: Paths that runs write to; inside a code folder they are not part of the code.
        stop: Ends `key` and `restore` with an InterruptedRunError while they read large inputs.
    """

    def __init__(
        self, cache: ReuseCache, *, stop: StopRequest, is_forced: bool = False, not_code: tuple[Path, ...] = ()
    ) -> None:
        self._cache = cache
        self._not_code = not_code
        self._is_forced = is_forced
        self._hashes = HashMemory(cache.hashes, partial(stop.check, "reading the content of the inputs"))
        self._known: dict[Path, str] = {}
        self._code: dict[tuple[object, ...], str] = {}
        self._lock = threading.Lock()

    def key(self, node: PlannedNode, paths: Mapping[tuple[str, str], Path]) -> str | None:
        """The key of a node; None where it is not deterministic, or something cannot be read.

        Args:
            node: The node.
            paths: The outputs of the nodes that have run, by node and port.
        """
        if not node.spec.is_deterministic:
            return None
        try:
            return reuse_key(
                node.spec,
                code=self._code_hash(node.spec),
                inputs=check_values(node.spec, {name: source.text(paths) for name, source in node.inputs.items()}),
                contents={
                    name: self._content(source.path(paths)) for name, source in node.inputs.items() if source.is_path
                },
                environment_variables={
                    name: self._shown(source, paths) for name, source in node.environment_variables.items()
                },
            )
        except OSError as error:
            _log.warning("%s is neither reused nor kept: %s", node.name, error)
            return None

    def restore(self, node: PlannedNode, start: NodeResult) -> NodeResult | None:
        """The result of a node out of the cache; None where there is none that can be used.

        Args:
            node: The node.
            start: Its state, with its key and the paths of its outputs.
        """
        if start.key is None or self._is_forced:
            return None
        try:
            entry = self._cache.find(start.key)
            if entry is None:
                return None
            wanted = self._outputs_to_fill(node, entry, start.outputs)
            if wanted is None:
                return None
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

    def keep(self, node: PlannedNode, key: str, result: JobResult) -> None:
        """Keep the result of a job that succeeded."""
        is_file = {name: port.is_file for name, port in node.spec.outputs.items()}
        try:
            entry = self._cache.store(result, key, node.name, node.spec.name, is_file)
        except OSError as error:
            _log.warning("The result of %s is not kept for reuse: %s", node.name, error)
            return
        if entry is not None:
            self._remember(entry.contents, entry.is_file, result.outputs)

    def _outputs_to_fill(self, node: PlannedNode, entry: Entry, outputs: Mapping[str, Path]) -> dict[str, Path] | None:
        """The outputs that are empty; None where one holds something other than what is kept."""
        wanted = {}
        for name, path in outputs.items():
            if is_empty(path):
                wanted[name] = path
            elif entry.is_file[name] or self._hashes.hash_of(path) != entry.contents[name]:
                _log.warning("%s is not reused: its output folder is not empty: %s", node.name, path)
                return None
        return wanted

    def _code_hash(self, spec: CommandSpec) -> str:
        place = (spec.code, spec.additional_includes)
        with self._lock:  # of nodes that start together, and share their code, one reads it
            if place not in self._code:
                self._code[place] = code_snapshot(spec, excluded=self._not_code).content_hash()
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
        record = json.loads(record_file.read_text(encoding="utf-8"))
        record |= {"state": NodeState.REUSED.value, "outputs": {name: str(path) for name, path in outputs.items()}}
        write_atomically(record_file, (json.dumps(record, indent=2) + "\n").encode())
