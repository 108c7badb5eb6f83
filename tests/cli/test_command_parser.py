"""Mistakes on a command line: named first, in two lines, with what was probably meant."""

from __future__ import annotations

from typing import Any

import pytest

from pytorch_designer.addresses import local_path
from pytorch_designer.cli.command_parser import CommandParser, joined_options
from pytorch_designer.cli.main import main
from pytorch_designer.components.registry import COMPONENTS
from pytorch_designer.spec.component import Component

OTHER_COMMANDS = ("train", "inspect", "run", "cache", "lint", "register", "submit", "demo")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines of standard error of a command line that is refused as wrong usage."""
    try:
        assert main(arguments) == 2
    except SystemExit as exit_:
        assert exit_.code == 2  # noqa: PT017 (either way of saying so)
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trian photos", "there is no command trian; did you mean train?"),
        ("score_image_model", "there is no command score_image_model; did you mean score-image-model?"),
        ("zzz", "there is no command zzz."),
        ("train photos --batch_size 8", "there is no option --batch_size; did you mean --batch-size?"),
        ("train --epoch 3", "there is no option --epoch; did you mean --epochs?"),
        ("train photos -epochs 3", "there is no option -epochs; did you mean --epochs?"),
        ("train photos --zoom", "there is no option --zoom."),
        ("train photos more", "more does not follow the name of an option."),
        ("run c.yaml --inputs x=y", "there is no option --inputs; did you mean --input?"),
        ("lint --formats x c.yaml", "there is no option --formats; did you mean --format?"),
        ("submit --steam p.yaml", "there is no option --steam; did you mean --stream?"),
        ("register --regestry r", "there is no option --regestry; did you mean --registry?"),
        ("demo --outptu x", "there is no option --outptu; did you mean --output?"),
        ("inspect photos --agains others", "there is no option --agains; did you mean --against?"),
        ("cache --list", "there is no option --list."),
    ],
)
def test_a_mistake_is_named_first_with_what_was_meant(
    capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    shown = refused(capsys, *line.split())
    assert shown[0].startswith("pytorch-designer")
    assert shown[0].partition(": ")[2] == message
    assert len(shown) == 2
    assert "--help` " in shown[1]


@pytest.mark.parametrize("command", [*(component.command for component in COMPONENTS.values()), *OTHER_COMMANDS])
def test_no_command_shows_its_help_above_a_mistake(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert refused(capsys, command, "--zzz") == [
        f"pytorch-designer {command}: there is no option --zzz.",
        f"`pytorch-designer {command} --help` shows what it takes.",
    ]


@pytest.mark.parametrize("component", COMPONENTS.values(), ids=lambda component: component.name)
def test_a_port_or_parameter_in_its_own_spelling_is_recognized(
    capsys: pytest.CaptureFixture[str], component: Component[Any]
) -> None:
    names = [port.name for port in (*component.inputs, *component.outputs)]
    for name in (*names, *(spec.name for spec in component.parameter_specs)):
        if "_" in name:
            first = refused(capsys, component.command, f"--{name}", "x")[0]
            assert first.endswith(f"did you mean --{name.replace('_', '-')}?")


def test_values_are_joined_to_their_options_and_flags_are_not() -> None:
    flags = frozenset({"--help", "--augment"})
    given = ["--augment", "photos", "--learning-rate", "-1e-3", "--output=x", "--epochs"]
    assert joined_options(given, flags) == ["--augment", "photos", "--learning-rate=-1e-3", "--output=x", "--epochs"]


def test_flags_are_the_options_without_a_value() -> None:
    parser = CommandParser(prog="x")
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--output", type=local_path)
    assert parser.flags == {"-h", "--help", "--augment"}
