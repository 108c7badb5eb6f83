"""`pytorch-designer run --watch`: a pipeline that runs again when files change, as far as they concern its nodes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pytorch_designer.cli.commands.pipeline_command import pipeline_request, run_request
from pytorch_designer.errors import DesignerError, InterruptedRunError
from pytorch_designer.harness.pipeline.watched_files import WatchedFiles, watched_files
from pytorch_designer.harness.schema.yaml_tree import read_yaml
from pytorch_designer.system.stop_requests import stop_on_signals

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytorch_designer.cli.commands.pipeline_command import PipelineCommandOptions
    from pytorch_designer.harness.pipeline.pipeline_request import PipelineRequest
    from pytorch_designer.harness.schema.yaml_tree import YamlDocument
    from pytorch_designer.system.stop_requests import StopRequest

_POLL_SECONDS = 0.2
_LOOK_SECONDS = 0.5
_SHARE = 10  # looking at the files takes at most a tenth of the time


def watch_pipeline_file(
    document: YamlDocument, options: PipelineCommandOptions, show: Callable[[list[str]], None]
) -> int:
    """Run the pipeline in a YAML file, and again whenever a file that it depends on has changed, until a signal.

    Args:
        document: The file.
        options: How to run it.
        show: Prints lines.

    Returns:
        The exit code of the last run.

    Raises:
        InterruptedRunError: A signal came while nodes ran.
        DesignerError: The pipeline was wrong at the first start. Later faults are shown, and waited out.
    """
    others = [path for path in (options.assets, document.path) if path is not None]
    request: PipelineRequest | None = pipeline_request(document, options)
    watched = WatchedFiles(frozenset(others))
    with stop_on_signals() as stop:
        while True:
            if request is not None:
                watched = _watched(request, others)
            before = watched.state()
            exit_code = 1 if request is None else _run(request, options, show, stop)
            show(["", "Watching the files of this pipeline; Ctrl-C ends it."])
            if not _wait_for_change(watched, before, stop):
                return exit_code
            show(["", f"Files have changed, {time.strftime('%H:%M:%S')}.", ""])
            request = _read_again(document.path, options, show)


def _watched(request: PipelineRequest, others: list[Path]) -> WatchedFiles:
    own = () if request.store is None else request.store.own_paths
    cache = () if request.cache is None else (request.cache.folder,)
    return watched_files(request.plan, others, (*own, *cache, *request.outputs.values()))


def _run(
    request: PipelineRequest, options: PipelineCommandOptions, show: Callable[[list[str]], None], stop: StopRequest
) -> int:
    try:
        return run_request(request, options, show, stop)
    except InterruptedRunError:
        raise
    except DesignerError as error:
        show(str(error).splitlines())
        return 1


def _read_again(
    path: Path, options: PipelineCommandOptions, show: Callable[[list[str]], None]
) -> PipelineRequest | None:
    try:
        return pipeline_request(read_yaml(path), options)
    except DesignerError as error:
        show(str(error).splitlines())
        return None


def _wait_for_change(watched: WatchedFiles, before: str, stop: StopRequest) -> bool:
    """Wait until the files have changed and are stable; False if a signal came instead."""
    next_look = 0.0
    while stop.signal_number is None:
        if time.monotonic() >= next_look:
            started = time.monotonic()
            now = watched.state()
            next_look = time.monotonic() + max(_LOOK_SECONDS, _SHARE * (time.monotonic() - started))
            if now != before:
                time.sleep(_POLL_SECONDS)  # an editor writes several files
                return True
        time.sleep(_POLL_SECONDS)
    return False
