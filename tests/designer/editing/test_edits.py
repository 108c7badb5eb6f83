"""Edits of pipelines: what they make of the spec, and which lines they touch."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytorch_designer.designer.editing.plain_data import read_plain
from pytorch_designer.errors import DesignerError
from tests.designer.pipelines import AWKWARD, PIPELINE, changed_lines, edited

IMAGES = "${{parent.jobs.first.outputs.images}}"


def set_rate(spec: dict[str, Any]) -> None:
    spec["jobs"]["second"]["inputs"]["rate"] = 0.25


def set_fast(spec: dict[str, Any]) -> None:
    spec["jobs"]["second"]["inputs"]["fast"] = True


def default_rate(spec: dict[str, Any]) -> None:
    del spec["jobs"]["second"]["inputs"]["rate"]


def disconnect(spec: dict[str, Any]) -> None:
    del spec["jobs"]["second"]["inputs"]["images"]


def give_data(spec: dict[str, Any]) -> None:
    spec["jobs"]["second"]["inputs"]["start"] = {"type": "uri_folder", "path": "models/start", "mode": "download"}


def rename(spec: dict[str, Any]) -> None:
    jobs = spec["jobs"]
    spec["jobs"] = {"begin" if name == "first" else name: node for name, node in jobs.items()}
    jobs["second"]["inputs"]["images"] = "${{parent.jobs.begin.outputs.images}}"


def remove(spec: dict[str, Any]) -> None:
    del spec["jobs"]["first"]
    del spec["jobs"]["second"]["inputs"]["images"]


def add(spec: dict[str, Any]) -> None:
    spec["jobs"]["train"] = {
        "type": "command",
        "component": "train.yaml",
        "inputs": {"images": IMAGES},
        "properties": {"designer.position": "10 -20"},
    }


def move(spec: dict[str, Any]) -> None:
    for name, place in (("first", "0 5"), ("second", "7 9")):
        spec["jobs"][name]["properties"] = {"designer.position": place}


def comment(spec: dict[str, Any]) -> None:
    spec["jobs"]["first"]["comment"] = "It's: a #1 step\nof two"


def disable(spec: dict[str, Any]) -> None:
    for name in ("first", "second"):
        spec["jobs"][name]["properties"] = {"designer.disabled": "true"}


def settings(spec: dict[str, Any]) -> None:
    spec["jobs"]["second"] |= {
        "compute": "azureml:gpu",
        "distribution": {"type": "mpi", "process_count_per_instance": 4},
        "environment_variables": {"A_1": "5"},
    }
    spec["jobs"]["second"]["resources"] = {"instance_count": 2}


def add_input(spec: dict[str, Any]) -> None:
    spec["inputs"] = {**(spec.get("inputs") or {}), "speed": 0.1}
    spec["jobs"]["second"]["inputs"]["rate"] = "${{parent.inputs.speed}}"


def add_output(spec: dict[str, Any]) -> None:
    spec["outputs"] = {**(spec.get("outputs") or {}), "list": {"type": "uri_file"}}
    spec["jobs"]["first"]["outputs"] = {"listing": "${{parent.outputs.list}}"}


def describe(spec: dict[str, Any]) -> None:
    spec["description"] = "New: text"
    spec["settings"] = {"force_rerun": True}


def duplicate(spec: dict[str, Any]) -> None:
    jobs = spec["jobs"]
    jobs["first_2"], jobs["second_2"] = copy.deepcopy(jobs["first"]), copy.deepcopy(jobs["second"])
    jobs["second_2"]["inputs"]["images"] = "${{parent.jobs.first_2.outputs.images}}"
    if (jobs["second_2"].get("outputs") or {}).pop("model", None):
        del jobs["second_2"]["outputs"]


EDITS: dict[str, tuple[list[dict[str, Any]], Any]] = {
    "set a value": ([{"op": "set_value", "node": "second", "port": "rate", "value": 0.25}], set_rate),
    "set a value that was not given": (
        [{"op": "set_value", "node": "second", "port": "fast", "value": "true"}],
        set_fast,
    ),
    "back to the default": ([{"op": "set_value", "node": "second", "port": "rate", "value": None}], default_rate),
    "disconnect": ([{"op": "disconnect", "node": "second", "port": "images"}], disconnect),
    "give data": (
        [{"op": "set_data", "node": "second", "port": "start", "type": "uri_folder", "path": "models/start",
          "mode": "download"}],
        give_data,
    ),
    "rename a node": ([{"op": "rename_node", "name": "first", "to": "begin"}], rename),
    "remove a node": ([{"op": "remove_nodes", "names": ["first"]}], remove),
    "add a node": (
        [{"op": "add_node", "reference": "train", "position": {"x": 10.4, "y": -20},
          "connect": {"port": "images", "from": {"node": "first", "port": "images"}}}],
        add,
    ),
    "move nodes": ([{"op": "move_nodes", "positions": {"first": {"x": 0, "y": 5}, "second": {"x": 7, "y": 9}}}], move),
    "comment": ([{"op": "set_comment", "node": "first", "text": "It's: a #1 step\nof two"}], comment),
    "disable": ([{"op": "set_disabled", "names": ["first", "second"], "disabled": True}], disable),
    "settings": (
        [
            {"op": "set_setting", "node": "second", "key": "compute", "value": "azureml:gpu"},
            {"op": "set_setting", "node": "second", "key": "resources.instance_count", "value": 2},
            {"op": "set_setting", "node": "second", "key": "distribution.process_count_per_instance", "value": "4"},
            {"op": "set_setting", "node": "second", "key": "environment_variables.A_1", "value": 5},
        ],
        settings,
    ),
    "an input of the pipeline": (
        [{"op": "set_value", "node": "second", "port": "rate", "value": None},
         {"op": "add_input", "name": "speed", "type": "number", "connect": {"node": "second", "port": "rate"}}],
        add_input,
    ),
    "an output of the pipeline": (
        [{"op": "add_output", "name": "list", "source": {"node": "first", "port": "listing"}}],
        add_output,
    ),
    "settings of the pipeline": (
        [{"op": "set_pipeline", "key": "description", "value": "New: text"},
         {"op": "set_pipeline", "key": "settings.force_rerun", "value": True}],
        describe,
    ),
    "duplicate": ([{"op": "duplicate_nodes", "names": ["first", "second"], "offset": {"x": 0, "y": 0}}], duplicate),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", AWKWARD)
def test_the_text_after_an_edit_is_read_as_the_spec_edited(name: str, edit: str, shared_project: Path) -> None:
    text = AWKWARD[name]
    edits, change = EDITS[edit]
    spec = read_plain(text)
    change(spec)
    assert read_plain(edited(text, *edits, folder=shared_project)) == spec


@pytest.mark.parametrize("edit", EDITS)
@pytest.mark.parametrize("name", [name for name in AWKWARD if name != "anchors"])
def test_lines_of_other_nodes_and_all_comments_outside_stay(name: str, edit: str, shared_project: Path) -> None:
    text = AWKWARD[name]
    edits, _ = EDITS[edit]
    gone, come = changed_lines(text, edited(text, *edits, folder=shared_project))
    assert len(gone) <= {"remove a node": 13, "settings of the pipeline": 5}.get(edit, 2), gone
    if edit not in {"remove a node", "back to the default", "disconnect", "an input of the pipeline"}:
        comments = [line.partition("#")[2].strip() for line in gone if "#" in line]
        assert all(any(comment in line for line in come) for comment in comments), (gone, come)
    ends = {line[len(line.rstrip("\r\n")) :] for line in come}
    assert ends <= {"\r\n" if "\r\n" in text else "\n", ""}


@pytest.mark.parametrize(
    ("edits", "gone", "come"),
    [
        (EDITS["set a value"][0], ["      rate: 0.5  # fast\n"], ["      rate: 0.25  # fast\n"]),
        (EDITS["back to the default"][0], ["      rate: 0.5  # fast\n"], []),
        (
            EDITS["rename a node"][0],
            ["  first:\n", "      images: ${{parent.jobs.first.outputs.images}}\n"],
            ["  begin:\n", "      images: ${{parent.jobs.begin.outputs.images}}\n"],
        ),
        (
            [{"op": "rename_input", "name": "rows", "to": "num_rows"}],
            ["  rows: 5\n", "      rows: ${{parent.inputs.rows}}\n"],
            ["  num_rows: 5\n", "      rows: ${{parent.inputs.num_rows}}\n"],
        ),
        (
            [{"op": "rename_output", "name": "model", "to": "best"}],
            ["  model:\n", "      model: ${{parent.outputs.model}}\n"],
            ["  best:\n", "      model: ${{parent.outputs.best}}\n"],
        ),
        (
            [{"op": "remove_output", "name": "model"}],
            [
                *("\n", "outputs:\n", "  model:\n", "    type: uri_folder\n"),
                *("    outputs:\n", "      model: ${{parent.outputs.model}}\n"),
            ],
            [],
        ),
        ([{"op": "set_output", "name": "model", "path": "out"}], [], ["    path: out\n"]),
        (
            [{"op": "remove_input", "name": "rows"}],
            ["  rows: 5\n", "      rows: ${{parent.inputs.rows}}\n"],
            [],
        ),
        (
            [{"op": "set_input", "name": "raw", "path": "more"}, {"op": "set_input", "name": "rows", "value": 6}],
            ["    path: data  # what is there\n", "  rows: 5\n"],
            ["    path: more  # what is there\n", "  rows: 6\n"],
        ),
        (
            [{"op": "connect", "node": "second", "port": "rate", "from": {"input": "rows"}}],
            ["      rate: 0.5  # fast\n"],
            ["      rate: ${{parent.inputs.rows}}  # fast\n"],
        ),
        (EDITS["move nodes"][0], [], ["    properties:\n", "      designer.position: 0 5\n", "    properties:\n",
                                      "      designer.position: 7 9\n"]),
    ],
)  # fmt: skip
def test_an_edit_changes_only_its_lines(
    edits: list[dict[str, Any]], gone: list[str], come: list[str], shared_project: Path
) -> None:
    assert changed_lines(PIPELINE, edited(PIPELINE, *edits, folder=shared_project)) == (gone, come)


def test_a_whole_number_of_the_pipeline_may_become_another_number(shared_project: Path) -> None:
    text = edited(PIPELINE, {"op": "set_input", "name": "rows", "value": "0.5"}, folder=shared_project)
    assert changed_lines(PIPELINE, text) == (["  rows: 5\n"], ["  rows: 0.5\n"])


def test_an_edit_that_changes_nothing_keeps_every_byte(shared_project: Path) -> None:
    for text in AWKWARD.values():
        same = [{"op": "set_value", "node": "second", "port": "rate", "value": 0.5}]
        assert edited(text, *same, folder=shared_project) == text


def test_moving_back_to_no_place_gives_the_text_from_before(shared_project: Path) -> None:
    there = edited(PIPELINE, *EDITS["move nodes"][0], folder=shared_project)
    back = {"op": "move_nodes", "positions": {"first": None, "second": None}}
    assert edited(there, back, folder=shared_project) == PIPELINE


def test_a_node_that_is_enabled_again_has_the_text_from_before(shared_project: Path) -> None:
    there = edited(PIPELINE, *EDITS["disable"][0], folder=shared_project)
    back = {"op": "set_disabled", "names": ["first", "second"], "disabled": False}
    assert edited(there, back, folder=shared_project) == PIPELINE


def test_nodes_of_a_component_and_nodes_that_decide_are_not_disabled(shared_project: Path) -> None:
    edit = {"op": "set_disabled", "names": ["choose"], "disabled": True}
    job = "type: pipeline\njobs:\n  choose: {type: if_else, condition: true, true_block: x}\n"
    component = f"$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json\n{job}"
    for text, message in ((job, "choose runs nothing itself"), (component, "choose is a node of a component")):
        with pytest.raises(DesignerError, match=message):
            edited(text, edit, folder=shared_project)


def test_what_nodes_share_stays_shared_by_the_others(shared_project: Path) -> None:
    text = edited(
        AWKWARD["anchors"],
        {"op": "set_value", "node": "first", "port": "rows", "value": 9},
        folder=shared_project,
    )
    spec = yaml.safe_load(text)
    assert [spec["jobs"][name]["inputs"]["rows"] for name in ("first", "other", "third")] == [9, 5, 5]
    assert "inputs: &given" in text
    assert "<<: *given" in text


def test_a_key_of_a_merge_is_overridden_where_it_is_set_and_written_out_where_it_is_removed(
    shared_project: Path,
) -> None:
    change = {"op": "set_value", "node": "third", "port": "rows", "value": 7}
    assert changed_lines(AWKWARD["anchors"], edited(AWKWARD["anchors"], change, folder=shared_project)) == (
        [],
        ["      rows: 7\n"],
    )
    removed = yaml.safe_load(edited(AWKWARD["anchors"], {**change, "value": None}, folder=shared_project))
    assert list(removed["jobs"]["third"]["inputs"]) == ["raw", "kind"]


def test_pasted_nodes_keep_their_links_among_each_other_and_lose_those_to_what_is_not_there(
    shared_project: Path,
) -> None:
    pasted = """
first:   # copied
    type: command
    component: prepare.yaml
    inputs: {raw: "${{parent.inputs.elsewhere}}", rows: 2}
    properties: {designer.position: 100 100}
last:
    type: command
    component: train.yaml
    inputs:
        images: ${{parent.jobs.first.outputs.images}}
        start: ${{parent.jobs.gone.outputs.model}}
    properties: {designer.position: 150 120}
"""
    text = edited(PIPELINE, {"op": "paste_nodes", "yaml": pasted, "position": {"x": 0, "y": 0}}, folder=shared_project)
    assert text.startswith(PIPELINE)
    jobs = yaml.safe_load(text)["jobs"]
    assert jobs["first_2"]["inputs"] == {"rows": 2}
    assert jobs["last"]["inputs"] == {"images": "${{parent.jobs.first_2.outputs.images}}"}
    assert [jobs[name]["properties"]["designer.position"] for name in ("first_2", "last")] == ["0 0", "50 20"]
    assert "first_2:   # copied" in text


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"op": "connect", "node": "second", "port": "images", "from": {"node": "first", "port": "images"}}, "taken"),
    ({"op": "connect", "node": "second", "port": "start", "from": {"node": "first", "port": "images"}}, "types"),
    ({"op": "connect", "node": "second", "port": "start", "from": {"node": "first", "port": "listing"}}, "types"),
    ({"op": "connect", "node": "second", "port": "fast", "from": {"input": "raw"}}, "types"),
    ({"op": "connect", "node": "second", "port": "start", "from": {"node": "second", "port": "model"}}, "circle"),
    ({"op": "connect", "node": "second", "port": "nothing", "from": {"node": "first", "port": "images"}}, "no_port"),
    ({"op": "connect", "node": "second", "port": "start", "from": {"node": "first", "port": "nothing"}}, "no_port"),
    ({"op": "connect", "node": "second", "port": "start", "from": {"node": "nobody", "port": "x"}}, "no_node"),
    ({"op": "connect", "node": "second", "port": "start", "from": {"input": "nothing"}}, "no_input"),
    ({"op": "add_node", "reference": "train", "name": "first"}, "name_taken"),
    ({"op": "add_node", "reference": "train", "name": "First Step"}, "name"),
    ({"op": "rename_node", "name": "first", "to": "second"}, "name_taken"),
    ({"op": "rename_node", "name": "first", "to": "1st"}, "name"),
    ({"op": "rename_node", "name": "nobody", "to": "somebody"}, "no_node"),
    ({"op": "remove_nodes", "names": ["nobody"]}, "no_node"),
    ({"op": "remove_nodes", "names": []}, "bad_edit"),
    ({"op": "set_value", "node": "second", "port": "images", "value": "x"}, "types"),
    ({"op": "set_value", "node": "second", "port": "rate", "value": [1]}, "bad_edit"),
    ({"op": "set_value", "node": "second", "port": "rate", "value": float("nan")}, "bad_edit"),
    ({"op": "set_data", "node": "second", "port": "rate", "path": "x", "type": "uri_folder"}, "types"),
    ({"op": "set_data", "node": "second", "port": "start", "path": "x", "type": "folder"}, "bad_edit"),
    ({"op": "set_data", "node": "second", "port": "start", "path": " ", "type": "uri_folder"}, "bad_edit"),
    ({"op": "move_nodes", "positions": {"first": {"x": "1", "y": 2}}}, "bad_edit"),
    ({"op": "move_nodes", "positions": {"first": {"x": 1e300, "y": 2}}}, "bad_edit"),
    ({"op": "set_setting", "node": "first", "key": "identity", "value": "x"}, "bad_edit"),
    ({"op": "set_setting", "node": "first", "key": "resources.instance_count", "value": 0}, "bad_edit"),
    ({"op": "add_input", "name": "rows", "type": "integer"}, "name_taken"),
    ({"op": "add_input", "name": "x y", "type": "integer"}, "name"),
    ({"op": "add_input", "name": "x", "type": "tensor"}, "bad_edit"),
    ({"op": "set_input", "name": "rows", "description": "x"}, "not_editable"),
    ({"op": "rename_input", "name": "rows", "to": "raw"}, "name_taken"),
    ({"op": "remove_input", "name": "nothing"}, "no_input"),
    ({"op": "add_output", "name": "again", "source": {"node": "second", "port": "model"}}, "taken"),
    ({"op": "add_output", "name": "model", "source": {"node": "first", "port": "images"}}, "name_taken"),
    ({"op": "add_output", "name": "x", "source": {"node": "first", "port": "nothing"}}, "no_port"),
    ({"op": "rename_output", "name": "nothing", "to": "x"}, "no_output"),
    ({"op": "set_pipeline", "key": "jobs", "value": "x"}, "bad_edit"),
    ({"op": "set_pipeline", "key": "settings.force_rerun", "value": "yes"}, "bad_edit"),
    ({"op": "paste_nodes", "yaml": "- 1", "position": None}, ""),
    ({"op": "paste_nodes", "yaml": "a: 1", "position": None}, "bad_edit"),
    ({"op": "dance"}, "bad_edit"),
    ({"no": "op"}, "bad_edit"),
]


@pytest.mark.parametrize(("edit", "reason"), REFUSED, ids=lambda value: str(value)[:60])
def test_an_edit_that_makes_no_sense_is_refused_by_name(
    edit: dict[str, Any], reason: str, shared_project: Path
) -> None:
    with pytest.raises(DesignerError) as error:
        edited(PIPELINE, {"op": "set_pipeline", "key": "description", "value": "x"}, edit, folder=shared_project)
    assert (error.value.reason or "") == reason
    assert error.value.where


def test_a_link_is_replaced_in_its_line_on_request(shared_project: Path) -> None:
    more = edited(PIPELINE, {"op": "add_node", "reference": "prepare", "name": "third"}, folder=shared_project)
    link = {"op": "connect", "node": "second", "port": "images", "from": {"node": "third", "port": "images"}}
    assert changed_lines(more, edited(more, {**link, "replaces": True}, folder=shared_project)) == (
        ["      images: ${{parent.jobs.first.outputs.images}}\n"],
        ["      images: ${{parent.jobs.third.outputs.images}}\n"],
    )


def test_a_circle_over_several_nodes_is_refused(shared_project: Path) -> None:
    chain = edited(
        PIPELINE,
        {"op": "add_node", "reference": "train", "name": "third",
         "connect": {"port": "start", "from": {"node": "second", "port": "model"}}},
        folder=shared_project,
    )  # fmt: skip
    back = {"op": "connect", "node": "first", "port": "raw", "from": {"node": "third", "port": "model"}}
    with pytest.raises(DesignerError) as error:
        edited(chain, back, folder=shared_project)
    assert error.value.reason == "circle"


def test_a_node_without_component_has_a_description_instead_of_a_comment(shared_project: Path) -> None:
    text = "type: pipeline\njobs:\n  a:\n    type: command\n    command: echo\n    environment: azureml:e:1\n"
    after = edited(text, {"op": "set_comment", "node": "a", "text": "Says it."}, folder=shared_project)
    assert yaml.safe_load(after)["jobs"]["a"]["description"] == "Says it."


def test_blocks_of_a_condition_follow_a_renamed_node(shared_project: Path) -> None:
    text = PIPELINE + "  decide:\n    type: if_else\n    condition: true\n    true_block: ${{parent.jobs.first}}\n"
    renamed = edited(text, {"op": "rename_node", "name": "first", "to": "begin"}, folder=shared_project)
    assert "true_block: ${{parent.jobs.begin}}" in renamed


def test_all_nodes_can_be_removed_and_the_first_one_added_again(shared_project: Path) -> None:
    none = edited(PIPELINE, {"op": "remove_nodes", "names": ["first", "second"]}, folder=shared_project)
    assert none.endswith("\njobs: {}\n")
    one = edited(none, {"op": "add_node", "reference": "train"}, folder=shared_project)
    assert one.endswith("\njobs:\n  train:\n    type: command\n    component: train.yaml\n")


_DECIDES = """\
  decide:
    type: if_else
    condition: ${{parent.jobs.first.outputs.is_good}}
    true_block: ${{parent.jobs.second}}
"""


@pytest.mark.parametrize(
    ("text", "section"),
    [
        (PIPELINE + _DECIDES, "properties"),
        (
            f"$schema: https://azuremlschemas.azureedge.net/latest/pipelineComponent.schema.json\nname: steps\n"
            f"{PIPELINE.split(chr(10), 2)[2].replace('    path: data  # what is there', '')}{_DECIDES}",
            "tags",
        ),
    ],
    ids=["job", "component"],
)
def test_what_has_no_properties_has_its_place_in_the_pipeline(text: str, section: str, shared_project: Path) -> None:
    def after(before: str, **edit: Any) -> str:
        return edited(before, edit, folder=shared_project)

    places = {"decide": {"x": 1, "y": 2}, "input:raw": {"x": -3, "y": 4}, "first": {"x": 5, "y": 6}}
    moved = after(text, op="move_nodes", positions=places)
    kept = yaml.safe_load(moved)
    assert kept[section] == {"designer.position.jobs.decide": "1 2", "designer.position.inputs.raw": "-3 4"}
    assert kept["jobs"]["first"]["properties"] == {"designer.position": "5 6"}
    assert after(moved, op="move_nodes", positions=dict.fromkeys(places)) == text

    renamed = after(after(moved, op="rename_node", name="decide", to="choose"), op="rename_input", name="raw", to="new")
    assert yaml.safe_load(renamed)[section] == {
        "designer.position.jobs.choose": "1 2",
        "designer.position.inputs.new": "-3 4",
    }
    removed = after(after(renamed, op="remove_nodes", names=["choose"]), op="remove_input", name="new")
    assert section not in yaml.safe_load(removed)
    with pytest.raises(DesignerError) as error:
        after(text, op="move_nodes", positions={"input:nothing": {"x": 1, "y": 2}})
    assert error.value.reason == "no_input"


@pytest.mark.parametrize("text", ["\xa0", "\xa0a", "a\xa0", "\u2003 \u3000", " a ", "\u3000\nb\xa0\n"])
@pytest.mark.parametrize("written", ["", "description: \xa0b\xa0\n", "description: |\n  b\xa0\n"])
@pytest.mark.parametrize("name", ["display_name", "description"])
def test_blanks_of_unicode_around_a_text_are_kept(text: str, written: str, name: str, shared_project: Path) -> None:
    before = f"type: pipeline\n{written}jobs:\n  a: {{type: command, component: train.yaml}}\n"
    edit = {"op": "set_pipeline", "key": name, "value": text}

    after = read_plain(edited(before, edit, folder=shared_project))

    assert after == read_plain(before) | {name: text}
