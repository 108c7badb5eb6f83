"""Addresses given for a path: every path of every command is told from an address before anything is done with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.cli.commands.component_command import run_component
from pytorch_designer.cli.main import main
from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.errors import UnsupportedLocallyError

ADDRESSES = ("https://example.org/pets.zip", "azureml://datastores/store/paths/pets", "azureml:pets:1", "s3://pets/all")
PORTS = [(component, port) for component in COMPONENTS.values() for port in (*component.inputs, *component.outputs)]


@pytest.mark.parametrize(("component", "port"), PORTS, ids=lambda item: item.name)
def test_no_port_takes_an_address_for_a_folder(component: Any, port: Any, tmp_path: Path) -> None:
    ports = {item.name: str(tmp_path / item.name) for item in (*component.inputs, *component.outputs)}
    for address in ADDRESSES:
        given = ports | {port.name: address}
        arguments = [f"--{name.replace('_', '-')}={value}" for name, value in given.items()]
        with pytest.raises(UnsupportedLocallyError) as caught:
            run_component(component, arguments, "pytorch-designer")
        assert caught.value.what == f"{address} is an address, not a path on this machine."
        assert caught.value.where == port.name


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "ADDRESS"),
        ("train", "photos", "--validation", "ADDRESS"),
        ("train", "photos", "--model", "ADDRESS"),
        ("train", "photos", "--output", "ADDRESS"),
        ("run", "ADDRESS"),
        ("run", "COMPONENT", "--output", "trained_model=ADDRESS"),
        ("run", "COMPONENT", "--input", "untrained_model=ADDRESS"),
        ("run", "COMPONENT", "--run-folder", "ADDRESS"),
        ("run", "COMPONENT", "--assets", "ADDRESS"),
        ("inspect", "ADDRESS"),
        ("inspect", "photos", "--against", "ADDRESS"),
        ("lint", "ADDRESS"),
        ("components", "ADDRESS"),
        ("register", "ADDRESS"),
        ("submit", "ADDRESS"),
        ("demo", "--output", "ADDRESS"),
    ],
    ids=" ".join,
)
def test_no_command_takes_an_address_for_a_path(
    arguments: tuple[str, ...],
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    component = Path(__file__).parents[2] / "component.yaml"
    filled = [text.replace("ADDRESS", address).replace("COMPONENT", str(component)) for text in arguments]
    assert main([*filled, *_other_inputs(arguments)]) == 1
    first = capsys.readouterr().err.splitlines()[0]
    assert first == f"UnsupportedLocallyError (P005): {address} is an address, not a path on this machine."
    assert {path.name for path in tmp_path.iterdir()} == {"outputs"}


def _other_inputs(arguments: tuple[str, ...]) -> list[str]:
    """The inputs that a component needs before its outputs are looked at."""
    if arguments[:2] != ("run", "COMPONENT"):
        return []
    ports = ("untrained_model", "training_dataset", "validation_dataset")
    given = [f"{port}={Path(__file__).parent}" for port in ports if not any(port in text for text in arguments)]
    return [text for value in given for text in ("--input", value)]
