"""Home folder, user name and temporary folder where the system has none."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import pytest

from pytorch_designer.directories.image_directory import open_image_source
from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.settings import user_cache_folder
from pytorch_designer.system.places import check_temporary_folder, complete_environment
from tests.directories.hand_built import PNG

UNKNOWN_USER = 12345


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A user id without an entry, without HOME and without a user's name."""

    def no_entry(uid: int) -> object:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", no_entry)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.usefixtures("nobody")
def test_an_unknown_user_gets_a_home_and_a_name(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError):
        Path.home()
    complete_environment()
    assert Path.home().parent == tmp_path
    assert Path.home().stat().st_mode & 0o777 == 0o700
    assert user_cache_folder().is_relative_to(Path.home())
    assert getpass.getuser() == f"uid{os.geteuid()}"
    home = Path.home()
    del os.environ["HOME"]
    complete_environment()
    assert Path.home() == home, "what was cached is found again"


@pytest.mark.usefixtures("nobody")
@pytest.mark.parametrize("home", [None, "", "relative"])
def test_a_home_that_leads_to_the_working_directory_or_the_root_is_none(
    home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if home is not None:
        monkeypatch.setenv("HOME", home)
    complete_environment()
    assert Path.home().parent == tmp_path


@pytest.mark.usefixtures("nobody")
def test_a_folder_that_somebody_else_has_planted_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / f"pytorch-designer-{os.geteuid()}").symlink_to(tmp_path / "theirs")
    complete_environment()
    assert not Path.home().exists()


def test_an_empty_home_is_that_of_the_users_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "")
    complete_environment()
    assert str(Path.home()) == pwd.getpwuid(os.geteuid()).pw_dir


def test_a_home_and_a_name_that_are_there_stay(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USER", "me")
    complete_environment()
    assert os.environ["HOME"] == str(tmp_path)
    assert os.environ["USER"] == "me"


def test_no_temporary_folder_is_a_named_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    check_temporary_folder()
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "_candidate_tempdir_list", lambda: ["/proc/nothing"])
    with pytest.raises(UnsupportedEnvironmentError, match="temporary files") as raised:
        check_temporary_folder()
    assert raised.value.reason == "no_temporary_folder"
    archive = tmp_path / "images.zip"
    with zipfile.ZipFile(archive, "w") as content:
        content.writestr("cat/1.png", PNG)
    with pytest.raises(UnsupportedEnvironmentError, match="temporary files"), open_image_source(archive):
        pass


def _runs_as_unknown_user() -> bool:
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return False
    return (
        subprocess.run(
            [*_AS_UNKNOWN_USER, sys.executable, "-c", ""], check=False, capture_output=True, timeout=300
        ).returncode
        == 0
    )


_AS_UNKNOWN_USER = (
    "env", "-u", "HOME", "-u", "USER", "-u", "LOGNAME",
    "setpriv", f"--reuid={UNKNOWN_USER}", f"--regid={UNKNOWN_USER}", "--clear-groups",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(not _runs_as_unknown_user(), reason="only root can become another user, who needs access to Python")
def test_a_user_without_an_entry_can_import_what_training_needs(tmp_path: Path) -> None:
    program = (
        "from pytorch_designer.system.places import complete_environment\n"
        "complete_environment()\n"
        "import torchvision, mlflow.models, matplotlib.figure"
    )
    tmp_path.chmod(0o777)
    done = subprocess.run(
        ["env", f"TMPDIR={tmp_path}", *_AS_UNKNOWN_USER, sys.executable, "-c", program],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
