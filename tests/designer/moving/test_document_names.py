"""Names of new documents that every system takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_designer.designer.moving.document_names import check_new_name, find_twin
from pytorch_designer.errors import InvalidSpecError


@pytest.mark.parametrize(
    "path", ["pipeline.yaml", "zwei Wörter.yml", "über/日本.yaml", "console.yaml", "a.b.yaml", "COM.yaml", "-.yaml"]
)
def test_names_that_every_system_takes(tmp_path: Path, path: str) -> None:
    check_new_name(tmp_path, path)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ("a<b.yaml", "Windows allows no '<' in names"),
        ("a\tb.yaml", "in names"),
        ("a:b.yaml", "Windows allows no ':' in names"),
        ("NUL.yaml", "it means a device on Windows"),
        ("com1.yaml", "it means a device on Windows"),
        ("lpt9.x.yaml", "it means a device on Windows"),
        (" a.yaml", "no blanks and dots at the ends"),
        ("folder./a.yaml", "no blanks and dots at the ends"),
        ("aux/a.yaml", "it means a device on Windows"),
        ("ü" * 120 + ".yaml", "it is longer than 240 bytes"),
    ],
)
def test_names_that_some_system_refuses(tmp_path: Path, path: str, fault: str) -> None:
    with pytest.raises(InvalidSpecError, match=fault) as caught:
        check_new_name(tmp_path, path)
    assert caught.value.reason == "name"


def test_folders_that_are_there_may_be_called_anything(tmp_path: Path) -> None:
    (tmp_path / "aux.").mkdir()
    check_new_name(tmp_path, "aux./a.yaml")


def test_a_twin_differs_in_case_or_the_encoding_of_accents(tmp_path: Path) -> None:
    (tmp_path / "Caf\u00e9.yaml").touch()
    assert find_twin(tmp_path / "cafe\u0301.yaml") == tmp_path / "Caf\u00e9.yaml"
    assert find_twin(tmp_path / "cafe.yaml") is None
    (tmp_path / "Train.yaml").touch()
    assert find_twin(tmp_path / "train.yaml") == tmp_path / "Train.yaml"
    assert find_twin(tmp_path / "Train.yaml") is None
    assert find_twin(tmp_path / "other" / "Train.yaml") is None
