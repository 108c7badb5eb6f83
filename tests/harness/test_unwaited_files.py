"""Named pipes where the harness and the page read a file: nobody waits for a writer."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.cloud.workspace import _read_config
from pytorch_designer.errors import DesignerError
from pytorch_designer.harness.environments.dockerfile import read_dockerfile
from pytorch_designer.harness.environments.environment_source import EnvironmentSource
from pytorch_designer.harness.job.file_tracking import _read_meta
from pytorch_designer.harness.pipeline.pipeline_reading import read_state
from pytorch_designer.harness.schema.spec_faults import SpecPlace
from pytorch_designer.harness.schema.specification import OutputSpec
from pytorch_designer.harness.schema.values import read_output_value
from pytorch_designer.harness.sweep.trial_metrics import kept_metrics
from pytorch_designer.system.regular_files import NotARegularFileError, open_regular_file, read_regular

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this platform")

_PLACE = SpecPlace("component.yaml")
READERS: dict[str, tuple[str, Callable[[Path], Any], Any]] = {
    "a file": ("pipe", read_regular, NotARegularFileError),
    "a stream": ("pipe", open_regular_file, NotARegularFileError),
    "a value that a job has written": ("pipe", lambda path: read_output_value(OutputSpec("n", "integer"), path),
                                       DesignerError),
    "a Dockerfile": ("pipe", lambda path: read_dockerfile(path, path.parent, _PLACE), DesignerError),
    "requirements of requirements": (
        "pipe", lambda path: EnvironmentSource("env.yaml", path.parent, None, (f"-r {path.name}",)).key, DesignerError,
    ),
    "metrics of a trial": ("user_logs/metrics.json", lambda path: kept_metrics(path.parent.parent), {}),
    "facts that a job tracks": ("meta.yaml", lambda path: _read_meta(path.parent), {}),
    "the state of a run": (
        "pipe", lambda path: read_state(path, lambda _: pytest.fail("a state"), logs="logs"), DesignerError,
    ),
    "the workspace": ("config.json", _read_config, DesignerError),
}  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_is_not_waited_for(reader: str, tmp_path: Path) -> None:
    name, read, expected = READERS[reader]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    os.mkfifo(path)
    found = _outcome(read, path)
    if isinstance(expected, type):
        assert isinstance(found, expected)
        assert str(path) in str(found) or path.name in str(found)
    else:
        assert found == expected


def _outcome(read: Callable[[Path], Any], path: Path) -> Any:
    """What the reader returns or raises; it waits in a thread, which ends with the process."""
    found: list[Any] = []

    def call() -> None:
        try:
            found.append(read(path))
        except (OSError, DesignerError) as error:
            found.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(20)
    if not found:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))  # lets the thread end
    assert found, "it waits for somebody to write into the pipe"
    return found[0]
