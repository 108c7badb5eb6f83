"""Places that a command is started in: locales, foreign modules, signals, no home and no temporary folder (CASE 37)."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from pytorch_designer.cli.boundary import run_guarded
from pytorch_designer.cli.main import main
from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.directories.scores.data_frame_directory import ScoredImagesWriter
from pytorch_designer.spec.component import dashed
from tests.commands import run_fresh as run
from tests.directories.hand_built import PNG

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
# What Python itself imports before it begins with a module of ours is left out: types, contextlib and the like.
FOREIGN_MODULES = ("queue", "random", "logging", "argparse", "json", "numpy", "pydantic", "platform", "tempfile")


@pytest.mark.slow
def test_the_locale_changes_no_name(tmp_path: Path) -> None:
    for name in ("caf\u00e9", "\u732b"):
        (tmp_path / "bilder\u00fc" / name).mkdir(parents=True)
        (tmp_path / "bilder\u00fc" / name / "\u00fc.png").write_bytes(PNG)
    outputs = []
    for locale in ({}, ASCII):
        output = tmp_path / f"ausg\u00e4nge{len(locale)}"
        done = run(
            "convert-to-image-directory", "--input-dataset", "bilder\u00fc", "--output-image-directory", output.name,
            cwd=tmp_path, **locale,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        outputs.append({path.name: path.read_bytes() for path in output.rglob("*") if path.suffix in {".lst", ".json"}})
    assert outputs[0] == outputs[1]
    assert outputs[0]


@pytest.mark.slow
def test_an_error_quotes_names_in_any_locale(tmp_path: Path) -> None:
    done = run("split-image-directory", "--fraction", "\u00bd", cwd=tmp_path, **ASCII)
    assert done.returncode == 1
    assert "\u00bd" in done.stderr
    assert "\u00bd" in json.loads((tmp_path / "outputs/error_info.json").read_text(encoding="utf-8"))["message"]


@pytest.mark.slow
def test_nothing_is_imported_from_the_working_directory(tmp_path: Path) -> None:
    for name in FOREIGN_MODULES:
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')", encoding="utf-8")
    done = run("split-image-directory", "--fraction", "7", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "LessThanOrEqualToError" in done.stderr


@pytest.mark.slow
def test_the_command_imports_nothing_at_all_from_the_working_directory(tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("pytorch-designer")
    for name in (*FOREIGN_MODULES, "types", "contextlib", "re", "enum", "runpy", "sitecustomize", "pytorch_designer"):
        (tmp_path / f"{name}.py").write_text(f"raise SystemExit('{name} was imported')", encoding="utf-8")
    done = subprocess.run(
        [command, "split-image-directory", "--fraction", "7"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "LessThanOrEqualToError" in done.stderr


@pytest.mark.slow
def test_a_folder_on_the_path_of_modules_stays_there(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    program = "import runpy, sys; runpy.run_module('pytorch_designer', run_name='__main__', alter_sys=True)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.argv[1:] = ['--version']; sys.path[:1] = ['{tmp_path / 'modules'}']\n"
         f"try:\n    {program}\nfinally:\n    print(sys.path[0])"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines()[-1] == str(tmp_path / "modules"), done.stderr


IMPORT_TORCHVISION = ("apply_image_transformation", "image_model", "train_pytorch_model", "score_image_model")
WITHOUT_TEMPORARY_FOLDER = """
import sys, tempfile
tempfile._candidate_tempdir_list = lambda: ["/proc/nothing"]
from pytorch_designer.cli.main import main
sys.exit(main())
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="folders of other systems")
def test_a_component_runs_without_a_temporary_folder_or_refuses_at_once(tmp_path: Path) -> None:
    (tmp_path / "images/cat").mkdir(parents=True)
    (tmp_path / "images/cat/1.png").write_bytes(PNG)
    (tmp_path / "scored").mkdir()
    with ScoredImagesWriter(tmp_path / "scored", class_names=["cat"], has_labels=True, has_text_ids=False) as writer:
        writer.write(ids=[0], files=["0.png"], labels=["cat"], probabilities=np.ones((1, 1)))
    need_none = {
        "convert-to-image-directory": ("--input-dataset", "images", "--output-image-directory", "converted"),
        "init-image-transformation": ("--output-image-transformation", "transformation"),
        "evaluate-model": ("--scored-dataset", "scored", "--evaluation-results", "evaluated"),
    }
    need_one = {
        component.command: [
            text for port in (*component.inputs, *component.outputs) for text in (f"--{dashed(port.name)}", port.name)
        ]
        for component in map(COMPONENTS.__getitem__, IMPORT_TORCHVISION)
    }
    for name, options in {**need_none, **need_one, "train": ["images", "--pretrained", "false"]}.items():
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_TEMPORARY_FOLDER, name, *options],
            cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == (0 if name in need_none else 1), done.stderr
        assert ("UnsupportedEnvironmentError" in done.stderr) == (name not in need_none), done.stderr
        assert ("TMPDIR" in done.stderr) == (name not in need_none)
        assert "Traceback" not in done.stderr
    assert not {"trained_model", "scored_dataset", "untrained_model"} & {path.name for path in tmp_path.iterdir()}


def test_a_library_that_finds_no_temporary_folder_is_told_by_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nothing"])

    def act() -> None:
        tempfile.mkdtemp()

    assert run_guarded(act) == 1
    assert capsys.readouterr().err.startswith("UnsupportedEnvironmentError (P002): ")


LONG = "x" * 300
TAKE_A_PATH = {
    "input": ["inspect", LONG],
    "output": ["init-image-transformation", "--output-image-transformation", LONG],
    "folder of an output": ["init-image-transformation", "--output-image-transformation", f"{LONG}/t"],
    "YAML": ["lint", LONG],
    "job": ["run", f"{LONG}.yaml"],
    "images": ["train", LONG],
    "images for the rate": ["find-learning-rate", LONG],
    "project": ["designer", LONG],
    "demo": ["demo", "--output", LONG],
}


@pytest.mark.parametrize("arguments", TAKE_A_PATH.values(), ids=TAKE_A_PATH)
def test_a_path_that_this_system_cannot_have_is_named(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert "File name too long" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("place", ["a file/output", "a file/more/output"])
def test_an_output_inside_a_file_is_refused_at_once(
    place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a file").touch()
    assert main(["image-model", "--untrained-model", place]) == 1
    assert f"inside a file.\n  Where: {tmp_path / 'a file'}" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="folders of other systems are not removed under a process")
@pytest.mark.parametrize("component", ["image-model", "densenet"])
def test_torch_is_not_loaded_in_a_working_directory_that_was_removed(component: str, tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    command = [sys.executable, "-m", "pytorch_designer", component, "--untrained-model", str(tmp_path / "model")]
    done = subprocess.run(
        ["/bin/sh", "-c", f"rmdir ../gone; exec {shlex.join(command)}"],
        cwd=tmp_path / "gone", capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert done.stderr.startswith("UnsupportedEnvironmentError (P002): The folder that this command was started in")


@pytest.mark.skipif(os.name != "posix", reason="a working directory that can be removed")
@pytest.mark.parametrize(
    "command",
    [["run", "pipeline.yaml"], ["runs", "list"], ["demo"], ["train", "images"], ["find-learning-rate", "images"]],
)
def test_a_working_directory_that_was_removed_is_named(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "pipeline.yaml").write_text("type: pipeline\njobs: {a: {type: command, command: a}}\n")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    absolute = [str(tmp_path / word) if (tmp_path / word).exists() else word for word in command]
    assert main(absolute) == 1
    assert "The folder that this command was started in was removed." in capsys.readouterr().err


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_ends_a_command_as_it_would_end_any_and_lets_it_clean_up(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    cleaned = []

    def action() -> None:
        try:
            signal.raise_signal(number)
        finally:
            cleaned.append(True)

    assert run_guarded(action) == 128 + number
    assert cleaned
    assert capsys.readouterr().err == f"Interrupted by {name}.\n"
    assert signal.getsignal(number) is before


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_an_error_after_an_interruption_that_a_library_has_swallowed_is_the_interruption(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    number = getattr(signal, name)
    # Whoever starts the tests may ignore it.
    before = signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)

    def action() -> None:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(number)
        raise RecursionError("a module that is imported by half")

    try:
        assert run_guarded(action) == 128 + number
    finally:
        signal.signal(number, before)
    assert "Traceback" not in capsys.readouterr().err


def test_a_hang_up_that_nohup_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert run_guarded(lambda: signal.raise_signal(signal.SIGHUP)) == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_bug_with_escape_sequences_in_its_text_does_not_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    def action() -> None:
        raise ValueError("cat\x1b[2J\x1b]0;title\x07")

    assert run_guarded(action) == 1
    assert "\x1b" not in capsys.readouterr().err
