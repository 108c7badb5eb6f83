"""Special files in the place of files: never waited for, never read for ever, always named."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from pytorch_designer.directories.image_directory import open_image_directory, open_image_source
from pytorch_designer.directories.model_directory import open_model_directory
from pytorch_designer.directories.transformation_directory import open_transformation_directory
from pytorch_designer.errors import DesignerError, FailedToWriteOutputsError
from pytorch_designer.storage.output import check_outputs
from tests.directories.typed_directories import WRITERS

MOST_SECONDS = 20

pytestmark = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this platform")


@contextmanager
def time_limit() -> Iterator[None]:
    """A test that waits for a pipe fails instead of waiting for ever."""

    def fail(*_: object) -> None:
        raise AssertionError("waited for what is no file")

    previous = signal.signal(signal.SIGALRM, fail)
    signal.alarm(MOST_SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, previous)


def put_pipe(path: Path) -> None:
    os.mkfifo(path)


def put_link_to_pipe(path: Path) -> None:
    os.mkfifo(path.with_name("pipe"))
    path.symlink_to("pipe")


def put_link_to_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def put_socket(path: Path) -> None:
    working = Path.cwd()
    os.chdir(path.parent)  # the path of a socket has at most some hundred characters
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(working)


def put_folder(path: Path) -> None:
    path.mkdir()


READ_FILES = [
    ("images", "_meta.yaml"),
    ("images", "_schema.json"),
    ("images", "images.lst"),
    ("coco", "labels.json"),
    ("table", "labels.csv"),
    ("transformations", "_meta.yaml"),
    ("transformations", "_transforms.json"),
    ("scores", "_meta.yaml"),
    ("scores", "_data.parquet"),
    ("scores", "schema/_schema.json"),
    ("model", "_meta.yaml"),
    ("model", "model_spec.yaml"),
    ("model", "index_to_label.csv"),
    ("model", "model.safetensors"),
]


@pytest.mark.parametrize("put", [put_pipe, put_link_to_pipe, put_link_to_device, put_socket, put_folder])
@pytest.mark.parametrize(("kind", "file"), READ_FILES)
def test_what_is_no_regular_file_is_refused_by_name(
    tmp_path: Path, kind: str, file: str, put: Callable[[Path], None]
) -> None:
    write, open_directory = WRITERS[kind]
    folder = write(tmp_path / kind)
    (folder / file).unlink()
    put(folder / file)
    with time_limit():
        if kind in {"coco", "table"} and put is put_folder:  # then there is no list of labels
            assert open_directory(folder).labels is None
            return
        with pytest.raises(DesignerError) as caught:
            open_directory(folder)
    assert file.rsplit("/", 1)[-1] in str(caught.value) or "pipe" in str(caught.value)


@pytest.mark.parametrize("name", ["pets.zip", "pets.tar", "pets.tar.gz"])
@pytest.mark.parametrize("put", [put_pipe, put_link_to_pipe, put_link_to_device, put_socket])
def test_an_archive_that_is_no_file_is_refused(tmp_path: Path, name: str, put: Callable[[Path], None]) -> None:
    put(tmp_path / name)
    with time_limit():
        for path in (tmp_path / name, tmp_path):
            with pytest.raises(DesignerError), open_image_source(path):
                pass


def test_a_description_that_is_a_link_out_of_the_directory_is_neither_followed_nor_quoted(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("type: a-secret-word\n")
    for kind, (write, open_directory) in WRITERS.items():
        folder = write(tmp_path / kind)
        with suppress(FileNotFoundError):  # COCO has none
            (folder / "_meta.yaml").unlink()
        (folder / "_meta.yaml").symlink_to(tmp_path / "secret")
        with pytest.raises(DesignerError) as caught:
            open_directory(folder)
        assert caught.value.reason == "path_outside", kind
        assert "a-secret-word" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    ["\n" * 1_000_000, "image," + "c," * 100_000 + "\n" + "1.png," * 100_001, "image,label\n" + '"' * 100_001],
    ids=["blank lines", "columns", "quotes"],
)
def test_a_table_costs_no_more_than_its_size(tmp_path: Path, content: str) -> None:
    write, open_directory = WRITERS["table"]
    folder = write(tmp_path / "table")
    (folder / "labels.csv").write_text(content)
    with time_limit(), suppress(DesignerError):
        assert open_directory(folder).labels is None


@pytest.mark.parametrize(
    ("put", "kind"),
    [(put_pipe, "a named pipe"), (put_link_to_pipe, "a named pipe"), (put_link_to_device, "a device"),
     (put_socket, "a socket"), (Path.touch, "a file")],
)  # fmt: skip
def test_what_is_no_directory_is_called_what_it_is(put: Callable[[Path], None], kind: str, tmp_path: Path) -> None:
    place = tmp_path / "place"
    put(place)
    for open_directory in (open_image_directory, open_model_directory, open_transformation_directory):
        for path, found in ((place, "is"), (place / "below", "leads through 'place',")):
            with time_limit(), pytest.raises(DesignerError) as caught:
                open_directory(path)
            assert caught.value.what == f"The path {found} {kind}, not a directory."
    for path, found in ((place, "path is"), (place / "below", "path would be inside")):
        with pytest.raises(FailedToWriteOutputsError, match=f"The {found} {kind}"):
            check_outputs({"output": path}, {})


def test_a_link_that_leads_nowhere_is_no_output(tmp_path: Path) -> None:
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "circle").symlink_to("circle")
    for name, kind in (("nowhere", "leads nowhere"), ("circle", "goes in circles")):
        with pytest.raises(FailedToWriteOutputsError, match=f"a link that {kind}, not a folder"):
            check_outputs({"output": tmp_path / name}, {})
    assert not (tmp_path / "gone").exists()
