"""Property: whatever is edited in whatever pipeline, the text is read as the spec edited, and undo gives it back."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytorch_designer.designer.editing.plain_data import read_plain
from pytorch_designer.errors import DesignerError
from tests.designer.pipelines import edited

NAMES = ["a", "b", "c", "d"]
TEXTS = st.one_of(
    st.sampled_from(["", "yes", "1e3", "0x1F", "null", "- x", "a: b", "# c", "it's", '"', "a\nb", "ends\n", "ä 画"]),
    st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12),
)
VALUES = st.one_of(
    st.booleans(), st.integers(-(2**40), 2**40), st.floats(allow_nan=False, allow_infinity=False), TEXTS.filter(bool)
)


@st.composite
def pipelines(draw: st.DrawFn) -> str:
    """The text of a pipeline, dumped in one of several ways, with comments, anchors or other line ends."""
    jobs: dict[str, Any] = {}
    shared = draw(st.dictionaries(st.sampled_from(["kind", "rows"]), st.integers(0, 9) | st.just("plain"), min_size=1))
    for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True)):
        node: dict[str, Any] = {"type": "command", "component": draw(st.sampled_from(["prepare.yaml", "train.yaml"]))}
        if node["component"] == "prepare.yaml":
            node["inputs"] = shared if draw(st.booleans()) else dict(shared)
        elif jobs:
            source = draw(st.sampled_from(sorted(jobs)))
            node["inputs"] = {"images": f"${{{{parent.jobs.{source}.outputs.images}}}}"}
        if draw(st.booleans()):
            node["comment"] = draw(TEXTS)
        jobs[name] = node
    text = yaml.safe_dump(
        {"type": "pipeline", "display_name": draw(TEXTS), "jobs": jobs},
        sort_keys=False,
        indent=draw(st.sampled_from([2, 4])),
        default_flow_style=draw(st.sampled_from([False, None])),
        width=draw(st.sampled_from([20, 1000])),
        allow_unicode=draw(st.booleans()),
    )
    if draw(st.booleans()):
        text = re.sub(r"^( +)(type|component):(.*)$", r"\1# note\n\1\2:\3  # kept", text, flags=re.MULTILINE)
    if draw(st.booleans()):
        text = text.replace("\n", "\r\n")
    return text.rstrip("\r\n") if draw(st.booleans()) else text


NODES = st.sampled_from(NAMES)
PLACES = st.none() | st.fixed_dictionaries({"x": st.integers(-999, 999), "y": st.just(0)})
EDITS = st.one_of(
    st.fixed_dictionaries({"op": st.just("set_value"), "node": NODES, "port": st.just("rate"), "value": VALUES}),
    st.fixed_dictionaries(
        {"op": st.just("set_value"), "node": NODES, "port": st.just("kind"), "value": VALUES | st.none()}
    ),
    st.fixed_dictionaries({"op": st.just("set_comment"), "node": NODES, "text": TEXTS}),
    st.fixed_dictionaries({"op": st.just("rename_node"), "name": NODES, "to": NODES | st.just("e")}),
    st.fixed_dictionaries({"op": st.just("remove_nodes"), "names": st.lists(NODES, min_size=1, unique=True)}),
    st.fixed_dictionaries(
        {"op": st.just("move_nodes"), "positions": st.dictionaries(NODES, PLACES, min_size=1, max_size=1)}
    ),
    st.fixed_dictionaries(
        {"op": st.just("set_disabled"), "names": st.lists(NODES, min_size=1, unique=True), "disabled": st.booleans()}
    ),
    st.fixed_dictionaries({"op": st.just("set_pipeline"), "key": st.just("description"), "value": TEXTS}),
)


def expected(spec: dict[str, Any], edit: dict[str, Any]) -> dict[str, Any]:
    """The spec after an edit that is possible, worked out on plain data."""
    spec = copy.deepcopy(spec)
    jobs = spec["jobs"]
    op, node = edit["op"], jobs.get(edit.get("node"))
    if op == "set_value":
        _put(node, "inputs", edit["port"], edit["value"])
    elif op == "set_comment":
        node.pop("comment", None)
        node |= {"comment": edit["text"]} if edit["text"].strip() else {}
    elif op == "move_nodes":
        ((name, place),) = edit["positions"].items()
        _put(jobs[name], "properties", "designer.position", place and f"{place['x']} {place['y']}")
    elif op == "set_disabled":
        for name in edit["names"]:
            _put(jobs[name], "properties", "designer.disabled", "true" if edit["disabled"] else None)
    elif op == "set_pipeline":
        spec.pop("description", None)
        spec |= {"description": edit["value"]} if edit["value"] else {}
    elif op == "rename_node":
        renamed = {edit["to"] if name == edit["name"] else name: value for name, value in jobs.items()}
        text = yaml.safe_dump({name: value.get("inputs") for name, value in renamed.items()})
        inputs = yaml.safe_load(text.replace(f"parent.jobs.{edit['name']}.", f"parent.jobs.{edit['to']}."))
        spec["jobs"] = {
            name: {**value, "inputs": inputs[name]} if "inputs" in value else value for name, value in renamed.items()
        }
    elif op == "remove_nodes":
        spec["jobs"] = {name: value for name, value in jobs.items() if name not in edit["names"]}
        for value in spec["jobs"].values():
            for port, given_value in list(value.get("inputs", {}).items()):
                if any(f"parent.jobs.{name}." in str(given_value) for name in edit["names"]):
                    _put(value, "inputs", port, None)
    return spec


def _put(node: dict[str, Any], section: str, key: str, value: Any) -> None:
    entries = dict(node.get(section, {}))
    had = bool(entries)
    entries.pop(key, None)
    if value is not None:
        entries[key] = value
    node.pop(section, None)
    if entries or (had and section in node):
        node[section] = entries


def _values_as_typed(spec: dict[str, Any], edit: dict[str, Any], after: dict[str, Any]) -> None:
    """A value is written as its parameter's type has it, which `parse_literal` decides and other tests pin."""
    if edit["op"] == "set_value" and edit["value"] is not None:
        spec["jobs"][edit["node"]]["inputs"][edit["port"]] = after["jobs"][edit["node"]]["inputs"][edit["port"]]


def _edited_or_refused(text: str, edit: dict[str, Any], folder: Path) -> str | None:
    try:
        return edited(text, edit, folder=folder)
    except DesignerError as error:
        if error.reason not in {"no_node", "no_port", "name_taken", "types"}:
            raise
    return None


@pytest.mark.slow
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=pipelines(), edits=st.lists(EDITS, min_size=1, max_size=4))
def test_any_edits_make_the_text_of_the_spec_edited(
    text: str, edits: list[dict[str, Any]], shared_project: Path
) -> None:
    for edit in edits:
        before = read_plain(text)
        after_text = _edited_or_refused(text, edit, shared_project)
        if after_text is None:
            continue
        after = read_plain(after_text)
        wanted = expected(before, edit)
        _values_as_typed(wanted, edit, after)
        assert after == wanted
        assert after_text.count("# kept") <= text.count("# kept")
        if edit["op"] not in {"remove_nodes", "rename_node"}:
            assert after_text.count("# note") >= text.count("# note")
        text = after_text
