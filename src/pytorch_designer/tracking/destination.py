"""Destination of tracking: read once from MLflow's own environment variables, and shown without secrets."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from pytorch_designer.mlflow_database import DATABASE_FILE, artifact_root, database_uri

DEFAULT_EXPERIMENT = "pytorch-designer"
_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>()]+", re.IGNORECASE)
_QUERY = re.compile(r"\?[^\s'\"<>()]+")


@dataclass(frozen=True)
class Destination:
    """One MLflow run, existing or to be created.

    Attributes:
        tracking_uri: MLflow's tracking URI. May hold a password: show `public_uri` instead.
        run_id: The run to join, as Azure ML and the harness set it; None: a new run.
        run_name: Name of a new run.
        experiment: Experiment of a new run, created when it does not exist.
        artifact_location: Folder for artifacts of a new experiment as a URI; None: the server chooses.
    """

    tracking_uri: str
    run_id: str | None
    run_name: str
    experiment: str
    artifact_location: str | None

    @property
    def public_uri(self) -> str:
        """The tracking URI without user, password, query and fragment."""
        return _without_secrets(self.tracking_uri)

    @property
    def is_local(self) -> bool:
        """Whether it is a database file on this machine: slow when the machine is busy, but never out of reach."""
        return self.tracking_uri.startswith("sqlite")

    @property
    def database(self) -> Path | None:
        """The file of a local database; None for everything else."""
        return _database_file(self.tracking_uri)

    @property
    def description(self) -> str:
        """One line for the log."""
        run = f"run {self.run_id}" if self.run_id else f"experiment {self.experiment}, run {self.run_name}"
        return f"MLflow: {self.public_uri}, {run}"

    def redact(self, text: str) -> str:
        """`text`, an error message of MLflow, without what must not reach a log."""
        redacted = text.replace(self.tracking_uri, self.public_uri)
        for secret in (*(os.environ.get(name) for name in _SECRET_VARIABLES), _password(self.tracking_uri)):
            if secret:
                redacted = redacted.replace(secret, "***")
        return _QUERY.sub("", _ADDRESS.sub(lambda match: _without_secrets(match.group()), redacted))


def destination_from_environment(run_name: str) -> Destination:
    """The destination that `MLFLOW_TRACKING_URI`, `MLFLOW_RUN_ID` and `MLFLOW_EXPERIMENT_NAME` name.

    Without them it is a new run in `mlflow.db` in the working directory, which `mlflow ui` finds by itself.
    """
    tracking_uri = os.environ.get("MLFLOW_TRACKING_URI") or database_uri(Path.cwd() / DATABASE_FILE)
    return Destination(
        tracking_uri=tracking_uri,
        run_id=os.environ.get("MLFLOW_RUN_ID") or None,
        run_name=run_name,
        experiment=os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT,
        artifact_location=_folder_beside_database(tracking_uri),
    )


def _folder_beside_database(tracking_uri: str) -> str | None:
    database = _database_file(tracking_uri)
    return None if database is None else artifact_root(database)


def _database_file(tracking_uri: str) -> Path | None:
    scheme, separator, rest = tracking_uri.partition(":///")
    name = rest.partition("?")[0]
    if not separator or not scheme.startswith("sqlite") or not name or name.startswith((":memory:", "file:")):
        return None
    return Path(name).absolute()


def _without_secrets(address: str) -> str:
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address.partition("?")[0]
    # Only the last @ before the path ends the user part: a password may hold one, unquoted.
    authority, slash, path = rest.partition("/")
    bare = f"{authority.rpartition('@')[2]}{slash}{path}"
    return f"{scheme}://{re.split('[?#]', bare, maxsplit=1)[0]}"


def _password(address: str) -> str | None:
    try:
        return urlsplit(address).password
    except ValueError:  # a malformed address, whose parts nobody else finds either
        return None
