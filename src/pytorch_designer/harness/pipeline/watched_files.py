"""Files that the nodes of a pipeline depend on, watched for changes: YAML files, code, inputs."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytorch_designer.errors import DesignerError
from pytorch_designer.harness.job.snapshot import code_snapshot
from pytorch_designer.harness.reuse.file_trees import list_tree, listing_hash
from pytorch_designer.harness.schema.pipeline_specification import PipelineSpec

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from pytorch_designer.harness.pipeline.pipeline_plan import Plan
    from pytorch_designer.harness.schema.specification import CommandSpec


@dataclass(frozen=True)
class WatchedFiles:
    """Files of a pipeline, as it was planned last.

    Attributes:
        files: Single files and folders of data.
        specs: Components whose code is looked at.
        not_code: Paths that runs write to, which are not part of the code.
    """

    files: frozenset[Path]
    specs: tuple[CommandSpec, ...] = ()
    not_code: tuple[Path, ...] = ()

    def state(self) -> str:
        """Hash of names, sizes and times of all of them: changed by any ordinary write."""
        digest = hashlib.sha256()
        for path in sorted(self.files):
            digest.update(_listing(path).encode())
        seen = set()
        for spec in self.specs:
            place = (spec.code, spec.additional_includes)
            if place not in seen:
                seen.add(place)
                digest.update(_code_listing(spec, self.not_code).encode())
        return digest.hexdigest()


def watched_files(plan: Plan, others: Collection[Path] = (), not_code: Collection[Path] = ()) -> WatchedFiles:
    """Files that the nodes of a plan depend on.

    Args:
        plan: The plan.
        others: More files, such as that of the assets.
        not_code: Paths that runs write to.
    """
    files = {*others, *_sources(plan.pipeline)}
    for node in plan.nodes.values():
        files |= {source.path({}) for source in node.inputs.values() if source.is_path and not source.outputs}
        files |= _environment_files(node.spec)
    specs = tuple(node.spec for node in plan.nodes.values())
    return WatchedFiles(frozenset(files), specs, tuple(not_code))


def _sources(pipeline: PipelineSpec) -> Iterator[Path]:
    if pipeline.source.is_file():
        yield pipeline.source
    for node in pipeline.nodes.values():
        if isinstance(node.component, PipelineSpec):
            yield from _sources(node.component)
        elif node.component.source.is_file():
            yield node.component.source


def _environment_files(spec: CommandSpec) -> set[Path]:
    named = spec.environment.get("conda_file") if isinstance(spec.environment, dict) else None
    return {spec.folder / named} if isinstance(named, str) else set()


def _listing(path: Path) -> str:
    try:
        return f"{path}\0{listing_hash(list_tree(path))}"
    except OSError:  # gone, or being written
        return f"{path}\0"


def _code_listing(spec: CommandSpec, not_code: tuple[Path, ...]) -> str:
    lines = []
    with suppress(DesignerError, OSError):
        snapshot = code_snapshot(spec, excluded=not_code)
        for files in (snapshot.files, *snapshot.zipped.values()):
            for name, path in files.items():
                status = path.stat()
                lines.append(f"{name}\0{status.st_size}\0{status.st_mtime_ns}")
    return "\n".join(lines)
