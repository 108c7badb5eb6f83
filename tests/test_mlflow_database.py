"""New MLflow databases: whatever is wrong with the cache folder or the place, it is made or refused at once."""

from __future__ import annotations

import importlib.metadata
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.mlflow_database import create_database, transaction


def fill(database: Path) -> None:
    """Make what passes for tables of MLflow."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('1')")
        connection.execute("CREATE TABLE experiments (artifact_location TEXT)")
        connection.execute("CREATE TABLE others AS SELECT zeroblob(300000) AS content")  # MLflow's tables are large


def break_cache(cache: Path, fault: str) -> None:
    """Give the cache folder a fault."""
    kept = cache / "pytorch-designer" / f"mlflow-{importlib.metadata.version('mlflow')}.db"
    if fault == "file":
        cache.touch()
        return
    kept.parent.mkdir(parents=True)
    if fault == "folder":
        kept.mkdir()
    elif fault == "pipe":
        os.mkfifo(kept)
    else:
        kept.write_bytes(b"" if fault == "empty" else b"no database " * 1000)


@pytest.mark.parametrize("fault", ["file", "folder", "pipe", "empty", "garbage"])
def test_no_fault_of_the_cache_folder_costs_the_database(
    fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_cache(tmp_path / "cache", fault)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("first.db", "second.db"):
        create_database(tmp_path / name, fill)
        with transaction(tmp_path / name) as connection:
            assert connection.execute("SELECT version_num FROM alembic_version").fetchone() == ("1",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "first.db", "second.db"]


def test_where_mlflow_fails_in_the_cache_folder_the_tables_are_made_where_they_are_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def make(database: Path) -> None:
        if (tmp_path / "cache") in database.parents:
            raise UnsupportedEnvironmentError("MLflow could not create a database.")
        fill(database)

    create_database(tmp_path / "mlflow.db", make)
    assert (tmp_path / "mlflow.db").exists()
    assert not list((tmp_path / "cache").rglob("*.partial"))


@pytest.mark.skipif(os.name != "posix", reason="limits of processes")
@pytest.mark.parametrize("is_kept", [True, False])
def test_a_place_without_room_is_named_before_mlflow_tries_for_minutes(is_kept: bool, tmp_path: Path) -> None:
    """A limit on the size of files stands for a full disk and a quota: the folder is there, and a file in it, too."""
    script = f"""
import resource, sys
from pathlib import Path
from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.mlflow_database import create_database
from tests.test_mlflow_database import fill
if {is_kept}:
    create_database(Path("made.db").absolute(), fill)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    create_database(Path("small/mlflow.db").absolute(), lambda _: sys.exit("MLflow was asked"))
except UnsupportedEnvironmentError as error:
    print(error)
"""
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "The MLflow database cannot be created: File too large." in done.stdout, done.stderr
    assert f"Where: {tmp_path / 'small' / 'mlflow.db'}" in done.stdout
    assert list((tmp_path / "small").iterdir()) == []
