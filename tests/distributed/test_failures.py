"""Failures of one process of a run: all end, soon, with the cause by name, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.commands import CAN_FORK, succeed
from tests.distributed.commands_together import training_together
from tests.images.digits import write_digits

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CAN_FORK or not Path("/proc/self/stat").exists(), reason="needs Linux"),
]

END_SECONDS = 30
PARAMETERS = ("--epochs", "200", "--batch-size", "4", "--learning-rate", "0.001", "--patience", "200")
PORTS = ("untrained-model=../untrained", "training-dataset=../training", "validation-dataset=../validation")
COMMAND = ["train-pytorch-model", *(f"--{port}" for port in PORTS), "--trained-model=out", *PARAMETERS]

# The cause that `error_info.json` names, and what the logs of the others say of it.
CAUSES = {
    "death": ("LostProcessError", "LostProcessError (P018): The process died"),
    "full disk": ("FailedToWriteOutputsError", "FailedToWriteOutputsError (0160)"),
    "out of memory": ("ModuleOutOfMemoryError", "ModuleOutOfMemoryError (0138)"),
    "bad dataset": ("InvalidDatasetError", "InvalidDatasetError (0018)"),
    "non-finite loss": ("NonFiniteLossError", "NonFiniteLossError (P001)"),
    "bug": ("ZeroDivisionError", "ZeroDivisionError: a bug"),
    "SIGTERM": ("InterruptedRunError", "InterruptedRunError (P003)"),
}
# Met by all in the same step.
TOGETHER = {"non-finite loss", "SIGTERM"}
SIGNALS = {"death": signal.SIGKILL, "SIGTERM": signal.SIGTERM}
# The first process alone writes: a full disk of another one is not met.
CASES = [(cause, rank) for cause in CAUSES for rank in (0, 1) if (cause, rank) != ("full disk", 1)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("together")
    write_digits(top / "training", classes=3, per_class=8)
    write_digits(top / "validation", classes=3, per_class=4, skip=20)
    (top / "damaged/0").mkdir(parents=True)
    (top / "damaged/0/0.png").write_bytes(b"no image")
    network = ("--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--untrained-model", "untrained")
    succeed("image-model", *network, cwd=top)
    return top


@pytest.mark.parametrize(("cause", "rank"), CASES)
def test_a_fault_of_one_process_ends_all_by_name(cause: str, rank: int, workspace: Path) -> None:
    name, words = CAUSES[cause]
    replaced = ("--training-dataset=../damaged",) if cause == "bad dataset" else ()
    fault = "" if cause in SIGNALS or replaced else cause
    folder = workspace / f"{cause} {rank}"
    with training_together(folder, COMMAND, 2, fault=fault, faulty_rank=rank, replaced=replaced) as run:
        run.wait_for_training()
        if cause in SIGNALS:
            os.kill(run.members[rank].pid, SIGNALS[cause])
        started = time.monotonic()
        run.wait_until(run.has_ended, END_SECONDS)
        assert time.monotonic() - started < END_SECONDS
        codes, logs = run.exit_codes(), run.logs()

        if cause == "death":
            assert (codes[rank], codes[1 - rank]) == (-signal.SIGKILL, 1), logs
        else:
            assert codes == [128 + signal.SIGTERM if cause == "SIGTERM" else 1] * 2, logs
        assert words in run.members[1 - rank].text(), logs
        named = "Process: rank " if cause in TOGETHER else f"rank {rank} of 2, "
        assert named in run.members[1 - rank].text(), logs
        assert "Traceback" not in run.members[1 - rank].text() or cause == "bug", logs
        assert run.error_info()["name"] == name
        assert "of 2, " in run.error_info()["process"], logs
        if cause not in {"bad dataset", "full disk"}:
            assert any((folder / "out/.checkpoint").glob("*.json")), logs
        assert run.leftovers() == []


def test_a_process_that_is_stopped_is_noticed_and_killed(workspace: Path) -> None:
    with ExitStack() as stack:
        runs = [stack.enter_context(training_together(workspace / f"stopped {rank}", COMMAND, 2)) for rank in (0, 1)]
        for rank, run in enumerate(runs):
            run.wait_for_training()
            os.kill(run.members[rank].pid, signal.SIGSTOP)
        started = time.monotonic()
        for rank, run in enumerate(runs):
            run.wait_until(run.has_ended, END_SECONDS + started - time.monotonic())
            logs = run.logs()
            assert (run.exit_codes()[rank], run.exit_codes()[1 - rank]) == (-signal.SIGKILL, 1), logs
            assert f"rank {rank} of 2, " in run.members[1 - rank].text(), logs
            assert "has not answered for 20 s" in run.members[1 - rank].text(), logs
            assert run.error_info()["name"] == "LostProcessError"
            assert run.leftovers() == []
