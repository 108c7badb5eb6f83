"""Rules of the linter. Ids are stable; `docs/reference/lint_rules.md` is generated from this table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Severity(str, Enum):
    """Severity: an error is refused or does not do what it says; a warning is suspicious, or ignored without harm."""

    ERROR = "error"
    WARNING = "warning"


class InRun(str, Enum):
    """Effect of a finding on `run`: refuse the file, warn, or check again with the given values."""

    REFUSES = "refuses"
    WARNS = "warns"
    CHECKS = "checks it itself"


@dataclass(frozen=True)
class Rule:
    """Rule of the linter.

    Attributes:
        rule_id: Stable name, used in reports and to switch the rule off.
        severity: Errors make the exit code 1.
        meaning: One sentence that says what is found.
        consequence: What Azure ML does with it.
        in_run: What `run` does with it.
    """

    rule_id: str
    severity: Severity
    meaning: str
    consequence: str
    in_run: InRun


_REFUSED = "azure-ai-ml refuses the file."
_SILENT = "azure-ai-ml accepts it silently."
_E, _W = Severity.ERROR, Severity.WARNING
_REFUSES, _WARNS, _CHECKS = InRun.REFUSES, InRun.WARNS, InRun.CHECKS

_FILE_RULES = (
    Rule("yaml-syntax", _E, "The file is not one YAML document.", _REFUSED, _CHECKS),
    Rule("not-a-spec", _E, "A file given by name is neither a component nor a job.", "It is not checked.", _CHECKS),
    Rule(
        "nothing-checked",
        _E,
        "No YAML file in the folders that were named is a component or job.",
        "Nothing: nothing was checked.",
        _CHECKS,
    ),
    Rule("duplicate-key", _E, "A key occurs twice in a mapping.", f"{_SILENT} The last one wins.", _CHECKS),
    Rule("refused-key", _E, "A key that the schema does not have, where unknown keys are refused.", _REFUSED, _REFUSES),
    Rule(
        "misspelled-key", _E, "An unknown key that resembles a known one.", f"{_SILENT} The key has no effect.", _WARNS
    ),
    Rule("unknown-key", _W, "A key that the schema does not have.", f"{_SILENT} The key has no effect.", _WARNS),
    Rule("missing-key", _E, "A required key is absent.", _REFUSED, _WARNS),
    Rule(
        "wrong-value",
        _E,
        "A value is not of the kind that its key needs.",
        "Refused at load or by the service.",
        _WARNS,
    ),
    Rule(
        "missing-path",
        _E,
        "A local file or folder that the file names does not exist.",
        "Refused, or the job fails.",
        _REFUSES,
    ),
    Rule(
        "missing-input-value",
        _W,
        "A job declares an input and gives it no value.",
        "Refused, unless the value is set at submission.",
        _CHECKS,
    ),
    Rule(
        "missing-data",
        _W,
        "Local data that a job or node names does not exist.",
        "Reported at the upload at the earliest; a script may still create the data.",
        _CHECKS,
    ),
)
_COMPONENT_RULES = (
    Rule(
        "component-name",
        _W,
        "The name has characters other than a-z, 0-9 and _, or starts with a digit.",
        "Refused when the component is loaded or registered by itself; a pipeline may name its file.",
        _WARNS,
    ),
    Rule(
        "port-name",
        _E,
        "The name of an input or output is not an identifier, or differs from another in case only.",
        "Refused when the component is registered.",
        _WARNS,
    ),
    Rule(
        "reserved-name",
        _E,
        "An input has the name of an environment variable that the job's shell needs.",
        f"{_SILENT} The service refuses it, or the job cannot find its programs.",
        _WARNS,
    ),
    Rule(
        "awkward-name",
        _W,
        "An input is called `name` or `class`.",
        f"{_SILENT} It collides with attributes of nodes and with Python.",
        _WARNS,
    ),
    Rule(
        "unknown-type",
        _E,
        "The type of a port, or of the file, is not one of Azure ML's.",
        _REFUSED,
        _REFUSES,
    ),
    Rule("default-on-port", _E, "An input that is data has a default.", _REFUSED, _REFUSES),
    Rule("bounds-not-allowed", _E, "`min` or `max` on an input that is not integer or number.", _REFUSED, _REFUSES),
    Rule("enum-not-text", _E, "An entry of `enum` is not text.", _REFUSED, _REFUSES),
    Rule(
        "default-wrong-type",
        _E,
        "A default is not a value of its input's type.",
        "Refused, or accepted silently (2.5 becomes the integer 2).",
        _REFUSES,
    ),
    Rule("default-out-of-range", _E, "A default is below `min` or above `max`.", _SILENT, _WARNS),
    Rule("default-not-in-enum", _E, "A default is not one of the choices.", _SILENT, _WARNS),
    Rule("min-above-max", _E, "`min` is greater than `max`.", f"{_SILENT} No value is valid.", _WARNS),
    Rule(
        "changed-text",
        _W,
        "A string without quotes that YAML reads as something else.",
        f"{_SILENT} The job gets another text: `yes` becomes `True`, `1.10` becomes `1.1`.",
        _WARNS,
    ),
    Rule(
        "component-environment-variables",
        _E,
        "`environment_variables` on a component.",
        f"{_SILENT} They are dropped; on a node they work.",
        _WARNS,
    ),
    Rule(
        "line-continuation",
        _E,
        "A line of the command ends with a backslash in a style in which YAML joins lines.",
        f"{_SILENT} The shell sees a backslash and a space: one argument too many.",
        _WARNS,
    ),
    Rule(
        "literal-continuation",
        _W,
        "A line of a `|` command ends with a backslash.",
        f"{_SILENT} Whether it works depends on how the service passes the command to the shell.",
        _WARNS,
    ),
    Rule(
        "bad-binding",
        _E,
        "An expression that looks like a binding but is not one.",
        f"{_SILENT} The text is passed on as it is, or the service refuses it.",
        _WARNS,
    ),
    Rule("undeclared-input", _E, "The command uses an input that is not declared.", "Refused at validation.", _REFUSES),
    Rule(
        "undeclared-output", _E, "The command uses an output that is not declared.", "Refused at validation.", _REFUSES
    ),
    Rule("unused-input", _W, "The command does not use an input.", _SILENT, _WARNS),
    Rule("unused-output", _W, "The command does not use an output.", f"{_SILENT} It stays empty.", _WARNS),
    Rule(
        "optional-outside-brackets",
        _E,
        "An optional input without a default is outside `$[[ ]]`.",
        f"{_SILENT} The job fails when the input has no value.",
        _WARNS,
    ),
    Rule(
        "required-inside-brackets",
        _E,
        "A `$[[ ]]` contains only required inputs.",
        f"{_SILENT} The block is never left out; one of the two declarations is wrong.",
        _WARNS,
    ),
)
_PIPELINE_RULES = (
    Rule(
        "node-name",
        _E,
        "The name of a node has characters other than a-z, 0-9 and _, or starts with a digit.",
        _REFUSED,
        _REFUSES,
    ),
    Rule("node-type-mismatch", _E, "A node's type differs from its component's type.", _REFUSED, _REFUSES),
    Rule(
        "sweep-settings",
        _E,
        "The search space, sampling, objective, early termination or limits of a sweep are wrong.",
        "Refused, by azure-ai-ml or by the service, or no trial can run.",
        _REFUSES,
    ),
    Rule(
        "parallel-settings",
        _E,
        "A setting, the entry script, or the split input of a parallel job is wrong.",
        "Refused by the service, or the job fails.",
        _REFUSES,
    ),
    Rule(
        "control-settings",
        _E,
        "The condition, blocks, body, mapping or limits of an `if_else` or `do_while` node are wrong.",
        "Refused, by azure-ai-ml or by the service.",
        _REFUSES,
    ),
    Rule("unknown-job", _E, "A binding names a node that the pipeline does not have.", _SILENT, _REFUSES),
    Rule("unknown-port", _E, "A binding names an output that its node does not have.", _SILENT, _REFUSES),
    Rule("unknown-pipeline-input", _E, "A binding names an input that is not the pipeline's.", _SILENT, _REFUSES),
    Rule("unknown-pipeline-output", _E, "A binding names an output that is not the pipeline's.", _SILENT, _REFUSES),
    Rule("cycle", _E, "Nodes depend on each other in a circle.", _SILENT, _REFUSES),
    Rule(
        "nested-pipelines",
        _E,
        "With all that is nested in it, the pipeline has more than 1,000 nodes or 50 levels, or it contains itself.",
        "Refused by the service; `run` refuses it too.",
        _CHECKS,
    ),
    Rule(
        "unknown-node-input",
        _W,
        "A node sets an input that its component does not have.",
        f"{_SILENT} The input is left out.",
        _WARNS,
    ),
    Rule("unknown-node-output", _E, "A node sets an output that its component does not have.", _SILENT, _REFUSES),
    Rule(
        "missing-node-input",
        _E,
        "A node leaves out an input that its component requires.",
        "Refused at validation.",
        _CHECKS,
    ),
    Rule("value-wrong-type", _E, "A value is not of the type of the input that it is given to.", _SILENT, _CHECKS),
    Rule("value-out-of-range", _E, "A value is below the input's `min` or above its `max`.", _SILENT, _CHECKS),
    Rule("value-not-in-enum", _E, "A value is not one of the input's choices.", _SILENT, _CHECKS),
    Rule(
        "optional-to-required",
        _E,
        "An optional pipeline input feeds a required input of a node.",
        "Refused at validation.",
        _CHECKS,
    ),
    Rule(
        "type-mismatch",
        _W,
        "Two connected ports have types that do not fit, or a file is given to a folder's input, or the reverse.",
        f"{_SILENT} The job gets the path as it is.",
        _WARNS,
    ),
    Rule(
        "data-mismatch",
        _E,
        "A single value is bound to an input that is data, or data to a number or boolean.",
        f"{_SILENT} The job is refused by the service, or gets what it cannot use.",
        _CHECKS,
    ),
    Rule(
        "port-tag-mismatch",
        _W,
        "Two connected folders hold different things, according to the tags `port.<name>`.",
        _SILENT,
        _WARNS,
    ),
    Rule("output-bound-twice", _E, "Two nodes write the same pipeline output.", _SILENT, _REFUSES),
    Rule("unused-pipeline-input", _W, "No node uses a pipeline input.", _SILENT, _WARNS),
    Rule("unbound-pipeline-output", _W, "No node writes a pipeline output.", f"{_SILENT} It stays empty.", _WARNS),
)

RULE_GROUPS: dict[str, tuple[Rule, ...]] = {
    "Every file": _FILE_RULES,
    "Components": _COMPONENT_RULES,
    "Pipelines": _PIPELINE_RULES,
}
RULES: dict[str, Rule] = {rule.rule_id: rule for group in RULE_GROUPS.values() for rule in group}
