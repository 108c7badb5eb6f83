from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.mlflow_database import database_file, database_uri
from pytorch_designer.tracking.destination import Destination, RunReference, destination_from_environment


def _destination(tracking_uri: str) -> Destination:
    return Destination(tracking_uri, run_id=None, run_name="r", experiment="e", artifact_location=None)


def test_without_variables_it_is_a_database_in_the_working_directory(tmp_path: Path) -> None:
    destination = destination_from_environment("my run")

    assert destination.tracking_uri == f"sqlite:///{(tmp_path / 'mlflow.db').as_posix()}"
    assert destination.artifact_location == (tmp_path / "mlruns").as_uri()
    assert (destination.run_id, destination.experiment) == (None, "pytorch-designer")
    assert destination.description.endswith("mlflow.db, experiment pytorch-designer, run my run")


def test_variables_of_a_job_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "azureml://region.api.azureml.ms/mlflow/v1.0/w")
    monkeypatch.setenv("MLFLOW_RUN_ID", "abc")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "pets")

    assert destination_from_environment("r") == Destination(
        "azureml://region.api.azureml.ms/mlflow/v1.0/w", "abc", "r", "pets", artifact_location=None
    )


def test_a_users_database_keeps_its_artifacts_beside_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///runs/all.db")

    assert destination_from_environment("r").artifact_location == (tmp_path / "runs" / "mlruns").as_uri()


@pytest.mark.parametrize(
    "tracking_uri", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?uri=true", "https://host/x.db", "databricks"]
)
def test_what_is_no_file_is_no_database_file(tracking_uri: str) -> None:
    assert _destination(tracking_uri).database is None


def test_the_file_of_a_database_is_found_in_its_address(tmp_path: Path) -> None:
    assert _destination("sqlite:///runs/all.db?timeout=5").database == tmp_path / "runs" / "all.db"
    assert _destination(f"sqlite:///{tmp_path}/all.db").database == tmp_path / "all.db"


@pytest.mark.parametrize(
    ("tracking_uri", "shown"),
    [
        ("https://user:pass@host:5000/mlflow?token=t#f", "https://host:5000/mlflow"),
        ("https://user:p@ss@host/x", "https://host/x"),
        ("mysql+pymysql://user:pass@db.local/runs", "mysql+pymysql://db.local/runs"),
        ("https://storage.local?sig=abc", "https://storage.local"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("databricks", "databricks"),
        ("C:/runs?key=1", "C:/runs"),
    ],
)
def test_secrets_are_not_shown(tracking_uri: str, shown: str) -> None:
    assert _destination(tracking_uri).public_uri == shown


def test_secrets_are_cut_from_error_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "tok-123")
    destination = _destination("https://user:hush@host/mlflow")
    message = (
        "request to https://user:hush@host/mlflow/api?experiment=a failed with url: /mlflow/api?sig=zzz "
        "(Bearer tok-123, password hush, see http://other:word@elsewhere/x?key=1)"
    )

    redacted = destination.redact(message)

    assert redacted == (
        "request to https://host/mlflow/api failed with url: /mlflow/api "
        "(Bearer ***, password ***, see http://elsewhere/x)"
    )


def test_a_malformed_address_is_shown_as_far_as_it_can_be_read() -> None:
    assert _destination("http://[::1/x?a=b").redact("http://[::1/x?a=b is bad") == "http://[::1/x is bad"


def test_a_quoted_password_is_cut_as_it_is_meant_too() -> None:
    assert _destination("https://user:p%40ss@host").redact("no user with p@ss or p%40ss") == "no user with *** or ***"


@pytest.mark.parametrize(
    "name", ["plain", "a%20b", "100%", "who?", "hash#", "two words", "é 猫", "user:word@host", "a+b&c=d;e", "\udcff"]
)
def test_a_path_becomes_an_address_and_a_path_again(name: str) -> None:
    from sqlalchemy.engine import make_url

    database = Path("/data") / name / "mlflow.db"
    assert database_file(database_uri(database)) == database
    assert make_url(database_uri(database)).database == str(database)


@pytest.mark.parametrize(
    "data", [None, 1, [], {}, {"key": "x"}, {"key": "a" * 33}, {"key": ["a"]}, {"key": "' OR 1 = 1", "run_id": "r"}]
)
def test_what_is_no_reference_to_a_run_is_none(data: Any) -> None:
    assert RunReference.from_dict(data) is None


def test_a_reference_to_a_run_is_read_back_and_a_strange_id_is_left_out() -> None:
    reference = RunReference.new()
    assert RunReference.from_dict(reference.to_dict()) == reference
    reference.run_id = "0a-1"
    assert RunReference.from_dict(reference.to_dict()) == reference
    assert RunReference.from_dict(reference.to_dict() | {"run_id": "../x"}) == RunReference(reference.key)
