"""Listings of folders that a person filled by hand: images, folders, other files.

Images are found by their extension. Only where a folder would have none, its files are looked into: names without an
extension, or with one of their own, are common in downloads.

What operating systems and editors leave behind is left out (`SKIPPED_NAMES`, and every name that starts with a dot).
Links may point to files inside the directory. A link that leaves it, leads to a folder (which is how loops are made) or
leads nowhere is refused: images from elsewhere would not travel with the directory.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pytorch_designer.errors import InvalidDatasetError
from pytorch_designer.storage.paths import is_at_or_below, reading_errors
from pytorch_designer.storage.retrying import exists, is_file, is_folder, real_path, retrying
from pytorch_designer.storage.string_column import StringColumn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IMAGE_EXTENSIONS = frozenset(
    {
        ".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".mpo", ".png", ".apng", ".webp", ".gif", ".bmp", ".dib",
        ".tif", ".tiff", ".avif", ".avifs", ".heic", ".heif", ".hif", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2",
        ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".tga", ".icb", ".vda", ".vst", ".pcx", ".dcx", ".dds", ".ico", ".cur",
        ".icns", ".psd", ".sgi", ".rgb", ".rgba", ".bw", ".ras", ".qoi", ".xbm", ".xpm", ".pcd", ".msp", ".im", ".fit",
        ".fits",
    }
)  # fmt: skip
"""Extensions of the formats that Pillow or its plugins decode. The content decides when an image is read."""

SKIPPED_NAMES = frozenset(
    {
        "__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", "@recycle", "#recycle", "#snapshot",
        "lost+found", "__pycache__", "$recycle.bin", "recycler",
        "system volume information", "icon\r",
    }
)  # fmt: skip
"""Names of files and folders, in lower case, that operating systems and network drives leave behind."""

_NO_IMAGE_EXTENSIONS = frozenset(
    {
        ".txt", ".md", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".html", ".htm", ".py", ".ipynb",
        ".sh", ".log", ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".mat", ".npy", ".npz", ".pkl", ".parquet", ".arrow",
        ".h5", ".hdf5", ".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar", ".zst", ".mp4", ".avi", ".mov",
        ".wav", ".mp3", ".pt", ".pth", ".onnx", ".safetensors", ".lst", ".cfg", ".ini", ".toml", ".names", ".data",
        ".svg", ".eps", ".db", ".lock",
    }
)  # fmt: skip
_FIRST_FILES = 4
_MAGIC_BYTES = 16
_MAGIC = (
    b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51",
    b"P1\n", b"P2\n", b"P3\n", b"P4\n", b"P5\n", b"P6\n", b"P5 ", b"P6 ",
)  # fmt: skip
_FTYP_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"})
_THREADS = 8  # a mount takes milliseconds per call; on a local disk, more threads only pass on Python's lock more often


@dataclass(frozen=True)
class FolderListing:
    """Entries of one folder, each kind sorted by name.

    Attributes:
        path: The folder's path below the directory that is being opened, with `/`; "" for that directory itself.
        images: Paths of the images, below the directory that is being opened.
        folders: Names of the folders.
        others: Names of all other files.
        skipped: Names of the folders that are litter, which are not looked into.
    """

    path: str
    images: StringColumn
    folders: tuple[str, ...]
    others: tuple[str, ...]
    skipped: tuple[str, ...] = ()

    def below(self, name: str) -> str:
        """The path of the entry `name` below the directory that is being opened."""
        return f"{self.path}/{name}" if self.path else name


def is_skipped(name: str) -> bool:
    """True if a file or folder of this name is litter and not part of a dataset."""
    return name.startswith(".") or name.lower() in SKIPPED_NAMES


def is_image_name(name: str) -> bool:
    """True if the extension, in any case, is an image's."""
    return name[name.rfind(".") :].lower() in IMAGE_EXTENSIONS


def list_folder(root: Path, path: str) -> FolderListing:
    """List the folder `path` below `root`, without a stat for each entry.

    Raises:
        InvalidDatasetError: The folder cannot be read, or holds a link of a refused kind.
    """
    return _arrange(path, _read_folder(root, path))


def list_tree(root: Path, top: FolderListing) -> list[FolderListing]:
    """`top` and the listings of all folders below it, level by level, each level in the order of its names.

    In a folder without an image by its extension, images are found by their first bytes.

    Raises:
        InvalidDatasetError: As `list_folder`.
    """
    level, listings = [top], [top]
    with listing_threads() as threads:
        while level:
            paths = [listing.below(folder) for listing in level for folder in listing.folders]
            # Threads only wait for the system; what is left to compute is done here, or they would be in its way.
            level = [
                _arrange(path, names)
                for path, names in zip(paths, threads.map(partial(_read_folder, root), paths), strict=True)
            ]
            listings += level
        return [_with_unnamed_images(root, listing, threads) for listing in listings]


def single_folder_chain(root: Path, listing: FolderListing) -> Iterator[FolderListing]:
    """The `listing` of `root`, then of the one folder in it while there is nothing but one folder, as in most archives.

    The last listing has images, several folders, or neither.
    """
    yield listing
    while not len(listing.images) and len(listing.folders) == 1:
        listing = list_folder(root, listing.below(listing.folders[0]))
        yield listing


def names_of_files(folder: Path) -> list[str]:
    """The names of the regular files in `folder`, in any order.

    Raises:
        OSError: The folder cannot be read.
    """
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]


def listing_threads() -> ThreadPoolExecutor:
    """Threads that list folders: most of the time they wait for a disk or a mount."""
    return ThreadPoolExecutor(_THREADS)


class _Names(NamedTuple):
    """Names of the entries of a folder, in any order, litter among the files only."""

    files: list[str]
    folders: list[str]
    others: list[str]
    skipped: list[str]


def _read_folder(root: Path, path: str) -> _Names:
    with reading_errors(root / path, InvalidDatasetError):
        return retrying(lambda: _read_once(root, path))


def _read_once(root: Path, path: str) -> _Names:
    names = _Names([], [], [], [])
    links: list[str] = []
    with os.scandir(root / path) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                names.files.append(entry.name)
            elif is_skipped(entry.name):
                if entry.is_dir(follow_symlinks=False):
                    names.skipped.append(entry.name)
            elif entry.is_symlink():
                links.append(entry.name)
            else:  # what is not a folder is something like a pipe, which would be read forever
                (names.folders if entry.is_dir() else names.others).append(entry.name)
    for name in sorted(links):
        link = root / path / name
        _check_link(root, link)
        (names.files if is_file(link) else names.others).append(name)
    return names


def _arrange(path: str, names: _Names) -> FolderListing:
    images = sorted(name for name in names.files if is_image_name(name) and not is_skipped(name))
    others = names.others
    if len(images) < len(names.files):
        others = others + [name for name in names.files if not is_image_name(name) and not is_skipped(name)]
    prefix = f"{path}/" if path else ""
    return FolderListing(
        path=path,
        images=StringColumn.from_strings([prefix + name for name in images]),
        folders=tuple(sorted(names.folders)),
        others=tuple(sorted(others)),
        skipped=tuple(sorted(names.skipped)),
    )


def _with_unnamed_images(root: Path, listing: FolderListing, threads: ThreadPoolExecutor) -> FolderListing:
    """The listing with the images among its other files, if it has no image by its extension."""
    if len(listing.images):
        return listing
    doubtful = [name for name in listing.others if name[name.rfind(".") :].lower() not in _NO_IMAGE_EXTENSIONS]
    starts_like_image = partial(_starts_like_image, root / listing.path)
    if not any(map(starts_like_image, doubtful[:_FIRST_FILES])):
        return listing
    found = {
        name for name, is_image in zip(doubtful, threads.map(starts_like_image, doubtful), strict=True) if is_image
    }
    return replace(
        listing,
        images=StringColumn.from_strings([listing.below(name) for name in listing.others if name in found]),
        others=tuple(name for name in listing.others if name not in found),
    )


def _starts_like_image(folder: Path, name: str) -> bool:
    path = folder / name
    with reading_errors(path, InvalidDatasetError):
        if not is_file(path):  # something like a pipe, which would be read forever
            return False
        start = retrying(lambda: _read_start(path))
    if start[:4] == b"RIFF":
        return start[8:12] == b"WEBP"
    if start[:2] == b"BM":
        return start[6:10] == bytes(4)  # reserved
    return start.startswith(_MAGIC) or (start[4:8] == b"ftyp" and start[8:12] in _FTYP_BRANDS)


def _read_start(path: Path) -> bytes:
    with path.open("rb", buffering=0) as stream:
        return stream.read(_MAGIC_BYTES) or b""


def _check_link(root: Path, link: Path) -> None:
    real, real_root = real_path(link), real_path(root)
    if not is_at_or_below(real, real_root):
        fault, reason = "leaves the directory", "link_leaves_directory"
    elif not exists(link):
        fault, reason = "leads nowhere or in circles", "broken_link"
    elif is_folder(link):
        fault, reason = "leads to a folder", "link_to_folder"
    else:
        return
    raise InvalidDatasetError(
        f"A link in the dataset {fault}.",
        where=link,
        advice="Put a copy of the file or folder there instead of the link, or remove the link.",
        reason=reason,
    )
