"""The fixtures as other people's projects use them: in a pytest of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.harness.fault_injection.availability import needs_namespace, needs_system_call_watch

REPOSITORY = Path(__file__).parents[3]
PAGE = REPOSITORY / "docs" / "testing_components.md"
_FILE = re.compile(r"```\w+\n# file: (\S+)\n(.*?)```", re.DOTALL)


def _pytest(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def _component(folder: Path, command: str) -> None:
    document = {"type": "command", "name": "sample", "command": command}
    (folder / "component.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The files of the page, in a project of their own."""
    for name, text in _FILE.findall(PAGE.read_text(encoding="utf-8")):
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "project"


@pytest.mark.slow
@needs_system_call_watch
@needs_namespace
def test_example_of_the_page_passes_in_parallel_with_warnings_as_errors(example: Path, tmp_path: Path) -> None:
    done = _pytest(example, "-n", "2", "-W", "error", f"--basetemp={tmp_path / 'base'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "7 passed" in done.stdout
    assert sorted(path.name for path in example.rglob("*") if path.is_file() and path.suffix != ".pyc") == [
        "count_words.py",
        "count_words.yaml",
        "pipeline.yaml",
        "test_count_words.py",
        "test_pipeline.py",
    ]


@pytest.mark.slow
def test_failed_assertion_shows_the_end_of_the_log(tmp_path: Path) -> None:
    _component(tmp_path, "echo the reason; exit 3")
    (tmp_path / "test_it.py").write_text(
        "def test_it(run_component):\n"
        "    run = run_component('component.yaml', has_mlflow=False)\n"
        "    run.assert_failed(exit_code=3)\n"
        "    run.assert_succeeded()\n"
    )
    done = _pytest(tmp_path)
    assert done.returncode == 1
    assert "sample ended with exit code 3. The end of its log:" in done.stdout
    assert "the reason" in done.stdout


@pytest.mark.slow
def test_wrong_named_error_fails_the_test(tmp_path: Path) -> None:
    _component(tmp_path, """mkdir outputs; echo '{"name": "Other"}' > outputs/error_info.json; exit 1""")
    (tmp_path / "test_it.py").write_text(
        "def test_it(run_component):\n"
        "    run = run_component('component.yaml', has_mlflow=False)\n"
        "    run.assert_failed('Other')\n"
        "    run.assert_failed(KeyError)\n"
    )
    done = _pytest(tmp_path)
    assert "failed with the named error Other, not KeyError" in done.stdout


@pytest.mark.slow
def test_run_that_does_not_end_in_time_is_ended(tmp_path: Path) -> None:
    _component(tmp_path, f"echo $$ > {tmp_path}/pid; sleep 600")
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_it(run_component):\n"
        "    with pytest.raises(TimeoutError, match='within 3 s'):\n"
        "        run_component('component.yaml', has_mlflow=False, timeout_seconds=3)\n"
    )
    done = _pytest(tmp_path)
    assert done.returncode == 0, done.stdout
    assert not Path("/proc", (tmp_path / "pid").read_text().strip()).exists()


@pytest.mark.slow
def test_plugin_imports_next_to_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys\n"
        "def test_it():\n"
        "    ours = {name for name in sys.modules if name.startswith('pytorch_designer')}\n"
        "    assert ours == {'pytorch_designer', 'pytorch_designer.harness', 'pytorch_designer.harness.testing',"
        " 'pytorch_designer.harness.testing.plugin'}\n"
        "    assert not {'torch', 'mlflow', 'yaml', 'pydantic'} & set(sys.modules)\n"
    )
    done = _pytest(tmp_path, "-p", "no:xdist", "-p", "no:hypothesispytest")
    assert done.returncode == 0, done.stdout


def test_page_names_every_fault() -> None:
    from pytorch_designer.errors import UnknownNameError
    from pytorch_designer.harness.fault_injection.injected_faults import parse_faults

    with pytest.raises(UnknownNameError) as caught:
        parse_faults(["unknown"])
    names = re.findall(r"[a-z-]+", caught.value.advice.removeprefix("Use "))
    assert "kill-after" in names
    page = PAGE.read_text(encoding="utf-8")
    assert [name for name in names if f"| `{name}" not in page] == []
