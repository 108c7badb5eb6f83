"""Local MLflow databases (sqlite), created atomically and within milliseconds.

MLflow takes seconds to make its tables, and a process that is killed meanwhile leaves a file that no MLflow will open
again. So an empty database is made once for each version of MLflow, by MLflow itself, kept in the user's cache folder,
and copied from there to where one is wanted; it gets its name once it is complete.

    python -m pytorch_designer.mlflow_database FILE      lets MLflow make its tables in a new file
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import subprocess
import sys
import uuid
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pytorch_designer.errors import UnsupportedEnvironmentError
from pytorch_designer.settings import user_cache_folder
from pytorch_designer.storage.locking import held_lock
from pytorch_designer.system.python_process import python_command

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    Make = Callable[[Path], object]

_logger = logging.getLogger(__name__)

DATABASE_FILE = "mlflow.db"
"""The name that `mlflow ui` looks for in the working directory."""

ARTIFACTS = "mlruns"
"""The folder beside a database for what its runs produce."""

QUIET_ENVIRONMENT = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
"""Variables that switch off the telemetry of MLflow."""

_BUSY_SECONDS = 30.0
_PROBE_SECONDS = 0.5
_ROOM_BYTES = 2**21  # an empty database has 0.9 MB, and a journal beside it
_SPECIAL_IN_ADDRESSES = re.compile("[%?#\\x00-\\x20\\x7f]")
_FIRST_SQLALCHEMY_THAT_UNQUOTES = (2, 1)


def create_database(database: Path, make: Make | None = None) -> None:
    """Create an MLflow database, complete or not at all; one that another process has created meanwhile stays.

    Args:
        database: Where; its folder is created, and artifacts will go to `mlruns` in it.
        make: Makes the tables in a new file; None: a process of its own does, so that this one need not import MLflow.

    Raises:
        UnsupportedEnvironmentError: The folder cannot be written, or MLflow fails.
    """
    partial = database.with_name(f".{database.name}.{uuid.uuid4().hex}")
    make = make or _make_tables_in_own_process
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        partial.touch(exist_ok=False)
        partial.unlink()  # MLflow may take seconds now, in which a kill would leave it
        empty = _kept_tables(make)
        if empty is None:
            _make_where_there_is_room(partial, make)
        else:
            partial.write_bytes(empty)
        with transaction(partial) as connection:
            connection.execute("UPDATE experiments SET artifact_location = ?", (f"{artifact_root(database)}/0",))
        try:
            # Unlike a rename, a link never replaces what another process has created in this moment.
            os.link(partial, database)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            partial.replace(database)
    except OSError as error:
        raise UnsupportedEnvironmentError(
            f"The MLflow database cannot be created: {error.strerror or error}.",
            where=database,
            advice="Start the command in a folder that can be written and has room, or do without MLflow "
            "(`run --no-mlflow`).",
        ) from error
    finally:
        for left in (partial, partial.with_name(f"{partial.name}-journal")):
            with suppress(OSError):
                left.unlink(missing_ok=True)


def is_of_installed_version(database: Path) -> bool:
    """True if the tables are those of the installed MLflow, as far as an empty database of it can be had."""
    try:
        empty = _empty_database(_make_tables_in_own_process)
    except (OSError, UnsupportedEnvironmentError):
        return True
    return _schema_version(database) == _schema_version(empty)


def make_tables(database: Path) -> None:
    """Let MLflow, which this process imports, create its tables in the new file `database`."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    store = SqlAlchemyStore(database_uri(database), artifact_root(database))
    store.engine.dispose()  # an open file has to keep its name on Windows


def database_uri(database: Path) -> str:
    """MLflow's address of the database at an absolute path.

    What means something else in an address is quoted where SQLAlchemy unquotes it, that is from release 2.1 on. The
    driver's name is given then: for a bare `sqlite:///`, MLflow makes a folder of the quoted name.
    """
    path = database.as_posix()
    quoted = _SPECIAL_IN_ADDRESSES.sub(lambda match: f"%{ord(match.group()):02X}", path)
    if quoted == path or not _sqlalchemy_unquotes():
        return f"sqlite:///{path}"
    return f"sqlite+pysqlite:///{quoted}"


def database_file(tracking_uri: str) -> Path | None:
    """The file of a local database, absolute; None where the address is of anything else."""
    scheme, separator, rest = tracking_uri.partition(":///")
    name = rest.partition("?")[0]
    if not separator or not scheme.startswith("sqlite") or not name or name.startswith((":memory:", "file:")):
        return None
    return Path(unquote(name) if _sqlalchemy_unquotes() else name).absolute()


def fault_of_database(database: Path) -> str | None:
    """Reason why MLflow could not write to `database`, or create it, as far as shows without it; None if it could."""
    import sqlite3

    try:
        if not database.exists():
            return _fault_of_folder(database.parent)
        if not database.is_file():  # a named pipe would be waited for
            return f"{database} is not a file"
        if not os.access(database.parent, os.W_OK | os.X_OK):  # its journal would not fit in
            return f"the folder {database.parent} cannot be written"
        with closing(sqlite3.connect(database, timeout=_PROBE_SECONDS)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
    except OSError as error:
        return f"{database}: {error.strerror or error}"
    except sqlite3.Error as error:
        is_in_use = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
        return None if is_in_use else f"{database} cannot be used ({error})"
    return None


def artifact_root(database: Path) -> str:
    """URI of the folder for the artifacts of a database's runs."""
    return (database.parent / ARTIFACTS).as_uri()


@contextmanager
def transaction(database: Path) -> Iterator[sqlite3.Connection]:
    """A connection whose changes are committed at the end.

    Raises:
        UnsupportedEnvironmentError: The database cannot be used.
    """
    import sqlite3

    try:
        with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS)) as connection, connection:
            yield connection
    except sqlite3.Error as error:
        raise UnsupportedEnvironmentError(
            f"The MLflow database cannot be used: {error}.", where=database, advice="Name another folder for it."
        ) from error


def _kept_tables(make: Make) -> bytes | None:
    """The content of an empty database; None where none can be kept, for whatever fault of the cache folder."""
    try:
        return _empty_database(make).read_bytes()
    except (OSError, UnsupportedEnvironmentError) as error:
        _logger.debug("No empty MLflow database is kept: %s", error)
        return None


def _empty_database(make: Make) -> Path:
    """An empty database of the installed MLflow, in the user's cache folder; made on first use.

    Raises:
        OSError: The cache folder cannot be used.
        UnsupportedEnvironmentError: There is none, or MLflow fails there.
    """
    template = user_cache_folder() / f"mlflow-{importlib.metadata.version('mlflow')}.db"
    partial = template.with_suffix(".partial")
    template.parent.mkdir(parents=True, exist_ok=True)
    if not _is_database(template):
        with held_lock(template.with_suffix(".lock")):
            if not _is_database(template):  # there is none, or it is not what was written
                for left in template.parent.glob(f"{partial.name}*"):  # with its journal, of a process that was killed
                    left.unlink()
                _make_where_there_is_room(partial, make)
                partial.replace(template)
    return template


def _make_where_there_is_room(database: Path, make: Make) -> None:
    """Make the tables in a new file. MLflow would try for minutes where it cannot be written, or is no room."""
    try:
        with database.open("wb") as stream:
            stream.write(bytes(_ROOM_BYTES))
            stream.flush()
            os.fsync(stream.fileno())  # a quota may show here only
        database.write_bytes(b"")
        make(database)
    except BaseException:
        with suppress(OSError):
            database.unlink(missing_ok=True)
        raise


def _fault_of_folder(folder: Path) -> str | None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        return f"{existing} is not a folder"
    if not os.access(existing, os.W_OK | os.X_OK):
        return f"the folder {existing} cannot be written"
    return None


def _sqlalchemy_unquotes() -> bool:
    release = importlib.metadata.version("sqlalchemy").split(".")[:2]
    return tuple(int(number) for number in release) >= _FIRST_SQLALCHEMY_THAT_UNQUOTES


def _is_database(template: Path) -> bool:
    return template.is_file() and _schema_version(template) is not None


def _schema_version(database: Path) -> str | None:
    """Version of the tables; None where the file is not a database of MLflow."""
    import sqlite3

    try:
        with closing(sqlite3.connect(database, timeout=_BUSY_SECONDS)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return None
    return None if found is None else str(found[0])


def _make_tables_in_own_process(database: Path) -> None:
    _logger.info("MLflow prepares an empty database, once for this version; this takes seconds.")
    command = python_command("pytorch_designer.mlflow_database", str(database))
    environment = {**os.environ, **QUIET_ENVIRONMENT}
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if made.returncode != 0:
        raise UnsupportedEnvironmentError(
            "MLflow could not create a database.", where=database, examples=made.stderr.splitlines()[-3:]
        )


if __name__ == "__main__":
    make_tables(Path(sys.argv[1]).absolute())
