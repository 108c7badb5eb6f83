from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from pytorch_designer.errors import InvalidSpecError
from pytorch_designer.harness.job.folder_mark import FolderKind
from pytorch_designer.harness.job.snapshot import code_snapshot
from pytorch_designer.harness.schema.specification import CommandSpec


def _write(top: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return top


def _spec(code: Path | None, *includes: Path) -> CommandSpec:
    return CommandSpec("sample", "true", Path("c.yaml"), code=code, additional_includes=includes)


def _names(code: Path | None, *includes: Path) -> list[str]:
    return list(code_snapshot(_spec(code, *includes)).files)


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ({}, [".hidden", "a.py", "data/big.bin", "data/deep/b.log", "notes.log"]),
        ({".amlignore": "*.log"}, [".amlignore", ".hidden", "a.py", "data/big.bin"]),
        ({".gitignore": "data/"}, [".gitignore", ".hidden", "a.py", "notes.log"]),
        ({".gitignore": "/data/deep\n!a.py"}, [".gitignore", ".hidden", "a.py", "data/big.bin", "notes.log"]),
        ({".amlignore": "# none\n\n*\n!a.py\n!*.log"}, ["a.py", "data/deep/b.log", "notes.log"]),
        (
            {".amlignore": "a.py", ".gitignore": "*.log"},
            [".amlignore", ".gitignore", ".hidden", "data/big.bin", "data/deep/b.log", "notes.log"],
        ),
    ],
)
def test_ignore_rules(tmp_path: Path, rules: dict[str, str], kept: list[str]) -> None:
    files = {"a.py": "", ".hidden": "", "notes.log": "", "data/big.bin": "", "data/deep/b.log": ""}
    code = _write(tmp_path / "code", **files, **rules)

    assert _names(code) == kept


def test_compiled_files_never_come_along(tmp_path: Path) -> None:
    code = _write(tmp_path / "code", **{"a.py": "", "__pycache__/a.pyc": "", "p/__pycache__/b.pyc": "", "p/b.py": ""})

    assert _names(code) == ["a.py", "p/b.py"]


def test_ignore_files_below_the_top_count_only_with_additional_includes(tmp_path: Path) -> None:
    code = _write(tmp_path / "code", **{"p/.amlignore": "*.log", "p/a.log": "", "b.log": ""})
    more = tmp_path / "more.txt"
    more.write_text("m", encoding="utf-8")

    assert _names(code) == ["b.log", "p/.amlignore", "p/a.log"]
    assert _names(code, more) == ["b.log", "more.txt", "p/.amlignore"]


def test_additional_includes_are_merged_under_their_names(tmp_path: Path) -> None:
    code = _write(tmp_path / "code", **{"main.py": "m", "shared/a.py": "a"})
    shared = _write(tmp_path / "x" / "shared", **{"b.py": "b", "sub/c.py": "c"})

    assert _names(code, shared) == ["main.py", "shared/a.py", "shared/b.py", "shared/sub/c.py"]


def test_rules_of_the_code_hold_for_additional_includes_too(tmp_path: Path) -> None:
    code = _write(tmp_path / "code", **{".amlignore": "*.log\nshared/secret.py", "a.py": ""})
    shared = _write(tmp_path / "shared", **{"b.log": "", "secret.py": "", "c.py": ""})

    assert _names(code, shared) == [".amlignore", "a.py", "shared/c.py"]


def test_a_folder_included_as_zip_is_zipped(tmp_path: Path) -> None:
    _write(tmp_path / "lib", **{"a.py": "print()", "sub/b.py": ""})

    code_snapshot(_spec(None, tmp_path / "lib.zip")).copy_to(tmp_path / "copy")

    with zipfile.ZipFile(tmp_path / "copy" / "lib.zip") as archive:
        assert archive.namelist() == ["lib/a.py", "lib/sub/b.py"]
        assert archive.read("lib/a.py") == b"print()"


def test_code_may_be_one_file_or_none(tmp_path: Path) -> None:
    _write(tmp_path, **{"a.py": ""})

    assert _names(tmp_path / "a.py") == ["a.py"]
    assert _names(None) == []


def test_links_are_followed(tmp_path: Path) -> None:
    other = _write(tmp_path / "other", **{"b.py": "b"})
    code = _write(tmp_path / "code", **{"a.py": ""})
    (code / "linked").symlink_to(other)

    code_snapshot(_spec(code)).copy_to(tmp_path / "copy")

    assert (tmp_path / "copy" / "linked" / "b.py").read_text(encoding="utf-8") == "b"
    assert not (tmp_path / "copy" / "linked").is_symlink()


def test_a_link_in_a_circle_is_refused(tmp_path: Path) -> None:
    code = _write(tmp_path / "code", **{"p/a.py": ""})
    (code / "p" / "up").symlink_to(code)

    with pytest.raises(InvalidSpecError, match="leads back"):
        _names(code)


@pytest.mark.parametrize("includes", [(), ("missing",)])
def test_a_path_that_does_not_exist_is_refused(tmp_path: Path, includes: tuple[str, ...]) -> None:
    code = None if includes else tmp_path / "missing"

    with pytest.raises(InvalidSpecError, match="does not exist"):
        _names(code, *(tmp_path / name for name in includes))


def test_what_the_harness_writes_is_left_out(tmp_path: Path) -> None:
    written = {"runs/one/run.json": "", "runs/one/user_logs/std_log.txt": "", "runs/one/big": "", "mlflow.db": ""}
    code = _write(tmp_path / "code", **{"a.py": "", "runs/run.json": "mine", "runs/user_logs": "mine"}, **written)
    FolderKind.JOB.mark(code / "runs" / "one")

    snapshot = code_snapshot(_spec(code), excluded=[code / "mlflow.db"])

    assert list(snapshot.files) == ["a.py", "runs/run.json", "runs/user_logs"]


def test_the_hash_is_that_of_names_and_contents(tmp_path: Path) -> None:
    def hashed(name: str, **texts: str) -> str:
        return code_snapshot(_spec(_write(tmp_path / name, **texts))).content_hashes()[0]

    first = hashed("one", **{"a.py": "1", "b.py": "2"})

    assert hashed("two", **{"a.py": "1", "b.py": "2", "__pycache__/a.pyc": "x"}) == first
    assert hashed("three", **{"a.py": "1", "b.py": "3"}) != first
    assert hashed("four", **{"a.py": "1", "c.py": "2"}) != first
    assert hashed("five", **{"a.py": "12", "b.py": ""}) != first


def test_a_copy_keeps_modes_and_times(tmp_path: Path) -> None:
    code = _write(tmp_path / "code", **{"run.sh": "true"})
    (code / "run.sh").chmod(0o755)
    before = (code / "run.sh").stat()

    snapshot = code_snapshot(_spec(code))
    snapshot.copy_to(tmp_path / "copy")

    after = (tmp_path / "copy" / "run.sh").stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert snapshot.num_bytes == 4


@pytest.mark.skipif(os.name != "posix", reason="named pipes and devices")
@pytest.mark.parametrize("kind", ["a named pipe", "a socket", "a device"])
def test_what_is_no_file_is_refused_as_code_and_left_out_below_it(
    tmp_path: Path, special_files: dict[str, Path], kind: str
) -> None:
    code = _write(tmp_path / "code", **{"a.py": ""})
    with pytest.raises(InvalidSpecError, match=kind):
        _names(special_files[kind])
    with pytest.raises(InvalidSpecError, match=kind):
        _names(code, special_files[kind])
    for name in (".amlignore", "inner"):
        (code / name).symlink_to(special_files[kind])
    assert _names(code) == ["a.py"]
