"""Requests to a pipeline that runs, from any process: files in its run folder, which it looks for ten times a second.

RUN/requests/cancel           end the run, as SIGTERM does
RUN/requests/cancel.NODE      end one node, or do not start it
"""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from pytorch_designer.errors import UnknownNameError
from pytorch_designer.harness.job.run_folder import is_held
from pytorch_designer.harness.pipeline.pipeline_reading import read_result
from pytorch_designer.storage.output import writing_errors

if TYPE_CHECKING:
    from pathlib import Path

_FOLDER = "requests"
_CANCEL = "cancel"


def cancel_run(run_folder: Path) -> bool:
    """Ask a run to end; whether there is one that goes on.

    Raises:
        UnknownNameError: The folder is not that of a run.
        FailedToWriteOutputsError: The request cannot be written.
    """
    return _request(run_folder, _CANCEL)


def cancel_node(run_folder: Path, node: str) -> bool:
    """Ask a run to end one node; what needs it is canceled too, and all others go on.

    Returns:
        Whether the run goes on and the node has not ended yet.

    Raises:
        UnknownNameError: The folder is not that of a run, or there is no such node in it.
        FailedToWriteOutputsError: The request cannot be written.
    """
    result = read_result(run_folder)
    if node not in result.nodes:
        raise UnknownNameError(
            f"The run has no node {node!r}.", where=node, advice=f"It has {', '.join(result.nodes)}."
        )
    return not result.nodes[node].state.has_ended and _request(run_folder, f"{_CANCEL}.{node}")


class RequestInbox:
    """Requests to one run; what is left of an earlier run is removed at the start.

    Args:
        run_folder: The run folder, which exists.
    """

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / _FOLDER
        shutil.rmtree(self._folder, ignore_errors=True)

    def take(self) -> tuple[bool, list[str]]:
        """True if the run is to end, with the nodes that are to end; each is named once."""
        try:
            found = sorted(self._folder.iterdir())
        except OSError:  # nobody has asked for anything
            return False, []
        for path in found:
            with suppress(OSError):
                path.unlink()
        names = [path.name for path in found]
        return _CANCEL in names, [name.removeprefix(f"{_CANCEL}.") for name in names if name != _CANCEL]


def _request(run_folder: Path, name: str) -> bool:
    read_result(run_folder)
    if not is_held(run_folder):
        return False
    path = run_folder / _FOLDER / name
    with writing_errors(path):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return True
