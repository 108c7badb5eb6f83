"""Folders of data that the page offers."""

from __future__ import annotations

from pathlib import Path

from pytorch_designer.designer.document.data_folders import data_folders


def _write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_folders_with_images_tables_archives_or_a_typed_directory_are_found_and_none_below_them(tmp_path: Path) -> None:
    _write(
        tmp_path / "photos/cat/1.JPG",
        tmp_path / "photos/dog/1.webp",
        tmp_path / "sets/train/2.png",
        tmp_path / "sets/val/dog/3.png",
        tmp_path / "sets/val/cat/3.png",
        tmp_path / "tables/a.csv",
        tmp_path / "tables/more/b.csv",
        tmp_path / "archives/all.tar",
        tmp_path / "model/MLmodel",
        tmp_path / "typed/_meta.yaml",
        tmp_path / "code/train.py",
    )
    assert data_folders(tmp_path, tmp_path / "pipeline.yaml") == [
        "./archives",
        "./model",
        "./photos",
        "./tables",
        "./typed",
        "./sets/train",
        "./sets/val",
    ]


def test_paths_are_those_of_the_pipelines_folder(tmp_path: Path) -> None:
    _write(tmp_path / "photos/1.jpg", tmp_path / "jobs/own/2.jpg", tmp_path / "jobs/2.csv")
    assert data_folders(tmp_path, tmp_path / "jobs" / "pipeline.yaml") == ["../photos", "./own"]


def test_results_packages_hidden_folders_and_links_are_left_out(tmp_path: Path) -> None:
    inside = tmp_path / "project"
    _write(*(inside / name / "1.jpg" for name in ("runs", "mlruns", "venv", "node_modules", ".cache")))
    _write(tmp_path / "elsewhere/1.jpg")
    (inside / "linked").symlink_to(tmp_path / "elsewhere")
    assert data_folders(inside, inside / "pipeline.yaml") == []


def test_a_project_of_many_folders_is_searched_to_a_limit(tmp_path: Path) -> None:
    _write(*(tmp_path / f"set_{number:03}" / "1.jpg" for number in range(120)))
    found = data_folders(tmp_path, tmp_path / "pipeline.yaml")
    assert found == [f"./set_{number:03}" for number in range(50)]
