"""Hostile and damaged archives: refused by name, and nothing is ever written outside the target."""

from __future__ import annotations

import errno
import io
import os
import signal
import stat
import struct
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pytorch_designer.directories.image_directory import open_image_directory, open_image_source
from pytorch_designer.errors import FailedToWriteOutputsError, InvalidDatasetError, MissingExtraError
from pytorch_designer.storage.archives import DEFAULT_LIMITS, ExtractionLimits, extract_archive
from tests.directories.hand_built import PNG, MakeTree
from tests.waiting import killed_at_last

if TYPE_CHECKING:
    from collections.abc import Sequence

TAR_MODES = {".tar": "w:", ".tar.gz": "w:gz", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz"}
EXTENSIONS = [".zip", ".ZIP", *TAR_MODES]


def pack(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    """An archive of these members, in the format of the extension of `path`; names are taken as they are."""
    if path.suffix.lower() == ".zip":
        with warnings.catch_warnings(), zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            warnings.simplefilter("ignore", UserWarning)  # zipfile warns of a name that is there twice
            for name, data in members:
                archive.writestr(name, data)
        return path
    extension = next(extension for extension in TAR_MODES if path.name.endswith(extension))
    with tarfile.open(path, TAR_MODES[extension]) as tar:  # type: ignore[call-overload]  # any mode
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


def pack_tar_member(path: Path, kind: bytes, link: str = "") -> Path:
    member = tarfile.TarInfo("cat/1.png")
    member.type = kind
    member.linkname = link
    with tarfile.open(path, "w") as tar:
        tar.addfile(member)
    return path


def files_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def refusal(archive: Path, limits: ExtractionLimits = DEFAULT_LIMITS) -> InvalidDatasetError:
    """The error of extracting; asserts that nothing beside the target was touched."""
    target = archive.parent / "deep" / "target"
    target.mkdir(parents=True)
    before = files_in(archive.parent)
    with pytest.raises(InvalidDatasetError) as caught:
        extract_archive(archive, target, limits)
    outside = {name for name in files_in(archive.parent) if not name.startswith("deep/target/")}
    assert outside == before
    assert str(archive) in str(caught.value)
    return caught.value


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_every_format_is_extracted(tmp_path: Path, extension: str) -> None:
    archive = pack(tmp_path / f"pets{extension}", [("pets/cat/1.png", PNG), ("./pets//dog/é.png", PNG)])
    with open_image_source(archive) as dataset:
        assert dataset.classes == ("cat", "dog")
        assert [path.rsplit("/", 1)[1] for path in dataset.files] == ["1.png", "é.png"]
        assert dataset.path(0).read_bytes() == PNG
        extracted = dataset.root
    assert not extracted.exists()


def test_the_single_archive_in_a_folder_is_opened(tmp_path: Path) -> None:
    pack(tmp_path / "pets.zip", [("cat/1.png", PNG)])
    (tmp_path / ".DS_Store").write_bytes(b"")
    (tmp_path / "README.txt").write_bytes(b"")
    with open_image_source(tmp_path) as dataset:
        assert dataset.classes == ("cat",)


def test_an_archive_beside_images_is_not_opened(make_tree: MakeTree) -> None:
    root = make_tree("cat/1.png")
    pack(root / "old.zip", [("dog/1.png", PNG)])
    with open_image_source(root) as dataset:
        assert dataset.classes == ("cat",)


def test_opening_without_extraction_refuses_an_archive(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError) as caught:
        open_image_directory(pack(tmp_path / "pets.zip", [("cat/1.png", PNG)]))
    assert caught.value.reason == "not_a_directory"


@pytest.mark.parametrize("folder", ["", "data/"])
@pytest.mark.parametrize("inner", ["inner.zip", "inner.7z"])
def test_an_archive_inside_the_archive_stays_closed(tmp_path: Path, inner: str, folder: str) -> None:
    content = pack(tmp_path / "inner.zip", [("cat/1.png", PNG)]).read_bytes()
    archive = pack(tmp_path / "outer.zip", [(f"{folder}{inner}", content), ("readme.txt", b"")])
    (tmp_path / "inner.zip").unlink()
    for path in (archive, tmp_path):
        with pytest.raises(InvalidDatasetError) as caught, open_image_source(path):
            pass
        assert caught.value.reason == "inner_archive"
        assert caught.value.where == str(archive)
        assert caught.value.examples == (f"{folder}{inner}",)


@pytest.mark.parametrize("extension", [".zip", ".tar.gz"])
def test_litter_is_not_extracted(tmp_path: Path, extension: str) -> None:
    names = ["cat/1.png", "__MACOSX/cat/._1.png", "cat/.DS_Store", "cat/Thumbs.db"]
    archive = pack(tmp_path / f"a{extension}", [(name, PNG) for name in names])
    target = tmp_path / "target"
    target.mkdir()
    extract_archive(archive, target)
    assert files_in(target) == {"cat/1.png"}


@pytest.mark.parametrize("extension", [".zip", ".tar"])
@pytest.mark.parametrize(
    "name",
    ["../evil.png", "cat/../../evil.png", "/evil.png", "C:/evil.png", "..\\evil.png", "\\\\host\\evil.png", ".."],
)
def test_paths_that_leave_are_refused(tmp_path: Path, extension: str, name: str) -> None:  # CASES 25, and all below
    error = refusal(pack(tmp_path / f"a{extension}", [("cat/1.png", PNG), (name, b"evil")]))
    assert error.reason == "member_outside"
    assert "evil" in error.examples[0] or ".." in error.examples[0]


@pytest.mark.parametrize("extension", [".zip", ".tar"])
@pytest.mark.parametrize("second", ["cat/1.png", "./cat//1.png", "cat/1.png/inside.png"])
def test_members_of_one_path_are_refused(tmp_path: Path, extension: str, second: str) -> None:
    error = refusal(pack(tmp_path / f"a{extension}", [("cat/1.png", PNG), (second, b"other")]))
    assert error.reason == "duplicate_member"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_a_tar_are_refused(tmp_path: Path, kind: bytes) -> None:
    assert refusal(pack_tar_member(tmp_path / "a.tar", kind, "/etc/passwd")).reason == "member_kind"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip_are_refused(tmp_path: Path, kind: int) -> None:
    info = zipfile.ZipInfo("cat/1.png")
    info.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    assert refusal(tmp_path / "a.zip").reason == "member_kind"


@pytest.mark.parametrize("extension", [".zip", ".tar.gz", ".tar.xz"])
def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path, extension: str) -> None:
    zeros = bytes(8 << 20)
    error = refusal(
        pack(tmp_path / f"a{extension}", [("cat/1.png", zeros)]), ExtractionLimits(ratio_free_bytes=1 << 20)
    )
    assert error.reason == "too_large"


def test_a_small_archive_may_have_any_ratio(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    extract_archive(pack(tmp_path / "a.zip", [("cat/blank.bmp", bytes(8 << 20))]), target)
    assert (target / "cat/blank.bmp").stat().st_size == 8 << 20


@pytest.mark.parametrize("extension", [".zip", ".tar"])
@pytest.mark.parametrize("limits", [ExtractionLimits(max_entries=2), ExtractionLimits(max_total_bytes=2 * len(PNG))])
def test_too_much_is_refused_by_count_and_by_bytes(tmp_path: Path, extension: str, limits: ExtractionLimits) -> None:
    archive = pack(tmp_path / f"a{extension}", [(f"cat/{number}.png", PNG) for number in range(3)])
    assert refusal(archive, limits).reason == "too_large"


def test_a_zip_whose_header_understates_the_size_is_damaged(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", [("cat/1.png", bytes(5000))])
    archive.write_bytes(archive.read_bytes().replace(struct.pack("<I", 5000), struct.pack("<I", 5)))
    assert refusal(archive).reason == "damaged"


def test_a_tar_header_that_claims_gigabytes_is_not_read_into_memory(tmp_path: Path) -> None:
    member = tarfile.TarInfo("x")
    member.type = tarfile.XHDTYPE
    member.size = 4 << 30
    (tmp_path / "a.tar").write_bytes(member.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    error = refusal(tmp_path / "a.tar")
    assert error.reason == "damaged"
    assert "claims" in error.what


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_an_archive_cut_off_anywhere_is_damaged(tmp_path: Path, extension: str) -> None:
    whole = pack(tmp_path / f"whole{extension}", [(f"cat/{n}.png", PNG * 20) for n in range(4)]).read_bytes()
    end = 5 * 512 * 4 if extension == ".tar" else len(whole) - 20  # a tar is padded with zeros at the end
    for position, length in enumerate([0, 1, 100, 512, 1024, len(whole) // 2, end]):
        if length < len(whole):
            (tmp_path / str(position)).mkdir()
            archive = tmp_path / str(position) / f"a{extension}"
            archive.write_bytes(whole[:length])
            assert refusal(archive).reason == "damaged", length


def test_a_tar_cut_off_between_two_members_is_damaged(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.tar", [("cat/1.png", PNG), ("cat/2.png", PNG)])
    archive.write_bytes(archive.read_bytes()[:1024])  # a header and a padded content are 512 bytes each
    error = refusal(archive)
    assert error.reason == "damaged"
    assert "end" in error.what


@pytest.mark.parametrize("extension", [".zip", ".tar.gz", ".tar.bz2"])
def test_flipped_bytes_are_damage(tmp_path: Path, extension: str) -> None:
    archive = pack(tmp_path / f"a{extension}", [("cat/1.png", bytes(range(256)) * 50)])
    data = bytearray(archive.read_bytes())
    for position in range(60, 90):
        data[position] ^= 0xFF
    archive.write_bytes(data)
    assert refusal(archive).reason == "damaged"


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_page_of_html_is_no_archive(tmp_path: Path, extension: str) -> None:
    (tmp_path / f"a{extension}").write_text("<html>404</html>" * 100)
    assert refusal(tmp_path / f"a{extension}").reason == "damaged"


def test_an_encrypted_zip_is_named(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", [("cat/1.png", PNG)])
    data = bytearray(archive.read_bytes())
    data[6] |= 1  # flags of the local header, and of the central directory
    data[data.index(b"PK\1\2") + 8] |= 1
    archive.write_bytes(data)
    assert refusal(archive).reason == "encrypted"


def test_one_part_of_a_split_zip_is_named(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", [("cat/1.png", PNG)])
    data = bytearray(archive.read_bytes())
    struct.pack_into("<HH", data, data.rindex(b"PK\5\6") + 4, 3, 3)
    archive.write_bytes(data)
    assert refusal(archive).reason == "multi_disk"


def test_backslashes_of_windows_are_separators(tmp_path: Path) -> None:
    with open_image_source(pack(tmp_path / "a.zip", [("cat\\1.png", PNG), ("dog\\2.png", PNG)])) as dataset:
        assert dataset.classes == ("cat", "dog")


def test_utf8_names_that_a_zip_does_not_mark_are_read(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", [("K\u00e4tzchen/1.png", PNG)])
    data = bytearray(archive.read_bytes())
    for header, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        position = data.index(header) + flags
        struct.pack_into("<H", data, position, struct.unpack_from("<H", data, position)[0] & ~0x800)
    archive.write_bytes(data)
    with open_image_source(archive) as dataset:
        assert dataset.classes == ("K\u00e4tzchen",)


def test_names_in_a_tar_that_are_not_utf8_survive(tmp_path: Path) -> None:
    member = tarfile.TarInfo("caf\udce9/1.png")
    member.size = len(PNG)
    with tarfile.open(tmp_path / "a.tar", "w", format=tarfile.GNU_FORMAT, errors="surrogateescape") as tar:
        tar.addfile(member, io.BytesIO(PNG))
    with open_image_source(tmp_path / "a.tar") as dataset:
        assert dataset.classes == ("caf\udce9",)


def test_a_name_that_is_too_long_for_the_disk_is_named(tmp_path: Path) -> None:
    assert refusal(pack(tmp_path / "a.tar", [("x" * 300 + ".png", PNG)])).reason == "member_outside"


def test_empty_folders_of_an_archive_are_classes(tmp_path: Path) -> None:
    with open_image_source(pack(tmp_path / "a.zip", [("cat/1.png", PNG), ("emu/", b"")])) as dataset:
        assert dataset.classes == ("cat", "emu")


def test_folders_without_files_are_bounded_and_not_made(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", [("cat/1.png", PNG), *((f"{number}/", b"") for number in range(20))])
    limits = ExtractionLimits(free_folders=10, max_folders_per_file=1)
    assert refusal(archive, limits).reason == "too_large"
    assert len(list((tmp_path / "deep" / "target").iterdir())) <= 11


def test_a_fault_below_an_archive_names_the_archive_and_the_member(tmp_path: Path) -> None:
    lines = '{"image_info": {"file_name": "image/1.png"}, "category": "cat", "id": "x"}\nnot json\n'
    members = [("pets/_meta.yaml", b"type: ImageDirectory\n"), ("pets/images.lst", lines.encode())]
    archive = pack(tmp_path / "a.zip", [*members, ("pets/image/1.png", PNG)])
    with pytest.raises(InvalidDatasetError) as caught, open_image_source(archive):
        pass
    assert caught.value.where == f"{archive}, member pets/images.lst, line 2"
    assert tempfile.gettempdir() + "/pytorch-designer-" not in str(caught.value)


def test_an_error_that_comes_later_names_the_archive_too(tmp_path: Path) -> None:
    archive = pack(tmp_path / "a.zip", [("cat/1.png", PNG)])
    with pytest.raises(InvalidDatasetError) as caught, open_image_source(archive) as dataset:
        raise InvalidDatasetError(
            f"Look at {dataset.path(0)}.", where=dataset.root, examples=[dataset.path(0)], advice=f"In {dataset.root}."
        )
    assert caught.value.what == str(caught.value.args[0]) == "Look at cat/1.png."
    assert caught.value.where == str(archive)
    assert caught.value.examples == ("cat/1.png",)
    assert caught.value.advice == f"In {archive}."


def test_no_room_for_the_content_names_the_archive_and_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(FailedToWriteOutputsError, match="No space left") as caught:
        extract_archive(pack(tmp_path / "a.zip", [("cat/1.png", PNG)]), tmp_path / "target")
    assert caught.value.where == str(tmp_path / "a.zip")
    assert "TMPDIR" in caught.value.advice


@pytest.mark.parametrize("name", ["a.7z", "a.RAR", "a.tar.lz4", "a.zip.001", "a.z01", "a.part1.rar"])
def test_archives_that_are_not_read_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"content")
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(InvalidDatasetError) as caught, open_image_source(path):
            pass
        assert caught.value.reason in {"archive_format", "multi_disk"}
        assert caught.value.where == str(tmp_path / name)


def test_several_archives_in_one_folder_are_named(tmp_path: Path) -> None:
    for name in ("cat.zip", "dog.tar.gz", "emu.7z"):
        (tmp_path / name).write_bytes(b"content")
    with pytest.raises(InvalidDatasetError) as caught, open_image_source(tmp_path):
        pass
    assert caught.value.reason == "several_archives"
    assert caught.value.examples == ("cat.zip", "dog.tar.gz", "emu.7z")


def test_zstandard_is_read_where_it_is_installed(tmp_path: Path) -> None:
    zstandard = pytest.importorskip("zstandard")
    tar = pack(tmp_path / "a.tar", [("cat/1.png", PNG)])
    data = zstandard.ZstdCompressor().compress(tar.read_bytes())
    tar.unlink()
    for name in ("a.tar.zst", "b.tzst"):
        (tmp_path / name).write_bytes(data)
        with open_image_source(tmp_path / name) as dataset:
            assert dataset.classes == ("cat",)
    (tmp_path / "a.tar.zst").write_bytes(data[:-20])
    assert refusal(tmp_path / "a.tar.zst").reason == "damaged"


def test_zstandard_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("compression", "zstandard"):
        monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / "a.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd" + bytes(20))
    with pytest.raises(MissingExtraError, match="zstandard") as caught, open_image_source(tmp_path / "a.tar.zst"):
        pass
    assert "`pip install zstandard`" in caught.value.advice


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_process_leaves_no_extraction(tmp_path: Path, number: signal.Signals) -> None:
    archives = [pack(tmp_path / f"{name}.zip", [("cat/1.png", PNG)]) for name in ("a", "b")]
    (tmp_path / "tmp").mkdir()
    script = """
        import sys, time
        from pathlib import Path
        from pytorch_designer.directories.image_directory import open_image_source
        first, second = map(Path, sys.argv[1:])
        with open_image_source(first), open_image_source(second):
            print("ready", flush=True)
            time.sleep(600)
    """
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, archives)]
    environment = os.environ | {"TMPDIR": str(tmp_path / "tmp")}
    started = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    with killed_at_last(started) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        assert len(list((tmp_path / "tmp").iterdir())) == 2
        process.send_signal(number)
        assert process.wait(timeout=100) == -number
    assert not list((tmp_path / "tmp").iterdir())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit on the address space")
def test_an_archive_that_asks_for_a_window_of_gigabytes_is_named(tmp_path: Path) -> None:
    data = bytearray(pack(tmp_path / "a.tar.xz", [("cat/1.png", PNG)]).read_bytes())
    start, length = 12, (data[12] + 1) * 4  # the header of the first block, whose filter is LZMA2
    data[data.index(b"\x21\x01", start) + 2] = 40  # 4 GiB
    struct.pack_into("<I", data, start + length - 4, zlib.crc32(data[start : start + length - 4]))
    (tmp_path / "a.tar.xz").write_bytes(data)
    script = """
        import resource, sys
        from pathlib import Path
        from pytorch_designer.errors import ModuleOutOfMemoryError
        from pytorch_designer.storage.archives import extract_archive
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        try:
            extract_archive(Path(sys.argv[1]), Path(sys.argv[2]))
        except ModuleOutOfMemoryError as error:
            print(error.where)
    """
    (tmp_path / "target").mkdir()
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path / "a.tar.xz"), str(tmp_path / "target")]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.stdout.strip() == str(tmp_path / "a.tar.xz"), result.stderr
