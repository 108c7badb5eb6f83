"""The linter on texts and on azure-ai-ml objects."""

# No `from __future__ import annotations`: the SDK needs the annotations of a pipeline function as objects.

from pathlib import Path
from typing import Any

import pytest

from pytorch_designer.harness.lint.linter import LintResult, lint, lint_object, lint_text
from tests.harness.lint.lint_files import COMPONENT, PIPELINE, PIPELINE_COMPONENT

REPOSITORY = Path(__file__).parents[3]


def shown(result: LintResult) -> list[tuple[str, str | None, str | None, str]]:
    return [(fault.kind, fault.place.node, fault.place.port, fault.place.key) for fault in result.findings]


class TestText:
    @pytest.mark.parametrize("text", [COMPONENT, PIPELINE, PIPELINE_COMPONENT])
    def test_text_without_mistake_has_no_findings(self, folder: Path, text: str) -> None:
        assert lint_text(text, folder=folder) == LintResult((), 1)

    def test_findings_are_those_of_the_file(self, folder: Path) -> None:
        text = PIPELINE.replace("optimizer: adam", "optimizer: lion").replace("epochs: 3", "epochs: 11")
        path = folder / "changed.yaml"
        path.write_text(text, encoding="utf-8")

        result = lint_text(text, folder=folder, name=str(path))

        assert result.findings == lint([path]).findings
        assert shown(result) == [
            ("value-out-of-range", None, "epochs", "inputs.epochs"),
            ("value-not-in-enum", "train", "optimizer", "jobs.train.inputs.optimizer"),
        ]

    def test_text_that_is_not_yaml_is_a_finding(self, tmp_path: Path) -> None:
        faults = lint_text("a: [1\n", folder=tmp_path).findings

        assert [(fault.place.file, fault.place.line, fault.kind) for fault in faults] == [
            ("text.yaml", 2, "yaml-syntax")
        ]

    def test_other_text_is_a_finding(self, tmp_path: Path) -> None:
        assert [fault.kind for fault in lint_text("", folder=tmp_path).findings] == ["not-a-spec"]

    def test_rules_can_be_switched_off(self, tmp_path: Path) -> None:
        assert lint_text("", folder=tmp_path, ignored_rules={"not-a-spec"}).findings == ()


@pytest.mark.filterwarnings("ignore")  # the SDK's own
class TestObject:
    @pytest.fixture
    def azure(self) -> Any:
        return pytest.importorskip("azure.ai.ml", exc_type=ImportError)

    def test_objects_without_mistake_have_no_findings(self, folder: Path, azure: Any) -> None:
        (folder / "both.yaml").write_text(PIPELINE_COMPONENT, encoding="utf-8")

        for name in ("component.yaml", "prepare.yaml", "both.yaml"):
            assert lint_object(azure.load_component(folder / name)).findings == ()
        assert lint_object(azure.load_job(folder / "pipeline.yaml")).findings == ()
        assert lint_object(azure.load_job(REPOSITORY / "examples" / "pipeline.yaml")).findings == ()

    def test_a_component_is_checked(self, folder: Path, azure: Any) -> None:
        text = COMPONENT.replace("default: 5", "default: 11").replace("inputs.rate}}", "inputs.rates}}")
        (folder / "component.yaml").write_text(text, encoding="utf-8")

        result = lint_object(azure.load_component(folder / "component.yaml"))

        assert shown(result) == [
            ("undeclared-input", None, None, "command"),
            ("default-out-of-range", None, "epochs", "inputs.epochs.default"),
            ("unused-input", None, "rate", "inputs.rate"),
        ]
        assert {fault.place.line for fault in result.findings} == {0}
        assert {Path(fault.place.file).parent for fault in result.findings} == {folder}

    def test_a_pipeline_of_python_is_checked(self, folder: Path, azure: Any) -> None:
        prepare, train = (azure.load_component(folder / name) for name in ("prepare.yaml", "component.yaml"))

        @azure.dsl.pipeline()
        def pipeline(raw: azure.Input, epochs: int) -> dict[str, Any]:
            prepared = prepare(raw=raw)
            trained = train(images=prepared.outputs.listing, epochs=epochs, shuffle=False, rate="fast")
            return {"model": trained.outputs.model}

        data = azure.Input(type="uri_folder", path=str(folder / "data"))
        faults = lint_object(pipeline(raw=data, epochs=30)).findings

        assert {(fault.kind, fault.place.node, fault.place.port) for fault in faults} == {
            ("value-out-of-range", None, "epochs"),
            ("value-wrong-type", "trained", "rate"),
            ("type-mismatch", "trained", "images"),
        }
