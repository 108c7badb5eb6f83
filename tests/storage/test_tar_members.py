"""Tar archives whose headers lie, and what a reader of them may cost."""

from __future__ import annotations

import gzip
import io
import tarfile
import time
from pathlib import Path

import pytest

from pytorch_designer.directories.image_directory import open_image_source
from pytorch_designer.storage.archives import ExtractionLimits, extract_archive
from tests.directories.hand_built import PNG
from tests.storage.test_archives import files_in, refusal


def tar_header(name: str, kind: bytes = tarfile.REGTYPE, size: bytes | int = 0) -> bytes:
    """A header with any bytes as its size, and a right checksum."""
    member = tarfile.TarInfo(name)
    member.type = kind
    member.size = size if isinstance(size, int) else 0
    block = bytearray(member.tobuf(tarfile.GNU_FORMAT)[:512])
    if isinstance(size, bytes):
        block[124:136] = size
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def filled(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(records: bytes, kind: bytes = tarfile.XHDTYPE) -> bytes:
    return tar_header("x", kind, len(records)) + filled(records)


NEGATIVE = b"\xff" * 11 + b"\0"  # -256
IMAGE = tar_header("cat/1.png", size=len(PNG)) + filled(PNG)
LONG_NAME = tar_header("././@LongLink", tarfile.GNUTYPE_LONGNAME, 10) + filled(b"cat/1.png\0")
END = bytes(1024)
HOSTILE_TARS = {
    "a negative size": (tar_header("cat/1.png", size=NEGATIVE) + IMAGE, "damaged"),
    "a negative size of a long name": (tar_header("x", tarfile.GNUTYPE_LONGNAME, NEGATIVE) + IMAGE, "damaged"),
    "a negative size of an extended header": (tar_header("x", tarfile.XHDTYPE, NEGATIVE) + IMAGE, "damaged"),
    "a negative size in an extended header": (pax(b"13 size=-512\n") + IMAGE, "damaged"),
    "a size in words": (pax(b"12 size=abc\n") + IMAGE, "damaged"),
    "a size of 5,000 digits": (pax(b"5011 size=" + b"9" * 5000 + b"\n") + IMAGE, "damaged"),
    "a size of exabytes": (tar_header("cat/1.png", size=b"\x80" + bytes(3) + b"\x7f" * 8), "too_large"),
    "a record without a length": (pax(b"0 path=x\n" * 9) + IMAGE, "damaged"),
    "a record with another length": (pax(b"99 path=x\n") + IMAGE, "damaged"),
    "a record of digits": (pax(b"1" * 100_000) + IMAGE, "damaged"),
    "an extended header of a megabyte": (pax(b"5 a=\n" * 200_000) + IMAGE, "damaged"),
    "thousands of long names": (LONG_NAME * 5000 + IMAGE, "damaged"),
    "thousands of extended headers": (pax(b"10 path=x\n") * 5000 + IMAGE, "damaged"),
    "a path outside in an extended header": (pax(b"16 path=../evil\n") + IMAGE, "member_outside"),
    "a path outside for all": (pax(b"14 path=/evil\n", tarfile.XGLTYPE) + IMAGE, "member_outside"),
    "a sparse member": (tar_header("cat/1.png", tarfile.GNUTYPE_SPARSE) + IMAGE, "member_kind"),
    "a sparse member with a negative size": (
        pax(b"22 GNU.sparse.major=1\n26 GNU.sparse.realsize=-9\n") + IMAGE,
        "member_kind",
    ),
    "a deep path": (tar_header("".join(f"{level}/" for level in range(30)) + "1.png") + LONG_NAME + IMAGE, None),
    "a deeper path": (pax(b"140 path=" + b"a/" * 65 + b"\n") + IMAGE, "too_large"),
}


@pytest.mark.parametrize("extension", [".tar", ".tar.gz"])
@pytest.mark.parametrize(("content", "reason"), HOSTILE_TARS.values(), ids=HOSTILE_TARS)
def test_headers_of_a_tar_that_lie_are_refused_at_once(
    tmp_path: Path, extension: str, content: bytes, reason: str | None
) -> None:
    data = content + END
    (tmp_path / f"a{extension}").write_bytes(gzip.compress(data) if extension == ".tar.gz" else data)
    started = time.process_time()
    if reason is None:
        with open_image_source(tmp_path / f"a{extension}"):
            pass
    else:
        assert refusal(tmp_path / f"a{extension}").reason == reason
    assert time.process_time() - started < 5


@pytest.mark.slow
@pytest.mark.parametrize(
    "content",
    [
        tar_header(".hidden", size=10 << 20) + bytes(10 << 20) + IMAGE + END,
        IMAGE + bytes(10 << 20),
        (tar_header("cat", tarfile.DIRTYPE)) * 4_000 + IMAGE + END,
    ],
    ids=["a member that is left out", "padding", "headers"],
)
def test_bytes_that_are_read_for_nothing_count(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(content, 9))
    limits = ExtractionLimits(max_ratio=50, ratio_free_bytes=1 << 20)
    assert refusal(tmp_path / "a.tar.gz", limits).reason == "too_large"


def test_names_and_sizes_of_extended_headers_are_those_of_the_library(tmp_path: Path) -> None:
    names = ["cat/" + "x" * 150 + ".png", "dog/é/" + "y" * 90 + ".png", "\udce9.png", "z/" * 60 + "1.png"]
    for number, form in enumerate([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]):
        options = {"pax_headers": {"comment": "for all"}} if number == 2 else {}
        with tarfile.open(tmp_path / "a.tar", "w", format=form, **options) as tar:  # type: ignore[call-overload]  # any options
            for name in names:
                member = tarfile.TarInfo(name)
                member.size = len(PNG)
                member.mtime = 1.5  # which needs a record of its own
                tar.addfile(member, io.BytesIO(PNG))
        target = tmp_path / str(number)
        target.mkdir()
        extract_archive(tmp_path / "a.tar", target)
        assert files_in(target) == set(names)
