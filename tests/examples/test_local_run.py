"""The example's YAML and SDK forms, run by the local harness with the real components."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.job.run_store import open_run_store
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.reuse.reuse_cache import ReuseCache
from tests.examples.test_example_pipelines import EXAMPLES, load

pytest.importorskip("azure.ai.ml", exc_type=ImportError)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> ReuseCache:
    return ReuseCache(tmp_path_factory.mktemp("cache"), 1 << 30)


def test_the_example_runs_and_its_sdk_form_reuses_every_node(
    cache: ReuseCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZUREML_CURRENT_CLOUD", "AzureCloud")  # which the SDK sets for the whole process
    store = open_run_store(tmp_path / "mlflow.db")

    first = run_pipeline(EXAMPLES / "pipeline.yaml", run_folder=tmp_path / "yaml", cache=cache, store=store)
    second = run_pipeline(load("pipeline.py"), run_folder=tmp_path / "sdk", cache=cache, store=store)

    assert {name: node.error for name, node in first.nodes.items()} == dict.fromkeys(first.nodes)
    assert {node.state.value for node in first.nodes.values()} == {"completed"}
    assert {node.state.value for node in second.nodes.values()} == {"reused"}
    assert first.outputs.keys() == second.outputs.keys() == {"trained_model", "evaluation_results"}
    for name in first.outputs:
        assert _contents(first.outputs[name]) == _contents(second.outputs[name])


def test_the_sweep_of_learning_rates_runs(cache: ReuseCache, tmp_path: Path) -> None:
    text = (EXAMPLES / "sweep.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("../component", f"{EXAMPLES.parent}/component"),
        ("images/", f"{EXAMPLES}/images/"),
        ("max_total_trials: 4", "max_total_trials: 2"),
        ("epochs: 3", "epochs: 1"),
    ):
        assert old in text
        text = text.replace(old, new)
    (tmp_path / "sweep.yaml").write_text(text, encoding="utf-8")

    # Its nodes before and after the sweep are those of the example above.
    result = run_pipeline(tmp_path / "sweep.yaml", run_folder=tmp_path / "run", cache=cache, up_to=["tune"])

    ran = {name: node.error for name, node in result.nodes.items() if node.state is not NodeState.LEFT_OUT}
    assert ran == dict.fromkeys(("training_directory", "validation_directory", "resnet", "tune"))
    trials = json.loads((result.nodes["tune"].run_folder / "trials.json").read_text(encoding="utf-8"))["trials"]
    assert len({trial["values"]["learning_rate"] for trial in trials}) == 2
    assert all(0.0001 < trial["values"]["learning_rate"] < 0.11 for trial in trials)
    best = min(trials, key=lambda trial: trial["objective"])
    best_model = Path(best["run_folder"], "named-outputs", "trained_model")
    assert _contents(result.outputs["best_model"]) == _contents(best_model)


def _contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
