"""Destination of tracking: read once from MLflow's own environment variables, and shown without secrets."""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pytorch_designer.mlflow_database import DATABASE_FILE, artifact_root, database_file, database_uri

DEFAULT_EXPERIMENT = "pytorch-designer"
_KEY = re.compile(r"[0-9a-f]{32}")
_RUN_ID = re.compile(r"[A-Za-z0-9][\w-]{0,255}")
_SECRET_VARIABLES = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
_ADDRESS = re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s'\"<>()]+", re.IGNORECASE)
_QUERY = re.compile(r"\?[^\s'\"<>()]+")


@dataclass
class RunReference:
    """The MLflow run of a training, as its checkpoints keep it, so that a training that continues finds it.

    Attributes:
        key: Chosen at the first start, before MLflow has created the run, which takes seconds; a tag of the run.
        run_id: MLflow's id, once it is known.
    """

    key: str
    run_id: str | None = None

    @staticmethod
    def new() -> RunReference:
        """A reference to a run that is to be created."""
        return RunReference(uuid.uuid4().hex)

    @staticmethod
    def from_dict(data: Any) -> RunReference | None:
        """The inverse of `to_dict`; None for anything else."""
        if not isinstance(data, dict) or not _KEY.fullmatch(str(data.get("key"))):
            return None
        run_id = str(data.get("run_id"))
        return RunReference(str(data["key"]), run_id if data.get("run_id") and _RUN_ID.fullmatch(run_id) else None)

    def to_dict(self) -> dict[str, str | None]:
        """Plain data for a checkpoint."""
        return {"key": self.key, "run_id": self.run_id}


@dataclass(frozen=True)
class Destination:
    """One MLflow run, existing or to be created.

    Attributes:
        tracking_uri: MLflow's tracking URI. May hold a password: show `public_uri` instead.
        run_id: The run to join, as Azure ML and the harness set it; None: a run of our own.
        run_name: Name of a new run.
        experiment: Experiment of a new run, created when it does not exist.
        artifact_location: Folder for artifacts of a new experiment as a URI; None: the server chooses.
        key: Tag by which a training that continues finds a run of our own; "" for none.
        is_continued: Whether the training continues, so that a run with this key may be there.
        earlier_run_id: The run that an earlier process of the training recorded to, where its id is known.
        start_ms: Start of a new run, in milliseconds since 1970; None: now.
    """

    tracking_uri: str
    run_id: str | None
    run_name: str
    experiment: str
    artifact_location: str | None
    key: str = ""
    is_continued: bool = False
    earlier_run_id: str | None = None
    start_ms: int | None = None

    @property
    def public_uri(self) -> str:
        """The tracking URI without user, password, query and fragment."""
        return _without_secrets(self.tracking_uri)

    @property
    def is_local(self) -> bool:
        """True if it is a database file on this machine: slow when the machine is busy, but never out of reach."""
        return self.tracking_uri.startswith("sqlite")

    @property
    def database(self) -> Path | None:
        """The file of a local database; None for everything else."""
        return database_file(self.tracking_uri)

    @property
    def is_azure(self) -> bool:
        """True if it is Azure ML: it takes metrics, parameters and tags, and refuses some other calls of MLflow."""
        return self.tracking_uri.startswith("azureml")

    @property
    def description(self) -> str:
        """One line for the log."""
        run = f"run {self.run_id}" if self.run_id else f"experiment {self.experiment}, run {self.run_name}"
        return f"MLflow: {self.public_uri}, {run}"

    def redact(self, text: str) -> str:
        """`text`, an error message of MLflow, without what must not reach a log."""
        redacted = text.replace(self.tracking_uri, self.public_uri)
        password = _password(self.tracking_uri) or ""
        for secret in (*(os.environ.get(name) for name in _SECRET_VARIABLES), password, unquote(password)):
            if secret:
                redacted = redacted.replace(secret, "***")
        return _QUERY.sub("", _ADDRESS.sub(lambda match: _without_secrets(match.group()), redacted))


def destination_from_environment(
    run_name: str,
    reference: RunReference | None = None,
    *,
    is_continued: bool = False,
    start_ms: int | None = None,
) -> Destination:
    """The destination that `MLFLOW_TRACKING_URI`, `MLFLOW_RUN_ID` and `MLFLOW_EXPERIMENT_NAME` name.

    Without them it is a new run in `mlflow.db` in the working directory, which `mlflow ui` finds by itself.

    Args:
        run_name: Name of a new run.
        reference: The run of this training; None: one that nothing will look for later.
        is_continued: Whether an earlier process may have created it.
        start_ms: Start of a new run, in milliseconds since 1970; None: now.
    """
    tracking_uri = os.environ.get("MLFLOW_TRACKING_URI") or database_uri(Path.cwd() / DATABASE_FILE)
    database = database_file(tracking_uri)
    return Destination(
        tracking_uri=tracking_uri,
        run_id=os.environ.get("MLFLOW_RUN_ID") or None,
        run_name=run_name,
        experiment=os.environ.get("MLFLOW_EXPERIMENT_NAME") or DEFAULT_EXPERIMENT,
        artifact_location=None if database is None else artifact_root(database),
        key="" if reference is None else reference.key,
        is_continued=is_continued,
        earlier_run_id=None if reference is None else reference.run_id,
        start_ms=start_ms,
    )


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
