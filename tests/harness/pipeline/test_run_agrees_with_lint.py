"""`run` and `lint` say the same of every file: both accept it, both warn, or both refuse it, at the same place."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from pytorch_designer.errors import DesignerError
from pytorch_designer.harness.lint.linter import findings_for_run, lint
from pytorch_designer.harness.lint.rules import RULES, InRun, Severity
from pytorch_designer.harness.pipeline.pipeline_plan import plan_pipeline
from pytorch_designer.harness.schema.pipeline_file import pipeline_spec
from pytorch_designer.harness.schema.yaml_tree import read_yaml
from tests.harness.lint.lint_files import COMPONENT, PIPELINE
from tests.harness.lint.test_component_rules import MISTAKES as COMPONENT_MISTAKES
from tests.harness.lint.test_pipeline_rules import MISTAKES as PIPELINE_MISTAKES

PIPELINE_BEFORE = "type: pipeline\nexperiment_name: x\n"
JOB = "type: command\nenvironment: azureml:e:1\ncompute: azureml:c\n"


class Case(NamedTuple):
    """A file, what is to be said of it, and where."""

    text: str
    verdict: str
    line: int = 0


CASES = {
    "job": Case(f"{JOB}command: echo ${{{{inputs.n}}}}\ninputs: {{n: 3}}\n", "accepts"),
    "job with data": Case(f"{JOB}command: ls ${{{{inputs.d}}}}\ninputs:\n  d: {{path: data}}\n", "accepts"),
    "job without schema or type": Case(
        "command: echo ${{inputs.n}}\nenvironment: azureml:e:1\ninputs: {n: 3}\n", "accepts"
    ),
    "job with variables": Case(f"{JOB}command: echo $A\nenvironment_variables: {{A: b}}\n", "accepts"),
    "job with outputs": Case(f"{JOB}command: ls ${{{{outputs.o}}}}\noutputs:\n  o:\n", "accepts"),
    "job with a file for a folder": Case(
        f"{JOB}command: ls ${{{{inputs.d}}}}\ninputs:\n  d:\n    type: uri_folder\n    path: prepare.yaml\n", "warns", 8
    ),
    "job with a folder for a file": Case(
        f"{JOB}command: ls ${{{{inputs.d}}}}\ninputs:\n  d:\n    type: uri_file\n    path: data\n", "warns", 8
    ),
    "job with an unknown input": Case(f"{JOB}command: echo ${{{{inputs.m}}}}\ninputs: {{n: 3}}\n", "refuses", 4),
    "job with an unknown key": Case(f"{JOB}command: echo\nsweep: 3\n", "refuses", 5),
    "merge keys": Case(
        f"{PIPELINE_BEFORE}jobs:\n  a: &a {{type: command, environment: 'azureml:e:1', command: echo a}}\n"
        "  b:\n    <<: *a\n    command: echo b\n",
        "accepts",
    ),
    "a key twice": Case(f"{PIPELINE_BEFORE}jobs:\n  a:\n    command: echo\n    command: ls\n", "refuses", 6),
    "a value of a node": Case(
        f"{PIPELINE_BEFORE}jobs:\n"
        "  a: {command: 'echo 1 > ${{outputs.n}}', environment: 'azureml:e:1', outputs: {n: {type: integer}}}\n"
        "  b:\n    command: echo ${{inputs.n}}\n    environment: azureml:e:1\n"
        "    inputs:\n      n: ${{parent.jobs.a.outputs.n}}\n",
        "accepts",
    ),
    "a value for data": Case(
        f"{PIPELINE_BEFORE}inputs: {{epochs: 3}}\njobs:\n  a:\n    component: prepare.yaml\n    inputs:\n"
        "      raw: ${{parent.inputs.epochs}}\n",
        "refuses",
        8,
    ),
    "a text for data": Case(
        f"{PIPELINE_BEFORE}jobs:\n  a:\n    component: prepare.yaml\n    inputs: {{raw: data}}\n", "accepts"
    ),
    "an input that is not declared": Case(
        f"{PIPELINE_BEFORE}jobs:\n  a:\n    component: prepare.yaml\n    inputs:\n      raw: data\n      rows: 3\n",
        "warns",
        8,
    ),
    "a nested input that is not declared": Case(
        f"{PIPELINE_BEFORE}component: both.yaml\ninputs:\n  raw: {{path: data}}\n  rows: 3\n", "warns", 6
    ),
    "an output that nothing writes": Case(
        f"{PIPELINE_BEFORE}outputs:\n  o: {{type: uri_folder}}\n"
        "jobs:\n  a: {command: ls, environment: 'azureml:e:1'}\n",
        "warns",
        4,
    ),
    "a file from a node for a folder": Case(
        f"{PIPELINE_BEFORE}jobs:\n  a:\n    component: prepare.yaml\n    inputs: {{raw: data}}\n"
        "  b:\n    component: prepare.yaml\n    inputs:\n      raw: ${{parent.jobs.a.outputs.listing}}\n",
        "warns",
        10,
    ),
    "a fault in a component": Case(f"{PIPELINE_BEFORE}jobs:\n  a:\n    component: wrong.yaml\n", "refuses", 6),
    "a pipeline without jobs": Case("type: pipeline\nexperiment_name: x\njob: {}\n", "refuses", 3),
    "a misspelled type": Case("type: comand\ncommand: echo\nenvironment: azureml:e:1\n", "refuses", 1),
}


@pytest.mark.parametrize("name", CASES)
def test_both_say_the_same_at_the_same_place(folder: Path, name: str) -> None:
    case = CASES[name]
    (folder / "case.yaml").write_text(case.text, encoding="utf-8")
    (folder / "wrong.yaml").write_text(
        "type: command\nname: wrong\nversion: 1\nenvironment: azureml:e:1\ninputs:\n  n: {type: int}\ncommand: echo\n",
        encoding="utf-8",
    )
    (folder / "both.yaml").write_text(
        "type: pipeline\nname: both\nversion: 1\ninputs:\n  raw: {type: uri_folder}\njobs:\n"
        "  a: {component: prepare.yaml, inputs: {raw: '${{parent.inputs.raw}}'}}\n",
        encoding="utf-8",
    )
    said, lines = _run(folder / "case.yaml")
    result = lint([folder / "case.yaml"])
    found = "refuses" if result.num_errors else "warns" if result.findings else "accepts"

    assert (said, found) == (case.verdict, case.verdict)
    assert case.line in lines or not case.line
    assert case.line in {finding.place.line for finding in result.findings} or not case.line


FILES = [("pipeline.yaml", PIPELINE, mistake) for mistake in PIPELINE_MISTAKES] + [
    ("component.yaml", COMPONENT, tuple(mistake)[:4]) for mistake in COMPONENT_MISTAKES
]


@pytest.mark.parametrize(("file", "text", "mistake"), FILES, ids=[f"{m[0]}-{i}" for i, (_, _, m) in enumerate(FILES)])
def test_what_the_linter_finds_run_says_too(
    folder: Path, file: str, text: str, mistake: tuple[str, str, str, str]
) -> None:
    rule_id, old, new, _ = mistake
    (folder / file).write_text(text.replace(old, new), encoding="utf-8")
    found = [finding for finding in lint([folder / file]).findings if finding.kind == rule_id]
    rule = RULES[rule_id]

    said, lines = _run(folder / "pipeline.yaml")

    is_refused = rule.severity is Severity.ERROR and rule.in_run is not InRun.WARNS
    assert said == "refuses" if is_refused else said in {"warns", "refuses"}
    if is_refused or said == "warns":
        assert {finding.place.line for finding in found} <= lines


def _run(path: Path) -> tuple[str, set[int]]:
    """Verdict of `run` before it starts, and the lines that it names."""
    document = read_yaml(path)
    findings = findings_for_run(document)
    try:
        with findings.joined():
            plan = plan_pipeline(pipeline_spec(document))
    except DesignerError as error:
        return "refuses", {fault.place.line for fault in error.faults}
    warnings = (*findings.warnings, *plan.warnings)
    return ("warns" if warnings else "accepts"), {warning.place.line for warning in warnings}
