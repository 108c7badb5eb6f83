from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.harness.job.job_run import JobResult
from pytorch_designer.harness.reuse.cache_entry import Entry
from pytorch_designer.harness.reuse.reuse_cache import ReuseCache, open_cache
from tests.harness.pipeline_files import make_folder, text_of

KEY = "0" * 64
OTHER = "1" * 64
LARGE = 1 << 30


def _result(folder: Path, **texts: str) -> JobResult:
    """Result of a job with one output, a folder with the given files."""
    make_folder(folder / "out", **texts)
    make_folder(folder / "run" / "user_logs", std_log="said")
    (folder / "run" / "run.json").write_text("{}", encoding="utf-8")
    return JobResult(0, None, 1.5, None, (), {"out": folder / "out"}, folder / "run", "run-id")


def _store(cache: ReuseCache, result: JobResult, key: str = KEY) -> Entry | None:
    return cache.store(result, key, "node", "component", dict.fromkeys(result.outputs, False))


def _restore(cache: ReuseCache, target: Path, key: str = KEY) -> bool:
    entry = cache.find(key)
    assert entry is not None
    (target / "run").mkdir(parents=True, exist_ok=True)
    return cache.restore(entry, {"out": target / "out"}, target / "run")


@pytest.fixture
def cache(tmp_path: Path) -> ReuseCache:
    return ReuseCache(tmp_path / "cache", LARGE)


def test_what_was_kept_comes_back(tmp_path: Path, cache: ReuseCache) -> None:
    result = _result(tmp_path / "job", a="1")
    (result.outputs["out"] / "sub" / "empty").mkdir(parents=True)
    _store(cache, result)
    shutil.rmtree(tmp_path / "job")

    assert _restore(cache, tmp_path / "new")

    assert sorted(str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*")) == [
        "out",
        "out/a",
        "out/sub",
        "out/sub/empty",
        "run",
        "run/run.json",
        "run/user_logs",
        "run/user_logs/std_log",
    ]
    assert text_of(tmp_path / "new" / "out" / "a") == "1"


def test_nothing_is_found_under_another_key(tmp_path: Path, cache: ReuseCache) -> None:
    _store(cache, _result(tmp_path / "job", a="1"))

    assert cache.find(OTHER) is None


def test_writing_into_what_came_back_does_not_change_what_is_kept(tmp_path: Path, cache: ReuseCache) -> None:
    _store(cache, _result(tmp_path / "job", a="1"))
    _restore(cache, tmp_path / "first")

    for owner in ("job", "first"):
        with (tmp_path / owner / "out" / "a").open("r+", encoding="utf-8") as stream:
            stream.write("2")

    _restore(cache, tmp_path / "second")
    assert text_of(tmp_path / "second" / "out" / "a") == "1"


@pytest.mark.parametrize("damage", ["cut", "changed", "removed", "added", "no record", "half a record"])
def test_a_damaged_entry_is_not_used_and_goes(tmp_path: Path, cache: ReuseCache, damage: str) -> None:
    _store(cache, _result(tmp_path / "job", a="123"))
    entry = cache.folder / "entries" / KEY
    file = entry / "ports" / "out" / "a"
    if damage == "cut":
        os.truncate(file, 1)
    elif damage == "changed":
        time.sleep(0.02)
        file.write_text("456", encoding="utf-8")
    elif damage == "removed":
        file.unlink()
    elif damage == "added":
        (entry / "ports" / "out" / "b").touch()
    elif damage == "no record":
        (entry / "entry.json").unlink()
    else:
        os.truncate(entry / "entry.json", 10)

    assert cache.find(KEY) is None
    assert not entry.exists()


@pytest.mark.slow
def test_a_crash_while_storing_leaves_nothing_that_is_found(tmp_path: Path, cache: ReuseCache) -> None:
    result = _result(tmp_path / "job", a="1", b="2")
    program = f"""
import os, pathlib
from pytorch_designer.harness.reuse import cache_entry, reuse_cache
from pytorch_designer.harness.job.job_run import JobResult
def crash(path, data):
    os._exit(9)  # all files are copied, the record is not written
cache_entry.write_atomically = crash
top = pathlib.Path({str(tmp_path / "job")!r})
result = JobResult(0, None, 1.5, None, (), {{"out": top / "out"}}, top / "run", "run-id")
reuse_cache.ReuseCache(pathlib.Path({str(cache.folder)!r}), {LARGE}).store(result, {KEY!r}, "n", "c", {{"out": False}})
"""
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert done.returncode == 9
    leftover = list((cache.folder / "partial").iterdir())
    assert len(leftover) == 1

    assert cache.find(KEY) is None
    assert cache.entries() == []
    os.utime(leftover[0], (1, 1))
    assert _store(cache, result) is not None
    assert list((cache.folder / "partial").iterdir()) == []


def test_a_full_disk_while_storing_leaves_nothing(tmp_path: Path, cache: ReuseCache) -> None:
    result = _result(tmp_path / "job", a="1")
    (result.run_folder / "run.json").unlink()  # the last thing that is copied cannot be

    with pytest.raises(FileNotFoundError):
        _store(cache, result)

    assert list((cache.folder / "partial").iterdir()) == []
    assert cache.find(KEY) is None


def test_an_output_that_was_not_written_is_not_kept(tmp_path: Path, cache: ReuseCache) -> None:
    result = _result(tmp_path / "job", a="1")
    shutil.rmtree(result.outputs["out"])

    assert _store(cache, result) is None


def test_the_longest_unused_goes_when_there_is_too_much(tmp_path: Path) -> None:
    cache = ReuseCache(tmp_path / "cache", 2500)
    for number, name in enumerate("abc"):
        _store(cache, _result(tmp_path / name, x=name * 1000), name * 64)
        if name != "c":
            os.utime(cache.folder / "entries" / (name * 64) / "last_used", (number + 1, number + 1))
        if name == "b":
            _restore(cache, tmp_path / "again", "a" * 64)

    assert [entry.key[0] for entry in cache.entries()] == ["c", "a"]


def test_what_is_larger_than_the_whole_cache_is_not_kept(tmp_path: Path) -> None:
    cache = ReuseCache(tmp_path / "cache", 10)

    assert _store(cache, _result(tmp_path / "job", a="x" * 11)) is None


def test_a_newer_result_takes_the_place_of_an_older_one(tmp_path: Path, cache: ReuseCache) -> None:
    _store(cache, _result(tmp_path / "one", a="1"))
    _store(cache, _result(tmp_path / "two", a="2"))

    _restore(cache, tmp_path / "new")

    assert text_of(tmp_path / "new" / "out" / "a") == "2"
    assert len(cache.entries()) == 1


def test_clearing_removes_all(tmp_path: Path, cache: ReuseCache) -> None:
    assert cache.clear() == (0, 0)
    entry = _store(cache, _result(tmp_path / "job", a="1"))
    assert entry is not None

    assert cache.clear() == (1, entry.num_bytes)
    assert cache.find(KEY) is None


def test_an_entry_that_vanishes_while_it_is_copied_touches_no_output(tmp_path: Path, cache: ReuseCache) -> None:
    _store(cache, _result(tmp_path / "job", a="1"))
    entry = cache.find(KEY)
    assert entry is not None
    cache.clear()

    assert not cache.restore(entry, {"out": tmp_path / "new" / "out"}, tmp_path / "new" / "run")
    assert not (tmp_path / "new" / "out").exists()


@pytest.mark.slow
def test_many_may_keep_use_and_clear_at_the_same_time(tmp_path: Path) -> None:
    """Whatever is found is whole: its two files always have the same content."""
    faults: list[str] = []

    def work(number: int) -> None:
        cache = open_cache(tmp_path / "cache", LARGE)
        for turn in range(8):
            name = f"{number}-{turn}"
            _store(cache, _result(tmp_path / name, a=name, b=name))
            entry = cache.find(KEY)
            (tmp_path / f"run-{name}").mkdir()
            target = tmp_path / f"new-{name}"
            if entry is not None and cache.restore(entry, {"out": target}, tmp_path / f"run-{name}"):
                if text_of(target / "a") != text_of(target / "b"):
                    faults.append(name)
            elif target.exists():
                faults.append(f"{name} exists")
            if turn == 4:
                cache.clear()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert faults == []


DAMAGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "no mapping": lambda record: [record],
    "nothing": lambda record: {},
    "a key less": lambda record: {name: value for name, value in record.items() if name != "contents"},
    "a key more": lambda record: {**record, "more": 1},
    "size as text": lambda record: {**record, "num_bytes": "many"},
    "negative size": lambda record: {**record, "num_bytes": -(10**9)},
    "size without end": lambda record: {**record, "num_bytes": 10**400},
    "time as text": lambda record: {**record, "stored": "today"},
    "time out of range": lambda record: {**record, "stored": 1e300},
    "no time": lambda record: {**record, "seconds": None},
    "a key of another": lambda record: {**record, "key": OTHER},
    "a key that climbs": lambda record: {**record, "key": "../../victim"},
    "an absolute key": lambda record: {**record, "key": "/victim"},
    "another port": lambda record: {**record, "contents": {"x": "0"}, "is_file": {"x": False}},
    "a port that climbs": lambda record: {**record, "contents": {"../../x": "0"}, "is_file": {"../../x": False}},
    "ports as a list": lambda record: {**record, "contents": ["out"]},
    "a folder as a file": lambda record: {**record, "is_file": {"out": True}},
    "another content": lambda record: {**record, "contents": {"out": "0" * 64}},
    "another node": lambda record: {**record, "node": "x"},
}


def _damage(cache: ReuseCache, damage: Callable[[dict[str, Any]], Any], *, has_checksum: bool) -> Path:
    entry = cache.folder / "entries" / KEY
    record = json.loads((entry / "entry.json").read_text(encoding="utf-8"))
    damaged = damage({name: value for name, value in record.items() if name != "checksum"})
    if has_checksum and isinstance(damaged, dict):
        damaged["checksum"] = hashlib.sha256(json.dumps(damaged, sort_keys=True).encode()).hexdigest()
    (entry / "entry.json").write_text(json.dumps(damaged), encoding="utf-8")
    return entry


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("way", ["found", "listed", "evicted"])
def test_a_record_that_was_edited_is_named_once_and_removed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: Callable[[dict[str, Any]], Any], way: str
) -> None:
    victim = make_folder(tmp_path / "victim", a="mine")
    cache = ReuseCache(tmp_path / "cache", 1 << 20)
    _store(cache, _result(tmp_path / "job", a="1"))
    entry = _damage(cache, damage, has_checksum=False)

    if way == "found":
        assert cache.find(KEY) is None
    elif way == "listed":
        assert cache.entries() == []
    else:
        assert _store(cache, _result(tmp_path / "other", a="1"), OTHER) is not None
    assert [other.key for other in cache.entries()] == ([OTHER] if way == "evicted" else [])

    assert not entry.exists()
    assert [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()] == [
        f"A kept result is damaged; it is not used, and removed: {entry}"
    ]
    assert text_of(victim / "a") == "mine"


PLAUSIBLE = {"another content", "another node", "a folder as a file", "a key more"}


@pytest.mark.parametrize("damage", sorted(DAMAGES.keys() - PLAUSIBLE))
def test_a_record_that_was_edited_with_its_checksum_is_not_used(tmp_path: Path, cache: ReuseCache, damage: str) -> None:
    _store(cache, _result(tmp_path / "job", a="1"))
    entry = _damage(cache, DAMAGES[damage], has_checksum=True)

    assert cache.find(KEY) is None
    assert not entry.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"null", b"1e999", b"\0" * 100])
def test_a_record_that_is_no_record_is_removed(tmp_path: Path, cache: ReuseCache, content: bytes) -> None:
    _store(cache, _result(tmp_path / "job", a="1"))
    entry = cache.folder / "entries" / KEY
    (entry / "entry.json").write_bytes(content)

    assert cache.entries() == []
    assert not entry.exists()


@pytest.mark.skipif(os.name != "posix", reason="named pipes")
@pytest.mark.parametrize("place", ["entry.json", "ports/out/a", "run/run.json", "last_used"])
def test_an_entry_with_a_pipe_in_it_is_not_waited_for(tmp_path: Path, cache: ReuseCache, place: str) -> None:
    _store(cache, _result(tmp_path / "job", a="1"))
    path = cache.folder / "entries" / KEY / place
    path.unlink()
    os.mkfifo(path)

    assert (cache.find(KEY) is None) == (place != "last_used")
