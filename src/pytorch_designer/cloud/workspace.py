"""Choice of the workspace or registry, and its client."""

from __future__ import annotations

import importlib.util
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytorch_designer.cloud.cloud_errors import named_faults
from pytorch_designer.errors import CloudNotFoundError, MissingExtraError
from pytorch_designer.system.regular_files import read_regular
from pytorch_designer.system.special_files import resolved

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.ai.ml import MLClient
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline.transport import HttpTransport

CONFIG_FILE = "config.json"
_CONFIG_FOLDERS = (".azureml", "aml_config", ".")
# They warn, above our own lines, of what an error says as well, and of classes of the SDK that nobody has named.
_REPEATING_LOGGERS = ("azure.identity", "azure.ai.ml._utils._experimental")
# The variables that Azure ML sets in its own jobs.
_SUBSCRIPTION, _RESOURCE_GROUP, _WORKSPACE = (
    "AZUREML_ARM_SUBSCRIPTION",
    "AZUREML_ARM_RESOURCEGROUP",
    "AZUREML_ARM_WORKSPACE_NAME",
)
_LOGIN_VARIABLES = ("AZURE_CLIENT_ID", "IDENTITY_ENDPOINT", "MSI_ENDPOINT", "AZURE_FEDERATED_TOKEN_FILE")
_LOGIN_FILES = ("msal_token_cache.json", "msal_token_cache.bin", "azureProfile.json")  # what `az login` leaves


@dataclass(frozen=True)
class Target:
    """A workspace or a registry.

    Attributes:
        workspace: Name of the workspace; None for a registry, or to read it from a config.json.
        resource_group: Its resource group.
        subscription: Its subscription.
        registry: Name of the registry, or None.
    """

    workspace: str | None = None
    resource_group: str | None = None
    subscription: str | None = None
    registry: str | None = None

    def __str__(self) -> str:
        """Text for messages: `workspace w`, `registry r`."""
        return f"workspace {self.workspace}" if self.registry is None else f"registry {self.registry}"


def choose_target(given: Target, *, environment: Mapping[str, str] | None = None, folder: Path | None = None) -> Target:
    """Complete a target: options first, then `AZUREML_ARM_*` variables, then a config.json.

    Args:
        given: The options of the command line.
        environment: Environment variables; None uses those of the process.
        folder: Folder in which the upward search for config.json starts; None is the working directory.

    Raises:
        CloudNotFoundError: Neither a workspace nor a registry is fully specified.
    """
    if given.registry is not None:
        return given
    environment = os.environ if environment is None else environment
    target = Target(
        workspace=given.workspace or environment.get(_WORKSPACE),
        resource_group=given.resource_group or environment.get(_RESOURCE_GROUP),
        subscription=given.subscription or environment.get(_SUBSCRIPTION),
    )
    parts = {
        "--workspace": target.workspace,
        "--resource-group": target.resource_group,
        "--subscription": target.subscription,
    }
    if all(parts.values()):
        return target
    missing = [option for option, value in parts.items() if not value]
    if len(missing) < len(parts):
        raise CloudNotFoundError(f"The workspace is only partly specified: {', '.join(missing)} is missing.")
    config = _find_config(Path.cwd() if folder is None else folder)
    if config is None:
        raise CloudNotFoundError(
            "No workspace is named.",
            advice=f"Give --workspace, --resource-group and --subscription, set {_WORKSPACE}, {_RESOURCE_GROUP} and "
            f"{_SUBSCRIPTION}, or download {CONFIG_FILE} from the workspace's page into this folder.",
        )
    return _read_config(config)


def connect(
    target: Target, *, credential: TokenCredential | None = None, transport: HttpTransport | None = None
) -> MLClient:
    """A client of the workspace or registry. A registry is looked up; nothing is sent to a workspace yet.

    Args:
        target: A complete target, as returned by `choose_target`.
        credential: Credential; None uses `DefaultAzureCredential` (environment, managed identity, `az login`).
        transport: HTTP transport; None uses the SDK's.

    Raises:
        MissingExtraError: azure-ai-ml or azure-identity is not installed.
        CloudError: The registry cannot be looked up.
    """
    client_class = _client_class()
    for name in _REPEATING_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    # The SDK sends telemetry to Microsoft unless this is turned off.
    options: dict[str, Any] = {"enable_telemetry": False}
    if transport is not None:
        options["transport"] = transport
    login = _default_credential() if credential is None else credential
    if target.registry is not None:
        with named_faults("find the registry", where=target):
            return client_class(login, registry_name=target.registry, **options)
    return client_class(login, target.subscription, target.resource_group, target.workspace, **options)


def has_sdk() -> bool:
    """True if the packages that `connect` needs are installed; imports neither."""
    try:
        return all(importlib.util.find_spec(name) is not None for name in ("azure.ai.ml", "azure.identity"))
    except ImportError:  # azure or azure.ai itself is missing
        return False


def has_login_signs(environment: Mapping[str, str] | None = None) -> bool:
    """True if variables or files of this machine speak of a login to Azure; nothing is asked of the network.

    A login may be there without them (a managed identity), or be expired in spite of them.

    Args:
        environment: Environment variables; None uses those of the process.
    """
    environment = os.environ if environment is None else environment
    if any(environment.get(name) for name in _LOGIN_VARIABLES):
        return True
    try:
        folder = Path(environment.get("AZURE_CONFIG_DIR") or "~/.azure").expanduser()
    except RuntimeError:  # there is no home
        return False
    return any((folder / name).is_file() for name in _LOGIN_FILES)


def _find_config(folder: Path) -> Path | None:
    for parent in (resolved(folder), *resolved(folder).parents):
        for name in _CONFIG_FOLDERS:
            path = parent / name / CONFIG_FILE
            if path.is_file():
                return path
    return None


def _read_config(path: Path) -> Target:
    try:
        content = json.loads(read_regular(path).decode("utf-8-sig"))
        return Target(content["workspace_name"], content["resource_group"], content["subscription_id"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CloudNotFoundError(
            f"{CONFIG_FILE} does not name a workspace.",
            where=path,
            advice="It must contain subscription_id, resource_group and workspace_name. Download it from the "
            "workspace's page.",
        ) from error


def _client_class() -> type[Any]:
    try:
        import azure.ai.ml
        import azure.identity
    except ImportError as error:
        raise MissingExtraError(
            "azure-ai-ml and azure-identity are not installed.",
            advice="Install them with `pip install 'azure-ai-ml>=1.35,<1.36' 'azure-identity>=1.19'`.",
        ) from error
    client_class: type[Any] = azure.ai.ml.MLClient
    return client_class


def _default_credential() -> TokenCredential:
    from azure.identity import DefaultAzureCredential

    return DefaultAzureCredential()
