"""Reports of errors by processes that share a standard error: what several report alike is printed once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pytorch_designer.errors import InvalidDatasetError, LostProcessError, OtherProcessError
from pytorch_designer.system.error_info import has_reports, shared_reports

pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs Linux")

REPORT = """
import sys
from pathlib import Path
from pytorch_designer.errors import *
from pytorch_designer.system.error_info import report_error, report_interruption, share_reports

share_reports(Path(sys.argv[1]))
what = sys.argv[2]
if what == "interrupted":
    report_interruption("Interrupted.")
elif what.startswith("rank 1: "):
    error = OtherProcessError("rank 1 ended")
    error.cause = globals()[sys.argv[3]](what.removeprefix("rank 1: ")).to_dict()
    report_error(error, str(error))
else:
    error = InvalidDatasetError(what)
    report_error(error, str(error))
"""


def reporter(folder: Path, reports: Path | str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", REPORT, str(reports), *arguments]
    return subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, encoding="utf-8")


def printed_by(*processes: subprocess.Popen[str]) -> list[str]:
    """The first line of each process that has printed anything."""
    texts = [process.communicate(timeout=300)[1] for process in processes]
    return [text.splitlines()[0] for text in texts if text]


def test_what_several_report_alike_is_printed_once_and_another_error_too(tmp_path: Path) -> None:
    with shared_reports() as reports:
        assert reports is not None
        assert not has_reports(reports)
        alike = [reporter(tmp_path, reports, "no images") for _ in range(4)]
        assert printed_by(*alike, reporter(tmp_path, reports, "no labels")) == [
            "InvalidDatasetError (0018): no images",
            "InvalidDatasetError (0018): no labels",
        ]
        assert has_reports(reports)
        assert printed_by(reporter(tmp_path, reports, "interrupted")) == []
    info = json.loads((tmp_path / "outputs/error_info.json").read_text(encoding="utf-8"))
    assert info["name"] == InvalidDatasetError.__name__


def test_the_process_that_met_it_is_left_to_report_it(tmp_path: Path) -> None:
    with shared_reports() as reports:
        assert reports is not None
        other = reporter(tmp_path, reports, "rank 1: no images", InvalidDatasetError.__name__)
        time.sleep(0.5)
        assert printed_by(reporter(tmp_path, reports, "no images"), other) == ["InvalidDatasetError (0018): no images"]


@pytest.mark.parametrize("cause", [InvalidDatasetError.__name__, LostProcessError.__name__])
def test_what_the_process_that_met_it_does_not_report_another_one_does(cause: str, tmp_path: Path) -> None:
    with shared_reports() as reports:
        assert reports is not None
        others = [reporter(tmp_path, reports, "rank 1: no images", cause) for _ in range(2)]
        assert printed_by(*others) == [f"{OtherProcessError.__name__} (P017): rank 1 ended"]


def test_without_the_file_each_prints(tmp_path: Path) -> None:
    assert len(printed_by(*(reporter(tmp_path, tmp_path / "gone", "no images") for _ in range(2)))) == 2
