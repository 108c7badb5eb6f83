from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import pytest

from pytorch_designer.tracking import mlflow_tracker

if TYPE_CHECKING:
    from pathlib import Path

    from pytorch_designer.tracking.tracker import Tracker

Close: TypeAlias = "Callable[..., str | None]"
_PATIENCE_SECONDS = 300.0


@pytest.fixture
def close(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Close:
    """Closes a tracker, and returns the warning that has been logged until then, if there was one."""
    monkeypatch.setattr(logging.getLogger("pytorch_designer"), "propagate", True)

    def close_tracker(tracker: Tracker, *, failed: bool = False, is_urgent: bool = False) -> str | None:
        tracker.close(failed=failed, is_urgent=is_urgent)
        warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
        caplog.clear()
        assert len(warnings) <= 1
        return warnings[0] if warnings else None

    return close_tracker


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's MLflow set-up reaches a test, and mlflow.db lands in its folder."""
    for name in ("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_NAME", "PYTORCH_DESIGNER_TRACKING"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow may take its time on a busy machine; tests of the limits set their own."""
    for name in ("IMPORT_SECONDS", "STALL_SECONDS", "LIMIT_SECONDS", "LOCAL_STALL_SECONDS", "LOCAL_LIMIT_SECONDS"):
        monkeypatch.setattr(mlflow_tracker, name, _PATIENCE_SECONDS)
