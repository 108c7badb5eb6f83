from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from pytorch_designer.cloud.register import register
from pytorch_designer.cloud.workspace import Target, choose_target, connect, has_login_signs, has_sdk
from pytorch_designer.errors import CloudError, CloudLoginError, CloudNotFoundError
from tests.cloud.azure_service import AzureService, Login, ServiceTransport
from tests.cloud.conftest import WORKSPACE

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
VARIABLES = {
    "AZUREML_ARM_SUBSCRIPTION": "s",
    "AZUREML_ARM_RESOURCEGROUP": "g",
    "AZUREML_ARM_WORKSPACE_NAME": "w",
}
CONFIG = {"subscription_id": "cs", "resource_group": "cg", "workspace_name": "cw"}


class Refused:
    """A credential that fails as azure-identity's do."""

    def get_token(self, *_scopes: str, **_options: Any) -> Any:
        from azure.core.exceptions import ClientAuthenticationError

        raise ClientAuthenticationError("DefaultAzureCredential failed to retrieve a token.")


class Unplugged(ServiceTransport):
    def send(self, request: Any, **_: Any) -> Any:
        from azure.core.exceptions import ServiceRequestError

        raise ServiceRequestError("Failed to resolve 'management.azure.com'")


def test_options_win_over_variables_and_variables_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    assert choose_target(Target("o", "g", "s"), environment=VARIABLES, folder=tmp_path) == Target("o", "g", "s")
    assert choose_target(Target("o"), environment=VARIABLES, folder=tmp_path) == Target("o", "g", "s")
    assert choose_target(Target(), environment=VARIABLES, folder=tmp_path) == Target("w", "g", "s")
    assert choose_target(Target(), environment={}, folder=tmp_path) == Target("cw", "cg", "cs")


@pytest.mark.parametrize("place", [".azureml/config.json", "config.json"])
def test_config_is_found_in_folders_above(tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text(json.dumps(CONFIG), encoding="utf-8")
    (tmp_path / "a" / "b").mkdir(parents=True)
    assert choose_target(Target(), environment={}, folder=tmp_path / "a" / "b").workspace == "cw"


def test_registry_needs_no_workspace(tmp_path: Path) -> None:
    assert choose_target(Target(registry="r"), environment={}, folder=tmp_path) == Target(registry="r")


def test_partly_specified_workspace_names_the_missing_options(tmp_path: Path) -> None:
    with pytest.raises(CloudNotFoundError, match="--resource-group, --subscription is missing"):
        choose_target(Target("w"), environment={}, folder=tmp_path)


def test_missing_workspace_advises_all_three_sources(tmp_path: Path) -> None:
    with pytest.raises(CloudNotFoundError) as raised:
        choose_target(Target(), environment={}, folder=tmp_path)
    assert all(word in raised.value.advice for word in ("--workspace", "AZUREML_ARM_WORKSPACE_NAME", "config.json"))


@pytest.mark.parametrize("text", ["{", "[]", '{"workspace_name": "w"}'])
def test_config_without_a_workspace_is_a_named_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(CloudNotFoundError) as raised:
        choose_target(Target(), environment={}, folder=tmp_path)
    assert raised.value.where == str(tmp_path / "config.json")


def test_a_login_that_fails_names_what_was_tried_and_prints_nothing_itself(
    service: AzureService, component: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    import logging

    from azure.core.exceptions import ClientAuthenticationError

    text = (
        "DefaultAzureCredential failed to retrieve a token from the included credentials.\nAttempted credentials:\n"
        "\tBrokerCredential: not there\n\tAzureCliCredential: Azure CLI not found on path\nTo mitigate this, read on."
    )

    class Chain:
        def get_token(self, *_scopes: str, **_options: Any) -> Any:
            logging.getLogger("azure.identity._credentials.chained").warning(text)
            raise ClientAuthenticationError(text)

    client = connect(WORKSPACE, credential=Chain(), transport=ServiceTransport(service))
    with pytest.raises(CloudLoginError) as raised:
        register(client, [component])
    assert raised.value.examples == ("AzureCliCredential: Azure CLI not found on path", "BrokerCredential: not there")
    assert "Credential" not in capfd.readouterr().err


def test_refused_login_says_how_to_log_in(service: AzureService, component: Path) -> None:
    client = connect(WORKSPACE, credential=Refused(), transport=ServiceTransport(service))
    with pytest.raises(CloudLoginError, match="failed to retrieve a token") as raised:
        register(client, [component])
    assert "az login" in raised.value.advice


@pytest.mark.slow
def test_unreachable_azure_is_a_named_error(service: AzureService) -> None:
    with pytest.raises(CloudError, match="cannot be reached"):
        connect(Target(registry="r"), credential=Login(), transport=Unplugged(service))


@pytest.mark.slow
def test_missing_extra_says_what_to_install(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['azure'] = None\n"  # what an environment without the extra looks like
        "from pytorch_designer.cli.main import main\n"
        "sys.exit(main(['register', '--registry', 'r']))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "MissingExtraError (P010)" in done.stderr
    advised = re.search("`pip install (.*)`", done.stderr)
    assert advised is not None
    declared = {item.name: item.specifier for item in map(Requirement, requires("pytorch-designer") or [])}
    assert {item.name: item.specifier for item in map(Requirement, shlex.split(advised[1]))} == {
        name: declared[name] for name in ("azure-ai-ml", "azure-identity")
    }
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("sign", ["variable", "azure_profile", "nothing", "no_home"])
def test_signs_of_a_login_are_looked_for_on_this_machine_alone(
    sign: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {"AZURE_CONFIG_DIR": str(tmp_path)}
    if sign == "variable":
        environment["AZURE_CLIENT_ID"] = "id"
    if sign == "azure_profile":
        (tmp_path / "azureProfile.json").write_text("{}")
    if sign == "no_home":
        environment = {}
        monkeypatch.setattr(Path, "expanduser", _without_home)
    assert has_login_signs(environment) == (sign in {"variable", "azure_profile"})


def _without_home(path: Path) -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_packages_that_are_missing_are_noticed_without_an_import(monkeypatch: pytest.MonkeyPatch) -> None:
    assert has_sdk()
    monkeypatch.delitem(sys.modules, "azure.ai.ml", raising=False)
    monkeypatch.setitem(sys.modules, "azure.ai", None)  # as where no package of Azure is installed
    assert not has_sdk()
