from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from pytorch_designer.harness.lint.linter import lint
from pytorch_designer.harness.schema.spec_faults import SpecFault
from tests.harness.lint.lint_files import COMPONENT


class Mistake(NamedTuple):
    """A change to the component without mistakes, and the finding that it must give.

    Attributes:
        rule_id: The expected rule.
        old: Text that is replaced.
        new: What replaces it.
        at: Text at which the finding must stand: its line and column are those of the finding.
        sdk: What azure-ai-ml does: refuses to load it, finds it invalid, or accepts it silently.
    """

    rule_id: str
    old: str
    new: str
    at: str
    sdk: str = "silent"


EPOCHS = "    default: 5\n    min: 1\n    max: 10\n"
MISTAKES = [
    Mistake("duplicate-key", "    min: 1\n", "    min: 1\n    default: 6\n", "default: 6"),
    Mistake("refused-key", "    max: 10\n", "    maximum: 10\n", "maximum", "refused"),
    Mistake("refused-key", "    optional: true\n", "    display_name: Weights\n", "display_name: W", "refused"),
    Mistake("refused-key", "    mode: rw_mount\n", "    optional: true\n", "optional: true\ncode", "refused"),
    Mistake("misspelled-key", "code: src\n", "code: src\nis_determinstic: false\n", "is_determinstic"),
    Mistake("misspelled-key", "process_count_per_instance", "process_count_per_instances", "process_count_per_inst"),
    Mistake("unknown-key", "code: src\n", "code: src\ncompute: azureml:cluster\n", "compute"),
    Mistake("missing-key", "name: train\n", "", "$schema", "refused"),
    Mistake("wrong-value", "  shm_size: 8g", "  shm_size: huge", "huge"),
    Mistake("wrong-value", "  instance_count: 1", "  instance_count: 0", "0\n  shm"),
    Mistake("wrong-value", "type: PyTorch", "type: horovod", "horovod", "refused"),
    Mistake("wrong-value", "  port.images: ImageDirectory", "  port.images: 3", "3\n  port.model", "refused"),
    Mistake("wrong-value", "    mode: rw_mount\n", "    mode: rw_mounted\n", "rw_mounted", "refused"),
    Mistake("missing-path", "code: src", "code: source", "source", "refused"),
    Mistake("missing-path", "path: environment", "path: docker", "docker", "refused"),
    Mistake("missing-path", "path: environment", "path: src", "src\ncommand"),
    Mistake("missing-path", "code: src\n", "code: src\nadditional_includes: [gone]\n", "gone", "invalid"),
    Mistake("component-name", "name: train\n", "name: Train-It\n", "Train-It", "refused"),
    Mistake("port-name", "  shuffle:", "  is-shuffled:", "is-shuffled", "invalid"),
    Mistake("port-name", "  shuffle:", "  Epochs:", "Epochs:\n    type: boolean", "invalid"),
    Mistake("reserved-name", "  shuffle:", "  path:", "path:\n    type: boolean"),
    Mistake("awkward-name", "  shuffle:", "  class:", "class:\n"),
    Mistake("unknown-type", "type: boolean", "type: bool", "bool\n", "refused"),
    Mistake("default-on-port", "    optional: true\n", "    default: here\n", "default: here", "refused"),
    Mistake("bounds-not-allowed", "    default: true\n", "    default: true\n    max: 1\n", "max: 1\n", "refused"),
    Mistake("enum-not-text", "[sgd, adam]", "[sgd, 3]", "3]", "refused"),
    Mistake("default-wrong-type", "default: 5\n", "default: 2.5\n", "2.5"),
    Mistake("default-wrong-type", "default: 5\n", "default: five\n", "five", "refused"),
    Mistake("default-wrong-type", "default: true\n", "default: 1\n", "1\n  weights", "refused"),
    Mistake("default-out-of-range", "default: 5\n", "default: 0\n", "0\n    min"),
    Mistake("default-out-of-range", "default: 5\n", "default: 11\n", "11"),
    Mistake("default-not-in-enum", "default: sgd\n", "default: sdg\n", "sdg"),
    Mistake("min-above-max", EPOCHS, "    min: 9\n    max: 1\n", "min: 9"),
    Mistake("changed-text", "    default: sgd\n    enum: [sgd, adam]\n", "    default: yes\n", "yes"),
    Mistake("changed-text", "    default: sgd\n    enum: [sgd, adam]\n", "    default: 1.10\n", "1.10"),
    Mistake("component-environment-variables", "code: src\n", "environment_variables: {A: b}\n", "environment_v"),
    Mistake("line-continuation", "${{inputs.shuffle}}\n", "${{inputs.shuffle}} \\\n", "\\\n"),
    Mistake("bad-binding", "${{inputs.rate}}", "${{input.rate}}", "${{input.rate}}", "invalid"),
    Mistake("bad-binding", "${{inputs.rate}}", "${inputs.rate}", "${inputs.rate}"),
    Mistake("bad-binding", "${{inputs.rate}}", "{{inputs.rate}}", "{{inputs.rate}}"),
    Mistake("bad-binding", "${{inputs.rate}}", "${{inputs.rate}", "${{inputs.rate}"),
    Mistake("bad-binding", "$[[--weights ${{inputs.weights}}]]", "$[[inputs.weights]]", "$[[inputs.weights]]"),
    Mistake("undeclared-input", "${{inputs.rate}}", "${{inputs.rates}}", "${{inputs.rates}}", "invalid"),
    Mistake("undeclared-output", "${{outputs.model}}", "${{outputs.modle}}", "${{outputs.modle}}", "invalid"),
    Mistake("unused-input", " --rate ${{inputs.rate}}", "", "rate:"),
    Mistake("unused-output", " --model ${{outputs.model}}", "", "model:\n    type"),
    Mistake(
        "optional-outside-brackets", "$[[--weights ${{inputs.weights}}]]", "${{inputs.weights}}", "${{inputs.weights"
    ),
    Mistake(
        "required-inside-brackets", "--images ${{inputs.images}}", "$[[${{inputs.images}}]]", "$[[${{inputs.images"
    ),
]


def edited(mistake: Mistake) -> str:
    assert COMPONENT.count(mistake.old) == 1
    text = COMPONENT.replace(mistake.old, mistake.new)
    if mistake.old == "  shuffle:":
        text = text.replace("${{inputs.shuffle}}", "shuffled")
    return text


def place(text: str, part: str) -> tuple[int, int]:
    before = text[: text.index(part)]
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def findings(path: Path) -> tuple[SpecFault, ...]:
    return lint([path]).findings


def test_component_without_mistake_has_no_findings(folder: Path) -> None:
    assert findings(folder / "component.yaml") == ()


@pytest.mark.parametrize("mistake", MISTAKES, ids=[f"{m.rule_id}-{i}" for i, m in enumerate(MISTAKES)])
def test_mistake_is_found_where_it_is(folder: Path, mistake: Mistake) -> None:
    text = edited(mistake)
    (folder / "component.yaml").write_text(text, encoding="utf-8")
    found = [(f.kind, (f.place.line, f.place.column)) for f in findings(folder / "component.yaml")]
    assert (mistake.rule_id, place(text, mistake.at)) in found


def test_continuation_in_a_literal_command_is_a_warning(folder: Path) -> None:
    text = COMPONENT.replace("command: >-", "command: |").replace("${{inputs.shuffle}}\n", "${{inputs.shuffle}} \\\n")
    (folder / "component.yaml").write_text(text, encoding="utf-8")
    assert [f.kind for f in findings(folder / "component.yaml")] == ["literal-continuation"]


def test_optional_input_with_default_may_stand_outside_brackets(folder: Path) -> None:
    text = COMPONENT.replace("    default: 0.5\n", "    default: 0.5\n    optional: true\n")
    (folder / "component.yaml").write_text(text, encoding="utf-8")
    assert findings(folder / "component.yaml") == ()


@pytest.mark.parametrize("default", ["10.0", '"7"', "1e1"])
def test_integers_may_be_written_as_whole_numbers_of_other_kinds(folder: Path, default: str) -> None:
    (folder / "component.yaml").write_text(COMPONENT.replace("default: 5\n", f"default: {default}\n"), encoding="utf-8")
    assert findings(folder / "component.yaml") == ()


def test_command_that_passes_nothing_on_may_leave_all_ports_unused(folder: Path) -> None:
    start, end = COMPONENT.index("command: >-"), COMPONENT.index("distribution:")
    (folder / "component.yaml").write_text(f"{COMPONENT[:start]}command: train\n{COMPONENT[end:]}", encoding="utf-8")
    assert findings(folder / "component.yaml") == ()


def test_hint_names_the_closest_known_name(folder: Path) -> None:
    (folder / "component.yaml").write_text(COMPONENT.replace("inputs.rate}}", "inputs.rat}}"), encoding="utf-8")
    hints = {f.kind: f.advice for f in findings(folder / "component.yaml")}
    assert hints["undeclared-input"] == "Did you mean rate?"
