"""Environment of all tests: one computing thread, and none of the developer's variables.

The suite runs in several processes on few cores. Computing threads that wait for each other would spin against other
processes and can be forty times slower than a single thread.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.directories.hand_built import MakeTree

for _name in [name for name in os.environ if name.startswith(("PYTORCH_DESIGNER_", "MLFLOW_", "AZUREML_"))]:
    del os.environ[_name]
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script
    signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # `nohup` has it ignored, by all processes that tests start too
# Every process that tests start would compile all its modules, which takes a second or two.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["PYTORCH_DESIGNER_NUM_THREADS"] = "1"
# No test asserts a time: by default, an example that takes longer than 200 ms, as one does on a busy machine, fails.
hypothesis.settings.register_profile("without deadlines", deadline=None)
hypothesis.settings.load_profile("without deadlines")


@pytest.fixture(autouse=True)
def _fresh_settings() -> Iterator[None]:
    """Settings are read from the variables of each test anew."""
    from pytorch_designer.settings import settings

    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture
def make_tree(tmp_path: Path) -> MakeTree:
    """A folder with these files; images hold a PNG. A path that ends with "/" is an empty folder."""

    from tests.directories.hand_built import PNG

    def make(*paths: str) -> Path:
        root = tmp_path / "tree"
        root.mkdir(exist_ok=True)
        for path in paths:
            target = root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if path.endswith("/"):
                target.mkdir(exist_ok=True)
            else:
                target.write_bytes(PNG)
        return root

    return make


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's chromium without a window; one for all tests of a process, as playwright runs once in a thread."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("there is no chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    # Without these the browser asks for drivers, sockets and a sandbox that a container does not have.
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic"]
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()
