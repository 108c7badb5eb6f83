"""Real processes, made of shell commands."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pytorch_designer.errors import (
    DesignerError,
    FailedToWriteOutputsError,
    GreaterThanOrEqualToError,
    InputChangedError,
    InterruptedRunError,
    InvalidSpecError,
    NullOrEmptyError,
    UnknownNameError,
    UnsupportedLocallyError,
)
from pytorch_designer.harness.job.job_run import run_job
from pytorch_designer.harness.job.read_only import list_entries
from pytorch_designer.system.stop_requests import StopRequest
from tests.harness.pipeline_files import make_folder
from tests.waiting import is_running, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.harness.fixture_types import MakeRequest

FOLDER = {"type": "uri_folder"}
TWO_BY_TWO = {
    "distribution": {"type": "pytorch", "process_count_per_instance": 2},
    "resources": {"instance_count": 2},
}


def _record(run_folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    return record


def _log(run_folder: Path, name: str = "std_log.txt") -> str:
    return (run_folder / "user_logs" / name).read_text(encoding="utf-8")


def _folder(path: Path, **texts: str) -> Path:
    path.mkdir()
    for name, text in texts.items():
        (path / name).write_text(text, encoding="utf-8")
    return path


def _wait_for(path: Path) -> str:
    wait_until(lambda: path.exists() and path.read_text(encoding="utf-8").endswith("\n"))
    return path.read_text(encoding="utf-8")


@contextmanager
def _thread(target: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=target)
    thread.start()
    yield
    thread.join(120)


def test_a_job_reads_inputs_and_writes_outputs(tmp_path: Path, make_request: MakeRequest) -> None:
    request = make_request(
        "cat ${{inputs.data}}/a.txt > ${{outputs.copy}}/b.txt; echo rate=${{inputs.rate}}",
        spec={
            "inputs": {"data": FOLDER, "rate": {"type": "number", "default": 0.001}},
            "outputs": {"copy": FOLDER},
        },
        inputs={"data": _folder(tmp_path / "data", **{"a.txt": "hello"})},
        outputs={"copy": tmp_path / "new" / "copy"},
    )

    result = run_job(request)

    assert result.has_succeeded
    assert result.outputs == {"copy": tmp_path / "new" / "copy"}
    assert (tmp_path / "new" / "copy" / "b.txt").read_text(encoding="utf-8") == "hello"
    assert _log(result.run_folder) == "rate=0.001\n"


def test_the_working_directory_is_a_copy_of_the_code(tmp_path: Path, make_request: MakeRequest) -> None:
    code = _folder(tmp_path / "code", **{"main.py": "print('from the code')", "x.log": "", ".amlignore": "*.log"})
    request = make_request("python main.py; ls; echo more >> main.py", spec={"code": "../code"})

    result = run_job(request)

    assert _log(result.run_folder) == "from the code\nlogs\nmain.py\noutputs\n"
    assert (code / "main.py").read_text(encoding="utf-8") == "print('from the code')"
    assert not (result.run_folder / "work").exists()


def test_python_is_the_one_that_runs_the_harness(make_request: MakeRequest) -> None:
    result = run_job(make_request("python -c 'import sys; print(sys.prefix)'"))

    assert _log(result.run_folder) == f"{sys.prefix}\n"


def test_output_and_error_are_followed_live_and_logged_in_order(make_request: MakeRequest) -> None:
    lines: list[tuple[int, str]] = []
    request = make_request(r"echo one; echo two >&2; printf 'a\rb\r\nc\n\nlast \xff'")

    result = run_job(request, lambda rank, line: lines.append((rank, line)))

    assert lines == [(0, "one"), (0, "two"), (0, "a"), (0, "b"), (0, "c"), (0, ""), (0, "last \ufffd")]
    log = (result.run_folder / "user_logs" / "std_log.txt").read_bytes()
    assert log == b"one\ntwo\na\rb\r\nc\n\nlast \xff"


@pytest.mark.parametrize(
    ("command", "exit_code"), [("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("no-such-program", 127)]
)
def test_the_exit_code_is_passed_on(make_request: MakeRequest, command: str, exit_code: int) -> None:
    result = run_job(make_request(command))

    assert (result.exit_code, result.failed_rank) == (exit_code, 0)
    record = _record(result.run_folder)
    assert (record["state"], record["exit_code"]) == ("failed", exit_code)


def test_what_a_job_leaves_in_outputs_and_logs_is_collected(make_request: MakeRequest) -> None:
    request = make_request("mkdir outputs/deep; echo m > outputs/deep/m.txt; echo l > ./logs/l.txt; exit 3")

    result = run_job(request)

    assert (result.run_folder / "outputs" / "deep" / "m.txt").read_text(encoding="utf-8") == "m\n"
    assert (result.run_folder / "logs" / "l.txt").read_text(encoding="utf-8") == "l\n"
    assert (result.run_folder / "work" / "node_0").is_dir()  # kept after a failure


def test_a_file_of_the_code_may_be_called_outputs(tmp_path: Path, make_request: MakeRequest) -> None:
    _folder(tmp_path / "code", outputs="mine")
    result = run_job(make_request("cat outputs; test -d logs", spec={"code": "../code"}))
    assert (result.exit_code, _log(result.run_folder)) == (0, "mine")


@pytest.mark.parametrize("name", ["artifacts", "default"])
def test_an_output_for_what_is_collected_holds_it(make_request: MakeRequest, name: str) -> None:
    outputs = {"outputs": {name: FOLDER, "other": FOLDER}}
    command = "echo m > outputs/m.txt; echo l > logs/l.txt; touch ${{outputs.other}}/x"

    result = run_job(make_request(command, spec=outputs))

    found = sorted(str(path.relative_to(result.outputs[name])) for path in result.outputs[name].rglob("*.txt"))
    assert found == ["logs/l.txt", "outputs/m.txt"]
    assert [path.name for path in result.outputs["other"].iterdir()] == ["x"]
    assert (result.run_folder / "outputs" / "m.txt").exists()


def test_an_output_that_the_command_writes_itself_is_its_own(make_request: MakeRequest) -> None:
    outputs = {"outputs": {"artifacts": FOLDER}}
    result = run_job(make_request("echo m > outputs/m; touch ${{outputs.artifacts}}/x", spec=outputs))
    assert [path.name for path in result.outputs["artifacts"].iterdir()] == ["x"]


def test_the_record_says_what_ran_and_how_it_ended(tmp_path: Path, make_request: MakeRequest) -> None:
    request = make_request(
        "sleep 0.3; echo ${{inputs.rate}}",
        spec={"version": 4, "inputs": {"rate": {"type": "number"}}},
        inputs={"rate": "1e-7"},
        environment_variables={"TOKEN": "hush"},
    )

    result = run_job(request)

    record = _record(result.run_folder)
    assert record["state"] == "completed"
    assert (record["component"], record["version"]) == ("sample", "4")
    assert record["command"] == "sleep 0.3; echo 1e-07"
    assert record["inputs"] == {"rate": "1e-07"}
    assert record["environment_variables"] == ["TOKEN"]
    assert "hush" not in json.dumps(record)
    assert 0.3 <= record["seconds"] == result.seconds
    assert result.peak_memory_bytes is not None
    assert 1e5 < result.peak_memory_bytes < 1e8
    assert record["peak_memory_bytes"] == result.peak_memory_bytes


@pytest.mark.slow
def test_memory_of_the_whole_tree_is_measured(tmp_path: Path, make_request: MakeRequest) -> None:
    make_folder(
        tmp_path / "spec" / "code",
        **{
            "child.py": "import os, time\nx = bytearray(150_000_000)\n"
            f"while not os.path.exists({str(tmp_path / 'seen')!r}): time.sleep(0.02)",
            "parent.py": "import subprocess, sys\nx = bytearray(150_000_000)\n"
            "subprocess.run([sys.executable, 'child.py'], timeout=120)",
        },
    )

    def look(num_bytes: int) -> None:
        if num_bytes > 3e8:
            (tmp_path / "seen").touch()

    result = run_job(make_request("python parent.py", spec={"code": "code"}), on_memory=look)

    assert result.peak_memory_bytes is not None
    assert 3e8 < result.peak_memory_bytes < 4.5e8


def test_a_job_sees_the_variables_of_the_platform(
    tmp_path: Path, make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_CALLER", "hush")
    monkeypatch.setenv("RANK", "7")  # of a launcher that the harness itself runs under
    request = make_request(
        "env",
        spec={
            "inputs": {
                "data": FOLDER,
                "rate": {"type": "number", "default": 1},
                "note": {"type": "string"},
                "none": {"type": "integer", "optional": True},
            },
            "outputs": {"model": FOLDER},
            "environment_variables": {"DROPPED": "1"},
        },
        inputs={"data": _folder(tmp_path / "data"), "note": "two words"},
        environment_variables={"LEVEL": "3"},
        experiment="pets",
        parent_run_id="parent",
    )

    result = run_job(request)

    variables = dict(line.split("=", 1) for line in _log(result.run_folder).splitlines() if "=" in line)
    expected = {
        "AZUREML_RUN_ID": result.run_id,
        "AZUREML_ROOT_RUN_ID": "parent",
        "AZUREML_EXPERIMENT_NAME": "pets",
        "AZURE_ML_INPUT_data": str(tmp_path / "data"),
        "AZURE_ML_OUTPUT_model": str(result.outputs["model"]),
        "AZUREML_PARAMETER_rate": "1.0",
        "AZUREML_PARAMETER_note": "two words",
        "LEVEL": "3",
        "SECRET_OF_CALLER": "hush",
    }
    assert {name: variables.get(name) for name in expected} == expected
    assert not {"RANK", "DROPPED", "MLFLOW_RUN_ID", "AZUREML_PARAMETER_none"} & variables.keys()


def test_processes_are_told_their_places_and_have_a_log_each(make_request: MakeRequest) -> None:
    show = "echo $RANK $LOCAL_RANK $NODE_RANK $WORLD_SIZE $MASTER_ADDR $MASTER_PORT; pwd"

    result = run_job(make_request(show, spec=TWO_BY_TWO))

    logs = [path.read_text(encoding="utf-8").split() for path in result.log_files]
    assert [path.name for path in result.log_files] == [f"std_log_process_0{rank}.txt" for rank in range(4)]
    assert [log[:5] for log in logs] == [
        ["0", "0", "0", "4", "127.0.0.1"],
        ["1", "1", "0", "4", "127.0.0.1"],
        ["2", "0", "1", "4", "127.0.0.1"],
        ["3", "1", "1", "4", "127.0.0.1"],
    ]
    assert len({log[5] for log in logs}) == 1
    assert [Path(log[6]).name for log in logs] == ["node_0", "node_0", "node_1", "node_1"]


def test_nodes_meet_in_outputs_where_the_first_one_wins(make_request: MakeRequest) -> None:
    command = "mkdir -p outputs/d; echo $NODE_RANK > outputs/same; echo $NODE_RANK > outputs/d/$NODE_RANK"
    spec = {"distribution": {"type": "pytorch"}, "resources": {"instance_count": 2}}

    result = run_job(make_request(command, spec=spec))

    outputs = result.run_folder / "outputs"
    assert (outputs / "same").read_text(encoding="utf-8") == "0\n"
    assert sorted(path.name for path in (outputs / "d").iterdir()) == ["0", "1"]


def test_when_one_process_dies_the_others_are_ended(tmp_path: Path, make_request: MakeRequest) -> None:
    all_are_there = f"[ -s {tmp_path}/0 -a -s {tmp_path}/1 -a -s {tmp_path}/3 ]"
    fail = f"until {all_are_there}; do sleep 0.02; done; exit 5"
    command = f"echo $$ > {tmp_path}/$RANK; if [ $RANK = 2 ]; then {fail}; fi; sleep 600"

    result = run_job(make_request(command, spec=TWO_BY_TWO))

    assert (result.exit_code, result.failed_rank) == (5, 2)
    assert result.seconds < 300
    assert not any(is_running(int(_wait_for(tmp_path / str(rank)))) for rank in range(4))


@pytest.mark.slow
def test_a_process_that_ignores_sigterm_is_killed_after_the_grace_period(
    tmp_path: Path, make_request: MakeRequest
) -> None:
    fail = f"until [ -e {tmp_path}/1 -a -e {tmp_path}/2 -a -e {tmp_path}/3 ]; do sleep 0.02; done; exit 5"
    ignore = f"trap 'echo asked' TERM; touch {tmp_path}/$RANK; while true; do sleep 0.1; done"
    command = f"if [ $RANK = 0 ]; then {fail}; fi; {ignore}"

    result = run_job(make_request(command, spec=TWO_BY_TWO, grace_seconds=3))

    assert (result.exit_code, result.failed_rank) == (5, 0)
    assert 3 <= result.seconds < 300
    assert "asked" in _log(result.run_folder, "std_log_process_01.txt")


def test_what_a_job_leaves_running_ends_with_it(tmp_path: Path, make_request: MakeRequest) -> None:
    result = run_job(make_request(f"sleep 600 & echo $! > {tmp_path}/pid; disown"))

    assert result.has_succeeded
    assert result.seconds < 300
    assert not is_running(int(_wait_for(tmp_path / "pid")))


@pytest.mark.parametrize("harm", ["echo x > ${{inputs.d}}/a", "touch ${{inputs.d}}/b", "rm ${{inputs.d}}/a"])
def test_writing_into_an_input_fails_the_job(tmp_path: Path, make_request: MakeRequest, harm: str) -> None:
    request = make_request(harm, spec={"inputs": {"d": FOLDER}}, inputs={"d": _folder(tmp_path / "d", a="some text")})

    with pytest.raises(InputChangedError) as caught:
        run_job(request)

    assert caught.value.where == str(tmp_path / "d")
    assert any(str(tmp_path / "d") in example for example in caught.value.examples)
    assert _record(request.run_folder)["state"] == "failed"


def test_what_was_written_into_an_input_and_removed_again_shows(tmp_path: Path, make_request: MakeRequest) -> None:
    request = make_request(
        "touch ${{inputs.d}}/b; rm ${{inputs.d}}/b",
        spec={"inputs": {"d": FOLDER}},
        inputs={"d": _folder(tmp_path / "d")},
    )

    with pytest.raises(InputChangedError):
        run_job(request)


def test_an_input_with_links_in_a_circle_is_compared_all_the_same(tmp_path: Path, make_request: MakeRequest) -> None:
    data = _folder(tmp_path / "d", a="text")
    (data / "up").symlink_to(tmp_path)
    (data / "self").symlink_to(data)
    request = make_request("cat ${{inputs.d}}/self/a", spec={"inputs": {"d": FOLDER}}, inputs={"d": data})

    assert run_job(request).has_succeeded  # though the run folder, which changes, is below what `up` leads to
    assert len(list_entries(data)) == 4
    assert len(list_entries(data, max_entries=2)) == 2


def test_an_input_file_may_be_read(tmp_path: Path, make_request: MakeRequest) -> None:
    (tmp_path / "a.csv").write_text("1,2\n", encoding="utf-8")
    request = make_request(
        "cat ${{inputs.f}}", spec={"inputs": {"f": {"type": "uri_file"}}}, inputs={"f": tmp_path / "a.csv"}
    )

    assert _log(run_job(request).run_folder) == "1,2\n"


@pytest.mark.parametrize("place", ["d", "d/inner", "."])
def test_an_output_in_an_input_is_refused(tmp_path: Path, make_request: MakeRequest, place: str) -> None:
    request = make_request(
        "true",
        spec={"inputs": {"d": FOLDER}, "outputs": {"o": FOLDER}},
        inputs={"d": _folder(tmp_path / "d")},
        outputs={"o": tmp_path / place},
    )

    with pytest.raises(FailedToWriteOutputsError, match="Output o and input d"):
        run_job(request)


def test_a_run_folder_in_an_input_is_refused(tmp_path: Path, make_request: MakeRequest) -> None:
    request = make_request("true", spec={"inputs": {"d": FOLDER}}, inputs={"d": tmp_path})

    with pytest.raises(FailedToWriteOutputsError, match="run folder and input d"):
        run_job(request)


def test_an_uploaded_output_appears_when_the_job_has_ended(tmp_path: Path, make_request: MakeRequest) -> None:
    _folder(tmp_path / "o", old="1", kept="2")
    request = make_request(
        "cd ${{outputs.o}} && echo 3 > old && mkdir deep && touch deep/x && cat $DELIVERED/old",
        spec={"outputs": {"o": {"type": "uri_folder", "mode": "upload"}}},
        outputs={"o": tmp_path / "o"},
        environment_variables={"DELIVERED": str(tmp_path / "o")},
    )

    result = run_job(request)

    assert _log(result.run_folder) == "1"
    assert (tmp_path / "o" / "old").read_text(encoding="utf-8") == "3\n"
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["deep", "kept", "old"]
    assert (tmp_path / "o" / "deep" / "x").exists()


def test_a_failed_job_uploads_nothing(tmp_path: Path, make_request: MakeRequest) -> None:
    request = make_request(
        "echo 3 > ${{outputs.o}}/x; exit 1",
        spec={"outputs": {"o": {"type": "uri_folder", "mode": "upload"}}},
        outputs={"o": tmp_path / "o"},
    )

    run_job(request)

    assert list((tmp_path / "o").iterdir()) == []


def test_a_file_output_is_the_path_of_a_file(make_request: MakeRequest) -> None:
    request = make_request("echo 1 > ${{outputs.table}}", spec={"outputs": {"table": {"type": "uri_file"}}})

    result = run_job(request)

    assert result.outputs["table"].read_text(encoding="utf-8") == "1\n"


def test_a_second_run_in_the_same_folder_finds_its_outputs_again(make_request: MakeRequest) -> None:
    request = make_request("echo x >> ${{outputs.o}}/a; wc -l < ${{outputs.o}}/a", spec={"outputs": {"o": FOLDER}})

    logs = [_log(run_job(request).run_folder).strip() for _ in range(2)]

    assert logs == ["1", "2"]


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path, make_request: MakeRequest) -> None:
    _folder(tmp_path / "run", **{"thesis.txt": "years of work"})

    with pytest.raises(FailedToWriteOutputsError, match="not empty"):
        run_job(make_request("true"))

    assert [path.name for path in (tmp_path / "run").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    ("spec", "fields", "error"),
    [
        ({"inputs": {"n": {"type": "integer"}}}, {}, NullOrEmptyError),
        ({"inputs": {"n": {"type": "integer", "min": 1}}}, {"inputs": {"n": "0"}}, GreaterThanOrEqualToError),
        ({}, {"inputs": {"n": "0"}}, UnknownNameError),
        ({}, {"outputs": {"o": Path("o")}}, UnknownNameError),
        ({"code": "missing"}, {}, InvalidSpecError),
        ({"resources": {"instance_count": 2}}, {}, UnsupportedLocallyError),
    ],
)
def test_what_can_be_refused_is_refused_before_anything_is_written(
    make_request: MakeRequest, spec: dict[str, Any], fields: dict[str, Any], error: type[DesignerError]
) -> None:
    request = make_request("true", spec=spec, **fields)

    with pytest.raises(error):
        run_job(request)

    assert not request.run_folder.exists()


@pytest.mark.slow
def test_a_stop_request_ends_all_processes_and_is_recorded(tmp_path: Path, make_request: MakeRequest) -> None:
    request = make_request(
        f"mkdir -p outputs; echo half > outputs/half; sleep 60 & echo $! > {tmp_path}/$RANK; wait", spec=TWO_BY_TWO
    )
    stop = StopRequest()

    def stop_when_all_have_started() -> None:
        for rank in range(4):
            _wait_for(tmp_path / str(rank))
        stop.request(15)

    with _thread(stop_when_all_have_started), pytest.raises(InterruptedRunError) as caught:
        run_job(request, stop=stop)

    assert caught.value.signal_number == 15
    assert not any(is_running(int(_wait_for(tmp_path / str(rank)))) for rank in range(4))
    record = _record(request.run_folder)
    assert (record["state"], record["exit_code"]) == ("canceled", None)
    assert (request.run_folder / "outputs" / "half").exists()


@pytest.mark.slow
def test_a_program_below_a_shell_has_its_grace_period_too(tmp_path: Path, make_request: MakeRequest) -> None:
    program = f"trap 'sleep 0.3; echo 1 > {tmp_path}/saved; exit' TERM; echo 1 > {tmp_path}/started"
    request = make_request(f'bash -c "{program}; while true; do sleep 0.05; done"; echo not last', grace_seconds=60)
    stop = StopRequest()

    def stop_when_it_has_started() -> None:
        _wait_for(tmp_path / "started")
        stop.request()

    with _thread(stop_when_it_has_started), pytest.raises(InterruptedRunError):
        run_job(request, stop=stop)

    assert (tmp_path / "saved").exists()


def test_an_urgent_stop_does_not_wait_for_the_grace_period(tmp_path: Path, make_request: MakeRequest) -> None:
    request = make_request(f"trap '' TERM; echo 1 > {tmp_path}/started; sleep 600", grace_seconds=600)
    stop = StopRequest()
    started = time.monotonic()

    def stop_twice_when_it_has_started() -> None:
        _wait_for(tmp_path / "started")
        stop.request()
        stop.request()

    with _thread(stop_twice_when_it_has_started), pytest.raises(InterruptedRunError):
        run_job(request, stop=stop)

    assert time.monotonic() - started < 300


def test_a_receiver_that_fails_does_not_block_the_job(
    make_request: MakeRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults: list[object] = []
    monkeypatch.setattr(threading, "excepthook", faults.append)

    def fail(rank: int, line: str) -> None:
        raise BrokenPipeError

    result = run_job(make_request("yes | head -n 200000"), fail)

    assert result.has_succeeded
    assert len(faults) == 1


@pytest.mark.skipif(os.name != "posix", reason="setsid is POSIX's")
@pytest.mark.slow
def test_a_daemon_that_left_the_session_does_not_hold_the_job(make_request: MakeRequest) -> None:
    before = set(threading.enumerate())
    result = run_job(make_request("setsid sleep 600 & sleep 0.3"))

    assert result.has_succeeded
    assert result.seconds < 300
    for thread in set(threading.enumerate()) - before:  # read until the daemon has ended; not during other tests
        thread.join(120)
