"""Some nodes of a pipeline: which run, what they take from earlier runs, and what a run would do."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import DesignerError, NullOrEmptyError, UnknownNameError
from pytorch_designer.harness.pipeline.pipeline_request import prepare_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
from pytorch_designer.harness.pipeline.reuse_forecast import forecast
from pytorch_designer.harness.reuse.reuse_cache import ReuseCache
from tests.harness.pipeline_files import FOLDER, component, make_folder, node, text_of, write_pipeline, write_yaml


class Chain:
    """A pipeline `a` -> `b` -> `c`, and `side` beside it, that writes down which nodes have run."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.cache: ReuseCache | None = ReuseCache(top / "cache", 1 << 30)
        self.word = "one"
        self.variables: dict[str, str] = {}
        self.num_runs = 0
        make_folder(top / "data", x="data")
        make_folder(top / "code", **{"tool.sh": "true\n"})

    def write(self) -> Path:
        def linked(name: str, before: str) -> dict[str, Any]:
            command = f"echo {name} >> {self.top}/ran; cat ${{{{inputs.d}}}}/x > ${{{{outputs.out}}}}/x"
            return node(command, inputs={"d": f"${{{{parent.jobs.{before}.outputs.out}}}}"}, outputs={"out": FOLDER})

        ports = {"inputs": {"d": FOLDER, "word": {"type": "string"}}, "outputs": {"out": FOLDER}}
        command = f"echo a >> {self.top}/ran; echo ${{{{inputs.word}}}} > ${{{{outputs.out}}}}/x"
        write_yaml(self.top / "a.yaml", component(command, **ports, code="code"))
        first = {
            "type": "command",
            "component": "a.yaml",
            "inputs": {"d": {**FOLDER, "path": "data"}, "word": self.word},
            "environment_variables": self.variables,
        }
        jobs = {"a": first, "b": linked("b", "a"), "c": linked("c", "b"), "side": node("true")}
        return write_pipeline(self.top, jobs)

    def options(self, **options: Any) -> dict[str, Any]:
        self.num_runs += 1
        return {"run_folder": self.top / "runs" / str(self.num_runs), "cache": self.cache, **options}

    def run(self, **options: Any) -> PipelineResult:
        (self.top / "ran").unlink(missing_ok=True)
        return run_pipeline(self.write(), **self.options(**options))

    def ran(self) -> list[str]:
        path = self.top / "ran"
        return text_of(path).split() if path.exists() else []

    def forecast(self, **options: Any) -> dict[str, tuple[bool | None, str]]:
        found = forecast(prepare_pipeline(self.write(), **self.options(**options)))
        return {name: (one.is_reused, one.reason) for name, one in found.items()}


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def _states(result: PipelineResult) -> dict[str, str]:
    return {name: found.state.value for name, found in result.nodes.items()}


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({"only": ["b"]}, "b"),
        ({"only": ["b", "side"]}, "b side"),
        ({"start_from": ["b"]}, "b c"),
        ({"up_to": ["b"]}, "a b"),
        ({}, ""),
    ],
)
def test_nodes_are_chosen_by_name_and_order(chain: Chain, options: dict[str, Any], chosen: str) -> None:
    request = prepare_pipeline(chain.write(), **chain.options(**options))

    assert sorted(request.chosen or ()) == chosen.split()


def test_a_nested_pipeline_stands_for_its_nodes(tmp_path: Path) -> None:
    write_yaml(tmp_path / "inner.yaml", {"type": "pipeline", "jobs": {"x": node("true"), "y": node("true")}})
    path = write_pipeline(tmp_path, {"inner": {"type": "pipeline", "component": "inner.yaml"}, "z": node("true")})

    result = run_pipeline(path, run_folder=tmp_path / "run", only=["inner"])

    assert _states(result) == {"inner.x": "completed", "inner.y": "completed", "z": "left out"}
    assert (result.state, result.exit_code) == ("completed", 0)


def test_an_unknown_node_is_named_with_the_nearest(chain: Chain) -> None:
    with pytest.raises(UnknownNameError, match="no node 'sid'") as caught:
        chain.run(only=["sid"])
    assert "side" in caught.value.advice


def test_one_node_runs_on_what_is_kept(chain: Chain) -> None:
    chain.run()
    shutil.rmtree(chain.top / "runs")

    result = chain.run(only=["b"], force_rerun=True)

    assert _states(result) == {"a": "reused", "b": "completed", "c": "left out", "side": "left out"}
    assert chain.ran() == ["b"]
    assert text_of(result.nodes["b"].outputs["out"] / "x") == "one\n"


def test_one_node_runs_on_the_last_run_where_nothing_is_kept(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    chain.cache = None
    first = chain.run()

    result = chain.run(start_from=["b"])

    assert _states(result) == {"a": "reused", "b": "completed", "c": "completed", "side": "left out"}
    assert chain.ran() == ["b", "c"]
    assert result.nodes["a"].outputs == first.nodes["a"].outputs
    assert caplog.text == ""


def test_a_last_run_of_other_code_is_taken_with_a_warning(chain: Chain, caplog: pytest.LogCaptureFixture) -> None:
    chain.run()
    chain.word = "two"

    result = chain.run(only=["b"])

    assert text_of(result.nodes["b"].outputs["out"] / "x") == "one\n"
    assert "a is taken from" in caplog.text
    assert "changed since: parameter word: one -> two" in caplog.text


def test_the_same_run_folder_keeps_what_is_left_out(chain: Chain) -> None:
    chain.cache = None
    chain.run(run_folder=chain.top / "here")
    chain.run(run_folder=chain.top / "here", only=["c"])

    result = chain.run(run_folder=chain.top / "here", only=["b"])

    assert chain.ran() == ["b"]
    assert _states(result) == {"a": "reused", "b": "completed", "c": "completed", "side": "completed"}


def test_a_node_whose_inputs_nobody_has_made_is_refused_before_anything_is_written(chain: Chain) -> None:
    with pytest.raises(NullOrEmptyError, match="c cannot run alone: there is no result of b") as caught:
        chain.run(only=["c"])

    assert caught.value.reason == "no_result"
    assert "--from b" in caught.value.advice
    assert not (chain.top / "runs").exists()


def test_nothing_is_foretold_to_be_reused_before_the_first_run(chain: Chain) -> None:
    assert chain.forecast() == {
        "a": (False, "no result of this node is kept"),
        "side": (False, "no result of this node is kept"),
        "b": (None, "depends on what a will write"),
        "c": (None, "depends on what b will write"),
    }
    assert not (chain.top / "runs").exists()


def test_a_forecast_says_what_a_run_then_does(chain: Chain) -> None:
    chain.run()

    assert all(is_reused for is_reused, _ in chain.forecast().values())
    assert set(_states(chain.run()).values()) == {"reused"}


def _edit_code(chain: Chain) -> None:
    (chain.top / "code" / "tool.sh").write_text("false\n", encoding="utf-8")
    (chain.top / "code" / "more.sh").write_text("true\n", encoding="utf-8")


def _edit_data(chain: Chain) -> None:
    (chain.top / "data" / "x").write_text("other", encoding="utf-8")


def _edit_word(chain: Chain) -> None:
    chain.word = "two"


def _edit_variable(chain: Chain) -> None:
    chain.variables = {"SECRET": "value"}


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (_edit_code, "code: tool.sh, more.sh (new)"),
        (_edit_data, "input d: other content"),
        (_edit_word, "parameter word: one -> two"),
        (_edit_variable, "environment variable: SECRET"),
    ],
)
def test_what_has_changed_is_said(chain: Chain, edit: Any, reason: str) -> None:
    chain.run()
    edit(chain)

    found = chain.forecast()
    result = chain.run(explains=True)

    assert found["a"] == (False, reason)
    assert found["b"][0] is None
    assert found["side"] == (True, "")
    assert result.nodes["a"].reason == reason
    assert result.nodes["side"].reason is None
    assert "value" not in "".join(text_of(path) for path in (chain.top / "cache").rglob("parts.json"))


@pytest.mark.parametrize("what", ["force_rerun", "cache"])
def test_a_run_without_reuse_is_foretold(chain: Chain, what: str) -> None:
    chain.run()

    found = chain.forecast(**({"force_rerun": True} if what == "force_rerun" else {"cache": None}))

    assert {is_reused for is_reused, _ in found.values()} == {False}


def test_results_of_an_older_release_say_no_more_than_they_can(chain: Chain) -> None:
    chain.run()
    for path in (chain.top / "cache").rglob("parts.json"):
        path.unlink()
    assert all(is_reused for is_reused, _ in chain.forecast().values())
    chain.word = "two"

    assert chain.forecast()["a"] == (False, "no result of this node is kept")


def test_an_output_folder_that_holds_something_is_foretold(tmp_path: Path) -> None:
    path = write_pipeline(
        tmp_path, {"a": node("true", outputs={"o": "${{parent.outputs.out}}"})}, outputs={"out": FOLDER}
    )
    cache = ReuseCache(tmp_path / "cache", 1 << 30)
    run_pipeline(path, run_folder=tmp_path / "run", cache=cache)
    make_folder(tmp_path / "mine", x="y")

    request = prepare_pipeline(path, run_folder=tmp_path / "run2", cache=cache, outputs={"out": tmp_path / "mine"})

    assert forecast(request)["a"].reason == "its output folder holds something else"


def test_a_pipeline_at_fault_has_no_forecast(chain: Chain) -> None:
    shutil.rmtree(chain.top / "code")

    with pytest.raises(DesignerError, match="code"):
        chain.forecast()
