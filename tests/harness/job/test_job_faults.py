"""Each fault acts on a small job of shell commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.errors import UnknownNameError, UnsupportedLocallyError
from pytorch_designer.harness.fault_injection import namespace, system_call_watch
from pytorch_designer.harness.fault_injection.injected_faults import parse_faults
from pytorch_designer.harness.job.job_run import JobResult, run_job
from tests.commands import run_fresh
from tests.harness.fault_injection.availability import needs_namespace, needs_system_call_watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.harness.fixture_types import MakeRequest, WriteComponent

FOLDER = {"type": "uri_folder"}
PORTS = {"inputs": {"data": FOLDER}, "outputs": {"out": FOLDER}}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in "abcdefgh":
        (folder / name).write_text(f"{name}\n", encoding="utf-8")
    return folder


@pytest.fixture
def run_with(make_request: MakeRequest, data: Path) -> Callable[..., JobResult]:
    """Runs a command with faults; it has an input `data` with the files a to h, and an output `out`."""

    def run_it(command: str, *faults: str, **spec: object) -> JobResult:
        request = make_request(
            command, spec={**PORTS, **spec}, inputs={"data": data}, faults=parse_faults(faults), grace_seconds=1
        )
        return run_job(request)

    return run_it


def _log(result: JobResult, rank: int = 0) -> str:
    return result.log_files[rank].read_text(encoding="utf-8")


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.slow
def test_kill_after_kills_without_a_chance_to_clean_up(run_with: Callable[..., JobResult]) -> None:
    result = run_with("trap 'echo warned' TERM; echo started; sleep 600; echo ended", "kill-after=3")
    assert (result.exit_code, _log(result)) == (137, "started\n")
    assert 3 <= result.seconds < 300


def test_kill_after_the_end_of_the_job_is_said_to_have_done_nothing(run_with: Callable[..., JobResult]) -> None:
    result = run_with("true", "kill-after=60")
    assert result.has_succeeded
    assert result.fault_notes == ("kill-after did not act: the job ended before.",)


@needs_system_call_watch
@pytest.mark.parametrize(
    ("number", "left"),
    [(1, {}), (2, {"a": ""}), (3, {"a": "1\n"}), (4, {"a": "1\n", "b": ""}), (5, {"a": "1\n", "b": "2\n"})],
)
def test_kill_at_write_prevents_just_that_write(
    run_with: Callable[..., JobResult], number: int, left: dict[str, str]
) -> None:
    command = "cd ${{outputs.out}}; echo 1 > a; echo 2 > b; mv a c"  # opens a, writes a, opens b, writes b, renames
    result = run_with(command, f"kill-at-write={number}")
    assert result.exit_code == 137
    assert {path.name: path.read_text() for path in result.outputs["out"].iterdir()} == left
    begun = "1 write was" if number == 1 else f"{number} writes were"
    assert result.fault_notes == (f"kill-at-write killed the job: {begun} begun.",)


@needs_system_call_watch
def test_kill_at_write_beyond_the_last_one_tells_how_many_there_were(run_with: Callable[..., JobResult]) -> None:
    command = "echo x > elsewhere; mkdir ${{outputs.out}}/m; : > ${{outputs.out}}/m/f; rm ${{outputs.out}}/m/f"
    result = run_with(command, "kill-at-write=9")
    assert result.has_succeeded
    assert result.fault_notes == ("kill-at-write did not act: 3 writes were begun.",)


@needs_system_call_watch
def test_kill_at_write_sees_python_and_its_children_in_all_processes(run_with: Callable[..., JobResult]) -> None:
    program = "import pathlib,sys,time; pathlib.Path(sys.argv[1], 'x').mkdir(exist_ok=True); time.sleep(600)"
    command = f'python -c "{program}" ${{{{outputs.out}}}}; echo never'
    distribution = {"type": "pytorch", "process_count_per_instance": 2}
    result = run_with(command, "kill-at-write=2", distribution=distribution)
    assert result.exit_code == 137
    assert _names(result.outputs["out"]) == ["x"], "the first process made it; both were killed at the second mkdir"
    assert _log(result, 0) + _log(result, 1) == ""


@needs_namespace
def test_small_shm_has_that_size(run_with: Callable[..., JobResult]) -> None:
    result = run_with("df --output=size --block-size=1 /dev/shm | tail -1", "small-shm=64m")
    assert int(_log(result)) == 64 * 1024 * 1024


@needs_namespace
def test_read_only_output_refuses_writes_and_leaves_the_others(run_with: Callable[..., JobResult]) -> None:
    outputs = {"out": FOLDER, "other": FOLDER}
    command = "echo 1 > ${{outputs.other}}/x; echo 1 > ${{outputs.out}}/x"
    result = run_with(command, "read-only-output=out", outputs=outputs)
    assert not result.has_succeeded
    assert "Read-only file system" in _log(result)
    assert (_names(result.outputs["out"]), _names(result.outputs["other"])) == ([], ["x"])


@needs_namespace
def test_full_output_takes_so_many_bytes_and_no_more(run_with: Callable[..., JobResult]) -> None:
    result = run_with("head -c 20000 /dev/zero > ${{outputs.out}}/big", "full-output=out:8192")
    assert not result.has_succeeded
    assert "No space left on device" in _log(result)
    assert (result.outputs["out"] / "big").stat().st_size == 8192


@needs_namespace
def test_full_output_keeps_what_was_there_and_what_was_changed(
    make_request: MakeRequest, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "result"
    out.mkdir()
    (out / "old").write_bytes(b"o" * 10000)
    (out / "gone").write_bytes(b"g")
    command = "cd ${{outputs.out}}; rm gone; echo new > new; mkdir sub; ln -s new sub/link"
    faults = parse_faults(["full-output=out:64k"])
    request = make_request(command, spec=PORTS, inputs={"data": data}, outputs={"out": out}, faults=faults)
    assert run_job(request).has_succeeded
    assert _names(out) == ["new", "old", "sub"]
    assert (out / "old").read_bytes() == b"o" * 10000
    assert (out / "sub" / "link").is_symlink()


@pytest.mark.slow
@needs_namespace
def test_full_output_is_fetched_after_a_kill(run_with: Callable[..., JobResult]) -> None:
    result = run_with("echo 1 > ${{outputs.out}}/x; sleep 600", "full-output=out:64k", "kill-after=3")
    assert (result.exit_code, _names(result.outputs["out"])) == (137, ["x"])


@needs_namespace
def test_no_network_leaves_the_loopback_interface_alone(run_with: Callable[..., JobResult], tmp_path: Path) -> None:
    program = tmp_path / "connect.py"
    program.write_text(
        "import errno, socket\n"
        "try:\n"
        "    socket.create_connection(('192.0.2.1', 80), 5)\n"
        "except OSError as error:\n"
        "    print(errno.errorcode[error.errno])\n"
        "with socket.create_server(('127.0.0.1', 0)) as server:\n"
        "    socket.create_connection(server.getsockname(), 5).close()\n"
        "    print('loopback')\n"
    )
    result = run_with(f"python {program}", "no-network")
    assert _log(result) == "ENETUNREACH\nloopback\n"


@needs_namespace
def test_processes_without_network_still_reach_each_other(run_with: Callable[..., JobResult], tmp_path: Path) -> None:
    program = tmp_path / "meet.py"
    program.write_text(
        "import os, socket, time\n"
        "place = (os.environ['MASTER_ADDR'], int(os.environ['MASTER_PORT']))\n"
        "if os.environ['RANK'] == '0':\n"
        "    with socket.create_server(place) as server:\n"
        "        server.settimeout(120)\n"
        "        server.accept()[0].close()\n"
        "else:\n"
        "    for _ in range(2400):\n"
        "        try:\n"
        "            socket.create_connection(place, 5).close()\n"
        "            break\n"
        "        except ConnectionRefusedError:\n"
        "            time.sleep(0.05)\n"
        "    else:\n"
        "        raise SystemExit('nobody there')\n"
    )
    distribution = {"type": "pytorch", "process_count_per_instance": 2}
    result = run_with(f"python {program}", "no-network", distribution=distribution)
    assert result.has_succeeded, _log(result, 0) + _log(result, 1)


@pytest.mark.slow
@needs_system_call_watch
def test_slow_opens_wait_together_and_not_one_after_another(run_with: Callable[..., JobResult]) -> None:
    command = "cd ${{inputs.data}}; for f in a b c d e f g h; do cat $f & done; wait"
    result = run_with(command, "slow-open=3000")
    assert sorted(_log(result).split()) == list("abcdefgh")
    assert 3 <= result.seconds < 8 * 3
    assert result.fault_notes == ("slow-open: 8 opens below inputs took 3000 ms longer.",)


@pytest.mark.slow
@needs_system_call_watch
def test_flaky_opens_fail_alike_for_the_same_seed(run_with: Callable[..., JobResult]) -> None:
    command = "cd ${{inputs.data}}; for f in a b c d e f g h; do cat $f 2> /dev/null || echo failed; done"
    first, again, other = (_log(run_with(command, f"flaky-open=0.5:{seed}")) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert 0 < first.count("failed") < 8


@needs_system_call_watch
def test_flaky_opens_succeed_when_they_are_tried_again(run_with: Callable[..., JobResult]) -> None:
    command = "for f in a b c d e f g h; do until cat ${{inputs.data}}/$f 2> /dev/null; do :; done; done"
    result = run_with(command, "flaky-open=0.6")
    assert _log(result).split() == list("abcdefgh")


@needs_system_call_watch
def test_flaky_opens_fail_with_the_errors_of_a_lost_mount(run_with: Callable[..., JobResult], data: Path) -> None:
    result = run_with(f"for i in 1 2 3; do cat {data}/a; done; cat /dev/null", "flaky-open=1")
    errors = [line.rsplit(": ", 1)[1] for line in _log(result).splitlines()]
    assert errors == [os.strerror(5), os.strerror(107), os.strerror(5)]


@needs_system_call_watch
@needs_namespace
def test_several_faults_act_together(run_with: Callable[..., JobResult]) -> None:
    command = (
        "cat ${{inputs.data}}/a; df /dev/shm | grep -c 1024; echo 1 > ${{outputs.out}}/a; echo 2 > ${{outputs.out}}/b"
    )
    faults = ("small-shm=1m", "full-output=out:1m", "slow-open=1", "kill-at-write=3", "no-network")
    result = run_with(command, *faults)
    assert (result.exit_code, _log(result)) == (137, "a\n1\n")
    assert _names(result.outputs["out"]) == ["a"]


@needs_system_call_watch
def test_rerun_goes_on_with_the_outputs_of_the_killed_run(make_request: MakeRequest, data: Path) -> None:
    command = "cd ${{outputs.out}}; ls; for i in 1 2 3; do test -e $i || mkdir $i; done"
    request = make_request(command, spec=PORTS, inputs={"data": data}, faults=parse_faults(["kill-at-write=3"]))
    killed = run_job(request)
    assert _names(killed.outputs["out"]) == ["1", "2"]
    rerun = run_job(request.without_faults(killed))
    assert (rerun.exit_code, _log(rerun)) == (0, "1\n2\n")
    assert _names(killed.outputs["out"]) == ["1", "2", "3"]


def test_fault_of_an_output_that_does_not_exist_is_refused(make_request: MakeRequest, data: Path) -> None:
    faults = parse_faults(["full-output=model:1k"])
    with pytest.raises(UnknownNameError, match="has no output 'model'"):
        run_job(make_request("true", spec=PORTS, inputs={"data": data}, faults=faults))


def test_file_output_can_be_neither_full_nor_read_only(make_request: MakeRequest, tmp_path: Path) -> None:
    faults = parse_faults(["read-only-output=out"])
    request = make_request("true", spec={"outputs": {"out": {"type": "uri_file"}}}, faults=faults)
    with pytest.raises(UnsupportedLocallyError, match="only folders"):
        run_job(request)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fault", ["small-shm=1m", "read-only-output=out", "full-output=out:1k", "no-network"])
def test_machine_without_the_programs_refuses_before_anything_is_written(
    make_request: MakeRequest, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    namespace._reason_against.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    try:
        with pytest.raises(UnsupportedLocallyError, match="mounts or a network of its own"):
            run_job(make_request("true", spec=PORTS, inputs={"data": data}, faults=parse_faults([fault])))
    finally:
        namespace._reason_against.cache_clear()
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("fault", ["kill-at-write=1", "slow-open=1", "flaky-open=0.1"])
def test_other_systems_refuse_what_needs_linux(
    make_request: MakeRequest, data: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    system_call_watch._reason_against.cache_clear()
    monkeypatch.setattr(sys, "platform", "darwin")
    try:
        with pytest.raises(UnsupportedLocallyError, match="that needs Linux"):
            run_job(make_request("true", spec=PORTS, inputs={"data": data}, faults=parse_faults([fault])))
    finally:
        system_call_watch._reason_against.cache_clear()


@pytest.mark.slow
@needs_system_call_watch
@needs_namespace
def test_nothing_is_left_behind(run_with: Callable[..., JobResult]) -> None:
    descriptors, children = _num_descriptors(), _children()
    for _ in range(3):
        run_with("echo 1 > ${{outputs.out}}/x", "kill-at-write=9", "full-output=out:1m", "no-network")
    assert _num_descriptors() == descriptors
    assert _children() <= children  # what another test of this process still has is not ours


@pytest.mark.slow
@needs_system_call_watch
def test_command_line_kills_and_runs_again(write_component: WriteComponent, data: Path, tmp_path: Path) -> None:
    path = write_component("cd ${{outputs.out}}; mkdir -p a; mkdir -p b; echo done", **PORTS)
    arguments = ("run", path, "--input", f"data={data}", "--no-mlflow", "--run-folder", "first")
    done = run_fresh(*arguments, "--fault", "kill-at-write=2", "--rerun", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Fault       kill-at-write=2\n" in done.stdout
    assert "Failed with exit code 137" in done.stdout
    assert "kill-at-write killed the job: 2 writes were begun." in done.stdout
    assert done.stdout.rindex("Completed") > done.stdout.index("Failed with exit code 137")
    assert _names(tmp_path / "first" / "named-outputs" / "out") == ["a", "b"]
    assert (tmp_path / "first-rerun" / "user_logs" / "std_log.txt").read_text() == "done\n"


def _children() -> set[str]:
    return {entry.name for entry in Path("/proc").iterdir() if _parent(entry) == os.getpid()}


def _num_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _parent(process: Path) -> int | None:
    try:
        return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError):  # ended meanwhile, or no process at all
        return None
