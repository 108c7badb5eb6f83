from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pytorch_designer.errors import InterruptedRunError
from pytorch_designer.harness.reuse.file_trees import HashMemory, content_hash, list_tree, listing_hash
from pytorch_designer.system.stop_requests import StopRequest
from tests.harness.pipeline_files import make_folder

LONG_AGO = time.time() - 3600


def _hash(path: Path) -> str:
    return content_hash(list_tree(path))


def _age(path: Path) -> None:
    for entry in [path, *path.rglob("*")]:
        os.utime(entry, (LONG_AGO, LONG_AGO))


def test_equal_folders_have_equal_hashes_wherever_and_whenever_they_were_written(tmp_path: Path) -> None:
    first = make_folder(tmp_path / "first", a="1", b="2")
    second = make_folder(tmp_path / "second", b="2", a="1")
    _age(second)

    assert _hash(first) == _hash(second)


@pytest.mark.parametrize("change", ["content", "name", "empty folder", "deeper", "split"])
def test_every_difference_shows(tmp_path: Path, change: str) -> None:
    folder = make_folder(tmp_path / "f", a="12", b="3")
    before = _hash(folder)

    if change == "content":
        (folder / "a").write_text("13", encoding="utf-8")
    elif change == "name":
        (folder / "a").rename(folder / "c")
    elif change == "empty folder":
        (folder / "c").mkdir()
    elif change == "deeper":
        (folder / "c").mkdir()
        (folder / "a").rename(folder / "c" / "a")
    else:  # the same bytes, cut elsewhere
        (folder / "a").write_text("1", encoding="utf-8")
        (folder / "b").write_text("23", encoding="utf-8")

    assert _hash(folder) != before


def test_a_link_counts_as_what_it_leads_to(tmp_path: Path) -> None:
    target = make_folder(tmp_path / "target", a="1")
    plain = make_folder(tmp_path / "plain", x="1")
    linked = tmp_path / "linked"
    linked.mkdir()
    try:
        (linked / "x").symlink_to(target / "a")
    except OSError:
        pytest.skip("no links here")

    assert _hash(linked) == _hash(plain)
    (linked / "loop").symlink_to(linked, target_is_directory=True)
    with pytest.raises(OSError, match="leads back"):
        _hash(linked)


def test_the_name_of_a_single_file_counts(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "f", a="1", b="1")

    assert _hash(folder / "a") != _hash(folder / "b")


def test_a_listing_changes_with_the_time_of_a_file(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "f", a="1")
    before = listing_hash(list_tree(folder))

    os.utime(folder / "a", (LONG_AGO, LONG_AGO))

    assert listing_hash(list_tree(folder)) != before


class TestMemory:
    def test_what_has_not_changed_is_not_read_again(self, tmp_path: Path) -> None:
        folder = make_folder(tmp_path / "f", a="1")
        _age(folder)
        memory = HashMemory(tmp_path / "hashes")
        first = memory.hash_of(folder)

        (folder / "a").write_text("2", encoding="utf-8")  # unseen, as size and time are what they were
        _age(folder)

        assert HashMemory(tmp_path / "hashes").hash_of(folder) == first

    def test_reading_a_large_file_ends_when_a_stop_is_asked_for(self, tmp_path: Path) -> None:
        with (tmp_path / "large").open("wb") as stream:
            stream.truncate(1 << 40)  # without content: hours of reading, and no room on the disk
        stop, num_checks = StopRequest(), 0

        def check() -> None:
            nonlocal num_checks
            num_checks += 1
            if num_checks == 3:
                stop.request()
            stop.check("reading")

        with pytest.raises(InterruptedRunError):
            HashMemory(tmp_path / "hashes", check).hash_of(tmp_path / "large")
        assert num_checks == 3

    def test_a_change_is_seen(self, tmp_path: Path) -> None:
        folder = make_folder(tmp_path / "f", a="1")
        _age(folder)
        memory = HashMemory(tmp_path / "hashes")
        first = memory.hash_of(folder)

        (folder / "a").write_text("2", encoding="utf-8")

        assert memory.hash_of(folder) != first

    def test_what_was_just_written_is_read_again(self, tmp_path: Path) -> None:
        folder = make_folder(tmp_path / "f", a="1")

        HashMemory(tmp_path / "hashes").hash_of(folder)

        assert not (tmp_path / "hashes").exists()

    @pytest.mark.parametrize("damage", ["", "[]", "{}", "{"])
    def test_a_damaged_memory_is_no_memory(self, tmp_path: Path, damage: str) -> None:
        folder = make_folder(tmp_path / "f", a="1")
        _age(folder)
        memory = HashMemory(tmp_path / "hashes")
        first = memory.hash_of(folder)
        for memo in (tmp_path / "hashes").iterdir():
            memo.write_text(damage, encoding="utf-8")

        assert memory.hash_of(folder) == first
