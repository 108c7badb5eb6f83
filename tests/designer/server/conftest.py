"""A server of a project with a run, pictures, a report, and traps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.settings import settings
from tests.designer.server.local_designer import LocalDesigner, local_designer
from tests.harness.pipeline_files import FOLDER, node, write_pipeline

SECRET = "the-secret-outside"
HOSTILE_TEXT = "<img src=x onerror=alert(1)>"
HOSTILE_LOG = "<script>alert(1)</script>"


@pytest.fixture(scope="package")
def _user_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTORCH_DESIGNER_REUSE_CACHE", str(folder / "cache"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        settings.cache_clear()
        yield folder
    settings.cache_clear()


@pytest.fixture(scope="package")
def designer(tmp_path_factory: pytest.TempPathFactory, _user_folders: Path) -> Iterator[LocalDesigner]:
    """A server for tests that change nothing that another one looks at."""
    top = tmp_path_factory.mktemp("designer")
    (top / "secret.txt").write_text(SECRET, encoding="utf-8")
    (top / "secret.yaml").write_text(f"type: pipeline\ndescription: {SECRET}\njobs: {{}}\n", encoding="utf-8")
    project = top / "project"
    _write_project(project, top)
    with local_designer(project, top / "state") as served:
        yield served


@pytest.fixture
def new_designer(tmp_path: Path, _user_folders: Path) -> Iterator[LocalDesigner]:
    """A server of an empty project, for a test alone."""
    project = tmp_path / "project"
    project.mkdir()
    with local_designer(project, tmp_path / "state") as served:
        yield served


def _write_project(project: Path, top: Path) -> None:
    project.mkdir()
    for name in ("cat", "dog"):
        for number in range(3):
            path = project / "pictures" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (40 + number, 30), (90 * number, 20, 30)).save(path)
    (project / "link.txt").symlink_to(top / "secret.txt")
    (project / "linked").symlink_to(top)
    (project / "pictures" / "cat" / "out.png").symlink_to(top / "secret.txt")
    (project / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 40)
    (project / "drawing.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>")
    made = (
        "echo '" + HOSTILE_LOG + "'; echo '<h1>Report</h1><script>alert(1)</script>' > ${{outputs.out}}/index.html;"
        " ln -s " + str(top / "secret.txt") + " ${{outputs.out}}/link.txt; echo text > ${{outputs.out}}/a.txt"
    )
    jobs = {"make": node(made, outputs={"out": FOLDER})}
    path = write_pipeline(project, jobs, display_name=HOSTILE_TEXT)
    run_pipeline(path, run_folder=project / "runs" / "first")
