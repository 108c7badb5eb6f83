"""The command line in real processes: help, exit codes, messages, error_info.json."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from pytorch_designer import __version__
from pytorch_designer.cli.commands.component_command import run_component
from pytorch_designer.cli.main import main
from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.components.train_pytorch_model import COMPONENT as TRAIN
from pytorch_designer.errors import NullOrEmptyError
from pytorch_designer.spec.component import Component
from tests.commands import run_fresh as run


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    shown = capsys.readouterr().out
    assert all(component.command in shown for component in COMPONENTS.values())
    assert main([]) == 0


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"pytorch-designer {__version__}\n"


def test_unknown_command_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tarin"]) == 2
    assert "no command tarin; did you mean train?" in capsys.readouterr().err


@pytest.mark.slow
def test_help_and_parameter_errors_import_nothing_heavy(tmp_path: Path) -> None:
    program = (
        "import sys; from pytorch_designer.cli.main import main; "
        "main(['train-pytorch-model', '--epochs', '0']); main(['--help']); "
        "print([name for name in ('torch', 'mlflow', 'pyarrow', 'matplotlib', 'azure', 'rich') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_missing_input_is_reported_before_torch_is_imported(tmp_path: Path) -> None:
    commands = [
        arguments_of(component, {port.name: "x" for port in component.inputs}, "out")
        for component in COMPONENTS.values()
        if component.inputs
    ]
    shown = refused_without_torch(tmp_path, commands)
    assert shown.count("There is no such") == len(commands)
    assert not (tmp_path / "out").exists()


def _leave_file(output: Path) -> None:
    (output / "mine.txt").write_text("mine")


def _leave_result(output: Path) -> None:
    (output / "_meta.yaml").write_text("type: ModelDirectory\n")


@pytest.mark.slow
@pytest.mark.parametrize("leave", [_leave_file, _leave_result])
def test_every_command_refuses_an_occupied_output_before_torch_is_imported(
    tmp_path: Path, leave: Callable[[Path], None]
) -> None:
    (tmp_path / "out").mkdir()
    leave(tmp_path / "out")
    commands = [
        arguments_of(component, {port.name: "in" for port in component.inputs}, "out")
        for component in COMPONENTS.values()
    ]
    shown = refused_without_torch(tmp_path, [*commands, ["train", "in", "--output", "out"]])
    found = [line for line in shown.splitlines() if line.startswith("FailedToWriteOutputsError (0160): ")]
    assert len(found) == len(commands) + 1
    assert all("The output folder is not empty; nothing in it was changed." in line for line in found)
    assert (leave is _leave_file) == ("mine.txt" in shown)


def arguments_of(component: Component[Any], inputs: dict[str, str], first_output: str) -> list[str]:
    first, *others = [port.name for port in component.outputs]
    folders = inputs | dict.fromkeys(others, "other") | {first: first_output}
    return [component.command, *(f"--{name.replace('_', '-')}={folder}" for name, folder in folders.items())]


def refused_without_torch(folder: Path, commands: list[list[str]]) -> str:
    """Standard error of commands that fail one after the other, in a process that does not import torch."""
    program = (
        "import sys; from pytorch_designer.cli.main import main; "
        f"codes = [main(arguments) for arguments in {commands!r}]; print(codes, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == f"{[1] * len(commands)} False", done.stderr
    return done.stderr


@pytest.mark.slow
def test_named_error_has_exit_code_1_a_message_and_error_info(tmp_path: Path) -> None:
    done = run("train-pytorch-model", "--epochs", "five", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "ParameterParsingError (0002): Parameter epochs cannot be 'five'.",
        "  Where: epochs",
        "  What to do: Give a whole number of at least 1; the default is 5.",
        "  Details: outputs/error_info.json",
    ]
    info = json.loads((tmp_path / "outputs/error_info.json").read_text())
    assert (info["name"], info["code"], info["where"]) == ("ParameterParsingError", "0002", "epochs")


@pytest.mark.slow
def test_traceback_is_shown_when_asked_for(tmp_path: Path) -> None:
    done = run("train-pytorch-model", "--epochs", "five", cwd=tmp_path, PYTORCH_DESIGNER_TRACEBACK="1")
    assert done.returncode == 1
    assert "Traceback" in done.stderr


@pytest.mark.slow
def test_error_info_goes_where_it_is_asked_for_and_a_stale_one_is_removed(tmp_path: Path) -> None:
    info = tmp_path / "elsewhere" / "error.json"
    run("resnet", "--model-name", "resnet19", cwd=tmp_path, PYTORCH_DESIGNER_ERROR_INFO=str(info))
    assert info.is_file()
    done = run(
        "resnet",
        *("--model-name", "resnet18", "--pretrained", "false", "--untrained-model", "model"),
        cwd=tmp_path,
        PYTORCH_DESIGNER_ERROR_INFO=str(info),
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not info.exists()


@pytest.mark.slow
def test_bad_environment_variable_is_a_named_error(tmp_path: Path) -> None:
    done = run("train-pytorch-model", cwd=tmp_path, PYTORCH_DESIGNER_CACHE_BYTES="lots")
    assert done.returncode == 1
    assert "PYTORCH_DESIGNER_CACHE_BYTES" in done.stderr


@pytest.mark.slow
def test_unknown_option_is_a_usage_error(tmp_path: Path) -> None:
    done = run("train-pytorch-model", "--epoch", "3", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no option --epoch; did you mean --epochs?" in done.stderr


@pytest.mark.parametrize("port", ["untrained_model", "training_dataset", "validation_dataset", "trained_model"])
def test_port_that_is_not_connected_is_named(port: str) -> None:
    ports = ["untrained_model", "training_dataset", "validation_dataset", "trained_model"]
    connected = [f"--{name.replace('_', '-')}=x" for name in ports if name != port]
    with pytest.raises(NullOrEmptyError, match=f"Port {port} is not connected") as caught:
        run_component(TRAIN, connected, "pytorch-designer")
    assert caught.value.where == port


def test_secrets_of_the_environment_are_never_printed(tmp_path: Path) -> None:
    done = run("train-pytorch-model", cwd=tmp_path, AZUREML_TOKEN="s3cr3t-token")
    assert "s3cr3t-token" not in done.stdout + done.stderr
    assert "s3cr3t-token" not in (tmp_path / "outputs/error_info.json").read_text()


class _Interrupts(ModuleType):
    """A module whose import is interrupted by Ctrl-C."""

    def __getattr__(self, name: str) -> object:
        raise KeyboardInterrupt


def test_ctrl_c_while_modules_are_imported_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    name = "pytorch_designer.components.registry"
    monkeypatch.setitem(sys.modules, name, _Interrupts(name))
    assert main(["train-pytorch-model"]) == 130
    assert capsys.readouterr().err == "Interrupted.\n"
