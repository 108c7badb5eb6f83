"""Failures of one process of a run: all end, soon, with the cause by name, and leave nothing behind."""

from __future__ import annotations

import os
import re
import signal
import time
import zipfile
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.commands import CAN_FORK, write_small_inputs
from tests.distributed.commands_together import FULL_DISK_BYTES, training_together

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CAN_FORK or not Path("/proc/self/stat").exists(), reason="needs Linux"),
]

END_SECONDS = 90  # 30 are enough on a machine that has nothing else to do
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
# The first process alone writes the output. Another one writes the content of archives.
REPLACED = {
    ("full disk", 1): "--training-dataset=../training.zip",
    ("bad dataset", 0): "--training-dataset=../damaged",
    ("bad dataset", 1): "--training-dataset=../damaged",
}
CASES = [(cause, rank) for cause in CAUSES for rank in (0, 1)]
DOING = "(checking the inputs|reading a few images|training, epoch .*, step .*|saving a checkpoint|validation of epoch)"
LAST_BEAT = f"(joining|loading the model|{DOING})"
"""Of a process that cannot say what it does: what it did up to a second before, which is long for these runs."""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("together")
    write_small_inputs(top, classes=3, training=8, validation=4)
    (top / "damaged/0").mkdir(parents=True)
    (top / "damaged/0/0.png").write_bytes(b"no image")
    with zipfile.ZipFile(top / "training.zip", "w") as archive:
        for path in (top / "training").rglob("*.png"):
            archive.write(path, path.relative_to(top / "training"))
        archive.writestr("0/large.png", os.urandom(2 * FULL_DISK_BYTES))
    return top


@pytest.mark.parametrize(("cause", "rank"), CASES)
def test_a_fault_of_one_process_ends_all_by_name(cause: str, rank: int, workspace: Path) -> None:
    name, words = CAUSES[cause]
    replaced = [REPLACED[cause, rank]] if (cause, rank) in REPLACED else []
    fault = "" if cause in SIGNALS or cause == "bad dataset" else cause
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
        named = "Process: rank [01] of 2, " if cause in TOGETHER else f"rank {rank} of 2, "
        phase = LAST_BEAT if cause == "death" else DOING
        assert re.search(named + phase, run.members[1 - rank].text()), logs
        if cause not in {"death", "bug"}:
            assert re.search(named + DOING, run.members[rank].text()), logs
        assert "Traceback" not in run.members[1 - rank].text() or cause == "bug", logs
        assert run.error_info()["name"] == name
        assert re.search(f"of 2, {phase}", run.error_info()["process"]), logs
        if cause == "non-finite loss":
            assert re.search("of 2, training, epoch [12], step ", run.error_info()["process"]), logs
        if cause not in {"bad dataset", "full disk"}:
            assert any((folder / "out/.checkpoint").glob("*.json")), logs
        assert run.leftovers() == []


PHASES = (
    "checking the inputs",
    "loading the model",
    "reading a few images",
    "training, epoch 1",
    "validation of epoch 1",
    "saving a checkpoint",
    "writing the model",
)


@pytest.mark.parametrize(("rank", "phase"), [(number % 2, phase) for number, phase in enumerate(PHASES)])
def test_a_process_that_dies_in_any_phase_ends_all(rank: int, phase: str, workspace: Path) -> None:
    folder, command = workspace / f"dead in {phase}", [*COMMAND, "--epochs=1", "--patience=1"]
    with training_together(folder, command, 2, fault=f"death in {phase}", faulty_rank=rank) as run:
        run.wait_until(run.has_ended)
        logs = run.logs()
        assert (run.exit_codes()[rank], run.exit_codes()[1 - rank]) == (-signal.SIGKILL, 1), logs
        # What it did is known to the second.
        assert re.search(f"rank {rank} of 2, .*LostProcessError \\(P018\\): The process died", logs), logs
        assert run.error_info()["name"] == "LostProcessError"
        assert run.leftovers() == []


def test_a_process_that_does_not_go_on_ends_all(workspace: Path) -> None:
    """It is stopped, and killed by the others; or its dataset turns out to be bad, and what is left hangs."""
    with ExitStack() as stack:
        runs = [stack.enter_context(training_together(workspace / f"stopped {rank}", COMMAND, 2)) for rank in (0, 1)]
        swept = training_together(workspace / "hanging", COMMAND, 2, fault="hanging bad dataset", faulty_rank=1)
        sweep = stack.enter_context(swept)
        for rank, run in enumerate(runs):
            run.wait_for_training()
            os.kill(run.members[rank].pid, signal.SIGSTOP)
        started = time.monotonic()
        for rank, run in enumerate(runs):
            run.wait_until(run.has_ended, END_SECONDS + started - time.monotonic())
            logs = run.logs()
            assert (run.exit_codes()[rank], run.exit_codes()[1 - rank]) == (-signal.SIGKILL, 1), logs
            assert re.search(f"rank {rank} of 2, {LAST_BEAT}", run.members[1 - rank].text()), logs
            assert "has not answered for 20 s" in run.members[1 - rank].text(), logs
            assert run.error_info()["name"] == "LostProcessError"
            assert run.leftovers() == []
        sweep.wait_until(sweep.has_ended, END_SECONDS + 5 + started - time.monotonic())  # it may start later
        assert sweep.exit_codes() == [1, 1], sweep.logs()
        assert "1 of the 24 images of training_dataset cannot be used (" in sweep.error_info()["what"], sweep.logs()
        assert sweep.error_info()["process"].startswith("rank 1 of 2, training, epoch 1"), sweep.logs()
        assert sweep.leftovers() == []


def test_a_full_disk_for_decoded_images_in_one_process_is_named_and_costs_no_run(workspace: Path) -> None:
    command = [*COMMAND, "--epochs=2", "--patience=2"]
    variables = {"PYTORCH_DESIGNER_CACHE_BYTES": "0", "PYTORCH_DESIGNER_DISK_CACHE_BYTES": "1000000"}
    with training_together(workspace / "cache", command, 2, fault="tiny disk", faulty_rank=1, **variables) as run:
        run.wait_until(run.has_ended)
        assert run.exit_codes() == [0, 0], run.logs()
        assert "rank 1: The local disk in " in run.members[1].text(), run.logs()
        assert "cannot be used to keep decoded images: File too large" in run.members[1].text(), run.logs()
        assert run.leftovers() == []
