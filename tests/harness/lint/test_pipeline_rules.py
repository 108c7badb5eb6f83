from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pytorch_designer.harness.lint.linter import lint
from pytorch_designer.harness.schema.spec_faults import SpecFault
from tests.harness.lint.lint_files import COMPONENT, PIPELINE, PIPELINE_COMPONENT, PREPARE

IMAGES = "images: ${{parent.jobs.prepare.outputs.images}}"
RAW = "raw: ${{parent.inputs.raw}}"
# rule, text that is replaced in the pipeline job, its replacement, text at which the finding must stand
MISTAKES = [
    ("refused-key", "display_name: Train a model", "titel: Train", "titel"),
    ("misspelled-key", "  default_compute", "  defualt_compute", "defualt_compute"),
    ("misspelled-key", "    environment_variables:", "    enviroment_variables:", "enviroment"),
    ("unknown-key", "    environment_variables:", "    variables:", "variables"),
    ("missing-key", "    command: ls ${{inputs.model}}\n", "", "show"),
    ("wrong-value", "  show:\n    type: command", "  show:\n    type: comand", "comand"),
    ("wrong-value", "azureml:base:1", "azureml:base", "azureml:base\n"),
    ("wrong-value", "epochs: 3", "epochs:", "epochs:\noutputs"),
    ("missing-path", "component: prepare.yaml", "component: gone.yaml", "gone.yaml"),
    ("missing-data", "path: ./data", "path: ./gone", "./gone"),
    ("node-name", "  show:\n", "  Show-It:\n", "Show-It"),
    ("node-type-mismatch", "  prepare:\n    type: command", "  prepare:\n    type: pipeline", "pipeline\n    comp"),
    ("unknown-job", IMAGES, "images: ${{parent.jobs.prepared.outputs.images}}", "${{parent.jobs.prepared."),
    ("unknown-port", IMAGES, "images: ${{parent.jobs.prepare.outputs.image}}", "${{parent.jobs.prepare.outputs.image}"),
    ("unknown-pipeline-input", RAW, "raw: ${{parent.inputs.row}}", "${{parent.inputs.row}}"),
    (
        "unknown-pipeline-input",
        "SHOWN: ${{parent.inputs.epochs}}",
        "S: ${{parent.inputs.epoch}}",
        "${{parent.inputs.epoch}",
    ),
    ("unknown-pipeline-output", "${{parent.outputs.model}}", "${{parent.outputs.models}}", "${{parent.outputs.models"),
    ("bad-binding", IMAGES, "images: ${{jobs.prepare.outputs.images}}", "${{jobs.prepare"),
    ("bad-binding", IMAGES, "images: ${{parent.jobs.prepare.images}}", "${{parent.jobs.prepare.images"),
    ("bad-binding", RAW, "raw: ${{inputs.raw}}", "${{inputs.raw}}"),
    ("bad-binding", RAW, "raw: ${{parent.inputs.raw}", "${{parent.inputs.raw}"),
    (
        "bad-binding",
        "model: ${{parent.outputs.model}}",
        "model: ${{parent.inputs.raw}}",
        "${{parent.inputs.raw}}\n    env",
    ),
    ("cycle", RAW, "raw: ${{parent.jobs.train.outputs.model}}", "${{parent.jobs.prepare.outputs.images"),
    ("cycle", RAW, "raw: ${{parent.jobs.prepare.outputs.images}}", "${{parent.jobs.prepare.outputs.images"),
    ("unknown-node-input", "optimizer: adam", "optimiser: adam", "optimiser"),
    ("unknown-node-output", "      model: ${{parent.outputs", "      modle: ${{parent.outputs", "modle"),
    ("missing-node-input", f"      {IMAGES}\n", "", "train:"),
    ("value-wrong-type", "epochs: ${{parent.inputs.epochs}}\n      opt", "epochs: many\n      opt", "many"),
    ("value-out-of-range", "epochs: ${{parent.inputs.epochs}}\n      opt", "epochs: 0\n      opt", "0\n      opt"),
    ("value-out-of-range", "epochs: 3", "epochs: 11", "11"),
    ("value-not-in-enum", "optimizer: adam", "optimizer: lion", "lion"),
    ("type-mismatch", IMAGES, "images: ${{parent.jobs.prepare.outputs.listing}}", "${{parent.jobs.prepare.outputs.l"),
    ("data-mismatch", RAW, "raw: ${{parent.inputs.epochs}}", "${{parent.inputs.epochs}}"),
    ("unused-pipeline-input", RAW, "raw: ./data", "raw:"),
    ("unbound-pipeline-output", "    outputs:\n      model: ${{parent.outputs.model}}\n", "", "model:\n    type"),
    ("undeclared-input", "ls ${{inputs.model}}", "ls ${{inputs.models}}", "${{inputs.models}}"),
]


def place(text: str, part: str) -> tuple[int, int]:
    before = text[: text.index(part)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def findings(folder: Path, text: str) -> tuple[SpecFault, ...]:
    (folder / "pipeline.yaml").write_text(text, encoding="utf-8")
    return lint([folder / "pipeline.yaml"]).findings


@pytest.mark.parametrize("text", [PIPELINE, PIPELINE_COMPONENT], ids=["job", "component"])
def test_pipeline_without_mistake_has_no_findings(folder: Path, text: str) -> None:
    assert findings(folder, text) == ()


@pytest.mark.parametrize(("rule_id", "old", "new", "at"), MISTAKES, ids=[f"{m[0]}-{i}" for i, m in enumerate(MISTAKES)])
def test_mistake_is_found_where_it_is(folder: Path, rule_id: str, old: str, new: str, at: str) -> None:
    assert PIPELINE.count(old) == 1
    text = PIPELINE.replace(old, new)
    found = [(f.kind, (f.place.line, f.place.column)) for f in findings(folder, text)]
    assert (rule_id, place(text, at)) in found


def test_cycle_is_reported_once_with_its_nodes(folder: Path) -> None:
    text = PIPELINE.replace(RAW, "raw: ${{parent.jobs.train.outputs.model}}")
    cycles = [f.message for f in findings(folder, text) if f.kind == "cycle"]
    assert cycles == ["Nodes wait for each other: train -> prepare -> train."]


def test_folders_that_hold_different_things_do_not_fit(folder: Path) -> None:
    text = PIPELINE.replace("model: ${{parent.outputs.model}}", "model: ${{parent.outputs.model}}").replace(
        "  show:\n    type: command\n    command: ls ${{inputs.model}}\n    environment: azureml:base:1\n    inputs:\n"
        "      model:",
        "  again:\n    type: command\n    component: component.yaml\n    inputs:\n      images:",
    )
    found = [(f.kind, f.message) for f in findings(folder, text)]
    assert found == [("port-tag-mismatch", "model holds ModelDirectory, and images expects ImageDirectory.")]


def test_trained_model_fits_where_an_untrained_one_is_expected(folder: Path) -> None:
    component = COMPONENT.replace("port.images: ImageDirectory", "port.images: UntrainedModelDirectory")
    (folder / "component.yaml").write_text(component, encoding="utf-8")
    prepare = PREPARE.replace("ImageDirectory", "ModelDirectory")
    (folder / "prepare.yaml").write_text(prepare, encoding="utf-8")
    assert findings(folder, PIPELINE) == ()


def test_two_nodes_cannot_write_one_output(folder: Path) -> None:
    text = PIPELINE.replace(
        f"      {RAW}\n", f"      {RAW}\n    outputs:\n      images: ${{{{parent.outputs.model}}}}\n"
    )
    assert [f.kind for f in findings(folder, text)] == ["output-bound-twice"]


def test_optional_pipeline_input_cannot_feed_a_required_input(folder: Path) -> None:
    text = PIPELINE_COMPONENT.replace(
        "  raw:\n    type: uri_folder\n", "  raw:\n    type: uri_folder\n    optional: true\n"
    )
    assert [f.kind for f in findings(folder, text)] == ["optional-to-required"]


def test_registered_components_are_taken_on_trust(folder: Path) -> None:
    text = PIPELINE.replace("component: prepare.yaml", "component: azureml:prepare:1").replace(
        "outputs.images", "outputs.x"
    )
    assert findings(folder, text) == ()


def test_job_of_one_pipeline_component_is_checked_like_a_node(folder: Path) -> None:
    (folder / "both.yaml").write_text(PIPELINE_COMPONENT, encoding="utf-8")
    text = "type: pipeline\nexperiment_name: x\ncomponent: both.yaml\ninputs:\n  epochs: 3\n"
    assert [(f.kind, f.message) for f in findings(folder, text)] == [
        ("missing-node-input", "The node pipeline leaves out raw, which its component requires.")
    ]


def test_nested_pipeline_component_is_a_node_like_any_other(folder: Path) -> None:
    (folder / "both.yaml").write_text(PIPELINE_COMPONENT, encoding="utf-8")
    text = (
        "type: pipeline\nexperiment_name: x\njobs:\n  inner:\n    type: pipeline\n    component: both.yaml\n"
        "    inputs:\n      raw: data\n      epochs: 2.5\n"
    )
    assert [f.kind for f in findings(folder, text)] == ["value-wrong-type"]


def test_sweep_gives_inputs_by_its_search_space(folder: Path) -> None:
    text = (
        "type: pipeline\nexperiment_name: x\njobs:\n  search:\n    type: sweep\n    trial: component.yaml\n"
        "    inputs:\n      images: data\n    search_space:\n      rate: {type: uniform, min_value: 0, max_value: 1}\n"
        "      speed: {type: choice, values: [1]}\n    objective: {goal: minimize, primary_metric: loss}\n"
        "    limits: {max_total_trials: 2}\n"
    )
    assert [(f.kind, f.place.line) for f in findings(folder, text)] == [("unknown-node-input", 11)]


def test_condition_may_name_a_node(folder: Path) -> None:
    text = PIPELINE + (
        "  decide:\n    type: if_else\n    condition: ${{parent.jobs.prepare.outputs.listing}}\n"
        "    true_block: ${{parent.jobs.train}}\n    false_block: ${{parent.jobs.sleep}}\n"
    )
    assert [(f.kind, f.message) for f in findings(folder, text)] == [("unknown-job", "The pipeline has no node sleep.")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this platform")
@pytest.mark.parametrize(("make", "kind"), [(Path.mkdir, "a folder"), (os.mkfifo, "a named pipe")])
def test_what_is_in_the_place_of_a_component_file_is_named(
    make: Callable[[Path], None], kind: str, folder: Path
) -> None:
    (folder / "prepare.yaml").unlink()
    make(folder / "prepare.yaml")
    messages = [finding.message for finding in lint([folder / "pipeline.yaml"]).findings]
    assert f"The component file prepare.yaml is {kind}." in messages
