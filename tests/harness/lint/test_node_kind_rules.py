"""Rules about sweep, parallel, if_else and do_while nodes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_designer.harness.lint.linter import lint_text

TRIAL = """type: command
name: trial
environment: azureml:base:1
command: train --rate ${{inputs.rate}} --out ${{outputs.model}}
inputs:
  rate: {type: number}
outputs:
  model: {type: uri_folder}
"""
PIPELINE = """$schema: https://azuremlschemas.azureedge.net/latest/pipelineJob.schema.json
type: pipeline
jobs:
  tune:
    type: sweep
    trial: trial.yaml
    sampling_algorithm: random
    search_space:
      rate: {type: uniform, min_value: 0, max_value: 1}
    objective: {goal: minimize, primary_metric: loss}
    early_termination: {type: bandit, slack_factor: 0.1}
    limits: {max_total_trials: 4}
  score:
    type: parallel
    inputs:
      data: ${{parent.jobs.tune.outputs.model}}
    outputs:
      rows: {type: uri_file}
    input_data: ${{inputs.data}}
    mini_batch_size: 10kb
    retry_settings: {max_retries: 2, timeout: 60}
    task:
      type: run_function
      code: .
      entry_script: score.py
      environment: azureml:base:1
      append_row_to: ${{outputs.rows}}
  check:
    type: command
    command: check ${{inputs.rows}} > ${{outputs.is_good}}
    environment: azureml:base:1
    inputs:
      rows: ${{parent.jobs.score.outputs.rows}}
    outputs:
      is_good: {type: boolean}
  decide:
    type: if_else
    condition: ${{parent.jobs.check.outputs.is_good}}
    true_block: ${{parent.jobs.deploy}}
  deploy:
    type: command
    command: deploy
    environment: azureml:base:1
"""
MISTAKES = [
    ("sweep-settings", "type: uniform", "type: unifrom", "unifrom"),
    ("sweep-settings", "max_value: 1}", "max_value: -1}", "-1}"),
    ("sweep-settings", "goal: minimize", "goal: less", "less"),
    ("sweep-settings", "    objective: {goal: minimize, primary_metric: loss}\n", "", "tune:"),
    ("sweep-settings", "max_total_trials: 4", "max_total_trials: many", "max_total_trials: many"),
    ("sweep-settings", "random\n", "annealing\n", "sampling_algorithm"),
    ("sweep-settings", "slack_factor: 0.1", "slack: 0.1", "slack: 0.1"),
    ("parallel-settings", "entry_script: score.py", "entry_script: gone.py", "gone.py"),
    ("parallel-settings", "entry_script: score.py", "entry_script: empty.py", "empty.py"),
    ("parallel-settings", "input_data: ${{inputs.data}}", "input_data: ${{inputs.date}}", "${{inputs.date}}"),
    ("parallel-settings", "append_row_to: ${{outputs.rows}}", "append_row_to: rows", "rows\n"),
    ("parallel-settings", "10kb", "ten", "ten"),
    ("parallel-settings", "max_retries: 2", "max_retries: -2", "-2"),
    ("control-settings", "    true_block: ${{parent.jobs.deploy}}\n", "", "decide:"),
    ("control-settings", "true_block", "then_block", "then_block"),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "trial.yaml").write_text(TRIAL, encoding="utf-8")
    (tmp_path / "score.py").write_text("def run(mini_batch):\n    return mini_batch\n", encoding="utf-8")
    (tmp_path / "empty.py").write_text("", encoding="utf-8")
    return tmp_path


def test_right_nodes_have_no_findings(folder: Path) -> None:
    assert lint_text(PIPELINE, folder=folder).findings == ()


@pytest.mark.parametrize(("rule", "old", "new", "at"), MISTAKES)
def test_a_mistake_is_found_where_it_stands(folder: Path, rule: str, old: str, new: str, at: str) -> None:
    assert PIPELINE.count(old) == 1
    text = PIPELINE.replace(old, new)

    findings = [finding for finding in lint_text(text, folder=folder).findings if finding.kind == rule]

    assert len(findings) == 1
    assert findings[0].place.line == text.count("\n", 0, text.index(at)) + 1


def test_a_trial_that_does_not_use_what_is_searched_is_found(folder: Path) -> None:
    (folder / "trial.yaml").write_text(TRIAL.replace("--rate ${{inputs.rate}}", ""), encoding="utf-8")

    (finding,) = lint_text(PIPELINE, folder=folder).findings

    assert finding.kind == "sweep-settings"
    assert "does not use the hyperparameter rate" in finding.message


JOB = """$schema: https://azuremlschemas.azureedge.net/latest/sweepJob.schema.json
type: sweep
trial:
  command: train ${{inputs.seed}} ${{search_space.rate}} ${{outputs.model}}
  environment: azureml:base:1
inputs:
  seed: 3
outputs:
  model: {type: uri_folder}
search_space:
  rate: {type: uniform, min_value: 0, max_value: 1}
objective: {goal: minimize, primary_metric: loss}
limits: {max_total_trials: 4}
"""


@pytest.mark.parametrize(
    ("old", "new", "kinds"),
    [
        ("", "", []),
        ("uniform", "even", ["sweep-settings"]),
        ("${{search_space.rate}}", "", ["sweep-settings"]),
        ("${{inputs.seed}}", "${{inputs.sed}}", ["undeclared-input"]),
        ("objective:", "objectiv:", ["refused-key", "sweep-settings"]),
    ],
)
def test_a_sweep_job_that_stands_alone_is_checked(folder: Path, old: str, new: str, kinds: list[str]) -> None:
    findings = lint_text(JOB.replace(old, new) if old else JOB, folder=folder).findings

    assert sorted(finding.kind for finding in findings) == kinds
