"""The keys and words of Azure ML's component and pipeline schemas, as azure-ai-ml 1.35 implements them.

A test compares these tables with the installed SDK.
"""

from __future__ import annotations

PARAMETER_TYPES = frozenset({"integer", "number", "string", "boolean"})
DATA_TYPES = frozenset({"uri_file", "uri_folder", "mltable", "mlflow_model", "custom_model", "triton_model", "path"})
MODES = frozenset(
    {"direct", "download", "eval_download", "eval_mount", "mount", "ro_mount", "rw_mount", "upload", "link"}
)
TYPE_ALIASES = {
    "int": "integer",
    "long": "integer",
    "float": "number",
    "double": "number",
    "str": "string",
    "text": "string",
    "bool": "boolean",
    "folder": "uri_folder",
    "directory": "uri_folder",
    "anydirectory": "uri_folder",
    "file": "uri_file",
    "anyfile": "uri_file",
    "dataset": "uri_folder",
    "enum": "string",
}

_ASSET = {
    "$schema",
    "name",
    "version",
    "id",
    "display_name",
    "description",
    "tags",
    "type",
    "auto_delete_setting",
    "creation_context",
    "latest_version",
}
_COMPONENT = _ASSET | {"inputs", "outputs", "is_deterministic"}
COMMAND_COMPONENT_KEYS = frozenset(
    _COMPONENT
    | {
        "code",
        "command",
        "environment",
        "distribution",
        "resources",
        "properties",
        "additional_includes",
        "queue_settings",
    }
)
PIPELINE_COMPONENT_KEYS = frozenset(_COMPONENT | {"jobs"})
PIPELINE_JOB_KEYS = frozenset(
    {
        "$schema",
        "name",
        "id",
        "display_name",
        "description",
        "tags",
        "type",
        "experiment_name",
        "properties",
        "services",
        "settings",
        "inputs",
        "outputs",
        "jobs",
        "compute",
        "component",
        "identity",
        "creation_context",
        "log_files",
        "status",
    }
)
SETTINGS_KEYS = frozenset(
    {"default_datastore", "default_compute", "continue_on_step_failure", "force_rerun", "on_init", "on_finalize"}
)

PARAMETER_KEYS = frozenset({"type", "description", "optional", "default", "min", "max", "enum"})
DATA_INPUT_KEYS = frozenset({"type", "description", "optional", "default", "mode"})
OUTPUT_KEYS = frozenset({"type", "description", "mode"})
JOB_INPUT_KEYS = frozenset({"type", "path", "mode", "datastore", "path_on_compute", "value"})
JOB_OUTPUT_KEYS = frozenset({"type", "path", "mode", "name", "version", "$schema"})

RESOURCES_KEYS = frozenset(
    {"instance_count", "instance_type", "shm_size", "docker_args", "locations", "max_instance_count", "properties"}
)
DISTRIBUTION_KEYS = {
    "pytorch": frozenset({"type", "process_count_per_instance"}),
    "mpi": frozenset({"type", "process_count_per_instance"}),
    "tensorflow": frozenset({"type", "parameter_server_count", "worker_count"}),
    "ray": frozenset(
        {
            "type",
            "port",
            "address",
            "include_dashboard",
            "dashboard_port",
            "head_node_additional_args",
            "worker_node_additional_args",
        }
    ),
}
ENVIRONMENT_KEYS = frozenset(
    {
        "$schema",
        "name",
        "version",
        "id",
        "description",
        "tags",
        "image",
        "build",
        "conda_file",
        "os_type",
        "inference_config",
        "datastore",
        "auto_delete_setting",
        "creation_context",
        "latest_version",
        "intellectual_property",
    }
)
BUILD_KEYS = frozenset({"path", "dockerfile_path"})

_NODE = {
    "$schema",
    "type",
    "component",
    "inputs",
    "outputs",
    "properties",
    "comment",
    "name",
    "display_name",
    "experiment_name",
    "description",
    "tags",
}
NODE_KEYS = {
    "command": frozenset(
        _NODE
        | {
            "code",
            "command",
            "compute",
            "environment",
            "environment_variables",
            "identity",
            "limits",
            "resources",
            "distribution",
            "queue_settings",
            "services",
        }
    ),
    "pipeline": frozenset(_NODE),
    "sweep": frozenset(
        _NODE - {"component"}
        | {
            "trial",
            "search_space",
            "sampling_algorithm",
            "objective",
            "limits",
            "early_termination",
            "compute",
            "queue_settings",
            "resources",
            "identity",
        }
    ),
}
INLINE_COMMAND_KEYS = frozenset(
    {
        "$schema",
        "type",
        "name",
        "id",
        "display_name",
        "description",
        "tags",
        "properties",
        "experiment_name",
        "inputs",
        "outputs",
        "code",
        "command",
        "compute",
        "environment",
        "environment_variables",
        "identity",
        "limits",
        "resources",
        "distribution",
        "queue_settings",
        "services",
        "parent_job_name",
        "parameters",
        "creation_context",
        "log_files",
        "status",
    }
)
CONTROL_FLOW_TYPES = frozenset({"do_while", "if_else", "parallel_for"})
NODE_TYPES = CONTROL_FLOW_TYPES | {
    "command",
    "pipeline",
    "sweep",
    "parallel",
    "automl",
    "spark",
    "import",
    "data_transfer",
}

RESERVED_INPUT_NAMES = frozenset({"path", "ld_library_path", "user", "logname", "home", "pwd", "shell"})
AWKWARD_INPUT_NAMES = frozenset({"name", "class"})
