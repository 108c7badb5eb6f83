"""Calls of the Python API leave the process as it was, from any thread."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import pytorch_designer
from pytorch_designer.settings import settings
from tests.api.conftest import Trained
from tests.api.process_snapshot import changes_by_call
from tests.commands import call_in_fork
from tests.images.digits import write_digits


@pytest.mark.slow
def test_no_call_changes_anything_of_the_process(trained: Trained, tmp_path: Path) -> None:
    write_digits(tmp_path / "photos" / "train", classes=2, per_class=12)
    assert call_in_fork(changes_by_call, tmp_path, trained.run.path) == [
        "train []",
        "GreaterThanOrEqualToError",
        "refused []",
        "NonFiniteLossError",
        "diverged []",
        "load_model []",
        "predict []",
        "predict_frame []",
        "score []",
        "evaluate []",
        "open_images []",
        "show []",
    ]


@pytest.mark.slow
def test_matplotlib_is_as_the_program_around_would_have_imported_it(tmp_path: Path) -> None:
    write_digits(tmp_path / "photos", classes=2, per_class=2)
    (tmp_path / "matplotlibrc").write_text("font.size: 17\n")
    program = (
        "from pytorch_designer.api.library_calls import kept_process\n"
        "from pytorch_designer.reporting.figures import Line, line_chart\n"
        "with kept_process():\n    line_chart('loss', Line('a', [1, 2]), Line('b', [1, 2]), x_label='Epoch')\n"
        "import matplotlib as mpl; print(mpl.rcParams['font.size'], mpl.get_backend())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "MPLBACKEND": "svg"},
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert done.stdout.strip() == "17.0 svg"


def test_options_count_for_the_call_and_the_environment_for_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_digits(tmp_path / "photos" / "train", classes=2, per_class=2)
    write_digits(tmp_path / "photos" / "test", classes=2, per_class=2)
    assert pytorch_designer.open_images(tmp_path / "photos", layout="class-folders").classes == ("test", "train")
    assert settings().layout == "auto"
    monkeypatch.setenv("PYTORCH_DESIGNER_LAYOUT", "unlabeled")
    assert pytorch_designer.open_images(tmp_path / "photos").labels is None
    assert pytorch_designer.open_images(tmp_path / "photos", layout="class-folders").labels is not None


@pytest.mark.slow
def test_calls_work_from_other_threads_and_wait_for_each_other(trained: Trained, tmp_path: Path) -> None:
    failures: list[BaseException] = []
    metrics: dict[str, dict[str, float]] = {}

    def train(name: str) -> None:
        try:
            run = pytorch_designer.train(
                trained.images,
                model_name="shufflenet_v2_x0_5",
                pretrained=False,
                epochs=2,
                output=tmp_path / name,
                device="cpu",
                num_threads=1,
            )
            metrics[name] = run.metrics
        except BaseException as error:  # noqa: BLE001 - of a thread
            failures.append(error)

    threads = [threading.Thread(target=train, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    assert trained.run.model.predict(next(trained.test_images.rglob("*.png"))).label in trained.run.classes
    for thread in threads:
        thread.join(120)
    assert failures == []
    assert metrics == {"a": trained.run.metrics, "b": trained.run.metrics}
