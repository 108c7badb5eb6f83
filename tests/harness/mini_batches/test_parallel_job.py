"""Parallel jobs: the splitting of the input, and whole jobs as nodes of a pipeline."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import DesignerError, InterruptedRunError
from pytorch_designer.harness.job.node import NodeState
from pytorch_designer.harness.mini_batches.input_splitting import InputError, MiniBatch, parse_size, split
from pytorch_designer.harness.pipeline.pipeline_plan import plan_pipeline
from pytorch_designer.harness.pipeline.pipeline_run import run_pipeline
from pytorch_designer.harness.pipeline.pipeline_state import PipelineResult
from pytorch_designer.harness.reuse.reuse_cache import open_cache
from pytorch_designer.harness.schema.pipeline_file import read_pipeline
from pytorch_designer.system.stop_requests import StopRequest
from tests.harness.pipeline_files import ENVIRONMENT, FOLDER, make_folder, text_of, write_pipeline, write_yaml
from tests.waiting import wait_until

SCRIPT = """
import argparse, os
from azureml_user.parallel_run import EntryScript

def init():
    global suffix
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--suffix")
    suffix = parser.parse_known_args()[0].suffix
    EntryScript().logger.info("ready")

def run(mini_batch, context):
    names = [os.path.basename(path) for path in mini_batch]
    print("batch", context.minibatch_index, names)
    {body}
    return [f"{name} {suffix}" for name in names]
"""
SCRIPT = SCRIPT.replace("{name}", "{{name}}").replace("{suffix}", "{{suffix}}")


def _node(tmp_path: Path, script: str, **keys: Any) -> dict[str, Any]:
    make_folder(tmp_path / "code", **{"score.py": script})
    task = {
        "type": "run_function",
        "code": "code",
        "entry_script": "score.py",
        "environment": ENVIRONMENT,
        "program_arguments": "--suffix ${{inputs.suffix}}",
        "append_row_to": "${{outputs.rows}}",
        **keys.pop("task", {}),
    }
    return {
        "type": "parallel",
        "inputs": {"data": {**FOLDER, "path": "data"}, "suffix": "done"},
        "outputs": {"rows": "${{parent.outputs.rows}}"},
        "input_data": "${{inputs.data}}",
        "mini_batch_size": "2",
        "retry_settings": {"max_retries": 1, "timeout": 30},
        "task": task,
        **keys,
    }


def _run(tmp_path: Path, node: dict[str, Any], output: str = "uri_file") -> PipelineResult:
    path = write_pipeline(tmp_path, {"score": node}, outputs={"rows": {"type": output}})
    return run_pipeline(path, run_folder=tmp_path / "run")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "data", **{f"f{number}.txt": "x" * 100 for number in range(5)})


def _sizes(batches: list[MiniBatch]) -> list[int]:
    return [batch.num_items for batch in batches]


class TestSplitting:
    @pytest.mark.parametrize(
        ("size", "sizes"), [("", [1] * 5), ("2", [2, 2, 1]), ("10", [5]), ("250b", [2, 2, 1]), ("50B", [1] * 5)]
    )
    def test_files_are_split_by_number_or_size(self, tmp_path: Path, data: Path, size: str, sizes: list[int]) -> None:
        batches = split(data, "uri_folder", size, [], tmp_path)

        assert _sizes(batches) == sizes
        assert [name for batch in batches for name in batch.files or []] == [
            str(path) for path in sorted(data.iterdir())
        ]

    def test_files_below_folders_count(self, tmp_path: Path, data: Path) -> None:
        make_folder(data / "inner", **{"g.txt": "x"})

        assert _sizes(split(data, "uri_folder", "10", [], tmp_path)) == [6]

    def test_a_file_without_a_size_is_a_list_of_one(self, tmp_path: Path, data: Path) -> None:
        (batch,) = split(data / "f1.txt", "uri_file", "1", [], tmp_path)

        assert batch.files == [str(data / "f1.txt")]

    @pytest.mark.parametrize("size", ["60b", "60"])
    def test_a_table_is_split_by_size(self, tmp_path: Path, size: str) -> None:
        table = tmp_path / "t.csv"
        table.write_text("a,b\n" + "1234,5678\n" * 11 + "1,2\n", encoding="utf-8")  # 118 bytes, 12 rows

        batches = split(table, "uri_file", size, [], tmp_path / "rows")

        assert _sizes(batches) == [6, 6]
        assert list(_table(batches[1])["a"]) == [1234] * 5 + [1]

    def test_a_table_is_split_by_the_values_of_columns(self, tmp_path: Path) -> None:
        table = tmp_path / "t.tsv"
        table.write_text("shop\tbrand\tn\n1\tx\t1\n2\tx\t2\n1\tx\t3\n", encoding="utf-8")

        batches = split(table, "uri_file", "", ["shop", "brand"], tmp_path / "rows")

        assert [batch.partition for batch in batches] == [{"shop": 1, "brand": "x"}, {"shop": 2, "brand": "x"}]
        assert list(_table(batches[0])["n"]) == [1, 3]

    @pytest.mark.parametrize(
        ("mltable", "sizes"),
        [
            ("paths: [{file: ./t.csv}]\ntransformations: [{read_delimited: {delimiter: ';'}}]", [3]),
            ("paths: [{pattern: './*.csv'}]\ntransformations: [{read_delimited: {header: no_header}}]", [4]),
            ("paths: [{folder: .}]", [1, 1]),
        ],
    )
    def test_an_mltable_is_a_table_where_it_reads_its_files(
        self, tmp_path: Path, mltable: str, sizes: list[int]
    ) -> None:
        folder = make_folder(tmp_path / "table", MLTable=mltable, **{"t.csv": "a;b\n1;2\n3;4\n5;6\n"})

        assert _sizes(split(folder, "mltable", "", [], tmp_path / "rows")) == sizes

    @pytest.mark.parametrize(
        ("steps", "rows"),
        [
            ("{take: 2}", {"a": [1, 3], "b": [2, 4], "c": [7, 8]}),
            ("{skip: 1}, {keep_columns: [b, a]}", {"b": [4, 6], "a": [3, 5]}),
            ("{drop_columns: b}", {"a": [1, 3, 5], "c": [7, 8, 9]}),
            (
                "{convert_column_types: [{columns: a, column_type: string}, {columns: [b, c], column_type: float}]}",
                {"a": ["1", "3", "5"], "b": [2.0, 4.0, 6.0], "c": [7.0, 8.0, 9.0]},
            ),
        ],
    )
    def test_an_mltable_transforms_its_table(self, tmp_path: Path, steps: str, rows: dict[str, list[Any]]) -> None:
        mltable = f"paths: [{{file: ./t.csv}}]\ntransformations: [read_delimited, {steps}]"
        folder = make_folder(tmp_path / "table", MLTable=mltable, **{"t.csv": "a,b,c\n1,2,7\n3,4,8\n5,6,9\n"})

        (batch,) = split(folder, "mltable", "", [], tmp_path / "rows")

        assert _table(batch).to_dict("list") == rows

    def test_an_mltable_takes_columns_from_paths(self, tmp_path: Path) -> None:
        steps = "{read_delimited: {include_path_column: true}}, {extract_columns_from_partition_format: {FORMAT}}"
        steps = steps.replace("FORMAT", "partition_format: '/{shop}/{day:yyyy-MM/dd}/{file}.{kind}'")
        folder = make_folder(
            tmp_path / "table", MLTable=f"paths: [{{pattern: '**/*.csv'}}]\ntransformations: [{steps}]"
        )
        for place in ("1000/2024-02/03", "20/2023-12/31"):
            make_folder(folder / place, **{"n.b.csv": "n\n1\n2\n"})

        batches = split(folder, "mltable", "", ["shop", "day"], tmp_path / "rows")

        days = {"1000": datetime(2024, 2, 3), "20": datetime(2023, 12, 31)}
        assert [batch.partition for batch in batches] == [{"shop": shop, "day": day} for shop, day in days.items()]
        assert _table(batches[1]).to_dict("list") == {
            "n": [1, 2],
            "Path": [str(folder / "20/2023-12/31/n.b.csv")] * 2,
            "shop": ["20"] * 2,
            "day": [days["20"]] * 2,
            "file": ["n.b"] * 2,
            "kind": ["csv"] * 2,
        }

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("uri_folder", "empty", "1", []), "no file"),
            (("uri_folder", "data", "many", []), "mini_batch_size is"),
            (("uri_folder", "data", "0", []), "mini_batch_size is"),
            (("uri_folder", "data", "1", ["a"]), "needs a table"),
            (("uri_file", "data/f1.bin", "1kb", []), "is none: CSV"),
            (("uri_file", "t.csv", "", ["shop"]), "no column 'shop'"),
            (("uri_file", "none.csv", "1kb", []), "no rows"),
            (("mltable", "steps", "", []), "transformation filter"),
            (("mltable", "columns", "", []), "transformation keep_columns: b of the MLTable cannot be done"),
            (("mltable", "partition", "", []), "t.csv does not end as the partition format"),
            (("mltable", "remote", "", []), "not on this machine"),
            (("mltable", "broken", "", []), "not an MLTable"),
        ],
    )
    def test_what_cannot_be_split_says_why(
        self, tmp_path: Path, data: Path, arguments: tuple[str, str, str, list[str]], message: str
    ) -> None:
        kind, name, size, keys = arguments
        (data / "f1.bin").write_text("x", encoding="utf-8")
        (tmp_path / "empty").mkdir()
        (tmp_path / "t.csv").write_text("a,b\n1,2\n", encoding="utf-8")
        (tmp_path / "none.csv").write_text("a,b\n", encoding="utf-8")
        make_folder(tmp_path / "steps", MLTable="paths: [{folder: .}]\ntransformations: [read_parquet, {filter: x}]")
        steps = "[read_delimited, {keep_columns: b}]"
        make_folder(
            tmp_path / "columns", MLTable=f"paths: [{{file: ./t.csv}}]\ntransformations: {steps}", **{"t.csv": "a\n1\n"}
        )
        steps = "[read_delimited, {extract_columns_from_partition_format: '{shop}/{day}-{kind}.csv'}]"
        make_folder(
            tmp_path / "partition", MLTable=f"paths: [{{file: t.csv}}]\ntransformations: {steps}", **{"t.csv": "a\n1\n"}
        )
        make_folder(tmp_path / "remote", MLTable="paths: [{file: 'https://x/y.csv'}]")
        make_folder(tmp_path / "broken", MLTable="transformations: []")

        with pytest.raises(InputError, match=message):
            split(tmp_path / name, kind, size, keys, tmp_path / "rows")

    @pytest.mark.parametrize(("text", "number"), [("1kb", 1024), ("1.5 MB", 1.5 * 2**20), ("2g", 2**31), ("7", 7)])
    def test_sizes(self, text: str, number: float) -> None:
        assert parse_size(text).number == number


def _table(batch: MiniBatch) -> Any:
    import pandas

    assert batch.table is not None
    return pandas.read_pickle(batch.table)


@pytest.mark.usefixtures("data")
@pytest.mark.slow
class TestJobs:
    def test_rows_are_in_the_order_of_the_input(self, tmp_path: Path) -> None:
        node = _node(tmp_path, SCRIPT.format(body=""), resources={"instance_count": 2}, max_concurrency_per_instance=2)

        result = _run(tmp_path, node)

        assert result.has_succeeded, text_of(result.nodes["score"].log_files[0])
        assert text_of(result.outputs["rows"]).splitlines() == [f"f{number}.txt done" for number in range(5)]
        assert not (result.nodes["score"].run_folder / "work").exists()

    def test_a_folder_gets_a_file_of_azures_name(self, tmp_path: Path) -> None:
        result = _run(tmp_path, _node(tmp_path, SCRIPT.format(body="")), output="uri_folder")

        assert len(text_of(result.outputs["rows"] / "parallel_run_step.txt").splitlines()) == 5

    @pytest.mark.parametrize(
        ("body", "keys", "message"),
        [
            ("assert 'f2.txt' not in names", {"mini_batch_error_threshold": 0}, "More mini-batches have failed (1)"),
            ("names = names[:1]", {"error_threshold": 1}, "More items have failed (2) than error_threshold allows (1)"),
            ("return None", {"mini_batch_error_threshold": 0}, "run() returned a NoneType"),
            ("os._exit(3)", {"mini_batch_error_threshold": 0}, "died with exit code 3"),
            (
                "import time; time.sleep(60)",
                {"mini_batch_error_threshold": 0, "retry_settings": {"max_retries": 0, "timeout": 1}},
                "took more than 1",
            ),
        ],
    )
    def test_failures_beyond_the_threshold_fail_the_job(
        self, tmp_path: Path, body: str, keys: dict[str, Any], message: str
    ) -> None:
        result = _run(tmp_path, _node(tmp_path, SCRIPT.format(body=body), **keys))

        node = result.nodes["score"]
        assert node.state is NodeState.FAILED
        assert message in text_of(node.log_files[0])

    def test_failures_within_the_threshold_are_counted(self, tmp_path: Path) -> None:
        body = "assert 'f2.txt' not in names"
        result = _run(tmp_path, _node(tmp_path, SCRIPT.format(body=body), mini_batch_error_threshold=1))

        log = text_of(result.nodes["score"].log_files[0])
        assert result.has_succeeded
        assert "attempt 2" in log
        assert "2 of 3 mini-batches and 3 of 5 items have succeeded" in log
        assert len(text_of(result.outputs["rows"]).splitlines()) == 3

    def test_what_fails_once_is_tried_again(self, tmp_path: Path) -> None:
        body = f"path = {str(tmp_path / 'seen')!r}\n    if not os.path.exists(path): open(path, 'w'); raise OSError"
        result = _run(tmp_path, _node(tmp_path, SCRIPT.format(body=body), mini_batch_error_threshold=0))

        assert result.has_succeeded
        assert len(text_of(result.outputs["rows"]).splitlines()) == 5

    def test_a_script_that_cannot_start_fails_the_job_at_once(self, tmp_path: Path) -> None:
        result = _run(tmp_path, _node(tmp_path, "import no_such_module\ndef run(mini_batch): return mini_batch"))

        log = text_of(result.nodes["score"].log_files[0])
        assert "cannot be used" in log
        assert "no_such_module" in log

    def test_tables_become_data_frames_and_rows_of_text(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n", encoding="utf-8")
        node = _node(tmp_path, "def run(rows):\n    return rows.assign(a=rows['a'] * 10)\n", mini_batch_size="4b")
        node["inputs"]["data"] = {"type": "uri_file", "path": "t.csv"}

        result = _run(tmp_path, node)

        assert text_of(result.outputs["rows"]) == "10 x\n20 y\n"

    @pytest.mark.usefixtures("data")
    def test_the_size_0_of_the_sdk_is_none(self, tmp_path: Path) -> None:
        script = "def run(files):\n    return [len(files)]\n"

        result = _run(tmp_path, _node(tmp_path, script, mini_batch_size="0"))

        assert text_of(result.outputs["rows"]) == "1\n" * 5

    def test_a_component_says_what_its_node_does_not(self, tmp_path: Path) -> None:
        node = _node(tmp_path, SCRIPT.format(body=""))
        component = {
            "type": "parallel",
            "name": "score",
            "inputs": {"data": FOLDER, "suffix": {"type": "string", "default": "from_component"}},
            "outputs": {"rows": {"type": "uri_file"}},
            **{key: node.pop(key) for key in ("task", "input_data", "mini_batch_size")},
        }
        write_yaml(tmp_path / "component.yaml", component)
        node["component"] = "component.yaml"
        del node["inputs"]["suffix"]

        result = _run(tmp_path, node)

        assert text_of(result.outputs["rows"]).splitlines()[0] == "f0.txt from_component"

    @pytest.mark.parametrize(
        ("keys", "message"),
        [
            ({"task": {"entry_script": "gone.py"}}, "gone.py does not exist"),
            ({"task": {"type": "model"}}, "task of type model"),
            ({"task": {"type": "script"}}, "write run_function"),
            ({"task": {"append_row_to": "${{outputs.gone}}"}}, "none of the outputs"),
            ({"input_data": "${{inputs.gone}}"}, "none of the inputs"),
            ({"input_data": None}, "has no input_data"),
            ({"input_data": "data"}, "input_data is 'data'"),
            ({"mini_batch_size": "many"}, "mini_batch_size is 'many'"),
            ({"max_concurrency_per_instance": 0}, "at least 1"),
            ({"error_threshold": -2}, "at least -1"),
            ({"retry_settings": {"max_retries": -1}}, "at least 0"),
            ({"retry_settings": {"timeout": "soon"}}, "timeout must be a number"),
            ({"logging_level": "LOUD"}, "logging_level is LOUD"),
        ],
    )
    def test_every_wrong_field_is_named_before_anything_starts(
        self, tmp_path: Path, keys: dict[str, Any], message: str
    ) -> None:
        path = write_pipeline(
            tmp_path, {"score": _node(tmp_path, SCRIPT.format(body=""), **keys)}, outputs={"rows": {"type": "uri_file"}}
        )

        with pytest.raises(DesignerError) as caught:
            plan_pipeline(read_pipeline(path))

        (fault,) = caught.value.faults
        assert message in f"{fault.message} {fault.advice}"
        assert fault.place.line > 1
        assert fault.place.node == "score"

    @pytest.mark.parametrize(
        ("script", "message"),
        [("def init(): pass", "no function run"), ("def run(:", "not valid Python")],
    )
    def test_a_script_without_run_is_named_before_anything_starts(
        self, tmp_path: Path, script: str, message: str
    ) -> None:
        path = write_pipeline(tmp_path, {"score": _node(tmp_path, script)}, outputs={"rows": {"type": "uri_file"}})

        with pytest.raises(DesignerError, match=message):
            plan_pipeline(read_pipeline(path))

    def test_the_result_is_reused(self, tmp_path: Path) -> None:
        node = _node(tmp_path, SCRIPT.format(body=""))
        path = write_pipeline(tmp_path, {"score": node}, outputs={"rows": {"type": "uri_file"}})
        for number, state in enumerate((NodeState.COMPLETED, NodeState.REUSED)):
            result = run_pipeline(path, run_folder=tmp_path / f"run{number}", cache=open_cache(tmp_path / "c", 1 << 30))
            assert result.nodes["score"].state is state


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self").exists(), reason="reads /proc")
@pytest.mark.usefixtures("data")
def test_nothing_outlives_a_stopped_job(tmp_path: Path) -> None:
    body = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n    import time; time.sleep(60)"
    path = write_pipeline(
        tmp_path, {"score": _node(tmp_path, SCRIPT.format(body=body))}, outputs={"rows": {"type": "uri_file"}}
    )
    stop = StopRequest()

    def ask() -> None:
        wait_until(lambda: (tmp_path / "pid").exists() and text_of(tmp_path / "pid"))
        stop.request()

    asker = threading.Thread(target=ask)
    asker.start()
    with pytest.raises(InterruptedRunError):
        run_pipeline(path, run_folder=tmp_path / "run", stop=stop, grace_seconds=0.5)
    asker.join(120)
    status = Path("/proc", text_of(tmp_path / "pid"), "status")
    assert not status.exists() or "State:\tZ" in text_of(status)  # nobody has waited for it yet
