"""Outputs are complete or not there at all (CASES 11, 12, 13)."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.errors import FailedToWriteOutputsError, InvalidDatasetError
from pytorch_designer.storage.output import (
    check_outputs,
    open_output,
    stage_together,
    write_atomically,
)
from tests.waiting import killed_at_last

Refusal = Callable[..., None]
FILES = {"_meta.yaml": "type: X", "data/a.txt": "a", "MLmodel": "m", "z.txt": "z"}


def write(staging: Path) -> None:
    for name, text in FILES.items():
        (staging / name).parent.mkdir(exist_ok=True)
        (staging / name).write_text(text)


def write_output(path: Path, error: Exception | None = None) -> None:
    with open_output(path, apart_from={}) as output, output.stage() as folder:
        write(folder)
        if error is not None:
            raise error


def write_both(first: Path, second: Path) -> None:
    with (
        open_output(first, apart_from={"the other output": second}) as first_output,
        open_output(second, apart_from={"the other output": first}) as second_output,
        stage_together(first_output, second_output) as folders,
    ):
        for folder in folders:
            write(folder)


def open_and_leave(path: Path, **apart_from: Path) -> None:
    with open_output(path, apart_from=apart_from):
        pass


def check(path: Path, **inputs: Path) -> None:
    check_outputs({"out": path}, inputs)


REFUSALS = pytest.mark.parametrize("refuse", [open_and_leave, check])


def content(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_output_holds_what_was_written_and_nothing_else(tmp_path: Path) -> None:
    output = tmp_path / "new" / "deeper"
    with open_output(output, apart_from={}) as opened:
        with opened.stage() as folder:
            write(folder)
            assert not (output / "_meta.yaml").exists()
        assert (output / "_meta.yaml").exists()
    assert content(output) == FILES


def test_error_while_writing_leaves_an_empty_output(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError):
        write_output(tmp_path, InvalidDatasetError("Bad input, found late."))
    assert content(tmp_path) == {}


def test_full_disk_becomes_a_named_error_with_the_path(tmp_path: Path) -> None:
    failed = tmp_path / ".staging/data/b.txt"
    with pytest.raises(FailedToWriteOutputsError) as caught:
        write_output(tmp_path, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(failed)))
    assert "No space left" in caught.value.what
    assert caught.value.where == str(failed)
    assert content(tmp_path) == {}


def test_error_about_an_input_is_not_called_an_output_error(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with open_output(output, apart_from={}) as opened, pytest.raises(FileNotFoundError), opened.stage():
        (tmp_path / "input.txt").read_text()


@REFUSALS
def test_output_that_holds_something_is_refused_untouched(tmp_path: Path, refuse: Refusal) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FailedToWriteOutputsError) as caught:
        refuse(tmp_path)
    assert caught.value.reason == "not_empty"
    assert caught.value.examples == ("mine.txt",)
    assert content(tmp_path) == {"mine.txt": "mine"}


def test_what_a_run_or_a_kill_left_is_not_taken_for_somebody_elses(tmp_path: Path) -> None:
    check(tmp_path / "new")
    killed, renaming, complete = tmp_path / "killed", tmp_path / "renaming", tmp_path / "complete"
    for folder in (killed / ".checkpoint", killed / ".staging", renaming / ".staging", complete):
        folder.mkdir(parents=True)
    (killed / ".lock").touch()
    (renaming / ".staging" / "COMMIT").write_text("model.pt")
    (renaming / "model.pt").write_text("moved before the kill")
    (complete / "_meta.yaml").write_text("type: ModelDirectory")
    before = content(tmp_path)
    for path in (killed, renaming):
        check(path)
    check_outputs({"out": complete}, {}, keeps_results=True)
    assert content(tmp_path) == before


@REFUSALS
def test_a_complete_result_that_cannot_be_this_run_s_is_refused(tmp_path: Path, refuse: Refusal) -> None:
    write_output(tmp_path)
    with pytest.raises(FailedToWriteOutputsError, match="not empty"):
        refuse(tmp_path)
    assert content(tmp_path) == FILES


def test_two_outputs_in_one_folder_are_called_the_same(tmp_path: Path) -> None:
    with pytest.raises(FailedToWriteOutputsError, match="The output is the same folder as the other output"):
        check_outputs({"first": tmp_path / "out", "second": tmp_path / "x" / ".." / "out"}, {})
    with pytest.raises(FailedToWriteOutputsError, match="The output is the same folder as the dataset"):
        check_outputs({"out": tmp_path}, {"dataset": tmp_path})


@REFUSALS
def test_output_that_is_a_file_is_refused(tmp_path: Path, refuse: Refusal) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(FailedToWriteOutputsError) as caught:
        refuse(tmp_path / "file")
    assert caught.value.reason == "file"


def test_a_file_that_cannot_be_removed_is_named_with_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".staging").mkdir()
    (tmp_path / ".staging" / "half").write_text("left by a kill")

    def failing(path: str, *, dir_fd: int | None = None) -> None:
        raise OSError(errno.EIO, "Input/output error", path)  # as the system does: the last part of the path alone

    monkeypatch.setattr(os, "unlink", failing)
    with pytest.raises(FailedToWriteOutputsError) as caught:
        open_and_leave(tmp_path)
    assert caught.value.where == str(tmp_path / ".staging")


def test_folder_below_a_file_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(FailedToWriteOutputsError):
        open_and_leave(tmp_path / "file" / "deeper")


def _killed_at_rename(output: str, number: int) -> None:
    """Runs in a process of its own: commit, but die at the rename of that number."""
    done = 0
    replace = Path.replace

    def dying(self: Path, target: Path) -> Path:
        nonlocal done
        done += 1
        if done == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return replace(self, target)

    Path.replace = dying  # type: ignore[method-assign, assignment]  # as a patch
    write_output(Path(output))


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="POSIX signal")
@pytest.mark.parametrize("number", range(1, 6))
def test_kill_at_any_rename_leaves_nothing_that_passes_for_complete_and_can_be_run_again(
    tmp_path: Path, number: int
) -> None:
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=_killed_at_rename, args=(str(tmp_path), number))
    process.start()
    process.join(120)
    assert process.exitcode == -signal.SIGKILL
    assert not (tmp_path / "_meta.yaml").exists()
    write_output(tmp_path)
    assert content(tmp_path) == FILES


def test_what_mlflow_takes_for_a_model_comes_last_but_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    replace = Path.replace

    def noting(self: Path, target: Path) -> Path:
        order.append(Path(target).name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", noting)
    write_output(tmp_path)
    assert order[-2:] == ["MLmodel", "_meta.yaml"]


@pytest.mark.parametrize("number", range(1, 9))
def test_several_outputs_are_all_complete_or_all_empty_whichever_rename_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    outputs = (tmp_path / "first", tmp_path / "second")
    done = 0
    replace = Path.replace

    def failing(self: Path, target: Path) -> Path:
        nonlocal done
        done += not Path(target).name.startswith((".", "COMMIT"))
        if done == number:
            raise OSError(errno.EIO, "Input/output error", str(target))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(FailedToWriteOutputsError) as caught:
        write_both(*outputs)
    assert str(caught.value.where).startswith(str(tmp_path))
    assert content(tmp_path) == {}


def test_several_outputs_become_complete_together(tmp_path: Path) -> None:
    outputs = (tmp_path / "first", tmp_path / "second")
    write_both(*outputs)
    assert [content(output) for output in outputs] == [FILES, FILES]


@pytest.mark.parametrize("output", ["source", "source/deeper/output", "source/../source"])
@REFUSALS
def test_output_inside_the_source_is_refused(tmp_path: Path, output: str, refuse: Refusal) -> None:
    with pytest.raises(FailedToWriteOutputsError) as caught:
        refuse(tmp_path / output, source=tmp_path / "source")
    assert caught.value.reason == "inside_source"
    assert list(tmp_path.iterdir()) == []


@REFUSALS
def test_output_beside_or_around_the_source_is_fine(tmp_path: Path, refuse: Refusal) -> None:
    refuse(tmp_path / "sources", source=tmp_path / "source")
    refuse(tmp_path, source=tmp_path / "source")


def test_output_inside_another_output_is_refused(tmp_path: Path) -> None:
    for first, second in ((tmp_path, tmp_path / "deeper"), (tmp_path / "deeper", tmp_path)):
        with pytest.raises(FailedToWriteOutputsError, match="inside the other output"):
            check_outputs({"first": first, "second": second}, {})


def test_result_of_the_same_run_is_recognized_and_its_leftovers_are_removed(tmp_path: Path) -> None:
    write_output(tmp_path)
    for name in (".staging", ".checkpoint"):
        (tmp_path / name).mkdir()
    with open_output(tmp_path, apart_from={}, is_finished=lambda: True) as output:
        assert output.is_finished
    assert {path.name for path in tmp_path.iterdir()} == {"_meta.yaml", "data", "MLmodel", "z.txt"}


def test_result_of_another_run_is_refused(tmp_path: Path) -> None:
    write_output(tmp_path)
    with pytest.raises(FailedToWriteOutputsError), open_output(tmp_path, apart_from={}, is_finished=lambda: False):
        pass
    assert content(tmp_path) == FILES


def test_output_that_is_not_complete_is_not_finished(tmp_path: Path) -> None:
    with open_output(tmp_path, apart_from={}, is_finished=lambda: True) as output:
        assert not output.is_finished


def test_second_run_is_refused_while_the_first_holds_the_output(tmp_path: Path) -> None:
    program = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from pytorch_designer.storage.output import open_output
        with open_output(Path(sys.argv[1]), apart_from={}):
            print("locked", flush=True)
            sys.stdin.read()
        """
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with killed_at_last(holder):
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        for refuse in (open_and_leave, check):
            with pytest.raises(FailedToWriteOutputsError) as caught:
                refuse(tmp_path)
            assert caught.value.reason == "locked"
        holder.kill()
    deadline = time.monotonic() + 60
    while True:  # the lock dies with its owner
        try:
            open_and_leave(tmp_path)
            break
        except FailedToWriteOutputsError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert content(tmp_path) == {}


def test_new_folder_that_stays_empty_is_removed_and_an_old_one_is_not(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    for name in ("new", "old"):
        open_and_leave(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX locks")
@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP])
def test_a_mount_without_locks_has_none_and_nothing_that_outlives_a_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    import fcntl

    def missing(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", missing)
    (tmp_path / ".lock").write_text("4711\nanother-node\n")  # what is left of a node that was preempted
    with open_output(tmp_path, apart_from={}), open_output(tmp_path, apart_from={}):
        pass
    assert content(tmp_path) == {}


@pytest.mark.skipif(os.name != "posix", reason="folders are flushed on POSIX only")
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_mount_that_cannot_flush_folders_is_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    fsync = os.fsync

    def files_only(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", files_only)
    write_atomically(tmp_path / "state.json", b"new")
    assert content(tmp_path) == {"state.json": "new"}


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    write_atomically(path, b"old")

    def failing(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", failing)
    with pytest.raises(OSError, match="Input/output"):
        write_atomically(path, b"new")
    assert content(tmp_path) == {"state.json": "old"}


@pytest.mark.parametrize(
    "names",
    [
        "../victim",
        "model.pt\n../victim",
        "{victim}",
        "..",
        ".",
        "",
        "a/b",
        "a\\b",
        ".checkpoint",
        ".lock",
        "\udcff",
        "\0",
    ],
)
@REFUSALS
def test_a_planted_list_of_renames_removes_nothing(tmp_path: Path, names: str, refuse: Refusal) -> None:
    victim, output = tmp_path / "victim", tmp_path / "out"
    for folder in (victim, output / ".staging", output / ".checkpoint"):
        folder.mkdir(parents=True)
        (folder / "file").write_text("precious")
    text = names.replace("{victim}", str(victim))
    (output / ".staging" / "COMMIT").write_bytes(text.encode("utf-8", "surrogateescape"))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(FailedToWriteOutputsError) as caught:
        refuse(output)
    assert caught.value.reason == "not_empty"
    assert "COMMIT" in str(caught.value.where)
    assert set(tmp_path.rglob("*")) - {output / ".lock"} == before


@pytest.mark.parametrize("is_folder_a_link", [True, False])
def test_a_list_of_renames_behind_a_link_is_not_believed(tmp_path: Path, is_folder_a_link: bool) -> None:
    elsewhere, output = tmp_path / "elsewhere", tmp_path / "out"
    elsewhere.mkdir()
    output.mkdir()
    (elsewhere / "COMMIT").write_text("mine.txt")
    (output / "mine.txt").write_text("mine")
    if is_folder_a_link:
        (output / ".staging").symlink_to(elsewhere)
    else:
        (output / ".staging").mkdir()
        (output / ".staging" / "COMMIT").symlink_to(elsewhere / "COMMIT")
    with pytest.raises(FailedToWriteOutputsError):
        open_and_leave(output)
    assert (output / "mine.txt").read_text() == "mine"
    assert (elsewhere / "COMMIT").exists()


def test_a_link_in_the_place_of_a_partial_file_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("precious")
    (tmp_path / ".x.json.partial").symlink_to(tmp_path / "victim")
    write_atomically(tmp_path / "x.json", b"{}")
    assert (tmp_path / "victim").read_text() == "precious"
    assert (tmp_path / "x.json").read_bytes() == b"{}"


@pytest.mark.parametrize("kind", ["a link", "a folder", "a named pipe"])
@pytest.mark.parametrize("is_relative", [True, False])
@REFUSALS
def test_a_lock_that_is_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, is_relative: bool, refuse: Refusal
) -> None:
    monkeypatch.chdir(tmp_path)
    output = Path("out") if is_relative else tmp_path / "out"
    output.mkdir()
    if kind == "a link":
        (output / ".lock").symlink_to(tmp_path / "victim")
    elif kind == "a folder":
        (output / ".lock").mkdir()
    else:
        os.mkfifo(output / ".lock")
    with pytest.raises(FailedToWriteOutputsError, match=kind) as caught:
        refuse(output)
    assert caught.value.where == str(output / ".lock")
    assert not (tmp_path / "victim").exists()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("is_relative", [True, False])
def test_an_output_that_cannot_be_written_is_named(tmp_path: Path, is_relative: bool) -> None:
    (tmp_path / "out").mkdir(mode=0o555)
    for folder in (tmp_path, *tmp_path.parents):
        folder.chmod(folder.stat().st_mode | 0o055)
    script = """
        import os, sys
        from pathlib import Path
        from pytorch_designer.errors import FailedToWriteOutputsError
        from pytorch_designer.storage.output import open_output
        os.setuid(12345)
        try:
            with open_output(Path(sys.argv[1]), apart_from={}):
                pass
        except FailedToWriteOutputsError as error:
            print(error.where, error.what)
    """
    output = "out" if is_relative else str(tmp_path / "out")
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), output],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.stdout.startswith(f"{output}/.lock The output could not be written: Permission denied"), result.stderr


def test_an_earlier_result_is_replaced_with_its_checkpoints(tmp_path: Path) -> None:
    write_output(tmp_path)
    (tmp_path / ".checkpoint").mkdir()
    names = frozenset(path.name for path in tmp_path.iterdir() if path.name != ".checkpoint")
    with open_output(tmp_path, apart_from={}, replaced=names) as output:
        assert content(tmp_path) == {".lock": ""}
        with output.stage() as folder:
            (folder / "_meta.yaml").write_text("new")
    assert content(tmp_path) == {"_meta.yaml": "new"}


def test_nothing_to_replace_removes_the_checkpoints_alone(tmp_path: Path) -> None:
    (tmp_path / ".checkpoint").mkdir()
    with open_output(tmp_path, apart_from={}, replaced=frozenset()):
        assert content(tmp_path) == {".lock": ""}
    assert tmp_path.is_dir()


@pytest.mark.parametrize("num_calls", range(1, 12))
def test_a_kill_while_an_earlier_result_is_removed_is_made_up_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, num_calls: int
) -> None:
    write_output(tmp_path)
    names = frozenset(path.name for path in tmp_path.iterdir())
    calls = 0

    def kill_in_time(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == num_calls:
                raise KeyboardInterrupt
            return function(*arguments, **options)

        return call

    with monkeypatch.context() as patch:
        for name in ("unlink", "mkdir", "replace"):
            patch.setattr(Path, name, kill_in_time(getattr(Path, name)))
        with suppress(KeyboardInterrupt), open_output(tmp_path, apart_from={}, replaced=names):
            pass
    if (tmp_path / "_meta.yaml").exists():
        assert set(FILES) <= set(content(tmp_path))
        return
    (tmp_path / ".lock").unlink(missing_ok=True)
    check(tmp_path)
    write_output(tmp_path)
    assert content(tmp_path) == FILES
