"""Assets files: registered names, prefixes of addresses, and what is said where something is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytorch_designer.errors import DesignerError, InvalidSpecError, UnsupportedLocallyError
from pytorch_designer.harness.schema.assets import Assets, read_assets
from pytorch_designer.harness.schema.spec_faults import SpecPlace
from tests.harness.pipeline_files import make_folder, write_yaml

PLACE = SpecPlace("pipeline.yaml", 3, 1, ("inputs", "images"))
WORKSPACE = (
    "azureml://subscriptions/0-1/resourcegroups/rg/providers/Microsoft.X/workspaces/ws/datastores/store/paths/a/b"
)


@pytest.fixture
def assets(tmp_path: Path) -> Assets:
    make_folder(tmp_path / "data" / "a", b="x")
    make_folder(tmp_path / "deep", c="x")
    make_folder(tmp_path / "web" / "mnist", **{"train.csv": "x"})
    for name in ("one.yaml", "two/component.yaml", "three/spec.yml", "four/four.yaml", "five/versions/2"):
        path = tmp_path / "components" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x", encoding="utf-8")
    names = {
        "azureml://datastores/store/paths/": "data",
        "azureml://datastores/store/paths/deeper/": "deep",
        "azureml://registries/r/components/": "components",
        "https://example.org/datasets/": "web",
    }
    return read_assets(write_yaml(tmp_path / "assets.yaml", names))


@pytest.mark.parametrize(
    ("reference", "path"),
    [
        ("azureml://datastores/store/paths/a", "data/a"),
        ("azureml://datastores/store/paths/a/", "data/a"),
        ("azureml://datastores/store/paths/a/b", "data/a/b"),
        ("azureml://datastores/store/paths/", "data"),
        ("azureml://datastores/store/paths/deeper/c", "deep/c"),
        (WORKSPACE, "data/a/b"),
        (WORKSPACE.replace("resourcegroups", "resourceGroups"), "data/a/b"),
        ("azureml://registries/r/components/one/versions/1", "components/one.yaml"),
        ("azureml://registries/r/components/two/labels/latest", "components/two/component.yaml"),
        ("azureml://registries/r/components/three", "components/three/spec.yml"),
        ("azureml://registries/r/components/four/versions/1", "components/four/four.yaml"),
        ("azureml://registries/r/components/five/versions/2", "components/five/versions/2"),
        ("https://example.org/datasets/mnist/train.csv", "web/mnist/train.csv"),
    ],
)
def test_what_is_below_a_prefix_is_found(tmp_path: Path, assets: Assets, reference: str, path: str) -> None:
    assert assets.find(reference, PLACE) == tmp_path / path


def test_what_is_not_below_its_prefix_is_named_with_the_places_that_were_looked_at(
    tmp_path: Path, assets: Assets
) -> None:
    with pytest.raises(UnsupportedLocallyError) as caught:
        assets.find("azureml://registries/r/components/six/versions/1", PLACE)

    assert f"there is no {tmp_path}/components/six/versions/1 or {tmp_path}/components/six." in caught.value.what
    assert "azureml://registries/r/components/six/versions/1: LOCAL_PATH" in caught.value.advice
    assert caught.value.where == "pipeline.yaml:3"


def test_an_address_does_not_lead_out_of_its_folder(assets: Assets) -> None:
    with pytest.raises(InvalidSpecError, match="leads out of the folder"):
        assets.find("azureml://datastores/store/paths/../assets.yaml", PLACE)


def test_a_prefix_needs_a_folder(tmp_path: Path) -> None:
    make_folder(tmp_path / "data", a="x")

    with pytest.raises(DesignerError, match="needs a folder"):
        read_assets(write_yaml(tmp_path / "assets.yaml", {"azureml://datastores/s/paths/": "data/a"}))


@pytest.mark.parametrize(
    ("address", "tool"),
    [
        ("https://example.org/a.csv", "curl -L -O https://example.org/a.csv"),
        ("http://example.org/a.csv", "curl"),
        ("wasbs://c@a.blob.core.windows.net/x", "AzCopy"),
        ("s3://bucket/x", "aws s3 sync"),
    ],
)
def test_an_address_is_not_fetched_and_said_how_to(address: str, tool: str) -> None:
    with pytest.raises(UnsupportedLocallyError) as caught:
        Assets().find(address, PLACE)

    assert caught.value.what.startswith(f"{address} is an address; nothing is fetched")
    assert tool in caught.value.advice
    assert f"`{address}: LOCAL_PATH`" in caught.value.advice
    assert "--assets" in caught.value.advice
