"""`pytorch-designer run` as a user sees it: in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.waiting import is_running, killed_at_last, wait_until

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from tests.harness.fixture_types import WriteComponent

TOP = Path(__file__).parents[3]
RUN = (sys.executable, "-m", "pytorch_designer", "run")
FOLDER = {"type": "uri_folder"}


def _run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*RUN, *map(str, arguments)], capture_output=True, text=True, encoding="utf-8", timeout=100, check=False
    )


def test_a_component_runs_and_says_where_everything_is(tmp_path: Path, write_component: WriteComponent) -> None:
    (tmp_path / "data").mkdir()
    path = write_component(
        "echo rate is ${{inputs.rate}}, level $LEVEL; ls -d ${{inputs.d}}; touch ${{outputs.o}}/x",
        display_name="Sample",
        inputs={"d": FOLDER, "rate": {"type": "number"}},
        outputs={"o": FOLDER},
    )

    done = _run(path, "--input", "d=data", "--param", "rate=1e-7", "--output", "o=out", "--env", "LEVEL=3")

    assert (done.returncode, done.stderr) == (0, "")
    for text in (
        f"Sample (sample), {path}",
        "rate = 1e-07",
        f"rate is 1e-07, level 3\n{tmp_path}/data\n",
        "Completed after",
        f"o = {tmp_path}/out",
        "std_log.txt",
        f"in {tmp_path}/mlflow.db",
    ):
        assert text in done.stdout
    assert (tmp_path / "out" / "x").exists()
    run_folder = Path(re.findall(r"^Run folder  (.*)$", done.stdout, re.MULTILINE)[-1])
    assert json.loads((run_folder / "run.json").read_text(encoding="utf-8"))["state"] == "completed"
    assert run_folder.parent == tmp_path / "runs"


def test_the_exit_code_is_the_components(tmp_path: Path, write_component: WriteComponent) -> None:
    done = _run(write_component("echo oh no >&2; exit 41"), "--no-mlflow", "--run-folder", "here")

    assert done.returncode == 41
    assert "oh no\n" in done.stdout
    assert "Failed with exit code 41" in done.stdout
    assert (tmp_path / "here" / "user_logs" / "std_log.txt").read_text(encoding="utf-8") == "oh no\n"
    assert not (tmp_path / "mlflow.db").exists()


def test_a_named_error_comes_before_anything_starts(tmp_path: Path, write_component: WriteComponent) -> None:
    path = write_component(f"touch {tmp_path}/started", inputs={"epochs": {"type": "integer", "min": 1}})

    done = _run(path, "--param", "epochs=0")

    assert done.returncode == 1
    assert "GreaterThanOrEqualToError (0005)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not any((tmp_path / name).exists() for name in ("started", "runs", "mlflow.db"))


@pytest.mark.parametrize("arguments", [["--param", "epochs"], ["--param", "a=1", "--param", "a=2"], ["--what"]])
def test_wrong_usage_is_refused(write_component: WriteComponent, arguments: list[str]) -> None:
    done = _run(write_component(), *arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("pytorch-designer run: ")


def test_variables_that_azure_ml_would_drop_are_warned_about(write_component: WriteComponent) -> None:
    done = _run(write_component(environment_variables={"LEVEL": "1"}), "--no-mlflow")

    assert "environment_variables on a component are dropped" in done.stdout


def test_lines_of_several_processes_are_told_apart(write_component: WriteComponent) -> None:
    spec = {"distribution": {"type": "pytorch", "process_count_per_instance": 2}}

    done = _run(write_component("echo I am $RANK", **spec), "--no-mlflow")

    assert {"[0] I am 0", "[1] I am 1"} <= set(done.stdout.splitlines())


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if os.name == "posix" else [])])
def test_a_signal_ends_all_children_and_leaves_a_readable_state(
    tmp_path: Path, write_component: WriteComponent, number: signal.Signals
) -> None:
    spec = {"distribution": {"type": "pytorch", "process_count_per_instance": 2}}
    path = write_component(f"sleep 60 & echo $! > {tmp_path}/$RANK; wait", **spec)
    harness = subprocess.Popen(
        [*RUN, str(path), "--run-folder", "here"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not all((tmp_path / rank).exists() and (tmp_path / rank).stat().st_size for rank in "01"):
        assert time.monotonic() < deadline
        time.sleep(0.02)

    harness.send_signal(number)
    _, stderr = harness.communicate(timeout=100)

    assert harness.returncode == 128 + number
    assert "InterruptedRunError" in stderr
    assert not any(is_running(int((tmp_path / rank).read_text(encoding="utf-8"))) for rank in "01")
    assert json.loads((tmp_path / "here" / "run.json").read_text(encoding="utf-8"))["state"] == "canceled"


@pytest.mark.skipif(os.name != "posix", reason="pipes break otherwise elsewhere")
def test_a_reader_that_has_seen_enough_does_not_end_the_job(tmp_path: Path, write_component: WriteComponent) -> None:
    path = write_component("sleep 0.3; seq 1000; exit 5")
    harness = subprocess.Popen(
        [*RUN, str(path), "--run-folder", "here", "--no-mlflow"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert harness.stdout is not None

    harness.stdout.close()
    _, stderr = harness.communicate(timeout=60)

    assert (harness.returncode, stderr) == (5, b"")
    assert (tmp_path / "here" / "user_logs" / "std_log.txt").read_text(encoding="utf-8").endswith("\n1000\n")


def test_processes_find_each_other_through_the_variables(write_component: WriteComponent) -> None:
    program = (
        "import torch, torch.distributed as d; d.init_process_group('gloo'); t = torch.tensor(d.get_rank() + 1.0); "
        "d.all_reduce(t); print(t.item()); d.destroy_process_group()"
    )
    spec = {"distribution": {"type": "pytorch"}, "resources": {"instance_count": 2}}

    done = _run(write_component(f'python -c "{program}"', **spec), "--no-mlflow")

    assert {"[0] 3.0", "[1] 3.0"} <= set(done.stdout.splitlines()), done.stdout


def test_nothing_slow_is_imported(write_component: WriteComponent) -> None:
    path = write_component()
    program = (
        "import sys; from pytorch_designer.cli.main import main\n"
        f"assert main(['run', {str(path)!r}]) == 0\n"
        "slow = {'azure', 'mlflow', 'torch', 'numpy', 'pandas', 'pyarrow', 'PIL', 'matplotlib'} & sys.modules.keys()\n"
        "assert not slow, slow\n"
    )

    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=100)


def test_our_own_component_runs(tmp_path: Path) -> None:
    arguments = ("--param", "model_name=resnet18", "--param", "pretrained=false", "--output", "untrained_model=model")

    done = _run(TOP / "components" / "resnet.yaml", *arguments, "--no-mlflow")

    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "model" / "_meta.yaml").exists()


@pytest.mark.skipif(os.name != "posix", reason="streams are POSIX's")
@pytest.mark.parametrize("stream", ["closed", "full", "without a reader"])
def test_standard_output_that_fails_does_not_end_the_job(
    tmp_path: Path, write_component: WriteComponent, stream: str
) -> None:
    path = write_component("seq 1 3000; sleep 0.2; seq 1 3000; exit 5")
    redirection = {"closed": ">&-", "full": ">/dev/full", "without a reader": "| true"}[stream]
    if stream == "full" and not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    command = shlex.join([*RUN, str(path), "--run-folder", "here", "--no-mlflow"])

    done = subprocess.run(
        ["bash", "-c", f"{command} {redirection}; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        check=False,
        timeout=100,
    )

    assert (done.returncode, done.stderr) == (5, b"")
    log = (tmp_path / "here" / "user_logs" / "std_log.txt").read_text(encoding="utf-8")
    assert log.splitlines() == [str(number) for number in range(1, 3001)] * 2


@pytest.mark.skipif(os.name != "posix", reason="such names are POSIX's")
@pytest.mark.parametrize("name", ["a%20b", "a#b", "a?b", "a b", "a&b;c", "it's", "ünï", "(a)", "a%", "-a"])
def test_a_working_directory_may_have_an_odd_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_component: WriteComponent, name: str
) -> None:
    (tmp_path / name / "data").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / name)
    path = write_component(
        'test -d "${{inputs.d}}" && touch "${{outputs.o}}/x"', inputs={"d": FOLDER}, outputs={"o": FOLDER}
    )

    done = _run(path, "--input", "d=data", "--output", "o=out")

    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / name / "out" / "x").exists()
    assert (tmp_path / name / "mlflow.db").exists()


@pytest.mark.skipif(os.name != "posix", reason="such names are POSIX's")
@pytest.mark.parametrize("name", ["a$(touch planted)", "a`touch planted`", 'a"b', "a$HOME", "a\\b"])
def test_a_path_that_the_shell_would_obey_is_refused(
    tmp_path: Path, write_component: WriteComponent, name: str
) -> None:
    for folder in (name, "data"):
        (tmp_path / folder).mkdir()
    path = write_component('ls "${{inputs.d}}"', inputs={"d": FOLDER}, outputs={"o": FOLDER})

    for arguments in (["--input", f"d={name}"], ["--input", "d=data", "--output", f"o={name}/o"]):
        done = _run(path, *arguments, "--no-mlflow")
        assert done.returncode == 1
        assert "UnsupportedLocallyError" in done.stderr
        assert "the shell of the job would obey" in done.stderr
    assert not list(tmp_path.rglob("planted"))


@pytest.mark.skipif(os.name != "posix", reason="escape sequences and names are POSIX's")
def test_names_and_lines_reach_the_terminal_without_what_it_obeys(
    tmp_path: Path, write_component: WriteComponent
) -> None:
    (tmp_path / "d\x1b]0;title\x07\u202e").mkdir()
    path = write_component(
        r"printf 'a\033[31mred\033[0m\033]0;x\007\033c\n'; exit 3",
        display_name="S\x1b[2Jample\nError: x",
        inputs={"d": FOLDER, "t": {"type": "string", "default": "a\x1b[1A\nb"}},
        environment_variables={"A\x1b[5mB": "1"},
    )

    done = _run(path, "--input", "d=d\x1b]0;title\x07\u202e", "--no-mlflow")

    assert done.returncode == 3
    assert "\x1b" not in done.stdout + done.stderr
    assert "\u202e" not in done.stdout
    assert r"S\x1b[2Jample\nError: x" in done.stdout
    assert r"t = a\x1b[1A\nb" in done.stdout
    assert "ared\\x1bc\n" in done.stdout


@pytest.mark.skipif(os.name != "posix", reason="named pipes and devices")
@pytest.mark.parametrize("kind", ["a named pipe", "a device", "a socket"])
def test_what_is_no_file_is_not_waited_for(
    tmp_path: Path, write_component: WriteComponent, special_files: dict[str, Path], kind: str
) -> None:
    special = special_files[kind]
    path = write_component("ls ${{inputs.d}}", inputs={"d": {"type": "custom_model"}})
    pipeline = tmp_path / "pipeline.yaml"
    pipeline.write_text("type: pipeline\njobs:\n  a: {type: command, component: azureml:a:1}\n", encoding="utf-8")
    assets = tmp_path / "assets.yaml"
    assets.write_text(f"azureml:a:1: {special}\n", encoding="utf-8")
    for arguments in (
        (special,),
        (path, "--input", f"d={special}"),
        (pipeline, "--assets", special),
        (pipeline, "--assets", assets),
    ):
        done = _run(*arguments, "--no-mlflow")
        assert done.returncode == 1
        assert kind in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's")
def test_a_stopped_run_does_not_wait_for_what_has_ended(tmp_path: Path, write_component: WriteComponent) -> None:
    path = write_component(f"(touch {tmp_path}/up; sleep 600; true) | (cat; true); echo not last")
    command = [*RUN, str(path), "--no-mlflow", "--grace-seconds", "600"]
    with killed_at_last(
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), 400
    ) as harness:
        wait_until((tmp_path / "up").exists)
        started = time.monotonic()
        harness.send_signal(signal.SIGTERM)
        assert harness.wait(300) == 128 + signal.SIGTERM
    assert time.monotonic() - started < 300
