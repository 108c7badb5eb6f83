from __future__ import annotations

import pytest

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.schema.bindings import (
    NodePort,
    ParentInput,
    ParentOutput,
    bindings_in,
    parse_output,
    parse_text,
)
from pytorch_designer.harness.schema.spec_faults import SpecPlace

PLACE = SpecPlace("p.yaml", 3)


@pytest.mark.parametrize(
    ("written", "reference"),
    [
        ("${{parent.inputs.x}}", ParentInput("x")),
        ("${{ parent.inputs.group.x }}", ParentInput("group.x")),
        ("${{parent.outputs.x}}", ParentOutput("x")),
        ("${{parent.jobs.a.outputs.x}}", NodePort("a", "x", is_output=True)),
        ("${{parent.jobs.a.inputs.g.x}}", NodePort("a", "g.x", is_output=False)),
        ("${{inputs.x}}", None),
        ("${{parent.inputs}}", None),
        ("${{parent.jobs.a.x}}", None),
        ("${{a b}}", None),
    ],
)
def test_a_binding_refers_to_a_port(written: str, reference: object) -> None:
    assert [(found.written, found.reference) for found in bindings_in(f"a {written} b")] == [(written, reference)]


def test_a_text_is_cut_into_plain_parts_and_references() -> None:
    text = "${{parent.inputs.folder}}/a-${{parent.jobs.n.inputs.k}}"

    assert parse_text(text, PLACE) == (ParentInput("folder"), "/a-", NodePort("n", "k", is_output=False))
    assert parse_text("", PLACE) == ()


@pytest.mark.parametrize("text", ["${{parent.outputs.x}}", "${{inputs.x}}", "${{parent.inputs.x}", "a ${{"])
def test_a_text_with_a_binding_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(InvalidSpecError) as caught:
        parse_text(text, PLACE)

    assert caught.value.where == "p.yaml:3"


def test_an_output_is_bound_by_one_binding_alone() -> None:
    assert parse_output(" ${{ parent.outputs.x }} ", PLACE) == "x"
    for text in ("x", "${{parent.inputs.x}}", "${{parent.outputs.x}}/a", ""):
        with pytest.raises(InvalidSpecError, match="not an output of the pipeline"):
            parse_output(text, PLACE)
