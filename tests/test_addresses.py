"""Addresses where paths are wanted: told from paths, and named with how to get what is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_designer.addresses import is_address, local_path
from pytorch_designer.errors import UnsupportedLocallyError


@pytest.mark.parametrize(
    ("text", "how"),
    [
        ("https://example.org/pets.zip", "curl"),
        ("HTTP://example.org/pets", "curl"),
        ("https:/example.org/pets.zip", "curl"),  # a `Path` has eaten one slash
        ("s3://bucket/pets", "aws s3"),
        ("gs://bucket/pets", "gcloud storage"),
        ("abfss://data@account.dfs.core.windows.net/pets", "AzCopy"),
        ("azureml:pets:1", "az ml"),
        ("azureml://datastores/workspaceblobstore/paths/pets", "az ml"),
        ("azureml:/datastores/workspaceblobstore/paths/pets", "az ml"),
        ("hf://datasets/pets", "Download it and give"),
        ("file:///data/pets", "without `file://`"),
        ("git+https://example.org/pets", "Download it"),
    ],
)
def test_an_address_is_named_as_it_was_typed_with_how_to_get_it(text: str, how: str) -> None:
    with pytest.raises(UnsupportedLocallyError) as caught:
        local_path(text, name="dataset")
    assert caught.value.what == f"{text} is an address, not a path on this machine."
    assert caught.value.where == "dataset"
    assert how in caught.value.advice
    assert caught.value.reason == "address"


@pytest.mark.parametrize("text", ["pets", "./pets", "/data/pets", "a:b", "C:/pets", r"C:\pets", "10:30/pets", "~/pets"])
def test_a_path_is_a_path(text: str) -> None:
    assert not is_address(text)
    assert local_path(text) == Path(text)


def test_a_folder_of_such_a_name_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("azureml:pets").mkdir()
    assert local_path("azureml:pets") == Path("azureml:pets")
