"""Bad values for Train PyTorch Model, through its YAML: refused before the job, or by the job, always by name."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from pytorch_designer.errors import (
    GreaterThanOrEqualToError,
    NullOrEmptyError,
    ParameterError,
    ParameterParsingError,
)
from pytorch_designer.harness.job.rendering import render_command
from pytorch_designer.harness.schema.component_file import read_component
from pytorch_designer.harness.schema.specification import InputValue
from pytorch_designer.harness.schema.values import check_values
from pytorch_designer.harness.testing.runner import Runner

TOP = Path(__file__).parents[3]
TRAIN = TOP / "component.yaml"
COMPONENTS = [TRAIN, *sorted((TOP / "components").glob("*.yaml"))]

WHOLE = [
    ("0", GreaterThanOrEqualToError),
    ("-1", GreaterThanOrEqualToError),
    ("1.5", ParameterParsingError),
    ("five", ParameterParsingError),
    ("nan", ParameterParsingError),
    ("inf", ParameterParsingError),
    ("1e400", ParameterParsingError),
    ("", ParameterError),
    ("True", ParameterParsingError),
]
RATES = [
    ("0", GreaterThanOrEqualToError),
    ("-1", GreaterThanOrEqualToError),
    ("nan", ParameterParsingError),
    ("-inf", ParameterError),
    ("fast", ParameterParsingError),
    ("1e400", ParameterParsingError),
]
BAD = [(name, *value) for name in ("epochs", "batch_size", "patience") for value in WHOLE]
BAD += [("learning_rate", *value) for value in RATES]
BAD += [("random_seed", "0.5", ParameterParsingError), ("random_seed", "a", ParameterParsingError)]


def folders(tmp_path: Path) -> dict[str, Path]:
    paths = {name: tmp_path / name for name in ("untrained_model", "training_dataset", "validation_dataset")}
    for path in paths.values():
        path.mkdir()
    return paths


@pytest.mark.parametrize(("name", "value", "error"), BAD)
def test_bad_value_in_the_yaml_job_is_refused_by_name(
    name: str, value: str, error: type[ParameterError], tmp_path: Path
) -> None:
    with pytest.raises(error) as caught:
        check_values(read_component(TRAIN), {**folders(tmp_path), name: value})
    assert caught.value.where == name


@pytest.mark.parametrize(
    ("name", "value"),
    [("random_seed", "-1"), ("random_seed", str(2**63)), ("random_seed", str(10**30)), ("learning_rate", "5e-324")],
)
def test_extreme_value_is_taken(name: str, value: str, tmp_path: Path) -> None:
    assert check_values(read_component(TRAIN), {**folders(tmp_path), name: value})[name] is not None


@pytest.fixture(scope="module")
def lax_component(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The component with parameters of which nothing is known, as a client may send them that checks nothing."""
    content = yaml.safe_load(TRAIN.read_text(encoding="utf-8"))
    for port in content["inputs"].values():
        if port["type"] != "uri_folder":
            port["type"] = "string"
            port.pop("min", None)
            port["default"] = str(port["default"])
    content["code"] = str(TOP / "src")
    content["environment"]["build"]["path"] = str(TOP / "environment")
    content.pop("distribution", None)
    path = tmp_path_factory.mktemp("lax") / "component.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("epochs", "0", GreaterThanOrEqualToError),
        ("epochs", " ", NullOrEmptyError),
        ("batch_size", "1e400", ParameterParsingError),
        ("learning_rate", "nan", ParameterParsingError),
        ("learning_rate", "-1e-3", GreaterThanOrEqualToError),
    ],
)
def test_value_that_azure_ml_lets_through_is_refused_by_the_component(
    lax_component: Path, name: str, value: str, error: type[ParameterError], tmp_path: Path
) -> None:
    runner = Runner(tmp_path / "runs")
    run = runner.run_component(lax_component, inputs=folders(tmp_path), parameters={name: value}, has_mlflow=False)
    assert run.exit_code == 1
    assert run.error_info is not None
    assert (run.error_info["name"], run.error_info["where"]) == (error.__name__, name)
    assert "Traceback" not in run.log
    assert not list(run.outputs["trained_model"].glob("_meta.yaml"))


HOSTILE_TEXTS = [
    "; touch planted",
    "$(touch planted)",
    "`touch planted`",
    "' ; touch planted ; '",
    '" ; touch planted ; "',
    "a\ntouch planted\n",
    "&& touch planted",
    "| touch planted #",
    "a \\",
    "$HOME ${PATH} $((1+1)) !! ~ *",
    "--pretrained",
    "ünï 日本",
    "",
]


@pytest.mark.parametrize("path", COMPONENTS, ids=lambda path: path.stem)
def test_each_text_is_chosen_from_a_list_or_passed_where_no_shell_reads_it(path: Path) -> None:
    spec = read_component(path)
    free = [port.name for port in spec.inputs.values() if port.type == "string" and not port.choices]
    assert free == (["model_name"] if path.stem == "image_model" else [])


@pytest.mark.skipif(os.name != "posix", reason="shells")
@pytest.mark.parametrize("shell", ["bash", "sh"])
@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_a_free_text_reaches_our_component_as_it_is(tmp_path: Path, text: str, shell: str) -> None:
    spec = read_component(TOP / "components" / "image_model.yaml")
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nfor word; do echo "[$word]"; done > words\ncat > text\n', encoding="utf-8")
    python.chmod(0o755)
    values: dict[str, InputValue] = {"model_name": text, "pretrained": False}
    command = render_command(spec, values, {name: tmp_path / name for name in spec.outputs})

    environment = {"PATH": f"{python.parent}:/usr/bin:/bin"}
    subprocess.run(
        [shell, "-c", command], cwd=tmp_path, env=environment, check=True, stdin=subprocess.DEVNULL, timeout=300
    )

    assert not (tmp_path / "planted").exists()
    assert (tmp_path / "text").read_text(encoding="utf-8") == f"{text}\n"
    words = [word[1:-1] for word in (tmp_path / "words").read_text(encoding="utf-8").splitlines()]
    output = str(tmp_path / "untrained_model")
    assert words[2:] == ["image-model", "--model-name", "-", "--pretrained", "False", "--untrained-model", output]


@pytest.mark.slow
@pytest.mark.parametrize("text", ["$(touch planted)", "' ; touch planted ; '", "a\ntouch planted"])
def test_a_hostile_text_is_refused_by_our_component_itself(tmp_path: Path, text: str) -> None:
    run = Runner(tmp_path / "runs").run_component(
        TOP / "components" / "image_model.yaml", parameters={"model_name": text, "pretrained": False}, has_mlflow=False
    )

    run.assert_failed(ParameterParsingError)
    assert run.error_info is not None
    assert run.error_info["where"] == "model_name"
    assert not list(tmp_path.rglob("planted"))
