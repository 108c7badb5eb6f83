"""Wheel and sdist: what is in them, and every command as it is for those who have installed the wheel and no clone."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tarfile
import threading
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import HeaderParser
from pathlib import Path
from typing import NamedTuple
from urllib.request import HTTPCookieProcessor, build_opener

import pytest

from pytorch_designer.cli.generate import generated_files
from tests.images.digits import write_digits

pytest.importorskip("build")
pytest.importorskip("hatchling")
pytestmark = pytest.mark.slow

TOP = Path(__file__).parent.parent
PACKAGE = TOP / "src" / "pytorch_designer"
SECONDS = 300
README = (TOP / "README.md").read_text(encoding="utf-8")
# Each runs in the environment into which the wheel is installed, in an empty folder.
ALL_HELP = """
import sys
from pytorch_designer.cli.main import main
codes = {}
for name in sys.argv[1:]:
    try:
        codes[name] = main([name, "--help"])
    except SystemExit as end:
        codes[name] = end.code
print({name: code for name, code in codes.items() if code != 0}, file=sys.stderr)
"""
REGISTRATION = """
import sys, azure.storage.blob._shared.base_client as storage_clients
from pytorch_designer.cli.commands.cloud_commands import run_register
from pytorch_designer.cloud.workspace import connect
from tests.cloud.azure_service import AzureService, Login, ServiceTransport
service = AzureService()
storage_clients.RequestsTransport = lambda **_: ServiceTransport(service)
connected = lambda target: connect(target, credential=Login(), transport=ServiceTransport(service))
workspace = ["--workspace", "ws", "--resource-group", "rg", "--subscription", "00000000-0000-0000-0000-000000000000"]
print(run_register(workspace, "pytorch-designer", connected=connected), len(service.of("PUT", "/components/.*")))
"""


class Built(NamedTuple):
    wheel: Path
    sdist: Path


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist of this tree, and the wheel that is built from the sdist."""
    folder = tmp_path_factory.mktemp("built")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(TOP)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return Built(wheel, sdist)


class Installed(NamedTuple):
    """An environment with the wheel; the packages that it needs are those of the running one."""

    scripts: Path

    def run(self, *command: str, cwd: Path, **variables: str) -> str:
        """Run a program of the environment, which must succeed; returns all that it prints."""
        environment = {**os.environ, "PATH": f"{self.scripts}{os.pathsep}{os.environ['PATH']}", **variables}
        done = subprocess.run(
            [self.scripts / command[0], *command[1:]],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, f"{shlex.join(command)}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    @contextmanager
    def serve(self, *command: str, cwd: Path) -> Iterator[str]:
        """The address that a command prints as the page that it serves; it is interrupted at the end."""
        process = subprocess.Popen(
            [self.scripts / command[0], *command[1:]], cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        watch = threading.Timer(SECONDS, process.kill)
        watch.start()
        try:
            assert process.stdout is not None
            printed = iter(process.stdout)
            yield next(found[0] for line in printed if (found := re.findall(r"http://\S+", line.decode())))
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=300)
            watch.cancel()


@pytest.fixture(scope="module")
def installed(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("environment")
    builder = venv.EnvBuilder(symlinks=os.name == "posix")
    builder.create(folder)
    context = builder.ensure_directories(folder)
    [packages] = folder.glob("**/site-packages")
    (packages / "running.pth").write_text("\n".join(path for path in sys.path if "site-packages" in path))
    pip = [sys.executable, "-m", "pip", "--python", context.env_exe, "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*pip, str(built.wheel)], check=True, timeout=300)
    return Installed(Path(context.bin_path))


def test_the_sdist_holds_the_sources_and_nothing_of_the_place_it_was_built_in(built: Built) -> None:
    with tarfile.open(built.sdist) as archive:
        names = [Path(name).parts[1:] for name in archive.getnames()]
    assert {parts[0] for parts in names} == {
        *("CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "Makefile", "PKG-INFO", "README.md", ".gitignore"),
        *("hatch_build.py", "pyproject.toml", "component.yaml"),
        *("benchmarks", "components", "docs", "environment", "examples", "page", "src", "tests"),
    }
    assert [parts for parts in names if "__pycache__" in parts or (parts[1:] and parts[-1].startswith("."))] == []


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [path for path in PACKAGE.rglob("*") if path.is_file() and path.parent.name != "__pycache__"]
    assert names == {path.relative_to(PACKAGE.parent).as_posix() for path in files}


def test_the_long_description_points_at_nothing_in_the_repository(built: Built) -> None:
    with zipfile.ZipFile(built.wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    text = str(metadata.get_payload())
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert text.startswith(README.partition("\n")[0])
    assert [link for link in re.findall(r"\]\(([^)]*)\)", text) if not link.startswith("https://")] == []


def test_every_command_has_its_help(installed: Installed, tmp_path: Path) -> None:
    place = installed.run("python", "-c", "import pytorch_designer; print(pytorch_designer.__file__)", cwd=tmp_path)
    assert Path(place.strip()).is_relative_to(installed.scripts.parent)
    listed = re.findall(r"^  ([a-z-]+) ", installed.run("pytorch-designer", "--help", cwd=tmp_path), re.MULTILINE)
    assert len(listed) > 15
    assert installed.run("python", "-c", ALL_HELP, *listed, cwd=tmp_path).endswith("\n{}\n")


def test_components_are_written_checked_run_and_registered(installed: Installed, tmp_path: Path) -> None:
    installed.run("pytorch-designer", "components", "azure", cwd=tmp_path)
    committed = {name: text for name, text in generated_files().items() if not name.startswith("docs/")}
    assert {name: (tmp_path / "azure" / name).read_text(encoding="utf-8") for name in committed} == committed
    installed.run("pytorch-designer", "lint", "azure/component.yaml", "azure/components", cwd=tmp_path)
    values = ("--param", "model_name=shufflenet_v2_x0_5", "--param", "pretrained=False", "--no-mlflow")
    run = ("run", "azure/components/image_model.yaml", *values, "--output", "untrained_model=network")
    installed.run("pytorch-designer", *run, cwd=tmp_path)
    assert (tmp_path / "network" / "_meta.yaml").is_file()
    assert "0 10" in installed.run("python", "-c", REGISTRATION, cwd=tmp_path, PYTHONPATH=str(TOP)).splitlines()


def test_commands_and_python_of_the_readme_run(installed: Installed, tmp_path: Path) -> None:
    write_digits(tmp_path / "photos", classes=2, per_class=20)
    blocks = re.findall(r"^```console\n(.*?)\n```", README, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.replace("\\\n", "").splitlines()]
    lines += re.findall(r"`(pytorch-designer [^`]+)`", README)
    commands = [shlex.split(line, comments=True) for line in lines if line.startswith("pytorch-designer")]
    assert {"train", "inspect", "components"} <= {command[1] for command in commands}
    for command in commands:
        if command[1] == "train":  # no network here, in any sense
            command += ["--model-name", "shufflenet_v2_x0_5", "--pretrained", "False", "--epochs", "1"]
        if command[1] == "designer":
            browser = build_opener(HTTPCookieProcessor())
            with installed.serve(*command, "--no-browser", cwd=tmp_path) as address:
                assert b"<script" in browser.open(address, timeout=30).read()
        elif command[1] not in {"register", "demo"}:  # tested above; the demo takes a minute
            installed.run(*command, cwd=tmp_path)

    (tmp_path / "cat.jpg").write_bytes((tmp_path / "photos" / "0" / "000.png").read_bytes())
    [program] = re.findall(r"```python\n(import pytorch_designer\n.*?)```", README, re.DOTALL)
    same = program.replace('"photos"', '"photos", model_name="shufflenet_v2_x0_5", pretrained=False, epochs=1')
    printed = installed.run("python", "-c", same, cwd=tmp_path)  # finds the model that `train` has written
    assert re.search(r"^[01]\.[0-9]+ ", printed, re.MULTILINE)
