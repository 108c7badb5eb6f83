"""Documents as the page has them: nodes, bindings, ports, settings, and faults at their nodes and ports."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.designer.document.component_library import ComponentLibrary
from pytorch_designer.designer.document.component_palette import ComponentPalette
from pytorch_designer.designer.document.document_model import DocumentContent, read_document
from pytorch_designer.harness.schema.pipeline_file import pipeline_spec
from pytorch_designer.harness.schema.yaml_tree import parse_yaml
from tests.designer.pipelines import AWKWARD, PIPELINE, edited

IMAGES = "${{parent.jobs.first.outputs.images}}\n"


def content(text: str, project: Path) -> DocumentContent:
    library = ComponentLibrary()
    palette = ComponentPalette(project, library)
    return read_document(text, project / "pipeline.yaml", library, palette.at)


def faults(text: str, project: Path) -> list[tuple[Any, ...]]:
    found = content(text, project).faults
    return [(fault["line"], fault["node"], fault["port"], fault["rule"], fault["severity"]) for fault in found]


def test_a_pipeline_is_shown_with_everything_in_it(project: Path) -> None:
    found = content(PIPELINE, project)
    assert (found.name, found.read_only, found.faults) == ("Two steps", None, [])
    assert found.settings == {"display_name": "Two steps", "type": "pipeline"}
    first, second = found.nodes
    assert first["inputs"] == {"raw": {"kind": "pipeline", "name": "raw"}, "rows": {"kind": "pipeline", "name": "rows"}}
    assert (first["kind"], first["reference"], first["position"], first["line"]) == (
        "command",
        "prepare.yaml",
        None,
        18,
    )
    component = first["component"]
    assert (component["display_name"], component["category"], component["version"]) == (
        "Prepare Images",
        "Data",
        "1.2.0",
    )
    assert [
        (port["name"], port["type"], port["directory_type"]) for port in component["inputs"] + component["outputs"]
    ] == [
        ("raw", "uri_folder", "AnyDirectory"),
        ("images", "uri_folder", "ImageDirectory"),
        ("listing", "uri_file", None),
    ]
    assert component["parameters"][0] == {
        "name": "rows",
        "type": "integer",
        "default": 3,
        "minimum": 1,
        "maximum": 10,
        "choices": None,
        "optional": False,
        "description": "How many.",
    }
    assert component["parameters"][1]["choices"] == ["plain", "striped"]
    assert second["comment"] == "Uses ${{parent.jobs.first.outputs.images}}."
    assert second["inputs"] == {
        "images": {"kind": "node", "node": "first", "port": "images"},
        "rate": {"kind": "value", "value": 0.5},
    }
    assert second["outputs"] == {"model": {"kind": "pipeline", "name": "model"}}
    assert second["settings"] == {
        "compute": None,
        "instance_count": None,
        "process_count_per_instance": None,
        "environment_variables": {},
    }
    assert found.inputs == [
        {
            "name": "raw",
            "type": "uri_folder",
            "value": None,
            "path": "data",
            "optional": False,
            "description": "",
            "position": None,
        },
        {
            "name": "rows",
            "type": "integer",
            "value": 5,
            "path": None,
            "optional": False,
            "description": "",
            "position": None,
        },
    ]
    assert found.outputs == [
        {"name": "model", "type": "uri_folder", "path": None, "source": {"node": "second", "port": "model"}}
    ]  # fmt: skip


def test_settings_positions_data_and_expressions_are_shown(project: Path) -> None:
    text = PIPELINE.replace(
        "      rate: 0.5  # fast\n",
        """\
      rate: 0.5
      start: {type: mlflow_model, path: azureml:m:1, mode: download}
    compute: azureml:gpu
    resources: {instance_count: 2}
    distribution: {type: mpi, process_count_per_instance: 4}
    environment_variables: {A: 1, B: null}
    properties: {designer.position: 12 -5}
""",
    ).replace("raw: ${{parent.inputs.raw}}", "raw: {type: uri_folder, path: '${{parent.inputs.raw}}/part'}")
    first, second = content(text, project).nodes
    assert (
        first["inputs"]["raw"]
        == {"kind": "data", "path": "${{parent.inputs.raw}}/part", "type": "uri_folder", "mode": None}
        or first["inputs"]["raw"]["kind"] == "expression"
    )
    assert second["inputs"]["start"] == {
        "kind": "data",
        "path": "azureml:m:1",
        "type": "mlflow_model",
        "mode": "download",
    }
    assert second["position"] == {"x": 12, "y": -5}
    assert second["settings"] == {
        "compute": "azureml:gpu", "instance_count": 2, "process_count_per_instance": 4,
        "environment_variables": {"A": "1", "B": ""},
    }  # fmt: skip


def test_disabled_nodes_and_what_needs_them_say_so_and_keep_their_faults(project: Path) -> None:
    text = edited(PIPELINE, {"op": "set_disabled", "names": ["first"], "disabled": True}, folder=project)
    found = content(text.replace("rate: 0.5", "rate: fast"), project)
    assert [node["left_out"] for node in found.nodes] == ["disabled", "needs first"]
    assert [(fault["node"], fault["port"]) for fault in found.faults] == [("second", "rate")]


FAULTS: list[tuple[str, str, tuple[Any, ...]]] = [
    ("rate: 0.5", "rate: fast", (31, "second", "rate", "value-wrong-type", "error")),
    ("rate: 0.5", "rate: -1", (31, "second", "rate", "value-out-of-range", "error")),
    ("first.outputs.images}}\n      rate", "first.outputs.listing}}\n      rate",
     (30, "second", "images", "type-mismatch", "warning")),
    ("first.outputs.images}}\n      rate", "nobody.outputs.x}}\n      rate",
     (30, "second", "images", "unknown-job", "error")),
    ("component: train.yaml", "component: gone.yaml", (27, "second", None, "missing-path", "error")),
    ("      raw: ${{parent.inputs.raw}}  # the folder\n", "", (18, "first", "raw", "missing-node-input", "error")),
    ("path: data", "path: nowhere", (9, None, "raw", "NullOrEmptyError", "error")),
    ("rows: ${{parent.inputs.rows}}", "kind: plain", (10, None, "rows", "unused-pipeline-input", "warning")),
    ("    component: prepare.yaml", "    component: prepare.yaml\n    compute_target: x",
     (21, "first", None, "unknown-key", "warning")),
]  # fmt: skip


@pytest.mark.parametrize(("replaced", "by", "fault"), FAULTS, ids=lambda value: str(value)[:40])
def test_faults_stand_at_their_node_and_port(replaced: str, by: str, fault: tuple[Any, ...], project: Path) -> None:
    assert replaced in PIPELINE
    assert fault in faults(PIPELINE.replace(replaced, by, 1), project)


@pytest.mark.parametrize(("replaced", "by"), [("rate: 0.5", "rate: fast"), ("path: data", "path: nowhere")])
def test_what_linter_and_plan_both_find_is_said_once(replaced: str, by: str, project: Path) -> None:
    assert len(content(PIPELINE.replace(replaced, by), project).faults) == 1


def test_a_fault_of_a_component_stands_at_every_node_that_uses_it(project: Path) -> None:
    file = project / "train.yaml"
    file.write_text(file.read_text().replace("${{inputs.rate}}", "${{inputs.rates}}"))
    third = "  third:\n    type: command\n    component: train.yaml\n    inputs:\n      images: " + IMAGES
    found = content(PIPELINE + third, project).faults
    undeclared = [fault for fault in found if fault["rule"] == "undeclared-input"]
    assert [(fault["node"], fault["line"]) for fault in undeclared] == [("second", 27), ("third", 36)]
    assert undeclared[0]["message"].startswith("train.yaml:")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("jobs: {a: [\n", "The file is not valid YAML"),
        ("a: 1\na: 2\n", "The key 'a' occurs twice"),
        ("- 1\n", "The file holds no YAML mapping"),
        ("", "The file holds no YAML mapping"),
        ("a: 1\n", "This file is neither a component nor a job"),
        ("type: command\ncommand: echo\nenvironment: x\nname: a\nversion: 1\n", "This file is a command component"),
        ("type: pipeline\ncomponent: other.yaml\n", "This job only runs one pipeline component"),
    ],
)  # fmt: skip
def test_what_is_no_pipeline_says_why_it_is_read_only(text: str, reason: str, project: Path) -> None:
    found = content(text, project)
    assert found.read_only is not None
    assert found.read_only.startswith(reason)
    assert found.nodes == []


@pytest.mark.parametrize("cut", range(0, len(PIPELINE), 37))
def test_a_pipeline_that_is_half_written_is_shown_or_says_why_not(cut: int, project: Path) -> None:
    found = content(PIPELINE[:cut], project)
    assert found.read_only is not None or isinstance(found.nodes, list)


@pytest.mark.parametrize("name", AWKWARD)
def test_awkwardly_written_pipelines_have_their_nodes(name: str, project: Path) -> None:
    found = content(AWKWARD[name], project)
    assert {"first", "second"} <= {node["name"] for node in found.nodes}
    assert found.nodes[0]["component"]["name"] == "prepare"


def test_control_nodes_and_inline_commands_have_ports(project: Path) -> None:
    text = """\
type: pipeline
jobs:
  say:
    type: command
    command: echo ${{inputs.word}} > ${{outputs.said}}
    environment: azureml:e:1
    inputs: {word: hello}
    outputs: {said: {type: uri_file}}
  decide:
    type: if_else
    condition: ${{parent.jobs.say.outputs.said}}
    true_block: ${{parent.jobs.say}}
"""
    say, decide = content(text, project).nodes
    assert say["component"]["reference"] == ""
    assert [port["name"] for port in say["component"]["parameters"]] == ["word"]
    assert [port["name"] for port in say["component"]["outputs"]] == ["said"]
    assert (decide["kind"], decide["component"]) == ("if_else", None)
    assert decide["inputs"] == {"condition": {"kind": "node", "node": "say", "port": "said"}}
    assert decide["outputs"] == {"true_block": {"kind": "node", "node": "say", "port": ""}}


def test_a_nested_pipeline_is_a_node_with_the_ports_of_the_pipeline(project: Path) -> None:
    inner = PIPELINE.replace("rows: 5", "rows: {type: integer, default: 5}").replace(
        "    path: data  # what is there\n", ""
    )
    (project / "inner.yaml").write_text(inner.replace("type: pipeline\n", "type: pipeline\nname: inner\nversion: 1\n"))
    (node,) = content("type: pipeline\njobs:\n  a:\n    component: inner.yaml\n", project).nodes
    assert (node["kind"], node["component"]["kind"]) == ("pipeline", "pipeline")
    assert [port["name"] for port in node["component"]["inputs"]] == ["raw"]
    assert [port["name"] for port in node["component"]["outputs"]] == ["model"]


def test_the_palette_has_categories_and_keeps_components_that_do_not_load(project: Path) -> None:
    schema = "$schema: https://azuremlschemas.azureedge.net/latest/commandComponent.schema.json\n"
    (project / "own").mkdir()
    (project / "own" / "broken.yaml").write_text(schema + "type: command\nname: [\n")
    (project / "own" / "no_command.yaml").write_text(schema + "type: command\nname: idle\nenvironment: x\n")
    (project / "own" / "settings.yaml").write_text("a: 1\n")
    (project / "runs").mkdir()
    (project / "runs" / "kept.yaml").write_text((project / "train.yaml").read_text())
    (project / "pipeline.yaml").write_text(PIPELINE)
    palette = ComponentPalette(project, ComponentLibrary())
    shown = {
        category["name"]: {component["reference"]: component["fault"] for component in category["components"]}
        for category in palette.to_dict()["categories"]
    }
    assert shown["Data"] == {"prepare.yaml": None}
    assert shown["Learning"] == {"train.yaml": None}
    others = shown["Other Components"]
    assert list(others) == ["own/broken.yaml", "own/no_command.yaml"]
    assert others["own/broken.yaml"].startswith("The file is not valid YAML")
    assert others["own/no_command.yaml"] == "Line 1: command is missing."
    (project / "own" / "broken.yaml").write_text((project / "train.yaml").read_text())
    again = [component for category in palette.to_dict()["categories"] for component in category["components"]]
    assert {component["reference"]: component["fault"] for component in again}["own/broken.yaml"] is None


def test_a_component_that_changes_is_read_again(project: Path) -> None:
    library = ComponentLibrary()
    palette = ComponentPalette(project, library)
    file = project / "train.yaml"
    for default in ("0.1", "0.25"):
        file.write_text(file.read_text().replace("default: 0.1", f"default: {default}"))
        found = read_document(PIPELINE, project / "pipeline.yaml", library, palette.at)
        assert found.nodes[1]["component"]["parameters"][0]["default"] == float(default)


def test_100_nodes_are_read_in_a_moment(project: Path) -> None:
    """Measured 0.10 s alone; the bound is one of processor time, which a busy machine hardly changes."""
    node = PIPELINE.partition("  second:")[2]
    chain = "".join(
        f"  train_{number}:{node.replace('model: ${{parent.outputs.model}}', 'model:')}" for number in range(98)
    )
    library = ComponentLibrary()
    palette = ComponentPalette(project, library)
    read_document(PIPELINE, project / "pipeline.yaml", library, palette.at)
    started = time.process_time()
    found = read_document(PIPELINE + chain, project / "pipeline.yaml", library, palette.at)
    assert len(found.nodes) == 100
    assert time.process_time() - started < 1.5


def test_positions_and_comments_change_neither_what_runs_nor_what_is_reused(project: Path) -> None:
    moved = edited(
        PIPELINE,
        {"op": "move_nodes", "positions": {"first": {"x": 1, "y": 2}, "second": {"x": 3, "y": 4}}},
        {"op": "set_comment", "node": "first", "text": "moved"},
        folder=project,
    )
    assert content(moved, project).faults == []
    before, after = (pipeline_spec(parse_yaml(text, project / "pipeline.yaml")) for text in (PIPELINE, moved))
    assert {name: replace(node, place=before.nodes[name].place) for name, node in after.nodes.items()} == before.nodes
