"""`pytorch-designer runs` and `run --watch`, `--dry-run`, `--only`, as a user sees them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pytorch_designer.cli.main import main
from tests.harness.pipeline_files import FOLDER, node, text_of, write_pipeline

OUT = {"out": FOLDER}


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTORCH_DESIGNER_REUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    needs = {"d": "${{parent.jobs.first.outputs.out}}"}
    long_name = "a_node_whose_name_is_longer_than_any_table_is_wide"
    jobs = {
        "first": node(
            "echo ${{inputs.word}} > ${{outputs.out}}/x", inputs={"word": "${{parent.inputs.word}}"}, outputs=OUT
        ),
        long_name: node("cat ${{inputs.d}}/x; exit $(cat code)", inputs=needs),
    }
    (tmp_path / "code").write_text("3", encoding="utf-8")
    jobs[long_name]["code"] = "code"
    return write_pipeline(tmp_path, jobs, inputs={"word": "w"})


def _said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(arguments)
    captured = capsys.readouterr()
    return code, captured.out + captured.err


def test_runs_are_listed_shown_and_compared_within_80_columns(
    tmp_path: Path, pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _said(capsys, "runs", "list") == (0, f"There are no runs in {tmp_path}/runs.\n")
    run = ("run", str(pipeline), "--no-mlflow", "--run-folder")
    code, table = _said(capsys, *run, "runs/one")
    assert code == 1
    (tmp_path / "code").write_text("0", encoding="utf-8")
    assert _said(capsys, *run, "runs/two", "--param", "word=other")[0] == 0

    code, listed = _said(capsys, "runs", "list")
    assert code == 0
    rows = [line.split() for line in listed.splitlines()]
    assert [(row[0], row[-2], row[-1]) for row in rows[1:]] == [("completed", "2/2", "two"), ("failed", "1/2", "one")]

    code, shown = _said(capsys, "runs", "show", "one")
    assert code == 0
    for text in ("State       failed after", "word = w", "first", "The job ended with exit code 3."):
        assert text in shown
    assert _said(capsys, "runs", "show")[1].startswith("Run         two\n"), "the last one"

    code, compared = _said(capsys, "runs", "compare", "one", "two")
    assert "* word                        w                        other\n" in compared
    assert "  first " not in compared, "its word differs, so its result does"
    assert _said(capsys, "runs", "compare")[1] == compared, "the last two"
    paths = (str(tmp_path), "Pipeline ", "Python ", "Details")
    for line in "\n".join((listed, shown, compared, table.partition("Failed after")[2])).splitlines():
        assert len(line) <= 80 or any(text in line for text in paths), line


def test_events_are_printed_from_any_number(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", str(pipeline), "--no-mlflow", "--run-folder", "runs/one"])
    capsys.readouterr()

    lines = _said(capsys, "runs", "events", "one")[1].splitlines()

    assert '"event": "run_started"' in lines[0]
    assert _said(capsys, "runs", "events", "one", "--after", "3")[1].splitlines() == lines[3:]


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (("runs", "show", "gone"), 1, "There is no run 'gone'."),
        (("runs", "show"), 1, "There is no run in this folder."),
        (("runs", "cancel", "gone", "a"), 1, "There is no run 'gone'."),
        (("runs", "compare", "--al"), 2, "did you mean --all?"),
        (("runs", "lst"), 2, "invalid choice: 'lst'"),
        (("runs",), 2, "ACTION"),
        (("run", "pipeline.yaml", "--only", "firs"), 1, "Did you mean first?"),
        (("run", "pipeline.yaml", "--only", "first", "--from", "first"), 2, "exclude each other"),
        (("run", "pipeline.yaml", "--watch", "--force-rerun"), 2, "--watch excludes"),
        (("run", "component.yaml", "--from", "x"), 2, "--from is for pipelines only"),
        (("run", "component.yaml", "--dry-run"), 2, "--dry-run is for pipelines only"),
    ],
)
@pytest.mark.usefixtures("pipeline")
def test_wrong_usage_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, text: str
) -> None:
    (tmp_path / "component.yaml").write_text("{type: command, name: c, command: 'true'}", encoding="utf-8")
    try:
        found = main(arguments)
    except SystemExit as error:
        found = int(str(error.code))
    captured = capsys.readouterr()

    assert (found, text in captured.err) == (code, True), captured.err
    assert not list((tmp_path / "runs").glob("*")), "what was refused leaves no folder"


def test_a_dry_run_says_what_would_run_and_why(
    tmp_path: Path, pipeline: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["run", str(pipeline), "--no-mlflow"])
    capsys.readouterr()
    before = sorted(tmp_path.rglob("*"))

    code, said = _said(capsys, "run", str(pipeline), "--dry-run", "--param", "word=other")

    assert code == 0
    assert "  first                                 runs: parameter word: w -> other\n" in said
    assert "open: depends on what first will write" in said
    assert said.endswith("Nothing was run, because of --dry-run.\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_the_summary_says_why_a_node_ran(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", str(pipeline), "--no-mlflow"])

    said = _said(capsys, "run", str(pipeline), "--no-mlflow", "--explain-reuse", "--param", "word=other")[1]

    assert "  first                                 runs: parameter word: w -> other\n" in said
    assert "      ran because: parameter word: w -> other\n" in said


def test_a_run_that_has_ended_is_not_canceled(pipeline: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["run", str(pipeline), "--no-mlflow", "--run-folder", "runs/one"])
    capsys.readouterr()

    assert _said(capsys, "runs", "cancel", "one") == (1, "one has ended already; nothing was done.\n")
    assert _said(capsys, "runs", "cancel", "one", "first")[0] == 1


@pytest.mark.slow
def test_a_watched_pipeline_runs_again_when_a_file_changes(tmp_path: Path, pipeline: Path) -> None:
    command = [sys.executable, "-m", "pytorch_designer", "run", str(pipeline), "--no-mlflow", "--watch"]
    lines: list[str] = []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, encoding="utf-8")
    assert process.stdout is not None
    reader = threading.Thread(target=lambda: lines.extend(process.stdout or ()))
    reader.start()

    def wait_for(text: str, count: int = 1) -> None:
        deadline = time.monotonic() + 60
        while sum(text in line for line in lines) < count and time.monotonic() < deadline:
            time.sleep(0.05)
        assert sum(text in line for line in lines) == count, "".join(lines)

    try:
        wait_for("Watching the files")
        assert any("1 completed, 1 failed" in line for line in lines)
        (tmp_path / "code").write_text("0", encoding="utf-8")
        wait_for("Watching the files", 2)
        assert any("1 completed, 1 reused" in line for line in lines)
        whole = text_of(pipeline)
        pipeline.write_text(whole.replace("jobs:", "jbs:"), encoding="utf-8")
        wait_for("Watching the files", 3)
        pipeline.write_text(whole, encoding="utf-8")
        wait_for("Watching the files", 4)
        assert any("2 reused" in line for line in lines)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)
        reader.join(60)
        process.stdout.close()
    assert process.returncode == 0, "that of the last run"
    assert not any("Traceback" in line for line in lines)


def test_the_faults_of_a_pipeline_are_written_down_for_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pipeline(
        tmp_path, {"a": {**node("true"), "inputs": {"x": "${{parent.inputs.gone}}"}}, "b": {"type": "spark"}}
    )

    assert main(["run", "pipeline.yaml", "--no-mlflow"]) == 1

    faults = json.loads(text_of(tmp_path / "outputs" / "error_info.json"))["faults"]
    found = [(fault["node"], fault["port"], fault["class"], fault["line"] > 0) for fault in faults]
    assert ("b", None, "UnsupportedLocallyError", True) in found
    assert {"file", "column", "keys", "message", "advice"} <= faults[0].keys()
